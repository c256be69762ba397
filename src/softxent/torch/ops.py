"""The kernel as PyTorch operators: what torch.compile and torch.export see of it.

Each has a fake implementation, which knows shapes and dtypes without computing, and its derivative. In eager mode
softxent.torch.autograd calls the kernel without them, which takes a third of the time of a small call.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op
from torch.nn import Parameter

from softxent.torch import formulas, kernel
from softxent.torch.kernel import LOGSUMEXP, SOFTMAX, Call, call_of, rows_of


def wanted(x: Tensor) -> bool:
    """While a graph is traced, and for subclasses of Tensor, which the dispatcher knows to handle or to refuse."""
    return torch.compiler.is_compiling() or type(x) not in (Tensor, Parameter)


# softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------


@custom_op("softxent::normalize", mutates_args=(), device_types="cpu")
def normalize(x: Tensor, op: int, axis: int, temperature: float) -> Tensor:
    return kernel.normalize(op, x, axis, temperature)


@normalize.register_fake
def _(x: Tensor, op: int, axis: int, temperature: float) -> Tensor:
    return x.new_empty(rows_of(x, axis)) if op == LOGSUMEXP else torch.empty_like(x)


def _save(ctx: Any, inputs: Any, output: Tensor) -> None:
    x, ctx.op, ctx.axis, ctx.temperature = inputs
    ctx.save_for_backward(x if ctx.op == LOGSUMEXP else output)


def _backward(ctx: Any, v: Tensor) -> Any:
    (saved,) = ctx.saved_tensors
    axis, T = ctx.axis, ctx.temperature
    if ctx.op == LOGSUMEXP:
        return v.unsqueeze(axis) * normalize(saved, SOFTMAX, axis, 1.0), None, None, None
    derivative = formulas.softmax_times if ctx.op == SOFTMAX else formulas.times_log_softmax
    return derivative(v, saved, axis, T), None, None, None


normalize.register_autograd(_backward, setup_context=_save)


# cross-entropy ----------------------------------------------------------------------------------------------------

ARGUMENTS = (  # of call_of
    "int axis, int ignore_index, float label_smoothing, float temperature, float? softcap, float z_loss, "
    "str reduction, float? normalizer, ScalarType dtype, str empty, str name='input'"
)


@custom_op(
    "softxent::cross_entropy",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor input, Tensor target, Tensor? weight, {ARGUMENTS}) -> Tensor",
)
def cross_entropy(x: Tensor, target: Tensor, weight: Tensor | None, *arguments: Any) -> Tensor:
    return kernel.loss(x, target, weight, call_of(*arguments))


@cross_entropy.register_fake
def _(x: Tensor, target: Tensor, weight: Tensor | None, *arguments: Any) -> Tensor:
    call = call_of(*arguments)
    return x.new_empty(rows_of(x, call.axis) if call.options.reduction == "none" else (), dtype=call.dtype)


@custom_op(
    "softxent::cross_entropy_grad",
    mutates_args=(),
    device_types="cpu",
    schema=f"(Tensor input, Tensor target, Tensor? weight, Tensor upstream, {ARGUMENTS}) -> Tensor",
)
def cross_entropy_grad(x: Tensor, target: Tensor, weight: Tensor | None, upstream: Tensor, *arguments: Any) -> Tensor:
    return kernel.gradient(x, target, weight, upstream, call_of(*arguments))


@cross_entropy_grad.register_fake
def _(x: Tensor, *_: Any) -> Tensor:
    return torch.empty_like(x)


def _save_loss(ctx: Any, inputs: Any, output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])
    ctx.call = call_of(*inputs[3:])


def _save_gradient(ctx: Any, inputs: Any, output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.call = call_of(*inputs[4:])


cross_entropy.register_autograd(
    lambda ctx, upstream: (*formulas.loss_backward(ctx, upstream), *[None] * 12), setup_context=_save_loss
)
cross_entropy_grad.register_autograd(
    lambda ctx, v: (*formulas.gradient_backward(ctx, v), *[None] * 11), setup_context=_save_gradient
)


# sample -----------------------------------------------------------------------------------------------------------


@custom_op("softxent::sample", mutates_args=(), device_types="cpu")
def sample(x: Tensor, axis: int, temperature: float, uniform: Tensor) -> tuple[Tensor, Tensor]:
    return kernel.sample(x, axis, temperature, uniform)


@sample.register_fake
def _(x: Tensor, axis: int, temperature: float, uniform: Tensor) -> tuple[Tensor, Tensor]:
    rows = rows_of(x, axis)
    return x.new_empty(rows, dtype=torch.int64), x.new_empty(rows, dtype=kernel.COMPUTED_IN[x.dtype])


# statistics -------------------------------------------------------------------------------------------------------


def call_of_statistics(x: Tensor, axis: int, ignore_index: int, temperature: float, name: str = "input") -> Call:
    dtype = kernel.COMPUTED_IN[x.dtype]
    return call_of(axis, ignore_index, 0.0, temperature, None, 0.0, "none", None, dtype, "nan", name)


@custom_op("softxent::statistics", mutates_args=(), device_types="cpu")
def statistics(
    x: Tensor, target: Tensor, axis: int, ignore_index: int, temperature: float, name: str = "input"
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    return tuple(kernel.statistics(x, target, call_of_statistics(x, axis, ignore_index, temperature, name)))


@statistics.register_fake
def _(x: Tensor, target: Tensor, axis: int, *arguments: Any) -> tuple[Tensor, ...]:
    call, rows = call_of_statistics(x, axis, *arguments), rows_of(x, axis)
    return tuple(x.new_empty(rows, dtype=dtype) for dtype in [call.dtype] * 3 + [torch.int64] * 2)


def _save_statistics(ctx: Any, inputs: Any, output: tuple[Tensor, ...]) -> None:
    x, target, *arguments = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(x, target, output[1])
    ctx.call = call_of_statistics(x, *arguments)


statistics.register_autograd(
    lambda ctx, *upstream: (formulas.statistics_backward(ctx, *upstream[:3]), *[None] * 5),
    setup_context=_save_statistics,
)
