"""The last layer and its loss, of tensors: the loop of softxent.linear behind autograd.

Flattened here: input rows × features, weight classes × features, probabilities rows × classes. With
Ż the change of the logits in the direction of changes (ẋ, Ẇ, ḃ),

    Ż = ẋ·Wᵀ + x·Ẇᵀ + ḃ,   K = H·Ż   with H the Hessian of the loss in the logits,

the gradients change by K·W + G·Ẇ, Kᵀ·x + Gᵀ·ẋ and Σ K; and as the Hessian is symmetric, double backward is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from softxent import linear
from softxent.linear import Gradients, Layer, LinearPlan, Truncation, across_classes, linear_plan, per_row
from softxent.linear.plan import remembered_plan
from softxent.options import LossOptions
from softxent.results import Statistics
from softxent.torch import autograd, checks
from softxent.torch.calls import COMPUTED_IN, Call
from softxent.torch.devices import kernels_of

Given = tuple[Tensor, Tensor, Tensor | None, Tensor, Tensor | None]  # x, W, bias, target, class weights
Needs = list[bool]  # of the gradients of x, W and bias
COLUMNS = 512  # of x·Wᵀ at a time: MKL on AMD is 1.3–2 × as fast as with all of 50257, benchmarks/products.py


class Products:
    """PyTorch for one call, computed in `dtype`; softxent.linear.layer.Library says what each does."""

    xp = torch

    def __init__(self, x: Tensor, dtype: torch.dtype, multiplied: torch.dtype) -> None:
        self.kernels, self.device, self.dtype, self.multiplied = kernels_of(x), x.device, dtype, multiplied
        self.call = Call(1, LossOptions(reduction="none", ignore_index=-1), torch.float64, "zero", checks.ARRAYS)

    def empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def full(self, shape: tuple[int, ...], value: float) -> Tensor:
        return torch.full(shape, value, dtype=torch.float64, device=self.device)

    def cast(self, a: Tensor) -> Tensor:
        return a.to(self.dtype)

    def wide(self, a: Tensor) -> Tensor:
        return a.double()

    def like(self, a: Tensor, other: Tensor) -> Tensor:
        return a.to(other.dtype)

    def sum_for(self, a: Tensor) -> Tensor:
        return a if a.dtype == self.dtype else torch.empty_like(a, dtype=self.dtype)

    def operand(self, a: Tensor) -> Tensor:
        return a.to(self.multiplied)

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return (a @ b).to(self.dtype)

    def product(self, a: Tensor, b: Tensor, out: Tensor) -> None:
        if not a.dtype == b.dtype == out.dtype:
            out.copy_(self.operand(a) @ self.operand(b))
            return
        columns = COLUMNS if out.is_cpu else max(1, out.shape[1])
        for part in (slice(k, k + columns) for k in range(0, out.shape[1], columns)):
            torch.mm(a, b[:, part], out=out[:, part])  # within an operator matmul, unlike mm, would refuse leaves

    def add_product(self, a: Tensor, b: Tensor, to: Tensor, first: bool) -> None:
        if first:
            self.product(a, b, to)
        elif a.dtype == b.dtype == to.dtype:
            to.addmm_(a, b)
        else:
            to += self.operand(a) @ self.operand(b)

    def column_sums(self, a: Tensor) -> Tensor:
        return a.sum(0)

    def indices(self, mask: Tensor) -> Tensor:
        return mask.nonzero()[:, 0]

    def cross_entropy(
        self, z: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions, upstream: Tensor | None
    ) -> Tensor:
        call = replace(self.call, options=options)
        return self.kernels.loss(z, target, weight, call, None if upstream is None else z, upstream)

    def logsumexp(self, z: Tensor) -> Tensor:
        return self.kernels.logsumexp(z, 1, "logits").double()

    def softmax(self, z: Tensor) -> None:
        self.kernels.softmax(z, 1, 1.0, "logits", z)

    def statistics(self, z: Tensor, target: Tensor) -> Statistics:
        return self.kernels.statistics(z, target, self.call)

    def sample(self, z: Tensor, uniform: Tensor) -> tuple[Tensor, int]:
        return self.kernels.draw(z, 1, 1.0, uniform, "logits")

    def larger(self, z: Tensor, than: Tensor) -> Tensor:
        """By rows: a sum of bools makes a tensor of integers."""
        return torch.stack([torch.count_nonzero(row > least) for row, least in zip(z, than, strict=True)])

    def largest(self, z: Tensor, k: int) -> Tensor:
        return torch.topk(z, k, 1).values


# Without autograd -----------------------------------------------------------------------------------------------------


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


def multiplied_in(x: Tensor, W: Tensor, dtype: torch.dtype) -> torch.dtype:
    """bfloat16 where the processor multiplies it, for inputs and weight of it; its products are rounded once."""
    if x.dtype == W.dtype == torch.bfloat16 and (multiplies_bfloat16() or not x.is_cpu):
        return torch.bfloat16
    return dtype


@cache
def multiplies_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def computed_in(x: Tensor, W: Tensor, bias: Tensor | None) -> torch.dtype:
    dtype = torch.promote_types(COMPUTED_IN[x.dtype], COMPUTED_IN[W.dtype])
    return dtype if bias is None else torch.promote_types(dtype, COMPUTED_IN[bias.dtype])


def plan_of(layer: Layer, gradients: bool, budget: int, **more: int) -> LinearPlan:
    """`more` is what is held of all rows, not of those that are counted."""
    return remembered_plan(
        layer.rows if more else layer.count,
        layer.x.shape[1],
        layer.classes,
        itemsize=layer.library.dtype.itemsize,
        gradients=gradients,
        memory_budget=budget if budget >= 0 else "auto",
        cast=layer.x.dtype != layer.library.dtype or layer.W.dtype != layer.library.dtype,
        arrays=layer.arrays(gradients) + (layer.library.multiplied != layer.library.dtype),
        **more,
    )


def loss(given: Given, call: Call, budget: int) -> Tensor:
    layer = layer_of(*given, call)
    return reduced(layer, linear.losses(layer, plan_of(layer, False, budget)), call)


def reduced(layer: Layer, losses: Tensor, call: Call) -> Tensor:
    if call.options.reduction == "none":
        result = losses.new_zeros(layer.rows, dtype=call.dtype)
        result[slice(None) if layer.counted is None else layer.counted] = losses.to(call.dtype)
        return result
    total, divisor = losses.sum(), layer.divisor()
    if not divisor and call.empty == "nan":
        return (total / divisor).to(call.dtype)
    return (total / (divisor or torch.inf)).to(call.dtype)


def gradients(given: Given, upstream: Tensor, call: Call, budget: int, needs: Needs) -> tuple[Tensor, ...]:
    """upstream · the gradients to x, W and bias; one that is not needed is empty."""
    layer = layer_of(*given, call)
    to = places(given, needs)
    linear.loss_and_gradients(layer, plan_of(layer, True, budget), over(layer, upstream), to)
    return tuple(given[0].new_empty(0) if a is None else a for a in to)


def loss_and_gradients(given: Given, call: Call, budget: int) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """The loss and the gradients of it, or of Σ losses."""
    layer = layer_of(*given, call)
    to = places(given, [True, True, given[2] is not None])
    upstream = 1.0 if call.options.reduction == "none" else over(layer, torch.ones(()))
    losses = linear.loss_and_gradients(layer, plan_of(layer, True, budget), upstream, to)
    return reduced(layer, losses, call), *to


def places(given: Given, needs: Needs) -> Gradients:
    return Gradients(*(torch.empty_like(a) if need else None for a, need in zip(given[:3], needs, strict=True)))


def over(layer: Layer, upstream: Tensor) -> Tensor | float:
    """The upstream gradient of each row's loss, from that of the result."""
    if layer.options.reduction == "none":
        return upstream
    return upstream.item() / (layer.divisor() or torch.inf)


