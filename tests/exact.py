"""One row of the specification in real numbers: mpmath, with so many digits that nothing has to be written carefully.

Independent of definition.py: 1 − p is a subtraction here, lse is log Σ exp. e^−745, the smallest double, beside 1 takes
324 digits; the exponentials themselves have 60.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from operator import mul
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
from mpmath import mpf

from benchmarks.ulp import FORMATS, Exact, ulp_error
from tests.cases import FLOAT64, PLAIN, computed_in, tolerance

DIGITS, EXP_DIGITS = 400, 60
TINY = -100_000  # 2^TINY: less than any dtype holds, whatever it is multiplied by
INF, NAN = mpf("inf"), mpf("nan")


@dataclass
class ExactRow:
    """What softxent should return for a row, and how large the terms are that may cancel in it (0: none may)."""

    p: list[Any]
    log_p: list[Any]
    lse: Exact
    loss: Exact
    grad: Exact
    largest: float  # of z, beside lse
    loss_terms: float
    grad_terms: np.ndarray
    loss_number: Any
    index: Any  # p and log_p are of the distinct classes only

    @cached_property
    def softmax(self) -> Exact:
        return numbers(self.p, self.index)

    @cached_property
    def log_softmax(self) -> Exact:
        return numbers(self.log_p, self.index)


def exact_row(
    logits: np.ndarray,
    target: Any,
    *,
    class_weight: Any = None,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    softcap: float | None = None,
    z_loss: float = 0.0,
    normalizer: float = 1.0,
    **_: Any,
) -> ExactRow:
    """A row of `logits`; `target` is a class or a row of probabilities. The gradient is that of loss / normalizer."""
    with mpmath.workdps(DIGITS):
        dtype, V = computed_in(logits.dtype), len(logits)
        by_index = np.ndim(target) == 0
        weight = np.ones(V) if class_weight is None else np.asarray(class_weight, dtype).astype(np.float64)
        t_float = (np.arange(V) == target).astype(np.float64) if by_index else np.asarray(target, np.float64)
        # classes that are alike are computed once, and counted
        columns = logits.astype(np.float64), weight, t_float
        code = np.zeros(V, np.int64)
        for column in columns:
            code = code * V + np.unique(column, return_inverse=True)[1]
        _, first, index, count = np.unique(code, return_index=True, return_inverse=True, return_counts=True)
        x, w, t = ([mpf(float(v)) for v in column[first]] for column in columns)
        n = [int(k) for k in count]
        lse = _undefined(x)
        if lse is not None:
            return _all_nan(V, lse)

        epsilon, lam, c, T = mpf(label_smoothing), mpf(z_loss), softcap and mpf(softcap), mpf(temperature)
        z = [_scaled(v, c, T, dtype) for v in x]
        a = [wj * ((1 - epsilon) * tj + epsilon / V) for wj, tj in zip(w, t, strict=True)]
        total = mpmath.fsum(map(mul, n, a))

        m = max(z)
        e = [_exp(v - m) for v in z]
        s = mpmath.fsum(map(mul, n, e))
        p = [v / s for v in e]
        lse = m + mpmath.log(s)
        gap = [lse - v for v in z]
        loss = mpmath.fsum(k * aj * g for k, aj, g in zip(n, a, gap, strict=True) if aj) + lam * lse**2
        factor = [_slope(v, c, T) / normalizer for v in x]
        grad = [((total + 2 * lam * lse) * pj - aj) * f for pj, aj, f in zip(p, a, factor, strict=True)]

        # what may cancel: p − q of a soft target; with z-loss, lse itself and what it adds; never p − 1 of a hard one
        size, soft = max(abs(m), abs(lse)), not by_index or label_smoothing > 0
        one_minus = [1 - pj if by_index and tj else pj for pj, tj in zip(p, t, strict=True)]
        terms = [
            max(2 * lam * size * pj, max(total * pj, aj) if soft else total * qj if lam else 0) * f
            for pj, qj, aj, f in zip(p, one_minus, a, factor, strict=True)
        ]
        return ExactRow(
            p=p,
            log_p=[-g for g in gap],
            lse=numbers([lse]),
            loss=numbers([loss]),
            grad=numbers(grad, index),
            largest=float(m),
            loss_terms=float(2 * lam * abs(lse) * size),
            grad_terms=np.array([float(v) for v in terms])[index],
            loss_number=loss,
            index=index,
        )


def _undefined(x: list[Any]) -> Any:
    """lse of a row that has no softmax, or None."""
    if any(map(mpmath.isnan, x)):
        return NAN
    return INF if INF in x else -INF if all(v == -INF for v in x) else None


def _all_nan(V: int, lse: Any) -> ExactRow:
    nan, nans = Exact.of([np.nan]), Exact.of(np.full(V, np.nan))
    return ExactRow([NAN], [NAN], Exact.of([float(lse)]), nan, nans, 0.0, 0.0, np.zeros(V), NAN, np.zeros(V, int))


def _scaled(x: Any, c: Any, T: Any, dtype: np.dtype[Any]) -> Any:
    """c·tanh(x / c) / T, rounded to the dtype that is computed in: the bound is relative to that."""
    if x == -INF or (c is None and T == 1):
        return x
    z = (x if c is None else c * mpmath.tanh(x / c)) / T
    with mpmath.workprec(53 if dtype == FLOAT64 else 24):
        return +z


def _slope(x: Any, c: Any, T: Any) -> Any:
    """∂z/∂x; 1 − tanh² = 1 / cosh². A mask has none."""
    return mpf(0) if x == -INF else 1 / T if c is None else mpmath.sech(x / c) ** 2 / T


def _exp(v: Any) -> Any:
    if v < TINY:
        return mpf(0)
    with mpmath.workdps(EXP_DIGITS):
        return mpmath.exp(v)


def numbers(values: list[Any], index: Any = slice(None)) -> Exact:
    known = np.array([bool(mpmath.isfinite(v)) for v in values])
    with mpmath.workdps(EXP_DIGITS):
        exact = Exact.of(
            np.array([+v if mpmath.isfinite(v) and mpmath.mag(v) > TINY else mpf(0) for v in values], object)
        )
    exact.high[~known] = [float(v) for v in values if not mpmath.isfinite(v)]
    return Exact(*(part[index] for part in exact))


# Of cases -----------------------------------------------------------------------------------------------------------


@cache
def exact_rows(case, dtype, setting=PLAIN, by_index=True):
    target, options = case.target() if by_index else case.probabilities(), setting.of(case.classes)
    return [exact_row(x, t, **options) for x, t in zip(case.logits_as(dtype), target, strict=True)]


@cache
def exact(quantity, *case):
    """A quantity of all rows, and the terms that may cancel in it."""
    rows = exact_rows(*case)
    numbers = Exact(*(np.stack(parts) for parts in zip(*(getattr(row, quantity) for row in rows), strict=True)))
    terms = {"lse": "largest", "loss": "loss_terms", "grad": "grad_terms"}.get(quantity)
    return numbers, np.stack([np.atleast_1d(getattr(row, terms)) for row in rows]) if terms else 0.0


def rounded_beyond_range(exact: Exact, dtype) -> Exact:
    """inf where the dtype has no number for it."""
    top = ml_dtypes.finfo(dtype).maxexp
    half_ulp = 0.5 ** (FORMATS[dtype.name][0] + 1)
    beyond = (exact.exponent > top) | (exact.exponent == top) & (np.abs(exact.high) >= 1 - half_ulp)
    high = np.where(beyond & np.isfinite(exact.high) & (exact.high != 0), np.copysign(np.inf, exact.high), exact.high)
    return Exact(high, np.where(np.isinf(high), 0, exact.low), exact.exponent)


def assert_within_bound(way, got, exact, terms=0.0, bound=None):
    got = np.reshape(got, exact.high.shape)
    exact = rounded_beyond_range(exact, got.dtype)
    error = ulp_error(got, exact, terms)
    worst = np.unravel_index(np.argmax(error), error.shape)
    value = np.ldexp(exact.high[worst], np.clip(exact.exponent[worst], -2000, 2000))
    assert error[worst] <= (bound or tolerance(got.dtype, got.shape[-1])), (
        f"{way}: {error[worst]:.2f} ULP at {worst}: {got[worst]!r}, exact {value!r}"
    )
