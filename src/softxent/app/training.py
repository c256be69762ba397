"""From a table to a model and its scores: Task.of, split, fit and evaluate, each of which returns a record."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.run import LabelledRows, Schema, log_proba
from softxent.app.tables.columns import Column
from softxent.app.tables.rows import Source
from softxent.app.words import Mistake, Phrase

if TYPE_CHECKING:
    from softxent.app.report import Evaluation

VALIDATION = 0.1  # of the rows that are not tested
FEW = 20  # with more classes than this, a target must have two rows a class

Array = NDArray[Any]


@dataclass(frozen=True)
class Settings:
    hidden: tuple[int, ...] = ()
    epochs: int | None = None
    lr: float = 1e-3
    batch_size: int | None = None
    alpha: float = 1e-4
    class_weight: Any = None
    test_size: float = 0.2
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


# The data -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """The table to learn from: its labelled rows, their columns and classes, and notes for the user."""

    source: Source
    target: str
    columns: list[Column]
    rows: LabelledRows
    classes: Array
    notes: list[Phrase]

    @classmethod
    def of(cls, source: Source, target: str, dropped: Sequence[str]) -> Task:
        rows = source.read()
        columns = rows.infer(target, dropped)
        if not any(column.used for column in columns):
            raise Mistake("no features", got=repr(source.path), target=repr(target))
        y, missing = rows.labels(target)
        classes, counts = np.unique(y[~missing], return_counts=True)
        check_classes(source, target, classes, counts)
        notes = []
        if missing.any():
            place = source.place(int(missing.argmax()))
            notes.append(Phrase("no labels", rows=int(missing.sum()), target=repr(target), place=place))
        notes += [Phrase("single example", name=repr(str(name))) for name in classes[counts == 1]]
        notes += [Phrase("identifier", name=column.name) for column in columns if column.identifier]
        labelled = LabelledRows(rows.features(columns), y, np.arange(len(y)))[np.flatnonzero(~missing)]
        return cls(source, target, columns, labelled, classes, notes)

    @property
    def name(self) -> str:
        """The name of the data file, without its folder."""
        return Path(self.source.path).name


def check_classes(source: Source, target: str, classes: Array, counts: Array) -> None:
    rows = int(counts.sum())
    if not rows:
        raise Mistake("target all missing", got=repr(source.path), target=repr(target))
    if len(classes) == 1:
        raise Mistake("one class", target=repr(target), name=repr(str(classes[0])), rows=rows)
    if len(classes) > max(FEW, rows / 2):
        raise Mistake("many classes", target=repr(target), classes=len(classes), rows=rows)
    if rows - len(classes) < 2:
        raise Mistake("few rows", got=repr(source.path), rows=rows, least=len(classes) + 2)


@dataclass(frozen=True)
class Split:
    """The rows to train on, to validate and to test; the fitted pipeline that turns them into features; the schema."""

    train: LabelledRows
    val: LabelledRows  # empty if there is no validation
    test: LabelledRows
    features: Any
    schema: Schema
    units: tuple[int, ...]  # of each layer of the network, from the features to the classes


def split(task: Task, settings: Settings, val: Source | None = None) -> Split:
    """Splits the rows, and fits the features to those that train; `val` may be a file of validation rows."""
    parts = split_rows(task.rows.y, settings.test_size, 0 if val else VALIDATION, settings.seed)
    train, validation, test = (task.rows[part] for part in parts)
    schema = Schema(task.name, task.target, list(map(str, task.classes)), task.columns)
    schema.counts = np.unique(train.y, return_counts=True)[1].tolist()
    if val is not None:
        validation = schema.labelled_rows(val, task.classes)
    features = fit_features(task.columns, train.X)
    units = (features.transform(train.X[:1]).shape[1], *settings.hidden, len(task.classes))
    return Split(train, validation, test, features, schema, units)


def split_rows(y: Array, test_size: float, val_size: float, seed: int) -> tuple[Array, Array, Array]:
    """Returns the rows that train, validate and test, each in ascending order and with its share of every class.

    A class's only row trains; of two, one tests.

    >>> y = np.array(["a"] * 8 + ["b"] * 2 + ["c"])
    >>> ["".join(y[part]) for part in split_rows(y, 0.25, 0.2, seed=0)]
    ['aaaaabc', 'a', 'aab']
    """
    rng = np.random.default_rng(seed)
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for name in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == name))
        test = min(max(round(test_size * len(rows)), 1), len(rows) - 1)
        val = min(round(val_size * (len(rows) - test)), len(rows) - test - 1)
        for part, of in zip(parts, np.split(rows, [len(rows) - test - val, len(rows) - test]), strict=True):
            part.extend(of)
    first, second, third = (np.sort(np.array(part, np.int64)) for part in parts)
    return first, second, third


# The model ----------------------------------------------------------------------------------------------------------


def feature_pipeline(columns: Sequence[Column]) -> Any:
    """Returns the pipeline that turns columns into numbers, not yet fitted.

    skrub's TableVectorizer gets the columns that are no numbers: fitted, it holds every step of each of its columns
    several times over, 26 MB for 64 of numbers.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler

    if columns[0].kind == "sparse":
        return MaxAbsScaler()
    of = {kind: [column.name for column in columns if column.kind == kind] for kind in ("number", "date", "text")}
    scaled = (StandardScaler(), SimpleImputer(add_indicator=True, keep_empty_features=True))
    parts = [("number", make_pipeline(*scaled), of["number"])]
    if of["date"] or of["text"]:
        from skrub import TableVectorizer

        parts.append(("date", make_pipeline(TableVectorizer(), *scaled), of["date"]))
        parts.append(("text", TableVectorizer(), of["text"]))
    return ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)


def fit_features(columns: Sequence[Column], X: Any) -> Any:
    """Fits the pipeline; columns of text that TableVectorizer takes for categories get that kind, and their values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of columns whose values are all in other rows
        made = feature_pipeline(columns).fit(X)
    for column in [column for column in columns if column.kind == "text"]:
        if made.named_transformers_["text"].column_to_kind_[column.name] == "low_cardinality":
            column.kind = "category"
            column.values = sorted(X[column.name].dropna().unique().tolist())
    return made


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
            classifier.fit(split.features.transform(train.X), train.y, **validation, on_epoch=on_epoch)
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


def evaluate(split: Split, fitted: Fitted) -> Evaluation:
    """Evaluates the model on the test rows."""
    from softxent.app.report import Evaluation

    test, names = split.test, fitted.classifier.classes_
    return Evaluation.of(
        split.schema.classes,
        np.searchsorted(names, test.y),
        log_P=log_proba(fitted.model, test.X),
        class_counts=split.schema.counts,
        rows=test.rows,
    )


@dataclass(frozen=True)
class Training:
    """What was asked of a training, and what each of its steps found."""

    task: Task
    settings: Settings
    split: Split
    fitted: Fitted
    evaluation: Evaluation

    @property
    def metrics(self) -> dict[str, Any]:
        """The content of metrics.json."""
        facts = {
            "train_rows": len(self.split.train),
            "epochs": self.fitted.classifier.n_iter_,
            "seconds": round(self.fitted.seconds, 3),
        }
        return self.evaluation.metrics() | {"training": facts}
