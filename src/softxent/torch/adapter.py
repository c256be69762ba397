"""The adapter for tensors: the functions that all array libraries share, classes last: sx.cross_entropy(tensor, …)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softxent.options import LossOptions
from softxent.results import Statistics
from softxent.torch import checks, dispatch, functional, kernel, ops
from softxent.torch.kernel import Call

NORMALIZE = {"softmax": dispatch.softmax, "log_softmax": dispatch.log_softmax}


def normalize(op: str, logits: Tensor, axis: int | tuple[int, ...] | None, temperature: float = 1.0) -> Tensor:
    axes = checks.dims("axis", tuple(range(logits.ndim)) if axis is None else axis, logits, "logits")
    if op == "logsumexp":
        return functional.logsumexp(logits, tuple(axes))
    if len(axes) == 1:
        checks.logits("logits", logits, axes[0])
        return NORMALIZE[op](logits, axes[0], temperature)
    last = list(range(-len(axes), 0))
    moved = logits.movedim(axes, last)
    merged = moved.flatten(-len(axes))
    return normalize(op, merged, -1, temperature).reshape(moved.shape).movedim(last, axes)


def cross_entropy(logits: Tensor, target: Any, axis: int, options: LossOptions) -> Tensor:
    """Losses are float32 or wider, and the mean over nothing is 0."""
    t, weight, call = prepared(logits, target, axis, options)
    return dispatch.cross_entropy(logits, t, weight, call.arguments)


def cross_entropy_and_grad(
    logits: Tensor, target: Any, axis: int, options: LossOptions, out: Tensor | None
) -> tuple[Tensor, Tensor]:
    t, weight, call = prepared(logits, target, axis, options)
    if out is not None:
        checks.out(out, logits, t)
    if torch.compiler.is_compiling():
        return graph_of_both(logits.detach(), t.detach(), weight, call, out)
    if out is None:
        grad = kernel.empty_like(logits)
    else:
        torch.autograd.graph.increment_version(out)
        grad = out
    return kernel.loss(logits, t, weight, call, grad), grad


def graph_of_both(x: Tensor, t: Tensor, weight: Tensor | None, call: Call, out: Tensor | None) -> tuple[Tensor, Tensor]:
    loss = ops.cross_entropy(x, t, weight, *call.arguments)
    grad = ops.cross_entropy_grad(x, t, weight, torch.ones_like(loss), *call.arguments)
    if out is None:
        return loss, grad
    with torch.no_grad():
        out.copy_(grad)
    return loss, out


def prepared(logits: Tensor, target: Any, axis: int, options: LossOptions) -> tuple[Tensor, Tensor | None, Call]:
    (axis,) = checks.dims("axis", axis, logits, "logits")
    t, w = torch.as_tensor(target), options.class_weight
    weight = None if w is None else torch.as_tensor(w)
    checks.logits_and_target("logits", logits, t, axis)
    if weight is not None:
        checks.weight("class_weight", weight, logits.shape[axis])
    return t, weight, Call(axis, options, kernel.COMPUTED_IN[logits.dtype], "zero", "logits")


def log_prob(logits: Tensor, target: Any, axis: int, temperature: float, ignore_index: int) -> Tensor:
    t = torch.as_tensor(target)
    x, axis = functional.logits_and_indices("logits", logits, t, axis)
    options = LossOptions(temperature=temperature, ignore_index=ignore_index, reduction="none")
    return 0 - cross_entropy(x, t, axis, options)


def statistics(logits: Tensor, target: Any, axis: int, temperature: float, ignore_index: int) -> Statistics:
    t = torch.as_tensor(target)
    x, axis = functional.logits_and_indices("logits", logits, t, axis)
    return dispatch.statistics(x, t, axis, ignore_index, temperature, "logits")


def sample(logits: Tensor, axis: int, temperature: float, rng: Any, return_log_prob: bool) -> Any:
    """rng: a torch.Generator, a seed, or None."""
    generator = torch.Generator().manual_seed(rng) if isinstance(rng, int) else rng
    if generator is not None and not isinstance(generator, torch.Generator):
        raise checks.generator(rng)
    return functional.sample(
        logits, axis, temperature=temperature, generator=generator, return_log_prob=return_log_prob
    )
