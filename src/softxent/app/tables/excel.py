"""Reads a sheet of an Excel workbook, by openpyxl."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from softxent.app.tables.files import File
from softxent.app.tables.objects import array_of
from softxent.app.tables.rows import BATCH, Rows, Source, listed
from softxent.app.words import Mistake, Phrase


class Excel(Source):
    """The first row that is not blank names the columns; formulas count by the values saved with them."""

    def __init__(self, file: File) -> None:
        super().__init__(file)
        cells = list(self._cells())
        if not cells:
            raise Mistake("empty sheet", got=repr(self.path), sheet=repr(self.sheet))
        (_, header), *below = cells
        width = max(len(row) for _, row in cells)
        rows = [[*row, *[None] * (width - len(row))] for _, row in below]
        header += [None] * (width - len(header))
        used = [i for i in range(width) if header[i] is not None or any(row[i] is not None for row in rows)]
        self.names = [str(header[i]).strip() if header[i] is not None else f"column {i}" for i in used]
        self.check_names()
        self.lines = [number for number, _ in below]
        columns = {name: array_of(row[i] for row in rows) for name, i in zip(self.names, used, strict=True)}
        self.table = pa.table(columns)
        self.about = f"Excel, {self.sheet!r}"

    def _cells(self) -> Iterator[tuple[int, list[Any]]]:
        """Yields the rows that are not blank, each with its number in the sheet."""
        from openpyxl import load_workbook

        try:
            with open(self.file.path, "rb") as stream, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of colours and drop-down lists, which are not read
                book = load_workbook(stream, read_only=True, data_only=True)
                sheet = self._sheet(book)
                for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
                    cells = [None if isinstance(cell, str) and not cell.strip() else cell for cell in row]
                    if any(cell is not None for cell in cells):
                        yield number, cells
                book.close()
        except (Mistake, OSError):
            raise
        except Exception as error:  # zipfile, the XML parser and openpyxl each have their own for a damaged file
            raise Mistake("unreadable file", got=repr(self.path), why=" ".join(str(error).split())) from None

    def _sheet(self, book: Any) -> Any:
        sheets = {sheet.title: sheet for sheet in book.worksheets}
        self.sheet = self.file.sheet or next(iter(sheets))
        if self.sheet not in sheets:
            raise Mistake(
                "no sheet", got=repr(str(self.file.path)), sheet=repr(self.sheet), sheets=listed(list(sheets))
            )
        if len(sheets) > 1 and not self.file.sheet:
            example = f"{self.path}:{list(sheets)[1]}"
            facts = {"count": len(sheets), "sheets": listed(list(sheets)), "sheet": repr(self.sheet)}
            self.notes.append(Phrase("first sheet", got=repr(self.path), example=repr(example), **facts))
        return sheets[self.sheet]

    def place(self, row: int) -> Phrase:
        return Phrase("in row of sheet", row=self.lines[row])

    def batches(self) -> Iterator[Rows]:
        for start in range(0, self.table.num_rows, BATCH):
            yield Rows(self, self.table.slice(start, BATCH), start)
