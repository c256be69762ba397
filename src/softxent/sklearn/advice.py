"""Says what to do about a fit that did not converge or has learned nothing, with the line of code."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from softxent.functional import log_softmax
from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Network

Array = NDArray[Any]

FACTOR = 100  # largest scale over the median one: less seldom keeps Adam and SGD from converging
ROUNDING = 1e-12  # a column whose scale is a smaller part of its values is constant, but for rounding
LEARNT = 0.99  # of the loss of class frequencies: a network that is no better has learned nothing
LARGE_ALPHA = 1.0  # with standardised columns a penalty of this size outweighs the loss


def scales(X: Any) -> Array:
    """Returns the standard deviation of each column, or if X is sparse its root mean square (scaling keeps zeros)."""
    x = X.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if sparse.issparse(x):
            return np.sqrt(np.asarray(x.power(2).mean(axis=0)).ravel())
        scale = x.std(axis=0)
        return np.where(scale > ROUNDING * np.abs(x).max(axis=0), scale, 0.0)


def scale_advice(estimator: Any, X: Any) -> str:
    """Names the columns whose scales differ most, and the code that fixes it; empty where that would change nothing.

    L-BFGS standardises the columns itself; few columns of small scale among many of a larger one slow nothing down.
    """
    if not estimator.hidden_layer_sizes and estimator.solver in ("auto", "lbfgs"):
        return ""
    scale = scales(X)
    candidates = np.flatnonzero((scale > 0) & np.isfinite(scale))
    if not candidates.size:
        return ""
    large = int(candidates[scale[candidates].argmax()])
    small = int(candidates[scale[candidates].argmin()])
    if scale[large] < FACTOR * np.quantile(scale[candidates], 0.5, method="lower"):
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
    if not estimator.hidden_layer_sizes and estimator.solver in ("auto", "lbfgs"):
        largest = abs(X).max()
        return f"The loss is not finite: X has entries as large as {largest:.3g}. Divide its columns by their largest."
    return "The loss is no longer finite. " + (scale_advice(estimator, X) or lower_rate(estimator))


def lower_rate(estimator: Any) -> str:
    return f"Lower learning_rate_init (now {estimator.learning_rate_init:g})."


def lower_penalty(estimator: Any) -> str:
    return f"Lower alpha (now {estimator.alpha:g})." if estimator.alpha >= LARGE_ALPHA else ""


def learned_nothing(estimator: Any, network: Network, sample: Examples, loss: Loss) -> str:
    """Says so if the loss of training rows is not below that of the class frequencies; empty if it is."""
    one_hot = sample.target.ndim == 1
    q = np.eye(len(estimator.classes_))[sample.target] if one_hot else sample.target.astype(np.float64)
    s = np.ones(len(sample)) if sample.weight is None else sample.weight.astype(np.float64)
    if loss.each.class_weight is not None:
        s = s * (q @ loss.each.class_weight)
    if not s.any():
        return ""
    share = s @ q / s.sum()
    log_p = np.concatenate([log_softmax(logits) for logits in network.logits(sample.X)])
    ours = -float(s @ np.einsum("ij,ij->i", q, log_p) / s.sum())
    baseline = -float(np.sum(share * np.log(share, where=share > 0, out=np.zeros_like(share))))
    if ours < LEARNT * baseline:
        return ""
    right = np.average(log_p.argmax(axis=1) == q.argmax(axis=1), weights=s)
    what = "network's probabilities are worth" if right > share.max() else "network has learned"
    return (
        f"The {what} nothing: its log-loss on the rows that trained it is {ours:.4g}, that of class "
        f"frequencies alone {baseline:.4g}; it is right in {right:.1%}. "
    ) + (scale_advice(estimator, sample.X) or lower_penalty(estimator) or lower_rate(estimator))


def imprecise(X: Any) -> str:
    """L-BFGS ends like this where rounding hides what a step gains."""
    remedy = "raise tol, or pass X as float64" if X.dtype == np.float32 else "raise tol"
    return f"No step lowers the loss any more, though its gradient is above tol: {X.dtype} resolves no less; {remedy}."
