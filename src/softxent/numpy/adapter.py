"""The adapter for NumPy: hands arrays, and whatever NumPy makes an array of, to the CPU kernel."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from softxent import checks
from softxent.kernels import _cpu
from softxent.memory import empty_like
from softxent.options import LossOptions
from softxent.results import Statistics

Array = NDArray[Any]
Normalize = Literal["softmax", "log_softmax", "logsumexp"]

FLOAT32, FLOAT64, INT64 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int64)
COMPUTED_IN: dict[np.dtype[Any], np.dtype[Any]] = {np.dtype(np.float16): FLOAT32, FLOAT32: FLOAT32, FLOAT64: FLOAT64}


def as_array(name: str, value: Any) -> Array:
    if type(value) is np.ndarray:
        return value
    if isinstance(value, np.ma.MaskedArray):
        raise checks.masked(name)
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as reason:  # PyTorch's, of a tensor elsewhere or that requires grad
        raise checks.no_array(name, reason) from None


def is_bfloat16(dtype: np.dtype[Any]) -> bool:
    return dtype.name == "bfloat16"  # of ml_dtypes, which NumPy knows only if the user imported it


def as_logits(logits: Any, name: str = "logits") -> Array:
    """The logits as an array that the kernel reads; integers become float64."""
    x = as_array(name, logits)
    if x.dtype in COMPUTED_IN:  # not if its bytes are swapped
        return x if x.flags.aligned else x.copy()
    if x.dtype.kind in "iu" or (x.size == 0 and not isinstance(logits, np.ndarray)):
        return x.astype(np.float64)
    if is_bfloat16(x.dtype):
        return x if x.flags.aligned else x.copy()
    if x.dtype.newbyteorder("=") in COMPUTED_IN:
        return x.astype(x.dtype.newbyteorder("="))
    raise checks.logits_dtype(str(x.dtype), names=checks.NAMES._replace(logits=name))


def raw(x: Array) -> Array:
    """The array as the kernel takes it: bfloat16 as its bits, since NumPy has no buffer of that format."""
    return x if x.dtype in COMPUTED_IN else x.view(np.uint16)


def computed_in(x: Array) -> np.dtype[Any]:
    return COMPUTED_IN.get(x.dtype, FLOAT32)


# softmax, log_softmax, logsumexp ----------------------------------------------------------------------------------


def normalize(op: Normalize, logits: Any, axis: int | tuple[int, ...] | None, temperature: float = 1.0) -> Any:
    x = as_logits(logits)
    if x.ndim == 0:
        checks.only_axis(() if axis is None else axis)
        return normalize_along(op, x.reshape(1), 0, temperature).reshape(())[()]
    if axis is None:
        axes = tuple(range(x.ndim))
    elif isinstance(axis, tuple):
        axes = checks.axes(axis, x.ndim)
    else:
        axes = (checks.axis(axis, x.ndim),)
    if len(axes) == 1:
        return normalize_along(op, x, axes[0], temperature)
    rows = [k for k in range(x.ndim) if k not in axes]
    moved = x.transpose(*rows, *axes)
    merged = moved.reshape(*(x.shape[k] for k in rows), -1 if x.size else int(np.prod([x.shape[k] for k in axes])))
    result = normalize_along(op, merged, merged.ndim - 1, temperature)
    return result if op == "logsumexp" else result.reshape(moved.shape).transpose(np.argsort([*rows, *axes]))


def normalize_along(op: Normalize, x: Array, axis: int, temperature: float) -> Any:
    checks.classes(x.shape, x.shape[axis])
    if op == "logsumexp":
        lse = np.empty(x.shape[:axis] + x.shape[axis + 1 :], x.dtype)
        _cpu.logsumexp(raw(x), axis, raw(lse))
        return lse[()]
    out = empty_like(x)
    (_cpu.softmax if op == "softmax" else _cpu.log_softmax)(raw(x), axis, temperature, raw(out))
    return out


# cross-entropy ----------------------------------------------------------------------------------------------------


def cross_entropy(logits: Any, target: Any, axis: int, options: LossOptions) -> Any:
    return loss_into(None, as_logits(logits), as_array("target", target), weight_of(options), axis, options)


def cross_entropy_and_grad(logits: Any, target: Any, axis: int, options: LossOptions, out: Any) -> tuple[Any, Array]:
    x, t, w = as_logits(logits), as_array("target", target), weight_of(options)
    if out is not None:
        checks.out(out, x, target=t, class_weight=w)
    if out is not None and out.flags.aligned:
        return loss_into(out, x, t, w, axis, options), out
    grad = empty_like(x)
    loss = loss_into(grad, x, t, w, axis, options)
    if out is None:
        return loss, grad
    out[...] = grad  # the kernel writes whole numbers only
    return loss, out


def weight_of(options: LossOptions) -> Array | None:
    return None if options.class_weight is None else as_array("class_weight", options.class_weight)


def loss_into(grad: Array | None, x: Array, t: Array, w: Array | None, axis: int, options: LossOptions) -> Any:
    """Returns the loss, and writes its gradient to `grad` if that is given."""
    shape, axis = x.shape, checks.axis(axis, x.ndim)
    rows, classes, wide = shape[:axis] + shape[axis + 1 :], shape[axis], computed_in(x)
    checks.classes(shape, classes)
    t = as_target(t, x, rows, wide)
    weight = None if w is None else checks.class_weight(w, classes, wide)
    loss = np.empty(rows if options.reduction == "none" else (), wide)
    to = None if grad is None else raw(grad)
    try:
        _cpu.cross_entropy(raw(x), t, axis, weight, to, loss, None, options.packed, False)
    except _cpu.BadTarget as bad:
        raise bad_target(t, bad.args[0], classes) from None
    return loss[()]


def as_target(t: Array, x: Array, rows: tuple[int, ...], wide: np.dtype[Any]) -> Array:
    """Class indices as int64, or probabilities in a dtype that the kernel reads."""
    if t.dtype == INT64 and t.shape == rows:
        flags = t.flags
        return t if flags.c_contiguous and flags.aligned else t.copy()
    kind = "f" if is_bfloat16(t.dtype) else t.dtype.kind
    if t.size == 0 and t.shape == rows:
        return np.empty(rows, np.int64)
    if kind not in "iuf" or (kind == "f" and t.shape == rows) or (kind in "iu" and t.shape == x.shape):
        raise checks.target_dtype(str(t.dtype))
    if kind in "iu" and t.shape == rows:
        if t.dtype.kind == "u" and t.dtype.itemsize == 8 and t.size and t.max() >= x.size:
            raise bad_target(t, int(t.argmax()), x.size // t.size)  # before it wraps round
        return np.ascontiguousarray(t, np.int64)
    if kind == "f" and t.shape == x.shape:
        checks.probabilities(t)
        t = t if t.flags.aligned else t.copy()
        return t if t.dtype in COMPUTED_IN else raw(t) if is_bfloat16(t.dtype) else t.astype(wide)
    raise checks.target_shape(t.shape, x.shape, rows)


def bad_target(t: Array, row: int, classes: int) -> Exception:
    return checks.target_value(t.flat[row], t.shape, row, classes)


# log_prob, statistics ---------------------------------------------------------------------------------------------


def log_prob(logits: Any, target: Any, axis: int, temperature: float, ignore_index: int) -> Any:
    x, t = as_logits(logits), as_array("target", target)
    axis = checks.axis(axis, x.ndim)
    if t.shape == x.shape:
        raise checks.not_indices(t)
    options = LossOptions(temperature=temperature, ignore_index=ignore_index, reduction="none")
    return 0 - loss_into(None, x, t, None, axis, options)


def statistics(logits: Any, target: Any, axis: int, temperature: float, ignore_index: int) -> Statistics:
    x, t = as_logits(logits), as_array("target", target)
    axis = checks.axis(axis, x.ndim)
    rows, classes, wide = x.shape[:axis] + x.shape[axis + 1 :], x.shape[axis], computed_in(x)
    checks.classes(x.shape, classes)
    if t.shape == x.shape:
        raise checks.not_indices(t)
    index = as_target(t, x, rows, wide)
    columns = Statistics(*(np.empty(rows, dtype) for dtype in (wide, wide, wide, INT64, INT64)))
    try:
        _cpu.statistics(raw(x), index, axis, ignore_index, temperature, *columns)
    except _cpu.BadTarget as bad:
        raise bad_target(t, bad.args[0], classes) from None
    return Statistics(*(a[()] for a in columns))


# sample -----------------------------------------------------------------------------------------------------------


def sample(logits: Any, axis: int, temperature: float, rng: Any, return_log_prob: bool) -> Any:
    x = as_logits(logits)
    axis = checks.axis(axis, x.ndim)
    rows = x.shape[:axis] + x.shape[axis + 1 :]
    checks.classes(x.shape, x.shape[axis])
    uniform = checks.generator(rng).random(rows)
    index = np.empty(rows, np.int64)
    log_prob = np.empty(rows, computed_in(x)) if return_log_prob else None
    bad = _cpu.sample(raw(x), axis, temperature, np.asarray(uniform), index, log_prob)
    if bad >= 0:
        row = np.moveaxis(x, axis, -1)[np.unravel_index(bad, rows)]
        raise checks.undrawable(bad, rows, temperature=temperature if np.isfinite(row.max()) else None)
    return index[()] if log_prob is None else (index[()], log_prob[()])
