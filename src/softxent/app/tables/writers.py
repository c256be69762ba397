"""Writes tables a batch at a time: CSV, TSV and Parquet, by the ending of the file's name."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

import pyarrow as pa
import pyarrow.parquet

from softxent.app.outputs import as_text
from softxent.app.words import Mistake

Write = Callable[[Sequence[Any]], None]  # of the columns of a batch, NumPy or Arrow arrays

DELIMITERS = {"": ",", ".csv": ",", ".txt": ",", ".tsv": "\t", ".tab": "\t"}
PARQUET = (".parquet", ".pq")


def check_ending(option: str, file: str) -> None:
    """Raises for an ending that says something else than what would be written."""
    if Path(file).suffix.lower() not in (*DELIMITERS, *PARQUET):
        raise Mistake("output ending", option=option, got=repr(file))


@contextmanager
def table_writer(stream: BinaryIO, file: str, names: Sequence[str]) -> Iterator[Write]:
    """Yields a function that writes a batch of rows; a file without any has its header all the same."""
    suffix = Path(file).suffix.lower()
    if suffix in PARQUET:
        with _parquet(stream, names) as write:
            yield write
    else:
        with as_text(stream) as text:
            yield text_writer(text, names, DELIMITERS.get(suffix, ","))


def text_writer(stream: TextIO, names: Sequence[str], delimiter: str = ",") -> Write:
    """Writes the header, and returns a function that writes a batch of rows below it."""
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n")
    writer.writerow(names)

    def write(columns: Sequence[Any]) -> None:
        texts = [[_text(value) for value in _arrow(column).to_pylist()] for column in columns]
        writer.writerows(zip(*texts, strict=True))

    return write


def _arrow(values: Any) -> Any:
    return values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values)


def _text(value: Any) -> str:
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


@contextmanager
def _parquet(stream: BinaryIO, names: Sequence[str]) -> Iterator[Write]:
    writer = None

    def write(columns: Sequence[Any]) -> None:
        nonlocal writer
        table = pa.table(list(map(_arrow, columns)), names=list(names))
        writer = writer or pa.parquet.ParquetWriter(stream, table.schema)
        writer.write_table(table.cast(writer.schema))

    yield write
    if writer is None:
        write([pa.array([], pa.string()) for _ in names])
    assert writer is not None
    writer.close()
