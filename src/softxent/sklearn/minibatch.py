"""An epoch in mini-batches: forward, p − y, back-propagation, and a step of the optimizer."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Network, Parameters
from softxent.sklearn.optimizers import SGD, Adam

BLOCK = 2**16  # parameters: θ, g, m and v of a block stay in the cache through all of a step's passes


@np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite is reported as such
def epoch(
    network: Network,
    examples: Examples,
    loss: Loss,
    alpha: float,
    batch_size: int,
    optimizer: Adam | SGD,
    rng: np.random.RandomState,
) -> float:
    """Goes through all rows once, in a new order; returns 1/n·Σ_i s_i·loss_i, as each batch found it, + α/2·‖W‖²."""
    theta, n, total = network.parameters, len(examples), 0.0
    grad, blocks, order = theta.like(), parameter_blocks(theta), rng.permutation(n)
    for start in range(0, n, batch_size):
        batch = order[start : start + batch_size]
        total += network.loss_and_grad(examples[batch], loss, grad, divisor=len(batch))
        optimizer.begin()
        for block in blocks:
            g = grad.flat[block]
            if block.stop <= theta.penalized:
                g += alpha * theta.flat[block]  # ∂/∂W α/2·‖W‖²
            optimizer(theta.flat, g, block)
    weights = theta.flat[: theta.penalized]
    return total / n + alpha / 2 * float(np.vdot(weights, weights))


def parameter_blocks(theta: Parameters) -> list[slice]:
    """Returns the blocks of all weights, then those of all biases."""
    edges = [*range(0, theta.penalized, BLOCK), *range(theta.penalized, theta.flat.size, BLOCK), theta.flat.size]
    return [slice(start, stop) for start, stop in pairwise(edges)]
