"""Reads dates as people write them, with or without a time; pandas reads each format."""

from __future__ import annotations

import re
from functools import cache
from itertools import product

import pyarrow as pa
import pyarrow.compute as pc

ISO = "ISO 8601"
DAYS = (
    *("%Y/%m/%d", "%Y年%m月%d日", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d-%b-%Y", "%d-%B-%Y", "%d/%b/%Y"),
    *("%d%b%Y", "%Y %b %d", "%Y-%b-%d", "%Y%b%d", "%d. %B %Y", "%d. %b %Y", "%d %b, %Y", "%d %B, %Y"),
    *("%a, %d %b %Y", "%a %d %b %Y", "%A, %B %d, %Y", "%a, %b %d, %Y", "%a %b %d %Y"),
    *("%d.%m.%y", "%d/%m/%y", "%m/%d/%y", "%d-%b-%y", "%d %b %y", "%y/%m/%d"),
)
CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p", " %I:%M%p", ", %H:%M", ", %I:%M %p")
OTHERS = (
    *(
        "%b %Y",
        "%B %Y",
        "%Y/%m",
        "%m/%Y",
        "%Y年%m月",
        "%b-%Y",
        "%Y-%b",
        "%Y年%m月%d日 %H时%M分",
        "%Y年%m月%d日%H时%M分",
    ),
    *("%a, %d %b %Y %H:%M:%S %z", "%d/%b/%Y:%H:%M:%S %z", "%a %b %d %H:%M:%S %Y", "%Y/%m/%d %H:%M:%S %z"),
)
IF_ASKED = ("%Y%m%d", "%Y%m%d%H%M%S", "%Y%m", "%Y")  # numbers, as long as nobody says that they are dates
FORMATS = (*map("".join, product(DAYS, CLOCKS)), *OTHERS)
DAY_OR_MONTH = ("%d/%m", "%m/%d", "%d-%m", "%m-%d")
FIRST, SAMPLE = 8, 400  # values that a format is tried on, before all of them
LONGEST = 40  # characters


def dates(values: pa.Array, format: str) -> pa.Array:
    """Returns timestamps, in UTC; null where a text is null or not written in that format."""
    import pandas as pd

    asked = "ISO8601" if format == ISO else format
    zoned = format == ISO or "%z" in format
    found = pd.to_datetime(values.to_pandas().astype("str"), format=asked, utc=zoned, errors="coerce")
    plain = found.dt.tz_localize(None) if zoned else found
    return pa.chunked_array([pa.array(plain.astype("datetime64[us]"), pa.timestamp("us"), from_pandas=True)])


def format_of(values: pa.Array, *, asked: bool) -> tuple[str, str] | None:
    """Finds the format of dates without null that reads the most, and another that reads as many in another way, or "".

    None if no format reads half of them.
    """
    sample = pc.unique(values)[:SAMPLE]
    if not asked and not _alike(sample):
        return None
    counts = {format: _read(sample, format) for format in _formats(sample, asked=asked)}
    best = max(counts.values(), default=0)
    if best < max(len(sample) / 2, 1):
        return None
    ties = [format for format, count in counts.items() if count == best]
    if len(ties) > 1 and len(sample) < len(values):  # the first 12 days of a month are in many a sample
        distinct = pc.unique(values)
        counts = {format: _read(distinct, format) for format in ties}
        ties = [format for format, count in counts.items() if count == max(counts.values())]
    others = [format for format in ties[1:] if _swapped(format) == ties[0]]
    return ties[0], others[0] if others else ""


def _alike(sample: pa.Array) -> bool:
    """Whether most texts are as short as dates, and begin with a digit or a word."""
    likely = pc.match_substring_regex(sample, rf"^(?:[A-Za-z]{{3,9}}\b.*)?[0-9].{{3,{LONGEST}}}$")
    return bool(len(sample) and pc.sum(likely).as_py() >= len(sample) / 2)


def _formats(sample: pa.Array, *, asked: bool) -> list[str]:
    """Returns the formats whose shape one of the first values has."""
    shapes = {_shape(text) for text in sample[:FIRST].to_pylist()}
    iso = [ISO] if pc.any(pc.match_substring_regex(sample[:FIRST], r"^[0-9]{4}-[0-9]{2}\b")).as_py() else []
    return iso + [format for format in (*FORMATS, *(IF_ASKED if asked else ())) if _format_shape(format) in shapes]


def _shape(text: str) -> str:
    """Returns a text with 0 for each number, a for each word and z for a zone.

    >>> _shape("Sun, 05 Jan 2020 10:37:00 +0100")
    'a, 0 a 0 0:0:0 z'
    """
    for pattern, letter in ((r"\s*[+-]\d\d:?\d\d$", " +"), (r"[A-Za-z]+", "a"), (r"\d+", "0"), (r"\s+", " ")):
        text = re.sub(pattern, letter, text)
    return text.replace("+", "z")


@cache
def _format_shape(format: str) -> str:
    return _shape(re.sub("%[bBaAp]", "a", re.sub("%[YmdyHIMSf]", "0", re.sub(" %z", " +0000", format))))


def _read(values: pa.Array, format: str) -> int:
    read = dates(values, format)
    return len(read) - int(read.null_count)


def _swapped(format: str) -> str:
    day, month = ("%d", "%m") if format.startswith("%m") else ("%m", "%d")
    return day + format[2] + month + format[5:] if format.startswith(DAY_OR_MONTH) else ""
