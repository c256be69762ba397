"""How precise a number of a dtype can be: the tolerance of a right result, and distances in ULP."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

ACCUMULATED = 2.0**-23  # whatever the dtype, libraries add up in float32 at least
MOST = 1 / 16  # a result that is further off than this is wrong in any precision


class Precision(NamedTuple):
    name: str
    eps: float
    largest: float
    normal: float  # the smallest normal number
    smallest: float  # the smallest number above 0


def _of(dtype: type) -> Precision:
    info = np.finfo(dtype)
    return Precision(
        info.dtype.name, float(info.eps), float(info.max), float(info.smallest_normal), float(info.smallest_subnormal)
    )


PRECISIONS = {
    "float16": _of(np.float16),
    "bfloat16": Precision("bfloat16", 2.0**-7, 255 * 2.0**120, 2.0**-126, 2.0**-133),
    "float32": _of(np.float32),
    "float64": _of(np.float64),
}


def coarsest(*dtypes: str) -> Precision:
    """The one with the fewest digits; integers count as float64."""
    return max((PRECISIONS.get(name, PRECISIONS["float64"]) for name in dtypes), key=lambda precision: precision.eps)


def tolerance(precision: Precision, terms: int) -> float:
    """How far a right result may be off, relative to the size of what it is made of: a few roundings, and √terms more
    in a sum of so many."""
    return 8 * precision.eps + min(precision.eps, ACCUMULATED) * math.sqrt(terms)


def floor(precision: Precision) -> float:
    """How far it may be off near 0: some devices flush subnormal numbers, which float16 has too many of to do so."""
    return precision.normal if precision.name != "float16" else 4 * precision.smallest


def ulp(size: Array, precision: Precision) -> Array:
    """The distance of neighbouring numbers at this size."""
    with np.errstate(invalid="ignore"):
        exponent = np.floor(np.log2(np.maximum(size, precision.normal)))
    return np.asarray(precision.eps * 2.0**exponent)
