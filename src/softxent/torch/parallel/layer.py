"""The same of a last layer whose rows of weights are split over the ranks, without its logits."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softxent.checks import not_indices
from softxent.options import takes_options
from softxent.results import Statistics
from softxent.torch.linear_layer.functional import budget_of
from softxent.torch.parallel import ops
from softxent.torch.parallel.dtensor import layout_of_layer
from softxent.torch.parallel.exchange import group_of
from softxent.torch.parallel.given import (
    Said,
    Split,
    checked_weight,
    columns,
    indices,
    of_layer,
    placed,
    reported,
    result,
    uniforms,
)


@takes_options
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    group: Any = None,
    vocab_start: int | None = None,
    vocab_total: int | None = None,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    memory_budget: Any = "auto",
    reduce_grad: bool = True,
    check_ranks: bool = True,
    **options: Any,
) -> Tensor:
    """cross_entropy of linear(input, linear_weight, linear_bias), whose rows of linear_weight are split over ranks.

    No rank ever holds all logits of its slice. Arguments are those of cross_entropy here, and:

    input           (…, D), the same on every rank
    linear_weight   (this rank's classes, D)
    linear_bias     of this rank's classes
    memory_budget   bytes that may be held beyond arguments and gradients
    reduce_grad     sum the gradient of input over the ranks; False leaves each its own part, for an input that was
                    gathered by what reduces and scatters in its backward
    {options}

    Of DTensors linear_weight's placements say which classes are this rank's, and input's which rows; rows that are
    split over the same ranks as the classes (sequence parallelism) are gathered, and reduce_grad follows from that.
    """
    if (layout := layout_of_layer(input, linear_weight)) is not None:
        reduce_grad = layout.replicates(input)
        input, linear_weight, linear_bias = layout.layer(input, linear_weight, linear_bias)
        target, weight = layout.target(target, -1), layout.of_classes(weight)
        group, vocab_start, vocab_total = layout.split
    group = group_of(group)
    with reported(group, "linear_cross_entropy", input):
        given, t, rows, by_index = of_layer(input, linear_weight, linear_bias, target)
        x, W, bias = given
        split = Split.of(group, W.shape[0], vocab_start, vocab_total)
        said = Said("linear_cross_entropy", rows, given, by_index, weight, options, check_ranks)
        numbers = said.numbers(group, split, budget_of(memory_budget), reduce_grad)
        t = t if by_index else split.cut(t, 1)
        w = checked_weight(weight, x, W.shape[0], by_index)
        layer = x, split.cut(W, 0), None if bias is None else split.cut(bias, 0)
        w = None if w is None else split.cut(w, 0)
    losses, state = ops.losses(*layer, t, w, *numbers)
    return result(losses, state, rows, said, layout)


def linear_log_prob(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    group: Any = None,
    vocab_start: int | None = None,
    vocab_total: int | None = None,
    *,
    linear_bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    ignore_index: int = -100,
    memory_budget: Any = "auto",
    reduce_grad: bool = True,
    check_ranks: bool = True,
) -> Tensor:
    """log_prob of linear(input, linear_weight, linear_bias), as linear_cross_entropy."""
    return 0 - linear_cross_entropy(
        input, linear_weight, indices(target, input, group), group, vocab_start, vocab_total, linear_bias=linear_bias,
        temperature=temperature, softcap=softcap, ignore_index=ignore_index, reduction="none",
        memory_budget=memory_budget, reduce_grad=reduce_grad, check_ranks=check_ranks,
    )  # fmt: skip


def linear_statistics(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    group: Any = None,
    vocab_start: int | None = None,
    vocab_total: int | None = None,
    *,
    linear_bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    ignore_index: int = -100,
    memory_budget: Any = "auto",
    reduce_grad: bool = True,
    check_ranks: bool = True,
) -> Statistics:
    """statistics of linear(input, linear_weight, linear_bias), as linear_cross_entropy."""
    if (layout := layout_of_layer(input, linear_weight)) is not None:
        reduce_grad = layout.replicates(input)
        input, linear_weight, linear_bias = layout.layer(input, linear_weight, linear_bias)
        target = layout.target(target, -1)
        group, vocab_start, vocab_total = layout.split
    group = group_of(group)
    options = {"temperature": temperature, "softcap": softcap, "ignore_index": ignore_index, "reduction": "none"}
    with reported(group, "linear_statistics", input):
        given, t, rows, by_index = of_layer(input, linear_weight, linear_bias, target)
        if not by_index:
            raise not_indices(target)
        x, W, bias = given
        split = Split.of(group, W.shape[0], vocab_start, vocab_total)
        said = Said("linear_statistics", rows, given, by_index, None, options, check_ranks)
        numbers = said.numbers(group, split, budget_of(memory_budget), reduce_grad)
        layer = x, split.cut(W, 0), None if bias is None else split.cut(bias, 0)
    return columns(ops.statistics(*layer, t, *numbers), rows, layout)


def linear_sample(
    input: Tensor,
    linear_weight: Tensor,
    group: Any = None,
    vocab_start: int | None = None,
    vocab_total: int | None = None,
    *,
    linear_bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    generator: torch.Generator | None = None,
    return_log_prob: bool = False,
    memory_budget: Any = "auto",
    reduce_grad: bool = True,
    check_ranks: bool = True,
) -> Any:
    """sample of linear(input, linear_weight, linear_bias), as linear_cross_entropy."""
    whole, of = (input, linear_weight, linear_bias), (group, vocab_start, vocab_total)
    if (layout := layout_of_layer(input, linear_weight)) is not None:
        reduce_grad = layout.replicates(input)
        input, linear_weight, linear_bias = layout.layer(input, linear_weight, linear_bias)
        group, vocab_start, vocab_total = layout.split
    group = group_of(group)
    options = {"temperature": temperature, "softcap": softcap, "reduction": "none", "ignore_index": -1}
    with reported(group, "linear_sample", input):
        given, _, rows, _ = of_layer(input, linear_weight, linear_bias, None)
        x, W, b = given[0].detach(), given[1].detach(), None if linear_bias is None else given[2].detach()
        split = Split.of(group, W.shape[0], vocab_start, vocab_total)
        said = Said("linear_sample", rows, given, True, None, options, check_ranks)
        numbers = said.numbers(group, split, budget_of(memory_budget))
        layer = x, split.cut(W, 0), None if b is None else split.cut(b, 0)
        uniform = uniforms(x, generator)
    index, log_p = (placed(a, rows, layout) for a in ops.sample(*layer, uniform, *numbers))
    if return_log_prob and torch.is_grad_enabled() and any(a is not None and a.requires_grad for a in whole):
        log_p = linear_log_prob(
            *whole[:2], index, *of, linear_bias=whole[2], temperature=temperature, softcap=softcap,
            memory_budget=memory_budget, reduce_grad=reduce_grad, check_ranks=check_ranks,
        )  # fmt: skip
    return (index, log_p) if return_log_prob else index
