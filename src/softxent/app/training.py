"""From a table to a model and its scores: Task.of, split, fit and evaluate, each of which returns a record."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from softxent.app.comparison import Compared
from softxent.app.dealing import split_rows
from softxent.app.importance import Importance, importance
from softxent.app.run import LabelledRows, log_proba
from softxent.app.selection import Choice, OnStep, choose
from softxent.app.settings import UNCHOSEN_ALPHA, VALIDATION, Settings
from softxent.app.splits import Split
from softxent.app.task import Task
from softxent.app.words import Mistake, Phrase

if TYPE_CHECKING:
    from softxent.app.report import Evaluation
    from softxent.app.report.scores import Scores


@dataclass(frozen=True)
class Fitted:
    """A pipeline of features and classifier, how it was trained and chosen, and notes for the user."""

    model: Any
    seconds: float
    best: int | None  # the epoch, from 1, whose parameters were kept; None: the last
    notes: list[Phrase]
    choice: Choice | None = None  # None: everything was given

    @property
    def classifier(self) -> Any:
        return self.model[-1]

    @property
    def units(self) -> tuple[int, ...]:
        """Of each layer, from the features to the classes."""
        weights = self.classifier.coefs_
        return (len(weights[0]), *(W.shape[1] for W in weights))

    @property
    def linear(self) -> bool:
        return len(self.classifier.coefs_) == 1

    @property
    def rate(self) -> float:
        return float(self.classifier.learning_rate_init)


def fit(
    split: Split, settings: Settings, on_epoch: Callable[[Any], None], on_step: OnStep = lambda step: None
) -> Fitted:
    """Chooses what is not given, and trains on all training rows.

    Ctrl-C ends either, with the best candidate and the best epoch so far; before there is one, it raises.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import Pipeline

    started = time.perf_counter()
    choice = choose(for_choice(split), settings, on_step) if settings.chooses else None
    split = stopped_early(split, settings, choice)
    classifier = chosen_classifier(split, settings, choice)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        train(classifier, split, on_epoch)
    interrupted = any("interrupted" in str(warning.message) for warning in caught)
    if interrupted and not classifier.loss_curve_:
        raise KeyboardInterrupt
    epochs = classifier.n_iter_
    notes = choice_notes(settings, choice) + ([Phrase("interrupted", epochs=epochs)] if interrupted else [])
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught) and classifier.tol != 0:
        notes.append(Phrase("not settled", epochs=epochs))
    keeps_best = len(split.val) > 0 and (interrupted or classifier.early_stopping)
    best = int(np.argmin(classifier.validation_loss_curve_)) + 1 if keeps_best else epochs
    model = Pipeline([("features", split.features), ("classifier", classifier)])
    return Fitted(model, time.perf_counter() - started, best if best < epochs else None, notes, choice)


def for_choice(split: Split) -> Split:
    return split if split.stream is None else split.stream.for_choice(split)


def stopped_early(split: Split, settings: Settings, choice: Choice | None) -> Split:
    """Holds back rows that validate a network if it was chosen by a sample: for all rows, other epochs are best."""
    if split.stream is None or len(split.val) or not choice or not choice.chosen.hidden:
        return split
    trains, validates, _ = split_rows(split.train, 0, VALIDATION, settings.seed)
    val = split.train[validates]
    return replace(split, train=split.train[trains], val=val, stream=split.stream.without(val))


def choice_notes(settings: Settings, choice: Choice | None) -> list[Phrase]:
    if choice is None:
        return [Phrase("nothing to choose by", alpha=f"{UNCHOSEN_ALPHA:g}")] if settings.chooses else []
    return [Phrase("choice stopped")] if choice.interrupted else []


def chosen_classifier(split: Split, settings: Settings, choice: Choice | None) -> Any:
    """Returns the classifier to train: for exactly the epochs that were chosen, to the optimum, or until it stops."""
    rows = split.train_rows
    if choice is None:
        hidden = settings.hidden or ()
        return settings.classifier(rows, hidden, early_stopping=bool(hidden) and len(split.val) > 0)
    chosen = choice.chosen
    if not chosen.hidden:
        return settings.classifier(rows, (), alpha=chosen.at)
    if split.stream is not None:
        return settings.classifier(rows, chosen.hidden, early_stopping=True)
    epochs = int(chosen.at)
    return settings.classifier(rows, chosen.hidden, max_iter=epochs, n_iter_no_change=epochs, tol=0)


