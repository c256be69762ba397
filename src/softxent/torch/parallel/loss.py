"""The loss of each row on a rank, and its gradients: what it sends, and what it makes of all that is sent."""

from __future__ import annotations

from math import inf
from typing import Any

import torch
from torch import Tensor

from softxent.torch import checks
from softxent.torch.checks import PYTORCHS
from softxent.torch.devices import waits
from softxent.torch.parallel import local
from softxent.torch.parallel.call import Call, of_vocabulary, reported
from softxent.torch.parallel.exchange import exchange, named
from softxent.torch.parallel.local import Source, Targets, largest_and_sums
from softxent.torch.parallel.state import State, gradient_of_logits, log_p_of, loss_and_state


def is_dense(target: Tensor, call: Call) -> bool:
    return target.is_floating_point() or call.label_smoothing > 0


def losses(
    x: Tensor, W: Tensor | None, bias: Tensor | None, target: Tensor, weight: Tensor | None, call: Call
) -> tuple[Tensor, Tensor]:
    """The loss of each row, and State; float64."""
    with reported(named(call.group), call.name, x):
        of_vocabulary(target, call)
        kept = counted(x, W, target, call)
    if kept is None:
        return losses_of_all(x, W, bias, target, weight, call)
    found, of_kept = losses_of_all(x[kept], W, bias, target[kept], weight, call)
    state = of_kept.new_zeros((len(of_kept), len(x)))
    state[:, kept] = of_kept
    return found.new_zeros(len(x)).index_copy_(0, kept, found), state


def counted(x: Tensor, W: Tensor | None, target: Tensor, call: Call) -> Tensor | None:
    """The rows of a layer that are not ignored, if some are and may be asked for: others take no part in products."""
    if W is None or not waits(x) or target.is_floating_point():
        return None
    kept = target != call.ignore_index
    return None if bool(kept.all()) else kept.nonzero()[:, 0]


def losses_of_all(
    x: Tensor, W: Tensor | None, bias: Tensor | None, target: Tensor, weight: Tensor | None, call: Call
) -> tuple[Tensor, Tensor]:
    group = named(call.group)
    with reported(group, call.name, x):
        source = call.source(x, W, bias)
        targets, dense = call.targets(target, source), is_dense(target, call)
        w = None if weight is None else weights(weight, source)
        sent = columns(source, target, targets, w, dense, call.total)
    numbers, _ = exchange(group, call.told(source, target), sent)
    weighted = weight is not None and targets is not None
    return loss_and_state(source, numbers, group.rank, targets, dense, weighted, call.total)


def weights(weight: Tensor, source: Source) -> Tensor:
    if waits(weight):
        checks.weight_values(PYTORCHS, weight)
    return weight.to(source.dtype)


def columns(
    source: Source, target: Tensor, targets: Targets | None, weight: Tensor | None, dense: bool, total: int
) -> Tensor:
    """m_r and s_r; of class indices z_y and, with weights, w_y; Σ a_j·(lse_r − z_j) and Σ a_j of soft targets."""
    by_index = targets is not None
    count = 2 + by_index + (by_index and weight is not None) + 2 * dense
    sent = source.x.new_zeros((count, source.rows), dtype=torch.float64)
    sent[0], sent[2 : 2 + by_index] = -inf, -inf
    if targets is None:
        local.checked_probabilities(target)
    elif weight is not None and source.classes:
        sent[3] = torch.where(targets.own, weight[targets.local].double(), 0.0)
    for part, z, _ in source.chunks():
        found = largest_and_sums(source, z, None if targets is None else targets.at(part))
        for column, value in zip(sent, found[: 2 + by_index], strict=False):
            column[part] = value
        if not dense:
            continue
        if targets is None:
            spread, mass = local.soft_loss(source, z, target[part], weight, total)
        else:
            spread = local.uniform_loss(source, z, weight, total)
            of_all = source.classes if weight is None else weight.double().sum()
            mass = torch.zeros_like(spread) + local.each_of(source.options, total) * of_all
        # m_r is without a target of this slice, whose slice has a softmax then
        whole = found[0] if targets is None else torch.maximum(found[0], found[2])
        sent[-2, part], sent[-1, part] = local.at_masks(spread, mass, whole), mass
    return sent


