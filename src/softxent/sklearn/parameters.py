"""Checks the estimator's parameters when fit begins, as scikit-learn asks."""

from __future__ import annotations

from typing import Any

import numpy as np

from softxent import checks
from softxent.sklearn.network import ACTIVATIONS

SOLVERS = ("auto", "lbfgs", "adam", "sgd")


def check(estimator: Any) -> None:
    e = estimator
    for units in hidden_units(e.hidden_layer_sizes):
        at_least(1, "hidden_layer_sizes", units)
    checks.one_of(tuple(ACTIVATIONS))("activation", e.activation)
    checks.one_of(SOLVERS)("solver", e.solver)
    if e.solver == "lbfgs" and hidden_units(e.hidden_layer_sizes):
        raise ValueError("solver is 'lbfgs', which is for no hidden layer, but must be 'adam', 'sgd' or 'auto' here")
    checks.number("alpha", e.alpha, "at least 0", lambda x: x >= 0)
    checks.positive("learning_rate_init", e.learning_rate_init)
    checks.number("momentum", e.momentum, "in [0, 1)", lambda x: 0 <= x < 1)
    if isinstance(e.batch_size, str) and e.batch_size != "auto":
        raise ValueError(f"batch_size is {e.batch_size!r}, but must be an integer or 'auto'")
    if e.batch_size != "auto":
        at_least(1, "batch_size", e.batch_size)
    at_least(1, "max_iter", e.max_iter)
    checks.number("tol", e.tol, "at least 0", lambda x: x >= 0)
    at_least(1, "n_iter_no_change", e.n_iter_no_change)
    if e.class_weight is not None and not isinstance(e.class_weight, dict) and e.class_weight != "balanced":
        raise ValueError(f"class_weight is {e.class_weight!r}, but must be a dict, 'balanced' or None")
    if isinstance(e.class_weight, dict):
        for name, w in e.class_weight.items():
            checks.number(f"class_weight[{name!r}]", w, "at least 0", lambda x: x >= 0)
    checks.number("label_smoothing", e.label_smoothing, "in [0, 1]", lambda x: 0 <= x <= 1)
    checks.number("validation_fraction", e.validation_fraction, "between 0 and 1", lambda x: 0 < x < 1)
    at_least(0, "verbose", e.verbose)


def hidden_units(sizes: Any) -> list[Any]:
    """Returns hidden_layer_sizes as a list; it may be (256, 64), [256, 64] or 256."""
    return list(sizes) if np.ndim(sizes) else [sizes]


def at_least(least: int, name: str, value: Any) -> None:
    if checks.integer(name, value) < least:
        raise ValueError(f"{name} is {value}, but must be at least {least}")
