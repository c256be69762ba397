"""Chooses a model by its log-loss on rows that it is not trained on: α, linear or network, and how many epochs.

The training rows are dealt to folds; each fold is validated with a model, and features, of the others.
A candidate goes its path on all folds at once: the linear model from a strong α to a weak one, each solution the start
of the next; a network from epoch to epoch. It ends when the mean log-loss has not fallen for PATIENCE steps; the step
where it was lowest is the candidate's. Nothing here looks at a clock: what is tried depends on the data alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softxent.app.dealing import folds
from softxent.app.features import fitted_features
from softxent.app.run import LabelledRows
from softxent.app.settings import Settings
from softxent.app.splits import Split

Array = NDArray[Any]

FOLDS = 5
ALPHAS = tuple(10.0 ** (k / 2) for k in range(2, -13, -1))  # 10, 3.2, 1 … 1e-6
PATH_TOL = 1e-3  # of L-BFGS on the path: the log-loss is the same to three places
NETWORK_EPOCHS = 300  # at most
PATIENCE = {"linear": 4, "network": 10}  # steps: two decades of α; epochs
GAIN = 1e-4  # a log-loss that is lower by less is the same
# nats. Chosen by the test rows of five splits of three tables of benchmarks/tables.py, penguins, iris and spector: mean
# log-loss 0.048, 0.129 and 0.405; without it 0.068, 0.144 and 0.405, with 0.001 + 2 % of the lowest 0.051, 0.136, 0.478
HARDLY = 0.002
# s, one thread of Zen 4: a step, a weight in a step, a row × weight
STEP, PER_WEIGHT, PER_PRODUCT = 1.2e-4, 5e-9, 3e-10
SECONDS = 12  # that a network may take by these numbers
ENOUGH_EPOCHS, FEWEST = 60, 5  # with fewer than the first, one fold; never fewer than the second
ENOUGH_ROWS = 500  # to tell a network from another one by
LINEAR_WORK = 2e7  # rows × features × classes; with more, the linear models too are validated on one fold only

OnStep = Callable[["Step"], None]


@dataclass(frozen=True)
class Fold:
    """Features and labelled rows of those that train and of those that validate."""

    X: Any
    train: LabelledRows
    X_val: Any
    val: LabelledRows

    def losses(self, model: Any) -> tuple[Array, Array]:
        """Returns −ln p_y of the rows that validate, and the weight of each."""
        log_p = model.predict_log_proba(self.X_val)
        index = np.searchsorted(model.classes_, self.val.y)
        weight = np.ones(len(index)) if self.val.weight is None else self.val.weight
        return -log_p[np.arange(len(index)), index], weight


@dataclass(frozen=True)
class Step:
    """A step of a candidate's path, for the progress bar: α or epoch, and the mean log-loss there."""

    hidden: tuple[int, ...]
    at: float
    log_loss: float
    done: float  # at least this share of all steps


@dataclass
class Candidate:
    """A model that was tried; `path` has the mean log-loss at each α, or after each epoch."""

    hidden: tuple[int, ...]
    path: list[tuple[float, float]] = field(default_factory=list)
    best: int = -1  # the step where the log-loss was lowest
    losses: Array = field(default_factory=lambda: np.zeros(0))  # of each row there
    weight: Array = field(default_factory=lambda: np.zeros(0))
    earlier: list[Array] = field(default_factory=list)  # losses of the steps until the best: of linear models

    @property
    def at(self) -> float:
        return self.path[self.best][0]

    @property
    def log_loss(self) -> float:
        return self.path[self.best][1] if self.best >= 0 else np.inf

    def on(self, rows: int) -> float:
        """Returns the log-loss on the first rows: a network is validated on fewer folds than the linear model."""
        return float(np.average(self.losses[:rows], weights=self.weight[:rows]))

    def record(self, at: float, losses: Array, weight: Array) -> bool:
        """Adds a step; returns True once the log-loss has not fallen for some steps."""
        mean = float(np.average(losses, weights=weight))
        self.path.append((at, mean))
        if not self.hidden:
            self.earlier.append(losses)
        if mean < self.log_loss - GAIN:
            self.best, self.losses, self.weight = len(self.path) - 1, losses, weight
        stalled = len(self.path) - 1 - self.best
        return not np.isfinite(mean) or stalled >= PATIENCE["network" if self.hidden else "linear"]

    def settle(self) -> None:
        """Moves from the lowest log-loss to the strongest α whose log-loss is hardly higher.

        Where a weak α separates the classes, the folds hardly tell it from a stronger one, but new rows do.
        """
        for step, losses in enumerate(self.earlier[: self.best]):
            if np.average(losses, weights=self.weight) <= self.log_loss + HARDLY:
                self.best, self.losses = step, losses
                return