def gradients(
    x: Tensor,
    W: Tensor | None,
    bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    state: Tensor,
    upstream: Tensor,
    needs: list[bool],
    call: Call,
) -> tuple[Tensor, ...]:
    """upstream · ∂loss/∂ x, W, bias, a probability target and its class weights; empty where not needed."""
    kept = counted(x, W, target, call)
    if kept is None:
        return gradients_of_all(x, W, bias, target, weight, state, upstream, needs, call)
    given = x[kept], W, bias, target[kept], weight
    of_x, *others = gradients_of_all(*given, state[:, kept], upstream[kept], needs, call)
    return torch.zeros_like(x).index_copy_(0, kept, of_x) if needs[0] else of_x, *others


def gradients_of_all(
    x: Tensor,
    W: Tensor | None,
    bias: Tensor | None,
    target: Tensor,
    weight: Tensor | None,
    state: Tensor,
    upstream: Tensor,
    needs: list[bool],
    call: Call,
) -> tuple[Tensor, ...]:
    source = call.source(x, W, bias)
    targets, w = call.targets(target, source), None if weight is None else weight.to(source.dtype)
    rows, u, given = State(*state), upstream.double(), (x, W, bias, target, weight)
    names = ("x", "W", "bias", "target", "weight")
    of_x, of_W, of_bias, of_t, of_w = (
        room_for(name, a, source) if a is not None and needed else None
        for name, a, needed in zip(names, given, needs, strict=True)
    )
    for part, z, slope in source.chunks(wide=True, gradients=True):
        chunk = State(*(column[part] for column in rows))
        if of_t is not None or of_w is not None:
            to_masses(z, target, w, part, chunk, u[part], of_t, of_w, source, call)
        if not any(needs[:3]):
            continue
        to, of_part = z, None if targets is None else targets.at(part)
        if of_x is not None and W is None and of_x.dtype == z.dtype:
            to = of_x[part]
        masses = masses_of(target, w, part, source, call)
        gradient_of_logits(source, z, to, slope, chunk, u[part] / call.temperature, of_part, masses)
        if W is not None:
            add_products(source, to, part, of_x, of_W, of_bias)
        elif of_x is not None and to is z:
            of_x[part] = to
    if of_x is not None and W is not None and call.reduced:
        named(call.group).add_up(f"the backward of {call.name}", of_x)
    found = zip((of_x, of_W, of_bias, of_t, of_w), given, strict=True)
    return tuple(x.new_empty(0) if a is None else a.to(like.dtype) for a, like in found)


def room_for(name: str, a: Tensor, source: Source) -> Tensor:
    """For a gradient; what is summed up is rounded once, at the end. Logits' is written row by row."""
    if name == "x" and source.W is None:
        return source.library.kernels.empty_like(a)
    if name == "weight":
        return torch.zeros_like(a, dtype=torch.float64)
    return torch.zeros_like(a, dtype=a.dtype if name == "target" else source.dtype)


def add_products(source: Source, G: Tensor, part: slice, to_x: Any, to_W: Any, to_bias: Any) -> None:
    """What a chunk adds to the gradients of a layer: G·W, Gᵀ·x and Σ G."""
    library = source.library
    multiplied = library.operand(G)
    if to_x is not None:
        library.product(multiplied, source.operand, to_x[part])
    if to_W is not None:
        library.add_product(multiplied.T, library.operand(source.x[part]), to_W, first=not part.start)
    if to_bias is not None:
        to_bias += library.column_sums(G)


def masses_of(target: Tensor, w: Tensor | None, part: slice, source: Source, call: Call) -> Any:
    """a_j but for the target's own, or None where it is 0."""
    each = local.each_of(source.options, call.total)
    if target.is_floating_point():
        a = (1 - call.label_smoothing) * target[part].to(source.dtype) + each
        return a if w is None else a * w
    if not each:
        return None
    return each if w is None else each * w


def to_masses(
    z: Tensor,
    target: Tensor,
    w: Tensor | None,
    part: slice,
    state: State,
    upstream: Tensor,
    of_t: Tensor | None,
    of_w: Tensor | None,
    source: Source,
    call: Call,
) -> None:
    """∂loss/∂a_j = −log p_j, of which t_j has (1 − ε)·w_j and w_j has q_j."""
    of_a = -upstream.to(source.dtype)[:, None] * log_p_of(z, state, source)
    if of_t is not None:
        kept = of_a * (1 - call.label_smoothing)
        of_t[part] = (kept if w is None else kept * w).to(of_t.dtype)
    if of_w is not None:
        q = (1 - call.label_smoothing) * target[part].to(source.dtype) + call.label_smoothing / call.total
        of_w += (of_a * q).sum(0, dtype=torch.float64)
