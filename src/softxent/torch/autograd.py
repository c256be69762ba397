"""The kernels behind PyTorch's autograd: each Function's forward is one kernel call, and has its derivatives beside it.

Every derivative is made of these Functions and of PyTorch's own operations, so that it has derivatives in turn. The
operators of softxent.torch.ops get the same derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch._C import _after_autograd_keyset, _AutoDispatchBelowAutograd, _is_fwd_grad_enabled
from torch._C._autograd import _top_saved_tensors_default_hooks as saved_tensors_hooks
from torch._functorch.utils import enable_single_level_autograd_function
from torch.autograd import forward_ad

from softxent import derivatives
from softxent.results import Statistics as Columns
from softxent.torch import checks, ops
from softxent.torch.calls import COMPUTED_IN, Call, by_operator, call_of, rows_of
from softxent.torch.devices import kernels_of

Compute = Callable[..., Any]  # a Function's first argument: what computes the result from the others


class Function(torch.autograd.function._SingleLevelFunction):
    """A Function outside torch.func, whose apply comes without the preparations for it: half of a small call."""


def needs_graph(*tensors: Tensor | None) -> bool:
    """Whether one of them has a derivative to keep in mind."""
    if forward_ad._current_level >= 0:
        return True
    return torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in tensors)


class Primals:
    """What a ctx saved, without the tangents of the innermost level of forward mode; those of other levels stay."""

    def __init__(self, ctx: Any) -> None:
        self.ctx = ctx

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        return tuple(primal(x) for x in self.ctx.saved_tensors)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ctx, name)


def primal(x: Tensor | None) -> Tensor | None:
    return x if x is None or not x.is_floating_point() else forward_ad.unpack_dual(x, level=0).primal


def of_primals(jvp: Callable[..., Any]) -> Callable[..., Any]:
    """A jvp whose own derivative in forward mode PyTorch takes too, where it otherwise leaves it out without a word."""

    def differentiable(ctx: Any, *tangents: Tensor | None) -> Any:
        with forward_ad._set_fwd_grad_enabled(True):
            return jvp(Primals(ctx), *tangents)

    return differentiable


# softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------


def softmax(x: Tensor, axis: int, temperature: float = 1.0, name: str = "input") -> Tensor:
    if ops.wanted(x):
        return ops.softmax(x, axis, temperature, name)
    compute, given = kernels_of(x).softmax, (x, axis, temperature, name)
    return Softmax.apply(compute, *given) if needs_graph(x) else compute(*given)


def log_softmax(x: Tensor, axis: int, temperature: float = 1.0, name: str = "input") -> Tensor:
    if ops.wanted(x):
        return ops.log_softmax(x, axis, temperature, name)
    compute, given = kernels_of(x).log_softmax, (x, axis, temperature, name)
    return LogSoftmax.apply(compute, *given) if needs_graph(x) else compute(*given)


def logsumexp(x: Tensor, axis: int, name: str = "input") -> Tensor:
    if ops.wanted(x):
        return ops.logsumexp(x, axis, name)
    compute = kernels_of(x).logsumexp
    return LogSumExp.apply(compute, x, axis, name) if needs_graph(x) else compute(x, axis, name)


LIBRARY = derivatives.Library(softmax, log_softmax, logsumexp, torch.where, torch.tanh)


def with_p(ctx: Any, v: Tensor, formula: Callable[..., Tensor], p_of: Callable[[Tensor], Tensor]) -> Tensor:
    """`formula` of v and p, which is p_of what was saved; of 16-bit logits, which were, p computed again."""
    (saved,), (axis, T) = ctx.saved_tensors, ctx.arguments
    p = softmax(saved.float(), axis, T) if saved.dtype.itemsize == 2 else p_of(saved)
    return formula(v.to(p.dtype), p, axis, T).to(saved.dtype)


class Softmax(Function):
    """p; ∂p_j/∂x_i = p_j·([i = j] − p_i) / T, which is symmetric."""

    @staticmethod
    def forward(ctx: Any, compute: Compute, x: Tensor, axis: int, temperature: float, name: str) -> Tensor:
        p = compute(x, axis, temperature, name)
        ctx.arguments = axis, temperature
        keep(ctx, x if x.dtype.itemsize == 2 else p)  # p of 16 bits would leave few digits of v − Σ p·v
        return p

    @staticmethod
    def times_jacobian(ctx: Any, v: Tensor) -> Tensor:
        return with_p(ctx, v, derivatives.softmax_times, lambda p: p)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        return None, None if v is None else Softmax.times_jacobian(ctx, v), None, None, None

    @staticmethod
    @of_primals
    def jvp(ctx: Any, _: None, v: Tensor, *__: None) -> Tensor:
        return Softmax.times_jacobian(ctx, v)


class LogSoftmax(Function):
    """log p; ∂log p_j/∂x_i = ([i = j] − p_i) / T."""

    @staticmethod
    def forward(ctx: Any, compute: Compute, x: Tensor, axis: int, temperature: float, name: str) -> Tensor:
        log_p = compute(x, axis, temperature, name)
        ctx.arguments = axis, temperature
        keep(ctx, x if x.dtype.itemsize == 2 else log_p)
        return log_p

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        if v is None:
            return (None,) * 5
        return None, with_p(ctx, v, derivatives.times_log_softmax, torch.exp), None, None, None

    @staticmethod
    @of_primals
    def jvp(ctx: Any, _: None, v: Tensor, *__: None) -> Tensor:
        return with_p(ctx, v, derivatives.log_softmax_times, torch.exp)


class LogSumExp(Function):
    """lse; ∂lse/∂x_j = p_j."""

    @staticmethod
    def forward(ctx: Any, compute: Compute, x: Tensor, axis: int, name: str) -> Tensor:
        ctx.axis = axis
        keep(ctx, x)
        return compute(x, axis, name)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        if v is None:
            return (None,) * 4
        (x,) = ctx.saved_tensors
        wide = COMPUTED_IN[x.dtype]
        return None, (v.to(wide).unsqueeze(ctx.axis) * softmax(x.to(wide), ctx.axis)).to(x.dtype), None, None

    @staticmethod
    @of_primals
    def jvp(ctx: Any, _: None, v: Tensor, *__: None) -> Tensor:
        (x,) = ctx.saved_tensors
        wide = COMPUTED_IN[x.dtype]
        return (v.to(wide) * softmax(x.to(wide), ctx.axis)).sum(ctx.axis).to(x.dtype)


def keep(ctx: Any, *tensors: Tensor | None) -> None:
    """For backward, and for forward mode; what has no gradient or tangent comes as None, not as zeros."""
    ctx.save_for_backward(*tensors)
    ctx.save_for_forward(*tensors)
    ctx.set_materialize_grads(False)


# cross-entropy ----------------------------------------------------------------------------------------------------


def cross_entropy(x: Tensor, target: Tensor, weight: Tensor | None, arguments: Any, inplace: bool = False) -> Tensor:
    """`arguments` are call_of's."""
    if ops.wanted(x, target, weight):
        if inplace:
            raise checks.not_in_place()
        return ops.cross_entropy(x, target, weight, *checked(arguments))
    return cross_entropy_directly(x, target, weight, call_of(*arguments), inplace)


