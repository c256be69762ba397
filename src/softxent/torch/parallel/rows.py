"""What ranks know of a row together, in float64: of a slice of its classes each sends the largest logit and a sum.

With m_r the largest logit of slice r, s_r = Σ_j exp(z_j − m_r) over its classes but for the target, and z_y from the
rank that has it,

    O = Σ_r s_r·exp(m_r − m),  loss = log1p(O) where the target leads (m = z_y), else (m − z_y) + log(O + exp(z_y − m))

Sums go in the order of the ranks, so that all of them find the same bits. Nothing that cancels is subtracted: the
target's own logit is in none of the sums, and a slice's share of the others comes from the other slices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

FAR = -600.0  # exp is taken in two factors below, so that it is rounded to a subnormal number once, at the end


def difference(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a − b, and what its rounding lost (Knuth's two-sum)."""
    d = a - b
    t = d - a
    return d, torch.nan_to_num((a - (d - t)) - (b + t), 0.0, 0.0, 0.0)


def times_exp(s: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """s·exp(a − b), 0 for a = −inf."""
    d, lost = difference(a, b)
    half = torch.exp(d / 2)
    found = torch.where(d < FAR, (s * half) * half, s * torch.exp(d) * (1 + lost))
    return torch.where(a == -torch.inf, torch.where(b == b, 0.0, torch.nan), found)


def ordered_sum(parts: Tensor) -> Tensor:
    """Over the ranks, from the first to the last."""
    total = parts[0].clone()
    for part in parts[1:]:
        total += part
    return total


def rests(parts: Tensor) -> Tensor:
    """For each rank the sum over all others."""
    before, after = torch.zeros_like(parts), torch.zeros_like(parts)
    for r in range(1, len(parts)):
        before[r] = before[r - 1] + parts[r - 1]
        after[-r - 1] = after[-r] + parts[-r]
    return before + after


@dataclass
class Rows:
    """What is known of all classes; slices are on the first axis."""

    largest: Tensor  # m_r
    sums: Tensor  # s_r, without the target
    of_targets: Tensor  # z_y on the slice that has it, else −inf
    z_y: Tensor  # −inf without a target
    top: Tensor  # the largest logit of all
    others: Tensor  # O, over exp(top)
    e_y: Tensor  # exp(z_y − top)
    of_slices: Tensor  # Σ_j exp(z_j − top) of each slice, the target in it
    log_sum: Tensor  # lse − top

    @classmethod
    def of(cls, largest: Tensor, sums: Tensor, of_targets: Tensor | None = None) -> Rows:
        if of_targets is None:
            of_targets = torch.full_like(largest, -torch.inf)
        z_y = of_targets.amax(0)
        top = torch.maximum(largest.amax(0), z_y)
        of_slices = times_exp(sums, largest, top)
        others, e_y = ordered_sum(of_slices), times_exp(torch.ones_like(top), z_y, top)
        leads = z_y >= top
        log_sum = torch.where(leads, torch.log1p(others), torch.log(others + e_y))
        of_slices = of_slices + times_exp(torch.ones_like(sums), of_targets, top.expand_as(sums))
        return cls(largest, sums, of_targets, z_y, top, others, e_y, of_slices, log_sum)

    @property
    def lse(self) -> Tensor:
        lse = self.top + self.log_sum
        return torch.where(lse.isinf(), torch.nan, lse)  # no probabilities

    @property
    def loss(self) -> Tensor:
        """−log p_y"""
        return (self.top - self.z_y) + self.log_sum + 0 * self.lse

    @property
    def total(self) -> Tensor:
        return self.others + self.e_y

    @property
    def p_y(self) -> tuple[Tensor, Tensor]:
        """p_y and 1 − p_y."""
        return self.e_y / self.total, self.others / self.total

    @property
    def shares(self) -> Tensor:
        """P_r, the probability of each slice."""
        return self.of_slices / self.total

    @property
    def gaps(self) -> Tensor:
        """−log P_r = lse − lse_r, a sum of terms ≥ 0; inf of a slice without probabilities."""
        rest = rests(self.of_slices)
        m = torch.maximum(self.largest, self.of_targets)
        s = times_exp(self.sums, self.largest, m) + times_exp(torch.ones_like(m), self.of_targets, m)
        far = (self.top - m) + (self.log_sum - torch.log(s))
        return torch.where(rest < self.of_slices, torch.log1p(rest / self.of_slices), far)
