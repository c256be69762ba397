"""How far a float is from the real number it stands for, in units in the last place (ULP) of its dtype.

    |got − exact| / ulp(exact rounded to the dtype)

Below the smallest normal number the unit is the smallest subnormal. The exact value may come from mpmath: it is kept
as (high + low)·2^exponent, two float64 and an integer, so that neither its digits nor exp(−900) are lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

FORMATS = {"float64": (53, -1074), "float32": (24, -149), "float16": (11, -24), "bfloat16": (8, -133)}  # bits, emin


class Exact(NamedTuple):
    """Real numbers (high + low)·2^exponent with ½ ≤ |high| ≤ 1; 0, ±inf and NaN are in `high` alone."""

    high: NDArray[np.float64]
    low: NDArray[np.float64]
    exponent: NDArray[np.int64]

    @staticmethod
    def of(values: Iterable[Any] | ArrayLike) -> Exact:
        """From mpmath numbers, with 106 bits of each; or from floats, long doubles among them."""
        array = np.asarray(values)
        if array.dtype != object:
            mantissa, exponent = np.frexp(array.astype(np.promote_types(array.dtype, np.float64)))
            high = mantissa.astype(np.float64)
            low = np.where(np.isfinite(high), mantissa - np.where(np.isfinite(high), high, 0), 0).astype(np.float64)
            return Exact(high, low, exponent.astype(np.int64))
        parts = [_split(value) for value in array.ravel()]
        high, low, exponent = (np.reshape(part, array.shape) for part in zip(*parts, strict=True))
        return Exact(high, low, exponent.astype(np.int64))


def _split(value: Any) -> tuple[float, float, int]:
    import mpmath

    mantissa, exponent = mpmath.frexp(value)
    high = float(mantissa)
    return high, float(mantissa - high) if np.isfinite(high) else 0.0, exponent


def ulp_error(got: ArrayLike, exact: Exact | ArrayLike, beside: ArrayLike = 0.0) -> NDArray[np.float64]:
    """Elementwise error of `got` in ULP of its own dtype; of max(|exact|, |beside|) where two terms may cancel.

    >>> ulp_error(np.float32([1 + 2**-23, 0.0]), [1.0, 2.0**-149])
    array([1., 1.])
    """
    got = np.asarray(got)
    if not isinstance(exact, Exact):
        exact = Exact.of(exact)
    bits, smallest = FORMATS[got.dtype.name]
    size = np.maximum(_rounded_exponent(exact.high, exact.exponent, bits), _rounded_exponent(*_frexp(beside), bits))
    unit = np.maximum(size - bits, smallest)  # the ulp is 2^unit

    exponent = np.maximum(exact.exponent, smallest - 200)  # what is smaller still is 0 to any dtype
    shift = exact.exponent - exponent
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        difference = np.ldexp(got.astype(np.float64), -exponent) - np.ldexp(exact.high, shift)
        error = np.abs(np.ldexp(difference - np.ldexp(exact.low, shift), exponent - unit))
    same = (got == exact.high) & np.isinf(exact.high) | np.isnan(got) & np.isnan(exact.high)
    return np.where(same, 0.0, np.where(np.isnan(error), np.inf, error))  # NaN for a number is infinitely wrong


def _frexp(value: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    high, exponent = np.frexp(np.asarray(value, np.float64))
    return high, exponent.astype(np.int64)


def _rounded_exponent(high: NDArray[np.float64], exponent: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """The exponent after rounding to `bits`, which takes 0.111…1 up to the next power of two; 0 has none."""
    rounds_up = np.abs(high) >= 1 - 0.5 ** (bits + 1)
    return np.where(high == 0, -(2**30), exponent + rounds_up)
