"""Tensors → the Triton kernels. Nothing here knows of autograd, nor waits for the device."""

from __future__ import annotations

import math
import struct
from typing import Any

import torch
import triton.language as tl
from torch import Tensor
from triton import cdiv, next_power_of_2

from softxent.kernels.triton.cross_entropy import cross_entropy_kernel
from softxent.kernels.triton.launch import (
    HEAVY,
    MORE,
    PLAIN,
    ROW_OF_PARTS,
    Shape,
    shape_of_sample,
    shape_of_statistics_gradient,
)
from softxent.kernels.triton.parts import FIELDS, combine_kernel, sums_kernel
from softxent.kernels.triton.rows import NOTHING, STATISTICS, TARGET
from softxent.kernels.triton.sample import sample_kernel, sample_of_block_kernel
from softxent.kernels.triton.softmax import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, softmax_kernel
from softxent.kernels.triton.statistics import statistics_kernel
from softxent.kernels.triton.statistics_gradient import statistics_gradient_kernel
from softxent.options import LossOptions
from softxent.results import Statistics as Columns
from softxent.torch.calls import COMPUTED_IN, Call, rows_of
from softxent.torch.checks import ARRAYS
from softxent.torch.devices import layout
from softxent.torch.devices.layout import Rows

WIDE = {torch.float32: tl.float32, torch.float64: tl.float64}
empty_like = torch.empty_like
WAITS = False  # for the device: nobody here asks for a number of a tensor


def bits(number: float) -> int:
    """Those of a float64, which Triton would hand on as a float32."""
    return int(struct.unpack("<q", struct.pack("<d", number))[0])


def launch(kernel: Any, x: Tensor, shape: Shape, rows: int, parts: int, *arguments: Any, **constants: Any) -> None:
    """The kernel on `parts` programs for as many rows as one takes."""
    if rows:
        wide = COMPUTED_IN[x.dtype]
        with torch.cuda.device_of(x):
            given = {"WIDE": WIDE[wide], **shape.constants, **constants}
            given = {name: value for name, value in given.items() if name in kernel.arg_names}
            kernel[(cdiv(rows, shape.rows), parts)](*arguments, **given, **shape.compiler(layout.NVIDIA))


def sums_of_parts(
    x: Tensor, of_x: tuple[int, ...], rows: Rows, shape: Shape, beside: Any, temperature: float,
    target: Tensor | None = None, of_target: tuple[int, ...] = (0, 0, 0), weight: Tensor | None = None,
    ignore_index: int = 0, smoothing: float = 0.0, softcap: float | None = None, checked: bool = False,
) -> Tensor:  # fmt: skip
    """What the parts of each row sum up to."""
    sums = x.new_empty((rows.count, shape.parts, FIELDS.value), dtype=torch.float64)
    launch(
        sums_kernel, x, shape, rows.count, shape.parts,
        x, target, weight, sums, *rows.arguments, shape.width, *of_x, *of_target,
        ignore_index, bits(smoothing), bits(temperature), bits(softcap or 1.0),
        BESIDE=beside, PROBABILITIES=target is not None and target.is_floating_point(), WEIGHTED=weight is not None,
        TEMPERATURE=temperature != 1, SOFTCAP=softcap is not None, CHECKED=checked,
        ALIGNED=rows.aligned(x),
    )  # fmt: skip
    return sums


def sums_of_rows(x: Tensor, of_x: tuple[int, ...], rows: Rows, shape: Shape, beside: Any, *more: Any) -> Tensor | None:
    """The parts' sums combined, of rows that are taken in parts; arguments as sums_of_parts's."""
    if shape.parts == 1:
        return None
    sums = sums_of_parts(x, of_x, rows, shape, beside, *more)
    combined = x.new_empty((rows.count, FIELDS.value), dtype=torch.float64)
    launch(
        combine_kernel, x, ROW_OF_PARTS, rows.count, 1,
        sums, combined, rows.count, BESIDE=beside, PARTS=shape.parts, WIDTH=next_power_of_2(shape.parts),
    )  # fmt: skip
    return combined


# softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------


def softmax(x: Tensor, axis: int, temperature: float, name: str, out: Tensor | None = None) -> Tensor:
    return normalized(SOFTMAX, x, axis, temperature, empty_like(x) if out is None else out)


def log_softmax(x: Tensor, axis: int, temperature: float, name: str) -> Tensor:
    return normalized(LOG_SOFTMAX, x, axis, temperature, empty_like(x))


def logsumexp(x: Tensor, axis: int, name: str) -> Tensor:
    return normalized(LOGSUMEXP, x, axis, 1.0, x.new_empty(rows_of(x, axis)))


