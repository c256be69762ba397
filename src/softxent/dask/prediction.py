"""What a fitted model says of a dask collection, as dask arrays: computed when they are, partition by partition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dask.array as da
import dask.dataframe as dd
import numpy as np
from dask.delayed import delayed
from numpy.typing import NDArray

from softxent.dask.partitions import check_rows, is_dask, whole_rows
from softxent.dask.worker import one_thread

Array = NDArray[Any]


def lazily(model: Any, method: str, X: Any, shape: tuple[int, ...], dtype: Any) -> da.Array:
    """Returns model.method(X), each row of which has this shape."""
    meta, X = np.empty((0, *shape), dtype), whole_rows(X)
    model = delayed(model, pure=False, traverse=False)  # goes to each worker once
    if isinstance(X, dd.DataFrame):
        return X.map_partitions(block, model, method, meta, meta=meta)
    where = {"chunks": (X.chunks[0], shape)} if shape else {"drop_axis": 1}
    return X.map_blocks(block, model, method, meta, dtype=dtype, meta=meta, **where)


def block(X: Any, model: Any, method: str, empty: Array) -> Array:
    if not X.shape[0]:
        return empty
    with one_thread:
        return getattr(model, method)(X)


# Accuracy -------------------------------------------------------------------------------------------------------------


def accuracy(predicted: da.Array, y: Any, weight: Any) -> da.Array:
    """Returns Σ s of the rows that are right / Σ s."""
    parts = [predicted, like("y", y, predicted), None if weight is None else like("sample_weight", weight, predicted)]
    columns = [[None] * predicted.npartitions if a is None else np.ravel(a.to_delayed()).tolist() for a in parts]
    right = [delayed(hits, pure=False)(k, *part) for k, part in enumerate(zip(*columns, strict=True))]
    return da.from_delayed(delayed(ratio, pure=False)(right), (), np.float64, name=False)


def like(name: str, a: Any, predicted: da.Array) -> da.Array:
    """Returns y or sample_weight in the partitions of what was predicted."""
    known = not np.isnan(predicted.shape[0])
    if isinstance(a, dd.Series):
        a = a.to_dask_array()
    elif not is_dask(a):
        if not known:
            raise ValueError(
                f"{name} is in memory, but the lengths of X's partitions are unknown: "
                f"pass {name} as a dask array or series with the same partitions, or compute_chunk_sizes() of X first"
            )
        a = da.from_array(np.asarray(a), chunks=-1)
    if known and not np.isnan(a.shape[0]):
        check_rows(name, a, predicted.chunks[0])
        a = a.rechunk(predicted.chunks)
    if a.npartitions != predicted.npartitions:
        raise ValueError(f"{name} has {a.npartitions} partitions, but X has {predicted.npartitions}")
    return a


def hits(k: int, predicted: Array, y: Array, weight: Array | None) -> Array:
    for name, a in (("y", y), ("sample_weight", weight)):
        if a is not None and len(a) != len(predicted):
            raise ValueError(f"{name} has {len(a)} entries in partition {k}, but X has {len(predicted)} rows there")
    s = np.ones(len(predicted)) if weight is None else np.asarray(weight, np.float64)
    return np.array([s @ (predicted == np.asarray(y)), s.sum()])


def ratio(parts: Sequence[Array]) -> Array:
    right, total = np.sum(parts, axis=0)
    return np.asarray(right / total)
