"""Multinomial logistic regression (no hidden layer), solved to tolerance by SciPy's L-BFGS-B.

    f(W, b) = 1/n·Σ_i s_i·loss_i(x_i·W + b) + α/2·‖W‖²

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
from softxent.sklearn.network import Parameters
from softxent.sklearn.sums import Evaluate

Array = NDArray[Any]

HISTORY = 10  # pairs of steps and gradients that L-BFGS keeps


class Objective:
    """f and its gradient, from `evaluate`, which sums up over the rows, n of them; sample, every k-th of them."""

    def __init__(self, evaluate: Evaluate, n: int, sample: Examples, alpha: float, parameters: Parameters) -> None:
        self.evaluate, self.n, self.alpha = evaluate, n, alpha
        (self.W,), (self.b,) = parameters.weights, parameters.biases
        self.mean, self.scale = standardization(sample, len(self.b) * alpha)

    def __call__(self, u: Array) -> tuple[float, Array]:
        """Returns f and ∂f/∂u."""
        self.write(u)
        total, sum_W, sum_b = self.evaluate()
        grad = np.zeros_like(u)
        grad_W, grad_b = self.split(grad)
        grad_W += sum_W
        grad_b += sum_b
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


@np.errstate(over="ignore", invalid="ignore")  # an objective that is not finite is reported as such
def standardization(sample: Examples, floor: float) -> tuple[Array, Array]:
    """Returns μ and D = √(σ² + floor) of the columns of X, which only have to be about right: from a sample of rows."""
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
    """Minimizes f, starting from the parameters, and writes the optimum to them; stops when `after_step(f)` is True."""

    def callback(intermediate_result: OptimizeResult) -> None:
        objective.write(intermediate_result.x)
        if after_step(float(intermediate_result.fun)):
            raise StopIteration

    eps = np.finfo(objective.W.dtype).eps
    options = {"maxiter": max_iter, "maxfun": 10**9, "gtol": tol, "ftol": eps * 1e-2, "maxls": 50, "maxcor": HISTORY}
    result = minimize(objective, objective.read(), jac=True, method="L-BFGS-B", callback=callback, options=options)
    objective.write(result.x)
    return result
