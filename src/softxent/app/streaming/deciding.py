"""Decides where a table is worked on: in memory, in this process part by part, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from softxent.app.streaming.parts import size
from softxent.app.streaming.places import Here, Place, Told, gigabytes
from softxent.app.tables.rows import Source
from softxent.app.words import Mistake


@contextmanager
def place_for(
    source: Source, memory: int, dask: str | None, folder: str, needs_all: str | None, told: Told
) -> Iterator[Place | None]:
    """Gives the place to work on a table that is larger than `memory`, and all with Dask; None for other ones.

    needs_all  the option that cannot do without the whole table
    """
    if dask is not None:
        from softxent.app.streaming.cluster import cluster

        if needs_all:
            raise Mistake("needs no cluster", option=needs_all)
        with cluster(source, dask, memory, told) as place:
            yield place
        return
    estimate = size(source)
    if estimate <= memory:
        yield None
        return
    if needs_all:
        sizes = {"size": gigabytes(estimate), "memory": gigabytes(memory)}
        raise Mistake("needs memory", option=needs_all, got=repr(source.path), **sizes)
    yield Here(Path(folder).parent, memory, told)
