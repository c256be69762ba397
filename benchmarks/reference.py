"""Section 2 of the design in long double, for many rows at once: a hundred times as fast as mpmath, and nearly as good.

With the 64 bits of x86's long double each number is within 0.05 ULP of float64 (tests/test_benchmarks.py holds it
against mpmath). z − m is kept as a rounded difference and its error, as the kernel keeps it; 1 − p is summed from the
others. What the search finds with it is confirmed with mpmath.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.ulp import Exact, ulp_error

Array = NDArray[Any]
Long = np.longdouble
ENOUGH = np.finfo(Long).nmant >= 63  # not on macOS, nor with MSVC, where long double is double


def results(
    logits: Array,
    target: Array,
    *,
    class_weight: Any = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    normalizer: float = 1.0,
) -> dict[str, Array]:
    """Of rows × classes: loss, grad (of loss / normalizer), softmax, log_softmax, lse; and the terms that may cancel.

    `target` is a class a row. z is rounded to the dtype that is computed in, as the bound is stated for it.
    """
    wide = np.float64 if logits.dtype == np.float64 else np.float32
    z, slope = scaled(logits.astype(np.float64), temperature, softcap)
    rows, at = Softmax.of(z.astype(wide).astype(Long)), (np.arange(len(logits)), target)
    w = np.ones(z.shape[1], Long) if class_weight is None else np.asarray(class_weight, wide).astype(Long)
    q = np.full(z.shape, Long(label_smoothing) / z.shape[1])
    q[at] += 1 - Long(label_smoothing)
    a, lam, size = w * q, Long(z_loss), np.maximum(np.abs(rows.m), np.abs(rows.lse))
    A, p, one_minus_p = a.sum(axis=1, keepdims=True), rows.p, _without(rows.e, target)[:, 0] / rows.total[:, 0]

    grad = (A + 2 * lam * rows.lse) * p - a
    rest = _without(a, target)[:, 0] + 2 * lam * rows.lse[:, 0]  # B·p_y − a_y·(1 − p_y): with no option p_y − 1
    grad[at] = rest * p[at] - a[at] * one_minus_p

    # what may cancel: p − q of a soft target; with a z-loss lse itself, and what it adds
    terms = np.maximum(A * p, a) if label_smoothing else A * p * (lam > 0)
    if not label_smoothing:
        terms[at] = A[:, 0] * one_minus_p * (lam > 0)
    return {
        "loss": (a * rows.gap).sum(axis=1) + lam * rows.lse[:, 0] ** 2,
        "loss terms": (2 * lam * np.abs(rows.lse) * size)[:, 0],
        "grad": grad * slope / Long(normalizer),
        "grad terms": np.maximum(terms, 2 * lam * size * p) * slope / Long(normalizer),
        "softmax": p,
        "log_softmax": -rows.gap,
        "lse": rows.lse[:, 0],
        "lse terms": np.abs(rows.m[:, 0]),
    }


class Softmax(NamedTuple):
    """Of each row of z: its largest, exp(z − m) and their sum, lse − z, lse and p."""

    m: Array
    e: Array
    total: Array
    gap: Array
    lse: Array
    p: Array

    @staticmethod
    def of(z: Array) -> Softmax:
        top = z.argmax(axis=1)
        m = z[np.arange(len(z)), top][:, None]
        d = z - m
        e = np.exp(d) * (1 + rounded_off(z, m, d))
        others = _without(e, top)
        log_total = np.log1p(others)
        return Softmax(m, e, 1 + others, log_total - d, m + log_total, e / (1 + others))


def scaled(x: Array, temperature: float, softcap: float | None) -> tuple[Array, Array]:
    """z = c·tanh(x / c) / T and ∂z/∂x of float64 logits."""
    if softcap is None:
        return x / temperature, np.full(x.shape, 1 / Long(temperature))  # rounded once; of long double, twice
    c, size = Long(softcap), np.abs(x.astype(Long))
    part = np.fmod(size, c)  # exact: |x| = n·c + part, for exp multiplies what |x| / c is rounded by
    t = np.exp(-2 * np.rint((size - part) / c)) * np.exp(-2 * part / c)
    return c * np.tanh(x / c) / Long(temperature), 4 * t / (1 + t) ** 2 / Long(temperature)


def rounded_off(z: Array, m: Array, d: Array) -> Array:
    """What z − m was rounded by to give d (Knuth's TwoSum)."""
    back = d - z
    return (z - (d - back)) + (-m - back)


def _without(e: Array, index: Array) -> Array:
    """Σ_{j≠index} e_j."""
    e = e.copy()
    e[np.arange(len(e)), index] = 0
    return e.sum(axis=1, keepdims=True)


# The same from mpmath, and how far a result is from either ----------------------------------------------------------


def by_mpmath(logits: Array, target: Array, **options: Any) -> dict[str, Any]:
    """What `results` returns, to the last bit: a second for some thousand classes."""
    from tests.exact import exact_row

    rows = [exact_row(x, y, **options) for x, y in zip(logits, target, strict=True)]
    exact = {
        name: Exact(*(np.stack(parts) for parts in zip(*(getattr(row, name) for row in rows), strict=True)))
        for name in ("loss", "grad", "softmax", "log_softmax", "lse")
    }
    for name in ("loss", "lse"):
        exact[name] = Exact(*(part[:, 0] for part in exact[name]))
    return exact | {
        "loss terms": np.array([row.loss_terms for row in rows]),
        "grad terms": np.stack([row.grad_terms for row in rows]),
        "lse terms": np.abs([row.largest for row in rows]),
    }


QUANTITIES = ("loss", "target gradient", "other gradients", "softmax", "log_softmax", "lse")


def errors(got: dict[str, Array], exact: dict[str, Any], target: Array) -> dict[str, Array]:
    """The largest error of each quantity in each row, in ULP; lse in ULP of max(|m|, |lse|)."""
    row = np.arange(len(target))
    found = {
        name: ulp_error(got[name], exact[name], exact.get(f"{name} terms", 0.0))
        for name in ("loss", "grad", "softmax", "log_softmax", "lse")
        if name in got
    }
    grad = found.pop("grad")
    found["target gradient"] = grad[row, target]
    grad[row, target] = 0
    found["other gradients"] = grad
    return {name: found[name].reshape(len(target), -1).max(axis=1) for name in QUANTITIES if name in found}
