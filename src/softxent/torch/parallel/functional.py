"""Cross-entropy and its kin for classes that are split over the ranks of a process group, each with a slice of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softxent.checks import not_indices
from softxent.options import takes_options
from softxent.results import Statistics
from softxent.torch import checks
from softxent.torch.parallel import ops
from softxent.torch.parallel.dtensor import layout_of_logits
from softxent.torch.parallel.exchange import Group, group_of
from softxent.torch.parallel.given import (
    Said,
    Split,
    columns,
    indices,
    of_logits,
    placed,
    reported,
    result,
    uniforms,
)


@takes_options
def cross_entropy(
    input: Tensor,
    target: Tensor,
    group: Any = None,
    vocab_start: int | None = None,
    vocab_total: int | None = None,
    *,
    weight: Tensor | None = None,
    dim: int = -1,
    check_ranks: bool = True,
    **options: Any,
) -> Tensor:
    """loss = Σ_j a_j·(lse − z_j) + λ·lse² over the classes of all ranks; the gradient is of this rank's logits.

    All ranks of the group make the same call with the same rows, and get the same loss, bit for bit.

    input         logits of this rank's classes, on axis `dim`; slices may be uneven, and empty
    target        class indices among all classes; or probabilities of this rank's classes, in input's shape
    group         the process group over whose ranks classes are split (none: all ranks)
    vocab_start   the first class of this rank (none: slices as torch.chunk makes them, in rank order)
    vocab_total   the number of classes (none: as many on each rank); columns from there on are padding
    weight        w of this rank's classes: one number a class
    check_ranks   raise the same error on every rank if they do not agree; on a GPU that waits for it
    {options}

    Of a DTensor the classes are those that its placements give this rank, and so is the group; rows may be split over
    other dimensions of the mesh. The loss is a DTensor then.

    Returns float32 or, for float64 logits, float64. One all-gather of 24 bytes a row and rank, at least: see cost().
    """
    if (layout := layout_of_logits(input, dim)) is not None:
        input, target, weight = layout.logits(input, dim), layout.target(target, dim), layout.of_classes(weight)
        group, vocab_start, vocab_total = layout.split
    group = group_of(group)
    with reported(group, "cross_entropy", input):
        (x, t, w), rows, by_index = of_logits(input, target, weight, dim)
        split = Split.of(group, x.shape[1], vocab_start, vocab_total)
        said = Said("cross_entropy", rows, (x,), by_index, w, options, check_ranks)
        t = t if by_index else split.cut(t, 1)
        numbers = said.numbers(group, split)
        given = split.cut(x, 1), None, None, t, None if w is None else split.cut(w, 0)
    losses, state = ops.losses(*given, *numbers)
    return result(losses, state, rows, said, layout)


def log_prob(
    input: Tensor,
    target: Tensor,
    group: Any = None,
    vocab_start: int | None = None,
    vocab_total: int | None = None,
    *,
    dim: int = -1,
    temperature: float = 1.0,
    ignore_index: int = -100,
    check_ranks: bool = True,
) -> Tensor:
    """log p_y of each row among the classes of all ranks, 0 where the target is ignored; differentiable."""
    options: Any = {"temperature": temperature, "ignore_index": ignore_index, "reduction": "none"}
    of = group, vocab_start, vocab_total
    return 0 - cross_entropy(input, indices(target, input, group), *of, dim=dim, check_ranks=check_ranks, **options)


def statistics(
    input: Tensor,
    target: Tensor,
    group: Any = None,
    vocab_start: int | None = None,
    vocab_total: int | None = None,
    *,
    dim: int = -1,
    temperature: float = 1.0,
    ignore_index: int = -100,
    check_ranks: bool = True,
) -> Statistics:
    """Of each row log p_y, entropy, lse, the largest class and the target's rank among the classes of all ranks."""
    if (layout := layout_of_logits(input, dim)) is not None:
        input, target = layout.logits(input, dim), layout.target(target, dim)
        group, vocab_start, vocab_total = layout.split
    group = group_of(group)
    options = {"temperature": temperature, "ignore_index": ignore_index, "reduction": "none"}
    with reported(group, "statistics", input):
        (x, t, _), rows, by_index = of_logits(input, target, None, dim)
        if not by_index:
            raise not_indices(target)
        split = Split.of(group, x.shape[1], vocab_start, vocab_total)
        numbers = Said("statistics", rows, (x,), by_index, None, options, check_ranks).numbers(group, split)
        given = split.cut(x, 1), None, None, t
    return columns(ops.statistics(*given, *numbers), rows, layout)


def sample(
    input: Tensor,
    group: Any = None,
    vocab_start: int | None = None,
    vocab_total: int | None = None,
    *,
    dim: int = -1,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    return_log_prob: bool = False,
    check_ranks: bool = True,
) -> Any:
    """For each row a class of all ranks, drawn with probability p: the same on every rank.

    It is the class that softxent.torch.sample draws from the gathered logits with the first rank's generator.

    return_log_prob   also return log p of the drawn class, differentiable with respect to `input`
    """
    whole, of = input, (group, vocab_start, vocab_total)
    if (layout := layout_of_logits(input, dim)) is not None:
        input = layout.logits(input, dim)
        group, vocab_start, vocab_total = layout.split
    group = group_of(group)
    options = {"temperature": temperature, "reduction": "none", "ignore_index": -1}
    with reported(group, "sample", input):
        (x, _, _), rows, _ = of_logits(input, None, None, dim)
        split = Split.of(group, x.shape[1], vocab_start, vocab_total)
        uniform = uniforms(x, generator)
        numbers = Said("sample", rows, (x,), True, None, options, check_ranks).numbers(group, split)
        layer = split.cut(x.detach(), 1), None, None
    index, log_p = (placed(a, rows, layout) for a in ops.sample(*layer, uniform, *numbers))
    if return_log_prob and input.requires_grad and torch.is_grad_enabled():
        log_p = log_prob(whole, index, *of, dim=dim, temperature=temperature, check_ranks=check_ranks)
    return (index, log_p) if return_log_prob else index


def global_count(target: Tensor, group: Any = None, *, ignore_index: int = -100) -> Tensor:
    """How many targets of all ranks are not ignored: the normalizer where rows, not classes, are split over `group`."""
    checks.tensor("target", target)
    count = (target != ignore_index).sum()
    Group(group_of(group)).add_up("global_count", count)
    return count
