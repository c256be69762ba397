"""An epoch in mini-batches: forward, p − y, back-propagation, and a step of the optimizer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Network, Parameters
from softxent.sklearn.optimizers import SGD, Adam
from softxent.sklearn.sums import TrainingRows

BLOCK = 2**16  # parameters: θ, g, m and v of a block stay in the cache through all of a step's passes


@np.errstate(over="ignore", invalid="ignore")  # a loss that is not finite is reported as such
def epoch(
    network: Network,
    rows: TrainingRows,
    loss: Loss,
    alpha: float,
    batch_size: int,
    optimizer: Adam | SGD,
    rng: np.random.RandomState,
) -> float:
    """Goes through all rows once, in a new order; returns 1/n·Σ_i s_i·loss_i, as each batch found it, + α/2·‖W‖²."""
    theta, total = network.parameters, 0.0
    grad, blocks = theta.like(), parameter_blocks(theta)
    for batch in batches(rows, batch_size, rng):
        total += network.loss_and_grad(batch, loss, grad, divisor=len(batch))
        optimizer.begin()
        for block in blocks:
            g = grad.flat[block]
            if block.stop <= theta.penalized:
                g += alpha * theta.flat[block]  # ∂/∂W α/2·‖W‖²
            optimizer(theta.flat, g, block)
    weights = theta.flat[: theta.penalized]
    return total / len(rows) + alpha / 2 * float(np.vdot(weights, weights))


def batches(rows: TrainingRows, size: int, rng: np.random.RandomState) -> Iterator[Examples]:
    """Yields all rows once, `size` at a time, in a new order: of all that are in memory together."""
    for examples in rows.groups(rng):
        order = rng.permutation(len(examples))
        for start in range(0, len(examples), size):
            yield examples[order[start : start + size]]


def parameter_blocks(theta: Parameters) -> list[slice]:
    """Returns the blocks of all weights, then those of all biases."""
    edges = [*range(0, theta.penalized, BLOCK), *range(theta.penalized, theta.flat.size, BLOCK), theta.flat.size]
    return [slice(start, stop) for start, stop in pairwise(edges)]
