"""The derivatives of a last layer that need whole rows of logits: to probabilities, second ones, and of statistics.

With Ż the change of the logits in the direction of changes (ẋ, Ẇ, ḃ),

    Ż = ẋ·Wᵀ + x·Ẇᵀ + ḃ,   K = H·Ż   with H the Hessian of the loss in the logits,

the gradients change by K·W + G·Ẇ, Kᵀ·x + Gᵀ·ẋ and Σ K; and as the Hessian is symmetric, double backward is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from softxent.linear import Layer
from softxent.linear.plan import AT_ONCE, AT_ONCE_NUMBERS
from softxent.torch import autograd
from softxent.torch.calls import Call
from softxent.torch.linear_layer.layer import Given, Needs, layer_of, over, plan_of
from softxent.torch.linear_layer.on_gpu import StatisticsOnGPU, ahead


def to_masses(given: Given, upstream: Tensor, needs: Needs, budget: int, call: Call) -> tuple[Tensor, Tensor]:
    """upstream · ∂loss/∂target and ∂loss/∂weight, of probabilities."""
    layer = layer_of(*given, call)
    to_target, to_weight = (
        torch.zeros_like(a) if need else given[0].new_empty(0) for a, need in zip(given[3:], needs, strict=True)
    )
    for where, f in formulas(layer, upstream, budget, call):
        of_target, of_weight = autograd.of_masses(f.to_masses, f, given[3], given[4], (*needs,))
        if of_target is not None:
            to_target[where] = of_target.to(to_target.dtype)
        if of_weight is not None:
            to_weight += of_weight
    return to_target, to_weight


def formulas(layer: Layer, upstream: Tensor, budget: int, call: Call) -> Iterator[tuple[Any, Any]]:
    """The derivatives of chunks of rows; upstream is the loss's."""
    each = replace(call, options=layer.each, dtype=layer.library.dtype)
    plan = plan_of(layer, True, budget, copies=8, all_classes=True)
    u = upstream if call.options.reduction == "none" else over(upstream, layer.divisor()).expand(layer.rows)
    W = layer.library.operand(layer.W)
    for part, where in layer.chunks(plan.chunk[0]):
        z = layer.library.empty(part.stop - part.start, layer.classes)
        layer.logits(layer.library.operand(layer.x[where]), W, layer.bias, z)
        yield where, autograd.formulas(z, layer.target[where], layer.weight, u[where], each)


def second(
    given: Given,
    upstream: Tensor,
    of_input: Tensor | None,
    of_weight: Tensor | None,
    of_bias: Tensor | None,
    budget: int,
    call: Call,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How the gradients of x, W and bias change with changes of these, and how the loss does (or losses do)."""
    x, W, bias = given[:3]
    layer = layer_of(*given, call)
    cast, options = layer.library.cast, call.options
    to_x, to_W = (torch.zeros_like(a, dtype=layer.library.dtype) for a in (x, W))
    to_bias, of_loss = x.new_zeros(layer.classes, dtype=layer.library.dtype), layer.library.full((layer.rows,), 0)
    v_x, v_W, v_bias = (None if v is None else cast(v) for v in (of_input, of_weight, of_bias))
    wide_W = cast(W)
    for where, f in formulas(layer, upstream, budget, call):
        x_c, change = cast(x[where]), torch.zeros_like(f.x)
        if v_x is not None:
            change.addmm_(v_x[where], wide_W.T)
        if v_W is not None:
            change.addmm_(x_c, v_W.T)
        if v_bias is not None:
            change += v_bias
        K, G = f.hessian_times(change), f.gradient(f.upstream)
        to_x[where] = K @ wide_W if v_W is None else (K @ wide_W).addmm_(G, v_W)
        to_W.addmm_(K.T, x_c)
        if v_x is not None:
            to_W.addmm_(G.T, v_x[where])
        to_bias += K.sum(0)
        of_loss[where] = (f.gradient(torch.ones_like(f.upstream)) * change).sum(1).double()
    if options.reduction != "none":
        of_loss = over(of_loss.sum(), layer.divisor())
    return (
        to_x.to(x.dtype),
        to_W.to(W.dtype),
        to_bias.to(x.dtype if bias is None else bias.dtype),
        of_loss.to(call.dtype),
    )


def statistics_gradients(
    given: Given, upstream: list[Tensor], needs: Needs, budget: int, call: Call
) -> tuple[Tensor, ...]:
    """Of Σ upstream · (log p_y, entropy, lse)."""
    layer = layer_of(*given, call)
    if layer.library.operands(0, 0) is not None:
        return in_16_bits(layer, given, upstream, needs, budget, call)
    sums: list[Any] = [
        torch.zeros_like(a, dtype=layer.library.dtype) if need else None
        for a, need in zip(given[:3], needs, strict=True)
    ]
    layer.counted, layer.count = None, layer.rows  # the ignored rows have an entropy too
    W, each = layer.library.cast(layer.W), replace(call, options=layer.each, dtype=layer.library.dtype)
    for _, where in layer.chunks(plan_of(layer, True, budget, copies=8, all_classes=True).chunk[0]):
        x, z = layer.library.cast(layer.x[where]), layer.library.empty(len(layer.x[where]), layer.classes)
        layer.logits(x, W, layer.bias, z)
        G = change_of_statistics(z, layer.target[where], [u[where] for u in upstream], each)
        if sums[0] is not None:
            sums[0][where] = G @ W
        if sums[1] is not None:
            sums[1].addmm_(G.T, x)
        if sums[2] is not None:
            sums[2] += G.sum(0)
    return tuple(given[0].new_empty(0) if a is None else a.to(of.dtype) for a, of in zip(sums, given[:3], strict=True))


def in_16_bits(
    layer: Layer, given: Given, upstream: list[Tensor], needs: Needs, budget: int, call: Call
) -> tuple[Tensor, ...]:
    """The same where a GPU multiplies 16 bits, in the loop of the loss and its gradients."""
    layer.library = StatisticsOnGPU(layer.x, layer.library.dtype, layer.library.multiplied, call)
    capped = (
        2 * max(AT_ONCE * layer.classes, AT_ONCE_NUMBERS) if call.options.softcap else 0
    )  # and where they are masks
    plan = plan_of(layer, True, budget, beside=capped)
    _, finish = ahead(layer, plan, torch.stack(upstream, 1), given, needs)
    return tuple(given[0].new_empty(0) if a is None else a for a in finish(None))


def change_of_statistics(z: Tensor, target: Tensor, upstream: list[Tensor], call: Call) -> Tensor:
    """Σ upstream · ∂(log p_y, entropy, lse)/∂x of a chunk of logits."""
    options = call.options
    scaled, slope = z / options.temperature, 1 / options.temperature
    if (c := options.softcap) is not None:
        tanh = torch.tanh(z / c)
        scaled, slope = torch.where(z == -torch.inf, z, c * tanh) / options.temperature, (1 - tanh * tanh) * slope
    with torch.enable_grad():
        leaf = scaled.requires_grad_()
        plain = replace(call, options=replace(options, softcap=None, temperature=1.0))
        found = autograd.statistics(leaf, target, plain.arguments)[:3]
        (of_scaled,) = torch.autograd.grad(found, leaf, upstream)
    return of_scaled * slope
