"""What `train` and `evaluate` show: tables to stdout, notes and the progress bar to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from softxent.app.run import FILES, REPORT
from softxent.app.words import WIDTH, Phrase, Words
from softxent.explain.render import bar, cut

if TYPE_CHECKING:
    from softxent.app.report import Evaluation, TreatedColumn
    from softxent.app.report.scores import Scores
    from softxent.app.selection import Candidate, Choice, OnStep, Step
    from softxent.app.splits import Split
    from softxent.app.tables.columns import Column
    from softxent.app.task import Task
    from softxent.app.training import Fitted

CLASSES_SHOWN = 12
COLUMNS_SHOWN = 40
NAME = 28  # columns of the terminal


class Screen:
    def __init__(self, lang: str, *, quiet: bool) -> None:
        self.lang, self.quiet = lang, quiet
        self.console = Console(width=WIDTH, highlight=False, emoji=False, markup=False)
        self.show_done: Callable[..., None] = lambda done, *state: None  # on the progress bar, if there is one

    def told(self, what: Phrase, done: float) -> None:
        """Shows how far a pass over a table is."""
        self.show_done(done, what.say(self.lang))

    def say(self, phrase: str, **values: object) -> str:
        return Phrase(phrase, **values).say(self.lang)

    def line(self, text: str = "", style: str = "") -> None:
        if not self.quiet:
            self.console.print(Text(text, style), soft_wrap=True)

    def notes(self, notes: Sequence[Phrase]) -> None:
        sys.stdout.flush()
        for note in notes:
            print(self.say("note", message=note), file=sys.stderr)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
        if self.quiet:
            return
        table = Table.grid(padding=(0, 2))
        for index in range(len(head)):
            table.add_column(justify="right" if index in right else "left", overflow="fold")
        table.add_row(*(Text("  " * (not index) + name, "dim") for index, name in enumerate(head)))
        for row in rows:
            table.add_row(*(Text("  " * (not index) + cell) for index, cell in enumerate(row)))
        with self.console.capture() as capture:
            self.console.print(table)
        print("\n".join(line.rstrip() for line in capture.get().rstrip().split("\n")))

    # Training

    def task(self, task: Task, parts: Split) -> None:
        """Shows the data and its columns, the classes and their rows, the model, and the notes."""
        rows, columns = task.size, len(task.source.names) or task.columns[0].distinct
        self.line(self.say("data", name=task.name, rows=rows, columns=columns, about=task.source.about), "bold")
        self.line()
        self.columns(task.columns)
        self.classes(task)
        self.parts(parts)
        self.notes([*task.notes, *parts.notes])

    def columns(self, columns: Sequence[Column]) -> None:
        """Shows what each column is and becomes."""
        from softxent.app.report import merged

        missing = {column.name: column.missing for column in columns}
        rows = [
            (
                cut(name, NAME),
                kind.say(self.lang),
                str(missing.get(name) or ""),
                (f"{count} × " if count > 1 else "") + treatment.say(self.lang),
            )
            for name, count, kind, treatment in merged(treated(columns))[:COLUMNS_SHOWN]
        ]
        self.table([self.say(word) for word in ("column", "kind", "missing", "treatment")], rows, right=[2])
        self.line()

    def classes(self, task: Task) -> None:
        names, counts = task.classes, task.counts
        share = counts / counts.sum()
        shown = range(len(names)) if len(names) <= CLASSES_SHOWN else np.sort((-counts).argsort()[:CLASSES_SHOWN])
        rows = [(cut(str(names[i]), NAME), str(counts[i]), f"{share[i]:.1%}", bar(share[i], 20)) for i in shown]
        self.line(self.say("target line", target=task.target, classes=len(names)), "bold")
        self.table([self.say("class"), self.say("class rows"), self.say("class share"), ""], rows, right=[1, 2])
        if len(rows) < len(names):
            self.line("  " + self.say("more classes", hidden=len(names) - len(rows)))

    def parts(self, parts: Split) -> None:
        """Shows the number of rows for each purpose, what guessing would get right, and the model."""
        schema = parts.schema
        majority = np.unique(parts.train.y)[np.argmax(schema.frequency or schema.counts)]
        rows, phrase = (parts.test, "majority") if len(parts.test) else (parts.train, "majority of training")
        right = np.average(rows.y == majority, weights=rows.weight)
        self.line(self.say(phrase, name=cut(str(majority), NAME), share=f"{right:.1%}"))
        self.line()
        phrase = "rows line" if len(parts.val) else "rows line without validation"
        self.line(self.say(phrase, train=parts.train_rows, val=len(parts.val), test=len(parts.test)))
        for side in parts.sides:
            self.line(side.say(self.lang))

    def fitted(self, fitted: Fitted) -> None:
        """Shows the choice, the model, how long training took, the epoch that was kept, and the notes."""
        if fitted.choice:
            self.choice(fitted.choice)
        self.line(self.say("model line", model=model(fitted.units)))
        epochs = fitted.classifier.n_iter_
        self.line(self.say("solved" if fitted.linear else "trained", epochs=epochs, time=fitted.seconds))
        if fitted.best:
            self.line(self.say("best epoch", number=fitted.best))
        self.notes(fitted.notes)

    def choice(self, choice: Choice) -> None:
        """Shows what was tried and what was chosen."""
        title = self.say("chosen by folds" if choice.folds else "chosen by rows", folds=choice.folds, rows=choice.rows)
        self.line(title, "bold")
        rows = [
            (self.candidate(each), f"{choice.log_loss(each):.4f}", self.say("chosen") if each is choice.chosen else "")
            for each in choice.tried
        ]
        self.table([self.say("model"), self.say("log-loss"), ""], rows, right=[1])
        if choice.lowest is not choice.chosen:
            self.line(self.say("simpler kept"))
        self.line()

    def candidate(self, step: Candidate | Step) -> str:
        """Describes a candidate with its α or its epochs."""
        if not step.hidden:
            return self.say("linear at", alpha=f"{step.at:.3g}")
        return self.say("network at", units=", ".join(map(str, step.hidden)), epochs=int(step.at))

    def saved(self, folder: str) -> None:
        self.line()
        told = FILES[: FILES.index(REPORT) + 1]  # what the report links to is not news
        self.line(self.say("saved", folder=folder, files=", ".join(told)))
        self.line(self.say("look", report=Path(folder) / REPORT))

    @contextmanager
    def progress(self) -> Iterator[tuple[Callable[[Any], None], OnStep]]:
        """Shows a bar on a terminal; yields the functions to call after each epoch, and each step of the choice."""
        console = Console(stderr=True, highlight=False, emoji=False)
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[state]}"))
        started, last = time.perf_counter(), 0.0
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
            task = bars.add_task(self.say("training"), total=1, state="")

            def on_epoch(epoch: Any) -> None:
                state = [self.say("training step", number=epoch.number)]
                state.append(self.say("loss so far", loss=epoch.loss))
                if epoch.validation_score is not None:
                    state.append(self.say("accuracy so far", accuracy=epoch.validation_score))
                show(epoch.number / epoch.of, *state)

            def on_step(step: Step) -> None:
                show(step.done, self.candidate(step), self.say("log-loss so far", loss=step.log_loss))

            def show(done: float, *state: str) -> None:
                nonlocal started, last
                started, last = (started, done) if done >= last else (time.perf_counter(), 0.0)  # the next fit
                seconds = (time.perf_counter() - started) * (1 / done - 1) if done else 0.0
                left = [self.say("time left", time=clock(seconds))] if done else []
                bars.update(task, completed=done, state="  ".join([*state, *left]))

            before, self.show_done = self.show_done, show
            yield on_epoch, on_step
            self.show_done = before

    def folds(self, folds: Sequence[Scores], evaluation: Evaluation) -> None:
        """Shows the mean of each score over the folds of cross-validation, and how it differs from fold to fold."""
        from softxent.app.report.scores import PHRASES

        self.line(self.say("folds tested", folds=len(folds), rows=evaluation.rows), "bold")
        columns = zip(PHRASES.values(), zip(*folds, strict=True), evaluation.baseline, strict=True)
        rows = [
            (self.say(phrase), f"{np.mean(ours):.4f} ± {np.std(ours, ddof=1):.4f}", decimals(theirs))
            for phrase, ours, theirs in columns
            if np.isfinite(ours).any()
        ]
        self.table(["", self.say("model"), self.say("baseline")], rows, right=[1, 2])

    def scores(self, title: str, evaluation: Evaluation) -> None:
        """Shows the scores of the model and the baseline, and within what the model's may be by chance."""
        from softxent.app.report.scores import PHRASES

        self.line(title, "bold")
        rows = []
        for (name, phrase), ours, theirs in zip(PHRASES.items(), evaluation.scores, evaluation.baseline, strict=True):
            if not np.isnan(ours):
                low_high = " … ".join(map(decimals, evaluation.intervals.get(name, ())))
                rows.append((self.say(phrase), decimals(ours), low_high, decimals(theirs)))
        head = ["", self.say("model"), self.say("interval"), self.say("baseline")]
        self.table(head, rows, right=[1, 2, 3])