def normalized(work: Any, x: Tensor, axis: int, temperature: float, out: Tensor) -> Tensor:
    rows = Rows(x, axis, out)
    (x, of_x), (result, of_result) = rows.of(x), rows.of(out)
    shape = rows.shape_for(x, PLAIN)
    sums = sums_of_rows(x, of_x, rows, shape, NOTHING, temperature)
    launch(
        softmax_kernel, x, shape, rows.count, 1 if work is LOGSUMEXP else shape.parts,
        x, result, sums, *rows.arguments, shape.width, *of_x, *of_result, bits(temperature),
        WORK=work, TEMPERATURE=temperature != 1,
        ALIGNED=rows.aligned(x) if work is LOGSUMEXP else rows.aligned(x, result),
    )  # fmt: skip
    return out if result is out else out.copy_(result)


# cross-entropy ----------------------------------------------------------------------------------------------------


def loss(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    call: Call,
    out: Tensor | None = None,
    upstream: Tensor | None = None,
) -> Tensor:
    """The loss; with `out`, ∂loss/∂x is written there, for an upstream gradient of 1 or the one given."""
    losses = x.new_empty(rows_of(x, call.axis), dtype=COMPUTED_IN[x.dtype])
    divisor = run(x, target, weight, call, out, losses, upstream)
    if call.options.reduction == "none":
        return losses.to(call.dtype)
    total = losses.sum(dtype=torch.float64)
    if divisor is not None:
        nothing = torch.nan if call.empty == "nan" else 0.0
        total = torch.where(divisor == 0, nothing, total / divisor)
    return total.to(call.dtype)


def gradient(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    upstream: Tensor,
    call: Call,
    out: Tensor | None = None,
    ahead: bool = False,
) -> Tensor:
    """upstream · ∂loss/∂x, into `out` if that is given; upstream is a number, or without a reduction one a row.

    ahead   `out` holds it for an upstream gradient of 1: if that is what comes, the kernel returns at once
    """
    out = empty_like(x) if out is None else out
    run(x, target, weight, call, out, None, upstream, ahead)
    return out


def scale(grad: Tensor, upstream: Tensor) -> bool:
    """Never: whether a product rounds is on the device, and to ask would be to wait for it."""
    return False


def run(
    x: Tensor, target: Tensor, weight: Tensor | None, call: Call, out: Tensor | None, loss: Tensor | None,
    upstream: Tensor | None, ahead: bool = False,
) -> Tensor | None:  # fmt: skip
    """Writes losses and the gradient, where they are wanted, and returns the divisor of the mean."""
    options, wide = call.options, COMPUTED_IN[x.dtype]
    w = None if weight is None else weight.to(wide).contiguous()
    if w is not None and call.names is ARRAYS:
        torch._assert_async(
            ((w >= 0) & (w < torch.inf)).all(), f"{call.names.weight} must be finite numbers, 0 or more"
        )
    divisor = divisor_of(x, target, w, call)
    probabilities = target.is_floating_point()
    soft = probabilities or options.label_smoothing > 0
    weight_sum = None
    if soft:
        V = x.shape[call.axis]
        weight_sum = x.new_full((), V, dtype=torch.float64) if w is None else w.sum(dtype=torch.float64)
    rows = Rows(x, call.axis, target, *(() if out is None else (out,)))
    (x, of_x), (t, of_t) = rows.of(x), rows.of(target)
    grad, of_grad = (None, (0, 0, 0)) if out is None else rows.of(out)
    u = None if upstream is None else upstream.contiguous()
    smoothing, T, c = options.label_smoothing, options.temperature, options.softcap
    level = HEAVY if probabilities or c is not None else MORE if soft else PLAIN
    shape = rows.shape_for(x, level)
    beside, checked = TARGET if soft else NOTHING, call.names is ARRAYS
    sums = sums_of_rows(x, of_x, rows, shape, beside, T, t, of_t, w, options.ignore_index, smoothing, c, checked)
    launch(
        cross_entropy_kernel, x, shape, rows.count, shape.parts if out is not None else 1,
        x, t, w, weight_sum, sums, loss, grad, divisor, u,
        *rows.arguments, shape.width, *of_x, *of_t, *of_grad, int(u is not None and u.ndim > 0),
        options.ignore_index, bits(smoothing), bits(T), bits(c or 1.0), bits(options.z_loss),
        PROBABILITIES=probabilities, WEIGHTED=w is not None, SMOOTHING=smoothing > 0, TEMPERATURE=T != 1,
        SOFTCAP=c is not None, Z_LOSS=options.z_loss > 0, LOSS=loss is not None, GRADIENT=out is not None,
        AHEAD=ahead and grad is out, CHECKED=checked,
        ALIGNED=rows.aligned(x) if grad is None else rows.aligned(x, grad),
    )  # fmt: skip
    if out is not None and grad is not out:
        out.copy_(grad)
    return divisor


