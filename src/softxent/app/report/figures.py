"""The geometry of the report's figures, in the units of their SVG's viewBox; the templates draw it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from softxent.app.report.evaluation import Bin, Evaluation
from softxent.app.report.intervals import wilson
from softxent.explain.render import cut, width

SQUARE = 340  # of the reliability diagram
MARGIN = (26, 48)  # below and to the left of the axes, for their labels
CHARACTER = 7.4  # the mean width of a label's character at 12 units


class Tick(NamedTuple):
    at: float
    label: str


class Scale(NamedTuple):
    """A linear map of low … high to start … stop."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, x: float) -> float:
        return round(self.start + (x - self.low) / (self.high - self.low or 1) * (self.stop - self.start), 2)


def significant(x: float, digits: int = 4) -> str:
    """Writes a number with `digits` significant digits.

    >>> significant(0.11834), significant(2.0), significant(1.5e-9), significant(12345678.0)
    ('0.1183', '2', '1.5 × 10⁻⁹', '12,345,678')
    >>> significant(-math.inf), significant(math.nan)
    ('−∞', '–')
    """
    if not math.isfinite(x):
        return "–" if math.isnan(x) else "∞" if x > 0 else "−∞"
    if x == 0 or 1e-4 <= abs(x) < 1e9:
        places = max(digits - 1 - math.floor(math.log10(abs(x))), 0) if x else 0
        text = f"{x:,.{places}f}"
        return (text.rstrip("0").rstrip(".") if "." in text else text).replace("-", "−")
    mantissa, exponent = f"{x:.{digits - 1}e}".split("e")
    superscript = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa.rstrip('0').rstrip('.')} × 10{superscript}".replace("-", "−")


def percent(x: float, places: int = 1) -> str:
    """
    >>> percent(0.9694), percent(math.nan)
    ('96.9\xa0%', '–')
    """
    return f"{100 * x:.{places}f}\N{NO-BREAK SPACE}%" if math.isfinite(x) else significant(x)


# Confusion matrix ---------------------------------------------------------------------------------------------------


class ConfusionCell(NamedTuple):
    """A cell of the matrix: its share of the rows of the true class, and how dark it is drawn (`shade`)."""

    true: int
    predicted: int
    rows: int
    share: float
    shade: float


class Confusion(NamedTuple):
    """The cells that are not 0; each `every`-th class has a label, slanted where it does not fit upright."""

    cells: list[ConfusionCell]
    labels: list[str]
    every: int
    size: float
    left: float
    top: float
    right: float
    slanted: bool
    font: float


def confusion(evaluation: Evaluation) -> Confusion:
    """Lays out the matrix; shades grow with the square root of a cell's share, to show a few errors among many rows."""
    matrix, classes = evaluation.confusion, len(evaluation.classes)
    support = matrix.sum(axis=1)
    cells = [
        ConfusionCell(
            int(i), int(j), int(matrix[i, j]), share := float(matrix[i, j] / support[i]), 0.08 + 0.92 * share**0.5
        )
        for i, j in np.argwhere(matrix)
    ]
    size = min(64.0, max(340.0, min(600.0, 24.0 * classes)) / classes)
    labels = [cut(name, 14) for name in evaluation.classes]
    longest = CHARACTER * max(map(width, labels))
    every = math.ceil(13 / size)
    slanted = longest > size * every - 4
    return Confusion(
        cells=cells,
        labels=labels,
        every=every,
        size=round(size, 3),
        left=longest + 10,
        top=0.71 * longest + 18 if slanted else 22,
        right=max(0.71 * longest - size / 2 + 8, 2) if slanted else 2,
        slanted=slanted,
        font=min(13.0, size / (0.68 * len(f"{matrix.max()}"))),
    )


def most_confused(evaluation: Evaluation, most: int = 8) -> list[ConfusionCell]:
    wrong = [cell for cell in confusion(evaluation).cells if cell.true != cell.predicted]
    return sorted(wrong, key=lambda cell: -cell.rows)[:most]


# Reliability diagram ------------------------------------------------------------------------------------------------


class Dot(NamedTuple):
    x: float
    y: float
    radius: float
    low: float
    high: float
    bin: Bin


class Reliability(NamedTuple):
    """The diagram; `gap` is mean confidence − accuracy, and 95 % of calibrated classifiers have one below `chance`."""

    dots: list[Dot]
    x: list[Tick]
    y: list[Tick]
    gap: float
    chance: float


def reliability(evaluation: Evaluation) -> Reliability:
    below, left = MARGIN
    x, y = Scale(0, 1, left, SQUARE - 20), Scale(0, 1, SQUARE - below, 20)
    bins = [b for b in evaluation.bins if b.rows]
    n = evaluation.rows
    dots = []
    for b in bins:
        low, high = wilson(b.accuracy, b.rows)
        dots.append(Dot(x(b.confidence), y(b.accuracy), round(3 + 7 * (b.rows / n) ** 0.5, 2), y(low), y(high), b))
    return Reliability(
        dots=dots,
        x=[Tick(x(v), percent(v, 0)) for v in (0, 0.25, 0.5, 0.75, 1)],
        y=[Tick(y(v), percent(v, 0)) for v in (0, 0.25, 0.5, 0.75, 1)],
        gap=sum(b.rows * (b.confidence - b.accuracy) for b in bins) / n,
        chance=1.96 * sum(b.rows * b.confidence * (1 - b.confidence) for b in bins) ** 0.5 / n,
    )
