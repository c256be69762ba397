"""Infers the kind of a column, once in training, and reads its values as that kind, or says which cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softxent.app.words import Mistake, Phrase

# What Arrow and pandas read as missing, and the ? of the UCI repository
MISSING = pa.array(["", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "<NA>", "NaT"])
ISO = "ISO 8601"
DATES = ("%Y/%m/%d", "%Y年%m月%d日", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y")
LARGEST = 1e100  # the variance of a column must not overflow
FEW = 20  # rows; in fewer, all values may differ by chance
DATE_FORMATS = (ISO, *(date + time for date in DATES for time in ("", " %H:%M", " %H:%M:%S")))


@dataclass
class Column:
    """A column; its kind is number, date, category or text, or it is left out: empty, constant, dropped, or
    the group, time or weight of each row."""

    name: str
    kind: str
    missing: int = 0
    distinct: int = 0
    format: str = ""  # of dates
    values: list[str] = field(default_factory=list)  # of categories, in training
    identifier: bool = False  # every row has its own, with no blank or point in it

    @property
    def used(self) -> bool:
        return self.kind not in ("empty", "constant", "dropped", "group", "time", "weight")

    @classmethod
    def infer(cls, name: str, values: pa.ChunkedArray, *, comma: bool) -> Column:
        clean = _clean(name, values)
        missing, distinct = clean.null_count, int(pc.count_distinct(clean).as_py())
        if distinct == 0:
            return cls(name, "empty", missing)
        if distinct == 1 and not missing:
            return cls(name, "constant", missing, distinct)
        kind, format = "number", ""
        if pa.types.is_temporal(clean.type):
            kind, format = "date", ISO
        elif pa.types.is_string(clean.type) and _numbers(clean, comma=comma) is None:
            kind, format = "text", next((f for f in DATE_FORMATS if _dates(clean, f) is not None), "")
        identifier = distinct == len(values) > FEW and kind != "date" and not format and _unspaced(clean)
        return cls(name, "date" if format else kind, missing, distinct, format, identifier=identifier)


def converted(column: Column, values: pa.ChunkedArray, place: Callable[[int], Phrase], *, comma: bool) -> Any:
    """Returns the values as pandas has them: float64 (float32 stays), datetime64 or categories of str."""
    clean = _clean(column.name, values)
    if column.kind in ("category", "text"):
        text = pc.cast(clean, pa.string()).to_pandas().astype("str")
        return text.astype("category")  # as str, skrub might take a share of the rows for dates
    if column.kind == "date":
        dates = _dates(clean, column.format)
        if dates is None:
            raise _wrong(column, clean, lambda one: _dates(one, column.format), place)
        return dates.to_pandas()
    numbers = _numbers(clean, comma=comma)
    if numbers is None:
        raise _wrong(column, clean, lambda one: _numbers(one, comma=comma), place)
    array = numbers.to_numpy()
    large = np.abs(array, dtype=np.float64) > LARGEST
    if large.any():
        row = int(large.argmax())
        raise Mistake("large", column=repr(column.name), got=array[row], place=place(row))
    return array


def labels(values: pa.ChunkedArray) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Returns each row's class, and which rows have none. Classes are int if `str` would write them so, or text."""
    clean = _clean("", values)
    missing = np.asarray(clean.is_null().to_numpy(), bool)
    if pa.types.is_floating(clean.type) and _whole(clean):
        clean = pc.cast(clean, pa.int64())
    text = pc.cast(clean, pa.string())
    try:
        whole = pc.cast(text, pa.int64())
        if pc.all(pc.equal(pc.cast(whole, pa.string()), text)).as_py():  # 007 is a name
            return np.asarray(pc.fill_null(whole, 0).to_numpy(), np.int64), missing
    except pa.ArrowInvalid:
        pass
    return np.asarray(pc.fill_null(text, "").to_pylist(), np.str_), missing


def _unspaced(values: pa.ChunkedArray) -> bool:
    text = pc.cast(values, pa.string())
    return not pc.any(pc.match_substring_regex(text, r"[\s.,]")).as_py()


def _whole(values: pa.ChunkedArray) -> bool:
    finite = pc.all(pc.is_finite(values)).as_py()
    return bool(finite and pc.all(pc.equal(values, pc.floor(values))).as_py())


def _clean(name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns numbers, timestamps, or text without blanks around it; what is missing is null."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values = pc.cast(values, kind.value_type)
        kind = values.type
    if pa.types.is_null(kind) or pa.types.is_boolean(kind) or pa.types.is_time(kind):
        return pc.cast(values, pa.string())
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_string(kind):
        text = pc.utf8_trim_whitespace(pc.cast(values, pa.string()))
        return pc.if_else(pc.is_in(text, MISSING), pa.scalar(None, pa.string()), text)
    if pa.types.is_date(kind) or pa.types.is_timestamp(kind):
        return pc.cast(values, pa.timestamp("us"), safe=False)
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(values), pa.scalar(None, kind), values)
    if pa.types.is_integer(kind):
        return values
    if pa.types.is_decimal(kind):
        return pc.cast(values, pa.float64())
    raise Mistake("column type", column=repr(name), got=kind)


def _numbers(values: pa.ChunkedArray, *, comma: bool) -> pa.ChunkedArray | None:
    if pa.types.is_float32(values.type):
        return values
    if pa.types.is_timestamp(values.type):
        return None
    for text in (values, pc.replace_substring(values, ",", ".")) if comma and _is_text(values) else (values,):
        try:
            return pc.cast(text, pa.float64(), safe=False)
        except pa.ArrowInvalid:
            pass
    return None


def _dates(values: pa.ChunkedArray, format: str) -> pa.ChunkedArray | None:
    """Reads timestamps, in UTC; returns None if a value is not written in that format."""
    if pa.types.is_timestamp(values.type):
        return values
    if not _is_text(values):
        return None
    try:
        if format != ISO:
            _check_first(values, format)
            return pc.strptime(values, format=format, unit="us")
        return pc.cast(values, pa.timestamp("us"))
    except (pa.ArrowInvalid, ValueError):
        pass
    try:
        return pc.cast(pc.cast(values, pa.timestamp("us", "UTC")), pa.timestamp("us")) if format == ISO else None
    except pa.ArrowInvalid:
        return None


def _check_first(values: pa.ChunkedArray, format: str) -> None:
    """Tries the first date by Python's strptime, which refuses more than Arrow's: trailing text, a 31st of February."""
    for value in values.drop_null()[:1].to_pylist():
        datetime.strptime(value, format)


def _is_text(values: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(values.type))


def _wrong(
    column: Column, values: pa.ChunkedArray, read: Callable[[Any], Any], place: Callable[[int], Phrase]
) -> Mistake:
    """Finds the first value that cannot be read, by bisection, and returns the error that names it."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if read(values.slice(low, middle - low)) is None else (middle, high)
    expected = Phrase("a number") if column.kind == "number" else Phrase("a date", format=column.format)
    got = repr(values[low].as_py())
    return Mistake("wrong value", column=repr(column.name), got=got, place=place(low), expected=expected)
