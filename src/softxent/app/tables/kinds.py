"""Decides in training what a column is: what nearly all its values are.

A stray text or a mark such as `unknown` among numbers or dates counts as missing, and the column says so.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from softxent.app.tables import dates, missing, numbers
from softxent.app.tables.columns import Column, Reading, as_text, clean, is_text, is_time, share
from softxent.app.words import Mistake, Phrase

# The share of the values that must be numbers, or dates. Of the 441 columns of text in the tables of vega_datasets,
# statsmodels, scikit-learn and palmerpenguins, no share lies between 0.04 and 1.
NEARLY = 0.95
FEW = 20  # rows; in fewer, all values may differ by chance
MARKS = 50  # different texts, of those taken for missing, that are kept
UNITS = 5  # more in one column are no units, but the letters of 12A and 7B
KINDS = ("number", "category", "text", "date", "drop")


class Asked(NamedTuple):
    """What the user says that a column is; how: its decimal mark (point, comma), or the format of its dates."""

    kind: str
    how: str = ""


def infer(name: str, values: pa.ChunkedArray, prefer: str = numbers.POINT, asked: Asked | None = None) -> Column:
    """Decides what a column is; `prefer` is the decimal mark if two fit all its numbers."""
    if asked and asked.kind == "drop":
        return Column(name, "dropped", asked=True)
    found = clean(name, values)
    column = _as_asked(name, found, asked, prefer) if asked else _found(name, found, prefer)
    if column.kind in ("category", "text"):
        column = replace(column, **_marks(found, missing.without_marks(as_text(found), missing.IN_FEATURES)))
    reading = column.read(values, prefer)
    if asked and reading.share == 0 and reading.there.null_count < len(reading.there):
        raise _none_read(column, reading)
    return _counted(column, found, reading)


def _found(name: str, found: pa.ChunkedArray, prefer: str) -> Column:
    if is_time(found):
        return Column(name, "date", format=dates.ISO)
    if not is_text(found):
        return Column(name, "number")
    text = missing.without_marks(found, missing.AMONG_NUMBERS).drop_null()
    if not len(text):
        return Column(name, "text")
    as_number = _as_number(name, text, prefer)
    if as_number:
        return as_number
    if share(numbers.hours(text), text) >= NEARLY:
        return Column(name, "number", format=numbers.CLOCK)
    written = dates.format_of(text, asked=False)
    if written and share(dates.dates(text, written[0]), text) >= NEARLY:
        return Column(name, "date", format=written[0], other=written[1])
    return Column(name, "text", examples=_mixed(text))


def _as_number(name: str, text: pa.ChunkedArray, prefer: str, least: float = NEARLY) -> Column | None:
    if least and not numbers.likely(text):
        return None
    read, notation = numbers.read(text, prefer)
    if share(read, text) < least:
        return None
    column = Column(name, "number", decimal=notation.decimal, unit=notation.unit, leading_zeros=_codes(text))
    if notation.both:
        column.other = numbers.COMMA if notation.decimal == numbers.POINT else numbers.POINT
        column.examples = [numbers.two_ways(text)]
    return column


def _as_asked(name: str, found: pa.ChunkedArray, asked: Asked, prefer: str) -> Column:
    if asked.kind in ("category", "text"):
        return Column(name, asked.kind, asked=True)
    text = missing.without_marks(as_text(found), missing.AMONG_NUMBERS).drop_null()
    if asked.kind == "number":
        mark = {"point": numbers.POINT, "comma": numbers.COMMA}.get(asked.how, "")
        if is_text(found) and share(numbers.hours(text), text) >= NEARLY:
            return Column(name, "number", format=numbers.CLOCK, asked=True)
        made = _as_number(name, text, mark or prefer, 0.0) if is_text(found) else Column(name, "number")
        assert made is not None  # whatever share was read
        made = replace(made, decimal=mark, other="", examples=[]) if mark else made
        return replace(made, asked=True, leading_zeros=False)
    if is_time(found):
        return Column(name, "date", format=dates.ISO, asked=True)
    written = (asked.how, "") if asked.how else dates.format_of(text, asked=True) or (dates.ISO, "")
    return Column(name, "date", format=written[0], other=written[1], asked=True)


def _none_read(column: Column, reading: Reading) -> Mistake:
    first = reading.there.drop_null()[0].as_py()
    kind = Phrase("a number") if column.kind == "number" else Phrase("a date", format=column.format)
    return Mistake("not as asked", column=repr(column.name), kind=kind, got=repr(first))


def _counted(column: Column, found: pa.ChunkedArray, reading: Reading) -> Column:
    """Adds how many values are missing and different, and what was taken for missing."""
    values = reading.values
    distinct = int(pc.count_distinct(values).as_py())
    kind = "empty" if distinct == 0 else "constant" if distinct == 1 and not values.null_count else column.kind
    counted = replace(column, kind=kind, missing=values.null_count, distinct=distinct, **_marks(found, values))
    if not column.asked and column.kind != "date" and not column.format and not column.unit:
        counted.identifier = distinct == len(values) > FEW and _unspaced(values)
    return counted


def _marks(found: pa.ChunkedArray, values: pa.ChunkedArray) -> dict[str, Any]:
    """What is written where a value is missing, other than nothing or NA."""
    taken = pc.and_(pc.is_valid(found), pc.is_null(values))
    if not pc.any(taken).as_py():
        return {}
    counts = pc.value_counts(as_text(found).filter(taken)).to_pylist()
    counts.sort(key=lambda each: (-each["counts"], each["values"]))
    first = int(pc.index(taken, pa.scalar(True)).as_py())
    marks = {each["values"]: each["counts"] for each in counts[:MARKS]}
    return {"marks": marks, "marked": int(pc.sum(taken).as_py()), "first_mark": first}


def _codes(text: pa.ChunkedArray) -> bool:
    """Whether all numbers are of one length, some with a 0 in front, as postcodes are."""
    if not pc.any(pc.match_substring_regex(text, "^0[0-9]+$")).as_py():
        return False
    lengths = pc.min_max(pc.utf8_length(text)).as_py()
    return bool(lengths["min"] == lengths["max"] and pc.all(pc.match_substring_regex(text, "^[0-9]+$")).as_py())


def _mixed(text: pa.ChunkedArray) -> list[str]:
    """Two numbers of a column whose values are numbers, but with different units or decimal marks."""
    if not numbers.likely(text):
        return []
    parts = numbers.Parts.of(text)
    numeric = pc.fill_null(pc.match_substring_regex(parts.digits, numbers.EITHER), False)
    units = pc.unique(parts.unit.filter(numeric))
    if pc.sum(numeric).as_py() < NEARLY * len(text) or not 0 < len(units) <= UNITS:
        return []
    read, _ = numbers.read(text, numbers.POINT)
    good, bad = (text.filter(pc.and_(numeric, test(read))) for test in (pc.is_valid, pc.is_null))
    return [good[0].as_py(), bad[0].as_py()] if len(good) and len(bad) else []


def _unspaced(values: pa.ChunkedArray) -> bool:
    text = as_text(values)
    return not pc.any(pc.match_substring_regex(text, r"[\s.,]")).as_py()


# What the user is told ---------------------------------------------------------------------------------------------


def notes(columns: Sequence[Column], rows: int, place: Callable[[int], Phrase]) -> list[Phrase]:
    """Says what was decided about columns that the user may see otherwise; `place` says where a row is."""
    said = []
    for column in columns:
        name = repr(column.name)
        if column.marks and column.kind in ("number", "date"):
            said.append(_taken(column, rows, place))
        if column.other:
            said.append(
                Phrase("both decimals" if column.kind == "number" else "both dates", column=name, **_two(column))
            )
        if column.kind == "text" and column.examples:
            first, second = map(repr, column.examples)
            said.append(Phrase("mixed numbers", column=name, first=first, second=second))
        if column.leading_zeros and column.used:
            said.append(Phrase("leading zeros", column=name, option=option(column.name, "category")))
    return said


def _taken(column: Column, rows: int, place: Callable[[int], Phrase]) -> Phrase:
    kind = Phrase("are numbers" if column.kind == "number" else "are dates")
    read = rows - column.missing
    facts = {"column": repr(column.name), "kind": kind, "read": read, "values": read + column.marked}
    facts["place"] = place(column.first_mark)
    if column.marked == 1:
        return Phrase("taken for missing", got=repr(next(iter(column.marks))), **facts)
    shown = ", ".join(map(repr, list(column.marks)[:3])) + (", …" if len(column.marks) > 3 else "")
    return Phrase("all taken for missing", count=column.marked, shown=shown, **facts)


def _two(column: Column) -> dict[str, object]:
    if column.kind == "date":
        facts = {"format": column.format, "other": column.other}
        return {**facts, "option": option(column.name, f"date:{column.other}")}
    example = column.examples[0]
    taken, other = (
        numbers.read(pa.chunked_array([[example]]), mark)[0][0].as_py() for mark in (column.decimal, column.other)
    )
    how = "comma" if column.decimal == numbers.POINT else "point"
    facts = {"example": repr(example), "taken": f"{taken:g}", "other": f"{other:g}"}
    return {**facts, "option": option(column.name, f"number:{how}")}


def option(name: str, kind: str) -> str:
    """The option that says what a column is, as a shell takes it.

    >>> option("my price", "number")
    "--column 'my price=number'"
    """
    return f"--column {shlex.quote(f'{name}={kind}')}"