def divisor_of(x: Tensor, target: Tensor, weight: Tensor | None, call: Call) -> Tensor | None:
    """What the mean divides by, in float64: the counted rows' Σ w_y, or of probabilities their number."""
    options = call.options
    if options.reduction != "mean":
        return None
    if options.normalizer is not None:
        return x.new_full((), options.normalizer, dtype=torch.float64)
    if target.is_floating_point():
        return x.new_full((), math.prod(rows_of(x, call.axis)), dtype=torch.float64)
    counted = target != options.ignore_index
    if weight is None:
        return counted.sum(dtype=torch.float64)
    y = torch.where(counted, target, 0).long().clamp(0, len(weight) - 1)  # what is no class stops the kernel
    return torch.where(counted, weight[y], 0).sum(dtype=torch.float64)


# statistics, sample -------------------------------------------------------------------------------------------------


def statistics(x: Tensor, target: Tensor, call: Call) -> Columns:
    options, wide = call.options, COMPUTED_IN[x.dtype]
    floats = [x.new_empty(target.shape, dtype=wide) for _ in range(3)]
    integers = [x.new_empty(target.shape, dtype=torch.int64) for _ in range(2)]
    rows = Rows(x, call.axis, target)
    (x, of_x), (t, of_t) = rows.of(x), rows.of(target)
    T = options.temperature
    shape = rows.shape_for(x, PLAIN if T == 1 else MORE)
    sums = sums_of_rows(x, of_x, rows, shape, STATISTICS, T, t, of_t, None, options.ignore_index)
    launch(
        statistics_kernel, x, shape, rows.count, 1,
        x, t, sums, *floats, *integers, *rows.arguments, *of_x, *of_t[:2], options.ignore_index, bits(T),
        TEMPERATURE=T != 1, ALIGNED=rows.aligned(x),
    )  # fmt: skip
    return Columns(*floats, *integers)


def gradient_of_statistics(
    x: Tensor,
    out: Tensor,
    y: Tensor,
    lse: Tensor,
    level: Tensor,
    slope: Tensor,
    target_grad: Tensor,
    options: LossOptions,
) -> None:
    """Writes p_j·(level − slope·log p_j) of rows of logits to `out`, and target_grad at y, if that is not −1.

    All times the derivative of a softcap, which `options` have with the temperature that logits are divided by.
    """
    rows, classes = x.shape
    shape = shape_of_statistics_gradient(classes, layout.warp_of(x.device))
    launch(
        statistics_gradient_kernel, x, shape, rows, shape.parts,
        x, out, y, lse, level, slope, target_grad, rows, classes, x.stride(0), out.stride(0),
        bits(options.temperature), bits(options.softcap or 1.0), SOFTCAP=options.softcap is not None,
    )  # fmt: skip


def sample(x: Tensor, axis: int, temperature: float, uniform: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """For each row the index that `uniform` falls on, and its log-probability."""
    index, log_prob = drawn(x, axis, temperature, uniform)
    torch._assert_async((index >= 0).all(), f"{name} has a row without probabilities (all −inf, or +inf or NaN in it)")
    return index, log_prob


def drawn(x: Tensor, axis: int, temperature: float, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """The same, with −1 for a row without probabilities."""
    log_prob = x.new_empty(rows_of(x, axis), dtype=COMPUTED_IN[x.dtype])
    index = torch.empty_like(log_prob, dtype=torch.int64)
    rows = Rows(x, axis)
    x, of_x = rows.of(x)
    shape, T = rows.shape_for(x, PLAIN), bits(temperature)
    given = {"TEMPERATURE": temperature != 1, "ALIGNED": rows.aligned(x)}
    uniform = uniform.contiguous()
    if shape.rows > 1 and shape.one_block:  # of one row, each strip's sum would wait for all threads
        launch(
            sample_of_block_kernel, x, shape, rows.count, 1,
            x, uniform, index, log_prob, *rows.arguments, *of_x, T, **given,
        )  # fmt: skip
    else:
        warp = layout.warp_of(x.device)
        shape = shape_of_sample(rows.classes, x.itemsize, warp, PLAIN)
        sums = sums_of_parts(x, of_x, rows, shape, NOTHING, temperature)
        launch(
            sample_kernel, x, shape_of_sample(rows.classes, x.itemsize, warp, HEAVY), rows.count, 1,
            x, sums, uniform, index, log_prob, *rows.arguments, shape.width, *of_x, T,
            WIDTH=next_power_of_2(shape.parts), **given,
        )  # fmt: skip
    return index, log_prob
