"""Derivatives beyond the first, and those to probability targets, in differentiable PyTorch operations.

Letters as in softxent.definition. The gradient is G_j = u·s_j·(B·p_j − a_j) with B = A + 2λ·lse and s_j = ∂z_j/∂x_j;
u is the row's upstream gradient over the divisor of the mean. From ∂p_j/∂z_i = p_j·([i = j] − p_i),

    Σ_j v_j·∂G_j/∂x_i = u·s_i·p_i·(B·(s_i·v_i − v̄) + 2λ·v̄) + G_i·v_i·s_i′ / s_i,    v̄ = Σ_j p_j·s_j·v_j
    s_i′ / s_i = −2·tanh(x_i / c) / c                                                with a softcap, 0 without
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softxent.options import LossOptions
from softxent.torch import dispatch
from softxent.torch.kernel import COMPUTED_IN, Call

# of softmax and its logarithm ---------------------------------------------------------------------------------------


def softmax_times(v: Tensor, p: Tensor, axis: int, temperature: float) -> Tensor:
    """Σ_j v_j·∂p_j/∂x_i = p_i·(v_i − Σ_j p_j·v_j) / T: the Jacobian is symmetric."""
    return p * (v - (p * v).sum(axis, keepdim=True)) / temperature


def times_log_softmax(v: Tensor, log_p: Tensor, axis: int, temperature: float) -> Tensor:
    """Σ_j v_j·∂log p_j/∂x_i = (v_i − p_i·Σ_j v_j) / T."""
    return (v - log_p.exp() * v.sum(axis, keepdim=True)) / temperature


def log_softmax_times(v: Tensor, log_p: Tensor, axis: int, temperature: float) -> Tensor:
    """Σ_i ∂log p_j/∂x_i·v_i = (v_j − Σ_i p_i·v_i) / T."""
    return (v - (log_p.exp() * v).sum(axis, keepdim=True)) / temperature


# of cross-entropy -----------------------------------------------------------------------------------------------------


def loss_backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
    """To the logits, the target and the class weights."""
    (x, t, w), call = ctx.saved_tensors[:3], ctx.call
    of_x, of_target = ctx.needs_input_grad[:2]
    return (
        dispatch.gradient(x, t, w, upstream, call) if of_x else None,
        target_gradient(x, t, w, upstream, call) if of_target else None,
        None,
    )


def gradient_backward(ctx: Any, v: Tensor) -> tuple[Tensor | None, Tensor | None, None, Tensor | None]:
    """To the logits, the target, the class weights and the upstream gradient."""
    (x, t, w, upstream), call = ctx.saved_tensors, ctx.call
    of_x, of_target, _, of_upstream = ctx.needs_input_grad[:4]
    of_one = dispatch.gradient(x, t, w, torch.ones_like(upstream), call) if of_upstream else None
    return (
        hessian_times(v, x, t, w, upstream, call) if of_x else None,
        mixed_times(v, x, t, w, upstream, call, to="target") if of_target else None,
        None,
        None if of_one is None else total(v * of_one, x, call).to(upstream.dtype),
    )


def total(terms: Tensor, x: Tensor, call: Call) -> Tensor:
    """Σ over the classes, or over everything."""
    return terms.sum(call.axis) if call.options.reduction == "none" else terms.sum()


def scaled(x: Tensor, options: LossOptions) -> tuple[Tensor, Tensor | float]:
    """z and ∂z/∂x; −inf stays a mask."""
    c, T = options.softcap, options.temperature
    if c is None:
        return (x if T == 1 else x / T), 1 / T
    tanh = torch.tanh(x / c)
    return torch.where(x == -torch.inf, x, c * tanh) / T, (1 - tanh * tanh) / T


def target_weights(x: Tensor, t: Tensor, w: Tensor | None, call: Call) -> Tensor:
    """A = Σ_j a_j, with the class axis kept."""
    epsilon, classes = call.options.label_smoothing, x.shape[call.axis]
    if t.is_floating_point():
        a = (1 - epsilon) * t + epsilon / classes
        return (a if w is None else a * along(w, x, call)).sum(call.axis, keepdim=True)
    ones = torch.ones_like(t, dtype=x.dtype).unsqueeze(call.axis)
    if w is None:
        return ones
    return (1 - epsilon) * weight_of(t, w, call).unsqueeze(call.axis) + epsilon / classes * w.sum() * ones


def weight_of(t: Tensor, w: Tensor, call: Call) -> Tensor:
    """w_y, 0 for ignored rows."""
    ignored = t == call.options.ignore_index
    return torch.where(ignored, 0, w[torch.where(ignored, 0, t).long()])


def along(w: Tensor, x: Tensor, call: Call) -> Tensor:
    """One number a class, in the shape of x's class axis."""
    return w.reshape([-1 if k == call.axis else 1 for k in range(x.ndim)])


def divisor(x: Tensor, t: Tensor, w: Tensor | None, call: Call, batched: bool = False) -> Tensor | float:
    """What the sum of the losses is divided by; `batched`, of each call along the first axis."""
    options = call.options
    if options.reduction != "mean":
        return 1.0
    if options.normalizer is not None:
        return float(options.normalizer)
    if t.is_floating_point():
        return float(x[0].numel() / x.shape[call.axis + 1]) if batched else x.numel() / x.shape[call.axis]
    counted = (t != options.ignore_index).to(x.dtype) if w is None else weight_of(t, w, call)
    return counted.unsqueeze(-1).flatten(1).sum(1) if batched else counted.sum()


