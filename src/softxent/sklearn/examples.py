"""Rows of X with their targets and weights, as the solvers need them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.model_selection import train_test_split

from softxent.sklearn.inputs import class_weights, label_text

Array = NDArray[Any]


@dataclass(frozen=True)
class Examples:
    """X, rows × features (dense or CSR); target, class indices or probabilities; weight s_i, None for all 1."""

    X: Any
    target: Array
    weight: Array | None = None

    def __len__(self) -> int:
        return int(self.X.shape[0])

    def __getitem__(self, rows: Any) -> Examples:
        return Examples(self.X[rows], self.target[rows], None if self.weight is None else self.weight[rows])


def concatenated(parts: Sequence[Examples]) -> Examples:
    """Returns the rows of all parts, in their order."""
    X = [part.X for part in parts]
    weights = [part.weight for part in parts if part.weight is not None]
    return Examples(
        sparse.vstack(X, format="csr") if sparse.issparse(X[0]) else np.concatenate(X),
        np.concatenate([part.target for part in parts]),
        np.concatenate(weights) if weights else None,
    )


def hold_out(
    examples: Examples, classes: Array, fraction: float, rng: np.random.RandomState
) -> tuple[Examples, Examples]:
    """Splits off a validation set with about that fraction of each class, and at least one row of it in both parts."""
    n, y = len(examples), examples.target if examples.target.ndim == 1 else None
    held_out = max(int(np.ceil(fraction * n)), len(classes) if y is not None else 1)
    if y is not None:
        counts = np.bincount(y, minlength=len(classes))
        two_of_each(counts, classes)
        if n - held_out < len(classes):
            raise ValueError(
                f"validation_fraction is {fraction:g}, which leaves {n - held_out} of {n} rows to learn from, "
                f"but there are {len(classes)} classes: lower it, add examples, or pass X_val and y_val"
            )
    training, validation = train_test_split(np.arange(n), test_size=held_out, stratify=y, random_state=rng)
    return examples[training], examples[validation]


def two_of_each(counts: Array, classes: Array) -> None:
    if counts[alone := int(np.argmin(counts))] < 2:
        raise ValueError(
            f"class {label_text(classes[alone])} has {counts[alone]} example, but early_stopping needs 2 of each "
            "class, to learn from one and validate with the other: add examples, drop the class, or pass X_val and "
            "y_val"
        )


def weighted(examples: Examples, class_weight: Any, classes: Array) -> tuple[Examples, Array | None]:
    """Returns the rows and w, scaled by one factor after which a row weighs s_i·Σ_j w_j·t_ij = 1 on average.

    So 1/n·Σ_i s_i·loss_i divides by what PyTorch's mean does.
    """
    s, t = examples.weight, examples.target
    if t.ndim == 1:
        counts = np.bincount(t, s, minlength=len(classes))
    else:
        counts = t.sum(axis=0, dtype=np.float64) if s is None else s @ t
    w, factor = weighing(class_weight, classes, counts, len(examples))
    return Examples(examples.X, t, None if s is None else (s * factor).astype(examples.X.dtype)), w


def weighing(class_weight: Any, classes: Array, counts: Array, rows: int) -> tuple[Array | None, float]:
    """Returns w, and the factor of s, from Σ_i s_i·t_ij of each class."""
    w = class_weights(class_weight, classes, counts)
    total = float(counts.sum() if w is None else w @ counts)
    if not total > 0:
        raise ValueError("class_weight times sample_weight is zero for every row, but must be above 0 for some")
    return (None, rows / total) if w is None else (w * (rows / total), 1.0)
