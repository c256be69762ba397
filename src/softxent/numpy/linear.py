"""The last layer and its loss, of NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent import checks
from softxent.kernels import _cpu
from softxent.linear import Gradients, Layer, Truncation, loss_and_gradients, losses, per_row
from softxent.linear.plan import BLOCK, SMALL
from softxent.numpy.adapter import (
    FLOAT32,
    FLOAT64,
    INT64,
    as_array,
    as_logits,
    as_target,
    bad_target,
    computed_in,
    is_bfloat16,
    loss_into,
    raw,
    weight_of,
)
from softxent.options import LossOptions
from softxent.results import Statistics

Array = NDArray[Any]


class Products:
    """NumPy for one call, computed in `dtype`; softxent.linear.layer.Library says what each does."""

    xp = np
    waits, sorted = True, per_row.SORTED

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = self.multiplied = dtype
        self.block = np.empty(0, dtype)

    def empty(self, *shape: int) -> Array:
        return np.empty(shape, self.dtype)

    def full(self, shape: tuple[int, ...], value: float) -> Array:
        return np.full(shape, value, FLOAT64)

    def cast(self, a: Array) -> Array:
        return np.asarray(a, self.dtype)

    def wide(self, a: Array) -> Array:
        return np.asarray(a, FLOAT64)

    def like(self, a: Array, other: Array) -> Array:
        return a.astype(other.dtype, copy=False)

    def sum_for(self, a: Array) -> Array:
        return a if a.dtype == self.dtype else np.empty(a.shape, self.dtype)

    def operand(self, a: Array) -> Array:
        return np.asarray(a, self.dtype)

    def operands(self, rows: int, classes: int) -> None:
        return None

    def times(self, a: Array, b: Array) -> Array:
        return a @ b

    def set_product(self, to: Array, where: Any, a: Array, b: Array) -> None:
        to[where] = a @ b

    def product(self, a: Array, b: Array, out: Array) -> None:
        np.matmul(a, b, out=out)

    def add_product(self, a: Array, b: Array, to: Array, first: bool) -> None:
        """In blocks: NumPy has no product that adds, and BLAS packs as much of what it reads as it writes rows."""
        columns = to.shape[1]
        rows = max(1, min(len(to), BLOCK // (columns * self.dtype.itemsize)))
        if not first and self.block.size != rows * columns:
            self.block = np.empty(rows * columns, self.dtype)
        for start in range(0, len(to), rows):
            part = to[start : start + rows]
            if first:
                np.matmul(a[start : start + rows], b, out=part)
            else:
                part += np.matmul(a[start : start + rows], b, out=self.block[: part.size].reshape(part.shape))

    def column_sums(self, a: Array) -> Array:
        return np.ones(len(a), self.dtype) @ a

    def indices(self, mask: Array) -> Array:
        return np.flatnonzero(mask)

    def mask(self, z: Array, where: Array) -> None:
        np.copyto(z, -np.inf, where=where)

    def pick(self, a: Array, j: Array) -> Array:
        return np.take_along_axis(a, j[:, None], 1)[:, 0]

    def cross_entropy(
        self,
        z: Array,
        target: Array,
        weight: Array | None,
        options: LossOptions,
        out: Array | None,
        upstream: Array | None,
    ) -> Array:
        result = np.empty(len(z), FLOAT64)
        target = raw(np.ascontiguousarray(target)) if target.ndim == 2 else np.ascontiguousarray(target)
        _cpu.cross_entropy(z, target, 1, weight, out, result, upstream, options.packed, False)
        return result

    def logsumexp(self, z: Array) -> Array:
        lse = np.empty(len(z), self.dtype)
        _cpu.logsumexp(z, 1, lse)
        return lse.astype(FLOAT64)

    def softmax(self, z: Array) -> None:
        _cpu.softmax(z, 1, 1.0, z)

    def statistics(self, z: Array, target: Array, temperature: float = 1.0) -> Statistics:
        columns = Statistics(*(np.empty(len(z), kind) for kind in (self.dtype, self.dtype, self.dtype, INT64, INT64)))
        _cpu.statistics(z, target, 1, -1, temperature, *columns)
        return columns

    def sample(self, z: Array, uniform: Array) -> tuple[Array, int]:
        index = np.zeros(len(z), INT64)
        return index, _cpu.sample(z, 1, 1.0, uniform, index, None)

    def larger(self, z: Array, than: Array) -> Array:
        return np.array([np.count_nonzero(row > least) for row, least in zip(z, than, strict=True)], INT64)

    def largest(self, z: Array, k: int) -> Array:
        if k == 1:
            return z.max(1, keepdims=True)
        return np.sort(np.partition(z, z.shape[1] - k, axis=1)[:, -k:], axis=1)[:, ::-1]


# The functions --------------------------------------------------------------------------------------------------------


def cross_entropy(inputs: Any, weight: Any, target: Any, bias: Any, options: LossOptions, budget: Any) -> Any:
    layer, rows, dtype = layer_of(*arrays_of(inputs, weight, target, bias), options)
    found = quietly(losses, layer, layer.plan(False, budget))
    return reduced(layer, found, rows, dtype)


def cross_entropy_and_grad(
    inputs: Any, weight: Any, target: Any, bias: Any, options: LossOptions, budget: Any
) -> tuple[Any, tuple[Array, Array, Array | None]]:
    arrays = arrays_of(inputs, weight, target, bias)
    if is_small(*arrays, options, budget):
        return two_steps(*arrays, options)
    layer, rows, dtype = layer_of(*arrays, options)
    plan = layer.plan(True, budget)
    to = Gradients(np.empty_like(layer.x), np.empty_like(layer.W), None if bias is None else np.empty_like(layer.bias))
    found = quietly(loss_and_gradients, layer, plan, 1 / (layer.divisor() or np.inf), to)
    return reduced(layer, found, rows, dtype), (to.x.reshape(*rows, layer.x.shape[1]), to.W, to.bias)


def log_prob(inputs: Any, weight: Any, target: Any, bias: Any, options: LossOptions, budget: Any) -> Any:
    return 0 - cross_entropy(inputs, weight, indices("target", target), bias, options, budget)


def statistics(inputs: Any, weight: Any, target: Any, bias: Any, options: LossOptions, budget: Any) -> Statistics:
    layer, rows, dtype = layer_of(*arrays_of(inputs, weight, indices("target", target), bias), options)
    found = quietly(per_row.statistics, layer, layer.plan(False, budget, copies=0))
    floats = [column.astype(dtype).reshape(rows)[()] for column in found[:3]]
    return Statistics(*floats, *(column.reshape(rows)[()] for column in found[3:]))


def sample(
    inputs: Any, weight: Any, bias: Any, options: LossOptions, truncation: Truncation, rng: Any, budget: Any
) -> tuple[Any, Any]:
    x = as_logits(inputs, "inputs")
    layer, rows, dtype = layer_of(*arrays_of(x, weight, np.zeros(x.shape[:-1], INT64), bias), options)
    draw = checks.generator(rng).random
    plan = layer.plan(False, budget, **truncation.held(options, layer.classes))
    index, found, bad = quietly(per_row.sample, layer, plan, draw, truncation)
    if bad >= 0:
        raise checks.undrawable(bad, rows)
    return index.reshape(rows)[()], found.astype(dtype).reshape(rows)[()]


def quietly(f: Any, *arguments: Any) -> Any:
    """Without NumPy's warnings of what is not finite, which is found in the result, as elsewhere."""
    with np.errstate(all="ignore"):
        return f(*arguments)


