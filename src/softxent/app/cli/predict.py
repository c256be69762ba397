"""`softxent predict RUN NEW.csv`: the class of each row, read and written a batch at a time."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from softxent.app.outputs import refuse_inputs, whole_file
from softxent.app.words import Mistake, Phrase


def predict(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="RUN", help="predict run")],
    data: Annotated[str, typer.Argument(metavar="NEW", help="predict data")],
    proba: Annotated[bool, typer.Option("--proba", help="predict proba")] = False,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="predict out")] = None,
) -> None:
    import numpy as np

    from softxent.app.cli.screen import Screen
    from softxent.app.run import FILES, Run
    from softxent.app.tables import open_file

    if out is not None:
        refuse_inputs("--out", [Path(out)], [Path(data), *(Path(folder, name) for name in FILES)])
    run, source = Run.load(folder), open_file(data)
    screen = Screen(context.obj, quiet=True)
    screen.notes(ignored(run.schema.check(source), data))
    classes = run.schema.classes
    unseen: dict[str, Phrase] = {}
    with _writing(out) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([run.schema.target, *(f"p({name})" for name in classes)][: None if proba else 1])
        for rows in source.batches():
            log_p = run.log_proba(rows, unseen)
            predicted = [classes[index] for index in log_p.argmax(axis=1)]
            if proba:
                p = (map(repr, row) for row in np.exp(log_p).tolist())
                writer.writerows([name, *row] for name, row in zip(predicted, p, strict=True))
            else:
                writer.writerows([name] for name in predicted)
    screen.notes(list(unseen.values()))


def ignored(names: list[str], data: str) -> list[Phrase]:
    from softxent.app.tables.rows import listed

    return [Phrase("ignored columns", name=repr(data), columns=listed(names))] if names else []


@contextmanager
def _writing(out: str | None) -> Iterator[TextIO]:
    if out is None:
        yield sys.stdout
        return
    try:
        with whole_file(out) as stream:
            yield stream
    except OSError as error:
        raise Mistake("cannot write", got=repr(out), why=error.strerror) from None
