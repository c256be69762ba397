"""The geometry of the report's figures, in the units of their SVG's viewBox; the templates draw it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from softxent.app.report.evaluation import Bin, Evaluation
from softxent.app.report.intervals import wilson
from softxent.app.report.numbers import percent
from softxent.app.report.thresholds import At
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
    """The diagram; `gap` is mean confidence − accuracy; 95 % of calibrated classifiers have an error up to `chance`."""

    dots: list[Dot]
    x: list[Tick]
    y: list[Tick]
    gap: float
    chance: float
    verdict: str


def reliability(evaluation: Evaluation) -> Reliability:
    below, left = MARGIN
    x, y = Scale(0, 1, left, SQUARE - 20), Scale(0, 1, SQUARE - below, 20)
    bins = [b for b in evaluation.bins if b.rows]
    n = evaluation.rows
    dots = []
    for b in bins:
        low, high = wilson(b.accuracy, b.rows)
        dots.append(Dot(x(b.confidence), y(b.accuracy), round(3 + 7 * (b.rows / n) ** 0.5, 2), y(low), y(high), b))
    gap = sum(b.rows * (b.confidence - b.accuracy) for b in bins) / n
    error, chance = evaluation.scores.calibration_error, error_by_chance(bins)
    if error <= chance:
        verdict = "within chance"
    elif abs(gap) < error / 2:
        verdict = "too high and too low"
    else:
        verdict = "overconfident" if gap > 0 else "underconfident"
    marks = [(v, percent(v, 0)) for v in (0, 0.25, 0.5, 0.75, 1)]
    return Reliability(
        dots=dots,
        x=[Tick(x(v), label) for v, label in marks],
        y=[Tick(y(v), label) for v, label in marks],
        gap=gap,
        chance=chance,
        verdict=verdict,
    )


def error_by_chance(bins: Sequence[Bin], draws: int = 2000) -> float:
    """Returns the calibration error that 95 % of perfectly calibrated classifiers with these bins stay below.

    Each bin's rows are right with the probability that they state.

    >>> few, many = (error_by_chance([Bin(0.8, 0.9, rows, 0.85, 0.9)]) for rows in (50, 5000))
    >>> round(few, 2), round(many, 2)
    (0.11, 0.01)
    """
    rows = np.array([b.rows for b in bins])
    confidence = np.array([b.confidence for b in bins]).clip(0, 1)
    right = np.random.default_rng(0).binomial(rows, confidence, (draws, len(rows)))
    return float(np.quantile(abs(right - rows * confidence).sum(axis=1) / rows.sum(), 0.95))


# Thresholds ---------------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    phrase: str
    style: str
    points: str


class ThresholdFigure(NamedTuple):
    """Precision, recall and F1 over the threshold; the table's `rows`, each with what its threshold is best for."""

    positive: str
    lines: list[Line]
    marks: list[float]
    x: list[Tick]
    y: list[Tick]
    rows: list[tuple[str, At]]


def threshold_figure(evaluation: Evaluation) -> ThresholdFigure | None:
    found = evaluation.thresholds
    if found is None:
        return None
    below, left = MARGIN
    x, y = Scale(0, 1, left, SQUARE - 20), Scale(0, 1, SQUARE - below, 20)
    lines = [
        Line(
            phrase,
            style,
            " ".join(
                f"{x(at.threshold)},{y(getattr(at, name))}" for at in found.curve if math.isfinite(getattr(at, name))
            ),
        )
        for name, phrase, style in (
            ("precision", "precision", "train"),
            ("recall", "recall", "val"),
            ("f1", "f1", "both"),
        )
    ]
    rows = [("as now", found.half), ("best F1", found.best_f1), ("best balanced", found.best_balanced_accuracy)]
    return ThresholdFigure(
        positive=evaluation.classes[found.positive],
        lines=lines,
        marks=[x(t) for t in dict.fromkeys(at.threshold for _, at in rows)],
        x=[Tick(x(v), f"{v:g}") for v in (0, 0.25, 0.5, 0.75, 1)],
        y=[Tick(y(v), percent(v, 0)) for v in (0, 0.25, 0.5, 0.75, 1)],
        rows=rows,
    )
