"""report.html: one self-contained page on how good a trained classifier is, and where it goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from softxent.app.report import curves, figures
from softxent.app.report.evaluation import MATRIX_CLASSES, Evaluation, PerClass
from softxent.app.report.examples import cards
from softxent.app.words import PHRASES, say_from
from softxent.app.words import report as words
from softxent.explain.render import width

__all__ = ["Evaluation", "TreatedColumn", "write"]

TEMPLATES = Path(__file__).parent / "templates"
CLASSES_AT_ONCE = 20  # rows of the per-class table; the others unfold
ALIKE = 6  # more neighbouring columns of one kind and treatment than this share a row


class TreatedColumn(NamedTuple):
    """A column of the data, what it is (number, category, date, text …), and what was done with it."""

    name: str
    kind: str
    treatment: str


def write(
    path: str | Path,
    *,
    name: str,
    target: str,
    date: str,
    evaluation: Evaluation,
    examples: Sequence[Mapping[str, object]] = (),
    train_loss: Sequence[float] = (),
    val_loss: Sequence[float] = (),
    val_accuracy: Sequence[float] = (),
    kept: int | None = None,
    step: str = "epoch",
    columns: Sequence[TreatedColumn] = (),
    facts: Mapping[str, object] | None = None,
    command: str = "",
    lang: str = "en",
) -> None:
    """Writes the report, which needs no network: styles and figures are in it; links to explorer.html beside it.

    name          of the data, such as its file name
    target        the name of the column that was predicted
    date          as it is shown
    evaluation    on the test set
    examples      the features, name → value, of each of evaluation.worst, in that order; features that are named as the
                  pixels of a grid (pixel_0_0 …, or pixel0 …) are drawn as an image
    train_loss    after each step of training (none: no curve)
    val_loss      after each step, as val_accuracy is (none: there was no validation set)
    kept          the step, from 1, whose parameters are the model's (none: the last)
    step          "epoch" or "iteration"
    columns       the columns of the data
    facts         what else the summary says, such as {"model": "64 → 32 → 10"}, in the report's language
    command       the command line that makes this report again
    lang          "en" or "zh"
    """
    page = environment(lang).get_template("report.html")
    html = page.render(
        name=name,
        target=target,
        date=date,
        evaluation=evaluation,
        cards=cards(evaluation, examples, lang),
        loss=curves.losses(train_loss, val_loss, kept) if len(train_loss) else None,
        accuracy=curves.accuracies(val_accuracy, kept) if len(val_accuracy) else None,
        kept=kept,
        step=step,
        confusion=figures.confusion(evaluation) if len(evaluation.classes) <= MATRIX_CLASSES else None,
        most_confused=figures.most_confused(evaluation),
        reliability=figures.reliability(evaluation),
        per_class=in_order(evaluation.per_class),
        columns=merged(columns),
        column_count=len(columns),
        facts=facts or {},
        command=command,
    )
    Path(path).write_bytes(html.encode("utf-8", "replace"))  # a file name need not be valid text


def environment(lang: str) -> Environment:
    """Returns Jinja2's environment, with autoescape: names and values of the data are text, never markup."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "significant": figures.significant,
        "percent": figures.percent,
        "probability": probability,
        "width": width,
    }
    made.globals |= {
        "say": partial(say_from, PHRASES | words.PHRASES, lang),
        "lang": {"en": "en", "zh": "zh-CN"}[lang],
        "version": version("softxent"),
        "panel": curves.PANEL,
        "square": figures.SQUARE,
        "margin": figures.MARGIN,
        "most_classes": MATRIX_CLASSES,
        "at_once": CLASSES_AT_ONCE,
    }
    return made


def probability(x: float, sign: bool = False) -> str:
    """Writes a probability with four decimals, or two significant digits where those would show 0.

    >>> probability(0.98125), probability(3.2e-7), probability(-0.99871, sign=True), probability(0.0)
    ('0.9812', '3.2 × 10⁻⁷', '−0.9987', '0.0000')
    """
    if 0 < abs(x) < 5e-5:
        text = figures.significant(abs(x), 2)
    else:
        text = f"{abs(x):.4f}"
    return ("−" if x < 0 else "+" if sign and x > 0 else "") + text


def in_order(per_class: Sequence[PerClass]) -> list[PerClass]:
    """Sorts many classes by F1, lowest first; few stay in their order."""
    if len(per_class) <= CLASSES_AT_ONCE:
        return list(per_class)
    return sorted(per_class, key=lambda entry: entry.f1 if entry.f1 == entry.f1 else 2.0)


def merged(columns: Sequence[TreatedColumn]) -> list[tuple[str, int, str, str]]:
    """Returns a row (name, how many, kind, treatment) for each column, and a single one for a long run of similar ones.

    >>> merged([TreatedColumn(f"pixel_{k}", "number", "scaled") for k in range(64)])
    [('pixel_0 … pixel_63', 64, 'number', 'scaled')]
    """
    rows: list[tuple[str, int, str, str]] = []
    for (kind, treatment), group in groupby(columns, key=lambda column: column[1:]):
        names = [column.name for column in group]
        if len(names) > ALIKE:
            rows.append((f"{names[0]} … {names[-1]}", len(names), kind, treatment))
        else:
            rows += [(name, 1, kind, treatment) for name in names]
    return rows
