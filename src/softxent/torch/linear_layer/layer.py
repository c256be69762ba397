"""A last layer's loss, gradients, statistics and samples, of tensors and without autograd.

Flattened here: input rows × features, weight classes × features, probabilities rows × classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from softxent import linear
from softxent.linear import Gradients, Layer, LinearPlan, Truncation, across_classes, linear_plan, per_row
from softxent.options import LossOptions
from softxent.torch import checks
from softxent.torch.calls import Call
from softxent.torch.devices import waits
from softxent.torch.linear_layer.on_gpu import OnGPU, ahead
from softxent.torch.linear_layer.products import Products, computed_in, multiplied_in

Given = tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor | None]  # x, W, bias, target, class weights
Needs = list[bool]  # of the gradients of x, W and bias


def layer_of(x: Tensor, W: Tensor, bias: Tensor | None, target: Tensor, weight: Tensor | None, call: Call) -> Layer:
    dtype, by_index = computed_in(x, W, bias), not target.is_floating_point()
    multiplied, t = multiplied_in(x, W, dtype), target.long().reshape(-1) if by_index else target
    if not waits(x):  # the kernel looks at targets and weights
        w = None if weight is None else weight.to(dtype)
        return Layer(OnGPU(x, dtype, multiplied, call), x, W, bias, t, w, call.options, by_index)
    library = Products(x, dtype, multiplied)
    if by_index:
        wrong = ((t < 0) | (t >= W.shape[0])) & (t != call.options.ignore_index)
        if wrong.any():
            raise checks.target_value(call.names, target, int(wrong.int().argmax()), W.shape[0])
    w = None if weight is None else library.kernels.as_weight(weight, t, call, dtype)
    return Layer(library, x, W, bias, t, w, call.options, by_index)


def plan_of(layer: Layer, gradients: bool, budget: int, **more: Any) -> LinearPlan:
    """The plan for a budget as operators take it."""
    return layer.plan(gradients, given_as(budget), **more)


def given_as(budget: int) -> Any:
    return "auto" if budget < 0 else budget


def loss(given: Given, budget: int, call: Call) -> Tensor:
    layer = layer_of(*given, call)
    return reduced(layer, linear.losses(layer, plan_of(layer, False, budget)), call)


def reduced(layer: Layer, losses: Tensor, call: Call) -> Tensor:
    if call.options.reduction == "none":
        result = losses.new_zeros(layer.rows, dtype=call.dtype)
        result[slice(None) if layer.counted is None else layer.counted] = losses.to(call.dtype)
        return result
    total, divisor = losses.sum(), layer.divisor()
    if isinstance(divisor, Tensor):
        return over(total, divisor, torch.nan if call.empty == "nan" else 0.0).to(call.dtype)
    if not divisor and call.empty == "nan":
        return (total / divisor).to(call.dtype)
    return (total / (divisor or torch.inf)).to(call.dtype)


def gradients(given: Given, upstream: Tensor, needs: Needs, budget: int, call: Call) -> tuple[Tensor, ...]:
    """upstream · the gradients to x, W and bias; one that is not needed is empty."""
    _, found = computed(layer_of(*given, call), given, needs, budget, upstream)
    return tuple(given[0].new_empty(0) if a is None else a for a in found)


def loss_and_gradients(given: Given, budget: int, call: Call) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The loss and the gradients of it, or of Σ losses."""
    layer = layer_of(*given, call)
    shape = (layer.rows,) if call.options.reduction == "none" else ()
    one = torch.ones(shape, dtype=torch.float64, device=given[0].device)
    losses, found = computed(layer, given, [True, True, given[2] is not None], budget, one)
    return reduced(layer, losses, call), *found


def computed(layer: Layer, given: Given, needs: Needs, budget: int, upstream: Tensor) -> tuple[Tensor, Gradients]:
    """The losses, and the gradients of upstream · the loss."""
    plan, (of_rows, factor) = plan_of(layer, True, budget), split(layer, upstream)
    if not layer.library.waits:
        losses, finish = ahead(layer, plan, of_rows, given, needs)
        return losses, finish(factor)
    to = places(given, needs)
    return linear.loss_and_gradients(layer, plan, of_rows, to), to


def places(given: Given, needs: Needs) -> Gradients:
    return Gradients(*(torch.empty_like(a) if need else None for a, need in zip(given[:3], needs, strict=True)))


