"""Picks the solver that an estimator's parameters ask for, and runs it until it has converged."""

from __future__ import annotations

from typing import Any

import numpy as np

from softxent.sklearn import advice, lbfgs, minibatch
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Network
from softxent.sklearn.optimizers import SGD, Adam
from softxent.sklearn.progress import Progress
from softxent.sklearn.sums import TrainingRows
from softxent.sklearn.threads import one_blas_thread


def solve(
    estimator: Any, network: Network, rows: TrainingRows, loss: Loss, rng: np.random.RandomState, progress: Progress
) -> str:
    """Trains the network until it has converged, `progress` stops it, or max_iter is reached; returns what to warn of.

    At last, the network has the parameters to keep: the best epoch's, if `progress` chose one.
    """
    if estimator.solver == "lbfgs" or (estimator.solver == "auto" and not network.hidden):
        return by_lbfgs(estimator, network, rows, loss, progress)
    words = by_minibatches(estimator, network, rows, loss, rng, progress)
    if estimator.early_stopping and progress.best is not None:
        network.parameters.flat[...] = progress.best
    if progress.stopped not in (None, "validation") or len(progress.loss_curve) < estimator.n_iter_no_change:
        return words
    return advice.learned_nothing(estimator, network, rows.sample, loss) or words


def by_lbfgs(estimator: Any, network: Network, rows: TrainingRows, loss: Loss, progress: Progress) -> str:
    """Trains by L-BFGS; returns why that has not converged, empty if it has."""
    (W,), (b,) = network.parameters.weights, network.parameters.biases
    with one_blas_thread(), rows.sums(loss, W, b) as evaluate:
        objective = lbfgs.Objective(evaluate, len(rows), rows.sample, estimator.alpha, network.parameters)
        result = lbfgs.solve(objective, estimator.tol, estimator.max_iter, progress)
    if not np.isfinite(result.fun):
        raise ValueError(advice.diverged(estimator, rows.sample.X))
    if not progress.loss_curve:  # the start was the optimum
        progress(float(result.fun))
    if progress.stopped or result.status == 0:
        return ""
    return advice.not_converged(estimator, rows.sample.X) if result.status == 1 else advice.imprecise(rows.sample.X)


def by_minibatches(
    estimator: Any, network: Network, rows: TrainingRows, loss: Loss, rng: np.random.RandomState, progress: Progress
) -> str:
    """Trains in mini-batches; returns why that has not converged, empty if it has."""
    optimizer = new_optimizer(estimator, network)
    for _ in range(estimator.max_iter):
        value = epoch(estimator, network, rows, loss, optimizer, rng)
        if not np.isfinite(value):
            raise ValueError(advice.diverged(estimator, rows.sample.X))
        if progress(value) or (not estimator.early_stopping and progress.stalled(progress.loss_curve)):
            return ""
    return advice.not_converged(estimator, rows.sample.X)


def epoch(
    estimator: Any, network: Network, rows: TrainingRows, loss: Loss, optimizer: Adam | SGD, rng: np.random.RandomState
) -> float:
    size = min(200, len(rows)) if estimator.batch_size == "auto" else int(estimator.batch_size)
    return minibatch.epoch(network, rows, loss, estimator.alpha, size, optimizer, rng)


def new_optimizer(estimator: Any, network: Network) -> Adam | SGD:
    if estimator.solver == "sgd":
        return SGD(network.parameters.flat, estimator.learning_rate_init, estimator.momentum)
    return Adam(network.parameters.flat, estimator.learning_rate_init)
