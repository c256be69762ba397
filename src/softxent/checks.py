"""Every error that a user can cause, in one voice: the argument, what came, what was expected.

All are raised before anything is written. Those about logits, axis, target and weights take plain shapes and words, so
that each array library's room says the same; which words, and of which class its errors are, stands in its Names.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Names(NamedTuple):
    """How arguments are called in errors, and the classes of the errors, which are PyTorch's in softxent.torch."""

    logits: str = "logits"
    axis: str = "axis"
    weight: str = "class_weight"
    of_value: type[Exception] = ValueError
    of_type: type[Exception] = TypeError
    of_index: type[Exception] = ValueError


NAMES = Names()
LOGITS = "float16, bfloat16, float32, float64 or integers"
LEAST_DIVISOR = sys.float_info.min  # the inverse of a number much smaller overflows


# Options: each is returned as a plain Python number ------------------------------------------------------------------


def number(name: str, value: Any, expected: str, holds: Callable[[float], bool]) -> float:
    """The value as a float, if it is a finite real number or a 0-d array of one. torch.compile can trace this."""
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
    """A number above 0 whose inverse does not overflow."""
    x = positive(name, value)
    if x < LEAST_DIVISOR:
        raise ValueError(f"{name} is {shown(value)}, but must be at least {LEAST_DIVISOR}")
    return x


def integer(name: str, value: Any) -> int:
    """The value as an int, if it is an integer or a 0-d array of one; a bool is not, as in PyTorch."""
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


# Logits and their axis of classes -----------------------------------------------------------------------------------


def logits_dtype(dtype: str, expected: str = LOGITS, names: Names = NAMES) -> Exception:
    return names.of_type(f"{names.logits} is {dtype}, but must be {expected}")


def foreign(array: Any) -> TypeError:
    kind = f"{type(array).__module__.partition('.')[0]}.{type(array).__name__}"
    return TypeError(f"logits is a {kind}, but must be a NumPy array or a list of numbers; pass numpy.asarray(logits)")


def no_array(name: str, reason: Exception) -> Exception:
    """The error for a ragged list, or for another library's array that NumPy cannot read."""
    kind = TypeError if isinstance(reason, TypeError) else ValueError
    return kind(f"{name} is not an array of numbers: {reason}")


def masked(name: str) -> TypeError:
    return TypeError(f"{name} is a masked array, but must be one without a mask; pass {name}.filled(…)")


def single_number(names: Names = NAMES) -> Exception:
    return names.of_value(f"{names.logits} is a single number, but must have an axis of classes")


def axis(value: Any, ndim: int, names: Names = NAMES) -> int:
    """The axis, counted from the first."""
    if type(value) is int and -ndim <= value < ndim:
        return value % ndim
    k = integer(names.axis, value)
    if ndim == 0:
        raise single_number(names)
    if not -ndim <= k < ndim:
        raise names.of_index(f"{names.axis} is {k}, but {names.logits} has {ndim} axes ({-ndim} … {ndim - 1})")
    return k % ndim


def axes(value: tuple[Any, ...], ndim: int) -> tuple[int, ...]:
    result = tuple(axis(k, ndim) for k in value)
    if len(set(result)) < len(result):
        raise ValueError(f"axis is {value}, but names an axis twice")
    return result


def only_axis(value: Any, names: Names = NAMES) -> int:
    """The axis of a single number, which counts as a row of one class."""
    for k in value if isinstance(value, (tuple, list)) else [value]:
        if integer(names.axis, k) not in (-1, 0):
            raise names.of_index(f"{names.axis} is {k}, but {names.logits} is a single number (-1 … 0)")
    return 0


def classes(shape: tuple[int, ...], count: int, names: Names = NAMES) -> None:
    if count == 0:
        raise names.of_value(f"{names.logits} has shape {shape}, but must have at least 1 class")


# Target and class weights -------------------------------------------------------------------------------------------


def target_dtype(dtype: str, names: Names = NAMES) -> Exception:
    return names.of_type(
        f"target is {dtype}, but must be integers (class indices) or, in {of(names.logits)} shape, probabilities"
    )


def target_shape(
    target: tuple[int, ...], logits: tuple[int, ...], rows: tuple[int, ...], names: Names = NAMES
) -> Exception:
    return names.of_value(
        f"target has shape {target}, but {names.logits} has shape {logits}: "
        f"class indices must have shape {rows}, probabilities {logits}"
    )


def not_indices(target: Any, names: Names = NAMES) -> Exception:
    shape = tuple(target.shape)
    return names.of_value(f"target has shape {shape}, but must be class indices, without the axis of classes")


def target_value(value: Any, shape: tuple[int, ...], row: int, count: int, names: Names = NAMES) -> Exception:
    return names.of_index(
        f"{element('target', shape, row)} is {value}, but {names.logits} has {count} classes (0 … {count - 1})"
    )


def probability(value: Any, shape: tuple[int, ...], flat: int, names: Names = NAMES) -> Exception:
    return names.of_value(
        f"{element('target', shape, flat)} is {value}, but probabilities must be finite and at least 0"
    )


def weight_dtype(dtype: str, names: Names = NAMES) -> Exception:
    return names.of_type(f"{names.weight} is {dtype}, but must be numbers")


def weight_value(value: Any, index: int, within: str = "", names: Names = NAMES) -> Exception:
    return names.of_value(f"{names.weight}[{index}] is {value}, but must be a finite number at least 0{within}")


def probabilities(t: NDArray[Any]) -> None:
    """Checks that they are finite and ≥ 0; they need not sum to 1."""
    if not t.size or (t.min() >= 0 and t.max() < np.inf):
        return
    first = int(np.argmin((t >= 0) & (t < np.inf)))
    raise probability(t.flat[first], t.shape, first)