def decimals(x: float) -> str:
    return "–" if np.isnan(x) else f"{x:.4f}"


def model(units: Sequence[int]) -> Phrase:
    """Describes the model: "64 → 32 → 10, ReLU between"."""
    return Phrase("network" if len(units) > 2 else "linear", units=" → ".join(f"{n:,}" for n in units))


def treated(columns: Sequence[Column]) -> list[TreatedColumn]:
    """Returns in words what each column is and becomes, similar ones one after another."""
    from softxent.app.report import TreatedColumn

    found = [TreatedColumn(column.name, *treatment(column)) for column in columns]
    order = list(dict.fromkeys(column[1:] for column in found))
    return sorted(found, key=lambda column: order.index(column[1:]))


def treatment(column: Column) -> tuple[Words, Words]:
    what = "clock" if column.kind == "number" and column.format else column.kind
    phrase = f"{what} with missing becomes" if column.kind == "number" and column.missing else f"{what} becomes"
    written = column.format or column.unit
    kind = Words.of(Phrase(f"kind {column.kind}"))
    if written:
        kind = Words(*(f"{text} ({written})" for text in kind))
    return kind, Words.of(Phrase(phrase, distinct=column.distinct))


def clock(seconds: float) -> str:
    """Writes a time as minutes and seconds.

    >>> clock(75.2)
    '1:15'
    """
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
