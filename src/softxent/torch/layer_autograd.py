"""softxent.torch.layer behind autograd, and as operators for graphs and transforms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._C._autograd import _top_saved_tensors_default_hooks as saved_tensors_hooks

from softxent.linear import Truncation
from softxent.options import NUMBERS, LossOptions
from softxent.results import Statistics as Columns
from softxent.torch import checks, layer, ops
from softxent.torch.autograd import Compute, Function, checked, give_derivatives, keep, needs_graph, of_primals
from softxent.torch.calls import SCHEMA, Call, by_operator, call_of
from softxent.torch.layer import Given, Needs

# The operators --------------------------------------------------------------------------------------------------------

GIVEN = "Tensor input, Tensor linear_weight, Tensor? linear_bias, Tensor target, Tensor? weight"


def one_by_one(name: str) -> Callable[..., Any]:
    return lambda info, dims, *arguments: ops.one_by_one(info, dims, getattr(torch.ops.softxent, name), *arguments)


def fake_loss(x: Tensor, W: Tensor, bias: Any, target: Any, weight: Any, budget: int, *arguments: Any) -> Tensor:
    call = call_of(*arguments)
    return x.new_empty(x.shape[:1] if call.options.reduction == "none" else (), dtype=call.dtype)


def fake_gradients(
    x: Tensor, W: Tensor, bias: Tensor | None, target: Any, weight: Any, _: Any, needs: Needs, *__: Any
) -> Any:
    return tuple(torch.empty_like(a) if need else x.new_empty(0) for a, need in zip((x, W, bias), needs, strict=True))


def fake_masses(x: Tensor, W: Any, bias: Any, target: Any, weight: Any, _: Any, needs: Needs, *__: Any) -> Any:
    return tuple(
        torch.empty_like(a) if need else x.new_empty(0) for a, need in zip((target, weight), needs, strict=True)
    )


def fake_second(
    x: Tensor,
    W: Tensor,
    bias: Tensor | None,
    target: Any,
    weight: Any,
    u: Any,
    vx: Any,
    vW: Any,
    vb: Any,
    budget: int,
    *arguments: Any,
) -> Any:
    of_bias = x.new_empty(W.shape[:1]) if bias is None else torch.empty_like(bias)
    return torch.empty_like(x), torch.empty_like(W), of_bias, fake_loss(x, W, bias, target, weight, budget, *arguments)


def fake_statistics(x: Tensor, W: Tensor, bias: Tensor | None, *_: Any) -> Any:
    floats = [layer.computed_in(x, W, bias)] * 3
    return tuple(x.new_empty(x.shape[:1], dtype=dtype) for dtype in [*floats, torch.int64, torch.int64])


def fake_sample(x: Tensor, *arguments: Any) -> Any:
    index = x.new_empty(x.shape[:1], dtype=torch.int64)
    return index, x.new_empty(x.shape[:1], dtype=arguments[-3]), index.new_empty((), device="cpu")


loss = ops.operator(
    "linear_loss",
    f"({GIVEN}, int budget, {SCHEMA}) -> Tensor",
    lambda _, x, W, b, t, w, budget, *arguments: layer.loss((x, W, b, t, w), call_of(*arguments), budget),
    fake_loss,
    one_by_one("linear_loss"),
)
gradients = ops.operator(
    "linear_gradients",
    f"({GIVEN}, Tensor upstream, bool[] needs, int budget, {SCHEMA}) -> (Tensor, Tensor, Tensor)",
    lambda _, x, W, b, t, w, u, needs, budget, *arguments: layer.gradients(
        (x, W, b, t, w), u, call_of(*arguments), budget, needs
    ),
    fake_gradients,
    one_by_one("linear_gradients"),
)
masses = ops.operator(
    "linear_masses",
    f"({GIVEN}, Tensor upstream, bool[] needs, int budget, {SCHEMA}) -> (Tensor, Tensor)",
    lambda _, x, W, b, t, w, u, needs, budget, *arguments: layer.to_masses(
        (x, W, b, t, w), u, call_of(*arguments), budget, needs
    ),
    fake_masses,
    one_by_one("linear_masses"),
)
second = ops.operator(
    "linear_second",
    f"({GIVEN}, Tensor upstream, Tensor? of_input, Tensor? of_weight, Tensor? of_bias, int budget, {SCHEMA})"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    lambda _, x, W, b, t, w, u, vx, vW, vb, budget, *arguments: layer.second(
        (x, W, b, t, w), u, (vx, vW, vb), call_of(*arguments), budget
    ),
    fake_second,
    one_by_one("linear_second"),
)
statistics = ops.operator(
    "linear_statistics",
    f"({GIVEN}, int budget, {SCHEMA}) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
    lambda _, x, W, b, t, w, budget, *arguments: layer.statistics((x, W, b, t, w), call_of(*arguments), budget),
    fake_statistics,
    one_by_one("linear_statistics"),
)
statistics_gradients = ops.operator(
    "linear_statistics_gradients",
    f"({GIVEN}, Tensor[] upstream, bool[] needs, int budget, {SCHEMA}) -> (Tensor, Tensor, Tensor)",
    lambda _, x, W, b, t, w, u, needs, budget, *arguments: layer.statistics_gradients(
        (x, W, b, t, w), u, call_of(*arguments), budget, needs
    ),
    fake_gradients,
    one_by_one("linear_statistics_gradients"),
)
sample = ops.operator(
    "linear_sample",
    "(Tensor input, Tensor linear_weight, Tensor? linear_bias, Tensor uniform, int? top_k, float? top_p, float? min_p, "
    f"int budget, {SCHEMA}) -> (Tensor, Tensor, Tensor)",
    lambda _, x, W, b, uniform, top_k, top_p, min_p, budget, *arguments: layer.sample(
        (x, W, b, torch.zeros(x.shape[:1], dtype=torch.int64, device=x.device), None),
        uniform,
        Truncation(top_k, top_p, min_p),
        call_of(*arguments),
        budget,
    ),
    fake_sample,
    one_by_one("linear_sample"),
)

# The loss -------------------------------------------------------------------------------------------------------------


def cross_entropy(given: Given, arguments: Any, budget: int) -> Tensor:
    """`arguments` are call_of's."""
    if by_operator(*given):
        return loss(*given, budget, *checked(arguments))
    call = call_of(*arguments)
    if not needs_graph(*given):
        return layer.loss(given, call, budget)
    wanted = torch.is_grad_enabled() and any(a is not None and a.requires_grad for a in given[:3])
    if wanted and saved_tensors_hooks(True) is None:
        return LossAhead.apply(layer.loss, *given, budget, call)
    return Loss.apply(direct(layer.loss), *given, budget, call)