def split(layer: Layer, upstream: Tensor) -> tuple[Tensor | float | None, Tensor | None]:
    """The upstream gradient of each row's loss, from that of the result; and a factor of all, on a device."""
    if layer.options.reduction == "none":
        return upstream, None
    if not layer.library.waits:
        return None, over(upstream.double(), layer.divisor())
    return upstream.item() / (layer.divisor() or torch.inf), None


def over(a: Tensor, divisor: Tensor | float, nothing: float = 0.0) -> Tensor:
    """a / divisor, or over nothing."""
    if isinstance(divisor, float):
        return a / (divisor or torch.inf)
    return torch.where(divisor == 0, nothing, a / divisor)


def loss_ahead(
    given: Given, needs: Needs, budget: int, call: Call
) -> tuple[Tensor, Callable[[Tensor], Gradients] | None]:
    """The loss, and what makes of an upstream gradient those to x, W and bias, once, if work on these was done ahead.

    Along rows all of it is, where the upstream gradient is likely to be 1, and none where it is not.
    """
    layer = layer_of(*given, call)
    if not layer.library.waits:
        return ahead_on_gpu(layer, given, needs, budget, call)
    plan, to = plan_of(layer, True, budget), places(given, needs)

    def second_pass(upstream: Tensor) -> Gradients:
        across_classes.second_pass(layer, plan, rows, split(layer, upstream)[0], to)
        return to

    def times(upstream: Tensor) -> Gradients:
        for a in to if upstream.item() != 1 else ():
            if a is not None:
                a.mul_(upstream.item())
        return to

    finish = None
    if not plan.along_rows:
        rows = across_classes.first_pass(layer, plan)
        losses, finish = rows.losses, second_pass
    elif call.options.reduction == "none" or {given[0].dtype, given[1].dtype} != {layer.library.dtype}:
        losses = linear.losses(layer, plan)
    else:
        losses, finish = linear.loss_and_gradients(layer, plan, split(layer, torch.ones(()))[0], to), times
    return reduced(layer, losses, call), finish


def ahead_on_gpu(
    layer: Layer, given: Given, needs: Needs, budget: int, call: Call
) -> tuple[Tensor, Callable[[Tensor], Gradients] | None]:
    """The same, where any upstream gradient can be multiplied with what was done, unless there is one for each row."""
    if call.options.reduction == "none":
        return reduced(layer, linear.losses(layer, plan_of(layer, False, budget)), call), None
    losses, finish = ahead(layer, plan_of(layer, True, budget), None, given, needs)
    return reduced(layer, losses, call), lambda upstream: finish(split(layer, upstream)[1])


def statistics(given: Given, budget: int, call: Call) -> tuple[Tensor, ...]:
    layer = layer_of(*given, call)
    found = per_row.statistics(layer, plan_of(layer, False, budget, copies=0))
    return *(column.to(layer.library.dtype) for column in found[:3]), *found[3:]


def sample(
    given: tuple[Tensor, Tensor, Tensor | None], uniform: Tensor, truncation: Truncation, budget: int, call: Call
) -> tuple[Tensor, Tensor, Tensor]:
    """The classes, log p of them, and the first row without probabilities, or −1."""
    target = torch.zeros(given[0].shape[:1], dtype=torch.int64, device=given[0].device)
    layer = layer_of(*given, target, None, call)
    held = truncation.held(layer.options, layer.classes, layer.library.sorted)
    index, log_prob, bad = per_row.sample(layer, plan_of(layer, False, budget, **held), iter_of(uniform), truncation)
    if not layer.library.waits:
        torch._assert_async((index >= 0).all(), f"{call.names.logits} has a row without probabilities")
    return index, log_prob.to(call.dtype), index.new_full((), bad)


def iter_of(uniform: Tensor) -> Callable[[int], Tensor]:
    """The numbers, some at a time."""
    position = 0

    def some(count: int) -> Tensor:
        nonlocal position
        position += count
        return uniform[position - count : position]

    return some


def draws(x: Tensor, W: Tensor, dtype: torch.dtype, truncation: Truncation, options: LossOptions, budget: int) -> int:
    """How many uniform numbers `sample` takes."""
    rows, classes = x.shape[0], W.shape[0]
    if not waits(x):
        return rows
    plan = linear_plan(
        rows,
        x.shape[1],
        classes,
        itemsize=dtype.itemsize,
        gradients=False,
        memory_budget=given_as(budget),
        cast=x.dtype != dtype or W.dtype != dtype,
        **truncation.held(options, classes),
    )
    return rows if plan.along_rows else 2 * rows * -(-classes // plan.chunk[1])