def class_weight(w: NDArray[Any], count: int, wide: np.dtype[Any]) -> NDArray[Any]:
    """The weights, checked, in the dtype of the computation."""
    if w.dtype.kind not in "iuf" and w.dtype.name != "bfloat16":
        raise weight_dtype(str(w.dtype))
    if w.shape != (count,):
        raise ValueError(f"class_weight has shape {w.shape}, but logits has {count} classes: expected ({count},)")
    with np.errstate(over="ignore"):
        converted = np.require(w, wide, ["C", "A"])
    valid = (converted >= 0) & (converted < np.inf)
    if not valid.all():
        first = int(np.argmin(valid))
        raise weight_value(w[first], first, f" in {wide}" if np.isfinite(w[first]) and w[first] > 0 else "")
    return converted


# A last layer ---------------------------------------------------------------------------------------------------------


def linear_shapes(names: Names = NAMES, **shapes: tuple[int, ...] | None) -> None:
    """Checks that inputs, weight, target and bias, in this order, fit together."""
    x, W, t, b = shapes.values()
    layer = x and W and len(W) == 2 and x[-1] == W[1] > 0 and W[0] > 0
    if x and W and layer and t in (x[:-1], (*x[:-1], W[0])) and b in (None, W[:1]):
        return
    of_inputs, of_weight, of_target, of_bias = shapes
    given = ", ".join(f"{name} has shape {shape}" for name, shape in shapes.items() if shape is not None)
    raise names.of_value(
        f"{given}, but these must fit together: {of_inputs} (…, D), {of_weight} (V, D), "
        f"{of_target} (…) or (…, V), {of_bias} (V,)"
    )


def truncation(top_k: Any, top_p: Any, min_p: Any) -> tuple[int | None, float | None, float | None]:
    if top_k is not None and integer("top_k", top_k) < 1:
        raise ValueError(f"top_k is {top_k}, but must be at least 1")
    if top_p is not None and share("top_p", top_p) == 0:
        raise ValueError(f"top_p is {top_p}, but must be above 0")
    p, least = (None if of is None else share(name, of) for name, of in (("top_p", top_p), ("min_p", min_p)))
    return None if top_k is None else integer("top_k", top_k), p, least


def memory_budget(value: Any, least: int) -> ValueError:
    return ValueError(f"memory_budget is {value!r}, but this call holds at least {least} bytes")


# The gradient's memory ----------------------------------------------------------------------------------------------


def out(to: Any, x: NDArray[Any], **others: NDArray[Any] | None) -> None:
    """Checks that `out` can hold the gradient of `x`: it is `x` itself, or shares no memory with it or the others."""
    if not isinstance(to, np.ndarray):
        raise TypeError(f"out is {type(to).__name__}, but must be a NumPy array")
    if isinstance(to, np.ma.MaskedArray):
        raise TypeError("out is a masked array, but must be one without a mask; pass out.data")
    if to.shape != x.shape:
        raise ValueError(f"out has shape {to.shape}, but logits has shape {x.shape}")
    if to.dtype != x.dtype:
        raise TypeError(f"out is {to.dtype}, but the gradient is {x.dtype}, as logits")
    if not to.flags.writeable:
        raise ValueError("out is read-only, but must be writable")
    if to is not x and view(to) != view(x) and overlap(to, x):
        raise ValueError("out overlaps logits, but must be logits itself or another array")
    for name, other in others.items():
        if other is not None and overlap(to, other):
            raise ValueError(f"out overlaps {name}, but must be another array")
    if overlaps_itself(to):
        raise ValueError("out overlaps itself, but must hold each number in memory of its own")


def view(a: NDArray[Any]) -> tuple[Any, ...]:
    """The address and the strides; those of axes of length 1 are never used."""
    return a.__array_interface__["data"][0], [step for step, size in zip(a.strides, a.shape, strict=True) if size > 1]


def overlap(a: NDArray[Any], b: NDArray[Any]) -> bool:
    if not np.may_share_memory(a, b):
        return False
    try:
        return np.shares_memory(a, b, max_work=1_000_000)  # type: ignore[arg-type]  # the stubs know 0 and −1 only
    except np.exceptions.TooHardError:
        return True


def overlaps_itself(a: NDArray[Any]) -> bool:
    """Whether two elements share memory, as in sliding windows or along an axis of stride 0.

    Two that do have different indices on some axis; moved along it together, one of them comes to index 0 there.
    """
    if a.flags.c_contiguous or a.flags.f_contiguous:
        return False
    along = (np.moveaxis(a, k, 0) for k in range(a.ndim))
    return any(overlap(b[:1], b[1:]) for b in along)


# Random draws -------------------------------------------------------------------------------------------------------


def generator(rng: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as reason:
        error = TypeError if isinstance(reason, TypeError) else ValueError
        raise error(f"rng is {shown(rng)}, but must be a numpy.random.Generator, a seed or None") from None


def undrawable(row: int, rows: tuple[int, ...], name: str = "logits", temperature: float | None = None) -> ValueError:
    """The error for a row without probabilities; `temperature` is given if its division makes them overflow."""
    reason = "it is all −inf, or has +inf or NaN"
    if temperature is not None:
        reason = f"divided by temperature {temperature} it overflows"
    return ValueError(f"{element(name, rows, row)} has no probabilities to draw from: {reason}")


# Words --------------------------------------------------------------------------------------------------------------


def element(name: str, shape: tuple[int, ...], flat: int) -> str:
    """target[17], target[1, 2], or target if it is a single number."""
    index = ", ".join(str(k) for k in np.unravel_index(flat, shape)) if shape else ""
    return f"{name}[{index}]" if index else name


def of(name: str) -> str:
    """input's, logits'."""
    return f"{name}'" if name.endswith("s") else f"{name}'s"
