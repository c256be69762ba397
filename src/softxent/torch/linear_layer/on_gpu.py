"""GPUs as softxent.linear asks them for products and losses: nothing here waits for one.

So ignored rows take part in the products, with a gradient of 0; the divisor of the mean and upstream gradients stay on
the device. A gradient is computed in float32 for an upstream gradient of 1, and multiplied when it is rounded to its
argument's dtype, which reads and writes it anyway: rounded once, whatever the upstream gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from softxent.linear import Gradients, Layer, LinearPlan, loss_and_gradient_of_logits, loss_and_gradients
from softxent.linear.plan import OF_PRODUCT, padded
from softxent.options import LossOptions
from softxent.torch.calls import Call
from softxent.torch.linear_layer.products import Products

SORTED = 2**22  # numbers that are sorted at a time: of 32 rows of 131072 classes
ADDS = torch.__version__ >= (2, 10)  # a product of 16-bit operands to a float32 sum


class OnGPU(Products):
    waits, sorted = False, SORTED

    def __init__(self, x: Tensor, dtype: torch.dtype, multiplied: torch.dtype, call: Call) -> None:
        super().__init__(x, dtype, multiplied)
        options = replace(self.call.options, ignore_index=call.options.ignore_index)  # no other target goes unchecked
        self.call = replace(self.call, names=call.names, options=options)

    def empty(self, *shape: int) -> Tensor:
        return room(shape, self.dtype, self.device)

    def operands(self, rows: int, classes: int) -> Tensor | None:
        return None if self.multiplied == self.dtype else room((rows, classes), self.multiplied, self.device)

    def set_product(self, to: Tensor, where: Any, a: Tensor, b: Tensor) -> None:
        self.product(a, b, to[where])

    def product(self, a: Tensor, b: Tensor, out: Tensor) -> None:
        if a.dtype == out.dtype:
            torch.mm(a, b, out=out)
        else:
            wide_product(a, b, out)

    def add_product(self, a: Tensor, b: Tensor, to: Tensor, first: bool) -> None:
        if first:
            self.product(a, b, to)
        elif a.dtype == to.dtype:
            to.addmm_(a, b)
        else:
            add_wide_product(a, b, to)

    def rounded_product(self, a: Tensor, b: Tensor, factor: Tensor | None) -> Tensor:
        """factor·a·b of 16-bit operands, rounded once."""
        out = torch.empty((len(a), b.shape[1]), dtype=a.dtype, device=self.device)
        held: Tensor | None = None
        for part in blocks(out, self.dtype):
            held = torch.empty_like(out[part], dtype=self.dtype) if held is None else held
            wide = held[: len(out[part])]
            wide_product(a[part], b, wide)
            out[part].copy_(wide) if factor is None else torch.mul(wide, factor, out=out[part])
        return out

    def column_sums(self, a: Tensor) -> Tensor:
        return a.sum(0, dtype=self.dtype)

    def divisor(self, layer: Layer) -> Tensor:
        return self.kernels.divisor_of(layer.x, layer.target, layer.weight, self.of(layer.options))

    def sample(self, z: Tensor, uniform: Tensor) -> tuple[Tensor, int]:
        """With −1 for a row without probabilities."""
        return self.kernels.drawn(z, 1, 1.0, uniform)[0], -1


def room(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Without numbers; rows begin at multiples of 16 numbers, as products and kernels read them fast."""
    *rows, columns = shape
    return torch.empty((*rows, padded(columns)), dtype=dtype, device=device)[..., :columns]


