"""What cannot be read in a file for a trained model: a few values count as missing, and are told; more are an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softxent.app.tables.columns import Column, Reading, is_text
from softxent.app.tables.kinds import NEARLY
from softxent.app.words import Mistake, Phrase

LARGEST = 1e100  # the variance of a column must not overflow


@dataclass
class Unread:
    """What of a column was taken for missing: how often, and the first one with its row."""

    kind: str
    count: int
    got: str
    row: int

    def note(self, name: str, place: Callable[[int], Phrase]) -> Phrase:
        kind = Phrase("no number" if self.kind == "number" else "no date")
        facts = {"column": repr(name), "got": repr(self.got), "place": place(self.row), "kind": kind}
        return Phrase("unread" if self.count == 1 else "all unread", **facts, count=self.count)


def check(column: Column, reading: Reading, place: Callable[[int], Phrase], *, enough: bool = True) -> None:
    """Raises if more than a few values of a batch cannot be read; marks such as `unknown` are always missing.

    NEARLY all must be what they were in training, unless the user said what the column is: then one. `enough` is
    False where a batch is too little to say so.
    """
    if column.kind not in ("number", "date"):
        return
    first = reading.first_unread if enough else None
    if first is not None and (reading.share == 0 if column.asked else reading.share < NEARLY):
        raise _wrong(column, reading, first, place)
    _check_size(column, reading, place)


def found(column: Column, reading: Reading) -> Unread | None:
    """Returns what is taken for missing though training did not have it."""
    written = reading.written
    if column.kind not in ("number", "date") or not is_text(written):
        return None
    new = pc.and_(pc.is_valid(written), pc.is_null(reading.values))
    new = pc.and_(new, pc.invert(pc.is_in(written, pa.array(list(column.marks), pa.string()))))
    count = int(pc.sum(new).as_py() or 0)
    if not count:
        return None
    row = int(pc.index(new, pa.scalar(True)).as_py())
    return Unread(column.kind, count, str(written[row].as_py()), row)


def _wrong(column: Column, reading: Reading, row: int, place: Callable[[int], Phrase]) -> Mistake:
    expected = Phrase("a number") if column.kind == "number" else Phrase("a date", format=column.format)
    got = repr(reading.there[row].as_py())
    return Mistake("wrong value", column=repr(column.name), got=got, place=place(row), expected=expected)


def _check_size(column: Column, reading: Reading, place: Callable[[int], Phrase]) -> None:
    if column.kind != "number":
        return
    array = np.asarray(reading.values.to_numpy(), np.float64)
    large = np.abs(array) > LARGEST
    if large.any():
        row = int(large.argmax())
        raise Mistake("large", column=repr(column.name), got=array[row], place=place(row))
