"""The mathematics of softxent in float64 NumPy, equation by equation: slow, obvious, and the oracle of every test.

A row is x_1 … x_V, its V logits; classes are on the last axis, any axes before it are rows. Everything is in nats.

    z_j = c·tanh(x_j / c) / T              softcap c, temperature T
    p_j = exp(z_j) / Σ_k exp(z_k)          softmax
    q                                      the target distribution, one-hot or given, label smoothing ε mixed in
    a_j = w_j·q_j,  A = Σ_j a_j            class weights w
    loss = Σ_j a_j·(lse − z_j) + λ·lse²    cross-entropy, z-loss λ

Nothing here subtracts what cancels: the largest term of a sum is kept apart from the others, so that
log(1 + tiny) stays tiny and p − 1 is −(the others), also where float64 would round it to 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


# Softmax: the soft max --------------------------------------------------------------------------------------------


def scaled(logits: ArrayLike, temperature: float = 1.0, softcap: float | None = None) -> Array:
    """z = c·tanh(x / c) / T."""
    x = np.asarray(logits, np.float64)
    capped = x if softcap is None else np.where(np.isfinite(x), softcap * np.tanh(x / softcap), x)  # −inf stays a mask
    return capped / temperature


def scaled_slope(logits: ArrayLike, temperature: float = 1.0, softcap: float | None = None) -> Array:
    """∂z_j/∂x_j = (1 − tanh²(x_j / c)) / T."""
    x = np.asarray(logits, np.float64)
    if softcap is None:
        return np.full(x.shape, 1 / temperature)
    t = np.exp(-2 * np.abs(x / softcap))  # 1 − tanh² = 4t / (1 + t)², without the cancellation
    return 4 * t / (1 + t) ** 2 / temperature


def shifted(z: Array) -> tuple[Array, Array]:
    """m = max_j z_j and z − m, whose largest entry is 0: exp cannot overflow, and softmax does not change."""
    m = z.max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", over="ignore"):
        return m, z - m


def others(e: Array, index: NDArray[np.intp]) -> Array:
    """Σ_{j≠index} e_j, summed without e_index rather than subtracting it."""
    e = e.copy()
    np.put_along_axis(e, index, 0, axis=-1)
    return e.sum(axis=-1, keepdims=True)


def log_normalizer(z: Array) -> tuple[Array, Array]:
    """m and log Σ_j exp(z_j − m) = log1p(the others beside the largest); their sum is lse."""
    m, d = shifted(z)
    e = np.exp(d)
    with np.errstate(invalid="ignore"):
        return m, np.log1p(others(e, z.argmax(axis=-1, keepdims=True)))


def logsumexp(logits: ArrayLike) -> Array:
    """lse = m + log Σ_j exp(z_j − m); m itself of a row that is all −inf (log 0), or has +inf or NaN."""
    m, log_s = log_normalizer(scaled(logits))
    return np.where(np.isfinite(m), m + log_s, m)[..., 0]


def softmax(logits: ArrayLike, temperature: float = 1.0) -> Array:
    """p_j = exp(z_j − m) / Σ_k exp(z_k − m)."""
    m, d = shifted(scaled(logits, temperature))
    e = np.exp(d)
    with np.errstate(invalid="ignore"):
        return _nan_where_undefined(e / e.sum(axis=-1, keepdims=True), m)


def log_softmax(logits: ArrayLike, temperature: float = 1.0) -> Array:
    """log p_j = (z_j − m) − log Σ_k exp(z_k − m): a sum of two terms ≤ 0."""
    z = scaled(logits, temperature)
    m, log_s = log_normalizer(z)
    return _nan_where_undefined(shifted(z)[1] - log_s, m)


def _nan_where_undefined(value: Array, m: Array) -> Array:
    """A row that is all −inf, or has +inf or NaN, has no softmax: NaN, in that row alone."""
    return np.where(np.isfinite(m), value, np.nan)


# Its derivative: two cases ----------------------------------------------------------------------------------------


def softmax_jacobian(p: ArrayLike) -> Array:
    """∂p_j/∂z_i = p_j(1 − p_j) if i = j, and −p_j·p_i if not; 1 − p_j is summed from the others."""
    p = np.asarray(p, np.float64)
    jacobian = -np.outer(p, p)
    for j in range(len(p)):
        jacobian[j, j] = p[j] * np.delete(p, j).sum()
    return jacobian


def chain_rule(p: ArrayLike, target: int) -> Array:
    """∂(−ln p_y)/∂z_i = (−1/p_y)·∂p_y/∂z_i, row y of the Jacobian: −(1 − p_y) at i = y and p_i elsewhere, p − y."""
    p = np.asarray(p, np.float64)
    return -1 / p[target] * softmax_jacobian(p)[target]


# Cross-entropy and its gradient -----------------------------------------------------------------------------------


def target_weights(
    target: ArrayLike, shape: tuple[int, ...], class_weight: ArrayLike | None, label_smoothing: float
) -> Array:
    """a_j = w_j·q_j with q_j = (1 − ε)·t_j + ε / V; t is one-hot at y for a class-index target."""
    classes = shape[-1]
    t = np.asarray(target)
    if t.shape != shape:
        t = np.where(np.arange(classes) == t[..., None], 1.0, 0.0)
    w = np.ones(classes) if class_weight is None else np.asarray(class_weight, np.float64)
    return w * ((1 - label_smoothing) * t.astype(np.float64) + label_smoothing / classes)


def cross_entropy_and_grad(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    class_weight: ArrayLike | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    reduction: str = "mean",
    normalizer: float | None = None,
    round_z_to: Any = np.float64,
) -> tuple[Array, Array]:
    """Loss and ∂loss/∂logits; `round_z_to` is the dtype whose rounding of z the accuracy bound is stated for."""
    x, t = np.asarray(logits, np.float64), np.asarray(target)
    by_index = t.shape != x.shape
    ignored = (t == ignore_index if by_index else np.zeros(t.shape[:-1], bool))[..., None]
    y = np.where(ignored[..., 0], 0, t)[..., None] if by_index else None

    z = scaled(x, temperature, softcap).astype(round_z_to).astype(np.float64)
    a = target_weights(y[..., 0] if y is not None else t, x.shape, class_weight, label_smoothing)
    total = a.sum(axis=-1, keepdims=True)
    m, d = shifted(z)
    e = np.exp(d)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        log_s = log_normalizer(z)[1]
        lse = m + log_s
        gap = log_s - d  # lse − z_j, a sum of two terms ≥ 0
        losses = np.where(a != 0, a * gap, 0).sum(axis=-1, keepdims=True) + z_loss * lse * lse  # 0·(−inf) counts as 0

        # (A + 2λ·lse)·p_j − a_j; at the target as B·p_y − a_y·(1 − p_y), B = A − a_y + 2λ·lse: with no option p_y − 1
        p = e / e.sum(axis=-1, keepdims=True)
        grad_z = (total + 2 * z_loss * lse) * p - a
        if y is not None:
            a_y, p_y = np.take_along_axis(a, y, -1), np.take_along_axis(p, y, -1)
            b = others(a, y) + 2 * z_loss * lse
            np.put_along_axis(grad_z, y, b * p_y - a_y * others(e, y) / e.sum(axis=-1, keepdims=True), axis=-1)
        grad = np.where(np.isneginf(z), 0, grad_z) * scaled_slope(x, temperature, softcap)  # −inf logits are masks

    losses = np.where(ignored, 0, _nan_where_undefined(losses, m))
    grad = np.where(ignored, 0, _nan_where_undefined(grad, m))
    if reduction == "none":
        return losses[..., 0], grad
    if reduction == "sum":
        return losses.sum(), grad
    if normalizer is None:
        w = np.ones(x.shape[-1]) if class_weight is None else np.asarray(class_weight, np.float64)
        normalizer = losses.size if y is None else np.where(ignored, 0, w[y]).sum()  # Σ w_{y_i}, or the number of rows
    if normalizer == 0:  # nothing counted: 0, never NaN
        return np.zeros(()), np.zeros_like(grad)
    return losses.sum() / normalizer, grad / normalizer