def loss_ahead(
    given: Given, call: Call, budget: int, needs: Needs
) -> tuple[Tensor, Callable[[Tensor], Gradients] | None]:
    """The loss, and what makes of an upstream gradient those to x, W and bias, once, if work on these was done ahead.

    Along rows all of it is, where the upstream gradient is likely to be 1, and none where it is not.
    """
    layer = layer_of(*given, call)
    plan, to = plan_of(layer, True, budget), places(given, needs)

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


def to_masses(given: Given, upstream: Tensor, call: Call, budget: int, needs: Needs) -> tuple[Tensor, Tensor]:
    """upstream · ∂loss/∂target and ∂loss/∂weight, of probabilities."""
    layer = layer_of(*given, call)
    to_target, to_weight = (
        torch.zeros_like(a) if need else given[0].new_empty(0) for a, need in zip(given[3:], needs, strict=True)
    )
    for where, f in formulas(layer, upstream, call, budget):
        of_target, of_weight = autograd.of_masses(f.to_masses, f, given[3], given[4], (*needs,))
        if of_target is not None:
            to_target[where] = of_target.to(to_target.dtype)
        if of_weight is not None:
            to_weight += of_weight
    return to_target, to_weight


def formulas(layer: Layer, upstream: Tensor, call: Call, budget: int) -> Any:
    """The derivatives of chunks of rows; upstream is the loss's."""
    each = replace(call, options=layer.each, dtype=layer.library.dtype)
    plan = plan_of(layer, True, budget, copies=8, all_classes=True)
    u = upstream if call.options.reduction == "none" else (upstream / (layer.divisor() or torch.inf)).expand(layer.rows)
    W = layer.library.operand(layer.W)
    for part, where in layer.chunks(plan.chunk[0]):
        z = layer.library.empty(part.stop - part.start, layer.classes)
        layer.logits(layer.library.operand(layer.x[where]), W, layer.bias, z)
        yield where, autograd.formulas(z, layer.target[where], layer.weight, u[where], each)


