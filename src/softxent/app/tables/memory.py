"""Rows that a Python program has: DataFrames, dicts of columns, lists of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from softxent.app.tables.arrays import SparseRows
from softxent.app.tables.files import File
from softxent.app.tables.rows import BATCH, Rows, Source
from softxent.app.words import Mistake


def in_memory(name: str) -> File:
    return File(name, Path(name), name, again=False)


class Frame(Source):
    """A table in memory; rows that are no more than values have those of `columns`, in that order."""

    def __init__(self, name: str, given: Any, columns: Sequence[str]) -> None:
        super().__init__(in_memory(name))
        self.table = _table(name, given, columns)
        self.names = list(self.table.column_names)
        self.check_names()

    def batches(self) -> Iterator[Rows]:
        for start in range(0, self.table.num_rows, BATCH):
            yield Rows(self, self.table.slice(start, BATCH), start)


def _table(name: str, given: Any, columns: Sequence[str]) -> pa.Table:
    if isinstance(given, pa.Table):
        return given
    if hasattr(given, "columns") and hasattr(given, "iloc"):  # pandas
        return _of_columns({str(column): given.iloc[:, k] for k, column in enumerate(given.columns)}, given.columns)
    if hasattr(given, "to_arrow"):  # polars
        return given.to_arrow()
    if hasattr(given, "to_dict") and hasattr(given, "index"):  # a row of pandas
        given = given.to_dict()
    if isinstance(given, Mapping):
        lists = {str(key): value if _is_list(value) else [value] for key, value in given.items()}
        if len({len(values) for values in lists.values()}) > 1:
            raise Mistake("column lengths", name=name, got=", ".join(f"{k} {len(v)}" for k, v in lists.items()))
        return _of_columns(lists, lists)
    if not _is_list(given):
        raise Mistake("rows type", name=name, got=type(given).__name__)
    rows = [_row(name, row, columns) for row in given]
    names = list(dict.fromkeys(key for row in rows for key in row)) or list(columns)
    return _of_columns({key: [row.get(key) for row in rows] for key in names}, names)


def _is_list(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, str | bytes | Mapping)


def _row(name: str, row: Any, columns: Sequence[str]) -> dict[str, Any]:
    if hasattr(row, "to_dict"):
        row = row.to_dict()
    if isinstance(row, Mapping):
        return {str(key): value for key, value in row.items()}
    if not _is_list(row):
        raise Mistake("rows type", name=name, got=f"a list of {type(row).__name__}")
    if len(row) != len(columns):
        raise Mistake("row values", name=name, got=len(row), expected=len(columns), columns=", ".join(columns[:12]))
    return dict(zip(columns, row, strict=True))


def _of_columns(columns: Mapping[str, Any], given: Sequence[Any] | Mapping[str, Any]) -> pa.Table:
    arrays = [_array(values) for values in columns.values()]
    return pa.table(arrays, names=[str(name) for name in given]) if arrays else pa.table({})


def _array(values: Any) -> pa.Array:
    """Returns a column; one of mixed types as text, which is then read as a file's would be."""
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([None if value is None or value != value else str(value) for value in values], pa.string())


class Matrix(Source):
    """Rows of a model whose columns have no names: a SciPy sparse matrix or an array, without labels."""

    def __init__(self, name: str, X: Any) -> None:
        from sklearn.utils import check_array

        super().__init__(in_memory(name))
        self.X = check_array(X, accept_sparse="csr", dtype=np.float64, ensure_min_samples=0, input_name=name)

    def batches(self) -> Iterator[Rows]:
        for start in range(0, self.X.shape[0], BATCH):
            X = self.X[start : start + BATCH]
            yield SparseRows(self, X, np.full(X.shape[0], np.nan), start)

    def read(self) -> Rows:
        return SparseRows(self, self.X, np.full(self.X.shape[0], np.nan))
