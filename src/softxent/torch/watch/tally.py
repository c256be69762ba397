"""What a watch knows of the calls of a loss: counters on the device, and every so often a look at a sample of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from softxent.checks import axis, element
from softxent.torch import checks
from softxent.torch.calls import rows_of
from softxent.torch.checks import PYTORCHS
from softxent.torch.watch import sentences

# How much is looked at: rows of a target, in each call; and at a look rows of logits, in numbers 4 MiB of float32
TARGETS = 4096
ROWS, LEAST, NUMBERS = 256, 8, 2**20

# When it is wrong
WINDOW, WEIGHT = 64, 0.5  # rows of a mean, and how much a new one weighs beside those before
GROWN = 0.25  # share of the rows beyond the first share: five standard deviations of WINDOW rows, of which 10 % round
DRIFT = 64  # beyond the first mean: from 64 on, the numbers of bfloat16 lie 0.5 apart, and p is off by up to 28 %
A_CLASS, RAREST = 100, 20  # rows for each class; rows of the rarest: another as rare is missed by chance of e^−20
REPEATED, OFTEN = 3, 0.05  # calls, and their share
NAMED = 5  # classes, at most


class Batch(NamedTuple):
    """One call of the loss."""

    logits: Tensor
    target: Tensor  # of a class index a row, flat
    axis: int
    by_index: bool
    loss: Tensor
    ignore_index: int

    @property
    def classes(self) -> int:
        return self.logits.shape[self.axis]

    def counted(self, target: Tensor) -> Tensor:
        """The rows of a target that count."""
        if not self.by_index:
            return target.sum(-1) > 0
        return (target >= 0) & (target < self.classes) & (target != self.ignore_index)


def batch_of(logits: Tensor, target: Tensor, loss: Tensor, ignore_index: int, dim: int | None) -> Batch:
    x, loss = logits.detach(), loss.detach()
    t = checks.target_of_one_row(x, target.detach())
    k = min(1, x.ndim - 1) if dim is None else axis(dim, x.ndim, PYTORCHS)
    rows, shape = rows_of(x, k), tuple(x.shape)
    by_index = t.shape == rows
    if not by_index and t.shape != shape:
        raise sentences.shapes(tuple(t.shape), shape, rows, PYTORCHS)
    return Batch(x, t.reshape(-1).long() if by_index else t, k, by_index, loss, ignore_index)


def sample(a: Tensor, axis: int | None, most: int, turn: int) -> Tensor:
    """At most so many rows of `a`, evenly spaced, and others at the next turn; no random number is drawn for them."""
    a = a if axis is None else a.movedim(axis, -1)
    rows = a.shape[: a.ndim - (axis is not None)]
    count = math.prod(rows)
    stride = -(-count // most)
    chosen = slice(turn % stride, count, stride)
    if len(rows) == 1:
        return a[chosen]
    if not rows:
        return a[None]
    return a[torch.unravel_index(torch.arange(count, device=a.device)[chosen], rows)]


# A look ---------------------------------------------------------------------------------------------------------------


class Look(NamedTuple):
    """Of a sample of rows, how many: they are all, look like probabilities, …"""

    rows: float
    probabilities: float
    log_probabilities: float
    judged: float  # with a loss that can be more than 0
    rounded: float  # to 0
    finite: float
    lse: float  # the sum of these


def look_at(batch: Batch, turn: int) -> Look:
    """Waits for the device once."""
    classes = batch.classes
    most = max(LEAST, min(ROWS, NUMBERS // classes))
    x = sample(batch.logits, batch.axis, most, turn)
    t = sample(batch.target, None if batch.by_index else batch.axis, most, turn)
    z = x.to(torch.promote_types(x.dtype, torch.float32))
    lse, near = z.logsumexp(-1), max(1e-3, 4 * torch.finfo(x.dtype).eps)
    judged, log_p = losses(batch, x, t)
    columns = (
        (z >= 0).all(-1) & ((z.sum(-1) - 1).abs() <= near),
        (z <= 0).all(-1) & (lse.abs() <= near * (1 + math.log(classes))),
        judged,
        judged & (log_p == 0),
        lse.isfinite(),
        lse.nan_to_num(0, 0, 0),
    )
    return Look(len(z), *torch.stack([column.sum(dtype=z.dtype) for column in columns]).tolist())


def losses(batch: Batch, x: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Which rows have a loss above 0, and their −loss as log_softmax has it in the loss's dtype."""
    counted = batch.counted(t) & ((x > -torch.inf).sum(-1) > 1)
    log_p = x.to(batch.loss.dtype).log_softmax(-1)
    if batch.by_index:
        return counted, log_p.gather(-1, t.where(counted, 0)[:, None])[:, 0]
    return counted, (t * log_p).sum(-1)


def place_of_bad(batch: Batch) -> str | None:
    """Where the logits make a loss that is not finite: NaN, +inf, or −inf where the target is."""
    x = batch.logits
    wrong = x.isnan() | x.isposinf()
    if not wrong.any():
        wrong = x.isneginf() & targeted(batch)
    if not wrong.any():
        return None
    flat = int(wrong.flatten().byte().argmax())
    value, place = x.flatten()[flat].item(), element("logits", tuple(x.shape), flat)
    return f"{place}, where the target is, is -inf" if value == -math.inf else f"{place} is {value}"


def targeted(batch: Batch) -> Tensor:
    """The logits whose log-probabilities the loss takes."""
    x, k, t = batch.logits, batch.axis, batch.target
    if not batch.by_index:
        return t > 0
    rows, counted = rows_of(x, k), batch.counted(t)
    hit = counted.reshape(rows).unsqueeze(k)
    return torch.zeros_like(x, dtype=torch.bool).scatter_(k, t.where(counted, 0).reshape(rows).unsqueeze(k), hit)


