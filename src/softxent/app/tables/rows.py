"""A batch of rows, and the source that it comes from."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softxent.app.tables import kinds, unread
from softxent.app.tables.columns import Column, Reading, as_text, labels
from softxent.app.tables.files import File
from softxent.app.tables.kinds import Asked
from softxent.app.words import Mistake, Phrase

BATCH = 8192  # rows


class Source(ABC):
    """A file of data: the `names` of its columns, and its rows, one batch after another."""

    def __init__(self, file: File) -> None:
        self.file = file
        self.path = file.name
        self.about = ""
        self.names: list[str] = []
        self.shapes: dict[str, tuple[int, ...]] = {}  # of a row of each array that has several columns
        self.notes: list[Phrase] = []  # on how the file was read
        self.decimal = "."  # of numbers that would fit another decimal mark too
        self.points_only = False  # who separates fields by commas does not write thousands as 1.234
        self.learning = False  # no model has settled yet what a few rows should be
        self.unread: dict[str, unread.Unread] = {}  # of each column, what was taken for missing since training

    @property
    def stem(self) -> str:
        """The name of the table: its file's without folder and ending."""
        return self.file.stem

    @property
    def names_to_open(self) -> list[str]:
        """What a user types to open it again; nothing for standard input and pipes."""
        return [self.path] if self.file.again else []

    def column(self, name: str) -> str:
        """Returns the name of the column that a user means."""
        return name

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

    def take_for_missing(self, name: str, found: unread.Unread) -> None:
        first = self.unread.setdefault(name, found)
        if first is not found:
            first.count += found.count

    def reading_notes(self) -> list[Phrase]:
        """Says how the file was read, and what the rows read so far have that counts as missing."""
        return self.notes + [found.note(name, self.place) for name, found in self.unread.items()]

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


def alike(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Makes columns text that are text in some of the tables, and something else in others."""
    mixed = set()
    for name in tables[0].column_names:
        types = {table[name].type for table in tables}
        if any(map(pa.types.is_string, types)) and len(types) > 1:
            mixed.add(name)
    for name in mixed:
        tables = [table.set_column(table.column_names.index(name), name, as_text(table[name])) for table in tables]
    return list(tables)


class Rows:
    """Rows of a table; `start` is the number of the first."""

    def __init__(self, source: Source, table: pa.Table, start: int = 0) -> None:
        self.source, self.table, self.start = source, table, start

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def joined(self, batches: Sequence[Rows]) -> Rows:
        """Returns the rows of batches that follow one another, of which this is the first."""
        tables = alike([batch.table for batch in batches])
        return Rows(self.source, pa.concat_tables(tables, promote_options="permissive"), self.start)

    def moved(self, source: Source, start: int) -> Rows:
        """Returns the same rows as those of another source, which they are a part of."""
        return Rows(source, self.table.select(source.names), start)

    def row(self, index: int) -> Rows:
        return Row(self, index)

    def some(self, index: NDArray[np.int64]) -> Rows:
        """Returns the rows of these indices."""
        return SomeRows(self, index)

    def number(self, index: int) -> int:
        """Returns the number of a row in its file."""
        return self.start + index

    def place(self, index: int) -> Phrase:
        return self.source.place(self.number(index))

    def infer(self, target: str, asked: Mapping[str, Asked]) -> list[Column]:
        """Decides what each column is; `asked` has what the user says."""
        columns = [self.inferred(name, asked.get(name)) for name in self.source.names if name != target]
        settled = {column.decimal for column in columns if column.decimal and not column.other}
        if len(settled) != 1:
            return columns
        # A file has one decimal mark: columns of it whose numbers fit either have that of the others
        self.source.decimal = settled.pop()
        again = [
            self.inferred(each.name, asked.get(each.name)) if each.decimal and each.other else each for each in columns
        ]
        return [replace(each, other="", examples=[]) if each.decimal and each.other else each for each in again]

    def inferred(self, name: str, asked: Asked | None = None) -> Column:
        """Decides what one column is."""
        column = kinds.infer(name, self.table[name], self.source.decimal, asked)
        if column.kind == "number" and column.other and self.source.points_only and "," not in column.examples[0]:
            return replace(column, other="", examples=[])
        return column

    def labels(self, target: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Returns the class of each row, and which rows have none."""
        return labels(self.table[target])

    def features(self, columns: Sequence[Column]) -> Any:
        """Returns the columns that a model uses as a DataFrame, each read as its kind."""
        import pandas as pd

        used = [column for column in columns if column.used]
        return pd.DataFrame({column.name: self.values(column) for column in used})

    def numbers(self, name: str) -> tuple[NDArray[np.float64], tuple[int, str] | None]:
        """Returns a column as numbers, and the first row that has none there, with what it has."""
        reading = Column(name, "number").read(self.table[name], self.source.decimal)
        row = pc.index(reading.unread, pa.scalar(True)).as_py()
        return np.asarray(reading.values.to_numpy(), np.float64), (
            row,
            reading.there[row].as_py(),
        ) if row >= 0 else None

    def values(self, column: Column) -> Any:
        """Returns the values of a column as pandas has them; what cannot be read is missing, or an error."""
        reading = column.read(self.table[column.name], self.source.decimal)
        unread.check(column, reading, self.place, enough=not self.source.learning)
        return self._converted(column, reading)

    def _converted(self, column: Column, reading: Reading) -> Any:
        new = unread.found(column, reading)
        if new:
            self.source.take_for_missing(column.name, replace(new, row=self.number(new.row)))
        return column.converted(reading.values)


class SomeRows(Rows):
    """Rows that need not be one behind the other."""

    def __init__(self, of: Rows, index: NDArray[np.int64]) -> None:
        super().__init__(of.source, of.table.take(index))
        self.numbers_in_file = of.start + index

    def number(self, index: int) -> int:
        return int(self.numbers_in_file[index])


class Row(Rows):
    """One row of a batch, whose values are read as those of the batch."""

    def __init__(self, batch: Rows, index: int) -> None:
        super().__init__(batch.source, batch.table.slice(index, 1), batch.start + index)
        self.batch, self.index = batch, index

    def values(self, column: Column) -> Any:
        whole = column.read(self.batch.table[column.name], self.source.decimal)
        unread.check(column, whole, self.batch.place)
        return self._converted(column, Reading(*(part.slice(self.index, 1) for part in whole)))


def row_hashes(frame: Any) -> NDArray[np.uint64]:
    """Returns a number for each row of a DataFrame; equal rows have the same."""
    from pandas.util import hash_pandas_object

    return np.asarray(hash_pandas_object(frame, index=False, categorize=False))


def text_hashes(text: NDArray[Any]) -> NDArray[np.uint64]:
    """Returns a number for each text, always the same."""
    from pandas.util import hash_array

    return np.asarray(hash_array(text.astype(object), categorize=False))
