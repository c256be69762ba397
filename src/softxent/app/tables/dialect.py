"""Finds how a text file is written: its encoding, its delimiter, and whether its first line names the columns."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import pyarrow as pa

from softxent.app.tables import missing, numbers

DELIMITERS = ",;\t|"
BLANKS = " "  # one or more blanks or tabs between fields, as in tables of the UCI repository
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
MISSING = frozenset(missing.AMONG_NUMBERS.to_pylist()) | {"", "?"}
ROWS = 200  # that tell the delimiter and the header
NEARLY = 0.9  # of the values below a name that must be numbers, for a number there to be data too


def decoded(sample: bytes) -> tuple[str, str]:
    """Returns the text of the beginning of a file, and its encoding."""
    found = encoding(sample)
    return codecs.getincrementaldecoder(found)("replace").decode(sample), found


def encoding(sample: bytes) -> str:
    """Finds the encoding: a byte-order mark's, UTF-8 if valid, GB18030 if Chinese, or charset-normalizer's guess."""
    for mark, name in BYTE_ORDER_MARKS.items():
        if sample.startswith(mark):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    if _is_chinese(sample):
        return "gb18030"
    from charset_normalizer import from_bytes

    found = from_bytes(sample).best()
    return found.encoding if found else "latin-1"


def _is_chinese(sample: bytes) -> bool:
    """Whether nearly all characters beyond ASCII are in GB 2312, or €: other encodings, read so, have rarer ones."""
    try:
        text = codecs.getincrementaldecoder("gb18030")().decode(sample)
    except UnicodeDecodeError:
        return False
    beyond = [c for c in text if c > "\x7f"]
    common = sum(bool(c.encode("gb2312", "ignore")) or c == "€" for c in beyond)
    return common >= 0.9 * len(beyond)


def delimiter(lines: list[str]) -> str:
    """Finds the delimiter that splits the first line into the most fields, and the lines below into as many.

    Blanks are one if no other is there and all lines have as many fields. Empty: there is a single column.
    """

    def fields(candidate: str) -> tuple[int, int]:
        rows = [len(row) for row in split(lines[:50], candidate) if row]
        return (rows[0] if rows[0] > 1 else 0) * rows.count(rows[0]), rows[0]

    best = max(DELIMITERS, key=fields)
    counts = {candidate: {len(row) for row in split(lines[:50], candidate) if row} for candidate in (best, BLANKS)}
    if fields(best)[0] and (best != "\t" or len(counts[best]) == 1):
        return best
    if len(lines) > 1 and len(counts[BLANKS]) == 1 and 1 not in counts[BLANKS]:
        return BLANKS
    return best if fields(best)[0] else ""


def split(lines: Iterable[str], delimiter: str) -> Any:
    """Returns a reader of csv, which yields the fields of each row."""
    if delimiter == BLANKS:
        lines = (re.sub(r"[ \t]+", " ", line.strip()) for line in lines)
        return csv.reader(lines, delimiter=" ", skipinitialspace=True)
    return csv.reader(lines, delimiter=delimiter or ",")


def is_header(first: Sequence[str], below: Sequence[Sequence[str]], *, headed: bool) -> bool:
    """Whether the first line names the columns; if it does not, it is data.

    It is data where the columns below have numbers, and it has numbers in all of these, or where each of its fields
    comes again in its column. Years and 0 1 2 … may be names all the same, in files that are `headed` as a rule.
    """
    columns = [[row[i] for row in below if len(row) == len(first)] for i in range(len(first))]
    if not columns or not columns[0]:
        return not (sum(map(_is_number, first)) > len(first) / 2 and not _counts(first))
    again = [field in values for field, values in zip(first, columns, strict=True)]
    if headed and list(first) in below:  # as where files were joined
        return True
    if not any(map(_is_number, first)):
        numeric = []
    else:
        numeric = [i for i, values in enumerate(columns) if _share_of_numbers(values) >= NEARLY]
    if not numeric:
        return not (all(again) and len(below) > 1 and len(first) > 1)
    if not all(_is_number(first[i]) or _is_missing(first[i]) for i in numeric):
        return True
    others = [again[i] for i in range(len(first)) if i not in numeric]
    return headed and _counts([first[i] for i in numeric]) and not (others and all(others))


def _is_number(text: str) -> bool:
    return _share_of_numbers([text]) == 1


def _is_missing(text: str) -> bool:
    return text.strip().lower() in MISSING


def _share_of_numbers(values: Sequence[str]) -> float:
    present = [value.strip() for value in values if not _is_missing(value)]
    if not present:
        return 0.0
    read, _ = numbers.read(pa.chunked_array([pa.array(present)]), numbers.POINT)
    return 1 - read.null_count / len(present)


def _counts(names: Sequence[str]) -> bool:
    """Whether the names are whole numbers that rise, as years do, or 0 1 2 …"""
    if not all(re.fullmatch(r"\s*\d{1,4}\s*", name) for name in names):
        return False
    values = [int(name) for name in names]
    return all(a < b for a, b in pairwise(values))