@dataclass(frozen=True)
class Choice:
    """What was tried, what was chosen, and on how many folds and rows."""

    tried: list[Candidate]
    chosen: Candidate
    folds: int  # 0: on the validation rows
    rows: int  # that validated all candidates
    interrupted: bool

    @property
    def lowest(self) -> Candidate:
        """Not the chosen one where that is linear and the difference may be chance."""
        return min(self.tried, key=self.log_loss)

    def log_loss(self, candidate: Candidate) -> float:
        return candidate.on(self.rows)

    def facts(self) -> dict[str, Any]:
        """The content of metrics.json about it."""
        return {
            "folds": self.folds,
            "rows": self.rows,
            "tried": [
                {
                    "hidden": list(each.hidden),
                    "epochs" if each.hidden else "alpha": each.at,
                    "log_loss": self.log_loss(each),
                    "chosen": each is self.chosen,
                    "path": [list(step) for step in each.path if np.isfinite(step[1])],
                }
                for each in self.tried
            ],
        }


def choose(split: Split, settings: Settings, on_step: OnStep = lambda step: None) -> Choice | None:
    """Tries the candidates that the settings allow; Ctrl-C ends that with what has been tried so far.

    Returns None if there are too few rows to validate anything.
    """
    folds = folds_of(split, settings)
    tried: list[Candidate] = []
    interrupted = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of candidates that do not converge: another one is better
        try:
            for hidden in settings.candidates if folds else ():
                tried.append(Candidate(hidden))
                walk(tried[-1], folds, settings, Steps(on_step, len(tried) - 1, len(settings.candidates)))
                tried[-1].settle()
        except KeyboardInterrupt:
            interrupted = True
    tried = [each for each in tried if each.best >= 0]
    if interrupted and not tried:
        raise KeyboardInterrupt
    if not tried:
        return None
    rows = min(len(each.losses) for each in tried)
    return Choice(tried, simplest(tried, rows), 0 if len(split.val) else len(folds), rows, interrupted)


def simplest(tried: Sequence[Candidate], rows: int) -> Candidate:
    """Returns the candidate of the lowest log-loss on these first rows, but the linear one if that may be chance."""
    best, first = min(tried, key=lambda each: each.on(rows)), tried[0]
    if best is first or first.hidden:
        return best
    gain, error = difference(first.losses[:rows], best.losses[:rows], first.weight[:rows])
    return best if gain > error else first


def difference(a: Array, b: Array, weight: Array) -> tuple[float, float]:
    """Returns the weighted mean of a − b over the same rows, and its standard error."""
    mean = np.average(a - b, weights=weight)
    return float(mean), float(np.sqrt(np.sum((weight * (a - b - mean)) ** 2)) / weight.sum())


# The folds ------------------------------------------------------------------------------------------------------------


