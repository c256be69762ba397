"""Reads numbers as people write them: 1,234.5 or 1.234,5 or 1 234,5, $5, 61.5%, 3750 g, (12), 1e-3; 10:37 is hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

POINT, COMMA = ".", ","
CLOCK = "H:M"  # the format of a column of times of day, or of durations

# The parts of a number. A unit follows it, or is a currency before it; 12-15, A12 and 5.1.2024 are none.
DIGIT = "[0-9０-９]"
BLANK = r"[ '’\x{00A0}\x{2009}\x{202F}]"
CURRENCY = r"(?:\p{Lu}{0,3}\p{Sc}|USD|EUR|GBP|JPY|CNY|RMB|CHF|CAD|AUD|INR|Rs\.?|kr\.?)"
UNIT = r"[^\d\s.,:;()+\-−/０-９][^\d()０-９]{0,15}(?:\p{L}[23])?"
PARTS = (
    rf"^(?P<open>\(?)(?P<sign>[-+−]?)\s*(?P<before>{CURRENCY}?)\s*(?P<minus>[-+−]?)"
    rf"(?P<digits>{DIGIT}+(?:(?:[.,．，]|{BLANK}){DIGIT}+)*[.,]?|[.,．]{DIGIT}+)"
    rf"(?P<exponent>(?:[eE][-+]?[0-9]+)?)\s*(?P<after>(?:{UNIT})?)(?P<close>\)?)$"
)
# Thousands are grouped by three, in India by two beyond the first three; no group begins with 0.
LEAD = "[1-9][0-9]{0,2}"
POINTED = rf"^(?:[0-9]+|{LEAD}(?:{BLANK}[0-9]{{3}})+|{LEAD}(?:,[0-9]{{2,3}})*,[0-9]{{3}})?(?:\.[0-9]*)?$"
COMMAED = rf"^(?:[0-9]+|{LEAD}(?:(?:\.|{BLANK})[0-9]{{3}})+)?(?:,[0-9]*)?$"
TWO_WAYS = r"^[-+]?[1-9][0-9]{0,2}[.,][0-9]{3}$"  # 1,234 and 1.234
EITHER = rf"(?:{POINTED})|(?:{COMMAED})"
HOURS = r"^(?P<h>[0-9]{1,3}):(?P<m>[0-5][0-9])(?::(?P<s>[0-5][0-9](?:\.[0-9]+)?))?\s*(?P<half>(?:[aApP]\.?[mM]\.?)?)$"
SAMPLE = 1000  # values that decide whether a column can be numbers at all


@dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written."""

    decimal: str = ""  # none has been seen
    unit: str = ""
    both: bool = False  # decimal may be taken for the mark of thousands and the other way round


