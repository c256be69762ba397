"""`softxent predict RUN NEW.csv`: the class of each row, read and written a batch at a time."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softxent.app.cli import options, streams
from softxent.app.outputs import refuse_file, whole_file
from softxent.app.words import Phrase

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from softxent.app.run import Run
    from softxent.app.tables.writers import Write


def predict(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="RUN", help="predict run")],
    data: Annotated[list[str], typer.Argument(metavar="NEW...", help="predict data")],
    proba: Annotated[bool, typer.Option("--proba", help="predict proba")] = False,
    keep: Annotated[list[str] | None, typer.Option(metavar="A,B", help="predict keep")] = None,
    out: Annotated[str | None, typer.Option(metavar="FILE", help="predict out")] = None,
    force: Annotated[bool, typer.Option("--force", help="force")] = False,
) -> None:
    from softxent.app.cli.screen import Screen
    from softxent.app.run import Run, Unseen, files
    from softxent.app.tables import inputs, open_files
    from softxent.app.tables.writers import check_ending

    if out is not None and out != "-":
        refuse_file("--out", out, [*inputs(data), *files(folder)], force=force)
        check_ending("--out", out)
    run, source = Run.load(folder), open_files(data)
    kept = options.columns(keep or [], source)
    screen = Screen(context.obj, quiet=True)
    screen.notes(ignored([name for name in run.schema.check(source) if name not in kept], source.path))
    unseen = Unseen()
    with _writing(out, header(run, kept, proba=proba)) as write:
        for rows in source.batches():
            log_p = run.log_proba(rows, unseen)
            write([rows.table[name] for name in kept] + predicted(run, log_p, proba=proba))
            streams.raise_error()  # nothing reads on, or the disk is full
    screen.notes([*source.reading_notes(), *unseen.notes])


def header(run: Run, kept: Sequence[str], *, proba: bool) -> list[str]:
    """Returns the columns of the predictions: those that are kept, the class, and the probability of each."""
    target = run.schema.target
    name = f"predicted({target})" if target in kept else target
    return [*kept, name, *(f"p({name})" for name in run.schema.classes if proba)]


def predicted(run: Run, log_p: NDArray[Any], *, proba: bool) -> list[NDArray[Any]]:
    """Returns the columns beside those that are kept."""
    import numpy as np

    return [run.labels[log_p.argmax(axis=1)], *(np.exp(log_p).T if proba else ())]


def ignored(names: list[str], data: str) -> list[Phrase]:
    from softxent.app.tables.rows import listed

    return [Phrase("ignored columns", name=repr(data), columns=listed(names))] if names else []


@contextmanager
def _writing(out: str | None, names: Sequence[str]) -> Iterator[Write]:
    from softxent.app.tables.writers import table_writer, text_writer

    if out is None or out == "-":
        yield text_writer(sys.stdout, names)
        return
    with whole_file(out) as stream, table_writer(stream, out, names) as write:
        yield write
