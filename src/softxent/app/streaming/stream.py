"""The rows of a table larger than memory that train: where they are, and how a classifier learns from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.features import dense, transformed
from softxent.app.run import LabelledRows
from softxent.app.splits import Split
from softxent.app.streaming.held import Held
from softxent.app.streaming.parts import Part
from softxent.app.streaming.passes import Measured, Reader, measure, scalers, set_moments
from softxent.app.streaming.places import Place
from softxent.app.streaming.survey import Question
from softxent.app.tables.columns import Column
from softxent.app.tables.kinds import NEARLY
from softxent.app.tables.rows import Source
from softxent.app.words import Mistake, Phrase
from softxent.sklearn.examples import Examples

Array = NDArray[Any]

BATCH = 64  # of the memory, a batch as Arrow has it
CHOICE = 40  # of the memory, the features that a model is chosen by: there are five folds of them


@dataclass
class Stream:
    """The parts of a table, and how the rows that train are read from them."""

    source: Source
    parts: list[Part]
    question: Question
    held: Held
    columns: list[Column]
    place: Place
    size: int = 0  # rows that train
    notes: list[Phrase] = field(default_factory=list)

    def reader(self, split: Split) -> Reader:
        return Reader(self.question, split.schema.classes, self.columns, self.held, self.place.memory // BATCH)

    def without(self, rows: LabelledRows) -> Stream:
        """Returns the stream without these rows, and the rest of their groups or times."""
        return replace(self, held=self.held.joined(Held.of(rows)))

    def for_choice(self, split: Split) -> Split:
        """Returns the split with as many training rows as the features of all folds leave memory for."""
        row = 8 * transformed(split.features, split.train.X[:1]).shape[1]
        most = max(self.place.memory // CHOICE // row, len(split.schema.classes) * 2)
        if len(split.train) <= most:
            return split
        some = np.random.default_rng(self.question.seed).permutation(len(split.train))[:most]
        return replace(split, train=split.train[np.sort(some)])

    def measure(self, split: Split, held: Sequence[LabelledRows]) -> None:
        """Counts the rows that train and what they lack, and standardises by them all, in a pass over the table.

        held  those of its rows that do not train
        """
        found = scalers(split.features)
        passes = self.place.map(measure, self.parts, self.reader(split), [encoder for encoder, _ in found])
        measured = reduce(Measured.join, (each for each in passes if each is not None))
        for (_, scaler), moments in zip(found, measured.moments, strict=True):
            set_moments(scaler, moments)
        self.size, schema = int(measured.counts.sum()), split.schema
        schema.counts = measured.counts.astype(int).tolist()
        if self.question.roles.weight:
            schema.frequency = (measured.weights / measured.weights.sum()).tolist()
        for column in schema.columns:
            if column.name in measured.missing:
                lack = sum(int(rows.X[column.name].isna().sum()) for rows in held if len(rows))
                column.missing = measured.missing[column.name] + lack
        self.check(split, measured)
        self.notes += [found.note(name, self.source.place) for name, found in measured.unread.items()]

    def check(self, split: Split, measured: Measured) -> None:
        """Raises if a column is not what it is in the sample."""
        for column in split.schema.columns:
            found = measured.unread.get(column.name)
            if found and found.count > (1 - NEARLY) * (self.size - measured.missing[column.name] + found.count):
                expected = Phrase("a number") if column.kind == "number" else Phrase("a date", format=column.format)
                place = self.source.place(found.row)
                raise Mistake(
                    "wrong value", column=repr(column.name), got=repr(found.got), place=place, expected=expected
                )

    def fit(self, classifier: Any, split: Split, on_epoch: Callable[[Any], None]) -> None:
        """Learns from all the rows."""
        classes = np.unique(split.train.y)
        classifier.classes_ = classes
        validation = None
        if len(split.val):
            X = np.ascontiguousarray(dense(transformed(split.features, split.val.X)))
            validation = Examples(X, np.searchsorted(classes, split.val.y))
        with self.place.rows(self.parts, self.reader(split), split.features, self.size) as (rows, weights):
            classifier.n_features_in_ = rows.sample.X.shape[1]
            classifier._fit_rows(rows, weights, validation, on_epoch)
