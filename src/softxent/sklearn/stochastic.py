"""Training in mini-batches: forward, p − y, back-propagation, a step. Threads share a batch's rows, then the step."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from softxent import get_num_threads
from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Network, Parameters
from softxent.sklearn.step import SGD, Adam
from softxent.sklearn.team import team

BLOCK = 2**16  # parameters: θ, g, m and v of a block stay in the cache through all of a step's passes
WORTH = 2**22  # multiplications: threads of a batch with fewer would wait for longer than they compute


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
    theta, n, total = network.parameters, len(examples), 0.0
    size = get_num_threads() if theta.flat.size * batch_size >= WORTH else 1
    grads = [theta.like() for _ in range(size)]
    blocks = [parameter_blocks(theta)[k::size] for k in range(size)]
    order = rng.permutation(n)

    def gradient(rows: np.ndarray, grad: Parameters) -> float:
        return network.loss_and_grad(examples[rows], loss, grad, divisor)

    def update(blocks: list[slice]) -> None:
        for block in blocks:
            g = grads[0].flat[block]
            for other in grads[1:]:
                g += other.flat[block]
            if block.stop <= theta.penalized:
                g += alpha * theta.flat[block]  # ∂/∂W α/2·‖W‖²
            step(theta.flat, g, block)

    with team(size) as map:
        for start in range(0, n, batch_size):
            batch = order[start : start + batch_size]
            divisor = len(batch)
            total += sum(map(gradient, np.array_split(batch, size), grads))
            step.begin()
            list(map(update, blocks))
    weights = theta.flat[: theta.penalized]
    return total / n + alpha / 2 * float(np.vdot(weights, weights))


def parameter_blocks(theta: Parameters) -> list[slice]:
    """Of all weights, then of all biases."""
    edges = [*range(0, theta.penalized, BLOCK), *range(theta.penalized, theta.flat.size, BLOCK), theta.flat.size]
    return [slice(start, stop) for start, stop in pairwise(edges)]
