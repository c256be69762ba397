"""What a report shows, in every language: made once a model is trained, saved in its run, and shown by page.py."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from softxent.app.importance import Importance
from softxent.app.report.evaluation import Evaluation
from softxent.app.report.examples import Shown
from softxent.app.report.saved import decoded, encoded
from softxent.app.words import Words


class TreatedColumn(NamedTuple):
    """A column of the data, what it is (number, category, date, text …), and what was done with it."""

    name: str
    kind: Words
    treatment: Words


@dataclass
class Content:
    """What a report shows.

    name          of the data, such as its file name
    target        the name of the column that was predicted
    date          as it is shown
    evaluation    on the test set (none: nothing was tested)
    notes         what the user was told
    examples      the features of each of evaluation.worst, in that order
    train_loss    after each step of training (none: no curve)
    val_loss      after each step, as val_accuracy is (none: there was no validation set)
    kept          the step, from 1, whose parameters are the model's (none: the last)
    choice        what was tried and chosen, as in metrics.json (none: the model was given)
    comparison    other models on the same test rows, as in metrics.json, the best first
    step          "epoch" or "iteration"
    columns       the columns of the data
    facts         what else the summary says: ("model", "64 → 32 → 10") …
    command       the command line that makes this report again
    importance    of the columns, and the coefficients of a linear model, whose indices are those of `classes`
    explorer      whether explorer.html is beside it, for links to lead to
    """

    name: str
    target: str
    date: str
    evaluation: Evaluation | None
    notes: list[Words] = field(default_factory=list)
    examples: list[Shown] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    kept: int | None = None
    choice: dict[str, Any] | None = None
    comparison: list[dict[str, Any]] = field(default_factory=list)
    step: str = "epoch"
    columns: list[TreatedColumn] = field(default_factory=list)
    facts: list[tuple[Words, Words]] = field(default_factory=list)
    command: str = ""
    explorer: bool = True
    importance: Importance | None = None
    classes: list[str] = field(default_factory=list)

    def save(self, path: Path) -> None:
        path.write_bytes(json.dumps(encoded(self), ensure_ascii=False).encode("utf-8", "replace"))

    @classmethod
    def read(cls, stream: BinaryIO) -> Content:
        content: Any = decoded(cls, json.load(stream))
        assert isinstance(content, cls)
        return content
