"""The parts of a table: the rows that train, validate and test, and the features fitted to those that train."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from softxent.app import advice
from softxent.app.dealing import folds, split_rows
from softxent.app.features import fit_features
from softxent.app.run import LabelledRows, Schema
from softxent.app.settings import Settings
from softxent.app.tables.rows import Source
from softxent.app.task import Task
from softxent.app.words import Mistake, Phrase


@dataclass(frozen=True)
class Files:
    """Files of rows that are given apart, in place of a share of the rows."""

    val: Source | None = None
    test: Source | None = None


class Stream(Protocol):
    """The rows of a table larger than memory that train: see softxent.app.streaming."""

    size: int

    def fit(self, classifier: Any, split: Split, on_epoch: Callable[[Any], None]) -> None:
        """Learns from all the rows."""

    def for_choice(self, split: Split) -> Split:
        """Returns the split with as many rows of the sample as a model is chosen by."""

    def without(self, rows: LabelledRows) -> Stream:
        """Returns the stream without these rows, which validate."""


@dataclass(frozen=True)
class Split:
    """The rows to train on, to validate and to test; the fitted pipeline that turns them into features; the schema."""

    train: LabelledRows
    val: LabelledRows  # empty if there is no validation
    test: LabelledRows  # empty if nothing is tested
    features: Any
    schema: Schema
    tested: Source  # what has the test rows
    sides: list[Phrase] = field(default_factory=list)  # which groups, or times, are in which part
    notes: list[Phrase] = field(default_factory=list)
    stream: Stream | None = None  # all rows that train, of a table larger than memory: `train` is a sample of them

    @property
    def train_rows(self) -> int:
        """The number of rows that train."""
        return len(self.train) if self.stream is None else self.stream.size


def split(task: Task, settings: Settings, files: Files = Files()) -> Split:
    """Splits the rows, and fits the features to those that train."""
    test_size = 0.0 if files.test else settings.test_size
    train, val, test = split_rows(task.rows, test_size, 0 if files.val else settings.val_size, settings.seed)
    if test_size and not len(test):
        raise nothing_to_test(task)
    made = parted(task, settings, files, task.rows[train], task.rows[val], task.rows[test])
    made.notes.extend(advice.leaks(made.train, task.target))
    made.notes.extend(advice.duplicates(made.train, made.test, task.columns))
    return made


def fold_splits(task: Task, settings: Settings, k: int, files: Files = Files()) -> Iterator[Split]:
    """Yields the split of each fold of cross-validation."""
    pairs = folds(task.rows, k, settings.seed)
    if len(pairs) < 2:
        raise nothing_to_test(task)
    for trains, tests in pairs:
        rows = task.rows[trains]
        train, val, _ = split_rows(rows, 0, 0 if files.val else settings.val_size, settings.seed)
        yield parted(task, settings, files, rows[train], rows[val], task.rows[tests])


def nothing_to_test(task: Task) -> Mistake:
    roles = task.roles
    if roles.time:
        return Mistake("one time", name=repr(roles.time))
    if roles.group:
        return Mistake("few groups", name=repr(roles.group), groups=len(np.unique(task.rows.group)))
    return Mistake("few rows", got=repr(task.source.path), rows=len(task.rows), least=len(task.classes) + 2)


def parted(
    task: Task, settings: Settings, files: Files, train: LabelledRows, val: LabelledRows, test: LabelledRows
) -> Split:
    if train.weight is not None and not train.weight.any():
        raise Mistake("no weight trains", name=repr(task.roles.weight))
    classes, counts = np.unique(train.y, return_counts=True)
    if len(classes) == 1:
        raise Mistake("one class trains", target=repr(task.target), name=repr(str(classes[0])), rows=len(train))
    schema = Schema(task.name, task.target, list(map(str, classes)), task.columns, roles=task.roles)
    schema.counts = counts.tolist()
    if train.weight is not None:
        schema.frequency = [float(train.weight[train.y == name].sum() / train.weight.sum()) for name in classes]
    notes = []
    if files.val is not None:
        val = schema.labelled_rows(files.val, classes)
    if files.test is not None:
        test = schema.labelled_rows(files.test, classes)
        if not len(test):
            raise Mistake("target all missing", got=repr(files.test.path), target=repr(task.target))
        shared = shared_groups(train, test)
        if shared:
            notes.append(Phrase("shared groups", name=task.roles.group, got=repr(files.test.path), shared=shared))
    unknown = ~np.isin(test.y, classes)
    if unknown.any():
        names = ", ".join(repr(str(name)) for name in np.unique(test.y[unknown]))
        notes.append(Phrase("only later", target=repr(task.target), names=names, rows=int(unknown.sum())))
        test = test[~unknown]
    if test.weight is not None and len(test) and not test.weight.any():
        raise Mistake("no weight tests", name=repr(task.roles.weight))
    features = fit_features(task.columns, train.X, settings.seed)
    tested = files.test or task.source
    return Split(train, val, test, features, schema, tested, list(sides(task, train, val, test)), notes)


def shared_groups(train: LabelledRows, test: LabelledRows) -> int:
    """Counts the groups that are in both."""
    return 0 if test.group is None else len(np.intersect1d(train.group, test.group))


def sides(task: Task, train: LabelledRows, val: LabelledRows, test: LabelledRows) -> Iterator[Phrase]:
    """Yields which groups, or which times, train, validate and test."""
    roles = task.roles
    if roles.group:
        counts = {
            name: 0 if part.group is None else len(np.unique(part.group))
            for name, part in (("train", train), ("val", val), ("test", test))
        }
        phrase = "groups of parts" if counts["val"] else "groups of two parts"
        yield Phrase(phrase, name=roles.group, **counts)
    if roles.time and test.time is not None and len(test):
        earlier = max(part.time.max() for part in (train, val) if part.time is not None and len(part))
        yield Phrase("times of parts", name=roles.time, last=time_text(earlier), first=time_text(test.time.min()))


def time_text(time: Any) -> str:
    """Writes a number, or a date without what all have alike: 2024-05-01 00:00 is a day.

    >>> time_text(np.datetime64("2024-05-01T00:00:00.000000")), time_text(np.float64(7))
    ('2024-05-01', '7')
    """
    if isinstance(time, np.datetime64):
        return str(time.astype("datetime64[s]")).replace("T", " ").removesuffix(" 00:00:00")
    return f"{time:g}"
