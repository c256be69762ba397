"""Statistics and samples on a rank, each in two all-gathers, and the gradients of statistics."""

from __future__ import annotations

from math import inf
from typing import Any

import torch
from torch import Tensor

from softxent.checks import undrawable
from softxent.torch import checks
from softxent.torch.calls import Call as KernelCall
from softxent.torch.devices import kernels_of, waits
from softxent.torch.parallel import local
from softxent.torch.parallel.call import Call, of_vocabulary, reported
from softxent.torch.parallel.exchange import exchange, named
from softxent.torch.parallel.local import Source, Targets, largest_and_sums
from softxent.torch.parallel.loss import add_products
from softxent.torch.parallel.rows import Rows, ordered_sum
from softxent.torch.parallel.state import State, log_p_of

# statistics -----------------------------------------------------------------------------------------------------------


def statistics(x: Tensor, W: Tensor | None, bias: Tensor | None, target: Tensor, call: Call) -> tuple[Tensor, ...]:
    """The columns of Statistics, and State with the entropy in the place of A."""
    group = named(call.group)
    with reported(group, call.name, x):
        source = call.source(x, W, bias)
        of_vocabulary(target, call)
        targets = call.targets(target, source)
        assert targets is not None
        own = logits_of_targets(source, targets)
    z_y = exchange(group, call.told(source, target), own[None])[0].amax(0)[0]
    sent = x.new_zeros((6, source.rows), dtype=torch.float64)
    sent[0], sent[2], sent[4] = -inf, -inf, call.total
    kernels_call = KernelCall(1, local.PLAIN, torch.float64, "zero", checks.ARRAYS)
    for part, z, _ in source.chunks():
        of_part = targets.at(part)
        found = kernels_of(z).statistics(z, of_part.local, kernels_call)
        m, s, of_target = largest_and_sums(source, z, of_part)
        larger = (z > z_y[part, None].to(z.dtype)).sum(1)
        larger = torch.where(of_part.own, found.rank, larger)
        of_rows = m, s, of_target, found.entropy, found.argmax + call.start, larger
        for column, value in zip(sent, of_rows, strict=True):
            column[part] = value.double()
    numbers = group.gather(call.name, sent)
    return combined_statistics(numbers, targets, group.rank, source.dtype)


def logits_of_targets(source: Source, targets: Targets) -> Tensor:
    z_y = source.x.new_full((source.rows,), -inf, dtype=torch.float64)
    if not source.classes:
        return z_y
    if source.W is None:
        own = source.x.gather(1, targets.local[:, None])
    else:
        W, cast = source.W[targets.local], source.library.cast
        own = (cast(source.x) * cast(W)).sum(1, keepdim=True)
        own = own if source.bias is None else own + cast(source.bias[targets.local])[:, None]
    scaled = source.scaled(own, False, torch.empty_like(own, dtype=source.dtype))[0] if source.scales else own
    return torch.where(targets.own, scaled[:, 0].double(), z_y)


def combined_statistics(numbers: Tensor, targets: Targets, rank: int, dtype: torch.dtype) -> tuple[Tensor, ...]:
    largest, sums, of_targets, entropies, first, larger = numbers.unbind(1)
    rows = Rows.of(largest, sums, of_targets)
    shares, gaps = rows.shares, rows.gaps
    entropy = ordered_sum(torch.where(shares == 0, 0.0, shares * (entropies + gaps)))
    best = torch.maximum(largest, of_targets)
    argmax = torch.where(best == rows.top, first, inf).amin(0)
    argmax = torch.where(argmax.isinf(), first.amin(0), argmax).long()
    log_prob = torch.where(targets.counted, -rows.loss, 0.0)
    counts = torch.where(targets.counted, ordered_sum(larger).long(), -1)
    lse = rows.lse
    entropy = entropy + 0 * lse
    p_y, rest = rows.p_y
    share = torch.where(lse == lse, shares[rank], torch.nan)
    zero = torch.zeros_like(lse)
    state = torch.stack([share, gaps[rank], lse, p_y, rest, entropy, zero, zero + 1, zero])
    lse = torch.where(rows.top.isinf(), rows.top, lse)
    return log_prob.to(dtype), entropy.to(dtype), lse.to(dtype), argmax, counts, state


