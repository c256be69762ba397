"""A batch of rows, and the source that it comes from."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softxent.app.tables.columns import Column, converted, labels
from softxent.app.words import Mistake, Phrase

BATCH = 8192  # rows


class Source(ABC):
    """A file of data: the `names` of its columns, and its rows, one batch after another."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        self.about = ""
        self.names: list[str] = []
        self.comma = False  # numbers may be written 1,5

    @abstractmethod
    def batches(self) -> Iterator[Rows]: ...

    def read(self) -> Rows:
        """Returns all rows."""
        batches = list(self.batches())
        if not sum(map(len, batches)):
            raise Mistake("no rows", got=repr(self.path))
        return batches[0].joined(batches)

    def row(self, index: int) -> Rows:
        """Returns one row, as a `Rows` of length 1."""
        count = 0
        for rows in self.batches():
            count += len(rows)
            if 0 <= index < count:
                return rows.row(index - rows.start)
        raise Mistake("row range", got=index, name=repr(self.path), rows=count, last=count - 1)

    def place(self, row: int) -> Phrase:
        """Says where in the file a user finds the row."""
        return Phrase("in row", row=row)

    def check_names(self) -> None:
        for index, name in enumerate(self.names):
            if name in self.names[:index]:
                raise Mistake("column twice", got=repr(self.path), name=repr(name))

    def require(self, name: str, phrase: str = "no column") -> None:
        if name not in self.names:
            raise Mistake(phrase, got=repr(self.path), name=repr(name), near=suggested(name, self.names))


def suggested(name: str, names: Sequence[str]) -> Phrase:
    """Suggests the names that are similar, or else all of them."""
    near = closest(name, names)
    return Phrase("near names", names=listed(near)) if near else Phrase("all names", names=listed(names))


def closest(name: str, names: Iterable[str], most: int = 3) -> list[str]:
    """Returns the names that are similar, the closest first."""
    folded = {each.casefold().strip(): each for each in names}
    return [folded[each] for each in difflib.get_close_matches(name.casefold().strip(), folded, n=most, cutoff=0.5)]


def listed(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f", … ({len(names)})" if len(names) > most else "")


class Rows:
    """Rows of a table; `start` is the number of the first."""

    def __init__(self, source: Source, table: pa.Table, start: int = 0) -> None:
        self.source, self.table, self.start = source, table, start

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def joined(self, batches: Sequence[Rows]) -> Rows:
        return Rows(self.source, pa.concat_tables([batch.table for batch in batches], promote_options="permissive"))

    def row(self, index: int) -> Rows:
        return Rows(self.source, self.table.slice(index, 1), self.start + index)

    def place(self, index: int) -> Phrase:
        return self.source.place(self.start + index)

    def infer(self, target: str, dropped: Sequence[str]) -> list[Column]:
        return [
            Column(name, "dropped")
            if name in dropped
            else Column.infer(name, self.table[name], comma=self.source.comma)
            for name in self.source.names
            if name != target
        ]

    def labels(self, target: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Returns the class of each row, and which rows have none."""
        return labels(self.table[target])

    def features(self, columns: Sequence[Column]) -> Any:
        """Returns the columns that a model uses as a DataFrame, each read as its kind."""
        import pandas as pd

        used = [column for column in columns if column.used]
        return pd.DataFrame(
            {each.name: converted(each, self.table[each.name], self.place, comma=self.source.comma) for each in used}
        )
