"""PyTorch as softxent.linear asks it for products, and its kernels for the loss."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from softxent.linear import per_row
from softxent.options import LossOptions
from softxent.results import Statistics
from softxent.torch import checks
from softxent.torch.calls import COMPUTED_IN, Call
from softxent.torch.devices import kernels_of, waits

COLUMNS = 512  # of x·Wᵀ at a time: MKL on AMD is 1.3–2 × as fast as with all of 50257, benchmarks/products.py


class Products:
    """PyTorch for one call, computed in `dtype`; softxent.linear.layer.Library says what each does."""

    xp = torch
    waits, sorted = True, per_row.SORTED

    def __init__(self, x: Tensor, dtype: torch.dtype, multiplied: torch.dtype) -> None:
        self.kernels, self.device, self.dtype, self.multiplied = kernels_of(x), x.device, dtype, multiplied
        self.call = Call(1, LossOptions(reduction="none", ignore_index=-1), torch.float64, "zero", checks.ARRAYS)

    def of(self, options: LossOptions) -> Call:
        return replace(self.call, options=options)

    def empty(self, *shape: int) -> Tensor:
        return torch.empty(shape, dtype=self.dtype, device=self.device)

    def full(self, shape: tuple[int, ...], value: float) -> Tensor:
        return torch.full(shape, value, dtype=torch.float64, device=self.device)

    def cast(self, a: Tensor) -> Tensor:
        return a.to(self.dtype)

    def wide(self, a: Tensor) -> Tensor:
        return a.double()

    def like(self, a: Tensor, other: Tensor) -> Tensor:
        return a.to(other.dtype)

    def sum_for(self, a: Tensor) -> Tensor:
        return a if a.dtype == self.dtype else torch.empty_like(a, dtype=self.dtype)

    def operand(self, a: Tensor) -> Tensor:
        return a.to(self.multiplied)

    def operands(self, rows: int, classes: int) -> Tensor | None:
        return None

    def times(self, a: Tensor, b: Tensor) -> Tensor:
        return (a @ b).to(self.dtype)

    def set_product(self, to: Tensor, where: Any, a: Tensor, b: Tensor) -> None:
        to[where] = self.times(a, b).to(to.dtype)

    def product(self, a: Tensor, b: Tensor, out: Tensor) -> None:
        columns = COLUMNS if out.is_cpu else max(1, out.shape[1])
        for part in (slice(k, k + columns) for k in range(0, out.shape[1], columns)):
            if a.dtype == out.dtype:
                torch.mm(a, b[:, part], out=out[:, part])  # within an operator matmul, unlike mm, would refuse leaves
                continue
            # summed up in float32, but rounded to 16 bits by PyTorch: a second product finds what that lost
            rounded = a @ b[:, part]
            out[:, part] = rounded
            out[:, part] += rounded.addmm_(a, b[:, part], beta=-1).nan_to_num_()  # of ±inf, NaN

    def add_product(self, a: Tensor, b: Tensor, to: Tensor, first: bool) -> None:
        if a.dtype == b.dtype == to.dtype:
            self.product(a, b, to) if first else to.addmm_(a, b)
        else:
            product = self.operand(a) @ self.operand(b)
            to.copy_(product) if first else to.add_(product)

    def column_sums(self, a: Tensor) -> Tensor:
        return a.sum(0)

    def indices(self, mask: Tensor) -> Tensor:
        return mask.nonzero()[:, 0]

    def mask(self, z: Tensor, where: Tensor) -> None:
        z.masked_fill_(where, -torch.inf)

    def pick(self, a: Tensor, j: Tensor) -> Tensor:
        return a.gather(1, j[:, None])[:, 0]

    def cross_entropy(
        self,
        z: Tensor,
        target: Tensor,
        weight: Tensor | None,
        options: LossOptions,
        out: Tensor | None,
        upstream: Tensor | None,
    ) -> Tensor:
        return self.kernels.loss(z, target, weight, self.of(options), out, upstream)

    def logsumexp(self, z: Tensor) -> Tensor:
        return self.kernels.logsumexp(z, 1, "logits").double()

    def softmax(self, z: Tensor) -> None:
        self.kernels.softmax(z, 1, 1.0, "logits", z)

    def statistics(self, z: Tensor, target: Tensor, temperature: float = 1.0) -> Statistics:
        options = self.call.options if temperature == 1 else replace(self.call.options, temperature=temperature)
        return self.kernels.statistics(z, target, self.of(options))

    def sample(self, z: Tensor, uniform: Tensor) -> tuple[Tensor, int]:
        return self.kernels.draw(z, 1, 1.0, uniform, "logits")

    def larger(self, z: Tensor, than: Tensor) -> Tensor:
        """By rows: a sum of bools makes a tensor of integers."""
        return torch.stack([torch.count_nonzero(row > least) for row, least in zip(z, than, strict=True)])

    def largest(self, z: Tensor, k: int) -> Tensor:
        return torch.topk(z, k, 1).values


def multiplied_in(x: Tensor, W: Tensor, dtype: torch.dtype) -> torch.dtype:
    """16 bits where the processor multiplies them, for inputs and weight of them."""
    if x.dtype != W.dtype:
        return dtype
    if not waits(x):
        return x.dtype
    return torch.bfloat16 if x.dtype == torch.bfloat16 and multiplies_bfloat16() else dtype


@cache
def multiplies_bfloat16() -> bool:
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def computed_in(x: Tensor, W: Tensor, bias: Tensor | None) -> torch.dtype:
    dtype = torch.promote_types(COMPUTED_IN[x.dtype], COMPUTED_IN[W.dtype])
    return dtype if bias is None else torch.promote_types(dtype, COMPUTED_IN[bias.dtype])