def statistics_gradients(
    x: Tensor,
    W: Tensor | None,
    bias: Tensor | None,
    target: Tensor,
    state: Tensor,
    upstream: Tensor,
    needs: list[bool],
    call: Call,
) -> tuple[Tensor, ...]:
    """Σ upstream·∂(log p_y, entropy, lse)/∂ x, W and bias; upstream is 3 × rows.

    ∂log p_y/∂z_j = [j = y] − p_j,   ∂H/∂z_j = −p_j·(log p_j + H),   ∂lse/∂z_j = p_j
    """
    source = call.source(x, W, bias)
    targets, rows = call.targets(target, source), State(*state)
    assert targets is not None
    u = upstream.double() / call.temperature
    of_log_prob = torch.where(targets.counted, u[0], 0.0)
    to = [
        torch.zeros_like(a, dtype=source.dtype) if a is not None and n else None
        for a, n in zip((x, W, bias), needs, strict=True)
    ]
    for part, z, slope in source.chunks(wide=True, gradients=True):
        chunk, of_part = State(*(column[part] for column in rows)), targets.at(part)
        log_p = log_p_of(z, chunk, source)
        p = torch.exp(log_p)
        level = (u[2, part] - of_log_prob[part] - u[1, part] * chunk.mass).to(p.dtype)
        G = p * (level[:, None] - u[1, part].to(p.dtype)[:, None] * torch.where(p == 0, 0.0, log_p))
        of_target = u[2, part] * chunk.p_y + of_log_prob[part] * chunk.rest
        log_p_y = log_p.gather(1, of_part.local[:, None])[:, 0].double()
        of_target -= u[1, part] * chunk.p_y * (torch.where(chunk.p_y == 0, 0.0, log_p_y) + chunk.mass)
        own, index = of_part.own & of_part.counted, of_part.local[:, None]
        G.scatter_(1, index, torch.where(own[:, None], of_target.to(G.dtype)[:, None], G.gather(1, index)))
        if slope is not None:
            G *= slope
        if W is not None:
            add_products(source, G, part, *to)
        elif to[0] is not None:
            to[0][part] = G
    if W is not None and to[0] is not None and call.reduced:
        named(call.group).add_up(f"the backward of {call.name}", to[0])
    return tuple(x.new_empty(0) if a is None else a.to(like.dtype) for a, like in zip(to, (x, W, bias), strict=True))


# sample ---------------------------------------------------------------------------------------------------------------


def sample(x: Tensor, W: Tensor | None, bias: Tensor | None, uniform: Tensor, call: Call) -> tuple[Tensor, Tensor]:
    """For each row the class that the first rank's `uniform` falls on, classes in order; and log p of it."""
    group = named(call.group)
    with reported(group, call.name, x):
        source = call.source(x, W, bias)
        sent = x.new_zeros((3, source.rows), dtype=torch.float64)
        sent[0], sent[2] = -inf, uniform
        for part, z, _ in source.chunks():
            sent[0, part], sent[1, part], _ = largest_and_sums(source, z, None)
    numbers, starts = exchange(group, call.told(source, None), sent)
    rows, order = Rows.of(numbers[:, 0], numbers[:, 1]), torch.argsort(starts, stable=True)
    bad = ~torch.isfinite(rows.lse)
    if waits(x) and bool(bad.any()):
        raise undrawable(int(bad.int().argmax()), tuple(bad.shape), "linear(input)" if W is not None else "input")
    cumulated = rows.of_slices[order].cumsum(0)
    point = torch.minimum(numbers[0, 2] * cumulated[-1], torch.nextafter(cumulated[-1], torch.zeros_like(uniform)))
    place = (cumulated > point).int().argmax(0)
    before = torch.where(place > 0, cumulated.gather(0, (place - 1).clamp(min=0)[None])[0], 0.0)
    share = rows.of_slices[order].gather(0, place[None])[0]
    within = ((point - before) / share).clamp(0.0, 1 - 2.0**-53)
    sent = drawn(source, order[place] == group.rank, within, sent, call)
    index, m, s, of_drawn = group.gather(call.name, sent).unbind(1)
    return ordered_sum(index).long(), (-Rows.of(m, s, of_drawn).loss).to(source.dtype)


def drawn(source: Source, own: Tensor, within: Tensor, sent: Tensor, call: Call) -> Tensor:
    """Of rows that are drawn from this slice the class, m_r and s_r without it, and its logit."""
    result = torch.stack([torch.zeros_like(within), sent[0], sent[1], torch.full_like(within, -inf)])
    chosen: Any = own.nonzero()[:, 0] if source.library.waits else slice(None)
    some = call.source(source.x[chosen], source.W, source.bias)
    u, found = within[chosen], result[:, chosen].clone()
    for part, z, _ in some.chunks():
        index, _ = some.library.sample(z, u[part])
        all_own = torch.ones_like(index, dtype=torch.bool)
        m, s, of_drawn = largest_and_sums(some, z, Targets(all_own, index, all_own))
        found[:, part] = torch.stack([(index + call.start).double(), m, s, of_drawn])
    result[:, chosen] = torch.where(own[chosen], found, result[:, chosen])
    return result
