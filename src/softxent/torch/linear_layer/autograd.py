"""A last layer's loss and statistics behind autograd."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._C._autograd import _top_saved_tensors_default_hooks as saved_tensors_hooks

from softxent.linear import Truncation
from softxent.options import NUMBERS, LossOptions
from softxent.results import Statistics as Columns
from softxent.torch import checks
from softxent.torch.autograd import Compute, Function, checked, give_derivatives, keep, needs_graph, of_primals
from softxent.torch.calls import Call, by_operator, call_of
from softxent.torch.linear_layer import layer, ops
from softxent.torch.linear_layer import second as derivatives
from softxent.torch.linear_layer.layer import Given, Needs
from softxent.torch.linear_layer.ops import flat
from softxent.torch.linear_layer.products import computed_in

# The loss -------------------------------------------------------------------------------------------------------------


def cross_entropy(given: Given, arguments: Any, budget: int) -> Tensor:
    """`arguments` are call_of's."""
    if by_operator(*given):
        return ops.loss(*given, budget, *checked(arguments))
    call = call_of(*arguments)
    if not needs_graph(*given):
        return layer.loss(given, budget, call)
    wanted = torch.is_grad_enabled() and any(a is not None and a.requires_grad for a in given[:3])
    if wanted and saved_tensors_hooks(True) is None:
        return LossAhead.apply(None, *given, budget, call)
    return Loss.apply(flat(layer.loss), *given, budget, call)


class Loss(Function):
    """The loss; ∂loss/∂x = G·W, ∂loss/∂W = Gᵀ·x, ∂loss/∂b = Σ G, whose logits are computed again."""

    @staticmethod
    def forward(
        ctx: Any, compute: Compute, x: Tensor, W: Tensor, b: Any, t: Tensor, w: Any, budget: int, call: Call
    ) -> Tensor:
        ctx.budget, ctx.call = budget, call
        keep(ctx, x, W, b, t, w)
        return compute(x, W, b, t, w, budget, call)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if upstream is None:
            return (None,) * 8
        given, needs = ctx.saved_tensors, ctx.needs_input_grad
        found = [None] * 3
        if any(needs[1:4]):
            of = gradients_of(given, upstream, needs[1:4], ctx.budget, ctx.call)
            found = [a if need else None for a, need in zip(of, needs[1:4], strict=True)]
        return None, *found, *to_others(ctx, given, upstream), None, None

    @staticmethod
    @of_primals
    def jvp(ctx: Any, _: None, vx: Any, vW: Any, vb: Any, vt: Any, vw: Any, *__: None) -> Tensor:
        if vt is not None or vw is not None:
            raise checks.no_tangent("target" if vt is not None else ctx.call.names.weight)
        given = ctx.saved_tensors
        one = given[0].new_ones(
            given[0].shape[:1] if ctx.call.options.reduction == "none" else (), dtype=ctx.call.dtype
        )
        return second_of(given, one, (vx, vW, vb), ctx.budget, ctx.call)[3]


def to_others(ctx: Any, given: Given, upstream: Tensor) -> tuple[Tensor | None, Tensor | None]:
    """∂loss/∂target and ∂loss/∂weight of probabilities."""
    needs = ctx.needs_input_grad[4:6]
    if not any(needs):
        return None, None
    if torch.is_grad_enabled():
        raise checks.no_second("target" if needs[0] else ctx.call.names.weight)
    if by_operator(*given, upstream):
        found = ops.masses(*given, upstream, [*needs], ctx.budget, *ctx.call.arguments)
    else:
        found = derivatives.to_masses(given, upstream, [*needs], ctx.budget, ctx.call)
    of_target, of_weight = (a if need else None for a, need in zip(found, needs, strict=True))
    return of_target, of_weight


class LossAhead(Function):
    """The same, whose forward computes what it can of the gradients beside the loss."""

    @staticmethod
    def forward(ctx: Any, _: None, x: Tensor, W: Tensor, b: Any, t: Tensor, w: Any, budget: int, call: Call) -> Tensor:
        ctx.budget, ctx.call = budget, call
        keep(ctx, x, W, b, t, w)
        loss, ctx.finish = layer.loss_ahead((x, W, b, t, w), [*ctx.needs_input_grad[1:4]], budget, call)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        finish, ctx.finish = ctx.finish, None
        if finish is None or upstream is None or torch.is_grad_enabled() or by_operator(upstream):
            return Loss.backward(ctx, upstream)
        given = ctx.saved_tensors
        return None, *finish(upstream), *to_others(ctx, given, upstream), None, None

    jvp = Loss.jvp


def gradients_of(given: Given, upstream: Tensor, needs: Any, budget: int, call: Call) -> tuple[Tensor, ...]:
    if by_operator(*given, upstream):
        return ops.gradients(*given, upstream, [*needs], budget, *call.arguments)
    if not needs_graph(*given, upstream):
        return layer.gradients(given, upstream, [*needs], budget, call)
    return LossGradients.apply(flat(layer.gradients), *given, upstream, [*needs], budget, call)


