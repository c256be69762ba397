"""Turns what a user passes to fit into arrays, or refuses it in one sentence that names the argument and the place."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn import get_config
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d, validate_data

Array = NDArray[Any]


# y ----------------------------------------------------------------------------------------------------------------


def labels(name: str, y: Any, of: str, rows: int) -> Array:
    """Returns y as an array: a label for each row of the X named `of`, none of them missing."""
    if y is None:
        raise ValueError(f"SoftmaxClassifier requires {name} to be passed, but the target {name} is None")
    if (row := first_missing(np.asarray(y).ravel())) is not None:
        raise no_label(f"{name}[{row}]", np.asarray(y).ravel()[row])
    y = column_or_1d(y, warn=True)
    if len(y) != rows:
        raise ValueError(f"{name} has {len(y)} labels, but {of} has {rows} rows")
    check_classification_targets(y)
    return y


def no_label(where: str, value: Any) -> ValueError:
    return ValueError(f"{where} is {value}, but every row must have a label: drop the row, or give it one")


def first_missing(y: Array) -> int | None:
    """Returns the row of the first None, NaN, inf, NaT or pandas.NA."""
    if y.dtype.kind == "O":
        return next((row for row, label in enumerate(y) if is_missing(label)), None)
    missing = ~np.isfinite(y) if y.dtype.kind in "fmM" else np.zeros(0, bool)
    return int(np.argmax(missing)) if missing.any() else None


def is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # pandas.NA: whether it is equal to itself is NA too
        return True
    except ValueError:  # an array, which is no label; check_classification_targets says so
        return False


def class_indices(name: str, y: Array, classes: Array) -> Array:
    """Returns the index of each label among the classes."""
    found, inverse = np.unique(y, return_inverse=True)
    place = {label: k for k, label in enumerate(classes.tolist())}
    index = np.array([place.get(label, -1) for label in found.tolist()], np.int64)[inverse]
    if len(index) and index.min() < 0:
        row = int(index.argmin())
        raise ValueError(f"{name}[{row}] is {label_text(y[row])}, but the classes are {class_list(classes)}")
    return index


def probabilities(name: str, P: Any, rows: int, classes: int | None = None) -> Array:
    """Returns P as an array, rows × classes, of finite numbers ≥ 0 whose rows sum to 1."""
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


def column_names(P: Any) -> list[Any]:
    """Returns the names of a DataFrame's columns, or their numbers."""
    return list(P.columns) if hasattr(P, "columns") else list(range(np.shape(P)[-1] if np.ndim(P) else 0))


def in_order_of(P: Any, P_val: Any) -> Any:
    """Returns P_val with its columns in the order of P's, if both are DataFrames."""
    if not (hasattr(P_val, "columns") and hasattr(P, "columns")):
        return P_val
    if sorted(map(str, P_val.columns)) != sorted(map(str, P.columns)):
        raise ValueError(f"P_val has the columns {list(P_val.columns)}, but P has {list(P.columns)}")
    return P_val[list(P.columns)]


def two_classes(classes: Array) -> Array:
    if len(classes) < 2:
        raise ValueError(
            f"y has one class, {class_list(classes)}, but a classifier needs examples of at least two classes"
        )
    return classes


# X and the weights ------------------------------------------------------------------------------------------------


def features(estimator: Any, name: str, X: Any, reset: bool) -> Any:
    """Returns X in float32 or float64, dense or CSR, without NaN or inf; `reset`: it is the first that is seen."""
    X = validate_data(
        estimator, X, reset=reset, accept_sparse="csr", dtype=(np.float64, np.float32), ensure_all_finite=False
    )
    finite(name, X, getattr(estimator, "feature_names_in_", None))
    return X


def finite(name: str, X: Any, columns: Any) -> None:
    """Raises at the first NaN or inf."""
    if (place := first_not_finite(X)) is not None:
        raise not_finite(entry(name, *place, columns), X[place])


def first_not_finite(X: Any) -> tuple[int, int] | None:
    """Returns row and column; the sum finds out whether there is one without an array of X's size."""
    values = X.data if sparse.issparse(X) else X
    with np.errstate(over="ignore", invalid="ignore"):
        if get_config()["assume_finite"] or not values.size or np.isfinite(values.sum()) or np.isfinite(values).all():
            return None
    if sparse.issparse(X):
        flat = int(np.argmin(np.isfinite(X.data)))
        return int(np.searchsorted(X.indptr, flat, side="right")) - 1, int(X.indices[flat])
    row, column = np.argwhere(~np.isfinite(X))[0]
    return int(row), int(column)


def entry(name: str, row: int, column: int, columns: Any) -> str:
    return f"{name}[{row}, {column}]" if columns is None else f"{name}[{row}, {columns[column]!r}]"


def not_finite(where: str, value: Any) -> ValueError:
    if np.isinf(value):
        return ValueError(f"{where} is {value}, but must be finite: replace or clip it")
    return ValueError(
        f"{where} is NaN, but must be finite: fill in what is missing, "
        "for example with make_pipeline(SimpleImputer(), SoftmaxClassifier())"
    )


def row_weights(weight: Any, rows: int) -> Array | None:
    """Returns a finite weight ≥ 0 for each row, not all 0; a single number holds for all."""
    if weight is None:
        return None
    s = np.asarray(weight, np.float64)
    s = np.full(rows, s[()]) if s.ndim == 0 else s
    if s.shape != (rows,):
        raise ValueError(f"sample_weight has shape {s.shape}, but X has {rows} rows: expected ({rows},)")
    if (row := first_bad_weight(s)) is not None:
        raise bad_weight(f"sample_weight[{row}]", s[row])
    if not s.any():
        raise no_weight()
    return s


def first_bad_weight(s: Array) -> int | None:
    valid = (s >= 0) & (s < np.inf)
    return None if valid.all() else int(np.argmin(valid))


def bad_weight(where: str, value: Any) -> ValueError:
    return ValueError(f"{where} is {value}, but must be a finite number at least 0")


def no_weight() -> ValueError:
    return ValueError("sample_weight is zero for every row, but must be above 0 for some")


def class_weights(given: Any, classes: Array, counts: Array) -> Array | None:
    """Returns w of each class; "balanced" is Σ counts / (classes · count), which makes all classes weigh the same."""
    if given is None:
        return None
    if isinstance(given, str):
        return np.divide(counts.sum() / len(counts), counts, out=np.zeros(len(counts)), where=counts > 0)
    names = classes.tolist()
    unknown = [name for name in given if name not in set(names)]
    if unknown and not set(names) <= set(given):  # a class that only a fold of cross-validation lacks is no mistake
        raise ValueError(f"class_weight names {unknown[0]!r}, but the classes are {class_list(classes)}")
    return np.array([float(given.get(name, 1)) for name in names])


def label_text(label: Any) -> str:
    return repr(label.item() if isinstance(label, np.generic) else label)


def class_list(classes: Array) -> str:
    """Lists the first classes: 'a', 'b', 'c', 'd', 'e' and 97 more."""
    first = ", ".join(label_text(c) for c in classes[:5])
    return first if len(classes) <= 5 else f"{first} and {len(classes) - 5} more"
