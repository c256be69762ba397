"""The loss of each row from what all ranks sent, and what backward needs of it on this one."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from softxent.torch.parallel.local import Source, Targets
from softxent.torch.parallel.rows import Rows, ordered_sum


class State(NamedTuple):
    """Of each row, in float64; kept for backward as one tensor."""

    share: Tensor  # P_r, the probability of this rank's slice: 0 without any, NaN of a row without probabilities
    gap: Tensor  # −log P_r
    lse: Tensor
    p_y: Tensor
    rest: Tensor  # 1 − p_y
    mass: Tensor  # A
    beside: Tensor  # A − a_y
    own: Tensor  # a_y
    weight: Tensor  # w_y, 0 of ignored rows: what a mean divides by


def loss_and_state(
    source: Source, numbers: Tensor, rank: int, targets: Targets | None, dense: bool, weighted: bool, total: int
) -> tuple[Tensor, Tensor]:
    """`numbers` are those of `columns`, of all ranks."""
    sent = list(numbers.unbind(1))
    rows = Rows.of(sent.pop(0), sent.pop(0), None if targets is None else sent.pop(0))
    options, gaps, zero = source.options, rows.gaps, torch.zeros_like(rows.top)
    if targets is None:
        weight, losses, own, each = zero + 1, zero, zero, 0.0
    else:
        weight = ordered_sum(sent.pop(0)) if weighted else zero + 1
        weight = torch.where(targets.counted, weight, 0.0)
        kept = weight * (1 - options.label_smoothing)
        each = options.label_smoothing / total
        losses, own = torch.where(kept == 0, 0.0, kept * rows.loss), weight * ((1 - options.label_smoothing) + each)
    mass, beside = own, zero
    if dense:
        spreads, masses = sent
        spread = spreads + torch.where(masses == 0, 0.0, masses * gaps)
        losses, others = losses + ordered_sum(spread), ordered_sum(masses)
        beside = others if targets is None else others - each * weight
        mass = others if targets is None else others + (1 - options.label_smoothing) * weight
    lse = rows.lse
    losses = losses + options.z_loss * lse * lse + 0 * lse
    if targets is not None:
        losses = torch.where(targets.counted, losses, 0.0)
    p_y, rest = rows.p_y
    defined = torch.where(lse == lse, rows.shares[rank], torch.nan)
    state = State(defined, gaps[rank], lse, p_y, rest, mass, beside, own, weight)
    return losses, torch.stack([column + 0 * zero for column in state])


def gradient_of_logits(
    source: Source,
    z: Tensor,
    to: Tensor,
    slope: Tensor | None,
    state: State,
    upstream: Tensor,
    targets: Targets | None,
    masses: Any,
) -> None:
    """Writes upstream·∂loss/∂x of a chunk, (A + 2λ·lse)·p_j − a_j times ∂z_j/∂x_j, `to` memory that may be z's.

    upstream   over T where no slope is given
    masses     a_j but for a target's own, or None
    """
    twice = 2 * source.options.z_loss
    masked = z == -torch.inf if masses is not None else None
    z_y = None if targets is None else z.gather(1, targets.local[:, None])
    source.softmax(z, to)
    to.mul_((upstream * (state.mass + twice * state.lse) * state.share).to(to.dtype)[:, None])
    fill(source, to, state.share == 0, 0.0)  # where the slice alone has no softmax
    if masses is not None:
        to -= upstream.to(to.dtype)[:, None] * masses
        to.masked_fill_(masked, 0.0)
    if targets is not None:
        assert z_y is not None
        of_target = upstream * ((state.beside + twice * state.lse) * state.p_y - state.own * state.rest)
        of_target = torch.where(z_y[:, 0] == -torch.inf, 0.0, of_target).to(to.dtype)[:, None]
        index = targets.local[:, None]
        to.scatter_(1, index, torch.where(targets.own[:, None], of_target, to.gather(1, index)))
    if slope is not None:
        to *= slope
    fill(source, to, state.share != state.share, torch.nan)
    if targets is not None:
        fill(source, to, ~targets.counted, 0.0)


def fill(source: Source, to: Tensor, rows: Tensor, value: float) -> None:
    """Rarely any row, so that a look at all of them is worth it where it need not be waited for."""
    if not source.library.waits or bool(rows.any()):
        to.masked_fill_(rows[:, None], value)


def log_p_of(z: Tensor, state: State, source: Source) -> Tensor:
    """log p_j of a chunk, among all classes."""
    log_p = source.library.kernels.log_softmax(z, 1, 1.0, "logits")
    log_p -= state.gap.to(log_p.dtype)[:, None]
    fill(source, log_p, state.gap == torch.inf, -torch.inf)
    return log_p
