"""What pushed a prediction: how much each column adds to the log-odds of the predicted class over the next one.

With a the predicted class and b the next most probable, x the row's features and x̄ the average training row,

    ln(p_a / p_b) = (z_a − z_b)(x̄) + Σ_i c_i,      c_i = (x_i − x̄_i) · ∫₀¹ ∂(z_a − z_b)/∂x_i (x̄ + t·(x − x̄)) dt

c are the integrated gradients (Sundararajan, Taly & Yan 2017, "Axiomatic attribution for deep networks"), which add up
exactly; of a linear model they are coefficient × (value − mean). A column's contribution is the sum over its features.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEPS = 256  # of the integral: ReLU networks of penguins and digits then add up to within 1e-3 of the log-odds


@dataclass(frozen=True)
class Contribution:
    column: str
    value: object
    contribution: float


@dataclass(frozen=True)
class Contributions:
    """The columns, those that push most first; method is "coefficients" or "integrated gradients"."""

    predicted: str
    against: str
    log_odds: float
    average_row: float
    method: str
    columns: tuple[Contribution, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"columns": [asdict(each) for each in self.columns]}


def integrated_gradients(network: Any, x: Array, mean: Array, a: int, b: int) -> Array:
    """Returns c_i of each feature, of the scores z_a − z_b."""
    steps = STEPS if network.hidden else 1
    t = (np.arange(steps) + 0.5)[:, None] / steps
    hidden, logits = network.forward(mean + t * (x - mean))
    delta = np.zeros_like(logits)
    delta[:, a], delta[:, b] = 1, -1
    return np.asarray((x - mean) * input_gradients(network, hidden, delta)[-1].mean(axis=0))


def input_gradients(network: Any, hidden: list[Any], delta: Array) -> list[Array]:
    """Returns the gradient by h_K, …, h_0, rows × units, from δ at the scores."""
    gradients = []
    for k in reversed(range(len(hidden))):
        grad = delta @ network.parameters.weights[k].T
        gradients.append(grad)
        delta = grad.copy()
        if k:
            network.through(hidden[k], delta)
    return gradients