def second(
    given: Given, upstream: Tensor, changes: tuple[Tensor | None, ...], call: Call, budget: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """How the gradients of x, W and bias change with `changes` of these, and how the loss does (or losses do)."""
    x, W, bias = given[:3]
    layer = layer_of(*given, call)
    cast, options = layer.library.cast, call.options
    of_x, of_W = (torch.zeros_like(a, dtype=layer.library.dtype) for a in (x, W))
    of_bias, of_loss = x.new_zeros(layer.classes, dtype=layer.library.dtype), layer.library.full((layer.rows,), 0)
    v_x, v_W, v_bias = (None if v is None else cast(v) for v in changes)
    wide_W = cast(W)
    for where, f in formulas(layer, upstream, call, budget):
        x_c, change = cast(x[where]), torch.zeros_like(f.x)
        if v_x is not None:
            change.addmm_(v_x[where], wide_W.T)
        if v_W is not None:
            change.addmm_(x_c, v_W.T)
        if v_bias is not None:
            change += v_bias
        K, G = f.hessian_times(change), f.gradient(f.upstream)
        of_x[where] = K @ wide_W if v_W is None else (K @ wide_W).addmm_(G, v_W)
        of_W.addmm_(K.T, x_c)
        if v_x is not None:
            of_W.addmm_(G.T, v_x[where])
        of_bias += K.sum(0)
        of_loss[where] = (f.gradient(torch.ones_like(f.upstream)) * change).sum(1).double()
    if options.reduction != "none":
        of_loss = of_loss.sum() / (layer.divisor() or torch.inf)
    return (
        of_x.to(x.dtype),
        of_W.to(W.dtype),
        of_bias.to(x.dtype if bias is None else bias.dtype),
        of_loss.to(call.dtype),
    )


def statistics(given: Given, call: Call, budget: int) -> tuple[Tensor, ...]:
    layer = layer_of(*given, call)
    found = per_row.statistics(layer, plan_of(layer, False, budget, copies=0))
    return *(column.to(layer.library.dtype) for column in found[:3]), *found[3:]


def statistics_gradients(
    given: Given, upstream: list[Tensor], call: Call, budget: int, needs: Needs
) -> tuple[Tensor, ...]:
    """Of Σ upstream · (log p_y, entropy, lse)."""
    layer, to = layer_of(*given, call), places(given, needs)
    sums: list[Any] = [None if a is None else torch.zeros_like(a, dtype=layer.library.dtype) for a in to]
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
    return tuple(given[0].new_empty(0) if a is None else total.to(a.dtype) for a, total in zip(to, sums, strict=True))


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


def sample(
    given: Given, uniform: Tensor, truncation: Truncation, call: Call, budget: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The classes, log p of them, and the first row without probabilities, or −1."""
    layer = layer_of(*given, call)
    layer.target = torch.zeros_like(layer.target)
    parts = iter_of(uniform)
    index, log_prob, bad = per_row.sample(
        layer, plan_of(layer, False, budget, **truncation.held(layer.options, layer.classes)), parts, truncation
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
        memory_budget=budget if budget >= 0 else "auto",
        cast=x.dtype != dtype or W.dtype != dtype,
        arrays=1 + (multiplied_in(x, W, dtype) != dtype),
        **truncation.held(options, classes),
    )
    return rows if plan.along_rows else 2 * rows * -(-classes // plan.chunk[1])
