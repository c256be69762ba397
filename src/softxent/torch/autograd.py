"""The kernel behind PyTorch's autograd: each Function's forward is one kernel call, and has its derivatives beside it.

Every derivative is made of these Functions and of PyTorch's own operations, so that it has derivatives in turn.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from softxent.torch import checks, dispatch, formulas, kernel
from softxent.torch.function import (
    EagerFunction,
    apply,
    forbid_second_forward,
    leading,
    transforms_active,
    with_eager_twin,
)
from softxent.torch.kernel import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, Call

# softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------


@with_eager_twin
class Softmax(Function):
    """p; ∂p_j/∂x_i = p_j·([i = j] − p_i) / T, which is symmetric."""

    @staticmethod
    def forward(x: Tensor, axis: int, temperature: float) -> Tensor:
        return kernel.normalize(SOFTMAX, x, axis, temperature)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        _, ctx.axis, ctx.temperature = inputs
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        (p,) = ctx.saved_tensors
        return formulas.softmax_times(v, p, ctx.axis, ctx.temperature), None, None

    @staticmethod
    def jvp(ctx: Any, v: Tensor, *_: None) -> Tensor:
        forbid_second_forward()
        return Softmax.backward(ctx, v)[0]

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, axis: int, temperature: float) -> tuple[Tensor, int]:
        return dispatch.softmax(leading(x, in_dims[0], info.batch_size), axis + 1, temperature), 0


@with_eager_twin
class LogSoftmax(Function):
    """log p; ∂log p_j/∂x_i = ([i = j] − p_i) / T."""

    @staticmethod
    def forward(x: Tensor, axis: int, temperature: float) -> Tensor:
        return kernel.normalize(LOG_SOFTMAX, x, axis, temperature)

    setup_context = Softmax.setup_context

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        (log_p,) = ctx.saved_tensors
        return formulas.times_log_softmax(v, log_p, ctx.axis, ctx.temperature), None, None

    @staticmethod
    def jvp(ctx: Any, v: Tensor, *_: None) -> Tensor:
        forbid_second_forward()
        (log_p,) = ctx.saved_tensors
        return formulas.log_softmax_times(v, log_p, ctx.axis, ctx.temperature)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, axis: int, temperature: float) -> tuple[Tensor, int]:
        return dispatch.log_softmax(leading(x, in_dims[0], info.batch_size), axis + 1, temperature), 0


@with_eager_twin
class LogSumExp(Function):
    """lse; ∂lse/∂x_j = p_j."""

    @staticmethod
    def forward(x: Tensor, axis: int) -> Tensor:
        return kernel.normalize(LOGSUMEXP, x, axis)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        x, ctx.axis = inputs
        ctx.save_for_backward(x)
        ctx.save_for_forward(x)

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        return v.unsqueeze(ctx.axis) * dispatch.softmax(x, ctx.axis), None

    @staticmethod
    def jvp(ctx: Any, v: Tensor, *_: None) -> Tensor:
        forbid_second_forward()
        (x,) = ctx.saved_tensors
        return (v * dispatch.softmax(x, ctx.axis)).sum(ctx.axis)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, axis: int) -> tuple[Tensor, int]:
        return dispatch.logsumexp(leading(x, in_dims[0], info.batch_size), axis + 1), 0


# cross-entropy ----------------------------------------------------------------------------------------------------


@with_eager_twin
class CrossEntropy(Function):
    """The loss. It keeps the logits, which exist anyway; lse would not do, for p_y − 1 needs the others beside p_y."""

    @staticmethod
    def forward(x: Tensor, target: Tensor, weight: Tensor | None, call: Call) -> Tensor:
        return kernel.loss(x, target, weight, call)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Tensor) -> None:
        *tensors, ctx.call = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        return *formulas.loss_backward(ctx, upstream), None

    @staticmethod
    def jvp(ctx: Any, v: Tensor | None, target_v: Tensor | None, *_: None) -> Tensor:
        forbid_second_forward()
        (x, target, weight), call = ctx.saved_tensors[:3], ctx.call
        shape = kernel.rows_of(x, call.axis) if call.options.reduction == "none" else ()
        one, result = torch.ones(shape, dtype=x.dtype), torch.zeros(shape, dtype=call.dtype)
        if v is not None:
            result = result + formulas.total(dispatch.gradient(x, target, weight, one, call) * v, x, call)
        if target_v is not None:
            terms = formulas.target_gradient(x, target, weight, one, call) * target_v
            result = result + formulas.total(terms, x, call)
        return result.to(call.dtype)

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, target: Tensor, weight: Tensor | None, call: Call) -> Any:
        checks.one_weight(in_dims[2])
        x, target = (leading(a, d, info.batch_size) for a, d in zip((x, target), in_dims, strict=False))
        losses = apply(CrossEntropy, x, target, weight, call.of_rows())
        if call.options.reduction == "none":
            return losses, 0
        total, count = losses.unsqueeze(-1).flatten(1).sum(1), formulas.divisor(x, target, weight, call, batched=True)
        mean = total / count
        return (mean if call.empty == "nan" else torch.where(torch.as_tensor(count) == 0, 0, mean)), 0


class GradientAhead(EagerFunction):
    """The same in one pass: the gradient is computed beside the loss, for an upstream gradient of 1.

    Another upstream gradient computes it again, into the same memory, rather than multiplying what has been rounded.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, target: Tensor, weight: Tensor | None, call: Call) -> Tensor:
        grad = kernel.empty_like(x)
        loss = kernel.loss(x, target, weight, call, grad)
        ctx.call, ctx.spent = call, False
        ctx.save_for_backward(x, target, weight, grad)
        ctx.save_for_forward(x, target, weight)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if ctx.spent or torch.is_grad_enabled() or transforms_active():
            return CrossEntropy.backward(ctx, upstream)
        x, target, weight, grad = ctx.saved_tensors
        ctx.spent = True  # from here on it is the caller's, who may write to it
        if upstream.item() != 1:
            kernel.gradient(x, target, weight, upstream, ctx.call, out=grad)
        of_target = formulas.target_gradient(x, target, weight, upstream, ctx.call) if ctx.needs_input_grad[1] else None
        return grad.data, of_target, None, None

    jvp = CrossEntropy.jvp


