"""Training in mini-batches: forward, p − y, back-propagation, a step."""

from __future__ import annotations

import numpy as np

from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Network
from softxent.sklearn.step import SGD, Adam


@np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite is reported as such
def epoch(
    network: Network,
    examples: Examples,
    loss: Loss,
    alpha: float,
    batch_size: int,
    step: Adam | SGD,
    rng: np.random.RandomState,
) -> float:
    """Once through all rows, in a new order: 1/n·Σ_i s_i·loss_i as each batch found it, and α/2·‖W‖² at the end."""
    theta, grad, n = network.parameters, network.parameters.like(), len(examples)
    weights, grad_weights = theta.flat[: theta.penalized], grad.flat[: theta.penalized]
    order, total = rng.permutation(n), 0.0
    for start in range(0, n, batch_size):
        batch = examples[order[start : start + batch_size]]
        total += network.loss_and_grad(batch, loss, grad)
        grad_weights += alpha * weights
        step.step(theta.flat, grad.flat)
    return total / n + alpha / 2 * float(np.vdot(weights, weights))
