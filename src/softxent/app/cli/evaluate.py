"""`softxent evaluate RUN TEST.csv`: how good a model is on rows whose labels are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from softxent.app.words import Mistake, Phrase


def evaluate(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="RUN", help="predict run")],
    data: Annotated[list[str], typer.Argument(metavar="TEST...", help="evaluate data")],
    as_json: Annotated[bool, typer.Option("--json", help="evaluate json")] = False,
) -> None:
    import numpy as np

    from softxent.app import advice
    from softxent.app.cli.predict import ignored
    from softxent.app.cli.screen import Screen
    from softxent.app.report import Evaluation
    from softxent.app.run import Run, Unseen
    from softxent.app.tables import open_files

    run, source = Run.load(folder), open_files(data)
    screen = Screen(context.obj, quiet=as_json)
    others = run.schema.check(source)
    if source.names:
        source.require(run.schema.target)
    screen.notes(ignored(others, source.path))
    unseen = Unseen()
    batches = [
        (run.schema.class_indices(rows), run.log_proba(rows, unseen), run.schema.weights(rows))
        for rows in source.batches()
    ]
    if not batches:
        raise Mistake("no rows", got=repr(source.path))
    y, log_p, weight = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    labelled = np.flatnonzero(y >= 0)
    if not weight[labelled].any() and len(labelled):
        raise Mistake("no weight tests", name=repr(run.schema.roles.weight))
    if not len(labelled):
        raise Mistake("target all missing", got=repr(source.path), target=repr(run.schema.target))
    evaluation = Evaluation.of(
        run.schema.classes,
        y[labelled],
        log_P=log_p[labelled],
        class_counts=run.schema.counts,
        frequency=run.schema.frequency,
        rows=labelled,
        weight=weight[labelled] if run.schema.roles.weight else None,
    )
    screen.notes([*source.reading_notes(), *unseen.notes])
    if len(labelled) < len(y):
        place = source.place(int((y < 0).argmax()))
        left_out = Phrase("no labels", rows=len(y) - len(labelled), target=repr(run.schema.target), place=place)
        screen.notes([left_out])
    if as_json:
        print(json.dumps(evaluation.metrics(), indent=1, ensure_ascii=False))
    screen.scores(screen.say("evaluated", rows=len(labelled), name=Path(source.path).name), evaluation)
    screen.notes(advice.of_scores(evaluation))
