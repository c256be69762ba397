"""`softxent train DATA --target COLUMN`: reads, splits, fits, tests and saves, and shows what each of these found."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softxent.app.cli import options, streams
from softxent.app.outputs import refuse_inputs
from softxent.app.words import Mistake, Phrase, Words

if TYPE_CHECKING:
    from softxent.app.cli.screen import Screen
    from softxent.app.report import Content
    from softxent.app.roles import Roles
    from softxent.app.settings import Settings
    from softxent.app.splits import Files, Split
    from softxent.app.streaming import Place
    from softxent.app.tables import Source
    from softxent.app.tables.kinds import Asked
    from softxent.app.task import Task
    from softxent.app.training import Training


def train(
    context: typer.Context,
    data: Annotated[list[str] | None, typer.Argument(metavar="[DATA]...", help="train data")] = None,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="train target")] = None,
    drop: Annotated[list[str] | None, typer.Option(metavar="A,B", help="train drop")] = None,
    column: Annotated[list[str] | None, typer.Option(metavar="NAME=KIND", help="train column")] = None,
    model: Annotated[str, typer.Option(metavar="MODEL", help="train model")] = "auto",
    hidden: Annotated[str | None, typer.Option(metavar="64,32", help="train hidden")] = None,
    epochs: Annotated[str | None, typer.Option(metavar="NUMBER", help="train epochs")] = None,
    lr: Annotated[str | None, typer.Option(metavar="NUMBER", help="train lr")] = None,
    batch_size: Annotated[str | None, typer.Option(metavar="NUMBER", help="train batch size")] = None,
    alpha: Annotated[str, typer.Option(metavar="NUMBER", help="train alpha")] = "auto",
    class_weight: Annotated[str | None, typer.Option(metavar="WEIGHTS", help="train class weight")] = None,
    val: Annotated[str | None, typer.Option(metavar="FILE", help="train val")] = None,
    test: Annotated[str | None, typer.Option(metavar="FILE", help="train test")] = None,
    test_size: Annotated[str | None, typer.Option(metavar="SHARE", help="train test size")] = None,
    cv: Annotated[str | None, typer.Option(metavar="FOLDS", help="train cv")] = None,
    group: Annotated[str | None, typer.Option(metavar="COLUMN", help="train group")] = None,
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="train time")] = None,
    weight: Annotated[str | None, typer.Option(metavar="COLUMN", help="train weight")] = None,
    comparison: Annotated[bool, typer.Option("--compare", help="train compare")] = False,
    memory: Annotated[str, typer.Option(metavar="SIZE", help="train memory")] = "1GB",
    dask: Annotated[str | None, typer.Option(metavar="ADDRESS", help="train dask")] = None,
    seed: Annotated[str, typer.Option(metavar="NUMBER", help="train seed")] = "0",
    out: Annotated[str | None, typer.Option(metavar="DIR", help="train out")] = None,
    force: Annotated[bool, typer.Option("--force", help="train force")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="train json")] = False,
) -> None:
    from softxent.app import folders, run
    from softxent.app.cli.screen import Screen
    from softxent.app.roles import Roles
    from softxent.app.settings import Settings
    from softxent.app.splits import Files
    from softxent.app.streaming import place_for
    from softxent.app.tables import digits, inputs, open_file, open_files

    options.one_of({"--cv": cv, "--test": test, "--test-size": test_size}, "what to test")
    options.one_of({"--group": group, "--time": time}, "what to split by")
    settings = Settings(
        model=options.model(model, hidden),
        hidden=None if hidden is None else options.hidden(hidden),
        epochs=None if epochs is None else options.whole("--epochs", epochs, 1),
        lr=None if lr is None else options.positive("--lr", lr),
        batch_size=None if batch_size is None else options.whole("--batch-size", batch_size, 1),
        alpha=None if alpha == "auto" else options.not_negative("--alpha", alpha),
        test_size=options.share("--test-size", test_size or "0.2"),
        cv=None if cv is None else options.whole("--cv", cv, 2),
        seed=options.seed("--seed", seed),
    )
    if comparison and (cv or (test_size and not settings.test_size)):
        raise Mistake("nothing to compare on", option="--cv" if cv else "--test-size 0")
    screen = Screen(context.obj, quiet=as_json)
    source = open_files(data) if data else digits()
    target = chosen_target(source, target or (None if data else "digit"), screen)
    asked = options.asked(drop or [], column or [], source, target)
    folder, notes = folders.chosen_folder(source, target, out, force=force)
    screen.notes(notes)
    refuse_inputs("--out", run.files(folder), inputs([file for file in (*(data or []), val, test) if file]))
    files = Files(*(open_file(file) if file else None for file in (val, test)))
    needs_all = "--cv" if cv else "--compare" if comparison else None
    with place_for(source, options.size("--memory", memory), dask, folder, needs_all, screen.told) as place:
        folders.prepare(folder)
        task, parts = read(screen, source, target, asked, Roles(group, time, weight), settings, files, place)
        settings = replace(settings, class_weight=options.class_weight(class_weight, task.classes.tolist()))
        training = trained(screen, task, settings, files, parts, comparison=comparison)
    training = replace(training, importance=training.measured())
    save(screen, training, folder, command_line(context))
    if as_json:
        print(json.dumps(training.metrics, indent=1, ensure_ascii=False))


def read(
    screen: Screen,
    source: Source,
    target: str,
    asked: Mapping[str, Asked],
    roles: Roles,
    settings: Settings,
    files: Files,
    place: Place | None,
) -> tuple[Task, Split | None]:
    """Reads the table; one that is larger than memory stays where it is, and is split at once."""
    from softxent.app.task import Task

    if place is None:
        return Task.of(source, target, asked, roles), None
    from softxent.app.streaming import gather

    with screen.progress():
        return gather(source, target, asked, roles, settings, files, place)


def trained(
    screen: Screen, task: Task, settings: Settings, files: Files, parts: Split | None, *, comparison: bool
) -> Training:
    """Splits, fits and tests, and shows what each step found. One thread of BLAS: the same bits with any number."""
    from softxent.app.splits import split
    from softxent.sklearn.threads import one_blas_thread

    with one_blas_thread():
        parts = parts or split(task, replace(settings, test_size=0.0) if settings.cv else settings, files)
        training = tested(screen, task, settings, files, parts)
        return compared(screen, training) if comparison else training


def tested(screen: Screen, task: Task, settings: Settings, files: Files, parts: Split) -> Training:
    from softxent.app import advice
    from softxent.app.crossvalidation import cross_validate
    from softxent.app.training import Training, evaluate, fit

    screen.task(task, parts)
    with screen.progress() as progress:
        fitted = fit(parts, settings, *progress)
    fitted.notes.extend(advice.of_fit(parts.train, fitted.model, None if fitted.linear else fitted.rate))
    screen.fitted(fitted)
    screen.line()
    if settings.cv:
        with screen.progress() as progress:
            pooled, folds = cross_validate(task, settings, settings.cv, files, *progress)
        screen.folds(folds, pooled)
        screen.notes(advice.of_scores(pooled))
        return Training(task, settings, parts, fitted, pooled, folds)
    evaluation = evaluate(parts, fitted)
    if evaluation:
        screen.scores(screen.say("tested", rows=len(parts.test)), evaluation)
        screen.notes(advice.of_scores(evaluation))
    else:
        screen.line(screen.say("nothing tested"))
    return Training(task, settings, parts, fitted, evaluation)


def compared(screen: Screen, training: Training) -> Training:
    """Fits other models on the same rows, and shows how good they are."""
    from softxent.app.cli import compare
    from softxent.app.comparison import compare as fit_others

    fitted, parts = training.fitted, training.split
    rows = fit_others(parts, fitted.model, fitted.seconds, training.settings.seed)
    compare.show(screen, rows, len(parts.test))
    return replace(training, compared=rows)


def save(screen: Screen, training: Training, folder: str, command: str) -> None:
    """Saves the run, and shows where it is and what to do next."""
    from softxent.app.owners import means
    from softxent.app.report import write
    from softxent.app.run import CONTENT, Run, relative

    content = report(training, command)
    schema = training.split.schema
    schema.path = relative(training.task.source.path, folder)
    schema.means = means(training.fitted.model[0], training.split.train.X)

    def write_report(path: Path) -> None:
        write(path, content, screen.lang)
        content.save(path.with_name(CONTENT))

    Run(training.fitted.model, schema).save(folder, training.metrics, write_report)
    screen.saved(folder)
    if streams.failed():
        screen.notes([Phrase("saved all the same", folder=folder)])
    tested = training.split.tested
    if tested.file.again:
        row = training.evaluation.worst[0].row if training.evaluation else training.task.rows.rows[0]
        screen.line(screen.say("then", command=explain_command(folder, tested.names_to_open, row)))


def chosen_target(source: Source, target: str | None, screen: Screen) -> str:
    """Returns the column to predict; asks for it on a terminal if none was named. svmlight's label has no name."""
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
    target = source.column(target)
    source.require(target)
    return target


