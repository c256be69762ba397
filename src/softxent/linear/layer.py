"""A last layer, and what the loop over its chunks asks of an array library."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from softxent.linear.plan import LinearPlan, remembered_plan
from softxent.options import LossOptions
from softxent.results import Statistics

Array = Any


class Library(Protocol):
    """An array library and its kernels, for one call and the dtype that it is computed in."""

    dtype: Any  # of the computation
    multiplied: Any  # the dtype of products' operands
    waits: bool  # whether a number may be asked for, which on a GPU would be to wait for it
    sorted: int  # numbers that are sorted at a time

    @property
    def xp(self) -> Any:
        """numpy or torch: what the two call alike."""

    def empty(self, *shape: int) -> Array:
        """In the dtype of the computation."""

    def full(self, shape: tuple[int, ...], value: float) -> Array:
        """In float64."""

    def cast(self, a: Array) -> Array:
        """The numbers in the dtype of the computation."""

    def wide(self, a: Array) -> Array:
        """The numbers in float64."""

    def like(self, a: Array, other: Array) -> Array:
        """The numbers in the dtype of `other`."""

    def operand(self, a: Array) -> Array:
        """The numbers as a product takes them: in the dtype of the computation, or in 16 bits where that is faster."""

    def operands(self, rows: int, classes: int) -> Array | None:
        """Room for G as a product takes it, where the kernel writes it so; None where it overwrites the logits."""

    def times(self, a: Array, b: Array) -> Array:
        """a·b of operands, in the dtype of the computation."""

    def set_product(self, to: Array, where: Any, a: Array, b: Array) -> None:
        """to[where] = a·b of operands."""

    def product(self, a: Array, b: Array, out: Array) -> None:
        """Writes a·b to `out`."""

    def add_product(self, a: Array, b: Array, to: Array, first: bool) -> None:
        """to += a·b, and at first to = a·b."""

    def sum_for(self, a: Array) -> Array:
        """Room for a sum of the shape of `a` in the dtype of the computation: `a` itself if it has that."""

    def column_sums(self, a: Array) -> Array: ...

    def indices(self, mask: Array) -> Array:
        """Where it is True."""

    def mask(self, z: Array, where: Array) -> None:
        """z = −∞ there."""

    def pick(self, a: Array, j: Array) -> Array:
        """The j-th number of each row."""

    def divisor(self, layer: Layer) -> Any:
        """Layer.divisor, where a number may not be asked for."""

    def cross_entropy(
        self,
        z: Array,
        target: Array,
        weight: Array | None,
        options: LossOptions,
        out: Array | None,
        upstream: Array | None,
    ) -> Array:
        """One loss a row, in float64; with `out`, which may be `z`, ∂(upstream·loss)/∂z is written there.

        upstream   one number a row; None is 1 for each
        """

    def logsumexp(self, z: Array) -> Array:
        """One lse a row, in float64."""

    def softmax(self, z: Array) -> None:
        """In place."""

    def statistics(self, z: Array, target: Array, temperature: float = 1.0) -> Statistics: ...

    def sample(self, z: Array, uniform: Array) -> tuple[Array, int]:
        """A class a row; and the first row that has no probabilities, or −1."""

    def larger(self, z: Array, than: Array) -> Array:
        """How many numbers of each row are larger than its one of `than`."""

    def largest(self, z: Array, k: int) -> Array:
        """The k largest of each row, in descending order."""


class Gradients(NamedTuple):
    """Where ∂loss/∂x, ∂loss/∂W and ∂loss/∂b go; what is None is not computed."""

    x: Any
    W: Any
    bias: Any

    def wanted(self) -> bool:
        return any(to is not None for to in self)


@dataclass
class Layer:
    """A last layer and what its loss is made of; all checked."""

    library: Any  # a Library
    x: Array  # rows × features
    W: Array  # classes × features
    bias: Array | None
    target: Array  # class indices, or probabilities: rows × classes
    weight: Array | None  # one number a class, in the dtype of the computation
    options: LossOptions
    by_index: bool

    def __post_init__(self) -> None:
        self.rows, self.classes = self.x.shape[0], self.W.shape[0]
        # the indices of the rows that are not ignored, if some are and may be asked for; else the kernel ignores them
        self.counted: Array | None = None
        if self.by_index and self.library.waits:
            kept = self.target != self.options.ignore_index
            if not bool(kept.all()):
                self.counted = self.library.indices(kept)
        self.count = self.rows if self.counted is None else self.counted.shape[0]

    @property
    def each(self) -> LossOptions:
        return self.options.each

    def plan(self, gradients: bool, budget: Any, **more: int) -> LinearPlan:
        """`more` is what is held of all rows, not of those that are counted."""
        dtype = self.library.dtype
        rows = self.rows if more else self.count
        halved = gradients and self.library.waits and self.library.multiplied != dtype  # a copy of G
        cast = self.x.dtype != dtype or self.W.dtype != dtype
        more = {**more, "copies": more.get("copies", 0) + halved}
        if not self.library.waits and cast and self.library.multiplied == dtype:  # of two dtypes, so they are converted
            both = 2 * (self.rows + self.classes) * self.x.shape[1]
            cast, more = False, {**more, "beside": more.get("beside", 0) + both}
        return remembered_plan(
            rows,
            self.x.shape[1],
            self.classes,
            itemsize=dtype.itemsize,
            gradients=gradients,
            memory_budget=budget,
            cast=cast,
            arrays=self.arrays(gradients) + halved,
            on_gpu=not self.library.waits,
            **more,
        )

    def chunks(self, size: int) -> Iterator[tuple[slice, Any]]:
        """A chunk's place among the counted rows, and among all."""
        for start in range(0, self.count, size):
            part = slice(start, min(start + size, self.count))
            yield part, part if self.counted is None else self.counted[part]

    def divisor(self) -> Any:
        """Of the sum of the losses: a number, or one on a device that is not waited for."""
        options = self.options
        if options.reduction != "mean":
            return 1.0
        if options.normalizer is not None:
            return options.normalizer
        if self.by_index and not self.library.waits:
            return self.library.divisor(self)
        if not self.by_index or self.weight is None:
            return float(self.count)
        t = self.target if self.counted is None else self.target[self.counted]
        return float(self.library.wide(self.weight[t]).sum())

    def logits(self, x: Array, W: Array, bias: Array | None, out: Array) -> None:
        """Writes x·Wᵀ + b to `out`."""
        self.library.product(x, W.T, out)
        if bias is not None:
            out += self.library.cast(bias)

    def upstream(self, upstream: Any, where: Any, rows: int) -> Array:
        """One number for each of these rows, in float64."""
        if hasattr(upstream, "shape"):
            return self.library.wide(upstream[where])
        return self.library.full((rows,), upstream)

    def clear(self, to: Gradients, sum_W: Array | None, *sums: Array | None) -> None:
        """Makes 0 what no chunk writes first: the ignored rows' gradient, what is only added to, and all of no rows."""
        x = to.x if self.counted is not None or not self.count else None
        for a in (x, *sums, *((to.W, sum_W, to.bias) if not self.count else ())):
            if a is not None:
                a[...] = 0

    def dense(self) -> bool:
        """Whether a_j is not 0 beside the target."""
        return not self.by_index or self.options.label_smoothing > 0

    def arrays(self, gradients: bool) -> int:
        """Of a chunk's size, where it has not all classes: z; a softcap's slope; a_j, and where it is 0."""
        return 1 + (gradients and self.options.softcap is not None) + 2 * self.dense()
