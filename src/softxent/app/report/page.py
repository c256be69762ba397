"""report.html: one self-contained page on how good a trained classifier is, and where it goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from softxent.app.report import curves, figures
from softxent.app.report.content import Content, TreatedColumn
from softxent.app.report.evaluation import MATRIX_CLASSES, Evaluation, PerClass
from softxent.app.report.examples import cards
from softxent.app.report.numbers import percent, probability, significant
from softxent.app.report.scores import PHRASES as SCORES
from softxent.app.words import LANGUAGES, PHRASES, Words, say_from
from softxent.app.words import report as words
from softxent.explain.render import width

TEMPLATES = Path(__file__).parent / "templates"
CODES = {"en": "en", "zh": "zh-CN"}  # of the languages, in HTML
CLASSES_AT_ONCE = 20  # rows of the per-class table; the others unfold
COLUMNS_AT_ONCE = 15  # of the importance; the others unfold
ALIKE = 6  # more neighbouring columns of one kind and treatment than this share a row


def write(path: str | Path, content: Content, lang: str = "en") -> None:
    """Writes the report, which needs no network: styles and figures are in it; links to explorer.html beside it.

    Its texts are there in every language. `lang` is the one that it opens in.
    """
    Path(path).write_text(html(content, lang), "utf-8")


def html(content: Content, lang: str) -> str:
    page = environment().get_template("report.html").render(lang=CODES[lang], content=content, **shown(content))
    return page.encode("utf-8", "replace").decode()  # a file name need not be valid text


def shown(content: Content) -> dict[str, Any]:
    """Returns what the templates draw, beside the content itself."""
    evaluation = content.evaluation
    return {
        "evaluation": evaluation,
        "loss": curves.losses(content.train_loss, content.val_loss, content.kept) if content.train_loss else None,
        "accuracy": curves.accuracies(content.val_accuracy, content.kept) if content.val_accuracy else None,
        "paths": curves.paths(content.choice["tried"]) if content.choice else [],
        "columns": merged(content.columns),
    } | (tested(content, evaluation) if evaluation else {})


def tested(content: Content, evaluation: Evaluation) -> dict[str, Any]:
    """Returns what is drawn of the test."""
    rows = score_rows(evaluation)
    return {
        "scores": rows,
        "intervals": {row.name: row.interval for row in rows},
        "thresholds": figures.threshold_figure(evaluation),
        "cards": cards(evaluation, content.examples, links=content.explorer),
        "confusion": figures.confusion(evaluation) if len(evaluation.classes) <= MATRIX_CLASSES else None,
        "most_confused": figures.most_confused(evaluation),
        "reliability": figures.reliability(evaluation),
        "per_class": in_order(evaluation.per_class),
    }


class ScoreRow(NamedTuple):
    """A score, written; with its phrase, whose meaning is the phrase of that name and " means"."""

    name: str
    phrase: str
    model: str
    interval: str
    baseline: str


def score_rows(evaluation: Evaluation) -> list[ScoreRow]:
    """Returns the scores that are defined: shares in per cent, losses as numbers."""
    rows = []
    for (name, phrase), model, baseline in zip(SCORES.items(), evaluation.scores, evaluation.baseline, strict=True):
        write = significant if name in ("log_loss", "brier_score") else percent
        if model == model:
            interval = " … ".join(map(write, evaluation.intervals.get(name, ())))
            rows.append(ScoreRow(name, phrase, write(model), interval, write(baseline)))
    return rows


@cache  # the templates are compiled once
def environment() -> Environment:
    """Returns Jinja2's environment, with autoescape: names and values of the data are text, never markup."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "significant": significant,
        "percent": percent,
        "probability": probability,
        "width": width,
    }
    made.globals |= {
        "say": say,
        "version": version("softxent"),
        "panel": curves.PANEL,
        "square": figures.SQUARE,
        "margin": figures.MARGIN,
        "most_classes": MATRIX_CLASSES,
        "at_once": CLASSES_AT_ONCE,
        "most_columns": COLUMNS_AT_ONCE,
    }
    return made


def say(phrase: str, **values: object) -> Words:
    """Returns a phrase of the report in every language, to stand between tags: an attribute has place for one only."""
    texts = []
    for lang in LANGUAGES:
        said = {name: value.say(lang) if isinstance(value, Words) else value for name, value in values.items()}
        texts.append(say_from(PHRASES | words.PHRASES, lang, phrase, **said))
    return Words(*texts)


def in_order(per_class: Sequence[PerClass]) -> list[PerClass]:
    """Sorts many classes by F1, lowest first; few stay in their order."""
    if len(per_class) <= CLASSES_AT_ONCE:
        return list(per_class)
    return sorted(per_class, key=lambda entry: entry.f1 if entry.f1 == entry.f1 else 2.0)


def merged(columns: Sequence[TreatedColumn]) -> list[tuple[str, int, Words, Words]]:
    """Returns a row (name, how many, kind, treatment) for each column, and a single one for a long run of similar ones.

    >>> number, scaled = Words("number", "数值"), Words("scaled", "标准化")
    >>> rows = merged([TreatedColumn(f"pixel_{k}", number, scaled) for k in range(64)])
    >>> [(name, count) for name, count, kind, treatment in rows]
    [('pixel_0 … pixel_63', 64)]
    """
    rows: list[tuple[str, int, Words, Words]] = []
    for (kind, treatment), group in groupby(columns, key=lambda column: column[1:]):
        names = [column.name for column in group]
        if len(names) > ALIKE:
            rows.append((f"{names[0]} … {names[-1]}", len(names), kind, treatment))
        else:
            rows += [(name, 1, kind, treatment) for name in names]
    return rows
