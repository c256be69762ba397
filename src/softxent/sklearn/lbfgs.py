"""Multinomial logistic regression (no hidden layer), solved to tolerance by SciPy's L-BFGS-B.

    f(W, b) = 1/n·Σ_i s_i·loss_i(x_i·W + b) + α/2·‖W‖²

X is read from memory once an evaluation: of a block of its rows the logits, p − y in their place, and its product with
the same block, before the next block is touched. Rows × classes is never held.

L-BFGS sees U = D·W and c = b + μ·W, as if the columns of X had been standardised to (x − μ) / D: the same f and the
same optimum, reached in fewer steps. D_j² = σ_j² + V·α is, but for a factor, f's curvature where all p = 1/V.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import OptimizeResult, minimize

from softxent.linear import Gradients, Layer, LinearPlan, loss_and_gradients
from softxent.numpy.linear import Products
from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Parameters
from softxent.sklearn.threads import Map, thread_map

Array = NDArray[Any]

BLOCK = 2**21  # bytes of X and logits in a block: what stays in a core's caches
SPARSE_BLOCK = 2**25  # bytes of logits, where X is sparse: each block costs a pass over features × classes
SAMPLE = 4096  # rows that μ and σ are taken from: they only have to be about right
HISTORY = 10  # pairs of steps and gradients that L-BFGS keeps
SHARES = 8  # at most, whose sums are added up in order: the same bits for any number of threads


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
        self.weight, dtype = examples.weight, W.dtype
        self.grad_W, self.grad_b = np.empty_like(W), np.empty_like(b)
        self.to = Gradients(None, self.grad_W.T, self.grad_b)
        X, kind = (Blocks(examples.X), SparseProducts) if sparse.issparse(examples.X) else (examples.X, Products)
        w = loss.each.class_weight
        w = None if w is None else np.ascontiguousarray(w, dtype)
        self.layer = Layer(kind(dtype), X, W.T, b, examples.target, w, loss.each, examples.target.ndim == 1)
        held = rows * (len(b) + len(W)) * W.itemsize
        self.plan = LinearPlan(len(examples), len(W), len(b), (rows, len(b)), 2, held)

    def __call__(self) -> float:
        """Returns Σ_i s_i·loss_i of its rows, and writes the gradient of that to grad_W and grad_b."""
        s = self.weight
        losses = loss_and_gradients(self.layer, self.plan, 1.0 if s is None else s, self.to)
        return float(losses.sum() if s is None else losses @ s)


class Objective:
    """f and its gradient, computed share by share; `map` may run them on several threads."""

    map: Map = staticmethod(map)

    def __init__(self, examples: Examples, loss: Loss, alpha: float, parameters: Parameters) -> None:
        self.alpha, self.n = alpha, len(examples)
        (self.W,), (self.b,) = parameters.weights, parameters.biases
        classes = len(self.b)
        self.mean, self.scale = standardization(examples, classes * alpha)
        rows = rows_of_a_block(examples.X, classes)
        blocks = -(-len(examples) // rows)
        ends = np.linspace(0, blocks, min(SHARES, blocks) + 1).astype(int) * rows
        self.shares = [Share(examples[start:stop], rows, loss, self.W, self.b) for start, stop in pairwise(ends)]

    def __call__(self, u: Array) -> tuple[float, Array]:
        """Returns f and ∂f/∂u."""
        self.write(u)
        total = sum(self.map(Share.__call__, self.shares))
        grad = np.zeros_like(u)
        grad_W, grad_b = self.split(grad)
        for share in self.shares:
            grad_W += share.grad_W
            grad_b += share.grad_b
        grad /= self.n
        grad_W -= np.outer(self.mean, grad_b)  # b = c − μ·W
        grad_W += self.alpha * self.W
        grad_W /= self.scale[:, None]
        return total / self.n + self.alpha / 2 * float(np.vdot(self.W, self.W)), grad

    def split(self, u: Array) -> tuple[Array, Array]:
        return u[: self.W.size].reshape(self.W.shape), u[self.W.size :]

    def write(self, u: Array) -> None:
        """Writes W = U / D and b = c − μ·W to the parameters."""
        U, c = self.split(u)
        np.divide(U, self.scale[:, None], out=self.W, casting="same_kind")
        self.b[...] = c - self.mean @ self.W

    @np.errstate(invalid="ignore")
    def read(self) -> Array:
        """Returns the u that belongs to the parameters."""
        W = self.W.astype(np.float64)
        return np.concatenate([(W * self.scale[:, None]).ravel(), self.b + self.mean @ W])


def rows_of_a_block(X: Any, classes: int) -> int:
    n, features = X.shape
    size = SPARSE_BLOCK // classes if sparse.issparse(X) else BLOCK // (features + classes)
    return max(1, min(size // X.dtype.itemsize, -(-n // SHARES) if sparse.issparse(X) else n))


@np.errstate(over="ignore", invalid="ignore")  # an objective that is not finite is reported as such
def standardization(examples: Examples, floor: float) -> tuple[Array, Array]:
    """Returns μ and D = √(σ² + floor) of the columns of X, from a sample of its rows."""
    sample = examples[:: -(-len(examples) // SAMPLE)]
    s = np.ones(len(sample)) if sample.weight is None else sample.weight.astype(np.float64)
    s /= s.sum() or 1
    if sparse.issparse(sample.X):
        mean = np.asarray(s @ sample.X, np.float64)
        variance = np.maximum(np.asarray(s @ sample.X.power(2), np.float64) - mean**2, 0)
    else:
        x = sample.X.astype(np.float64)
        mean = s @ x
        x -= mean
        variance = s @ np.square(x, out=x)
    scale = np.sqrt(variance + floor)
    scale[scale == 0] = 1
    return mean, scale


def solve(
    objective: Objective, tol: float, max_iter: int, after_step: Callable[[float], bool], threads: int = 1
) -> OptimizeResult:
    """Minimizes f, starting from the parameters, and writes the optimum to them; stops when `after_step(f)` is True."""

    def callback(intermediate_result: OptimizeResult) -> None:
        objective.write(intermediate_result.x)
        if after_step(float(intermediate_result.fun)):
            raise StopIteration

    eps = np.finfo(objective.W.dtype).eps
    options = {"maxiter": max_iter, "maxfun": 10**9, "gtol": tol, "ftol": eps * 1e-2, "maxls": 50, "maxcor": HISTORY}
    with thread_map(min(threads, len(objective.shares))) as objective.map:
        u = objective.read()
        result = minimize(objective, u, jac=True, method="L-BFGS-B", callback=callback, options=options)
    objective.write(result.x)
    return result