def over(upstream: Tensor, count: Tensor | float) -> Tensor:
    """0 where nothing is counted."""
    if isinstance(count, Tensor):
        return torch.where(count == 0, 0, upstream / count)
    return upstream / (count or torch.inf)


def row_factor(x: Tensor, t: Tensor, w: Tensor | None, upstream: Tensor, call: Call) -> Tensor:
    """u, with the class axis kept; 0 for ignored rows."""
    if call.options.reduction == "none":
        u = upstream.unsqueeze(call.axis)
    else:
        u = over(upstream, divisor(x, t, w, call))
    if t.is_floating_point():
        return u
    return torch.where((t == call.options.ignore_index).unsqueeze(call.axis), 0, u)


def hessian_times(v: Tensor, x: Tensor, t: Tensor, w: Tensor | None, upstream: Tensor, call: Call) -> Tensor:
    """Σ_j v_j·∂G_j/∂x."""
    options, axis, wide = call.options, call.axis, COMPUTED_IN[x.dtype]
    narrow, x, v, upstream = x.dtype, x.to(wide), v.to(wide), upstream.to(wide)
    w = None if w is None else w.to(wide)
    z, slope = scaled(x, options)
    p = dispatch.softmax(z, axis)
    u, slope_v = row_factor(x, t, w, upstream, call), slope * v
    mean = (p * slope_v).sum(axis, keepdim=True)
    b = target_weights(x, t, w, call)
    if options.z_loss:
        b = b + 2 * options.z_loss * dispatch.logsumexp(z, axis).unsqueeze(axis)
    h = u * slope * p * (b * (slope_v - mean) + 2 * options.z_loss * mean)
    if c := options.softcap:
        h = h - 2 / c * torch.tanh(x / c) * v * dispatch.gradient(x, t, w, upstream, call)
    return torch.where(u == 0, 0, h).to(narrow)  # whatever the logits of ignored rows


def target_gradient(x: Tensor, t: Tensor, w: Tensor | None, upstream: Tensor, call: Call) -> Tensor:
    """∂loss/∂t_j = −u·(1 − ε)·w_j·log p_j, of probabilities."""
    wide = COMPUTED_IN[x.dtype]
    z, _ = scaled(x.to(wide), call.options)
    u = row_factor(x, t, w, upstream.to(wide), call) * (1 - call.options.label_smoothing)
    grad = -u * dispatch.log_softmax(z, call.axis)
    return (grad if w is None else grad * along(w, x, call)).to(t.dtype)


def mixed_times(v: Tensor, x: Tensor, t: Tensor, w: Tensor | None, upstream: Tensor, call: Call, to: str) -> Tensor:
    """With ∂G_j/∂t_k = u·s_j·(1 − ε)·w_k·(p_j − [j = k]): Σ_j v_j·∂G_j/∂t to "target", Σ_k v_k·∂G/∂t_k to "input"."""
    wide, axis = COMPUTED_IN[x.dtype], call.axis
    z, slope = scaled(x.to(wide), call.options)
    p = dispatch.softmax(z, axis)
    u = row_factor(x, t, w, upstream.to(wide), call) * (1 - call.options.label_smoothing)
    weights = 1.0 if w is None else along(w, x, call)
    if to == "target":
        slope_v = slope * v
        return (u * weights * ((p * slope_v).sum(axis, keepdim=True) - slope_v)).to(t.dtype)
    weighted = weights * v
    return (u * slope * (p * weighted.sum(axis, keepdim=True) - weighted)).to(x.dtype)


# of the statistics ----------------------------------------------------------------------------------------------------


def statistics_backward(
    ctx: Any, u_log_prob: Tensor | None, u_entropy: Tensor | None, u_lse: Tensor | None
) -> Tensor | None:
    """∂log p_y/∂z = [j = y] − p, ∂H/∂z_j = −p_j·(log p_j + H), ∂lse/∂z = p."""
    (x, t, entropy), call = ctx.saved_tensors, ctx.call
    parts = []
    if u_log_prob is not None:
        parts.append(dispatch.gradient(x, t, None, -u_log_prob, call))
    for u, derivative in ((u_entropy, entropy_derivative), (u_lse, lse_derivative)):
        if u is not None:
            parts.append(u.unsqueeze(call.axis) * derivative(x, entropy, call))
    return sum(parts).to(x.dtype) if parts else None


def entropy_derivative(x: Tensor, entropy: Tensor, call: Call) -> Tensor:
    """0 for a mask, whose log p is −inf."""
    axis, T = call.axis, call.options.temperature
    p, log_p = dispatch.softmax(x, axis, T), dispatch.log_softmax(x, axis, T)
    log_p = torch.where(p == 0, 0, log_p)
    return -p * (log_p + entropy.unsqueeze(axis)) / T


def lse_derivative(x: Tensor, entropy: Tensor, call: Call) -> Tensor:
    return dispatch.softmax(x, call.axis, call.options.temperature) / call.options.temperature