def train(classifier: Any, split: Split, on_epoch: Callable[[Any], None]) -> None:
    try:
        if split.stream is not None:
            split.stream.fit(classifier, split, on_epoch)
            return
        rows, val = split.train, split.val
        validation = {"X_val": split.features.transform(val.X), "y_val": val.y} if len(val) else {}
        classifier.fit(split.features.transform(rows.X), rows.y, rows.weight, **validation, on_epoch=on_epoch)
    except Mistake:
        raise
    except ValueError as error:
        raise Mistake("diverged", why=error) from None


def evaluate(split: Split, fitted: Fitted) -> Evaluation | None:
    """Evaluates the model on the test rows; None if there are none."""
    from softxent.app.report import Evaluation

    if not len(split.test):
        return None
    return Evaluation.of(split.schema.classes, log_P=log_proba(fitted.model, split.test.X), **tested(split))


def tested(split: Split) -> dict[str, Any]:
    """Returns what `Evaluation.of` needs to know of the test rows and the baseline."""
    test, schema = split.test, split.schema
    y = np.searchsorted(np.unique(split.train.y), test.y)
    return {
        "y": y,
        "class_counts": schema.counts,
        "frequency": schema.frequency,
        "rows": test.rows,
        "weight": test.weight,
    }


@dataclass(frozen=True)
class Training:
    """What was asked of a training, and what each of its steps found."""

    task: Task
    settings: Settings
    split: Split
    fitted: Fitted
    evaluation: Evaluation | None  # None: nothing was tested
    folds: list[Scores] = field(default_factory=list)  # of cross-validation
    importance: Importance | None = None
    compared: list[Compared] = field(default_factory=list)  # other people's models, the best first

    def tested_row(self, index: int, row: int) -> LabelledRows:
        """Returns a row of the evaluation, by its index there and its number in the file."""
        return self.task.rows[self.task.rows.rows == row] if self.folds else self.split.test[[index]]

    @property
    def notes(self) -> list[Phrase]:
        return [*self.task.notes, *self.split.notes, *self.fitted.notes]

    def measured(self) -> Importance:
        """Measures the importance of each column, on the test rows if there are any."""
        rows, model = self.split.test if len(self.split.test) else self.split.train, self.fitted.model
        y = np.searchsorted(self.fitted.classifier.classes_, rows.y)
        trained = not len(self.split.test)
        return importance(model, rows.X, y, rows.weight, trained=trained, seed=self.settings.seed)

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json."""
        classifier, choice = self.fitted.classifier, self.fitted.choice
        facts = {
            "train_rows": self.split.train_rows,
            "hidden": list(self.fitted.units[1:-1]),
            "alpha": classifier.alpha,
            "epochs": classifier.n_iter_,
            "seconds": round(self.fitted.seconds, 3),
            **dict(self.task.roles),
            **({"choice": choice.facts()} if choice else {}),
        }
        untested = {"rows": 0, "classes": self.split.schema.classes}
        scores = self.evaluation.metrics() if self.evaluation else untested
        folds = {"cross_validation": over_folds(self.folds)} if self.folds else {}
        rises = [rise._asdict() for rise in self.importance.columns] if self.importance else []
        others = {"comparison": [asdict(row) for row in self.compared]} if self.compared else {}
        return scores | folds | others | {"importance": rises, "training": facts}


def over_folds(folds: list[Scores]) -> dict[str, Any]:
    """Returns the mean of each score over the folds, its standard deviation, and the score of each fold."""
    return {
        name: {"mean": float(np.mean(of)), "deviation": float(np.std(of, ddof=1)), "folds": list(map(float, of))}
        for name, of in zip(folds[0]._fields, zip(*folds, strict=True), strict=True)
        if np.isfinite(of).all()
    }
