"""Reads numbers and names from the command line; errors show them as they were typed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from softxent.app.words import Mistake, Phrase

if TYPE_CHECKING:
    from softxent.app.tables import Source
    from softxent.app.tables.kinds import Asked


def whole(option: str, text: str, least: int) -> int:
    expected = {0: "whole at least 0", 1: "whole above 0"}.get(least, "whole at least")
    return int(_checked(option, text, expected, lambda x: x >= least and x == int(x)))


def positive(option: str, text: str) -> float:
    return _checked(option, text, "above 0", lambda x: x > 0)


def not_negative(option: str, text: str) -> float:
    return _checked(option, text, "at least 0", lambda x: x >= 0)


def seed(option: str, text: str) -> int:
    return int(_checked(option, text, "a seed", lambda x: 0 <= x < 2**32 and x == int(x)))  # NumPy's RandomState


def share(option: str, text: str) -> float:
    """Reads a share of the rows, which may be 0."""
    return _checked(option, text, "a share", lambda x: 0 <= x < 1)


UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
LEAST = 10**6  # bytes


def size(option: str, text: str) -> int:
    """Reads a number of bytes.

    >>> size("--memory", "1.5 GB"), size("--memory", "200MiB")
    (1500000000, 209715200)
    """
    found = re.fullmatch(r"([0-9.]+) *([kmgt]?)(i?)b?", text.strip().lower())
    try:
        number = float(found[1]) if found else 0.0
    except ValueError:
        number = 0.0
    power = list(UNITS).index(found[2]) if found else 0
    count = int(number * (1024**power if found and found[3] else UNITS[found[2] if found else ""]))
    if count < LEAST:
        raise Mistake("option number", option=option, got=repr(text), expected=Phrase("a size"))
    return count


def one_of(given: Mapping[str, str | None], phrase: str) -> None:
    """Refuses two options that ask for different things; the phrase says what they both decide."""
    chosen = [option for option, value in given.items() if value is not None]
    if len(chosen) > 1:
        raise Mistake("choose one", option=chosen[0], other=chosen[1], what=Phrase(phrase))


def _checked(option: str, text: str, expected: str, holds: Callable[[float], bool]) -> float:
    try:
        x = float(text)
    except ValueError:
        x = math.nan
    if not (math.isfinite(x) and holds(x)):
        raise Mistake("option number", option=option, got=repr(text), expected=Phrase(expected))
    return x


def hidden(text: str) -> tuple[int, ...]:
    """Reads the units of each hidden layer; "0" for none.

    >>> hidden("64,32"), hidden("0")
    ((64, 32), ())
    """
    units = names(text)
    if units == ["0"]:
        return ()
    if not units or not all(unit.isdecimal() and int(unit) > 0 for unit in units):
        raise Mistake("hidden", got=repr(text))
    return tuple(map(int, units))


def model(text: str, hidden_text: str | None) -> str:
    """Reads "auto", "linear" or "network", and checks that --hidden says nothing else."""
    if text not in ("auto", "linear", "network"):
        raise Mistake("model option", got=repr(text))
    if hidden_text is not None and text != "auto" and bool(hidden(hidden_text)) != (text == "network"):
        raise Mistake("model and hidden", got=text, hidden=hidden_text)
    return text


def names(text: str) -> list[str]:
    """Splits at commas, Chinese ones too.

    >>> names("a, b，c")
    ['a', 'b', 'c']
    """
    return [name.strip() for name in text.replace("，", ",").split(",") if name.strip()]


def columns(texts: Sequence[str], source: Source) -> list[str]:
    """Reads names of columns that the source must have: several with commas between, or one that has commas in it."""
    found: list[str] = []
    for text in texts:
        found += [text] if text in source.names else names(text)
    for name in found:
        source.require(name)
    return list(dict.fromkeys(found))


def asked(drop: Sequence[str], column: Sequence[str], source: Source, target: str) -> dict[str, Asked]:
    """Reads what the user says of columns: `--drop A,B`, and `--column NAME=KIND` or `NAME=KIND:HOW`."""
    from softxent.app.tables import kinds

    found = {name: kinds.Asked("drop") for name in columns(drop, source)}
    for text in column:
        name, _, said = text.rpartition("=")
        kind, _, how = said.partition(":")
        if not name or kind not in kinds.KINDS or not _is_how(kind, how):
            example = f"{source.names[0] if source.names else 'x'}=category"
            raise Mistake("column option", got=repr(text), example=example, kinds=", ".join(kinds.KINDS))
        source.require(name)
        if name == target:
            raise Mistake("column is target", got=repr(text), name=repr(name))
        if found.setdefault(name, kinds.Asked(kind, how)) != kinds.Asked(kind, how):
            raise Mistake("column options", name=repr(name))
    return found


def _is_how(kind: str, how: str) -> bool:
    """Whether a column of that kind can be written so: the decimal mark of numbers, the format of dates."""
    if not how or kind != "date":
        return not how or (kind == "number" and how in ("point", "comma"))
    try:
        datetime.strptime(datetime.now(UTC).strftime(how), how)
    except ValueError:
        return False
    return "%" in how


def class_weight(text: str | None, classes: Sequence[Any]) -> Any:
    """Reads None, "balanced", or a weight for each class that is named; the others weigh 1."""
    if text is None or text == "balanced":
        return text
    known = {str(name): name for name in classes}
    weights = {}
    for pair in names(text):
        name, _, weight = (part.strip() for part in pair.rpartition("="))
        if name not in known:
            example = ",".join(f"{each}=1" for each in list(known)[:3])
            raise Mistake("class weight", got=repr(text), example=example)
        weights[known[name]] = not_negative("--class-weight", weight)
    if len(weights) == len(known) and not any(weights.values()):
        raise Mistake("class weights zero", got=repr(text))
    return dict.fromkeys(known.values(), 1.0) | weights
