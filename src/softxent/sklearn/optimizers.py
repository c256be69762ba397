"""A step down the gradient: what turns g = ∂loss/∂θ into the next parameters θ, a block of them at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8  # Kingma & Ba 2015, algorithm 1


class Adam:
    """m and v, running means of g and g²; θ −= η·m̂ / (√v̂ + ε), m̂ and v̂ corrected for their start at 0.

    Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1. Kept are the sums m / (1 − β_1) and
    v / (1 − β_2), two passes less; these factors, and the corrections as at the end of section 2, go into η and ε.
    """

    def __init__(self, like: Array, rate: float) -> None:
        self.m, self.v, self.eta, self.t = np.zeros_like(like), np.zeros_like(like), rate, 0

    def begin(self) -> None:
        self.t += 1
        root = np.sqrt((1 - BETA_2**self.t) / (1 - BETA_2))  # √v̂ = √v / root
        self.rate = float(self.eta * root * (1 - BETA_1) / (1 - BETA_1**self.t))
        self.epsilon = float(EPSILON * root)

    def __call__(self, theta: Array, g: Array, block: slice) -> None:
        m, v = self.m[block], self.v[block]
        m *= BETA_1
        m += g
        np.multiply(g, g, out=g)
        v *= BETA_2
        v += g
        np.sqrt(v, out=g)
        g += self.epsilon
        np.divide(m, g, out=g)
        g *= self.rate
        theta[block] -= g


class SGD:
    """v ← μ·v − η·g, θ += v: gradient descent with momentum μ (Polyak 1964)."""

    def __init__(self, like: Array, rate: float, momentum: float) -> None:
        self.v, self.rate, self.momentum = np.zeros_like(like), rate, momentum

    def begin(self) -> None:
        pass

    def __call__(self, theta: Array, g: Array, block: slice) -> None:
        v = self.v[block]
        v *= self.momentum
        g *= self.rate
        v -= g
        theta[block] += v
