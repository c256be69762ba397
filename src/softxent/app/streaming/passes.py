"""What is computed of a part of a table, wherever it is read: what its columns are like, and its features."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.features import dense, transformed
from softxent.app.streaming.held import Held
from softxent.app.streaming.parts import Part
from softxent.app.streaming.survey import Question
from softxent.app.tables.columns import Column
from softxent.app.tables.rows import Rows
from softxent.app.tables.unread import Unread
from softxent.sklearn.examples import Examples

Array = NDArray[Any]


@dataclass(frozen=True)
class Reader:
    """Reads the rows of a part that train."""

    question: Question
    classes: list[str]
    columns: list[Column]
    held: Held
    batch: int  # bytes of a batch, about

    def batches(self, part: Part) -> Iterator[tuple[Any, Array, Array | None]]:
        """Yields the columns of some rows as a DataFrame, the index of each row's class, and its weight."""
        known = {name: index for index, name in enumerate(self.classes)}
        for rows in larger(part.batches(), self.batch):
            y, facts, trains = self.question.trains(part, rows, self.held)
            kept = np.flatnonzero(trains)
            if len(kept):
                names, which = np.unique(y[kept], return_inverse=True)
                index = np.array([known[str(name)] for name in names], np.int64)[which]
                weight = facts["weight"][kept] if "weight" in facts else None
                yield rows.some(kept).features(self.columns), index, weight


def larger(batches: Iterable[Rows], size: int) -> Iterator[Rows]:
    """Joins batches to ones of about so many bytes."""
    held: list[Rows] = []
    for rows in batches:
        held.append(rows)
        if sum(each.table.nbytes for each in held) >= size:
            yield held[0].joined(held)
            held = []
    if held:
        yield held[0].joined(held)


# The second pass -----------------------------------------------------------------------------------------------------


@dataclass
class Measured:
    """What a model must know of all rows that train: of each column how many values are missing, and the moments."""

    counts: Array  # rows of each class
    weights: Array  # Σ s_i of each class
    missing: dict[str, int]
    moments: list[Moments]  # of each part of the pipeline that standardises
    unread: dict[str, Unread] = field(default_factory=dict)

    def join(self, other: Measured) -> Measured:
        self.counts, self.weights = self.counts + other.counts, self.weights + other.weights
        for name, count in other.missing.items():
            self.missing[name] += count
        self.moments = [mine.join(theirs) for mine, theirs in zip(self.moments, other.moments, strict=True)]
        for name, found in other.unread.items():
            first = self.unread.setdefault(name, found)
            if first is not found:
                first.count += found.count
        return self


@dataclass
class Moments:
    """Of each feature the number of values, their mean, and Σ (x − mean)²."""

    count: Array
    mean: Array
    squares: Array

    @classmethod
    def of(cls, x: Array) -> Moments:
        there = ~np.isnan(x)
        count = there.sum(axis=0)
        mean = np.where(there, x, 0).sum(axis=0) / np.maximum(count, 1)
        return cls(count, mean, np.square(np.where(there, x - mean, 0)).sum(axis=0))

    def join(self, other: Moments) -> Moments:
        """Chan, Golub & LeVeque 1983, eq. 2.1."""
        count = self.count + other.count
        share = other.count / np.maximum(count, 1)
        delta = other.mean - self.mean
        squares = self.squares + other.squares + np.square(delta) * self.count * share
        return Moments(count, self.mean + delta * share, squares)


def measure(part: Part, reader: Reader, encoders: list[Any]) -> Measured | None:
    """Goes over the rows of a part that train; None if it has none."""
    measured = None
    classes = len(reader.classes)
    for X, y, s in reader.batches(part):
        moments = [Moments.of(np.asarray(dense(encoded(encoder, X)), np.float64)) for encoder in encoders]
        missing = {name: int(count) for name, count in X.isna().sum().items()}
        new = Measured(np.bincount(y, minlength=classes), np.bincount(y, s, classes), missing, moments)
        measured = new if measured is None else measured.join(new)
    if measured is not None:
        measured.unread = {
            name: replace(found, row=part.start + found.row) for name, found in part.source.unread.items()
        }
    part.source.unread.clear()
    return measured


@dataclass(frozen=True)
class Encoder:
    """What stands in front of a scaler: the names of its columns, and the steps that make numbers of them."""

    columns: list[str]
    steps: list[Any]


def encoded(encoder: Encoder, X: Any) -> Any:
    part = X[encoder.columns]
    for step in encoder.steps:
        part = transformed(step, part)
    return part


def scalers(features: Any) -> list[tuple[Encoder, Any]]:
    """Returns the scalers of a fitted pipeline, each with what stands in front of it."""
    from sklearn.preprocessing import StandardScaler

    found = []
    for _, steps, columns in features.transformers_:
        each = [step for _, step in getattr(steps, "steps", [])]
        at = next((k for k, step in enumerate(each) if isinstance(step, StandardScaler)), None)
        if at is not None:
            found.append((Encoder(list(columns), each[:at]), each[at]))
    return found


def set_moments(scaler: Any, moments: Moments) -> None:
    """Makes the scaler what a fit to all the rows would have made it: a column that is constant is not scaled."""
    n, mean = moments.count, moments.mean
    variance = moments.squares / np.maximum(n, 1)
    eps = np.finfo(np.float64).eps
    constant = variance <= n * eps * variance + np.square(n * eps * mean)  # but for rounding
    scaler.mean_, scaler.var_, scaler.n_samples_seen_ = mean, variance, n
    scaler.scale_ = np.where(constant, 1.0, np.sqrt(variance))


# The third pass ------------------------------------------------------------------------------------------------------


def examples(part: Part, reader: Reader, features: Any) -> Iterator[Examples]:
    """Yields the rows of a part that train, as the classifier sees them."""
    for X, y, weight in reader.batches(part):
        yield Examples(np.ascontiguousarray(dense(transformed(features, X))), y, weight)
    part.source.unread.clear()
