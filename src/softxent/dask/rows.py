"""Rows to learn from that lie in the partitions of a dask collection, on the workers of a cluster.

An evaluation is a graph of tasks: the parameters, the sums of partitions where they lie, and a tree that adds up
neighbours, two at a time. Its shape depends on the number of partitions alone, so that the bits don't depend on which
worker has which. With adjacent partitions on the same worker only one sum a worker travels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import numpy as np
from dask.delayed import Delayed
from numpy.typing import NDArray

from softxent.dask import worker
from softxent.dask.cluster import Part, compute, fetched, homes, shares, tasks
from softxent.sklearn.examples import Examples, concatenated
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
        most = max(1, len(self.parts) // shares(self.client))
        yield lambda: self.evaluate(worker.Parameters(loss, W, b), where, most)

    def evaluate(self, given: worker.Parameters, where: Sequence[str | None], most: int) -> Sums:
        """Returns the sums over all rows, in tasks of as many partitions of one worker at most."""
        (parameters,) = tasks("parameters", worker.Parameters, [given], where[:1])
        return compute(self.client, [tree(parameters, self.parts, where, most)])[0]

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
        return concatenated(fetched(self.client, [self.parts[k] for k in group]))


def tree(parameters: Delayed, parts: Sequence[Part], where: Sequence[str | None], most: int) -> Delayed:
    """Returns the sums over the parts: tasks of neighbours that lie on one worker, and the additions of their sums."""
    if len(parts) == 1 or (len(parts) <= most and len(set(where)) == 1):
        return tasks("sums", worker.sums, [(parameters, *parts)], where[:1])[0]
    middle = worker.left_of(len(parts))
    left = tree(parameters, parts[:middle], where[:middle], most)
    right = tree(parameters, parts[middle:], where[middle:], most)
    return tasks("add", worker.add, [(left, right)], where[:1])[0]


def sample_of(client: Any, parts: Sequence[Part], counts: Sequence[int]) -> Examples:
    """Returns every k-th row of all: those that InMemory takes."""
    step = -(-sum(counts) // SAMPLE)
    firsts = [-start % step for start in accumulate(counts, initial=0)]
    of = [(part, first, step) for part, rows, first in zip(parts, counts, firsts, strict=False) if first < rows]
    return concatenated(compute(client, tasks("sample", worker.every, of)))
