"""Rows to learn from that lie in the partitions of a dask collection, on the workers of a cluster.

An evaluation is a graph of tasks: the parameters, the sums of each partition where it lies, and a tree that adds up
neighbours, two at a time. Its shape depends on the number of partitions alone, so that the bits don't depend on which
worker has which. With adjacent partitions on the same worker only one sum a worker travels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import numpy as np
from dask.delayed import Delayed
from numpy.typing import NDArray

from softxent.dask import worker
from softxent.dask.cluster import Part, compute, fetched, homes, task
from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.sums import SAMPLE, Evaluate, Sums

Array = NDArray[Any]

GROUP = 2**26  # bytes of X in a group of partitions that are shuffled together; the next group is fetched meanwhile


class DaskRows:
    """TrainingRows in partitions.

    client  of a cluster, or None for dask's scheduler of this process
    parts   of each partition its Examples: futures of that client, or without one tasks (delayed)
    counts  rows of each
    sample  every k-th row, as sample_of finds it
    """

    def __init__(self, client: Any, parts: Sequence[Part], counts: Sequence[int], sample: Examples) -> None:
        filled = [(part, rows) for part, rows in zip(parts, counts, strict=True) if rows]
        self.client, self.sample = client, sample
        self.parts, self.counts = [part for part, _ in filled], [rows for _, rows in filled]

    def __len__(self) -> int:
        return sum(self.counts)

    @contextmanager
    def sums(self, loss: Loss, W: Array, b: Array) -> Iterator[Evaluate]:
        where = homes(self.client, self.parts)
        yield lambda: self.evaluate(worker.Parameters(loss, W, b), where)

    def evaluate(self, given: worker.Parameters, where: Sequence[str | None]) -> Sums:
        run = uuid4().hex
        parameters = task("parameters", worker.Parameters, *given, key=run, home=where[0])
        leaves = [
            task("sums", worker.sums, part, parameters, key=f"{k}-{run}", home=home)
            for k, (part, home) in enumerate(zip(self.parts, where, strict=True))
        ]
        return compute(self.client, [tree(leaves, where, run)])[0]

    def groups(self, rng: np.random.RandomState) -> Iterator[Examples]:
        """Yields partitions in a new order, as many together as have GROUP bytes, while the next ones are fetched."""
        groups = self.grouped(rng.permutation(len(self.parts)).tolist())
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self.fetch, groups[0])
            for following in [*groups[1:], None]:
                examples = coming.result()
                if following is not None:
                    coming = pool.submit(self.fetch, following)
                yield examples

    def grouped(self, order: Sequence[int]) -> list[list[int]]:
        X = self.sample.X
        values = X.data if hasattr(X, "indptr") else X
        most = max(1, GROUP * len(self.sample) // max(1, values.nbytes))  # rows
        groups: list[list[int]] = [[]]
        rows = 0
        for k in order:
            rows += self.counts[k]
            if groups[-1] and rows > most:
                groups.append([])
                rows = self.counts[k]
            groups[-1].append(k)
        return groups

    def fetch(self, group: Sequence[int]) -> Examples:
        return worker.concatenated(fetched(self.client, [self.parts[k] for k in group]))


def tree(nodes: list[Delayed], where: Sequence[str | None], run: str) -> Delayed:
    """Returns the sum of all nodes: neighbours are added up, then neighbouring sums, and so on."""
    places, level = list(where), 0
    while len(nodes) > 1:
        pairs = range(0, len(nodes) - 1, 2)
        last = nodes[-1:] if len(nodes) % 2 else []
        nodes = [
            task("add", worker.add, nodes[k], nodes[k + 1], key=f"{level}-{k}-{run}", home=places[k]) for k in pairs
        ] + last
        places, level = places[::2], level + 1
    return nodes[0]


def sample_of(client: Any, parts: Sequence[Part], counts: Sequence[int]) -> Examples:
    """Returns every k-th row of all: those that InMemory takes."""
    step = -(-sum(counts) // SAMPLE)
    starts = np.cumsum([0, *counts]).tolist()
    run = uuid4().hex
    tasks = [
        task("sample", worker.every, part, -start % step, step, key=f"{k}-{run}")
        for k, (part, rows, start) in enumerate(zip(parts, counts, starts, strict=False))
        if -start % step < rows
    ]
    return worker.concatenated(compute(client, tasks))
