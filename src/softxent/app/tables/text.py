"""Reads CSV, TSV and text with blanks between fields; every row must have as many fields as the first."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.csv

from softxent.app.tables import dialect
from softxent.app.tables.files import File, reading
from softxent.app.tables.rows import BATCH, Rows, Source
from softxent.app.words import Mistake, Phrase

SAMPLE = 1 << 20  # bytes to find encoding and delimiter in
BLOCK = 1 << 22  # bytes read at a time; a row must fit
HEADED = (".csv", ".tsv", ".tab", ".txt")  # files that nearly always have a header


class Text(Source):
    def __init__(self, file: File) -> None:
        super().__init__(file)
        with open(self.file.path, "rb") as stream:
            sample = stream.read(SAMPLE + 1)
        text, self.encoding = dialect.decoded(sample[:SAMPLE])
        lines = text.splitlines(keepends=True)[: -1 if len(sample) > SAMPLE else None]
        self.delimiter = dialect.delimiter(lines) if text.strip() else ""
        self.decimal = "," if self.delimiter == ";" else "."
        self.points_only = self.delimiter == ","
        rows = list(islice(self._rows(lines), dialect.ROWS))
        if not text.strip() or not rows:
            raise Mistake("empty file", got=repr(self.path))
        first, *below = rows
        self.has_header = dialect.is_header(first, below, headed=file.ending in HEADED)
        self._name_columns(first)
        delimiter = "" if self.delimiter == dialect.BLANKS else f", {self.delimiter or ','!r}"
        self.about = self.encoding.removesuffix("-sig").upper() + delimiter

    def _name_columns(self, first: list[str]) -> None:
        if self.has_header:
            self.names = [name.strip() or f"column {i}" for i, name in enumerate(first)]
            self.check_names()
        else:
            self.names = [f"x{i}" for i in range(1, len(first) + 1)]
            self.notes.append(Phrase("no header", got=repr(self.path), last=self.names[-1]))

    def column(self, name: str) -> str:
        """Returns the name of the column that a user means: it may be a number where columns have no names."""
        return f"x{name}" if not self.has_header and name.isdecimal() else name

    def _rows(self, lines: Any) -> Iterator[list[str]]:
        return (row for row in dialect.split(lines, self.delimiter) if any(row))

    def batches(self) -> Iterator[Rows]:
        start = 0
        try:
            with reading(self.path):
                for table in self._tables():
                    if table.num_rows:
                        yield Rows(self, table, start)
                    start += table.num_rows
        except (pa.ArrowInvalid, UnicodeDecodeError, csv.Error) as error:
            raise self._diagnosed(error) from None

    def _tables(self) -> Iterator[pa.Table]:
        if self.delimiter == dialect.BLANKS:
            yield from self._tables_of_blanks()
            return
        reader = pyarrow.csv.open_csv(
            self.file.path,
            pyarrow.csv.ReadOptions(
                block_size=BLOCK, column_names=self.names, skip_rows=self._lines_above(), encoding=self._codec()
            ),
            pyarrow.csv.ParseOptions(delimiter=self.delimiter or ",", newlines_in_values=True),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(self.names, pa.string()), strings_can_be_null=False),
        )
        for batch in reader:
            yield pa.Table.from_batches([batch])

    def _tables_of_blanks(self) -> Iterator[pa.Table]:
        lines = self._lines()
        if self.has_header:
            next(lines)
        while rows := list(islice(lines, BATCH)):
            for line, row in rows:
                if len(row) != len(self.names):
                    raise self._ragged(line, row)
            columns = zip(*(row for _, row in rows), strict=True)
            yield pa.table(
                {name: pa.array(column, pa.string()) for name, column in zip(self.names, columns, strict=True)}
            )

    def _codec(self) -> str:
        return "utf8" if self.encoding in ("utf-8", "utf-8-sig") else self.encoding

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yields the rows that are not blank, each with the number of its first line."""
        with reading(self.path), open(self.file.path, encoding=self.encoding, newline="") as stream:
            reader, line = dialect.split(stream, self.delimiter), 1
            for row in reader:
                if row:
                    yield line, row
                line = reader.line_num + 1

    def _lines_above(self) -> int:
        """Counts the lines up to the end of the header."""
        with open(self.file.path, encoding=self.encoding, newline="", errors="replace") as stream:
            reader = dialect.split(stream, self.delimiter)
            above = 0
            for row in reader:
                if any(row):
                    break
                above = reader.line_num
            return reader.line_num if self.has_header else above

    def place(self, row: int) -> Phrase:
        lines = (line for line, _ in self._lines())
        first = -1 if self.has_header else 0
        return Phrase("in line", line=next(line for index, line in enumerate(lines, first) if index == row))

    def _diagnosed(self, error: Exception) -> Mistake:
        try:
            rows = 0
            for rows, (line, row) in enumerate(self._lines()):  # noqa: B007
                if len(row) != len(self.names):
                    return self._ragged(line, row)
            if rows == 0:  # a header without a line feed
                return Mistake("no rows", got=repr(self.path))
        except (UnicodeDecodeError, csv.Error) as reason:
            error = reason
        return Mistake("unreadable file", got=repr(self.path), why=" ".join(str(error).split()))

    def _ragged(self, line: int, row: list[str]) -> Mistake:
        phrase = "ragged" if self.has_header else "ragged without header"
        return Mistake(phrase, got=repr(self.path), line=line, fields=len(row), expected=len(self.names))
