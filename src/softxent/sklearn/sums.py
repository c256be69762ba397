"""Σ_i s_i·loss_i over the rows to learn from, and its gradient, for a last layer that sees X itself.

X is read from memory once an evaluation: of a block of its rows the logits, p − y in their place, and its product with
the same block, before the next block is touched. Rows × classes is never held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from softxent.functional import get_num_threads
from softxent.linear import Gradients, Layer, LinearPlan, loss_and_gradients
from softxent.numpy.linear import Products
from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.threads import thread_map

Array = NDArray[Any]

BLOCK = 2**21  # bytes of X and logits in a block: what stays in a core's caches
SPARSE_BLOCK = 2**25  # bytes of logits, where X is sparse: each block costs a pass over features × classes
SHARES = 8  # at most, whose sums are added up in order: the same bits for any number of threads
SAMPLE = 4096  # rows that stand for all where only about right will do


class Sums(NamedTuple):
    """Σ_i s_i·loss_i over some rows, and its gradient."""

    loss: float
    grad_W: Array
    grad_b: Array


Evaluate = Callable[[], Sums]  # at the present W and b


class TrainingRows(Protocol):
    """The rows to learn from, whether they are in memory or not."""

    @property
    def sample(self) -> Examples:
        """Every k-th row, SAMPLE at most."""

    def __len__(self) -> int: ...

    def sums(self, loss: Loss, W: Array, b: Array) -> AbstractContextManager[Evaluate]:
        """A context in which the function that it gives returns the sums over all rows."""

    def groups(self, rng: np.random.RandomState) -> Iterable[Examples]:
        """All rows once, in groups that fit in memory, for an epoch of mini-batches."""


class InMemory:
    """All rows are in memory."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples
        self.sample = examples[:: -(-len(examples) // SAMPLE)]

    def __len__(self) -> int:
        return len(self.examples)

    @contextmanager
    def sums(self, loss: Loss, W: Array, b: Array) -> Iterator[Evaluate]:
        shares = shares_of(self.examples, loss, W, b)
        with thread_map(min(get_num_threads(), len(shares))) as map:
            yield lambda: in_order(map(Share.__call__, shares))

    def groups(self, rng: np.random.RandomState) -> Iterable[Examples]:
        return [self.examples]


def in_order(parts: Iterable[Sums]) -> Sums:
    """Adds up the parts in their order, in float64: the same bits wherever each was computed."""
    each = iter(parts)
    first = next(each)
    loss, grad_W, grad_b = first.loss, first.grad_W.astype(np.float64), first.grad_b.astype(np.float64)
    for part in each:
        loss += part.loss
        grad_W += part.grad_W
        grad_b += part.grad_b
    return Sums(loss, grad_W, grad_b)


def shares_of(examples: Examples, loss: Loss, W: Array, b: Array) -> list[Share]:
    rows = rows_of_a_block(examples.X, len(b))
    blocks = -(-len(examples) // rows)
    ends = np.linspace(0, blocks, min(SHARES, blocks) + 1).astype(int) * rows
    return [Share(examples[start:stop], rows, loss, W, b) for start, stop in pairwise(ends)]


class Blocks:
    """Rows of a CSR matrix, whose blocks are cut out once."""

    def __init__(self, X: Any) -> None:
        self.X, self.shape, self.dtype, self.cut = X, X.shape, X.dtype, dict[int, Any]()

    def __getitem__(self, rows: slice) -> Any:
        if rows.start not in self.cut:
            self.cut[rows.start] = self.X[rows]
        return self.cut[rows.start]


class SparseProducts(Products):
    """Of sparse inputs."""

    def operand(self, a: Any) -> Any:
        return a

    def product(self, a: Any, b: Array, out: Array) -> None:
        out[...] = a @ b

    def add_product(self, a: Array, b: Any, to: Array, first: bool) -> None:
        if first:
            to[...] = a @ b
        else:
            to += a @ b


class Share:
    """One thread's share of an evaluation: its rows, its sums."""

    def __init__(self, examples: Examples, rows: int, loss: Loss, W: Array, b: Array) -> None:
        dtype = W.dtype
        self.grad_W, self.grad_b = np.empty_like(W), np.empty_like(b)
        self.to = Gradients(None, self.grad_W.T, self.grad_b)
        X, kind = (Blocks(examples.X), SparseProducts) if sparse.issparse(examples.X) else (examples.X, Products)
        w = loss.each.class_weight
        w = None if w is None else aligned(w.astype(dtype, copy=False))
        self.weight = None if examples.weight is None else aligned(examples.weight)
        target = aligned(examples.target)
        self.layer = Layer(kind(dtype), X, W.T, b, target, w, loss.each, target.ndim == 1)
        held = rows * (len(b) + len(W)) * W.itemsize
        self.plan = LinearPlan(len(examples), len(W), len(b), (rows, len(b)), 2, held)

    def __call__(self) -> Sums:
        s = self.weight
        losses = loss_and_gradients(self.layer, self.plan, 1.0 if s is None else s, self.to)
        return Sums(float(losses.sum() if s is None else losses @ s), self.grad_W, self.grad_b)


def aligned(a: Array) -> Array:
    """Returns the array as the kernel reads it: what has come from another process may lie anywhere."""
    return np.require(a, requirements=["C", "A"])


def rows_of_a_block(X: Any, classes: int) -> int:
    n, features = X.shape
    size = SPARSE_BLOCK // classes if sparse.issparse(X) else BLOCK // (features + classes)
    return max(1, min(size // X.dtype.itemsize, -(-n // SHARES) if sparse.issparse(X) else n))
