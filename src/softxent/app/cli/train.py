"""`softxent train DATA --target COLUMN`: reads, splits, fits, tests, saves."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softxent.app.cli import options
from softxent.app.outputs import refuse_inputs
from softxent.app.words import Mistake, Phrase

if TYPE_CHECKING:
    from softxent.app.cli.screen import Screen
    from softxent.app.report import Evaluation
    from softxent.app.tables import Source
    from softxent.app.training import Settings, Task


def train(
    context: typer.Context,
    data: Annotated[str | None, typer.Argument(metavar="[DATA]", help="train data")] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="train target")] = None,
    drop: Annotated[str, typer.Option(metavar="A,B", help="train drop")] = "",
    hidden: Annotated[str | None, typer.Option(metavar="64,32", help="train hidden")] = None,
    epochs: Annotated[str | None, typer.Option(metavar="NUMBER", help="train epochs")] = None,
    lr: Annotated[str, typer.Option(metavar="NUMBER", help="train lr")] = "0.001",
    batch_size: Annotated[str | None, typer.Option(metavar="NUMBER", help="train batch size")] = None,
    alpha: Annotated[str, typer.Option(metavar="NUMBER", help="train alpha")] = "0.0001",
    class_weight: Annotated[str | None, typer.Option(metavar="WEIGHTS", help="train class weight")] = None,
    val: Annotated[str | None, typer.Option(metavar="FILE", help="train val")] = None,
    test_size: Annotated[str, typer.Option(metavar="SHARE", help="train test size")] = "0.2",
    seed: Annotated[str, typer.Option(metavar="NUMBER", help="train seed")] = "0",
    out: Annotated[str | None, typer.Option(metavar="DIR", help="train out")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="train json")] = False,
) -> None:
    from softxent.app import run
    from softxent.app.cli.screen import Screen
    from softxent.app.tables import digits, open_file
    from softxent.app.training import Settings, Task

    settings = Settings(
        hidden=options.hidden(hidden or ("0" if data else "64")),
        epochs=None if epochs is None else options.whole("--epochs", epochs, 1),
        lr=options.positive("--lr", lr),
        batch_size=None if batch_size is None else options.whole("--batch-size", batch_size, 1),
        alpha=options.not_negative("--alpha", alpha),
        test_size=options.share("--test-size", test_size),
        seed=options.whole("--seed", seed, 0),
    )
    screen = Screen(context.obj, quiet=as_json)
    source = open_file(data) if data else digits()
    dropped = options.names(drop)
    for name in dropped:
        source.require(name)
    target = chosen_target(source, target or (None if data else "digit"), screen)
    folder = out or f"runs/{Path(source.path).stem}"
    refuse_inputs("--out", (Path(folder, name) for name in run.FILES), [Path(file) for file in (data, val) if file])
    run.prepare(folder)
    task = Task.of(source, target, dropped)
    settings = replace(settings, class_weight=options.class_weight(class_weight, task.classes.tolist()))
    job = Job(task, settings, screen, folder)
    job.split(open_file(val) if val else None)
    job.fit()
    evaluation = job.test()
    metrics = job.save(evaluation, command_line(context))
    if as_json:
        print(json.dumps(metrics, indent=1, ensure_ascii=False))


def chosen_target(source: Source, target: str | None, screen: Screen) -> str:
    """The column that the user names: without one it is asked for, not guessed. svmlight's label has no name."""
    from softxent.app.tables.rows import listed

    if not source.names:
        return "label"
    columns = Phrase("all names", names=listed(source.names, 50))
    if target is None and sys.stdin.isatty() and sys.stdout.isatty():
        print(columns.say(screen.lang))
        with suppress(EOFError):
            target = input(screen.say("which target")).strip()
    if not target:
        raise Mistake("target not named", got=repr(source.path), near=columns)
    source.require(target)
    return target


