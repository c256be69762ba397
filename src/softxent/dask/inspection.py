"""The first pass over the partitions: rows, classes and their weights, and what is wrong with X, y or sample_weight."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets

from softxent.dask.cluster import compute, tasks
from softxent.dask.partitions import Given, things
from softxent.sklearn import inputs

Array = NDArray[Any]


class Found(NamedTuple):
    """What is known of a partition; a flaw is the first place in it, with what stands there."""

    rows: int
    labels: int
    weights: int | None
    dtype: Any
    entry: tuple[int, int, Any] | None = None  # NaN or inf in X: row, column, value
    label: tuple[int, Any] | None = None  # missing in y
    weight: tuple[int, Any] | None = None  # negative, or not finite
    odd: str = ""  # why y is not of classes
    classes: Array = np.empty(0)
    counts: Array = np.empty(0)  # rows of each of these classes
    sums: Array = np.empty(0)  # and their Σ_i s_i


def inspect(X: Any, y: Any, weight: Any) -> Found:
    y, s = np.asarray(y), None if weight is None else np.asarray(weight, np.float64)
    found = Found(X.shape[0], len(y), None if s is None else len(s), X.dtype)
    if not found.rows == len(y) == (found.rows if s is None else len(s)):
        return found
    if (place := inputs.first_not_finite(X)) is not None:
        return found._replace(entry=(*place, X[place]))
    if (row := inputs.first_missing(y)) is not None:
        return found._replace(label=(row, y[row]))
    if s is not None and (row := inputs.first_bad_weight(s)) is not None:
        return found._replace(weight=(row, s[row]))
    if not found.rows:
        return found
    try:
        check_classification_targets(y)
        classes, index = np.unique(y, return_inverse=True)
    except (TypeError, ValueError) as error:
        return found._replace(odd=str(error))
    return found._replace(classes=classes, counts=np.bincount(index), sums=np.bincount(index, s))


def first_pass(client: Any, given: Given, columns: Any) -> list[Found]:
    """Returns what is in each partition; raises at the first flaw.

    columns  their names, None if they have none
    """
    parts = zip(given.X, given.y, given.weight or [None] * len(given.X), strict=True)
    found = compute(client, tasks("inspect", inspect, parts))
    check(found, columns)
    return found


def check(found: Sequence[Found], columns: Any) -> None:
    """Raises at the first flaw: of X, of y, of sample_weight, in this order, as in memory."""
    starts = list(accumulate((part.rows for part in found), initial=0))
    if not starts[-1]:
        raise ValueError("X has 0 rows, but a classifier needs examples of at least two classes")
    for name, field in (("y", "labels"), ("sample_weight", "weights")):
        for k, part in enumerate(found):
            there = getattr(part, field)
            if there is not None and there != part.rows:
                raise ValueError(
                    f"{name} has {there} {things(name)} in partition {k}, but X has {part.rows} rows there"
                )
    for k, (part, start) in enumerate(zip(found, starts, strict=False)):
        if part.entry is not None:
            row, column, value = part.entry
            raise inputs.not_finite(inputs.entry("X", start + row, column, columns) + inside(k, row), value)
    for k, (part, start) in enumerate(zip(found, starts, strict=False)):
        if part.label is not None:
            row, value = part.label
            raise inputs.no_label(f"y[{start + row}]{inside(k, row)}", value)
    for k, part in enumerate(found):
        if part.odd:
            raise ValueError(f"y, partition {k}: {part.odd}")
    for k, (part, start) in enumerate(zip(found, starts, strict=False)):
        if part.weight is not None:
            row, value = part.weight
            raise inputs.bad_weight(f"sample_weight[{start + row}]{inside(k, row)}", value)
    if not any(part.sums.any() for part in found):
        raise inputs.no_weight()


def inside(k: int, row: int) -> str:
    return f", row {row} of partition {k},"


def classes_of(found: Sequence[Found]) -> Array:
    """Returns the classes of all partitions, in order."""
    filled = [(k, part.classes) for k, part in enumerate(found) if part.rows]
    first, classes = filled[0]
    for k, others in filled:
        if isinstance(others[0], str) != isinstance(classes[0], str):
            raise ValueError(
                f"y has the label {inputs.label_text(classes[0])} in partition {first}, but "
                f"{inputs.label_text(others[0])} in partition {k}: expected all text or all numbers"
            )
    return np.unique(np.concatenate([classes for _, classes in filled]))


def of_classes(found: Sequence[Found], field: str, classes: Array) -> Array:
    """Returns `counts` or `sums`, partitions × classes."""
    table = np.zeros((len(found), len(classes)))
    for part, row in zip(found, table, strict=True):
        row[inputs.class_indices("y", part.classes, classes)] = getattr(part, field)
    return table
