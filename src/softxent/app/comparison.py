"""Other people's models on the same rows and features: which is best, and what is a tie.

LogisticRegressionCV             ten penalties, by log-loss on five folds
MLPClassifier                    its defaults, with early stopping
HistGradientBoostingClassifier   its defaults: trees
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.features import dense
from softxent.app.run import LabelledRows, log_proba
from softxent.app.selection import difference
from softxent.app.splits import Split
from softxent.sklearn.threads import one_thread

Array = NDArray[Any]

OURS = "softxent"
NOISE = 2  # standard errors of the paired difference: what is within them is a tie


def logistic_regression(seed: int) -> Any:
    from sklearn.linear_model import LogisticRegressionCV

    return LogisticRegressionCV(scoring="neg_log_loss", max_iter=1000, random_state=seed)


def multilayer_perceptron(seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(early_stopping=True, random_state=seed)


def gradient_boosting(seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(random_state=seed)


PEERS: dict[str, Callable[[int], Any]] = {
    "LogisticRegressionCV": logistic_regression,
    "MLPClassifier": multilayer_perceptron,
    "HistGradientBoosting": gradient_boosting,
}


@dataclass(frozen=True)
class Compared:
    """A model on the test rows; `tie`: its log-loss differs from the best one's by no more than noise."""

    name: str
    log_loss: float
    accuracy: float
    seconds: float
    best: bool
    tie: bool

    @property
    def verdict(self) -> str:
        return "best" if self.best else "tie" if self.tie else "worse"


def compare(split: Split, model: Any, seconds: float, seed: int) -> list[Compared]:
    """Fits the peers, and returns all models, the lowest log-loss first."""
    models = {OURS: (model, seconds)}
    for name in PEERS:
        models[name] = fit_peer(name, split, seed)
    test = split.test
    weight = np.ones(len(test)) if test.weight is None else test.weight
    found = {name: row_losses(fitted, test) for name, (fitted, _) in models.items()}
    order = sorted(found, key=lambda name: float(np.average(found[name][0], weights=weight)))
    rows = []
    for name in order:
        losses, right = found[name]
        worse, error = difference(losses, found[order[0]][0], weight)
        log_loss, accuracy = (float(np.average(of, weights=weight)) for of in (losses, right))
        tie = bool(worse <= NOISE * error)
        rows.append(Compared(name, log_loss, accuracy, models[name][1], name == order[0], tie))
    return rows


def fit_peer(name: str, split: Split, seed: int) -> tuple[Any, float]:
    """Returns the peer as a pipeline with the split's features, and the seconds that its fit took."""
    from sklearn.pipeline import Pipeline

    train, started = split.train, time.perf_counter()
    model = Pipeline([("features", split.features), ("classifier", PEERS[name](seed))])
    X = dense(split.features.transform(train.X))
    with warnings.catch_warnings(), one_thread():
        warnings.simplefilter("ignore")
        try:
            model[-1].fit(X, train.y, train.weight)
        except ValueError:  # a class with fewer rows than folds, or than early stopping holds out
            fallback(model[-1]).fit(X, train.y, train.weight)
    return model, time.perf_counter() - started


def fallback(model: Any) -> Any:
    """Returns the peer with what it needs of rare classes left out: log-loss by folds, or early stopping."""
    return (
        model.set_params(early_stopping=False) if hasattr(model, "early_stopping") else model.set_params(scoring=None)
    )


def row_losses(model: Any, test: LabelledRows) -> tuple[Array, NDArray[np.bool_]]:
    """Returns −ln p_y of each test row, and whether its most probable class is right."""
    features, classifier = model[0], model[-1]
    if type(classifier).__module__.startswith("softxent"):
        log_p = log_proba(model, test.X)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            p = classifier.predict_proba(dense(features.transform(test.X)))  # trees and networks take no sparse rows
        log_p = np.log(np.maximum(p, np.finfo(p.dtype).tiny))
    y = np.searchsorted(classifier.classes_, test.y)
    return -log_p[np.arange(len(y)), y], log_p.argmax(axis=1) == y
