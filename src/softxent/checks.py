"""Every error that a user can cause, in one voice: the argument, what came, what was expected.

All are raised before anything is written.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOGITS = "float16, bfloat16, float32, float64 or integers"
LEAST_DIVISOR = sys.float_info.min  # the inverse of a number much smaller overflows


# Options: each is returned as a plain Python number ------------------------------------------------------------------


def number(name: str, value: Any, expected: str, holds: Callable[[float], bool]) -> float:
    """A finite real number, or a 0-d array of one, as a float. torch.compile traces this: no isfinite, no np.ndim."""
    plain = isinstance(value, (int, float))
    if not plain and getattr(value, "requires_grad", False):
        raise ValueError(f"{name} requires grad, but softxent has no derivative for it; pass {name}.detach()")
    try:
        single = plain or (not isinstance(value, (str, bytes)) and getattr(value, "ndim", 0) == 0)
        x = float(value) if single else math.nan
    except (TypeError, ValueError, OverflowError):
        x = math.nan
    if not (-math.inf < x < math.inf and holds(x)):
        raise ValueError(f"{name} is {shown(value)}, but must be a finite number {expected}")
    return x


def positive(name: str, value: Any) -> float:
    return number(name, value, "above 0", lambda x: x > 0)


def not_negative(name: str, value: Any) -> float:
    return number(name, value, "0 or more", lambda x: x >= 0)


def share(name: str, value: Any) -> float:
    return number(name, value, "between 0 and 1", lambda x: 0 <= x <= 1)


def divisor(name: str, value: Any) -> float:
    """Above 0, and not so small that 1 / x overflows."""
    x = positive(name, value)
    if x < LEAST_DIVISOR:
        raise ValueError(f"{name} is {shown(value)}, but must be at least {LEAST_DIVISOR}")
    return x


def integer(name: str, value: Any) -> int:
    """An integer, or a 0-d array of one, as an int; no bool, as in PyTorch."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {shown(value)}, but must be an integer") from None


def int64(name: str, value: Any) -> int:
    k = integer(name, value)
    if not -(2**63) <= k < 2**63:
        raise ValueError(f"{name} is {shown(value)}, but must be an int64")
    return k


def unknown_option(name: str, options: list[str]) -> TypeError:
    return TypeError(f"{name} is not an option; the options are {', '.join(options)}")


def one_of(allowed: tuple[str, ...]) -> Callable[[str, Any], str]:
    """A check that the value is one of these words."""

    def check(name: str, value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"{name} is {shown(value)}, but must be one of {', '.join(map(repr, allowed))}")
        return value

    return check


def shown(value: Any) -> str:
    if isinstance(value, int) and value.bit_length() > 128:  # repr refuses 4300 digits
        return f"an integer of {value.bit_length()} bits"
    return f"of shape {value.shape}" if isinstance(value, np.ndarray) and value.ndim else f"{value!r}"


def logits_dtype(x: NDArray[Any]) -> TypeError:
    return TypeError(f"logits is {x.dtype}, but must be {LOGITS}")


def foreign(array: Any) -> TypeError:
    kind = f"{type(array).__module__.partition('.')[0]}.{type(array).__name__}"
    return TypeError(f"logits is a {kind}, but must be a NumPy array or a list of numbers; pass numpy.asarray(logits)")


def ragged(name: str, reason: Exception) -> ValueError:
    return ValueError(f"{name} is not an array of numbers: {reason}")


def axis(value: Any, ndim: int) -> int:
    """The axis, counted from the first."""
    if type(value) is int and -ndim <= value < ndim:
        return value % ndim
    k = integer("axis", value)
    if not -ndim <= k < ndim:
        if ndim == 0:
            raise ValueError("logits is a single number, but must have an axis of classes")
        raise ValueError(f"axis is {k}, but logits has {ndim} axes ({-ndim} … {ndim - 1})")
    return k % ndim


def axes(value: tuple[Any, ...], ndim: int) -> tuple[int, ...]:
    result = tuple(axis(k, ndim) for k in value)
    if len(set(result)) < len(result):
        raise ValueError(f"axis is {value}, but names an axis twice")
    return result