@dataclass(frozen=True)
class Parts:
    """The parts of each text; null where it is no number at all."""

    negative: pa.Array
    digits: pa.Array
    exponent: pa.Array
    unit: pa.Array

    @classmethod
    def of(cls, text: pa.Array) -> Parts:
        found = pc.extract_regex(text, PARTS)
        part = {name: pc.struct_field(found, name) for name in ("open", "sign", "minus", "digits", "exponent", "close")}
        before, after = (pc.utf8_trim_whitespace(pc.struct_field(found, name)) for name in ("before", "after"))
        closed = pc.equal(part["open"], pc.if_else(pc.equal(part["close"], ")"), "(", ""))
        one_unit = pc.or_(pc.equal(before, ""), pc.equal(after, ""))
        bracketed = pc.equal(part["open"], "(")
        signs = pc.binary_join_element_wise(part["sign"], part["minus"], "")
        valid = pc.and_(pc.and_(closed, one_unit), pc.less_equal(pc.utf8_length(signs), 1))
        digits = pc.if_else(valid, pc.utf8_normalize(part["digits"], form="NFKC"), pa.scalar(None, pa.string()))
        negative = pc.or_(bracketed, pc.is_in(signs, pa.array(["-", "−"])))
        return cls(negative, digits, part["exponent"], pc.binary_join_element_wise(before, after, ""))

    def notation(self, prefer: str) -> Notation:
        """Returns the notation that fits the most; `prefer` decides between decimal marks that fit as many."""
        pointed, commaed = (pc.match_substring_regex(self.digits, form) for form in (POINTED, COMMAED))
        points, commas = (int(pc.sum(fits).as_py() or 0) for fits in (pointed, commaed))
        two_ways = pc.match_substring_regex(self.digits, TWO_WAYS)
        both = points == commas and bool(pc.any(two_ways).as_py())
        decimal = prefer if points == commas else POINT if points > commas else COMMA
        if not pc.any(pc.match_substring_regex(self.digits, "[.,]")).as_py():
            decimal = ""
        units = pc.value_counts(self.unit.filter(pc.not_equal(self.unit, "")).drop_null())
        counts = units.field("counts").to_pylist()
        unit = units.field("values")[counts.index(max(counts))].as_py() if counts else ""
        return Notation(decimal, unit, both)

    def numbers(self, notation: Notation) -> pa.Array:
        """Returns float64; null where a text is no number in that notation; without a unit it is in that one."""
        form = COMMAED if notation.decimal == COMMA else POINTED
        fits = pc.and_(pc.match_substring_regex(self.digits, form), pc.is_in(self.unit, pa.array(["", notation.unit])))
        grouped = r"\." if notation.decimal == COMMA else ","
        digits = pc.replace_substring_regex(self.digits, rf"{grouped}|{BLANK}", "")
        digits = pc.replace_substring(digits, ",", ".")
        sign = pc.if_else(self.negative, "-", "")
        text = pc.binary_join_element_wise(sign, digits, self.exponent, "")
        return pc.cast(pc.if_else(fits, text, pa.scalar(None, pa.string())), pa.float64())


def likely(text: pa.Array) -> bool:
    """Whether at least half of the first different texts look like numbers."""
    sample = pc.unique(text.drop_null())[:SAMPLE]
    looks = pc.sum(pc.match_substring_regex(sample, PARTS)).as_py() or 0
    return bool(len(sample) and looks >= len(sample) / 2)


def read(text: Any, prefer: str, unit: str | None = None) -> tuple[Any, Notation]:
    """Returns float64, null where a text is null or no number, and how the numbers are written.

    unit    that they may have; None: the most frequent
    prefer  the decimal mark where both fit
    """
    if not pc.any(pc.match_substring_regex(text, ",")).as_py():
        try:
            values = pc.cast(text, pa.float64())  # forty times as fast
        except pa.ArrowInvalid:
            pass
        else:
            pointed = text.filter(pc.match_substring(text, "."))
            if not len(pointed):
                return values, Notation("", unit or "")
            both = bool(pc.all(pc.match_substring_regex(pointed, TWO_WAYS)).as_py())
            if not both or prefer == POINT:
                return values, Notation(POINT, unit or "", both)
    parts = Parts.of(text)
    notation = parts.notation(prefer)
    if unit is not None:
        notation = Notation(notation.decimal, unit, notation.both)
    return parts.numbers(notation), notation


def two_ways(text: Any) -> str:
    """Returns the first number whose point or comma may be either mark, as it is written."""
    return str(text.filter(pc.match_substring_regex(Parts.of(text).digits, TWO_WAYS))[0].as_py())


def hours(text: pa.Array) -> pa.Array:
    """Returns times of day (10:37, 10:37:05, 1:30 pm) and durations (75:30) in hours; null where a text is neither."""
    found = pc.extract_regex(text, HOURS)
    h, m, s = (pc.cast(_or_zero(pc.struct_field(found, name)), pa.float64()) for name in "hms")
    half = pc.utf8_lower(pc.utf8_slice_codeunits(pc.struct_field(found, "half"), 0, 1))
    twelve = pc.not_equal(half, "")
    shifted = pc.add(pc.if_else(pc.equal(h, 12.0), 0.0, h), pc.if_else(pc.equal(half, "p"), 12.0, 0.0))
    wrong = pc.and_(twelve, pc.or_(pc.greater(h, 12.0), pc.less(h, 1.0)))
    value = pc.add(pc.if_else(twelve, shifted, h), pc.add(pc.divide(m, 60.0), pc.divide(s, 3600.0)))
    return pc.if_else(wrong, pa.scalar(None, pa.float64()), value)


def _or_zero(digits: Any) -> Any:
    return pc.if_else(pc.equal(digits, ""), "0", digits)
