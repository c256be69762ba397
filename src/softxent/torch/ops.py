"""The kernels as PyTorch operators: what torch.compile, torch.export, torch.func and subclasses of Tensor see of them.

Each has a fake implementation, which knows shapes and dtypes without computing, and a rule for torch.func.vmap. Their
derivatives are those of softxent.torch.autograd, which registers them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.library import Library, register_fake, register_vmap

from softxent.torch import sharding
from softxent.torch.calls import COMPUTED_IN, SCHEMA, Call, by_operator, call_of, rows_of
from softxent.torch.checks import DEVICES
from softxent.torch.devices import kernels_for

LIBRARY = Library("softxent", "DEF")
SHARDINGS: dict[torch._ops.OpOverload, Callable[..., list[str]]] = {}  # for DTensor, until the first one comes


def wanted(*tensors: Tensor | None) -> bool:
    """Whether the call is an operator's, which then knows every kind of tensor that is among these."""
    if not by_operator(*tensors):
        return False
    if SHARDINGS and not torch.compiler.is_compiling() and any(type(x).__name__ == "DTensor" for x in tensors):
        while SHARDINGS:
            sharding.register(*SHARDINGS.popitem())
    return True


def operator(
    name: str,
    schema: str,
    compute: Callable[..., Any],
    fake: Callable[..., Any],
    vmap: Callable[..., Any],
    split: Callable[..., list[str]] | None = None,
) -> torch._ops.OpOverload:
    """Defines torch.ops.softxent.name.

    compute   of the kernels of a device and the arguments
    split     see sharding.register; without it no rule for DTensor
    """
    LIBRARY.define(f"{name}{schema}", tags=(torch.Tag.pt2_compliant_tag,))
    for device in DEVICES:
        LIBRARY.impl(name, lambda *given, d=device: compute(kernels_for(d), *map(plain, given)), device.upper())
    register_fake(f"softxent::{name}", fake, lib=LIBRARY)
    register_vmap(f"softxent::{name}", vmap, lib=LIBRARY)
    defined = getattr(torch.ops.softxent, name).default
    if split is not None:
        SHARDINGS[defined] = split
    return defined


def plain(argument: Any) -> Any:
    """A tensor without the subclass that only __torch_function__ knows of."""
    if isinstance(argument, Tensor) and type(argument) is not Tensor:
        with torch._C.DisableTorchFunctionSubclass():
            return argument.as_subclass(Tensor)
    return argument


def one_by_one(info: Any, dims: Any, f: torch._ops.OpOverload, *arguments: Any) -> tuple[Any, Any]:
    """A call for each of the batch, for what no single call can do: class weights of its own."""

    def of_call(a: Any, dim: Any, k: int) -> Any:
        if isinstance(a, (list, tuple)):
            return [of_call(each, d, k) for each, d in zip(a, dim, strict=True)]
        return a if dim is None else a.select(dim, k)

    calls = ([of_call(a, dim, k) for a, dim in zip(arguments, dims, strict=True)] for k in range(info.batch_size))
    results = [f(*call) for call in calls]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    return tuple(map(torch.stack, zip(*results, strict=True))), (0,) * len(results[0])


def leading(info: Any, x: Tensor, dim: int | None) -> Tensor:
    """With the axis of vmap first."""
    return x.expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)


# softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------


def _normalizer(name: str) -> torch._ops.OpOverload:
    """An operator whose result lies as the logits do."""
    defined: torch._ops.OpOverload = operator(
        name,
        "(Tensor input, int axis, float temperature, str name) -> Tensor",
        lambda kernels, *arguments: getattr(kernels, name)(*arguments),
        lambda x, *_: torch.empty_like(x),
        lambda info, dims, x, axis, *rest: (defined(leading(info, x, dims[0]), axis + 1, *rest), 0),
        lambda *_: ["logits"],
    )
    return defined


softmax, log_softmax = map(_normalizer, ("softmax", "log_softmax"))
logsumexp: torch._ops.OpOverload = operator(
    "logsumexp",
    "(Tensor input, int axis, str name) -> Tensor",
    lambda kernels, *arguments: kernels.logsumexp(*arguments),
    lambda x, axis, _: x.new_empty(rows_of(x, axis)),
    lambda info, dims, x, axis, name: (logsumexp(leading(info, x, dims[0]), axis + 1, name), 0),
    lambda *_: ["rows"],
)

# cross-entropy ----------------------------------------------------------------------------------------------------


def _loss_shape(x: Tensor, call: Call) -> tuple[int, ...]:
    return rows_of(x, call.axis) if call.options.reduction == "none" else ()