def report(training: Training, command: str) -> Content:
    """Returns what the report shows."""
    from softxent.app.cli.screen import model, treated
    from softxent.app.report import Content, shown
    from softxent.app.report.numbers import significant

    task, fitted, parts, evaluation = training.task, training.fitted, training.split, training.evaluation
    classifier = fitted.classifier
    worst_rows = evaluation.worst if evaluation else ()
    facts = {
        "model": model(fitted.units),
        "rows": f"{len(parts.train):,}",
        "alpha": significant(classifier.alpha, 3),
        "time": Phrase("seconds", time=fitted.seconds),
        **({"folds": f"{training.settings.cv}"} if training.settings.cv else {}),
        **({"split": parts.sides[0]} if parts.sides else {}),
        **({"weight": task.roles.weight} if task.roles.weight else {}),
    }
    return Content(
        name=task.name,
        target=task.target,
        date=date.today().isoformat(),
        evaluation=evaluation,
        notes=[Words.of(note) for note in training.notes],
        examples=shown(
            [named_features(training.tested_row(worst.index, worst.row).X) for worst in worst_rows],
            parts.tested.shapes,
        ),
        train_loss=list(classifier.loss_curve_),
        val_loss=list(getattr(classifier, "validation_loss_curve_", ())),
        val_accuracy=list(getattr(classifier, "validation_scores_", ())),
        kept=fitted.best,
        step="iteration" if fitted.linear else "epoch",
        choice=fitted.choice.facts() if fitted.choice else None,
        comparison=[asdict(row) for row in training.compared],
        columns=treated(task.columns),
        facts=[(Words.of(Phrase(f"fact {name}")), Words.of(value)) for name, value in facts.items()],
        command=command,
        importance=training.importance,
        classes=parts.schema.classes,
    )


def named_features(X: Any) -> dict[str, object]:
    """Returns the features of one row by name; of a sparse row, those that are not 0."""
    if hasattr(X, "iloc"):
        return dict(X.iloc[0])
    return {f"x{index}": value for index, value in zip(X.indices, X.data, strict=True)}


def explain_command(folder: str, data: list[str], row: int) -> str:
    """Returns the command that explains the model's prediction for that row."""
    words = [word for name in data for word in ("--data", name)]
    return shlex.join([program(), "explain", "--model", folder, *words, "--row", str(row)])


def program() -> str:
    """Returns `softxent`, or its path if a shell would not find it."""
    return sys.argv[0] if Path(sys.argv[0]).name == "softxent" and not shutil.which("softxent") else "softxent"


def command_line(context: typer.Context) -> str:
    """Returns the command with those options that are not the defaults."""
    words = context.command_path.split()
    for parameter in context.command.params:
        value = context.params[str(parameter.name)]
        if value in (None, False, parameter.default):
            continue
        for each in value if isinstance(value, list | tuple) else [value]:
            words += parameter.opts[:1] if parameter.param_type_name == "option" else []
            words += [] if each is True else [str(each)]
    return shlex.join(words)
