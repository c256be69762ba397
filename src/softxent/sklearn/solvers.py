"""Picks the solver that an estimator's parameters ask for, and runs it until it has converged."""

from __future__ import annotations

from typing import Any

import numpy as np

from softxent.functional import get_num_threads
from softxent.sklearn import advice, lbfgs, minibatch
from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Network
from softxent.sklearn.optimizers import SGD, Adam
from softxent.sklearn.progress import Progress
from softxent.sklearn.threads import one_blas_thread


def solve(
    estimator: Any, network: Network, examples: Examples, loss: Loss, rng: np.random.RandomState, progress: Progress
) -> str:
    """Trains the network until it has converged, `progress` stops it, or max_iter is reached; returns what to warn of.

    At last, the network has the parameters to keep: the best epoch's, if `progress` chose one.
    """
    if estimator.solver == "lbfgs" or (estimator.solver == "auto" and not network.hidden):
        return by_lbfgs(estimator, network, examples, loss, progress)
    words = by_minibatches(estimator, network, examples, loss, rng, progress)
    if estimator.early_stopping and progress.best is not None:
        network.parameters.flat[...] = progress.best
    if progress.stopped not in (None, "validation") or len(progress.loss_curve) < estimator.n_iter_no_change:
        return words
    return advice.learned_nothing(estimator, network, examples, loss) or words


def by_lbfgs(estimator: Any, network: Network, examples: Examples, loss: Loss, progress: Progress) -> str:
    """Trains by L-BFGS; returns why that has not converged, empty if it has."""
    with one_blas_thread():
        objective = lbfgs.Objective(examples, loss, estimator.alpha, network.parameters)
        result = lbfgs.solve(objective, estimator.tol, estimator.max_iter, progress, get_num_threads())
    if not np.isfinite(result.fun):
        raise ValueError(advice.diverged(estimator, examples.X))
    if not progress.loss_curve:  # the start was the optimum
        progress(float(result.fun))
    if progress.stopped or result.status == 0:
        return ""
    return advice.not_converged(estimator, examples.X) if result.status == 1 else advice.imprecise(examples.X)


def by_minibatches(
    estimator: Any, network: Network, examples: Examples, loss: Loss, rng: np.random.RandomState, progress: Progress
) -> str:
    """Trains in mini-batches; returns why that has not converged, empty if it has."""
    optimizer = new_optimizer(estimator, network)
    for _ in range(estimator.max_iter):
        value = epoch(estimator, network, examples, loss, optimizer, rng)
        if not np.isfinite(value):
            raise ValueError(advice.diverged(estimator, examples.X))
        if progress(value) or (not estimator.early_stopping and progress.stalled(progress.loss_curve)):
            return ""
    return advice.not_converged(estimator, examples.X)


def epoch(
    estimator: Any, network: Network, examples: Examples, loss: Loss, optimizer: Adam | SGD, rng: np.random.RandomState
) -> float:
    size = min(200, len(examples)) if estimator.batch_size == "auto" else int(estimator.batch_size)
    return minibatch.epoch(network, examples, loss, estimator.alpha, size, optimizer, rng)


def new_optimizer(estimator: Any, network: Network) -> Adam | SGD:
    if estimator.solver == "sgd":
        return SGD(network.parameters.flat, estimator.learning_rate_init, estimator.momentum)
    return Adam(network.parameters.flat, estimator.learning_rate_init)