def _losses_vmapped(info: Any, dims: Any, x: Tensor, target: Tensor, weight: Tensor | None, *arguments: Any) -> Any:
    if dims[2] is not None:
        return one_by_one(info, dims, cross_entropy, x, target, weight, *arguments)
    call = call_of(*arguments)
    x, target = leading(info, x, dims[0]), leading(info, target, dims[1])
    losses = cross_entropy(x, target, weight, *call.of_rows().arguments)
    if call.options.reduction == "none":
        return losses, 0
    total, count = losses.flatten(1).sum(1) if losses.ndim > 1 else losses, divisors(x, target, weight, call)
    mean = total / count
    return (mean if call.empty == "nan" else torch.where(torch.as_tensor(count) == 0, 0, mean)), 0


def _gradients_vmapped(
    info: Any, dims: Any, x: Tensor, target: Tensor, weight: Tensor | None, upstream: Tensor, *arguments: Any
) -> Any:
    if dims[2] is not None:
        return one_by_one(info, dims, cross_entropy_grad, x, target, weight, upstream, *arguments)
    call = call_of(*arguments)
    x, target = leading(info, x, dims[0]), leading(info, target, dims[1])
    upstream, rows = leading(info, upstream, dims[3]), call.of_rows()
    if call.options.reduction != "none":
        count = divisors(x, target, weight, call)
        upstream = torch.where(torch.as_tensor(count) == 0, 0, upstream / count)
        shape = rows_of(x, rows.axis)
        upstream = upstream.reshape(-1, *(1 for _ in shape[1:])).expand(shape)
    return cross_entropy_grad(x, target, weight, upstream, *rows.arguments), 0


def divisors(x: Tensor, target: Tensor, weight: Tensor | None, call: Call) -> Tensor | float:
    """What each call's sum of losses is divided by; the calls are along the first axis."""
    options = call.options
    if options.reduction == "sum":
        return 1.0
    if options.normalizer is not None:
        return options.normalizer
    if target.is_floating_point():
        return x[0].numel() / x.shape[call.axis + 1]
    ignored = target == options.ignore_index
    counted = ~ignored if weight is None else torch.where(ignored, 0, weight[torch.where(ignored, 0, target).long()])
    return counted.unsqueeze(-1).flatten(1).sum(1)


cross_entropy = operator(
    "cross_entropy",
    f"(Tensor input, Tensor target, Tensor? weight, {SCHEMA}) -> Tensor",
    lambda kernels, x, target, weight, *arguments: kernels.loss(x, target, weight, call_of(*arguments)),
    lambda x, target, weight, *arguments: x.new_empty(
        _loss_shape(x, call_of(*arguments)), dtype=call_of(*arguments).dtype
    ),
    _losses_vmapped,
    sharding.of_loss,
)
cross_entropy_grad = operator(
    "cross_entropy_grad",
    f"(Tensor input, Tensor target, Tensor? weight, Tensor upstream, {SCHEMA}) -> Tensor",
    lambda kernels, x, target, weight, upstream, *arguments: kernels.gradient(
        x, target, weight, upstream, call_of(*arguments)
    ),
    lambda x, *_: torch.empty_like(x),
    _gradients_vmapped,
    sharding.of_gradient,
)

# statistics, sample ---------------------------------------------------------------------------------------------------


def _fake_statistics(x: Tensor, target: Tensor, *arguments: Any) -> tuple[Tensor, ...]:
    call = call_of(*arguments)
    rows = rows_of(x, call.axis)
    return tuple(x.new_empty(rows, dtype=dtype) for dtype in [COMPUTED_IN[x.dtype]] * 3 + [torch.int64] * 2)


def _fake_sample(x: Tensor, axis: int, *_: Any) -> tuple[Tensor, Tensor]:
    rows = rows_of(x, axis)
    return x.new_empty(rows, dtype=torch.int64), x.new_empty(rows, dtype=COMPUTED_IN[x.dtype])


statistics: torch._ops.OpOverload = operator(
    "statistics",
    f"(Tensor input, Tensor target, {SCHEMA}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    lambda kernels, x, target, *arguments: tuple(kernels.statistics(x, target, call_of(*arguments))),
    _fake_statistics,
    lambda info, dims, x, target, *arguments: (
        statistics(leading(info, x, dims[0]), leading(info, target, dims[1]), *call_of(*arguments).of_rows().arguments),
        (0,) * 5,
    ),
    lambda *_: ["rows"] * 5,
)
sample: torch._ops.OpOverload = operator(
    "sample",
    "(Tensor input, int axis, float temperature, Tensor uniform, str name) -> (Tensor, Tensor)",
    lambda kernels, *arguments: kernels.sample(*arguments),
    _fake_sample,
    lambda info, dims, x, axis, temperature, uniform, name: (
        sample(leading(info, x, dims[0]), axis + 1, temperature, leading(info, uniform, dims[3]), name),
        (0, 0),
    ),
    lambda *_: ["rows"] * 2,
)
