"""What fit is given, as the solvers need it: rows of X with their targets and weights; and what can be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn import get_config
from sklearn.model_selection import train_test_split

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


# y ----------------------------------------------------------------------------------------------------------------


def labels(name: str, y: Any) -> None:
    """No label is missing: None, NaN, NaT or pandas.NA."""
    for row, label in enumerate(np.asarray(y).ravel() if np.asarray(y).dtype.kind in "OfmM" else ()):
        if is_missing(label):
            raise ValueError(f"{name}[{row}] is {label}, but every row must have a label: drop it, or give it one")


def is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA is neither equal to itself nor not
        return True
    except ValueError:  # an array, which is no label: check_classification_targets says so
        return False


def class_indices(name: str, y: Array, classes: Array) -> Array:
    """The place of each label in the sorted `classes`."""
    index = np.searchsorted(classes, y).clip(max=len(classes) - 1)
    unknown = classes[index] != y
    if unknown.any():
        row = int(np.argmax(unknown))
        raise ValueError(f"{name}[{row}] is {shown(y[row])}, but the classes are {listed(classes)}")
    return index.astype(np.int64, copy=False)


def probabilities(name: str, P: Any, rows: int, classes: int | None = None) -> Array:
    """Rows × classes of finite numbers ≥ 0 whose rows sum to 1."""
    p = np.asarray(P)
    p = p if p.dtype in (np.float32, np.float64) else p.astype(np.float64)
    if p.ndim != 2 or len(p) != rows or (classes is not None and p.shape[1] != classes):
        raise ValueError(f"{name} has shape {p.shape}, but must be {rows} rows × {classes or 'one column a class'}")
    if p.shape[1] < 2:
        raise ValueError(f"{name} has {p.shape[1]} column, but a classifier needs at least two classes")
    with np.errstate(invalid="ignore"):
        bad = ~((p >= 0) & (p < np.inf))
        off = ~(np.abs(p.sum(axis=1, dtype=np.float64) - 1) < 1e-3)  # room for numbers written with four digits
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"{name}[{row}, {column}] is {p[row, column]}, but must be a probability")
    if off.any():
        row = int(np.argmax(off))
        raise ValueError(
            f"{name}[{row}] sums to {p[row].sum():.6g}, but must sum to 1: "
            f"divide each row by its sum, and give the sums as sample_weight if they are counts"
        )
    return p


def two_classes(classes: Array) -> None:
    if len(classes) < 2:
        raise ValueError(f"y has one class, {listed(classes)}, but a classifier needs examples of at least two classes")


# X and the weights ------------------------------------------------------------------------------------------------


def finite(name: str, X: Any, columns: Any) -> None:
    """No NaN and no inf; the sum tells of a dense X without an array of its size."""
    values = X.data if sparse.issparse(X) else X
    with np.errstate(over="ignore", invalid="ignore"):
        if get_config()["assume_finite"] or not values.size or np.isfinite(values.sum()) or np.isfinite(values).all():
            return
    row, column = first_not_finite(X)
    value = X[row, column]
    where = f"{name}[{row}, {column}]" if columns is None else f"{name}[{row}, {columns[column]!r}]"
    said, remedy = ("NaN", "fill in what is missing") if np.isnan(value) else ("inf", "replace or clip it")
    code = ", for example with make_pipeline(SimpleImputer(), SoftmaxClassifier())" if said == "NaN" else ""
    raise ValueError(f"{where} is {said}, but must be finite: {remedy}{code}")


def first_not_finite(X: Any) -> tuple[int, int]:
    if sparse.issparse(X):
        flat = int(np.argmin(np.isfinite(X.data)))
        return int(np.searchsorted(X.indptr, flat, side="right")) - 1, int(X.indices[flat])
    row, column = np.argwhere(~np.isfinite(X))[0]
    return int(row), int(column)


def row_weights(weight: Any, rows: int, dtype: Any) -> Array | None:
    """One finite number ≥ 0 a row, not all 0; a single number is every row's."""
    if weight is None:
        return None
    s = np.asarray(weight, np.float64)
    s = np.full(rows, s[()]) if s.ndim == 0 else s
    if s.shape != (rows,):
        raise ValueError(f"sample_weight has shape {s.shape}, but X has {rows} rows: expected ({rows},)")
    valid = (s >= 0) & (s < np.inf)
    if not valid.all():
        row = int(np.argmin(valid))
        raise ValueError(f"sample_weight[{row}] is {s[row]}, but must be a finite number at least 0")
    if not s.any():
        raise ValueError("sample_weight is zero for every row, but must be above 0 for some")
    return s


def class_weights(given: Any, classes: Array, counts: Array) -> Array | None:
    """w of each class; "balanced" is Σ counts / (classes · count), which makes all classes weigh the same."""
    if given is None:
        return None
    if isinstance(given, str):
        return np.divide(counts.sum() / len(counts), counts, out=np.zeros(len(counts)), where=counts > 0)
    names = classes.tolist()
    unknown = [name for name in given if name not in names]
    if unknown and not set(names) <= set(given):  # a class that only a fold of cross-validation lacks is no mistake
        raise ValueError(f"class_weight names {unknown[0]!r}, but the classes are {listed(classes)}")
    return np.array([float(given.get(name, 1)) for name in names])


def shown(label: Any) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)


def listed(classes: Array) -> str:
    """'a', 'b', 'c', … and 97 more."""
    first = ", ".join(shown(c) for c in classes[:5])
    return first if len(classes) <= 5 else f"{first} and {len(classes) - 5} more"


# validation ---------------------------------------------------------------------------------------------------------


def split(examples: Examples, classes: Array, fraction: float, rng: np.random.RandomState) -> tuple[Examples, Examples]:
    """Training and validation set; of each class about the same fraction, and at least one row in each."""
    n, y = len(examples), examples.target if examples.target.ndim == 1 else None
    held_out = max(int(np.ceil(fraction * n)), len(classes) if y is not None else 1)
    if y is not None:
        counts = np.bincount(y, minlength=len(classes))
        if counts[alone := int(np.argmin(counts))] < 2:
            raise ValueError(
                f"class {shown(classes[alone])} has {counts[alone]} example, but early_stopping needs 2 of each class, "
                "to learn from one and validate with the other: add examples, drop the class, or pass X_val and y_val"
            )
        if n - held_out < len(classes):
            raise ValueError(
                f"validation_fraction is {fraction:g}, which leaves {n - held_out} of {n} rows to learn from, "
                f"but there are {len(classes)} classes: lower it, add examples, or pass X_val and y_val"
            )
    training, validation = train_test_split(np.arange(n), test_size=held_out, stratify=y, random_state=rng)
    return examples[training], examples[validation]
