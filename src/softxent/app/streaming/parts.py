"""A table in parts, each of which can be read by itself: a file, or some row groups of a Parquet file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.tables import Source, open_file
from softxent.app.tables.columnar import Arrow, Parquet
from softxent.app.tables.records import Json
from softxent.app.tables.rows import Rows
from softxent.app.tables.several import Several
from softxent.app.tables.text import Text
from softxent.app.words import Mistake

ROWS = 2**19  # of a part of a Parquet file, as near as its row groups allow
NUMBER = 8  # bytes: of a value in a column, about


@dataclass
class Part:
    """Part `index` of a table; its rows have the numbers that they have in its file."""

    source: Source  # the file
    index: int
    groups: range | None = None  # of a Parquet file
    start: int = 0  # the number of the file's first row in the table, once its rows are counted

    def batches(self) -> Iterator[Rows]:
        if self.groups is None:
            return self.source.batches()
        assert isinstance(self.source, Parquet)
        return self.source.of_groups(self.groups)

    def __getstate__(self) -> dict[str, Any]:
        """Of the file, its name: another process opens it again."""
        path = str(Path(self.source.path).resolve())
        return {**self.__dict__, "source": (path, self.source.decimal)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        path, decimal = state["source"]
        self.__dict__ = {**state, "source": open_file(path)}
        self.source.decimal, self.source.learning = decimal, True


def files_of(source: Source) -> list[Source]:
    return list(source.parts) if isinstance(source, Several) else [source]


def parts_of(source: Source) -> list[Part]:
    """Cuts a table into parts, the same wherever they are read."""
    parts: list[Part] = []
    for file in files_of(source):
        if not isinstance(file, Text | Parquet | Arrow | Json) or (isinstance(file, Json) and not file.lines):
            raise Mistake("not streamed", got=repr(file.path))
        file.learning = True
        groups = runs(file.group_rows()) if isinstance(file, Parquet) else [None]
        parts += [Part(file, len(parts) + k, group) for k, group in enumerate(groups)]
    return parts


def runs(rows: list[int]) -> list[range | None]:
    """Cuts row groups into runs of about ROWS.

    >>> runs([300_000, 300_000, 100_000, 600_000])
    [range(0, 2), range(2, 4)]
    """
    ends = [0]
    total = 0
    for k, count in enumerate(rows, 1):
        total += count
        if total >= ROWS or k == len(rows):
            ends.append(k)
            total = 0
    return [range(start, stop) for start, stop in pairwise(ends)] or [range(0)]


def size(source: Source) -> int:
    """Estimates what a table takes in memory: 8 bytes a value, or as many as its text has."""
    total = 0
    for file in files_of(source):
        if isinstance(file, Parquet):
            total += sum(file.group_rows()) * len(file.names) * NUMBER
        elif isinstance(file, Text | Arrow | Json):
            total += file.file.path.stat().st_size
    return total


def numbered(parts: list[Part], rows: list[int], source: Source) -> list[Part]:
    """Sets the number of each file's first row in the table, given how many rows each part has."""
    files = files_of(source)
    of_file = [sum(n for part, n in zip(parts, rows, strict=True) if part.source is file) for file in files]
    starts = [0, *accumulate(of_file)][:-1]
    for part in parts:
        part.start = starts[next(k for k, file in enumerate(files) if file is part.source)]
    if isinstance(source, Several):
        source.starts = starts
    return parts


def uniform(seed: int, stream: int, numbers: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Returns a number in [0, 1) for each of these, always the same: SplitMix64's finalizer (Steele et al. 2014).

    >>> uniform(0, 0, np.arange(3, dtype=np.uint64)).round(3)
    array([0.883, 0.567, 0.591])
    """
    with np.errstate(over="ignore"):
        x = numbers + np.uint64(0x9E3779B97F4A7C15) * np.uint64((seed * 2**20 + stream + 1) % 2**64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return np.asarray((x >> np.uint64(11)).astype(np.float64) * 2.0**-53)
