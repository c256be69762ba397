"""A last layer's loss, gradients, statistics and samples, of tensors and without autograd.

Flattened here: input rows × features, weight classes × features, probabilities rows × classes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from softxent import linear
from softxent.linear import Gradients, Layer, Truncation, across_classes, linear_plan, per_row
from softxent.options import LossOptions
from softxent.torch import checks
from softxent.torch.calls import Call
from softxent.torch.linear_layer.products import Products, computed_in, multiplied_in

Given = tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor | None]  # x, W, bias, target, class weights
Needs = list[bool]  # of the gradients of x, W and bias


def layer_of(x: Tensor, W: Tensor, bias: Tensor | None, target: Tensor, weight: Tensor | None, call: Call) -> Layer:
    dtype = computed_in(x, W, bias)
    library, by_index = Products(x, dtype, multiplied_in(x, W, dtype)), not target.is_floating_point()
    t = target.long().reshape(-1) if by_index else target
    if by_index:
        wrong = ((t < 0) | (t >= W.shape[0])) & (t != call.options.ignore_index)
        if wrong.any():
            raise checks.target_value(call.names, target, int(wrong.int().argmax()), W.shape[0])
    w = None if weight is None else library.kernels.as_weight(weight, t, call, dtype)
    return Layer(library, x, W, bias, t, w, call.options, by_index)


def loss(given: Given, budget: int, call: Call) -> Tensor:
    layer = layer_of(*given, call)
    return reduced(layer, linear.losses(layer, layer.plan(False, budget)), call)


def reduced(layer: Layer, losses: Tensor, call: Call) -> Tensor:
    if call.options.reduction == "none":
        result = losses.new_zeros(layer.rows, dtype=call.dtype)
        result[slice(None) if layer.counted is None else layer.counted] = losses.to(call.dtype)
        return result
    total, divisor = losses.sum(), layer.divisor()
    if not divisor and call.empty == "nan":
        return (total / divisor).to(call.dtype)
    return (total / (divisor or torch.inf)).to(call.dtype)


def gradients(given: Given, upstream: Tensor, needs: Needs, budget: int, call: Call) -> tuple[Tensor, ...]:
    """upstream · the gradients to x, W and bias; one that is not needed is empty."""
    layer = layer_of(*given, call)
    to = places(given, needs)
    linear.loss_and_gradients(layer, layer.plan(True, budget), over(layer, upstream), to)
    return tuple(given[0].new_empty(0) if a is None else a for a in to)


def loss_and_gradients(given: Given, budget: int, call: Call) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The loss and the gradients of it, or of Σ losses."""
    layer = layer_of(*given, call)
    to = places(given, [True, True, given[2] is not None])
    upstream = 1.0 if call.options.reduction == "none" else over(layer, torch.ones(()))
    losses = linear.loss_and_gradients(layer, layer.plan(True, budget), upstream, to)
    return reduced(layer, losses, call), *to


def places(given: Given, needs: Needs) -> Gradients:
    return Gradients(*(torch.empty_like(a) if need else None for a, need in zip(given[:3], needs, strict=True)))


def over(layer: Layer, upstream: Tensor) -> Tensor | float:
    """The upstream gradient of each row's loss, from that of the result."""
    if layer.options.reduction == "none":
        return upstream
    return upstream.item() / (layer.divisor() or torch.inf)


def loss_ahead(
    given: Given, needs: Needs, budget: int, call: Call
) -> tuple[Tensor, Callable[[Tensor], Gradients] | None]:
    """The loss, and what makes of an upstream gradient those to x, W and bias, once, if work on these was done ahead.

    Along rows all of it is, where the upstream gradient is likely to be 1, and none where it is not.
    """
    layer = layer_of(*given, call)
    plan, to = layer.plan(True, budget), places(given, needs)

    def second_pass(upstream: Tensor) -> Gradients:
        across_classes.second_pass(layer, plan, rows, over(layer, upstream), to)
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
        losses, finish = linear.loss_and_gradients(layer, plan, over(layer, torch.ones(())), to), times
    return reduced(layer, losses, call), finish


def statistics(given: Given, budget: int, call: Call) -> tuple[Tensor, ...]:
    layer = layer_of(*given, call)
    found = per_row.statistics(layer, layer.plan(False, budget, copies=0))
    return *(column.to(layer.library.dtype) for column in found[:3]), *found[3:]


def sample(
    given: tuple[Tensor, Tensor, Tensor | None], uniform: Tensor, truncation: Truncation, budget: int, call: Call
) -> tuple[Tensor, Tensor, Tensor]:
    """The classes, log p of them, and the first row without probabilities, or −1."""
    target = torch.zeros(given[0].shape[:1], dtype=torch.int64, device=given[0].device)
    layer = layer_of(*given, target, None, call)
    parts = iter_of(uniform)
    index, log_prob, bad = per_row.sample(
        layer, layer.plan(False, budget, **truncation.held(layer.options, layer.classes)), parts, truncation
    )
    return index, log_prob.to(call.dtype), torch.tensor(bad)


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
    plan = linear_plan(
        rows,
        x.shape[1],
        classes,
        itemsize=dtype.itemsize,
        gradients=False,
        memory_budget=budget,
        cast=x.dtype != dtype or W.dtype != dtype,
        arrays=1 + (multiplied_in(x, W, dtype) != dtype),
        **truncation.held(options, classes),
    )
    return rows if plan.along_rows else 2 * rows * -(-classes // plan.chunk[1])
