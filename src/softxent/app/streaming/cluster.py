"""A Dask cluster as the place where a table is worked on: each part is read by a worker, where its features stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from softxent.app.streaming.parts import Part, files_of
from softxent.app.streaming.passes import Reader, examples
from softxent.app.streaming.places import Told
from softxent.app.tables.rows import Source
from softxent.app.words import Mistake, Phrase
from softxent.sklearn.examples import Examples, concatenated

Array = NDArray[Any]
T = TypeVar("T")

PATIENCE = 10  # s, for a scheduler and its workers


class Cluster:
    def __init__(self, client: Any, memory: int, told: Told) -> None:
        self.client, self.memory, self.told = client, memory, told

    def note(self, rows: int, sample: int) -> Phrase:
        return Phrase("streamed on dask", workers=len(self.client.nthreads()), rows=rows, sample=sample)

    def map(self, f: Callable[..., T], parts: Sequence[Part], *arguments: Any) -> Iterator[T]:
        futures = self.futures(Phrase("reading parts"), f, parts, *arguments)
        while futures:
            yield futures.pop(0).result()  # and it is gone from the cluster

    def futures(self, what: Phrase, f: Callable[..., Any], parts: Sequence[Part], *arguments: Any) -> list[Any]:
        from softxent.dask.cluster import placed, tasks

        (shared,) = tasks("arguments", tuple, [(arguments,)])  # once, not with each task
        made = tasks(f.__name__, called, [(f, part, shared) for part in parts])
        return placed(self.client, made, lambda done: self.told(what, done))

    @contextmanager
    def rows(self, parts: Sequence[Part], reader: Reader, features: Any, count: int) -> Iterator[tuple[Any, Array]]:
        from softxent.dask.cluster import compute, tasks
        from softxent.dask.rows import DaskRows, sample_of

        futures = self.futures(Phrase("writing features"), examples_of, parts, reader, features)
        counted = tasks("counts", class_weights, [(part, len(reader.classes)) for part in futures])
        counts, weights = zip(*compute(self.client, counted), strict=True)
        yield DaskRows(self.client, futures, counts, sample_of(self.client, futures, counts)), np.sum(weights, axis=0)


def called(f: Callable[..., T], part: Part, arguments: tuple[Any, ...]) -> T:
    return f(part, *arguments)


def examples_of(part: Part, reader: Reader, features: Any) -> Examples:
    """Returns all rows of a part that train."""

    return concatenated(list(examples(part, reader, features)) or [Examples(np.empty((0, 0)), np.empty(0, np.int64))])


def class_weights(part: Examples, classes: int) -> tuple[int, Array]:
    return len(part), np.bincount(part.target, part.weight, classes)


@contextmanager
def cluster(source: Source, address: str, memory: int, told: Told) -> Iterator[Cluster]:
    """Gives the cluster whose scheduler is at that address, or one of this machine's cores."""
    for file in files_of(source):
        if not file.file.again:
            raise Mistake("only on disk", got=repr(file.path))
    from softxent.dask.connecting import connected

    with ExitStack() as stack:
        try:
            client = stack.enter_context(connected(address, PATIENCE))
        except (OSError, ValueError) as error:
            why = " ".join(str(error).split()) or type(error).__name__
            raise Mistake("no scheduler", got=repr(address), why=why) from None
        yield Cluster(client, memory, told)
