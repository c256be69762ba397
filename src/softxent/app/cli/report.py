"""`softxent report RUN`: writes report.html again, as this version draws it and in the language asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="RUN", help="predict run")],
    out: Annotated[str | None, typer.Option(metavar="FILE.html", help="report out")] = None,
    force: Annotated[bool, typer.Option("--force", help="force")] = False,
) -> None:
    from softxent.app.cli.screen import Screen
    from softxent.app.outputs import refuse_file, settle, whole_file
    from softxent.app.report.page import html
    from softxent.app.run import REPORT, files, saved_content

    content = saved_content(folder)
    if out is None:
        settle(Path(folder))  # or the report of a training that was cut off would count instead
    else:
        refuse_file("--out", out, [path for path in files(folder) if path.name != REPORT], force=force)
        content.explorer = Path(out).resolve().parent == Path(folder).resolve()  # its links lead to the file beside it
    path = str(Path(folder, REPORT)) if out is None else out
    with whole_file(path) as stream:
        stream.write(html(content, context.obj).encode())
    screen = Screen(context.obj, quiet=False)
    screen.line(screen.say("look", report=path))
