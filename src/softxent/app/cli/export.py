"""`softxent export RUN model.onnx`: the model of a run for ONNX Runtime, from the columns of the table to the label."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softxent.app.outputs import refuse_file, whole_file
from softxent.app.words import Mistake, say


def export(
    context: typer.Context,
    folder: Annotated[str, typer.Argument(metavar="RUN", help="predict run")],
    file: Annotated[str, typer.Argument(metavar="FILE.onnx", help="export file")],
    force: Annotated[bool, typer.Option("--force", help="force")] = False,
) -> None:
    from softxent.app.exporting import MICROSOFT, converted
    from softxent.app.run import Run, files

    lang = context.obj
    refuse_file("FILE.onnx", file, files(folder), force=force)
    if Path(file).suffix.lower() not in (".onnx", ""):
        raise Mistake("onnx ending", got=repr(file))
    run = Run.load(folder)
    model, domains = converted(run)
    with whole_file(file) as stream:
        stream.write(model.SerializeToString())
    print(say(lang, "exported", file=file))
    for value in model.graph.input:
        kind = value.type.tensor_type.elem_type
        print("  " + say(lang, f"onnx input {kind}", name=value.name))
    print(say(lang, "onnx outputs", classes=len(run.labels)))
    if MICROSOFT in domains:
        print(say(lang, "onnx runtime only"))
