"""Which way a call takes to the kernel: a Function of autograd, or an operator where a graph is traced."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softxent.results import Statistics
from softxent.torch import autograd, checks, kernel, ops
from softxent.torch.function import apply, transforms_active
from softxent.torch.kernel import LOG_SOFTMAX, LOGSUMEXP, SOFTMAX, Call, call_of


def softmax(x: Tensor, axis: int, temperature: float = 1.0) -> Tensor:
    if ops.wanted(x):
        return ops.normalize(x, SOFTMAX, axis, temperature)
    return apply(autograd.Softmax, x, axis, temperature)


def log_softmax(x: Tensor, axis: int, temperature: float = 1.0) -> Tensor:
    if ops.wanted(x):
        return ops.normalize(x, LOG_SOFTMAX, axis, temperature)
    return apply(autograd.LogSoftmax, x, axis, temperature)


def logsumexp(x: Tensor, axis: int) -> Tensor:
    if ops.wanted(x):
        return ops.normalize(x, LOGSUMEXP, axis, 1.0)
    return apply(autograd.LogSumExp, x, axis)


def sample(x: Tensor, axis: int, temperature: float, uniform: Tensor) -> tuple[Tensor, Tensor]:
    return (ops if ops.wanted(x) else kernel).sample(x, axis, temperature, uniform)


def cross_entropy(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    arguments: tuple[Any, ...],
    inplace: bool = False,
) -> Tensor:
    """`arguments` are call_of's."""
    if ops.wanted(x):
        if inplace:
            raise checks.not_in_place()
        return ops.cross_entropy(x, target, weight, *arguments)
    call = call_of(*arguments)
    if transforms_active():
        if inplace:
            raise checks.not_in_place()
        return autograd.CrossEntropy.apply(x, target, weight, call)
    if x.requires_grad and torch.is_grad_enabled():
        if inplace:
            checks.overwritable(call.name, x)
            return autograd.InPlace.apply(x, target, weight, call)
        if call.options.reduction != "none":  # else the upstream gradient will not be 1
            return autograd.GradientAhead.apply(x, target, weight, call)
    return apply(autograd.CrossEntropy, x, target, weight, call)


def statistics(
    x: Tensor, target: Tensor, axis: int, ignore_index: int, temperature: float, name: str = "input"
) -> Statistics:
    if ops.wanted(x):
        return Statistics(*ops.statistics(x, target, axis, ignore_index, temperature, name))
    call = ops.call_of_statistics(x, axis, ignore_index, temperature, name)
    return Statistics(*apply(autograd.Statistics, x, target, call))


def gradient(x: Tensor, target: Tensor, weight: Tensor | None, upstream: Tensor, call: Call) -> Tensor:
    if ops.wanted(x):
        return ops.cross_entropy_grad(x, target, weight, upstream, *call.arguments)
    return apply(autograd.Gradient, x, target, weight, upstream, call)