def cross_entropy_directly(x: Tensor, target: Tensor, weight: Tensor | None, call: Call, inplace: bool) -> Tensor:
    """Of tensors that no operator is wanted for."""
    compute, function = kernels_of(x).loss, CrossEntropy
    if not (x.requires_grad and torch.is_grad_enabled()):
        if not needs_graph(x, target, weight):
            return compute(x, target, weight, call)
    else:
        if inplace:
            others = {"target": target, call.names.weight: weight}
            checks.overwritable(call.names.logits, x, producers(x), **others)
            function = InPlace
        elif call.options.reduction != "none" and saved_tensors_hooks(True) is None:
            function = GradientAhead  # the upstream gradient is likely to be 1, and the graph not to be made again
    return function.apply(compute, x, target, weight, call)


def checked(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Those of call_of with each option as a plain number; a graph does that when it runs."""
    return arguments if torch.compiler.is_compiling() else call_of(*arguments).arguments


def gradient(x: Tensor, target: Tensor, weight: Tensor | None, upstream: Tensor, call: Call) -> Tensor:
    if ops.wanted(x, target, weight, upstream):
        return ops.cross_entropy_grad(x, target, weight, upstream, *call.arguments)
    compute, given = kernels_of(x).gradient, (x, target, weight, upstream, call)
    return Gradient.apply(compute, *given) if needs_graph(x, target, weight, upstream) else compute(*given)


def formulas(x: Tensor, target: Tensor, weight: Tensor | None, upstream: Tensor, call: Call) -> derivatives.Loss:
    """The derivatives of one call, in the dtype that it is computed in."""
    wide, by_index = COMPUTED_IN[x.dtype], not target.is_floating_point()
    x, upstream = x.to(wide), upstream.to(wide)
    target = target.long() if by_index else target.to(wide)
    weight = None if weight is None else weight.to(wide)
    return derivatives.Loss(
        LIBRARY,
        lambda u: gradient(x, target, weight, u, call),
        x,
        target,
        weight,
        upstream,
        by_index,
        call.axis,
        call.options,
    )


def ones(x: Tensor, call: Call) -> Tensor:
    """An upstream gradient of 1."""
    return x.new_ones(rows_of(x, call.axis) if call.options.reduction == "none" else (), dtype=COMPUTED_IN[x.dtype])


def of_masses(
    masses: Callable[[], Tensor], f: derivatives.Loss, target: Tensor, weight: Tensor | None, needed: tuple[bool, ...]
) -> tuple[Tensor | None, Tensor | None]:
    """From a derivative to a_j = w_j·q_j those to a probability target and to class weights."""
    if not any(needed):
        return None, None
    of_a = masses()
    of_target = f.masses_to_target(of_a).to(target.dtype) if needed[0] else None
    return of_target, f.masses_to_weight(of_a).to(weight.dtype) if needed[1] and weight is not None else None


class CrossEntropy(Function):
    """The loss. It keeps the logits, which exist anyway; lse would not do, for p_y − 1 needs the others beside p_y."""

    @staticmethod
    def forward(ctx: Any, compute: Compute, x: Tensor, target: Tensor, weight: Tensor | None, call: Call) -> Tensor:
        ctx.call = call
        keep(ctx, x, target, weight)
        return compute(x, target, weight, call)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if upstream is None:
            return (None,) * 5
        (x, target, weight), call = ctx.saved_tensors, ctx.call
        of_x = gradient(x, target, weight, upstream, call) if ctx.needs_input_grad[1] else None
        return None, of_x, *of_others(ctx, x, target, weight, upstream), None

    @staticmethod
    @of_primals
    def jvp(ctx: Any, _: None, v: Tensor | None, target_v: Tensor | None, weight_v: Tensor | None, __: None) -> Tensor:
        (x, target, weight), call = ctx.saved_tensors, ctx.call
        f = formulas(x, target, weight, ones(x, call), call)
        terms = [] if v is None else [f.gradient(f.upstream) * v]
        if target_v is not None or weight_v is not None:
            if f.by_index:
                raise checks.weight_derivative(call.names.weight)
            terms.append(f.to_masses() * f.masses_tangent(target_v, weight_v))
        return sum(map(f.total, terms)).to(call.dtype)


def of_others(ctx: Any, x: Tensor, target: Tensor, weight: Tensor | None, upstream: Tensor) -> Any:
    """∂loss/∂target and ∂loss/∂weight, where they are asked for."""
    if not any(ctx.needs_input_grad[2:4]):
        return None, None
    f = formulas(x, target, weight, upstream, ctx.call)
    return of_masses(f.to_masses, f, target, weight, ctx.needs_input_grad[2:4])


class GradientAhead(Function):
    """The same in one pass: the gradient is computed beside the loss, for an upstream gradient of 1.

    For another one it is multiplied if that adds no rounding, and else computed again into the same memory.
    """

    @staticmethod
    def forward(ctx: Any, compute: Compute, x: Tensor, target: Tensor, weight: Tensor | None, call: Call) -> Tensor:
        ctx.call, ctx.grad = call, kernels_of(x).empty_like(x)  # not saved, which would tie it to x's being unchanged
        keep(ctx, x, target, weight)
        return compute(x, target, weight, call, ctx.grad)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        grad, ctx.grad = ctx.grad, None  # from here on it is the caller's, who may write to it
        if grad is None or upstream is None or torch.is_grad_enabled() or by_operator(upstream):
            return CrossEntropy.backward(ctx, upstream)
        if kernels_of(grad).scale(grad, upstream) and not any(ctx.needs_input_grad[2:4]):
            return None, grad, None, None, None
        x, target, weight = ctx.saved_tensors
        of_target, of_weight = of_others(ctx, x, target, weight, upstream)
        return (
            None,
            kernels_of(x).gradient(x, target, weight, upstream, ctx.call, grad, ahead=True),
            of_target,
            of_weight,
            None,
        )

    jvp = CrossEntropy.jvp


HANDED_ON = {  # by the backward of these, as it came
    f"{name}Backward{k}"
    for name in (
        "Add", "Sub", "Clone", "ToCopy", "Alias", "View", "UnsafeView", "ReshapeAlias", "AsStrided", "T", "Transpose",
        "Permute", "Squeeze", "Unsqueeze", "Expand", "Slice", "Select", "Split", "Unbind", "ViewAs", "CopySlices",
    )
    for k in range(3)
}  # fmt: skip


def producers(x: Tensor) -> set[str]:
    """The kinds of nodes of autograd that get the gradient of `x` itself, not a result of it."""
    kinds, nodes = set(), [x.grad_fn]
    while nodes:
        node = nodes.pop()
        kinds.add(kind := type(node).__name__)
        if kind in HANDED_ON:
            nodes += [after for after, _ in node.next_functions if after is not None]
    return kinds


class InPlace(Function):
    """The same without a second array: backward writes the gradient over the logits, which autograd is told of."""

    @staticmethod
    def forward(ctx: Any, compute: Compute, x: Tensor, target: Tensor, weight: Tensor | None, call: Call) -> Tensor:
        ctx.call, ctx.grad, ctx.to_leaf = call, None, "AccumulateGrad" in producers(x)
        keep(ctx, x, target, weight)
        return compute(x, target, weight, call)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if upstream is None or not torch._C._will_engine_execute_node(ctx.next_functions[0][0]):
            ctx.needs_input_grad = (False, False, *ctx.needs_input_grad[2:])
            return CrossEntropy.backward(ctx, upstream)
        if ctx.grad is not None or torch.is_grad_enabled() or ops.wanted(upstream):
            raise checks.spent()
        x, target, weight = ctx.saved_tensors
        of_target, of_weight = of_others(ctx, x, target, weight, upstream)
        ctx.grad = x.data
        torch.autograd.graph.increment_version(x)  # so that an operation which kept its result, as exp does, says so
        kernels_of(x).gradient(x, target, weight, upstream, ctx.call, ctx.grad)
        grad = ctx.grad.clone() if ctx.to_leaf else ctx.grad  # else the logits' memory could become a leaf's .grad
        return None, grad, of_target, of_weight, None

    jvp = CrossEntropy.jvp


class Gradient(Function):
    """G = upstream · ∂loss/∂x: linear in upstream, and in x the Hessian, which is symmetric."""

    @staticmethod
    def forward(
        ctx: Any, compute: Compute, x: Tensor, target: Tensor, weight: Tensor | None, upstream: Tensor, call: Call
    ) -> Tensor:
        ctx.call = call
        keep(ctx, x, target, weight, upstream)
        return compute(x, target, weight, upstream, call)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        if v is None:
            return (None,) * 6
        (x, target, weight, upstream), needed = ctx.saved_tensors, ctx.needs_input_grad
        f = formulas(x, target, weight, upstream, ctx.call)
        v = v.to(f.x.dtype)
        of_target, of_weight = of_masses(lambda: f.gradient_to_masses(v), f, target, weight, needed[2:4])
        of_x = f.hessian_times(v).to(x.dtype) if needed[1] else None
        of_upstream = f.total(v * f.gradient(ones(x, ctx.call))).to(upstream.dtype) if needed[4] else None
        return None, of_x, of_target, of_weight, of_upstream, None

    @staticmethod
    @of_primals
    def jvp(ctx: Any, _: None, v: Any, target_v: Any, weight_v: Any, upstream_v: Any, __: None) -> Tensor:
        (x, target, weight, upstream), call = ctx.saved_tensors, ctx.call
        f = formulas(x, target, weight, upstream, call)
        terms = [] if v is None else [f.hessian_times(v.to(f.x.dtype))]
        if target_v is not None or weight_v is not None:
            if f.by_index:
                raise checks.weight_derivative(call.names.weight)
            terms.append(f.gradient_times_masses(f.masses_tangent(target_v, weight_v)))
        if upstream_v is not None:
            terms.append(f.gradient(upstream_v))
        return sum(terms).to(x.dtype)


# statistics, sample -------------------------------------------------------------------------------------------------


def statistics(x: Tensor, target: Tensor, arguments: tuple[Any, ...]) -> Columns:
    """`arguments` are call_of's."""
    if ops.wanted(x, target):
        return Columns(*ops.statistics(x, target, *checked(arguments)))
    compute, given = kernels_of(x).statistics, (x, target, call_of(*arguments))
    return Columns(*(Statistics.apply(compute, *given) if needs_graph(x) else compute(*given)))


def sample(x: Tensor, axis: int, temperature: float, uniform: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """The drawn indices and their log-probabilities, without derivatives."""
    x = x.detach()
    return (ops.sample if ops.wanted(x, uniform) else kernels_of(x).sample)(x, axis, temperature, uniform, name)


class Statistics(Function):
    """log p_y, entropy and lse, which have derivatives, and argmax and rank, which have none."""

    @staticmethod
    def forward(ctx: Any, compute: Compute, x: Tensor, target: Tensor, call: Call) -> tuple[Tensor, ...]:
        columns = tuple(compute(x, target, call))
        ctx.call = call
        ctx.mark_non_differentiable(*columns[3:])
        keep(ctx, x, target, columns[1])
        return columns

    @staticmethod
    def gradients(ctx: Any) -> tuple[Callable[[Tensor], Tensor], ...]:
        """upstream · ∂log p_y/∂x, ∂H/∂x and ∂lse/∂x."""
        (x, target, entropy), call = ctx.saved_tensors, ctx.call
        axis, T = call.axis, call.options.temperature
        x = x.to(entropy.dtype)

        def of_entropy(u: Tensor) -> Tensor:
            p, log_p = softmax(x, axis, T), log_softmax(x, axis, T)
            return u.unsqueeze(axis) * derivatives.entropy_gradient(p, log_p, entropy, axis, T, LIBRARY)

        return (
            lambda u: gradient(x, target, None, -u, call),
            of_entropy,
            lambda u: u.unsqueeze(axis) * softmax(x, axis, T) / T,
        )

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> Any:
        parts = [f(u) for f, u in zip(Statistics.gradients(ctx), upstream, strict=False) if u is not None]
        return None, sum(parts).to(ctx.saved_tensors[0].dtype) if parts else None, None, None

    @staticmethod
    @of_primals
    def jvp(ctx: Any, _: None, v: Tensor, *__: None) -> Any:
        entropy = ctx.saved_tensors[2]
        one = torch.ones_like(entropy)
        return *((f(one) * v).sum(ctx.call.axis).to(entropy.dtype) for f in Statistics.gradients(ctx)), None, None


# The operators' derivatives -------------------------------------------------------------------------------------------


def give_derivatives(operator: Any, function: type[Function], tensors: int | None = None) -> None:
    """The operator's arguments after its tensors are call_of's, or else those of the Function as they are."""

    def autograd(keyset: Any, *given: Any) -> Any:
        modes = torch.is_grad_enabled(), _is_fwd_grad_enabled()

        def below(*given: Any) -> Any:
            """Past autograd; the transforms of torch.func that lie outside see whether derivatives are wanted."""
            given = given if tensors is None else (*given[:tensors], *given[tensors].arguments)
            with (
                _AutoDispatchBelowAutograd(),
                torch.set_grad_enabled(modes[0]),
                forward_ad._set_fwd_grad_enabled(modes[1]),
            ):
                return operator.redispatch(keyset & _after_autograd_keyset, *given)

        if tensors is not None:
            given = (*given[:tensors], call_of(*given[tensors:]))
        with enable_single_level_autograd_function():
            return function.apply(below, *given) if any(modes) else below(*given)

    ops.LIBRARY.impl(operator._opname, autograd, "Autograd", with_keyset=True)


give_derivatives(ops.softmax, Softmax)
give_derivatives(ops.log_softmax, LogSoftmax)
give_derivatives(ops.logsumexp, LogSumExp)
give_derivatives(ops.cross_entropy, CrossEntropy, 3)
give_derivatives(ops.cross_entropy_grad, Gradient, 4)
give_derivatives(ops.statistics, Statistics, 2)
