"""The first pass over a table: how many rows each class has, and the rows that are held in memory.

These are the rows that test, a sample of the others, and for each column with few values, and for the classes, the
first row of every value, and the first where it is missing: what is fitted to the sample has seen them all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from softxent.app.roles import Roles, groups, unknown, weights
from softxent.app.streaming.held import Held
from softxent.app.streaming.parts import Part, uniform
from softxent.app.streaming.reservoir import Picked, Reservoir
from softxent.app.tables.columns import Column, clean
from softxent.app.tables.rows import Rows, text_hashes

Array = NDArray[Any]

FEW = 64  # values of a column that all get a row; above 40 it is no category
BY_CHANCE, TESTED = 0, 1  # streams of random numbers


@dataclass(frozen=True)
class Question:
    """What the first pass looks for."""

    target: str
    roles: Roles
    time: Column | None  # that of roles.time
    watched: list[str]  # columns whose values are looked at
    most: int  # rows of a sample
    seed: int

    def facts(self, rows: Rows) -> dict[str, Array]:
        """Returns the group, time and weight of each row, as far as there is a column of them."""
        read = {}
        if self.roles.group:
            read["group"] = groups(rows, self.roles.group)
        if self.time:
            read["time"] = np.asarray(rows.values(self.time))
        if self.roles.weight:
            read["weight"] = weights(rows, self.roles.weight)
        return read

    def without(self, facts: dict[str, Array], missing: Array) -> dict[str, Array]:
        """Returns for each column that a row must have a value of where there is none."""
        roles = {name: unknown(facts[role]) for role, name in self.roles if role != "weight"}
        return {self.target: missing, **roles}

    def trains(self, part: Part, rows: Rows, held: Held) -> tuple[Array, dict[str, Array], NDArray[np.bool_]]:
        """Returns the labels of rows, their facts, and which of them train."""
        y, missing = rows.labels(self.target)
        facts = self.facts(rows)
        left_out = np.any(list(self.without(facts, missing).values()), axis=0)
        numbers = part.start + rows.start + np.arange(len(rows))
        return y, facts, ~left_out & ~held.mask(numbers, facts.get("group"), facts.get("time"))

    def test_key(self, part: Part, numbers: Array, facts: dict[str, Array]) -> Array:
        """Returns for each row a number that is lower the sooner it tests: by chance, by group, or the latest first."""
        if "time" in facts:
            time = facts["time"]
            return np.asarray(-(time.astype("datetime64[us]").astype(np.int64) if time.dtype.kind == "M" else time))
        if "group" in facts:
            return uniform(self.seed, TESTED, text_hashes(facts["group"]))
        return uniform(self.seed, TESTED, places(part, numbers))


def places(part: Part, numbers: Array) -> NDArray[np.uint64]:
    """Returns a number for each row that no other row of the table has."""
    return numbers.astype(np.uint64) + np.uint64(part.index << 40)


@dataclass
class Left:
    """Rows without a label, or without a group or time: how many, and the place of the first."""

    rows: int
    part: int
    row: int


@dataclass
class Survey:
    rows: list[int] = field(default_factory=list)  # of each part
    counts: dict[str, int] = field(default_factory=dict)  # of each class
    weight: dict[str, float] = field(default_factory=dict)  # Σ s_i of each class
    left_out: dict[str, Left] = field(default_factory=dict)  # by column
    whole: bool = True  # all labels are whole numbers
    classes: dict[str, Picked] = field(default_factory=dict)  # the first row of each
    # of each column its values and the first row of each; None for one of many values
    values: dict[str, dict[Any, Picked] | None] = field(default_factory=dict)
    tested: Reservoir = field(default_factory=lambda: Reservoir(0))
    sample: Reservoir = field(default_factory=lambda: Reservoir(0))

    def join(self, other: Survey) -> Survey:
        """Adds what the parts behind these have."""
        self.rows += other.rows
        self.whole &= other.whole
        for mine, theirs in ((self.counts, other.counts), (self.weight, other.weight)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count  # type: ignore[assignment]
        for name, left in other.left_out.items():
            first = self.left_out.setdefault(name, left)
            if first is not left:
                first.rows += left.rows
        for name, mine_of in self.values.items():
            found = other.values[name]
            self.values[name] = None if found is None or mine_of is None else few(found | mine_of)
        for name, row in other.classes.items():
            self.classes.setdefault(name, row)
        self.tested.join(other.tested)
        self.sample.join(other.sample)
        return self


def joined(surveys: Any) -> Survey:
    return reduce(Survey.join, surveys)


def survey(part: Part, question: Question) -> Survey:
    """Goes over one part."""
    found = Survey([0], tested=Reservoir(question.most), sample=Reservoir(question.most))
    found.values = {name: {} for name in question.watched}
    for rows in part.batches():
        _add(found, part, rows, question)
    return found


def _add(found: Survey, part: Part, rows: Rows, question: Question) -> None:
    y, missing = rows.labels(question.target)
    facts = question.facts(rows)
    numbers = rows.start + np.arange(len(rows))
    left_out = np.zeros(len(rows), bool)
    for name, without in question.without(facts, missing).items():
        new = np.flatnonzero(without & ~left_out)
        if len(new):
            left = found.left_out.setdefault(name, Left(0, part.index, int(numbers[new[0]])))
            left.rows += len(new)
        left_out |= without
    found.rows[0] += len(rows)
    kept = np.flatnonzero(~left_out)
    if not len(kept):
        return
    y, facts, numbers = y[kept], {role: of[kept] for role, of in facts.items()}, numbers[kept]
    found.whole &= y.dtype.kind == "i"
    names, first, which, counts = np.unique(y, return_index=True, return_inverse=True, return_counts=True)
    weight = np.bincount(which, facts.get("weight"))
    for name, count, s in zip(map(str, names), counts.tolist(), weight.tolist(), strict=True):
        found.counts[name] = found.counts.get(name, 0) + count
        found.weight[name] = found.weight.get(name, 0.0) + s
    table = rows.table.select(part.source.names).take(kept)
    nowhere = np.zeros(len(kept))
    all_rows = Picked(table, nowhere, np.full(len(kept), part.index), numbers)
    for reservoir, key in (
        (found.tested, question.test_key(part, numbers, facts)),
        (found.sample, uniform(question.seed, BY_CHANCE, places(part, numbers))),
    ):
        all_rows.key = key
        reservoir.offer(all_rows)
    for name, index in zip(map(str, names), first.tolist(), strict=True):
        if name not in found.classes:
            found.classes[name] = all_rows.some(np.array([index]))
    for name, values in found.values.items():
        if values is not None:
            found.values[name] = with_new(values, all_rows, name)


def with_new(values: dict[Any, Picked], rows: Picked, name: str) -> dict[Any, Picked] | None:
    """Adds the values that these rows are the first to have; None if there are too many."""
    column = clean(name, rows.table[name])
    different = pc.unique(column)
    if len(different) > FEW:
        return None
    for value in different:
        if value.as_py() not in values:
            index = pc.index(column, value).as_py() if value.is_valid else int(np.argmax(column.is_null().to_numpy()))
            values[value.as_py()] = rows.some(np.array([index]))
    return few(values)


def first_of(part: Part, question: Question, held: Held, classes: set[str]) -> list[Picked]:
    """Returns for each of these classes the first row of a part that trains, if there is one."""
    found: dict[str, Picked] = {}
    for rows in part.batches():
        y, _, trains = question.trains(part, rows, held)
        for name in classes - found.keys():
            these = np.flatnonzero(trains & (y.astype(str) == name))[:1]
            if len(these):
                table = rows.table.select(part.source.names).take(these)
                found[name] = Picked(table, np.zeros(1), np.full(1, part.index), rows.start + these)
    return list(found.values())


def few(values: dict[Any, Picked]) -> dict[Any, Picked] | None:
    return values if len(values) <= FEW else None


def firsts(found: Survey) -> list[Picked]:
    """Returns the first row of each class, and of each value of the columns that have few."""
    return [row for values in (found.classes, *found.values.values()) if values for row in values.values()]
