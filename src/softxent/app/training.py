"""From a table to a model and its scores: Task.of, split, fit and evaluate, each of which returns a record."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from softxent.app.importance import Importance, importance
from softxent.app.run import LabelledRows, log_proba
from softxent.app.splits import Split
from softxent.app.task import Task
from softxent.app.words import Mistake, Phrase

if TYPE_CHECKING:
    from softxent.app.report import Evaluation
    from softxent.app.report.scores import Scores


@dataclass(frozen=True)
class Settings:
    hidden: tuple[int, ...] = ()
    epochs: int | None = None
    lr: float = 1e-3
    batch_size: int | None = None
    alpha: float = 1e-4
    class_weight: Any = None
    test_size: float = 0.2  # 0: all rows train
    cv: int | None = None  # folds
    seed: int = 0

    @property
    def max_iter(self) -> int:
        return self.epochs or (500 if self.hidden else 1000)

    def classifier(self, rows: int, *, validated: bool) -> Any:
        from softxent.sklearn import SoftmaxClassifier

        return SoftmaxClassifier(
            self.hidden,
            alpha=self.alpha,
            learning_rate_init=self.lr,
            batch_size=self.batch_size or min(max(rows // 20, 16), 200),
            max_iter=self.max_iter,
            class_weight=self.class_weight,
            early_stopping=validated and bool(self.hidden),
            random_state=self.seed,
        )


@dataclass(frozen=True)
class Fitted:
    """A pipeline of features and classifier, how it was trained, and notes for the user."""

    model: Any
    seconds: float
    best: int | None  # the epoch, from 1, whose parameters were kept; None: the last
    notes: list[Phrase]

    @property
    def classifier(self) -> Any:
        return self.model[-1]


def fit(split: Split, settings: Settings, on_epoch: Callable[[Any], None]) -> Fitted:
    """Trains the classifier. Ctrl-C ends that and keeps the best epoch; before the first one is over, it raises."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import Pipeline

    train, val, started = split.train, split.val, time.perf_counter()
    classifier = settings.classifier(len(train), validated=len(val) > 0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        validation = {"X_val": split.features.transform(val.X), "y_val": val.y} if len(val) else {}
        try:
            classifier.fit(split.features.transform(train.X), train.y, train.weight, **validation, on_epoch=on_epoch)
        except ValueError as error:
            raise Mistake("diverged", why=error) from None
    interrupted = any("interrupted" in str(warning.message) for warning in caught)
    if interrupted and not classifier.loss_curve_:
        raise KeyboardInterrupt
    epochs = classifier.n_iter_
    notes = [Phrase("interrupted", epochs=epochs)] if interrupted else []
    if any(issubclass(warning.category, ConvergenceWarning) for warning in caught):
        notes.append(Phrase("not settled", epochs=epochs))
    keeps_best = len(val) > 0 and (interrupted or settings.hidden)
    best = int(np.argmin(classifier.validation_loss_curve_)) + 1 if keeps_best else epochs
    model = Pipeline([("features", split.features), ("classifier", classifier)])
    return Fitted(model, time.perf_counter() - started, best if best < epochs else None, notes)


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
        facts = {
            "train_rows": len(self.split.train),
            "epochs": self.fitted.classifier.n_iter_,
            "seconds": round(self.fitted.seconds, 3),
            **dict(self.task.roles),
        }
        untested = {"rows": 0, "classes": self.split.schema.classes}
        scores = self.evaluation.metrics() if self.evaluation else untested
        folds = {"cross_validation": over_folds(self.folds)} if self.folds else {}
        rises = [rise._asdict() for rise in self.importance.columns] if self.importance else []
        return scores | folds | {"importance": rises, "training": facts}


def over_folds(folds: list[Scores]) -> dict[str, Any]:
    """Returns the mean of each score over the folds, its standard deviation, and the score of each fold."""
    return {
        name: {"mean": float(np.mean(of)), "deviation": float(np.std(of, ddof=1)), "folds": list(map(float, of))}
        for name, of in zip(folds[0]._fields, zip(*folds, strict=True), strict=True)
        if np.isfinite(of).all()
    }
