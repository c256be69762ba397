"""What a diagnosis is: its findings with their evidence, and the words for them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from softxent.diagnosis import words  # noqa: F401  adds the phrases
from softxent.explain.story import brief, told_apart
from softxent.words import language, say


@dataclass(frozen=True)
class Place:
    """A number of the user's beside the right one."""

    name: str  # loss or grad
    index: tuple[int, ...]
    got: float
    expected: float

    def to_dict(self) -> dict[str, Any]:
        return {"name": self.name, "index": list(self.index), "got": self.got, "expected": self.expected}

    def say(self, lang: str) -> str:
        index = f"[{', '.join(map(str, self.index))}]" if self.index else ""
        got, expected = told_apart(self.got, self.expected)
        return say(lang, "place", name=self.name + index, got=got, expected=expected)


@dataclass(frozen=True)
class Finding:
    """A mistake, or a hint: its name, which does not change with the language, the evidence for it, and the fix.

    part     loss, grad, "loss and grad", or logits
    ratio    of the user's numbers to the right ones, where it is one mistake of scale
    places   where a number is furthest from the right one, in loss and grad
    values   the numbers that the words name
    fix      a line of code
    """

    name: str
    part: str
    fix: str = ""
    ratio: float | None = None
    places: tuple[Place, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)

    def lines(self, lang: str) -> Iterator[str]:
        part = say(lang, f"part {self.part}")
        yield say(lang, "finding", part=part, what=say(lang, f"finding {self.name}", **self.values))
        if self.ratio is not None:
            yield "  " + say(lang, "ratio", ratio=brief(self.ratio))
        first_and_furthest = self.name == "unexplained" and len(self.places) == 2
        for index, place in enumerate(self.places):
            text = place.say(lang)
            if first_and_furthest:
                text = say(lang, "furthest" if index else "first", place=text)
            yield "  " + text
        if self.fix:
            yield "  " + say(lang, "fix", code=self.fix)

    def to_dict(self) -> dict[str, Any]:
        places = [place.to_dict() for place in self.places]
        return {"name": self.name, "part": self.part, "ratio": self.ratio, "places": places, "fix": self.fix}


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """What is wrong with a loss and a gradient, in words when it is printed.

    findings      the mistakes that explain the user's numbers; none if they are right
    alternatives  other mistakes that explain them as well: the numbers cannot tell which it is
    hints         what is no mistake, but good to know
    ulp           of each part that is right, how far off it is at most, in ULP
    dtype         of which each ULP is
    """

    findings: tuple[Finding, ...] = ()
    alternatives: tuple[tuple[Finding, ...], ...] = ()
    hints: tuple[Finding, ...] = ()
    ulp: Mapping[str, float] = field(default_factory=dict)
    dtype: Mapping[str, str] = field(default_factory=dict)

    @property
    def correct(self) -> bool:
        return not self.findings

    def text(self, lang: str | None = None) -> str:
        """The diagnosis in words; by default in the language of the environment."""
        return "\n".join(self.lines(lang or language()))

    def lines(self, lang: str) -> Iterator[str]:
        choices = [self.findings, *self.alternatives]
        for index, findings in enumerate(choices):
            if self.alternatives:
                yield say(lang, "or" if index else "either")
            yield from told(findings, lang, "  " if self.alternatives else "")
        if self.alternatives:
            yield say(lang, "cannot tell")
        for part, ulp in self.ulp.items():
            what = say(lang, "correct", ulp=counted(ulp), dtype=self.dtype[part])
            yield say(lang, "finding", part=say(lang, f"part {part}"), what=what)
        yield from told(self.hints, lang)

    def __str__(self) -> str:
        return self.text()

    __repr__ = __str__

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold; the findings by their names."""
        return {
            "correct": self.correct,
            "ulp": dict(self.ulp),
            "dtype": dict(self.dtype),
            "findings": [finding.to_dict() for finding in self.findings],
            "alternatives": [[finding.to_dict() for finding in findings] for findings in self.alternatives],
            "hints": [hint.to_dict() for hint in self.hints],
        }


def told(findings: Sequence[Finding], lang: str, indent: str = "") -> Iterator[str]:
    for finding in findings:
        yield from (indent + line for line in finding.lines(lang))


def counted(ulp: float) -> str:
    """A number of ULP.

    >>> counted(0.5312), counted(123.4), counted(8388608.0)
    ('0.53', '123', '8.4e+06')
    """
    return f"{ulp:.2g}" if ulp < 100 or ulp >= 1e4 else f"{ulp:.0f}"
