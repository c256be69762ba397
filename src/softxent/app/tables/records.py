"""Reads JSON: a record a line, or an array of records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pyarrow as pa

from softxent.app.tables.files import File
from softxent.app.tables.objects import array_of
from softxent.app.tables.rows import BATCH, Rows, Source
from softxent.app.words import Mistake, Phrase

ENCODING = "utf-8-sig"


class Json(Source):
    def __init__(self, file: File) -> None:
        super().__init__(file)
        with open(file.path, encoding=ENCODING, errors="replace") as stream:
            start = stream.read(1 << 16).lstrip()
        if not start:
            raise Mistake("empty file", got=repr(self.path))
        self.lines = not start.startswith("[")
        self.about = "JSON"
        self.names = list(dict.fromkeys(name for record in self._records() for name in record))

    def _records(self) -> Iterator[dict[str, Any]]:
        try:
            with open(self.file.path, encoding=ENCODING) as stream:
                numbered = enumerate(stream, 1) if self.lines else enumerate(json.load(stream))
                for number, found in numbered:
                    if self.lines and not found.strip():
                        continue
                    record = _parsed(found) if self.lines else found
                    if not isinstance(record, dict):
                        what = Phrase("in line", line=number) if self.lines else Phrase("in row", row=number)
                        why = Phrase("no record", place=what)
                        raise Mistake("unreadable file", got=repr(self.path), why=why)
                    yield record
        except Mistake:
            raise
        except (ValueError, RecursionError) as error:  # UnicodeDecodeError is one
            raise Mistake("unreadable file", got=repr(self.path), why=" ".join(str(error).split())) from None

    def batches(self) -> Iterator[Rows]:
        records, start = self._records(), 0
        while batch := list(islice(records, BATCH)):
            columns = {name: array_of(record.get(name) for record in batch) for name in self.names}
            yield Rows(self, pa.table(columns), start)
            start += len(batch)

    def place(self, row: int) -> Phrase:
        return super().place(row) if not self.lines else Phrase("in line", line=self._line(row))

    def _line(self, row: int) -> int:
        with open(self.file.path, encoding=ENCODING) as stream:
            there = (number for number, line in enumerate(stream, 1) if line.strip())
            return next(number for index, number in enumerate(there) if index == row)


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