class StatisticsOnGPU(OnGPU):
    """In whose loop the derivatives of Σ upstream · (log p_y, entropy, lse) are in the place of the loss's, in 16 bits.

    ∂log p_y/∂z_j = [j = y] − p_j,   ∂H/∂z_j = −p_j·(log p_j + H),   ∂lse/∂z_j = p_j
    """

    def cross_entropy(
        self,
        z: Tensor,
        target: Tensor,
        weight: Tensor | None,
        options: LossOptions,
        out: Tensor | None,
        upstream: Tensor | None,
    ) -> Tensor:
        assert out is not None
        assert upstream is not None
        scaled = z if options.softcap is None else capped(z, options.softcap)
        log_prob, entropy, lse, _, _ = (a.double() for a in self.kernels.statistics(scaled, target, self.of(options)))
        del scaled
        y = torch.where(target == options.ignore_index, -1, target)
        of_log_prob, of_entropy, of_lse = upstream.T
        of_log_prob = torch.where(y < 0, 0.0, of_log_prob)
        T = options.temperature
        level = of_lse - of_log_prob - of_entropy * entropy
        # p_y − 1 is never formed: 1 − p_y = −(exp(log p_y) − 1)
        p = log_prob.exp()
        of_target = p * (of_lse - of_entropy * (entropy + log_prob)) - of_log_prob * log_prob.expm1()
        self.kernels.gradient_of_statistics(z, out, y, lse, level / T, of_entropy / T, of_target / T, options)
        return lse


def capped(z: Tensor, c: float) -> Tensor:
    """c·tanh(z / c); −inf stays a mask."""
    return z.div(c).tanh_().mul_(c).masked_fill_(z == -torch.inf, -torch.inf)


def ahead(
    layer: Layer, plan: LinearPlan, upstream: Tensor | None, given: Any, needs: list[bool]
) -> tuple[Tensor, Callable[[Tensor | None], Gradients]]:
    """The losses, and what makes the gradients to x, W and bias of a factor of them all, once.

    upstream   one number a row, or None
    """
    library = layer.library
    if plan.whole:
        losses, G = loss_and_gradient_of_logits(layer, plan, upstream)

        def of_factor(factor: Tensor | None) -> Gradients:
            x = library.rounded_product(G, layer.W, factor) if needs[0] else None
            W = library.rounded_product(G.T, layer.x, factor) if needs[1] else None
            return Gradients(x, W, rounded(library.column_sums(G), factor, given[2].dtype) if needs[2] else None)

        return losses, of_factor
    sums = [
        torch.empty_like(a, dtype=library.dtype) if need else None for a, need in zip(given[:3], needs, strict=True)
    ]
    losses = loss_and_gradients(layer, plan, upstream, Gradients(*sums))

    def of_sums(factor: Tensor | None) -> Gradients:
        found = []
        for like in given[:3]:  # each sum is let go before the next is rounded
            total = sums.pop(0)
            found.append(None if total is None else rounded(total, factor, like.dtype))
            del total
        return Gradients(*found)

    return losses, of_sums


def rounded(a: Tensor, factor: Tensor | None, dtype: torch.dtype) -> Tensor:
    """a·factor, rounded once; `a` itself where it can hold that."""
    if factor is None:
        return a.to(dtype)
    return torch.mul(a, factor, out=a if a.dtype == dtype else torch.empty_like(a, dtype=dtype))


def wide_product(a: Tensor, b: Tensor, out: Tensor) -> None:
    """out = a·b, in float32, of 16-bit operands."""
    if a.is_cpu:  # in tests
        torch.mm(a.to(out.dtype), b.to(out.dtype), out=out)
    else:
        torch.mm(a, b, out_dtype=out.dtype, out=out)


def add_wide_product(a: Tensor, b: Tensor, to: Tensor) -> None:
    if not ADDS:
        for part in blocks(to, to.dtype):
            product = torch.empty_like(to[part])
            wide_product(a[part], b, product)
            to[part] += product
    elif a.is_cpu:
        to.addmm_(a.to(to.dtype), b.to(to.dtype))
    else:
        torch.addmm(to, a, b, out_dtype=to.dtype, out=to)


def blocks(a: Tensor, dtype: torch.dtype) -> Iterator[slice]:
    """Rows of it that are OF_PRODUCT bytes in this dtype."""
    rows = max(1, OF_PRODUCT // (a.shape[1] * dtype.itemsize))
    for start in range(0, len(a), rows):
        yield slice(start, start + rows)
