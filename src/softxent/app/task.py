"""The table to learn from: its labelled rows, their columns and classes, and what a user should know of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app import advice
from softxent.app.roles import Roles, unknown
from softxent.app.run import LabelledRows
from softxent.app.tables import kinds
from softxent.app.tables.columns import Column
from softxent.app.tables.kinds import Asked
from softxent.app.tables.rows import Rows, Source
from softxent.app.words import Mistake, Phrase

FEW = 20  # with more classes than this, a target must have two rows a class

Array = NDArray[Any]


@dataclass(frozen=True)
class Task:
    """The table to learn from: its labelled rows, their columns and classes, and notes for the user."""

    source: Source
    target: str
    columns: list[Column]
    rows: LabelledRows  # of a table larger than memory, those that are held
    classes: Array
    counts: Array  # rows of each class
    notes: list[Phrase]
    roles: Roles = Roles()

    @classmethod
    def of(cls, source: Source, target: str, asked: Mapping[str, Asked], roles: Roles | None = None) -> Task:
        """Reads the table; columns with a role are no features."""
        roles = roles or Roles()
        roles.check(source, target)
        rows = source.read()
        y, missing = rows.labels(target)
        facts = roles.read(rows)
        left_out = np.zeros(len(y), bool)
        without_value = []
        for name, without in ((target, missing), *((name, unknown(facts[role])) for role, name in roles)):
            if (without & ~left_out).any():
                place = source.place(int((without & ~left_out).argmax()))
                count = int((without & ~left_out).sum())
                without_value.append(Phrase("no labels", rows=count, target=repr(name), place=place))
            left_out |= without
        index = np.flatnonzero(~left_out)
        classes, counts = np.unique(y[index], return_counts=True)
        check_classes(source, target, classes, counts)
        facts = {role: each[index] for role, each in facts.items()}
        made = cls(source, target, [], LabelledRows(None, y[index], index, **facts), classes, counts, [], roles)
        return made.described(rows.some(index), asked, without_value)

    def described(self, used: Rows, asked: Mapping[str, Asked], without_value: list[Phrase]) -> Task:
        """Returns the task with its columns, what the rows have in them, and the notes."""
        source, target, classes, counts = self.source, self.target, self.classes, self.counts
        columns = used.infer(target, asked)
        self.roles.mark(columns, kept=asked)
        if not any(column.used for column in columns):
            raise Mistake("no features", got=repr(source.path), target=repr(target))
        quantity = advice.is_quantity(classes, counts)
        notes = source.notes + kinds.notes(columns, len(used), used.place) + without_value
        if quantity:
            notes.append(Phrase("quantity", **numbers_of(target, classes, counts)))
        notes += [] if quantity else advice.single_examples(classes, counts)
        notes += advice.identifiers(columns)
        rows = replace(self.rows, X=used.features(columns))
        return replace(self, columns=columns, rows=rows, notes=notes)

    @property
    def size(self) -> int:
        """The number of rows that have a label."""
        return int(self.counts.sum())

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
        if advice.is_quantity(classes, counts):
            raise Mistake("many numbers", **numbers_of(target, classes, counts))
        raise Mistake("many classes", target=repr(target), classes=len(classes), rows=rows)
    if rows - len(classes) < 2:
        raise Mistake("few rows", got=repr(source.path), rows=rows, least=len(classes) + 2)


def numbers_of(target: str, classes: Array, counts: Array) -> dict[str, object]:
    """Returns what is said of a target that is a quantity, and the code that puts it into bins."""
    code = f"df[{target!r}] = pd.qcut(df[{target!r}], 4, duplicates='drop')"
    return {"target": repr(target), "classes": len(classes), "rows": int(counts.sum()), "code": code}
