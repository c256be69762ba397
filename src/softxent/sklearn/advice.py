"""Says what to do about a fit that did not converge, with the line of code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Array = NDArray[Any]

FACTOR = 100  # scales that differ by less seldom keep a fit from converging
SAMPLE = 4096  # rows


def scales(X: Any) -> Array:
    """Returns the standard deviation of each column, or if X is sparse its root mean square (scaling keeps zeros)."""
    x = X[:: -(-X.shape[0] // SAMPLE)].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sqrt(np.asarray(x.power(2).mean(axis=0)).ravel()) if sparse.issparse(x) else x.std(axis=0)


def scale_advice(estimator: Any, X: Any) -> str:
    """Names the columns whose scales differ most, and the code that fixes it; empty if they hardly differ."""
    scale = scales(X)
    candidates = np.flatnonzero((scale > 0) & np.isfinite(scale))
    if not candidates.size:
        return ""
    large = int(candidates[scale[candidates].argmax()])
    small = int(candidates[scale[candidates].argmin()])
    if scale[large] < FACTOR * scale[small]:
        return ""
    scaler = "StandardScaler(with_mean=False)" if sparse.issparse(X) else "StandardScaler()"
    return (
        f"The columns of X differ in scale by a factor of {scale[large] / scale[small]:.2g}: "
        f"the standard deviation of {column(estimator, large)} is {scale[large]:.3g}, "
        f"of {column(estimator, small)} {scale[small]:.3g}. "
        f"Put them on one scale: make_pipeline({scaler}, {' '.join(repr(estimator).split())})"
    )


def column(estimator: Any, index: int) -> str:
    names = getattr(estimator, "feature_names_in_", None)
    return f"column {index}" if names is None else f"column {str(names[index])!r}"


def not_converged(estimator: Any, X: Any) -> str:
    what = f"max_iter={estimator.max_iter} was reached before the loss settled. "
    return what + (scale_advice(estimator, X) or "Raise max_iter, or alpha: with a larger one it settles sooner.")


def diverged(estimator: Any, X: Any) -> str:
    return "The loss is no longer finite. " + (
        scale_advice(estimator, X) or f"Lower learning_rate_init (now {estimator.learning_rate_init:g})."
    )


def imprecise(X: Any) -> str:
    """L-BFGS ends like this where rounding hides what a step gains."""
    remedy = "raise tol, or pass X as float64" if X.dtype == np.float32 else "raise tol"
    return f"No step lowers the loss any more, though its gradient is above tol: {X.dtype} resolves no less; {remedy}."
