"""From checked partitions to the rows to learn from: examples, the validation set held out, and their weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softxent.dask.cluster import Part, compute, placed, tasks
from softxent.dask.inspection import Found, of_classes
from softxent.dask.partitions import Given
from softxent.dask.rows import DaskRows, sample_of
from softxent.sklearn import inputs
from softxent.sklearn.examples import Examples, concatenated, two_of_each, weighing

Array = NDArray[Any]


class Prepared(NamedTuple):
    """The examples in their partitions."""

    parts: Sequence[Part]
    rows: Sequence[int]  # of each
    counts: Array  # rows of each class, partitions × classes
    sums: Array  # Σ_i s_i of each class
    weighted: bool


def prepared(client: Any, given: Given, found: Sequence[Found], classes: Array) -> Prepared:
    dtype = np.result_type(*(part.dtype for part in found if part.rows))
    parts = zip(given.X, given.y, given.weight or [None] * len(given.X), strict=True)
    made = placed(client, tasks("examples", examples, [(*part, classes, dtype) for part in parts]))
    rows, sums = [part.rows for part in found], of_classes(found, "sums", classes).sum(axis=0)
    return Prepared(made, rows, of_classes(found, "counts", classes), sums, given.weight is not None)


def examples(X: Any, y: Any, weight: Any, classes: Array, dtype: Any) -> Examples:
    target = inputs.class_indices("y", np.asarray(y), classes)
    return Examples(X.astype(dtype, copy=False), target, None if weight is None else np.asarray(weight, np.float64))


# A validation set -----------------------------------------------------------------------------------------------------


def hold_out(
    client: Any, given: Prepared, classes: Array, fraction: float, rng: np.random.RandomState
) -> tuple[Prepared, Examples]:
    """Splits off that fraction of each class, random rows of each partition, as a validation set."""
    two_of_each(given.counts.sum(axis=0).astype(int), classes)
    taken = shares(given.counts, fraction)
    of = [(part, taken[k], int(rng.randint(2**31 - 1))) for k, part in enumerate(given.parts)]
    validation = concatenated(compute(client, tasks("held", split, [(*those, True) for those in of])))
    parts = placed(client, tasks("kept", split, [(*those, False) for those in of]))
    counts = given.counts - taken
    sums = class_sums(client, parts, len(classes)) if given.weighted else counts.sum(axis=0)
    return Prepared(parts, counts.sum(axis=1).astype(int).tolist(), counts, sums, given.weighted), validation


def shares(counts: Array, fraction: float) -> Array:
    """Returns how many rows to take of each class in each partition: of all a fraction, rounded up, but never all."""
    n = counts.sum(axis=0)
    before = np.concatenate([np.zeros((1, len(n))), np.cumsum(counts, axis=0)])
    return np.diff(np.floor(np.minimum(np.ceil(fraction * n), n - 1) * before / n), axis=0).astype(int)


def split(part: Examples, taken: Array, seed: int, held: bool) -> Examples:
    """Returns the rows that are held out, or the others."""
    order = np.random.RandomState(seed).permutation(len(part))
    place = np.empty(len(part), int)  # of each row among those of its class
    for k in range(len(taken)):
        rows = order[part.target[order] == k]
        place[rows] = np.arange(len(rows))
    return part[np.flatnonzero((place < taken[part.target]) == held)]


# The weights ----------------------------------------------------------------------------------------------------------


def weighted(client: Any, given: Prepared, class_weight: Any, classes: Array) -> tuple[DaskRows, Array | None]:
    """Returns the rows and w, scaled as softxent.sklearn.examples.weighted does."""
    w, factor = weighing(class_weight, classes, given.sums, sum(given.rows))
    parts = given.parts
    if given.weighted:
        parts = placed(client, tasks("scaled", scaled, [(part, factor) for part in parts]))
    return DaskRows(client, parts, given.rows, sample_of(client, parts, given.rows)), w


def scaled(part: Examples, factor: float) -> Examples:
    s = np.asarray(part.weight)
    return Examples(part.X, part.target, (s * factor).astype(part.X.dtype))


def class_sums(client: Any, parts: Sequence[Part], classes: int) -> Array:
    """Returns Σ_i s_i of each class."""
    return np.sum(compute(client, tasks("weights", weights_of, [(part, classes) for part in parts])), axis=0)


def weights_of(part: Examples, classes: int) -> Array:
    return np.bincount(part.target, part.weight, classes)
