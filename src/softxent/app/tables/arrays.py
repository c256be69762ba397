"""Reads NumPy's .npz, svmlight, and scikit-learn's digits."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softxent.app.tables.columns import Column
from softxent.app.tables.files import File
from softxent.app.tables.kinds import Asked
from softxent.app.tables.rows import BATCH, Rows, Source
from softxent.app.words import Mistake


class _Arrays(Source):
    """Arrays of equal length, a row an example; one of N × … has a column for each entry of a row: X[0], X[1], …"""

    def __init__(self, file: File, arrays: dict[str, NDArray[Any]]) -> None:
        super().__init__(file)
        rows = {len(array) if array.ndim else 0 for array in arrays.values()}
        if len(rows) != 1:
            shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            raise Mistake("array lengths", got=repr(self.path), shapes=shapes)
        columns: dict[str, NDArray[Any]] = {}
        for name, array in arrays.items():
            flat = array.reshape(len(array), -1).T
            columns |= {name: flat[0]} if len(flat) == 1 else {f"{name}[{i}]": entry for i, entry in enumerate(flat)}
        self.table = pa.table({name: _arrow(values) for name, values in columns.items()})
        self.names = list(columns)
        self.shapes = {name: array.shape[1:] for name, array in arrays.items() if array.ndim > 1}

    def batches(self) -> Iterator[Rows]:
        for start in range(0, self.table.num_rows, BATCH):
            yield Rows(self, self.table.slice(start, BATCH), start)


def _arrow(values: NDArray[Any]) -> pa.Array:
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    return pa.array(values.tolist() if values.dtype.kind in "US" else np.ascontiguousarray(values))


class NumPy(_Arrays):
    def __init__(self, file: File) -> None:
        try:
            with open(file.path, "rb") as stream, np.load(stream, allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
        except Exception as error:  # zipfile, zlib, struct and NumPy each have their own for a damaged file
            raise Mistake("unreadable file", got=repr(file.name), why=" ".join(str(error).split())) from None
        super().__init__(file, arrays)
        self.about = "NumPy"


class Digits(_Arrays):
    def __init__(self, name: str) -> None:
        from sklearn.datasets import load_digits

        data = load_digits()
        super().__init__(
            File(name, Path(name), name),
            dict(zip(data.feature_names, data.data.T, strict=True)) | {"digit": data.target},
        )
        self.about = "scikit-learn"

    @property
    def names_to_open(self) -> list[str]:
        return []  # --data has them by default


class Svmlight(Source):
    """Lines `label index:value …`; the label is the target, and columns have no names."""

    def __init__(self, file: File) -> None:
        super().__init__(file)
        self.about = "svmlight"

    def read(self) -> Rows:
        with open(self.file.path, "rb") as stream:
            return self._rows(stream, 0)

    def batches(self) -> Iterator[Rows]:
        with open(self.file.path, "rb") as stream:
            start = 0
            while lines := list(islice(stream, BATCH)):
                rows = self._rows(io.BytesIO(b"".join(lines)), start)
                yield rows
                start += len(rows)

    def _rows(self, stream: Any, start: int) -> SparseRows:
        from sklearn.datasets import load_svmlight_file

        try:
            X, y = load_svmlight_file(stream, zero_based=True)  # or a batch without feature 0 would be shifted
        except ValueError as error:
            raise Mistake("unreadable file", got=repr(self.path), why=" ".join(str(error).split())) from None
        return SparseRows(self, X, y, start)


class SparseRows(Rows):
    """Sparse rows, X in CSR, and their labels y; all of X counts as one column."""

    def __init__(self, source: Source, X: Any, y: NDArray[Any], start: int = 0) -> None:
        self.source, self.X, self.y, self.start = source, X, y, start

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def joined(self, batches: Sequence[Rows]) -> SparseRows:
        sparse = [batch for batch in batches if isinstance(batch, SparseRows)]
        X, y = [batch.X for batch in sparse], np.concatenate([batch.y for batch in sparse])
        ends = np.cumsum([part.indptr[-1] for part in X])
        indptr = np.concatenate(
            [[0], *(part.indptr[1:] + end - part.indptr[-1] for part, end in zip(X, ends, strict=True))]
        )
        arrays = (np.concatenate([part.data for part in X]), np.concatenate([part.indices for part in X]), indptr)
        return SparseRows(self.source, type(X[0])(arrays, shape=(len(y), max(part.shape[1] for part in X))), y)

    def moved(self, source: Source, start: int) -> SparseRows:
        return SparseRows(source, self.X, self.y, start)

    def row(self, index: int) -> SparseRows:
        return SparseRows(self.source, self.X[index : index + 1], self.y[index : index + 1], self.start + index)

    def some(self, index: NDArray[np.int64]) -> SparseRows:
        return SparseRows(self.source, self.X[index], self.y[index])

    def infer(self, target: str, asked: Mapping[str, Asked]) -> list[Column]:
        return [Column("x", "sparse", distinct=int(self.X.shape[1]))]

    def labels(self, target: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        absent = np.isnan(self.y)
        known = np.where(absent, 0, self.y)
        return known.astype(np.int64 if (known == np.floor(known)).all() else np.str_), absent

    def features(self, columns: Sequence[Column]) -> Any:
        X, width = self.X, columns[0].distinct
        if X.shape[1] > width:
            raise Mistake("sparse width", got=repr(self.source.path), index=X.shape[1], features=width)
        if isinstance(X, np.ndarray):
            return np.pad(X, ((0, 0), (0, width - X.shape[1])))
        X.resize(X.shape[0], width)
        return X