def classes(x: NDArray[Any], count: int) -> None:
    if count == 0:
        raise ValueError(f"logits has shape {x.shape}, but must have at least 1 class")


def target_dtype(t: NDArray[Any]) -> TypeError:
    return TypeError(f"target is {t.dtype}, but must be integers (class indices) or, in logits' shape, probabilities")


def target_shape(t: NDArray[Any], x: NDArray[Any], rows: tuple[int, ...]) -> ValueError:
    return ValueError(
        f"target has shape {t.shape}, but logits has shape {x.shape}: "
        f"class indices must have shape {rows}, probabilities {x.shape}"
    )


def not_indices(t: Any) -> ValueError:
    return ValueError(f"target has shape {tuple(t.shape)}, but must be class indices, without the axis of classes")


def target_value(t: NDArray[Any], row: int, count: int) -> ValueError:
    return ValueError(
        f"{element('target', t.shape, row)} is {t.flat[row]}, but logits has {count} classes (0 … {count - 1})"
    )


def probabilities(t: NDArray[Any]) -> None:
    """Finite and ≥ 0; they need not sum to 1."""
    if not t.size or (t.min() >= 0 and t.max() < np.inf):
        return
    first = int(np.argmin((t >= 0) & (t < np.inf)))
    raise ValueError(
        f"{element('target', t.shape, first)} is {t.flat[first]}, but probabilities must be finite and at least 0"
    )


def class_weight(w: NDArray[Any], count: int, wide: np.dtype[Any]) -> NDArray[Any]:
    """The weights in the dtype of the computation."""
    if w.dtype.kind not in "iuf" and w.dtype.name != "bfloat16":
        raise TypeError(f"class_weight is {w.dtype}, but must be numbers")
    if w.shape != (count,):
        raise ValueError(f"class_weight has shape {w.shape}, but logits has {count} classes: expected ({count},)")
    w = np.require(w, wide, ["C", "A"])
    valid = (w >= 0) & (w < np.inf)
    if not valid.all():
        first = int(np.argmin(valid))
        raise ValueError(f"class_weight[{first}] is {w[first]}, but must be a finite number at least 0")
    return w


def out(to: Any, x: NDArray[Any], given: Any, target: NDArray[Any]) -> None:
    """`out` can hold the gradient of `x`, and is `given` itself or does not touch it."""
    if not isinstance(to, np.ndarray):
        raise TypeError(f"out is {type(to).__name__}, but must be a NumPy array")
    if to.shape != x.shape:
        raise ValueError(f"out has shape {to.shape}, but logits has shape {x.shape}")
    if to.dtype != x.dtype:
        raise TypeError(f"out is {to.dtype}, but the gradient is {x.dtype}, as logits")
    if not to.flags.writeable:
        raise ValueError("out is read-only, but must be writable")
    if to is not given and overlap(to, x) and not (isinstance(given, np.ndarray) and view(to) == view(given)):
        raise ValueError("out overlaps logits, but must be logits itself or another array")
    if overlap(to, target):
        raise ValueError("out overlaps target, but must be another array")


def view(a: NDArray[Any]) -> tuple[Any, ...]:
    return a.__array_interface__["data"], a.strides


def overlap(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=1_000_000)  # type: ignore[arg-type]  # the stubs know 0 and −1 only
    except np.exceptions.TooHardError:
        return True


def generator(rng: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as reason:
        error = TypeError if isinstance(reason, TypeError) else ValueError
        raise error(f"rng is {shown(rng)}, but must be a numpy.random.Generator, a seed or None") from None


def undrawable(row: int, rows: tuple[int, ...], name: str = "logits") -> ValueError:
    return ValueError(
        f"{element(name, rows, row)} has no probabilities to draw from: it is all −inf, or has +inf or NaN"
    )


def element(name: str, shape: tuple[int, ...], flat: int) -> str:
    """target[17], target[1, 2], or target if it is a single number."""
    index = ", ".join(str(k) for k in np.unravel_index(flat, shape)) if shape else ""
    return f"{name}[{index}]" if index else name
