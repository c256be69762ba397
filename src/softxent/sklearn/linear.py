"""No hidden layer: multinomial logistic regression, solved to tolerance by SciPy's L-BFGS-B.

    f(W, b) = 1/n·Σ_i s_i·loss_i(x_i·W + b) + α/2·‖W‖²

X is read from memory once an evaluation: of a block of its rows the logits, p − y in their place, and its product with
the same block, before the next block is touched. Rows × classes is never held.

L-BFGS sees U = D·W and c = b + μ·W, as if the columns of X had been standardised to (x − μ) / D: the same f and the
same optimum, reached in fewer steps. D_j² = σ_j² + V·α is, but for a factor, f's curvature where all p = 1/V.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import OptimizeResult, minimize

from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Parameters

Array = NDArray[Any]

BLOCK = 2**22  # bytes of X and logits in a block: L2 and a share of L3
SPARSE_BLOCK = 2**25  # of logits alone: a block costs a pass over features × classes, X is small beside it
SAMPLE = 4096  # rows that μ and σ are taken from: they only have to be about right
HISTORY = 10  # pairs of steps and gradients that L-BFGS keeps


class Objective:
    def __init__(self, examples: Examples, loss: Loss, alpha: float, parameters: Parameters) -> None:
        self.loss, self.alpha, self.parameters, self.n = loss, alpha, parameters, len(examples)
        (self.W,), (self.b,) = parameters.weights, parameters.biases
        self.mean, self.scale = standardization(examples, self.W.shape[1] * alpha)
        features, classes = self.W.shape
        if sparse.issparse(examples.X):
            rows = SPARSE_BLOCK // (classes * self.W.itemsize)
        else:
            rows = BLOCK // ((features + classes) * self.W.itemsize)
        rows = min(max(rows, 1), self.n)
        self.blocks = [examples[start : start + rows] for start in range(0, self.n, rows)]
        self.logits = np.empty((rows, classes), self.W.dtype)
        self.ones = np.ones(rows, self.W.dtype)

    def __call__(self, u: Array) -> tuple[float, Array]:
        """f and ∂f/∂u."""
        self.write(u)
        grad = np.zeros_like(u)
        grad_W, grad_b = self.split(grad)
        total = 0.0
        for block in self.blocks:
            x, logits = block.X, self.logits[: len(block)]
            multiply(x, self.W, logits)
            logits += self.b
            total += self.loss.and_delta(logits, block)
            grad_W += x.T @ logits
            grad_b += self.ones[: len(block)] @ logits
        grad /= self.n
        grad_W -= np.outer(self.mean, grad_b)  # b = c − μ·W
        grad_W += self.alpha * self.W
        grad_W /= self.scale[:, None]
        return total / self.n + self.penalty(), grad

    def penalty(self) -> float:
        return self.alpha / 2 * float(np.vdot(self.W, self.W))

    def split(self, u: Array) -> tuple[Array, Array]:
        return u[: self.W.size].reshape(self.W.shape), u[self.W.size :]

    def write(self, u: Array) -> None:
        """W = U / D and b = c − μ·W to the parameters."""
        U, c = self.split(u)
        np.divide(U, self.scale[:, None], out=self.W, casting="same_kind")
        self.b[...] = c - self.mean @ self.W

    def read(self) -> Array:
        """u of the parameters."""
        W = self.W.astype(np.float64)
        return np.concatenate([(W * self.scale[:, None]).ravel(), self.b + self.mean @ W])


def multiply(x: Any, W: Array, out: Array) -> None:
    if sparse.issparse(x):
        out[...] = x @ W
    else:
        np.matmul(x, W, out=out)


def standardization(examples: Examples, floor: float) -> tuple[Array, Array]:
    """μ and D, √(σ² + floor), of the columns of X in a sample of its rows."""
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


def solve(objective: Objective, tol: float, max_iter: int, after_step: Callable[[float], bool]) -> OptimizeResult:
    """Minimizes f from the parameters on, and writes the optimum to them. `after_step` gets f, True from it stops."""

    def callback(intermediate_result: OptimizeResult) -> None:
        objective.write(intermediate_result.x)
        if after_step(float(intermediate_result.fun)):
            raise StopIteration

    eps = np.finfo(objective.W.dtype).eps
    result = minimize(
        objective,
        objective.read(),
        jac=True,
        method="L-BFGS-B",
        callback=callback,
        options={"maxiter": max_iter, "maxfun": 10**9, "gtol": tol, "ftol": eps * 1e-2, "maxls": 50, "maxcor": HISTORY},
    )
    objective.write(result.x)
    return result
