"""The worst-classified examples as the report shows them: their features, or an image, and p, y and p − y."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from softxent.app import explore
from softxent.app.report.evaluation import Evaluation, Example
from softxent.app.report.figures import significant
from softxent.app.words import Mistake
from softxent.explain.render import cut

FEATURES = 12  # shown at once; the others unfold
CLASSES = 6
TEXT = 240  # columns of a feature's value
PIXELS = 32 * 32
SCORE_DIGITS = 9  # in a link: float32's

PIXEL_AT = re.compile(r"(?:pixel|px)\D?(\d+)_(\d+)")  # pixel_7_3, as in scikit-learn's digits
PIXEL = re.compile(r"(?:pixel|px)\D?(\d+)")  # pixel783, as in OpenML's MNIST


class ClassRow(NamedTuple):
    """A class of an example, or with an empty name `others` classes together."""

    name: str
    others: int
    y: int
    p: float
    grad: float


class Image(NamedTuple):
    """An image: (column, row, darkness in (0, 1]) of each pixel that is not blank."""

    width: int
    height: int
    pixels: list[tuple[int, int, float]]


class Card(NamedTuple):
    example: Example
    true: str
    predicted: str
    features: list[tuple[str, str]]
    more: list[tuple[str, str]]
    image: Image | None
    classes: list[ClassRow]
    view: str | None  # of the explorer page; none of what that cannot show


def cards(evaluation: Evaluation, features: Sequence[Mapping[str, object]], lang: str) -> list[Card]:
    if features and len(features) != len(evaluation.worst):
        raise ValueError(f"examples has {len(features)} rows, but evaluation.worst has {len(evaluation.worst)}")
    names = evaluation.classes
    pictures = images(features)
    result = []
    for k, example in enumerate(evaluation.worst):
        image = pictures[k] if pictures else None
        pairs = (
            [(str(name), value_text(value)) for name, value in features[k].items()] if features and not image else []
        )
        true, predicted = names[example.y], names[example.predicted]
        classes = class_rows(names, example)
        view = explorer_view(names, example, lang)
        result.append(Card(example, true, predicted, pairs[:FEATURES], pairs[FEATURES:], image, classes, view))
    return result


def explorer_view(names: Sequence[str], example: Example, lang: str) -> str | None:
    """Returns the view of a row on the explorer page; log p is its scores, less a constant that changes nothing."""
    scores = [float(f"{log_p:.{SCORE_DIGITS}g}") for log_p in example.log_p]
    try:
        return explore.view(scores, example.y, labels=names, lang=lang)
    except Mistake:  # too many classes, or a p of 0
        return None


def class_rows(names: Sequence[str], example: Example) -> list[ClassRow]:
    """Returns the most probable classes and the true one, and a row for all others together: p − y sums to 0."""
    order = np.argsort(-example.p, kind="stable")
    count = len(order) if len(order) <= CLASSES else CLASSES - 1
    top = order[:count].tolist()
    if example.y not in top:
        top[-1] = example.y
    rows = [ClassRow(names[j], 0, int(j == example.y), float(example.p[j]), float(example.grad[j])) for j in top]
    if count < len(order):
        rest = np.delete(np.arange(len(order)), top)
        rows.append(ClassRow("", len(rest), 0, float(example.p[rest].sum()), float(example.grad[rest].sum())))
    return rows


def value_text(value: Any) -> str:
    """Writes a feature's value on one line; a missing one is –.

    >>> value_text(2020.0), value_text(0.1 + 0.2), value_text(float("nan")), value_text(None), value_text("two\\nlines")
    ('2020', '0.3', '–', '–', 'two lines')
    """
    if isinstance(value, (float, np.floating)):
        return significant(float(value), 6).replace(",", "")
    text = " ".join(str(value).split())
    return "–" if text in ("None", "NaT", "<NA>") else cut(text.removesuffix(" 00:00:00"), TEXT)


def images(features: Sequence[Mapping[str, object]]) -> list[Image] | None:
    """Returns an image of each example if the features are named as the pixels of a grid, and None if not."""
    names = {tuple(row) for row in features}
    places = grid(names.pop()) if len(names) == 1 else None
    if places is None or not all(isinstance(value, Real) for row in features for value in row.values()):
        return None
    values = np.array([list(row.values()) for row in features], np.float64)
    low, high = np.nanmin(values), np.nanmax(values)
    height, width = (1 + max(place[axis] for place in places) for axis in (0, 1))
    darkness = np.nan_to_num((values - low) / ((high - low) or 1)).round(3)
    return [
        Image(width, height, [(c, r, float(d)) for (r, c), d in zip(places, row, strict=True) if d > 0])
        for row in darkness
    ]


def grid(names: Sequence[str]) -> list[tuple[int, int]] | None:
    """Returns (row, column) of each pixel if the names cover at least half of a grid (blank ones may be left out).

    >>> grid(["pixel_0_0", "pixel_0_1", "pixel_1_0"])
    [(0, 0), (0, 1), (1, 0)]
    >>> grid(["pixel1", "pixel2", "pixel3", "pixel4"])
    [(0, 0), (0, 1), (1, 0), (1, 1)]
    >>> grid(["height", "width", "colour", "weight"])
    """
    if not names:
        return None
    if all(matches := [PIXEL_AT.fullmatch(name) for name in names]):
        places = [(int(m[1]), int(m[2])) for m in matches if m]
    elif all(matches := [PIXEL.fullmatch(name) for name in names]):
        numbers = [int(m[1]) for m in matches if m]
        first = min(1, *numbers)  # counted from 0 or from 1
        side = math.isqrt(max(numbers) - first) + 1
        places = [divmod(number - first, side) for number in numbers]
    else:
        return None
    height, width = (1 + max(place[axis] for place in places) for axis in (0, 1))
    return places if 4 <= height * width <= min(2 * len(set(places)), PIXELS) else None
