"""What a rank computes of its own slice: logits, or the layer that makes them, some rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import inf
from typing import Any

import torch
from torch import Tensor

from softxent import checks as shared
from softxent.linear import Layer, linear_plan
from softxent.options import LossOptions
from softxent.torch.calls import COMPUTED_IN, Call
from softxent.torch.checks import ARRAYS
from softxent.torch.devices import kernels_of, waits
from softxent.torch.linear_layer.layer import given_as
from softxent.torch.linear_layer.on_gpu import OnGPU
from softxent.torch.linear_layer.products import Products, computed_in, multiplied_in
from softxent.torch.parallel.rows import difference

AT_ONCE, AT_ONCE_ON_GPU = 2**18, 2**26  # numbers of a copy of logits: on the CPU it stays in the cache
NEAR = 2.0**20  # below which log Σ keeps 32 of its bits beside what the largest logit is above another
PLAIN = LossOptions(reduction="none", ignore_index=-1)


@dataclass
class Source:
    """The logits of this rank's classes: x itself, or x·Wᵀ + b; and z = c·tanh(x / c) / T of them."""

    x: Tensor  # rows × classes, or rows × features
    W: Tensor | None
    bias: Tensor | None
    options: LossOptions
    budget: int

    def __post_init__(self) -> None:
        self.rows = self.x.shape[0]
        self.classes = (self.x.shape[1] if self.W is None else self.W.shape[0]) if self.x.ndim == 2 else 0
        self.dtype = COMPUTED_IN[self.x.dtype] if self.W is None else computed_in(self.x, self.W, self.bias)
        self.library = self.library_of()
        self.scales = self.options.softcap is not None or self.options.temperature != 1

    def library_of(self) -> Any:
        call = Call(1, PLAIN, torch.float64, "zero", ARRAYS)
        multiplied = self.dtype if self.W is None else multiplied_in(self.x, self.W, self.dtype)
        return (
            Products(self.x, self.dtype, multiplied) if waits(self.x) else OnGPU(self.x, self.dtype, multiplied, call)
        )

    def chunks(self, wide: bool = False, gradients: bool = False) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """The rows, their z, and with `gradients` ∂z/∂x where a softcap has one that differs from class to class.

        wide   in the dtype of the computation, and in memory that may be overwritten
        """
        if not self.classes:
            return
        if self.W is not None:
            yield from self.products(gradients)
            return
        copied = self.scales or (wide and self.x.dtype != self.dtype)
        most = (AT_ONCE if waits(self.x) else AT_ONCE_ON_GPU) if copied or wide else self.rows * self.classes
        for part in parts(self.rows, max(1, most // self.classes)):
            x = self.x[part]
            yield part, *self.scaled(x, gradients, x.to(self.dtype, copy=True) if copied else x)

    def products(self, gradients: bool) -> Iterator[tuple[slice, Tensor, Tensor | None]]:
        """Of a layer; every chunk is written over the last one."""
        x, W, library = self.x, self.W, self.library
        assert W is not None
        layer = Layer(library, x, W, self.bias, x.new_zeros(self.rows), None, self.options, False)
        size, operand = self.chunk(gradients), self.operand
        buffer = library.empty(size, self.classes)
        for part in parts(self.rows, size):
            z = buffer[: part.stop - part.start]
            layer.logits(library.operand(x[part]), operand, self.bias, z)
            yield part, *self.scaled(z, gradients, z)

    @cached_property
    def operand(self) -> Tensor:
        """W as products take it."""
        return self.library.operand(self.W)

    def chunk(self, gradients: bool) -> int:
        W = self.W
        assert W is not None
        cast = {self.x.dtype, W.dtype} != {self.dtype}
        halved = gradients and waits(self.x) and self.library.multiplied != self.dtype  # a copy of G
        plan = linear_plan(
            self.rows, W.shape[1], self.classes, itemsize=self.dtype.itemsize, gradients=gradients, cast=cast,
            memory_budget=given_as(self.budget), copies=4 * self.scales + halved, all_classes=True,
            on_gpu=not waits(self.x),
        )  # fmt: skip
        return max(1, plan.piece or plan.chunk[0])

    def scaled(self, x: Tensor, gradients: bool, to: Tensor) -> tuple[Tensor, Tensor | None]:
        """z, written `to` where it is not x, and ∂z/∂x; rounded once, from float64."""
        if not self.scales:
            return to, None
        c, T = self.options.softcap, self.options.temperature
        z, slope = x.double(), None
        if c is not None:
            if gradients:
                t = torch.exp(-2 * (z / c).abs())
                slope = (4 * t / (1 + t) ** 2).to(self.dtype)
            z = torch.where(z.isinf(), z, c * torch.tanh(z / c))
        return to.copy_(z / T if self.dtype == torch.float64 else z * (1 / T)), slope

    # what the kernels find of a chunk

    def losses(self, z: Tensor, target: Tensor, weight: Tensor | None, options: LossOptions) -> Tensor:
        """In float64, of the classes of this slice."""
        return kernels_of(z).loss(z, target, weight, Call(1, options, torch.float64, "zero", ARRAYS))

    def softmax(self, z: Tensor, out: Tensor) -> None:
        kernels_of(z).softmax(z, 1, 1.0, "logits", out)


def parts(rows: int, size: int) -> Iterator[slice]:
    for start in range(0, rows, max(1, size)):
        yield slice(start, min(start + size, rows))


@dataclass
class Targets:
    """Class indices as this rank has them."""

    own: Tensor  # whether a row's target is of this slice
    local: Tensor  # which of its classes, 0 for others
    counted: Tensor  # whether it is not ignored

    @classmethod
    def of(cls, target: Tensor, start: int, stop: int, ignore_index: int) -> Targets:
        counted = target != ignore_index
        own = counted & (target >= start) & (target < stop)
        return cls(own, torch.where(own, target - start, 0), counted)

    def at(self, part: slice) -> Targets:
        return Targets(self.own[part], self.local[part], self.counted[part])


def largest_and_sums(source: Source, z: Tensor, targets: Targets | None) -> tuple[Tensor, Tensor, Tensor]:
    """m_r and s_r without the target, and z_y where it is of this slice, else −inf; float64."""
    z_y = z.new_full(z.shape[:1], -inf, dtype=torch.float64)
    if targets is not None:
        z_y = torch.where(targets.own, z.gather(1, targets.local[:, None])[:, 0].double(), z_y)
    if z.dtype == torch.float64:
        return *sums_in_float64(z, targets), z_y
    found = sums_beside(source, z, targets)
    if found is not None:
        return *found, z_y
    m, first = z.max(1)
    m = m.double()
    log_sum = source.losses(z, first, None, PLAIN)  # log1p of the others beside the largest, as a float64
    s = torch.exp(log_sum)
    if targets is not None:
        without = torch.where(targets.local == first, torch.expm1(log_sum), s - torch.exp(z_y - m))
        s = torch.where(targets.own, without, s)
    return m, torch.where(m == -inf, 0.0, s), z_y


def sums_beside(source: Source, z: Tensor, targets: Targets | None) -> tuple[Tensor, Tensor] | None:
    """m_r and s_r from lse_r − z_k of a class k, the target where it is of this slice; None where k is too far below.

    Where the largest logit stands takes PyTorch four times as long to find as what it is.
    """
    if not source.library.waits:
        return None
    k = torch.zeros(len(z), dtype=torch.int64) if targets is None else targets.local
    m, z_k = z.amax(1).double(), z.gather(1, k[:, None])[:, 0].double()
    below = m - z_k
    if not bool((below < NEAR).all()):
        return None
    gap = source.losses(z, k, None, PLAIN)  # as a float64: below + log Σ_j exp(z_j − m)
    s = torch.exp(gap - below)
    if targets is not None:
        without = torch.where(below == 0, torch.expm1(gap), s - torch.exp(-below))
        s = torch.where(targets.own, without, s)
    return m, s


def sums_in_float64(z: Tensor, targets: Targets | None) -> tuple[Tensor, Tensor]:
    """The same with the error of z − m, which exp multiplies; float64's log Σ would lose digits of a large Σ."""
    m, s = z.new_empty(z.shape[0]), z.new_empty(z.shape[0])
    for part in parts(z.shape[0], max(1, AT_ONCE // z.shape[1])):
        a = z[part].clone()
        if targets is not None:
            own = targets.own[part]
            a[own, targets.local[part][own]] = -inf
        m[part] = a.amax(1)
        d, lost = difference(a, m[part][:, None])
        s[part] = (torch.exp(d) * (1 + lost)).sum(1)
    return m, torch.where(m == -inf, 0.0, s)


# Beyond the target's own mass -----------------------------------------------------------------------------------------


def each_of(options: LossOptions, total: int) -> float:
    """ε / V of all classes."""
    return options.label_smoothing / total


def uniform_loss(source: Source, z: Tensor, weight: Tensor | None, total: int) -> Tensor:
    """Σ_j ε/V·w_j·(lse_r − z_j)"""
    ones = replace(PLAIN, label_smoothing=1.0)
    first = torch.zeros(len(z), dtype=torch.int64, device=z.device)
    return source.losses(z, first, weight, ones) * (source.classes * each_of(source.options, total))


def soft_loss(source: Source, z: Tensor, t: Tensor, weight: Tensor | None, total: int) -> tuple[Tensor, Tensor]:
    """Σ_j a_j·(lse_r − z_j) and Σ_j a_j of probabilities.

    The kernel divides ε by the slice's V, so that it is given another ε, and the result a factor.
    """
    options, each = source.options, each_of(source.options, total)
    factor = 1 - options.label_smoothing + source.classes * each
    smoothed = replace(PLAIN, label_smoothing=min(1.0, source.classes * each / factor) if factor else 0.0)
    mass = torch.empty(len(z), dtype=torch.float64, device=z.device)
    for part in parts(len(t), max(1, AT_ONCE // source.classes)):
        a = (1 - options.label_smoothing) * t[part].double() + each
        mass[part] = (a if weight is None else a * weight.double()).sum(1)
    return source.losses(z, t, weight, smoothed) * factor, mass


def at_masks(spread: Tensor, mass: Tensor | float, m: Tensor) -> Tensor:
    """The loss of a slice that is all masks: inf if it has mass."""
    mass = torch.as_tensor(mass, dtype=torch.float64, device=m.device)
    return torch.where(m == -inf, torch.where(mass > 0, inf, 0.0), spread)


def checked_probabilities(t: Tensor) -> None:
    if waits(t) and t.numel():
        least, most = t.aminmax()
        if not (least >= 0 and most < inf):
            first = int(((t >= 0) & (t < inf)).flatten().int().argmin())
            raise shared.probability(t.flatten()[first].item(), tuple(t.shape), first, ARRAYS)
