"""A column of a table: what it is, and how its values are read as that."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softxent.app.tables import dates, missing, numbers
from softxent.app.words import Mistake


class Reading(NamedTuple):
    """The values of a column read as its kind, null where missing, beside what is written."""

    values: pa.ChunkedArray  # float64 (float32 stays), timestamps or text
    written: pa.ChunkedArray  # null where nothing, NA or the like is
    there: pa.ChunkedArray  # null where another mark of a missing value is, too

    @property
    def unread(self) -> pa.ChunkedArray:
        """Which values are there but could not be read."""
        return pc.and_(pc.is_valid(self.there), pc.is_null(self.values))

    @property
    def first_unread(self) -> int | None:
        row = int(pc.index(self.unread, pa.scalar(True)).as_py())
        return None if row < 0 else row

    @property
    def share(self) -> float:
        """The share of what is there that could be read."""
        return share(self.values, self.there)


def share(read: pa.ChunkedArray, there: pa.ChunkedArray) -> float:
    count = len(there) - there.null_count
    return (len(read) - read.null_count) / count if count else 0.0


@dataclass
class Column:
    """A column; its kind is number, date, category or text, or it is left out: empty, constant, dropped, or
    the group, time or weight of each row."""

    name: str
    kind: str
    missing: int = 0
    distinct: int = 0
    format: str = ""  # of dates, and of numbers that are times of day
    values: list[str] = field(default_factory=list)  # of categories, in training
    identifier: bool = False  # every row has its own, with no blank or point in it
    decimal: str = ""  # the decimal mark of numbers that are text
    unit: str = ""  # of numbers: %, $, kg
    marks: dict[str, int] = field(default_factory=dict)  # what else than NA was taken for missing, and how often
    marked: int = 0  # how many of these there are
    first_mark: int = -1  # the row of the first
    other: str = ""  # another decimal mark, or format of dates, that fits all values too
    examples: list[str] = field(default_factory=list)  # of `other`; in text, two numbers that are written in two ways
    leading_zeros: bool = False  # of numbers that may be codes
    asked: bool = False  # the user said what it is

    @property
    def used(self) -> bool:
        return self.kind not in ("empty", "constant", "dropped", "group", "time", "weight")

    def read(self, values: pa.ChunkedArray, prefer: str) -> Reading:
        """Reads the values as this column's kind; `prefer` is the decimal mark if training has not settled it."""
        found = clean(self.name, values)
        if self.kind in ("category", "text"):
            text = as_text(found)
            known = missing.null_where(pc.is_in(text, pa.array(list(self.marks), pa.string())), text)
            return Reading(known, found, known)
        if self.kind == "date" and self.asked and not is_time(found):
            found = as_text(found)
        there = missing.without_marks(found, missing.AMONG_NUMBERS) if is_text(found) else found
        read = self._dates(there) if self.kind == "date" else self._numbers(there, prefer)
        return Reading(read, found, there)

    def _dates(self, there: pa.ChunkedArray) -> pa.ChunkedArray:
        if is_time(there):
            return there
        return dates.dates(there, self.format) if is_text(there) else _nothing(there, pa.timestamp("us"))

    def _numbers(self, there: pa.ChunkedArray, prefer: str) -> pa.ChunkedArray:
        if is_text(there) and self.format == numbers.CLOCK:
            return numbers.hours(there)
        if is_text(there):
            return numbers.read(there, self.decimal or prefer, self.unit)[0]
        if is_time(there):
            return _nothing(there, pa.float64())
        return there if pa.types.is_float32(there.type) else pc.cast(there, pa.float64(), safe=False)

    def converted(self, values: pa.ChunkedArray) -> Any:
        """Returns values that were read as pandas has them: float64 (float32 stays), datetime64, categories of str."""
        if self.kind in ("category", "text"):
            return values.to_pandas().astype("str").astype("category")  # as str, skrub might take a share for dates
        return values.to_pandas() if self.kind == "date" else values.to_numpy()


def labels(values: pa.ChunkedArray) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Returns each row's class, and which rows have none. Classes are int if `str` would write them so, or text."""
    found = clean("", values)
    absent = np.asarray(found.is_null().to_numpy(), bool)
    if pa.types.is_floating(found.type) and _whole(found):
        found = pc.cast(found, pa.int64())
    text = pc.cast(found, pa.string())
    try:
        whole = pc.cast(text, pa.int64())
        if pc.all(pc.equal(pc.cast(whole, pa.string()), text)).as_py():  # 007 is a name
            return np.asarray(pc.fill_null(whole, 0).to_numpy(), np.int64), absent
    except pa.ArrowInvalid:
        pass
    return np.asarray(pc.fill_null(text, "").to_pylist(), np.str_), absent


def clean(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns numbers, timestamps, or text without blanks around it; what is missing in any column is null."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = pc.cast(values, kind.value_type)
        kind = values.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_time(kind):
        return pc.cast(values, pa.string())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_string(kind):
        return missing.without_missing(pc.cast(values, pa.string()))
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pc.cast(values, pa.timestamp("us"), safe=False)
    if pa.types.is_floating(kind):
        return missing.null_where(pc.is_nan(values), values)
    if pa.types.is_integer(kind):
        return values
    if pa.types.is_decimal(kind):
        return pc.cast(values, pa.float64())
    if pa.types.is_duration(kind):
        return pc.cast(pc.cast(values, pa.duration("us"), safe=False), pa.int64())
    raise Mistake("column type", column=repr(name), got=kind)


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns text; 2.0 is written 2, for a column of whole numbers with a missing one among them is float."""
    if pa.types.is_floating(values.type):
        floats = pc.cast(values, pa.float64())
        whole = pc.and_(pc.equal(floats, pc.floor(floats)), pc.less(pc.abs(floats), 2.0**53))
        integers = pc.cast(pc.if_else(whole, floats, 0.0), pa.int64())
        return pc.if_else(whole, pc.cast(integers, pa.string()), pc.cast(values, pa.string()))
    return pc.cast(values, pa.string())


def is_text(values: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(values.type))


def is_time(values: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_timestamp(values.type))


def _whole(values: pa.ChunkedArray) -> bool:
    finite = pc.all(pc.is_finite(values)).as_py()
    return bool(finite and pc.all(pc.equal(values, pc.floor(values))).as_py())


def _nothing(like: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(len(like), kind)])