def indices(name: str, target: Any) -> Array:
    t = as_array(name, target)
    if t.size and t.dtype.kind not in "iu":
        raise checks.target_dtype(str(t.dtype))
    return t


def arrays_of(inputs: Any, weight: Any, target: Any, bias: Any) -> tuple[Array, Array, Array, Array | None]:
    x, W, t = as_logits(inputs, "inputs"), as_logits(weight, "weight"), as_array("target", target)
    b = None if bias is None else as_logits(bias, "bias")
    checks.linear_shapes(inputs=x.shape, weight=W.shape, target=t.shape, bias=None if b is None else b.shape)
    return x, W, t, b


def is_small(x: Array, W: Array, t: Array, b: Array | None, options: LossOptions, budget: Any) -> bool:
    """Whether all logits are one small chunk, of rows that count: the loop would take longer than what it does."""
    rows = x.size // x.shape[-1]
    return (
        type(budget) is str
        and budget == "auto"
        and 0 < rows * len(W) <= SMALL
        and x.dtype == W.dtype in (FLOAT32, FLOAT64)
        and (b is None or b.dtype == x.dtype)
        and not np.count_nonzero(t == options.ignore_index)
    )


def two_steps(
    x: Array, W: Array, t: Array, b: Array | None, options: LossOptions
) -> tuple[Any, tuple[Array, Array, Array | None]]:
    z = x @ W.T if b is None else x @ W.T + b
    loss = loss_into(z, z, t, weight_of(options), -1, options)
    G = z.reshape(-1, len(W))
    return loss, (z @ W, G.T @ x.reshape(len(G), -1), None if b is None else G.sum(0))


def layer_of(
    x: Array, W: Array, t: Array, b: Array | None, options: LossOptions
) -> tuple[Layer, tuple[int, ...], np.dtype[Any]]:
    """The layer, the shape of its rows, and the dtype that it is computed in."""
    dtype = np.dtype(np.result_type(*(computed_in(a) for a in (x, W, b) if a is not None)))
    rows, classes = x.shape[:-1], len(W)
    logits = np.broadcast_to(np.empty((), dtype), (*rows, classes))  # of their shape, without their memory
    by_index = t.shape == rows
    t = t if t.ndim == len(rows) + 1 and is_bfloat16(t.dtype) else as_target(t, logits, rows, dtype)
    if by_index and (wrong := ((t < 0) | (t >= classes)) & (t != options.ignore_index)).any():
        raise bad_target(t, int(wrong.argmax()), classes)
    w = weight_of(options)
    w = None if w is None else checks.class_weight(w, classes, dtype)
    flat = t.reshape(-1) if by_index else t.reshape(-1, classes)
    return Layer(Products(dtype), x.reshape(-1, x.shape[-1]), W, b, flat, w, options, by_index), rows, dtype


def reduced(layer: Layer, losses: Array, rows: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    """One loss for each of all rows, or their sum over its divisor."""
    if layer.options.reduction == "none":
        result = np.zeros(layer.rows, dtype)
        result[... if layer.counted is None else layer.counted] = losses
        return result.reshape(rows)[()]
    return dtype.type(losses.sum() / (layer.divisor() or np.inf))
