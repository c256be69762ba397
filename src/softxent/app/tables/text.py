"""Reads CSV and TSV: finds the encoding and the delimiter; every row must have as many fields as the header."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from softxent.app.tables.rows import Rows, Source
from softxent.app.words import Mistake, Phrase

SAMPLE = 1 << 20  # bytes to find encoding and delimiter in
BLOCK = 1 << 22  # bytes read at a time; a row must fit
DELIMITERS = ",;\t|"
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Text(Source):
    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with open(path, "rb") as stream:
            sample = stream.read(SAMPLE)
        self.encoding = encoding(sample)
        lines = codecs.getincrementaldecoder(self.encoding)("replace").decode(sample).splitlines(keepends=True)
        if not "".join(lines).strip():
            raise Mistake("empty file", got=repr(self.path))
        self.delimiter = delimiter(lines)
        self.decimal = "," if self.delimiter == ";" else "."
        self.header = next(row for row in csv.reader(lines, delimiter=self.delimiter) if any(row))
        self.names = [name.strip() or f"column {i}" for i, name in enumerate(self.header)]
        self.check_names()
        self.about = f"{self.encoding.removesuffix('-sig').upper()}, {self.delimiter!r}"

    def batches(self) -> Iterator[Rows]:
        start = 0
        try:
            for batch in self._reader():
                if batch.num_rows:
                    yield Rows(self, pa.Table.from_batches([batch]), start)
                start += batch.num_rows
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise self._diagnosed(error) from None

    def _reader(self) -> Any:
        return pyarrow.csv.open_csv(
            self.path,
            pyarrow.csv.ReadOptions(
                block_size=BLOCK, column_names=self.names, skip_rows=self._header_line(), encoding=self._codec()
            ),
            pyarrow.csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(self.names, pa.string()), strings_can_be_null=False),
        )

    def _codec(self) -> str:
        return "utf8" if self.encoding in ("utf-8", "utf-8-sig") else self.encoding

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yields the rows that are not blank, each with the number of its first line."""
        with open(self.path, encoding=self.encoding, newline="") as stream:
            reader, line = csv.reader(stream, delimiter=self.delimiter), 1
            for row in reader:
                if row:
                    yield line, row
                line = reader.line_num + 1

    def _header_line(self) -> int:
        """Counts the lines up to the end of the header."""
        with open(self.path, encoding=self.encoding, newline="", errors="replace") as stream:
            reader = csv.reader(stream, delimiter=self.delimiter)
            next(row for row in reader if any(row))
            return reader.line_num

    def place(self, row: int) -> Phrase:
        lines = (line for line, _ in self._lines())
        return Phrase("in line", line=next(line for index, line in enumerate(lines, -1) if index == row))

    def _diagnosed(self, error: Exception) -> Mistake:
        try:
            rows = 0
            for rows, (line, row) in enumerate(self._lines()):  # noqa: B007
                if len(row) != len(self.names):
                    return Mistake("ragged", got=repr(self.path), line=line, fields=len(row), expected=len(self.names))
            if rows == 0:  # a header without a line feed
                return Mistake("no rows", got=repr(self.path))
        except (UnicodeDecodeError, csv.Error) as reason:
            error = reason
        return Mistake("unreadable file", got=repr(self.path), why=" ".join(str(error).split()))


def encoding(sample: bytes) -> str:
    """Finds the encoding: a byte-order mark's, UTF-8 if valid, GB18030 if Chinese, or charset-normalizer's guess."""
    for mark, name in BYTE_ORDER_MARKS.items():
        if sample.startswith(mark):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    if _is_chinese(sample):
        return "gb18030"
    from charset_normalizer import from_bytes

    found = from_bytes(sample).best()
    return found.encoding if found else "latin-1"


def _is_chinese(sample: bytes) -> bool:
    """Whether nearly all characters beyond ASCII are in GB 2312: text in other encodings, read so, has rarer ones."""
    try:
        text = codecs.getincrementaldecoder("gb18030")().decode(sample)
    except UnicodeDecodeError:
        return False
    beyond = [c for c in text if c > "\x7f"]
    common = sum(bool(c.encode("gb2312", "ignore")) for c in beyond)
    return common >= 0.9 * len(beyond)


def delimiter(lines: list[str]) -> str:
    """Finds the delimiter that splits the header into the most fields, and the rows below into as many."""

    def fields(candidate: str) -> tuple[int, int]:
        rows = [len(row) for row in csv.reader(lines[:50], delimiter=candidate) if row]
        return (rows[0] if rows[0] > 1 else 0) * rows.count(rows[0]), rows[0]

    return max(DELIMITERS, key=fields)