class InPlace(EagerFunction):
    """The same without a second array: the gradient takes the logits' place, which autograd is told of."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, target: Tensor, weight: Tensor | None, call: Call) -> Tensor:
        loss = kernel.loss(x, target, weight, call, out=x)
        torch.autograd.graph.increment_version(x)  # so that an operation which kept its result, as exp does, says so
        ctx.call, ctx.spent = call, False
        ctx.save_for_backward(x.data)
        return loss

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        if ctx.spent or torch.is_grad_enabled():
            raise checks.spent()
        (grad,) = ctx.saved_tensors
        ctx.spent = True
        if upstream.ndim:
            grad.mul_(upstream.unsqueeze(ctx.call.axis))
        elif upstream.item() != 1:
            grad.mul_(upstream)
        return grad.data, None, None, None


@with_eager_twin
class Gradient(Function):
    """G = upstream · ∂loss/∂x: linear in upstream, and in x the Hessian, which is symmetric."""

    @staticmethod
    def forward(x: Tensor, target: Tensor, weight: Tensor | None, upstream: Tensor, call: Call) -> Tensor:
        return kernel.gradient(x, target, weight, upstream, call)

    setup_context = CrossEntropy.setup_context

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        return *formulas.gradient_backward(ctx, v), None

    @staticmethod
    def jvp(
        ctx: Any, v: Tensor | None, target_v: Tensor | None, _: None, upstream_v: Tensor | None, __: None
    ) -> Tensor:
        forbid_second_forward()
        (x, target, weight, upstream), call = ctx.saved_tensors, ctx.call
        result = torch.zeros_like(x)
        if v is not None:
            result = result + formulas.hessian_times(v, x, target, weight, upstream, call)
        if target_v is not None:
            result = result + formulas.mixed_times(target_v, x, target, weight, upstream, call, to="input")
        if upstream_v is not None:
            result = result + dispatch.gradient(x, target, weight, upstream_v, call)
        return result

    @staticmethod
    def vmap(
        info: Any, in_dims: Any, x: Tensor, target: Tensor, weight: Tensor | None, upstream: Tensor, call: Call
    ) -> Any:
        checks.one_weight(in_dims[2])
        x, target, upstream = (
            leading(a, d, info.batch_size) for a, d in ((x, in_dims[0]), (target, in_dims[1]), (upstream, in_dims[3]))
        )
        rows = call.of_rows()
        if call.options.reduction != "none":
            upstream = formulas.over(upstream, formulas.divisor(x, target, weight, call, batched=True))
            shape = kernel.rows_of(x, rows.axis)
            upstream = upstream.reshape(-1, *(1 for _ in shape[1:])).expand(shape)
        return dispatch.gradient(x, target, weight, upstream, rows), 0


@with_eager_twin
class Statistics(Function):
    """log p_y, entropy and lse, which have derivatives, and argmax and rank, which have none."""

    @staticmethod
    def forward(x: Tensor, target: Tensor, call: Call) -> tuple[Tensor, ...]:
        return tuple(kernel.statistics(x, target, call))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: tuple[Tensor, ...]) -> None:
        x, target, ctx.call = inputs
        ctx.mark_non_differentiable(*output[3:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(x, target, output[1])
        ctx.save_for_forward(x, target, output[1])

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor | None) -> Any:
        return formulas.statistics_backward(ctx, *upstream[:3]), None, None

    @staticmethod
    def jvp(ctx: Any, v: Tensor, *_: None) -> Any:
        forbid_second_forward()
        (x, target, entropy), call = ctx.saved_tensors, ctx.call
        one = torch.ones_like(entropy)
        derivatives = (
            -dispatch.gradient(x, target, None, one, call),
            formulas.entropy_derivative(x, entropy, call),
            formulas.lse_derivative(x, entropy, call),
        )
        return *((d * v).sum(call.axis).to(entropy.dtype) for d in derivatives), None, None

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Tensor, target: Tensor, call: Call) -> Any:
        x, target = (leading(a, d, info.batch_size) for a, d in zip((x, target), in_dims, strict=False))
        return apply(Statistics, x, target, call.of_rows()), 0
