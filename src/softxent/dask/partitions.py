"""X, y and sample_weight as users have them in dask, as one task a partition."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import dask
import dask.array as da
import dask.dataframe as dd
import numpy as np
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data

from softxent.dask.cluster import Part, compute, placed, tasks
from softxent.sklearn import inputs

Lengths = Sequence[int]


class Given(NamedTuple):
    """What fit was given, in partitions: what is no task is an array."""

    X: Sequence[Part]
    y: Sequence[Any]
    weight: Sequence[Any] | None


def is_dask(a: Any) -> bool:
    return bool(dask.is_dask_collection(a))


def check_columns(estimator: Any, name: str, X: Any, reset: bool) -> None:
    """Notes the number and the names of the columns of X, or compares them with those that fit saw."""
    if not isinstance(X, da.Array | dd.DataFrame):
        raise TypeError(f"{name} is a dask {type(X).__name__}, but must be a dask array or dataframe")
    if X.ndim != 2 or (isinstance(X, da.Array) and np.isnan(X.shape[1])):
        raise ValueError(f"{name} has shape {X.shape}, but must be rows × features")
    empty = X._meta if isinstance(X, dd.DataFrame) else np.empty((0, X.shape[1]))
    validate_data(estimator, empty, reset=reset, skip_check_array=True)


def whole_rows(X: Any) -> Any:
    """Returns X with all columns in each partition."""
    return X if isinstance(X, dd.DataFrame) else X.rechunk({1: -1})


def float_type(X: Any) -> Any:
    """Returns the dtype that X is computed in: float32 if all of it is, or float64."""
    types = set(X.dtypes) if isinstance(X, dd.DataFrame) else {X.dtype}
    return np.float32 if types == {np.dtype(np.float32)} else np.float64


def given(client: Any, X: Any, y: Any, sample_weight: Any) -> Given:
    """Returns X, whose partitions are computed and stay in the cluster, and what belongs to each of them."""
    parts = placed(client, feature_tasks(X))
    rows = lengths(client, X, parts)
    if sample_weight is not None and not is_dask(sample_weight) and not np.ndim(sample_weight):
        inputs.row_weights(sample_weight, 1)
        sample_weight = None  # one for all changes nothing
    weight = None if sample_weight is None else beside("sample_weight", sample_weight, X, rows)
    return Given(parts, beside("y", y, X, rows), weight)


# X --------------------------------------------------------------------------------------------------------------------


def feature_tasks(X: Any) -> list[Part]:
    """Returns each partition as an array of floats, dense or CSR."""
    names = list(X.columns) if isinstance(X, dd.DataFrame) else None
    parts = np.ravel(whole_rows(X).to_delayed()).tolist()
    return tasks("features", features, [(part, k, X.shape[1], names) for k, part in enumerate(parts)])


def features(part: Any, k: int, width: int, names: list[Any] | None) -> Any:
    if names is not None and list(part.columns) != names:
        raise ValueError(f"X has the columns {names}, but its partition {k} has {list(part.columns)}")
    if part.shape[1] != width:
        raise ValueError(f"X has {width} columns, but its partition {k} has {part.shape[1]}")
    options = {"accept_sparse": "csr", "dtype": (np.float64, np.float32), "order": "C", "ensure_all_finite": False}
    try:
        return check_array(part, ensure_min_samples=0, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"X, partition {k}: {error}") from None


def lengths(client: Any, X: Any, parts: Sequence[Part]) -> list[int]:
    """Returns the number of rows of each partition."""
    if isinstance(X, da.Array) and not np.isnan(X.shape[0]):
        return list(X.chunks[0])
    return compute(client, tasks("rows", rows_of, [(part,) for part in parts]))


def rows_of(part: Any) -> int:
    return int(part.shape[0])


# y and sample_weight --------------------------------------------------------------------------------------------------


def beside(name: str, a: Any, X: Any, rows: Lengths) -> list[Any]:
    """Returns the part of each partition of X, of one number or label a row: tasks, or arrays."""
    if not is_dask(a):
        given = np.asarray(a)
        check_rows(name, given, rows)
        return [given[start:stop] for start, stop in pairwise(accumulate(rows, initial=0))]
    if not isinstance(a, da.Array | dd.Series):
        raise TypeError(
            f"{name} is a dask {type(a).__name__}, but must be an array or series, of NumPy, pandas or dask"
        )
    if isinstance(a, dd.Series):
        if isinstance(X, dd.DataFrame) and X.known_divisions and a.known_divisions and X.divisions != a.divisions:
            a = a.repartition(divisions=X.divisions, force=True)
    elif a.ndim != 1 or not np.isnan(a.shape[0]):
        check_rows(name, a, rows)
        a = a.rechunk((tuple(rows),))
    parts: list[Any] = np.ravel(a.to_delayed()).tolist()
    if len(parts) != len(rows):
        raise ValueError(f"{name} has {len(parts)} partitions, of unknown lengths, but X has {len(rows)}")
    return parts


def check_rows(name: str, a: Any, rows: Lengths) -> None:
    if a.ndim != 1:
        raise ValueError(f"{name} has shape {a.shape}, but must have one dimension")
    if len(a) != sum(rows):
        raise ValueError(f"{name} has {len(a)} {things(name)}, but X has {sum(rows)} rows")


def things(name: str) -> str:
    return "weights" if name == "sample_weight" else "labels"
