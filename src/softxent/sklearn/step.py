"""A step down the gradient: what turns ∂loss/∂θ into the next parameters θ."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Kingma & Ba 2015, algorithm 1
BLOCK = 2**14  # elements: θ, g, m, v and a temporary of a block stay in the cache through all passes over it


class Adam:
    """m and v, running means of g and g²; θ −= η·m̂ / (√v̂ + ε), m̂ and v̂ corrected for their start at 0.

    Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1, in the order of its section 2's end:
    θ −= η_t·m / (√v + ε_t), which corrects two numbers rather than two arrays. Instead of m and v their sums
    m / (1 − β_1) and v / (1 − β_2) are kept: two passes fewer, and the factors go to η_t and ε_t too.
    """

    def __init__(self, like: Array, rate: float) -> None:
        self.m, self.v, self.rate, self.t = np.zeros_like(like), np.zeros_like(like), rate, 0
        self.scratch = np.empty(min(BLOCK, like.size), like.dtype)

    def step(self, theta: Array, grad: Array) -> None:
        self.t += 1
        correction = np.sqrt((1 - BETA_2**self.t) / (1 - BETA_2))  # √v̂ = √v / correction, of the v kept here
        rate = self.rate * correction * (1 - BETA_1) / (1 - BETA_1**self.t)
        for start in range(0, theta.size, BLOCK):
            block = slice(start, start + BLOCK)
            m, v, g = self.m[block], self.v[block], grad[block]
            t = self.scratch[: g.size]
            m *= BETA_1
            m += g
            np.multiply(g, g, out=t)
            v *= BETA_2
            v += t
            np.sqrt(v, out=t)
            t += EPSILON * correction
            np.divide(m, t, out=t)
            t *= rate
            theta[block] -= t


class SGD:
    """v ← μ·v − η·g, θ += v: gradient descent with momentum μ (Polyak 1964)."""

    def __init__(self, like: Array, rate: float, momentum: float) -> None:
        self.v, self.rate, self.momentum = np.zeros_like(like), rate, momentum

    def step(self, theta: Array, grad: Array) -> None:
        self.v *= self.momentum
        grad *= self.rate
        self.v -= grad
        theta += self.v