class LossGradients(Function):
    """upstream · the gradients to x, W and bias; their derivatives, of which target and weights have none."""

    @staticmethod
    def forward(
        ctx: Any,
        compute: Compute,
        x: Tensor,
        W: Tensor,
        b: Any,
        t: Tensor,
        w: Any,
        u: Tensor,
        needs: Needs,
        budget: int,
        call: Call,
    ) -> Any:
        ctx.needs, ctx.budget, ctx.call = needs, budget, call
        keep(ctx, x, W, b, t, w, u)
        return compute(x, W, b, t, w, u, needs, budget, call)

    @staticmethod
    def backward(ctx: Any, *v: Tensor | None) -> Any:
        *given, upstream = ctx.saved_tensors
        needs = ctx.needs_input_grad
        if any(needs[4:6]):
            raise checks.no_second("target" if needs[4] else ctx.call.names.weight)
        v = tuple(a if need else None for a, need in zip(v, ctx.needs, strict=True))
        if all(a is None for a in v):
            return (None,) * 10
        of_x, of_W, of_b, of_u = second_of(given, upstream, v, ctx.budget, ctx.call)
        found = [a if need else None for a, need in zip((of_x, of_W, of_b), needs[1:4], strict=True)]
        return None, *found, None, None, of_u.to(upstream.dtype) if needs[6] else None, None, None, None

    @staticmethod
    @of_primals
    def jvp(ctx: Any, _: None, vx: Any, vW: Any, vb: Any, vt: Any, vw: Any, vu: Any, *__: None) -> Any:
        if vt is not None or vw is not None:
            raise checks.no_tangent("target" if vt is not None else ctx.call.names.weight)
        *given, upstream = ctx.saved_tensors
        sums: Any = [None] * 3
        if any(a is not None for a in (vx, vW, vb)):
            sums = second_of(given, upstream, (vx, vW, vb), ctx.budget, ctx.call)[:3]
        if vu is not None:
            of_u = gradients_of(given, vu, ctx.needs, ctx.budget, ctx.call)
            sums = [b if a is None else a + b for a, b in zip(sums, of_u, strict=True)]
        return tuple(a if need else given[0].new_empty(0) for a, need in zip(sums, ctx.needs, strict=True))


def second_of(given: Any, upstream: Tensor, v: Any, budget: int, call: Call) -> tuple[Tensor, ...]:
    if by_operator(*given, upstream, *v):
        return ops.second(*given, upstream, *v, budget, *call.arguments)
    compute, arguments = flat(derivatives.second), (*given, upstream, *v, budget, call)
    return Second.apply(compute, *arguments) if needs_graph(*given, upstream, *v) else compute(*arguments)


class Last(Function):
    """What has no derivatives: asking for them is an error that says so."""

    @staticmethod
    def forward(ctx: Any, compute: Compute, *arguments: Any) -> Any:
        return compute(*arguments)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise checks.no_further()

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise checks.no_further()


class Second(Last):
    pass


class StatisticsGradients(Last):
    pass


# statistics, sample ---------------------------------------------------------------------------------------------------


def statistics_of(given: Given, arguments: Any, budget: int) -> Columns:
    if by_operator(*given):
        return Columns(*ops.statistics(*given, budget, *checked(arguments)))
    call = call_of(*arguments)
    if not needs_graph(*given[:3]):
        return Columns(*layer.statistics(given, budget, call))
    return Columns(*Statistics.apply(flat(layer.statistics), *given, budget, call))


class Statistics(Function):
    """log p_y, entropy and lse, which have derivatives, and argmax and rank, which have none."""

    @staticmethod
    def forward(
        ctx: Any, compute: Compute, x: Tensor, W: Tensor, b: Any, t: Tensor, w: Any, budget: int, call: Call
    ) -> Any:
        ctx.budget, ctx.call = budget, call
        columns = tuple(compute(x, W, b, t, w, budget, call))
        ctx.mark_non_differentiable(*columns[3:])
        keep(ctx, x, W, b, t, w, columns[0])
        return columns

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> Any:
        *given, like = ctx.saved_tensors
        needs = [*ctx.needs_input_grad[1:4]]
        u = [torch.zeros_like(like) if a is None else a for a in upstream[:3]]
        if by_operator(*given, *u):
            found = ops.statistics_gradients(*given, u, needs, ctx.budget, *ctx.call.arguments)
        elif needs_graph(*given, *u):
            compute = flat(derivatives.statistics_gradients)
            found = StatisticsGradients.apply(compute, *given, u, needs, ctx.budget, ctx.call)
        else:
            found = derivatives.statistics_gradients(given, u, needs, ctx.budget, ctx.call)
        return None, *(a if need else None for a, need in zip(found, needs, strict=True)), *(None,) * 4

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> Any:
        raise checks.no_tangent("linear_statistics")


def drawn(
    x: Tensor, W: Tensor, b: Tensor | None, truncation: Truncation, generator: Any, arguments: Any, budget: int
) -> Any:
    """The classes and their log-probabilities, without derivatives."""
    x, W, b = x.detach(), W.detach(), None if b is None else b.detach()
    options = LossOptions(**{field.name: a for field, a in zip(NUMBERS, arguments[1:-3], strict=True)})
    count = layer.draws(x, W, computed_in(x, W, b), truncation, options, budget)
    given = {} if generator is None else {"generator": generator}
    uniform = torch.rand(count, dtype=torch.float64, device=x.device, **given)
    if by_operator(x, W, b):
        top = truncation.top_k, truncation.top_p, truncation.min_p
        return ops.sample(x, W, b, uniform, *top, budget, *checked(arguments))
    return layer.sample((x, W, b), uniform, truncation, budget, call_of(*arguments))


give_derivatives(ops.loss, Loss, 6)
give_derivatives(ops.gradients, LossGradients, 8)
give_derivatives(ops.second, Second, 10)
give_derivatives(ops.statistics, Statistics, 6)
give_derivatives(ops.statistics_gradients, StatisticsGradients, 8)
