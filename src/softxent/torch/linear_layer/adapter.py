"""sx.linear_* on tensors."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softxent.linear import Truncation
from softxent.options import NUMBERS, LossOptions
from softxent.results import Statistics
from softxent.torch import checks
from softxent.torch.adapter import as_tensor, generator_of
from softxent.torch.calls import Call
from softxent.torch.checks import ARRAYS
from softxent.torch.linear_layer import functional, layer
from softxent.torch.linear_layer.functional import OF_ARRAYS
from softxent.torch.linear_layer.products import computed_in


def given_of(inputs: Any, weight: Any, target: Any, bias: Any, options: LossOptions) -> tuple[tuple[Any, ...], bool]:
    """The tensors, checked, and whether the target is class indices."""
    W, t, b = as_tensor(weight, inputs), as_tensor(target, inputs), None if bias is None else as_tensor(bias, inputs)
    by_index = functional.checked(ARRAYS, OF_ARRAYS, inputs, W, t, b)
    w = None if options.class_weight is None else as_tensor(options.class_weight, inputs)
    if w is not None:
        checks.weight(ARRAYS, w, inputs, W.shape[0], by_index)
    return (inputs, W, b, t, w), by_index


def cross_entropy(inputs: Tensor, weight: Any, target: Any, bias: Any, options: LossOptions, budget: Any) -> Tensor:
    given, by_index = given_of(inputs, weight, target, bias, options)
    numbers = {field.name: getattr(options, field.name) for field in NUMBERS}
    return functional.loss(given, by_index, numbers, computed_in(*given[:3]), "zero", ARRAYS, budget)


def cross_entropy_and_grad(
    inputs: Tensor, weight: Any, target: Any, bias: Any, options: LossOptions, budget: Any
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor | None]]:
    """Without autograd."""
    given, by_index = given_of(inputs, weight, target, bias, options)
    flat: Any = tuple(a if a is None else a.detach() for a in functional.flat(given, by_index))
    call = Call(1, options, computed_in(*flat[:3]), "zero", ARRAYS)
    with torch.no_grad():
        loss, of_x, of_W, of_bias = layer.loss_and_gradients(flat, functional.budget_of(budget), call)
    rows = inputs.shape[:-1]
    return loss.reshape(rows) if loss.ndim else loss, (of_x.reshape(inputs.shape), of_W, of_bias)


def log_prob(inputs: Tensor, weight: Any, target: Any, bias: Any, options: LossOptions, budget: Any) -> Tensor:
    return functional.log_prob(*each(inputs, weight, target, bias, options), ARRAYS, OF_ARRAYS, budget)


def statistics(inputs: Tensor, weight: Any, target: Any, bias: Any, options: LossOptions, budget: Any) -> Statistics:
    return functional.statistics(*each(inputs, weight, target, bias, options), ARRAYS, OF_ARRAYS, budget)


def each(inputs: Tensor, weight: Any, target: Any, bias: Any, options: LossOptions) -> tuple[Any, Any]:
    given = (
        inputs,
        as_tensor(weight, inputs),
        None if bias is None else as_tensor(bias, inputs),
        as_tensor(target, inputs),
    )
    return given, (options.temperature, options.softcap, options.ignore_index)


def sample(
    inputs: Tensor, weight: Any, bias: Any, options: LossOptions, truncation: Truncation, rng: Any, budget: Any
) -> tuple[Tensor, Tensor]:
    given = inputs, as_tensor(weight, inputs), None if bias is None else as_tensor(bias, inputs)
    cut = truncation.top_k, truncation.top_p, truncation.min_p
    numbers = options.temperature, options.softcap
    return functional.sample(given, numbers, cut, generator_of(rng, inputs), True, ARRAYS, OF_ARRAYS, budget)