class Job:
    """The steps of a training, each of which shows what it does."""

    def __init__(self, task: Task, settings: Settings, screen: Screen, folder: str) -> None:
        from softxent.app.run import Schema

        self.task, self.settings, self.screen, self.folder = task, settings, screen, folder
        self.name = Path(task.source.path).name
        self.schema = Schema(self.name, task.target, list(map(str, task.classes)), task.columns)

    def split(self, val: Source | None) -> None:
        """Which rows train, validate and test, and what becomes of the columns."""
        import numpy as np

        from softxent.app.training import VALIDATION, fit_features, split

        task, screen = self.task, self.screen
        rows = split(task.examples.y, self.settings.test_size, 0 if val else VALIDATION, self.settings.seed)
        self.train, self.val, self.test_rows = (task.examples[part] for part in rows)
        if val is not None:
            self.val = self.schema.examples(val, task.classes)
        self.schema.counts = np.unique(self.train.y, return_counts=True)[1].tolist()
        self.made = fit_features(task.columns, self.train.X)
        units = (self.made.transform(self.train.X[:1]).shape[1], *self.settings.hidden, len(task.classes))
        kind = "network" if self.settings.hidden else "linear"
        self.model_line = screen.say(kind, units=" → ".join(map(str, units)))
        screen.data(task, self.name)
        self.treated = screen.columns(task.columns)
        screen.classes(task, (self.train, self.val, self.test_rows), self.model_line)
        screen.notes(task.notes)

    def fit(self) -> None:
        from softxent.app.training import fit

        screen, hidden = self.screen, self.settings.hidden
        started = time.perf_counter()
        with screen.progress(self.settings.max_iter, linear=not hidden) as on_epoch:
            fitted = fit(self.made, self.settings, self.train, self.val if len(self.val) else None, on_epoch)
        self.seconds = time.perf_counter() - started
        self.model, epochs = fitted.model, fitted.model[-1].n_iter_
        self.kept = fitted.best if fitted.best < epochs else None
        screen.line(screen.say("trained" if hidden else "solved", epochs=epochs, time=self.seconds))
        if self.kept:
            screen.line(screen.say("best epoch", number=self.kept))
        screen.notes(fitted.notes)

    def test(self) -> Evaluation:
        import numpy as np

        from softxent.app.report import Evaluation
        from softxent.app.run import log_proba

        evaluation = Evaluation.of(
            self.schema.classes,
            np.searchsorted(self.task.classes, self.test_rows.y),
            log_P=log_proba(self.model, self.test_rows.X),
            class_counts=self.schema.counts,
            rows=self.test_rows.rows,
        )
        self.screen.line()
        self.screen.scores(self.screen.say("tested", rows=len(self.test_rows)), evaluation)
        return evaluation

    def save(self, evaluation: Evaluation, command: str) -> dict[str, Any]:
        from softxent.app.run import FILES, REPORT, Run
        from softxent.app.tables import DIGITS

        screen, classifier = self.screen, self.model[-1]
        facts = {"train_rows": len(self.train), "epochs": classifier.n_iter_, "seconds": round(self.seconds, 3)}
        metrics = evaluation.metrics() | {"training": facts}
        Run(self.model, self.schema).save(
            self.folder, metrics, lambda path: self.write_report(path, evaluation, command)
        )
        screen.line()
        screen.line(screen.say("saved", folder=self.folder, files=", ".join(FILES)))
        screen.line(screen.say("look", report=Path(self.folder) / REPORT))
        source = self.task.source.path
        data = [] if source == DIGITS else ["--data", source]
        words = [program(), "explain", "--model", self.folder, *data, "--row", str(evaluation.worst[0].row)]
        screen.line(screen.say("then", command=shlex.join(words)))
        return metrics

    def write_report(self, path: Path, evaluation: Evaluation, command: str) -> None:
        from softxent.app import report

        say, classifier = self.screen.say, self.model[-1]
        facts = {
            "model": self.model_line,
            "rows": len(self.train),
            "alpha": f"{self.settings.alpha:g}",
            "time": say("seconds", time=self.seconds),
        }
        report.write(
            path,
            name=self.name,
            target=self.task.target,
            date=date.today().isoformat(),
            evaluation=evaluation,
            examples=[described(self.test_rows[[worst.index]].X) for worst in evaluation.worst],
            train_loss=classifier.loss_curve_,
            val_loss=getattr(classifier, "validation_loss_curve_", ()),
            val_accuracy=getattr(classifier, "validation_scores_", ()),
            kept=self.kept,
            step="epoch" if self.settings.hidden else "iteration",
            columns=self.treated,
            facts={say(f"fact {name}"): value for name, value in facts.items()},
            command=command,
            lang=self.screen.lang,
        )


def described(X: Any) -> dict[str, object]:
    """The features of one row by their names; of a sparse one those that are not 0."""
    if hasattr(X, "iloc"):
        return dict(X.iloc[0])
    return {f"x{index}": value for index, value in zip(X.indices, X.data, strict=True)}


def program() -> str:
    """`softxent`, or its path if a shell would not find it."""
    return sys.argv[0] if Path(sys.argv[0]).name == "softxent" and not shutil.which("softxent") else "softxent"


def command_line(context: typer.Context) -> str:
    """The command with the options that are not the defaults."""
    words = context.command_path.split()
    for parameter in context.command.params:
        value = context.params[str(parameter.name)]
        if value not in (None, False, parameter.default):
            words += parameter.opts[:1] if parameter.param_type_name == "option" else []
            words += [] if value is True else [str(value)]
    return shlex.join(words)
