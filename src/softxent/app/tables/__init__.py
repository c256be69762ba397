"""Data as users have it, read in batches of rows: text, Parquet, Arrow, Excel, JSON, NumPy and svmlight, packed or not.

    source = open_file("penguins.csv")   open_files(["a.csv", "b.csv.gz"]), a folder, "-", "book.xlsx:sheet"
    source.names                         the columns, none for svmlight
    for rows in source.batches(): …      `Rows`, whose labels and features the columns of a model's schema describe

A file whose content is not what its ending says is refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from softxent.app.tables.content import kind_of
from softxent.app.tables.files import File, found, inputs, reading
from softxent.app.tables.rows import Rows, Source

__all__ = ["DIGITS", "Rows", "Source", "digits", "inputs", "open_file", "open_files"]

DIGITS = "digits"  # in place of a path


def open_file(name: str) -> Source:
    """Opens a file, a pipe, standard input (-), a sheet (FILE.xlsx:SHEET) or a folder of tables."""
    return open_files([name])


def open_files(names: Sequence[str]) -> Source:
    """Opens several as one table."""
    parts = [_opened(file) for name in names for file in found(name)]
    if len(parts) == 1:
        return parts[0]
    from softxent.app.tables.several import Several

    return Several(parts, names)


def digits() -> Source:
    """Returns scikit-learn's digits: 1797 images of 8 × 8 pixels, which need no download."""
    from softxent.app.tables.arrays import Digits

    return Digits(DIGITS)


def _opened(file: File) -> Source:
    with reading(file.name):
        kind = kind_of(file.name, file.path, file.ending)
        if kind == "CSV":
            from softxent.app.tables.text import Text

            return Text(file)
        if kind == "Excel":
            from softxent.app.tables.excel import Excel

            return Excel(file)
        if kind == "JSON":
            from softxent.app.tables.records import Json

            return Json(file)
        if kind in ("Parquet", "Arrow"):
            from softxent.app.tables.columnar import Arrow, Parquet

            return Parquet(file) if kind == "Parquet" else Arrow(file)
        from softxent.app.tables.arrays import NumPy, Svmlight

        return NumPy(file) if kind == "NumPy" else Svmlight(file)
