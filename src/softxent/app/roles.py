"""Columns that say something about a row and are no features: its group, its time, its weight."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.tables.columns import Column
from softxent.app.tables.rows import Rows, Source
from softxent.app.words import Mistake, Phrase

Array = NDArray[Any]


@dataclass(frozen=True)
class Roles:
    """The name of the column for each role, None where there is none."""

    group: str | None = None
    time: str | None = None
    weight: str | None = None

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yields each role that a column has, with the column's name."""
        return ((role, name) for role, name in asdict(self).items() if name is not None)

    def check(self, source: Source, target: str) -> None:
        taken = {target: "--target"}
        for role, name in self:
            if not source.names:
                raise Mistake("no role", option=f"--{role}", got=repr(source.path))
            source.require(name)
            if name in taken:
                raise Mistake("role twice", option=f"--{role}", name=repr(name), other=taken[name])
            taken[name] = f"--{role}"

    def mark(self, columns: list[Column], kept: Container[str] = ()) -> None:
        """Makes the role of each such column its kind, which is no feature, unless it is among those to be kept."""
        role_of = {name: role for role, name in self}
        for column in columns:
            if column.name in role_of and column.name not in kept:
                column.kind, column.identifier = role_of[column.name], False

    def read(self, rows: Rows) -> dict[str, Array]:
        """Returns the group, time and weight of each row, as far as there is a column of them."""
        return {role: READ[role](rows, name) for role, name in self}


def groups(rows: Rows, name: str) -> Array:
    """Returns the text of each row's group, empty where it is missing."""
    values, missing = rows.labels(name)
    return np.where(missing, "", values.astype(np.str_))


def times(rows: Rows, name: str) -> Array:
    """Returns dates or numbers, NaT or NaN where they are missing."""
    return np.asarray(rows.values(time_column(rows, name)))


def time_column(rows: Rows, name: str) -> Column:
    """Decides whether a column has dates or numbers; anything else is no time."""
    column = rows.inferred(name)
    if column.kind in ("empty", "constant"):
        raise Mistake("one time", name=repr(name))
    if column.kind not in ("number", "date"):
        values, missing = rows.labels(name)
        raise Mistake("no time", name=repr(name), got=repr(str(values[~missing][0])))
    return column


def weights(rows: Rows, name: str) -> Array:
    """Returns finite numbers ≥ 0."""
    rows.source.require(name, "weight missing")

    def wrong(got: object, place: object) -> Mistake:
        return Mistake("row weight", name=repr(name), got=got, place=place)

    weight, unread = rows.numbers(name)
    if unread:
        row, text = unread
        raise wrong(repr(text), rows.place(row))
    valid = (weight >= 0) & (weight < np.inf)
    if not valid.all():
        row = int(np.argmin(valid))
        raise wrong(Phrase("nothing") if np.isnan(weight[row]) else f"{weight[row]:g}", rows.place(row))
    return weight


def unknown(values: Array) -> NDArray[np.bool_]:
    """Marks rows without a group or a time."""
    return np.asarray(values == "" if values.dtype.kind == "U" else values != values)


READ = {"group": groups, "time": times, "weight": weights}
