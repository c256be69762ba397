"""How much a model needs each column of the table: the rise of its loss once the column's values are shuffled.

Breiman 2001, "Random forests", section 10; Fisher, Rudin & Dominici 2019. Features are computed once: a column's own
are shuffled together, and move the first layer by (x[shuffled] − x)·W alone, so that many columns take seconds.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softxent.app.features import transformed
from softxent.app.owners import owners
from softxent.functional import cross_entropy

ROWS, REPEATS = 5_000, 5
BUDGET = 2e11  # multiplications: some 10 s on two cores
COLUMNS = 200  # of sparse features, the heaviest
SHOWN = 15  # features whose coefficients are told

Array = NDArray[np.float64]


class Rise(NamedTuple):
    """The rise of the mean loss, in nats, and its 95 % interval over the rows."""

    column: str
    rise: float
    low: float
    high: float


class Coefficient(NamedTuple):
    """What one standard deviation of a feature adds to the class that it raises most, and to that which it lowers most.

    Of the mean over the classes, since the same number added to all of them changes no probability.
    """

    feature: str
    raised: int
    up: float
    lowered: int
    down: float


class Importance(NamedTuple):
    rows: int
    repeats: int
    trained: bool  # on rows that trained, for lack of others
    columns: list[Rise]  # the largest rise first
    coefficients: list[Coefficient]  # of a linear model, the largest first


def importance(model: Any, X: Any, y: NDArray[np.int64], w: Array | None, *, trained: bool, seed: int) -> Importance:
    """Measures every column on rows X, whose classes have the indices y and weights w."""
    from softxent.sklearn.network import Network

    features, classifier = model[0], model[-1]
    network = Network.of(classifier.coefs_, classifier.intercepts_, classifier.activation, np.float64)
    units, names = network.parameters.units, np.array(owners(features))
    rng = np.random.default_rng(seed)
    cost = sum(a * b for a, b in pairwise(units[1:])) * len(set(names)) + units[0] * units[1]
    repeats = int(max(1, min(REPEATS, BUDGET // (cost * min(len(y), ROWS)))))
    n = int(min(len(y), ROWS, max(200, BUDGET // (cost * repeats))))
    pick = np.sort(rng.choice(len(y), n, replace=False))
    x = transformed(features, X.iloc[pick] if hasattr(X, "iloc") else X[pick])
    weight = np.ones(n) if w is None or not w[pick].any() else np.asarray(w[pick], np.float64)
    first, *others = network.parameters.weights
    at_first, target = x @ first + network.parameters.biases[0], y[pick]

    def losses(a: Array) -> Array:
        for W, b in zip(others, network.parameters.biases[1:], strict=True):
            network.activate(a)
            a = a @ W + b
        return np.asarray(cross_entropy(a, target, reduction="none"), np.float64)

    base, rises = losses(at_first.copy()), []
    for column in _heaviest(names, x, first):
        at = np.flatnonzero(names == column)
        own = x[:, at].toarray() if hasattr(x, "toarray") else np.asarray(x[:, at], np.float64)
        moved = [(own[rng.permutation(n)] - own) @ first[at] for _ in range(repeats)]
        rises.append(_rise(column, np.mean([losses(at_first + each) - base for each in moved], axis=0), weight))
    rises.sort(key=lambda rise: -rise.rise)
    coefficients = [] if others else _coefficients(features.get_feature_names_out(), x, first)
    return Importance(n, repeats, trained, rises, coefficients)


def _heaviest(names: NDArray[Any], x: Any, first: Array) -> list[str]:
    """Returns the columns to measure: all, or of sparse ones those that move the first layer most."""
    if not hasattr(x, "toarray"):
        return list(dict.fromkeys(names.tolist()))
    moved = np.asarray(abs(x).mean(axis=0)).ravel() * abs(first).sum(axis=1)
    return [str(name) for name in names[np.argsort(-moved, kind="stable")[:COLUMNS]]]


def _rise(column: str, of: Array, weight: Array) -> Rise:
    mean = float(np.average(of, weights=weight))
    error = 1.96 * float(np.sqrt(weight**2 @ (of - mean) ** 2) / weight.sum())
    return Rise(column, mean, mean - error, mean + error)


def _coefficients(names: Any, x: Any, first: Array) -> list[Coefficient]:
    square = x.power(2) if hasattr(x, "power") else x**2
    deviation = np.sqrt(np.maximum(np.asarray(square.mean(axis=0)) - np.asarray(x.mean(axis=0)) ** 2, 0)).ravel()
    scaled = (first - first.mean(axis=1, keepdims=True)) * deviation[:, None]
    largest = np.argsort(-np.ptp(scaled, axis=1), kind="stable")[:SHOWN]
    return [
        Coefficient(
            str(names[i]),
            int(scaled[i].argmax()),
            float(scaled[i].max()),
            int(scaled[i].argmin()),
            float(scaled[i].min()),
        )
        for i in largest
    ]
