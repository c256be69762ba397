"""The adapter for tensors: the functions that all array libraries share, classes last: sx.cross_entropy(tensor, …)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softxent.options import LossOptions
from softxent.results import Statistics
from softxent.torch import autograd, checks, core
from softxent.torch.calls import COMPUTED_IN, Call
from softxent.torch.checks import ARRAYS


def normalize(op: str, logits: Tensor, axis: int | tuple[int, ...] | None, temperature: float = 1.0) -> Tensor:
    axes = tuple(range(logits.ndim)) if axis is None else axis
    if op == "logsumexp":
        return core.logsumexp(logits, axes, False, ARRAYS)
    return core.normalize(getattr(autograd, op), logits, axes, temperature, ARRAYS)


def cross_entropy(logits: Tensor, target: Any, axis: int, options: LossOptions) -> Tensor:
    """Losses are float32 or wider, and the mean over nothing is 0."""
    return autograd.cross_entropy(logits, *prepared(logits, target, axis, options))


def cross_entropy_and_grad(
    logits: Tensor, target: Any, axis: int, options: LossOptions, out: Tensor | None
) -> tuple[Tensor, Tensor]:
    t, weight, arguments = prepared(logits, target, axis, options)
    if out is not None:
        checks.out(out, logits, target=t, class_weight=weight)
        torch.autograd.graph.increment_version(out)
    return core.loss_and_grad(logits, t, weight, arguments, out)


def prepared(
    logits: Tensor, target: Any, axis: int, options: LossOptions
) -> tuple[Tensor, Tensor | None, tuple[Any, ...]]:
    """The target and the class weights as tensors, and the other arguments; all checked."""
    (axis,) = checks.dims(ARRAYS, axis, logits)
    t = as_tensor(target, logits)
    weight = None if options.class_weight is None else as_tensor(options.class_weight, logits)
    _, by_index = checks.logits_and_target(ARRAYS, logits, t, axis)
    if weight is not None:
        checks.weight(ARRAYS, weight, logits, logits.shape[axis], by_index)
    return t, weight, Call(axis, options, COMPUTED_IN[logits.dtype], "zero", ARRAYS).arguments


def as_tensor(value: Any, beside: Any) -> Tensor:
    """A tensor as it is; anything else as one on the device of `beside`, whatever the default device."""
    if isinstance(value, Tensor):
        return value
    return torch.as_tensor(value, device=beside.device if isinstance(beside, Tensor) else "cpu")


def log_prob(logits: Tensor, target: Any, axis: int, temperature: float, ignore_index: int) -> Tensor:
    return core.log_prob(logits, as_tensor(target, logits), axis, temperature, ignore_index, ARRAYS)


def statistics(logits: Tensor, target: Any, axis: int, temperature: float, ignore_index: int) -> Statistics:
    return core.statistics(logits, as_tensor(target, logits), axis, temperature, ignore_index, ARRAYS)


def sample(logits: Tensor, axis: int, temperature: float, rng: Any, return_log_prob: bool) -> Any:
    return core.sample(logits, axis, temperature, generator_of(rng, logits), return_log_prob, ARRAYS)


def generator_of(rng: Any, logits: Any) -> torch.Generator | None:
    """rng is a torch.Generator, a seed, or None."""
    device = logits.device if isinstance(logits, Tensor) and logits.device.type in checks.DEVICES else "cpu"
    generator = torch.Generator(device).manual_seed(rng) if isinstance(rng, int) else rng
    if generator is not None and not isinstance(generator, torch.Generator):
        raise checks.generator(rng)
    return generator


def as_numpy(tensor: Tensor) -> tuple[Any, str]:
    """The tensor as a NumPy array, bfloat16 as float32, and the name of its dtype."""
    wide = tensor.detach().float() if tensor.dtype == torch.bfloat16 else tensor.detach()
    return wide.cpu().numpy(), str(tensor.dtype).removeprefix("torch.")


def loss_and_autograd(function: Any, logits: Tensor, target: Any, derive: bool) -> Any:
    """What a function of the user's returns; if that is a loss, with autograd's gradient, where it is wanted."""
    x = logits.detach().clone().requires_grad_()
    loss = function(x, target)
    if not derive or not isinstance(loss, Tensor) or not loss.requires_grad:
        return loss
    (grad,) = torch.autograd.grad(loss.sum(), x, allow_unused=True)
    return loss, grad