def direct(f: Callable[..., Any]) -> Compute:
    """A function of `given`, with its arguments in the order of the operators."""
    return lambda x, W, b, t, w, budget, call: f((x, W, b, t, w), call, budget)


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
    arguments = (*given, upstream, [*needs], ctx.budget)
    if by_operator(*given, upstream):
        found = masses(*arguments, *ctx.call.arguments)
    else:
        found = layer.to_masses(given, upstream, ctx.call, ctx.budget, [*needs])
    of_target, of_weight = (a if need else None for a, need in zip(found, needs, strict=True))
    return of_target, of_weight


class LossAhead(Function):
    """The same, whose forward computes what it can of the gradients beside the loss."""

    @staticmethod
    def forward(
        ctx: Any, _: Compute, x: Tensor, W: Tensor, b: Any, t: Tensor, w: Any, budget: int, call: Call
    ) -> Tensor:
        ctx.budget, ctx.call = budget, call
        keep(ctx, x, W, b, t, w)
        loss, ctx.finish = layer.loss_ahead((x, W, b, t, w), call, budget, [*ctx.needs_input_grad[1:4]])
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
        return gradients(*given, upstream, [*needs], budget, *call.arguments)

    def compute(
        x: Tensor, W: Tensor, b: Any, t: Tensor, w: Any, u: Tensor, needs: Needs, budget: int, call: Call
    ) -> Any:
        return layer.gradients((x, W, b, t, w), u, call, budget, needs)

    arguments = (*given, upstream, [*needs], budget, call)
    return LossGradients.apply(compute, *arguments) if needs_graph(*given, upstream) else compute(*arguments)


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
        return second(*given, upstream, *v, budget, *call.arguments)

    def compute(
        x: Any, W: Any, b: Any, t: Any, w: Any, u: Any, vx: Any, vW: Any, vb: Any, budget: int, call: Call
    ) -> Any:
        return layer.second((x, W, b, t, w), u, (vx, vW, vb), call, budget)

    arguments = (*given, upstream, *v, budget, call)
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
        return Columns(*statistics(*given, budget, *checked(arguments)))
    compute, call = direct(layer.statistics), call_of(*arguments)
    found = (
        Statistics.apply(compute, *given, budget, call) if needs_graph(*given[:3]) else compute(*given, budget, call)
    )
    return Columns(*found)


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
            found = statistics_gradients(*given, u, needs, ctx.budget, *ctx.call.arguments)
        else:

            def compute(x: Any, W: Any, b: Any, t: Any, w: Any, u: Any, needs: Needs, budget: int, call: Call) -> Any:
                return layer.statistics_gradients((x, W, b, t, w), u, call, budget, needs)

            arguments = (*given, u, needs, ctx.budget, ctx.call)
            wanted = needs_graph(*given, *u)
            found = StatisticsGradients.apply(compute, *arguments) if wanted else compute(*arguments)
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
    count = layer.draws(x, W, layer.computed_in(x, W, b), truncation, options, budget)
    given = {} if generator is None else {"generator": generator}
    uniform = torch.rand(count, dtype=torch.float64, device=x.device, **given)
    top = truncation.top_k, truncation.top_p, truncation.min_p
    if by_operator(x, W, b):
        return sample(x, W, b, uniform, *top, budget, *checked(arguments))
    target = torch.zeros(x.shape[:1], dtype=torch.int64, device=x.device)
    return layer.sample((x, W, b, target, None), uniform, truncation, call_of(*arguments), budget)


give_derivatives(loss, Loss, 6)
give_derivatives(gradients, LossGradients, 8)
give_derivatives(second, Second, 10)
give_derivatives(statistics, Statistics, 6)
give_derivatives(statistics_gradients, StatisticsGradients, 8)
