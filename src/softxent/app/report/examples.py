"""The worst-classified examples as the report shows them: their features, or an image, and p, y and p − y."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from softxent.app import explore
from softxent.app.report.evaluation import Evaluation, Example
from softxent.app.report.images import Image, grid, images
from softxent.app.report.numbers import significant
from softxent.app.words import LANGUAGES, Mistake
from softxent.explain.render import cut

FEATURES = 12  # shown at once; the others unfold
CLASSES = 6
TEXT = 240  # columns of a feature's value
SCORE_DIGITS = 9  # in a link: float32's


class ClassRow(NamedTuple):
    """A class of an example, or with an empty name `others` classes together."""

    name: str
    others: int
    y: int
    p: float
    grad: float


class Shown(NamedTuple):
    """The features of a row as text, and its image; its pixels are in no other place."""

    features: list[tuple[str, str]]
    image: Image | None


class Card(NamedTuple):
    example: Example
    true: str
    predicted: str
    features: list[tuple[str, str]]
    more: list[tuple[str, str]]
    image: Image | None
    classes: list[ClassRow]
    views: list[str]  # of the explorer page, one a language; none of what that cannot show


def shown(rows: Sequence[Mapping[str, object]], shapes: Mapping[str, Sequence[int]] | None = None) -> list[Shown]:
    """Returns what a report shows of rows, each a mapping of names to values; `shapes` says which are images."""
    names = {tuple(row) for row in rows}
    found = grid(names.pop(), shapes or {}) if len(names) == 1 else None
    drawn = images(rows, found) if found else None
    pixels = set(found.names) if found and drawn else set()
    return [
        Shown(
            [(str(name), value_text(value)) for name, value in row.items() if name not in pixels],
            drawn[k] if drawn else None,
        )
        for k, row in enumerate(rows)
    ]


def cards(evaluation: Evaluation, examples: Sequence[Shown], *, links: bool) -> list[Card]:
    if examples and len(examples) != len(evaluation.worst):
        raise ValueError(f"examples has {len(examples)} rows, but evaluation.worst has {len(evaluation.worst)}")
    names = evaluation.classes
    result = []
    for k, example in enumerate(evaluation.worst):
        features, image = examples[k] if examples else ([], None)
        true, predicted = names[example.y], names[example.predicted]
        classes = class_rows(names, example)
        views = explorer_views(names, example) if links else []
        result.append(Card(example, true, predicted, features[:FEATURES], features[FEATURES:], image, classes, views))
    return result


def explorer_views(names: Sequence[str], example: Example) -> list[str]:
    """Returns the views of a row on the explorer page; log p is its scores, less a constant that changes nothing."""
    scores = [float(f"{log_p:.{SCORE_DIGITS}g}") for log_p in example.log_p]
    try:
        return [explore.view(scores, example.y, labels=names, lang=lang) for lang in LANGUAGES]
    except Mistake:  # too many classes, or a p of 0
        return []


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