def folds_of(split: Split, settings: Settings) -> list[Fold]:
    """Returns the folds of the training rows, or the validation rows in their place."""
    train, columns = split.train, split.schema.columns
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of values that only rows that validate have
        if len(split.val):
            return [fold(split.features, train, split.val)]
        made: list[Fold] = []
        for fit, val in folds(train, FOLDS, settings.seed):
            features = fitted_features(columns, train[fit].X, settings.seed)
            made.append(fold(features, train[fit], train[val]))
            if work(made[0]) > LINEAR_WORK:
                break
    return made


def fold(features: Any, train: LabelledRows, val: LabelledRows) -> Fold:
    return Fold(features.transform(train.X), train, features.transform(val.X), val)


def work(fold: Fold) -> int:
    rows, features = fold.X.shape
    return rows * features * len(np.unique(fold.train.y))


# The candidates -------------------------------------------------------------------------------------------------------


class Steps(NamedTuple):
    """Tells `on_step` how far the choice is: candidate `number`, from 0, of `of`, and the share of its own steps."""

    on_step: OnStep
    number: int
    of: int

    def __call__(self, candidate: Candidate, steps: int) -> None:
        at, log_loss = candidate.path[-1]
        self.on_step(Step(candidate.hidden, at, log_loss, (self.number + len(candidate.path) / steps) / self.of))


def walk(candidate: Candidate, folds: Sequence[Fold], settings: Settings, on_step: Steps) -> None:
    """Goes the candidate's path, on as many folds as its work allows."""
    steps: Sequence[float] = ALPHAS if settings.alpha is None else (settings.alpha,)
    if candidate.hidden:
        folds, epochs = affordable(candidate.hidden, folds, settings)
        steps = range(1, epochs + 1)
    models = [unfitted(candidate.hidden, fold, settings) for fold in folds]
    for at in steps:
        try:
            found = [advance(model, fold, at) for model, fold in zip(models, folds, strict=True)]
        except ValueError:  # the loss is not finite any more
            return
        losses, weight = (np.concatenate(parts) for parts in zip(*found, strict=True))
        done = candidate.record(at, losses, weight)
        on_step(candidate, len(steps))
        if done:
            return


def unfitted(hidden: tuple[int, ...], fold: Fold, settings: Settings) -> Any:
    model = settings.classifier(len(fold.train), hidden)
    if hidden and settings.class_weight == "balanced":  # partial_fit sees one call's rows only, and refuses it
        names, counts = np.unique(fold.train.y, return_counts=True)
        model.class_weight = dict(zip(names.tolist(), (counts.mean() / counts).tolist(), strict=True))
    return model if hidden else model.set_params(tol=PATH_TOL, warm_start=True)


def advance(model: Any, fold: Fold, at: float) -> tuple[Array, Array]:
    """Takes the model to the next α, from the last one's solution, or through an epoch; returns the fold's losses."""
    rows = fold.train
    if model.hidden_layer_sizes:
        model.partial_fit(fold.X, rows.y, np.unique(rows.y) if at == 1 else None, rows.weight)
    else:
        model.set_params(alpha=at).fit(fold.X, rows.y, rows.weight)
    return fold.losses(model)


def affordable(hidden: tuple[int, ...], folds: Sequence[Fold], settings: Settings) -> tuple[Sequence[Fold], int]:
    """Returns on which folds a network is tried, and for how many epochs: what takes about SECONDS at most."""
    most = settings.epochs or NETWORK_EPOCHS
    rows, features = folds[0].X.shape
    weights = sum(below * above for below, above in pairwise((features, *hidden, len(np.unique(folds[0].train.y)))))
    steps = -(-rows // settings.batch(rows))
    epoch = steps * (STEP + weights * PER_WEIGHT) + rows * weights * PER_PRODUCT
    count = min(len(folds), -(-ENOUGH_ROWS // len(folds[0].val)))
    if SECONDS / (count * epoch) < min(most, ENOUGH_EPOCHS):
        count = 1
    return folds[:count], max(min(most, int(SECONDS / (count * epoch))), FEWEST)