class Mean:
    """A mean over rows: the first, and the running one."""

    def __init__(self) -> None:
        self.total = self.rows = 0.0
        self.first: float | None = None
        self.now = 0.0

    def add(self, total: float, rows: float) -> None:
        self.total, self.rows = self.total + total, self.rows + rows
        if self.rows >= WINDOW:
            mean = self.total / self.rows
            self.total = self.rows = 0.0
            if self.first is None:
                self.first = self.now = mean
            self.now += WEIGHT * (mean - self.now)


# All of them ----------------------------------------------------------------------------------------------------------


class Tally:
    """Of the calls on one device."""

    def __init__(self, device: torch.device) -> None:
        self.steps = self.looks = self.since = 0
        self.ignored = torch.zeros((), dtype=torch.int64, device=device)  # calls in which all rows were
        self.before = torch.zeros_like(self.ignored)  # calls before the first whose loss was not finite
        self.finite = torch.ones_like(self.ignored, dtype=torch.bool)
        self.kind: tuple[int, bool] | None = None
        self.counts = self.ones = self.ignored[None]
        self.alike = {"probabilities": 0.0, "log-probabilities": 0.0}  # rows, look by look
        self.rounded, self.lse = Mean(), Mean()

    def see(self, batch: Batch, every: int, said: set[str]) -> dict[str, str]:
        """What is wrong, in words, beside what is said already."""
        self.count(batch)
        due = self.steps == 1 or self.steps % every == 0
        if not due and self.finite.is_cpu and "not finite" not in said:  # the CPU need not be waited for
            due = not self.finite.item()
        if due:
            return {kind: text for kind, text in self.findings(batch, said) if kind not in said}
        return {}

    def count(self, batch: Batch) -> None:
        """Does not wait for the device."""
        self.steps += 1
        if self.kind != (batch.classes, batch.by_index):
            self.kind, self.since = (batch.classes, batch.by_index), self.steps - 1
            dtype = torch.int64 if batch.by_index else torch.float32
            self.counts = torch.zeros(batch.classes + 2, dtype=dtype, device=batch.logits.device)
        fine = batch.loss.isfinite()
        fine = fine.all() if fine.ndim else fine
        if batch.by_index:
            t = sample(batch.target, None, TARGETS, self.steps)
            if len(self.ones) != len(t):
                self.ones = torch.ones_like(t)
            self.counts.index_add_(0, t.clamp(-1, batch.classes).add_(1), self.ones)  # what is no class, at an end
            all_ignored = (t == batch.ignore_index).all()
            self.ignored += all_ignored
            fine = fine.logical_or_(all_ignored)
        else:
            t = sample(batch.target, batch.axis, max(LEAST, TARGETS // batch.classes), self.steps)
            self.counts[1:-1] += t.sum(0)
        self.before += self.finite.logical_and_(fine)

    def findings(self, batch: Batch, said: set[str]) -> Iterator[tuple[str, str]]:
        self.looks += 1
        look = look_at(batch, self.looks)
        if "not finite" not in said:  # all logits are searched for the place
            yield from self.of_loss(batch)
        yield from self.of_kind(batch, look)
        yield from self.of_means(batch, look)
        yield from self.of_target(batch)

    def of_loss(self, batch: Batch) -> Iterator[tuple[str, str]]:
        if not self.finite:
            yield "not finite", sentences.not_finite(int(self.before) + 1, self.steps, place_of_bad(batch))

    def of_kind(self, batch: Batch, look: Look) -> Iterator[tuple[str, str]]:
        """Log-probabilities at one look alone may be a bias that was set to them at first."""
        for name, rows in (("probabilities", look.probabilities), ("log-probabilities", look.log_probabilities)):
            self.alike[name] = self.alike[name] + rows if rows == look.rows and batch.classes > 1 else 0
        if self.alike["probabilities"] >= LEAST:
            yield "probabilities", sentences.probabilities(self.steps, batch.classes)
        if self.alike["log-probabilities"] >= max(LEAST, look.rows + 1):
            yield "log-probabilities", sentences.log_probabilities(self.steps)

    def of_means(self, batch: Batch, look: Look) -> Iterator[tuple[str, str]]:
        self.rounded.add(look.rounded, look.judged)
        self.lse.add(look.lse, look.finite)
        share, lse = self.rounded, self.lse
        if share.first is not None and share.now - share.first >= GROWN:
            yield "rounded", sentences.rounded(self.steps, share.now, share.first, checks.dtype(batch.loss))
        if lse.first is not None and abs(lse.now) - abs(lse.first) > DRIFT:
            yield "drift", sentences.drift(self.steps, lse.now, lse.first)

    def of_target(self, batch: Batch) -> Iterator[tuple[str, str]]:
        times = int(self.ignored)
        if times >= max(REPEATED, OFTEN * self.steps):
            yield "ignored", sentences.ignored(times, self.steps, batch.ignore_index)
        counts = self.counts[1:-1]
        rows = counts.sum().item()
        if self.looks == 1 or rows < A_CLASS * batch.classes:
            return
        never = counts == 0
        if batch.by_index and 0 <= batch.ignore_index < batch.classes:
            never[batch.ignore_index] = False
        count = int(never.sum())
        if count and counts[counts > 0].min() >= RAREST:
            first = never.nonzero()[:NAMED, 0].tolist()
            yield "absent", sentences.absent(first, count, batch.classes, int(rows), self.steps - self.since)
