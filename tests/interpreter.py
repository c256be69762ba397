"""Triton's interpreter, nearer to the hardware and faster: what the tests of the Triton kernels run them in.

By itself it computes a·b + c of tl.fma with two roundings, cuts float32 off to bfloat16, skips tl.device_assert, and
reduces with a function of ours element by element, in Python.
Import this before a kernel; conftest.py chooses the interpreter.
"""

from dataclasses import replace

import ml_dtypes
import numpy as np
import triton.language as tl
from triton.runtime import interpreter


def two_product(a, b):
    """a·b and what that rounded away, in float64 without fma (Dekker's product of numbers split by Veltkamp)."""
    split = 2.0**27 + 1

    def halves(x):
        high = split * x - (split * x - x)
        return high, x - high

    product = a * b
    (a, a_lo), (b, b_lo) = halves(a), halves(b)
    return product, ((a * b - product) + a * b_lo + a_lo * b) + a_lo * b_lo


def fused(a, b, c):
    """a·b + c rounded once, or in rare cases once to float64 and once more."""
    if a.dtype == np.float32:
        return (a.astype(np.float64) * b + c).astype(np.float32)
    product, lost = two_product(a, b)
    total = product + c
    of_c = total - product
    rest = (product - (total - of_c)) + (c - of_c) + lost
    return np.where(np.isfinite(rest), total + rest, a * b + c)


def create_fma(self, x, y, z):
    return interpreter.TensorHandle(fused(x.data, y.data, z.data), z.dtype.scalar)


def cast(self, x, dtype):
    """Rounded to the nearest; bfloat16 lies in uint16."""
    data, to = x.data, dtype.scalar
    if x.dtype.scalar == tl.bfloat16:
        data = data.view(ml_dtypes.bfloat16)
    if to == tl.bfloat16:
        return interpreter.TensorHandle(data.astype(ml_dtypes.bfloat16).view(np.uint16), to)
    return interpreter.TensorHandle(data.astype(interpreter._get_np_dtype(dtype)), to)


def generic_reduce(self, given):
    """Halves the axis until it is 1 long."""
    if self.axis is None:
        raise NotImplementedError("give the axis of tl.reduce")
    parts, dtypes = [x.handle.data for x in given], [x.dtype for x in given]
    while parts[0].shape[self.axis] > 1:
        pairs = [np.split(data, 2, self.axis) for data in parts]
        halves = [[self.to_tensor(pair[k], dtype) for pair, dtype in zip(pairs, dtypes, strict=True)] for k in (0, 1)]
        results = self.combine_fn.fn(*halves[0], *halves[1])
        parts = [r.handle.data for r in (results if isinstance(results, tuple) else (results,))]
    return [self.to_tensor(data.squeeze(self.axis), dtype) for data, dtype in zip(parts, dtypes, strict=True)]


def set_grid_idx(self, *place):
    """The programs in reverse, for no test to pass by the order in which they happen to run."""
    self.grid_idx = tuple(count - 1 - k for count, k in zip(self.grid_dim, place, strict=True))


def create_assert(self, condition, message):
    assert condition.data.all(), message


interpreter.InterpreterBuilder.set_grid_idx = set_grid_idx
builder = interpreter.interpreter_builder
builder.options = replace(builder.options, debug=True, sanitize_overflow=False)
interpreter.InterpreterBuilder.create_assert = create_assert
interpreter.InterpreterBuilder.create_fma = create_fma
interpreter.InterpreterBuilder.cast_impl = cast
interpreter.ReduceOps.generic_reduce = generic_reduce


patched = set()


def call(self, *arguments, **named):
    """Of a function within a kernel; patches triton.language once for it, where doing so each time took most of it."""
    if self.fn not in patched:
        patched.add(self.fn)
        interpreter._patch_lang(self.fn)
    return self.rewrite()(*arguments, **named)


interpreter.InterpretedFunction.__call__ = call

launch = interpreter.GridExecutor.__call__


def silently(self, *arguments, **named):
    """Where inf − inf is NaN without a word."""
    with np.errstate(all="ignore"):
        return launch(self, *arguments, **named)


interpreter.GridExecutor.__call__ = silently
