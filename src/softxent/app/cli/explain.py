"""`softxent explain 1 5 3 --target 1`, or `--model RUN --data FILE --row 17`: tells the story of `softxent.explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from softxent.app.cli import options
from softxent.app.cli.help import no_such_option
from softxent.app.outputs import as_text, refuse_file, whole_file
from softxent.app.words import WIDTH, Mistake, say

if TYPE_CHECKING:
    from softxent.app.cli.screen import Screen
    from softxent.app.prediction import Prediction
    from softxent.explain import Trace

LAYER = ("x", "W", "b")


def explain(
    context: typer.Context,
    scores: Annotated[list[str] | None, typer.Argument(metavar="[SCORE]...", help="explain scores")] = None,
    target: Annotated[str | None, typer.Option(metavar="INDEX|NAME", help="explain target")] = None,
    labels: Annotated[str | None, typer.Option(metavar="A,B,…", help="explain labels")] = None,
    temperature: Annotated[str, typer.Option(metavar="T", help="explain temperature")] = "1",
    layer: Annotated[str | None, typer.Option(metavar="FILE.npz", help="explain layer")] = None,
    model: Annotated[str | None, typer.Option(metavar="RUN", help="explain model")] = None,
    data: Annotated[list[str] | None, typer.Option(metavar="FILE", help="explain data")] = None,
    row: Annotated[str | None, typer.Option(metavar="NUMBER", help="explain row")] = None,
    style: Annotated[str, typer.Option(metavar="exact|article", help="explain style")] = "exact",
    html: Annotated[str | None, typer.Option("--html", metavar="FILE.html", help="explain html")] = None,
    force: Annotated[bool, typer.Option("--force", help="force")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="explain json")] = False,
) -> None:
    for text in scores or []:
        if text.startswith("-") and not is_number(text):
            raise no_such_option(context.command, text)
    if style not in ("exact", "article"):
        raise Mistake("style", got=repr(style))
    if as_json and style == "article":
        raise Mistake("style of json")
    if as_json and html:
        raise Mistake("html of json")
    T, article = _float("temperature", temperature), style == "article"
    if html is not None:
        from softxent.app.run import files
        from softxent.app.tables import inputs

        reads = inputs([file for file in (layer, *(data or [])) if file])
        refuse_file("--html", html, reads + (files(model) if model else []), force=force)
    told: Trace | Prediction
    if model is not None:
        from softxent.app.cli.screen import Screen

        _refuse("model alone", {"SCORE": scores, "--layer": layer, "--labels": labels})
        told = _row_explained(model, data, row, target, T, Screen(context.obj, quiet=True))
    else:
        _refuse("needs model", {"--data": data, "--row": row})
        told = _scores_explained(scores or [], layer, labels, target, T)

    if html is not None:
        _write_page(html, told, context.obj, article)
    elif as_json:
        _print_json(told.to_dict())
    else:
        _print_story(_steps(told, context.obj, article))


def _refuse(phrase: str, given: dict[str, object]) -> None:
    for option, value in given.items():
        if value:
            raise Mistake(phrase, option=option)


def _scores_explained(scores: list[str], layer: str | None, labels: str | None, target: str | None, T: float) -> Trace:
    if scores and layer:
        raise Mistake("scores and layer", got=len(scores))
    if not scores and not layer:
        raise Mistake("scores missing")
    numbers = [_float(f"scores[{i}]", text) for i, text in enumerate(scores)]
    names = None if labels is None else [name.strip() for name in labels.replace("，", ",").split(",")]

    from softxent.explain import explain  # NumPy, when there is something to compute

    return explain(_layer(layer) if layer else numbers, target, temperature=T, labels=names)


def _row_explained(
    model: str, data: list[str] | None, row: str | None, target: str | None, T: float, screen: Screen
) -> Prediction:
    if row is None:
        raise Mistake("model needs", option="--row")
    index = options.whole("--row", row, 0)

    from softxent.app.prediction import Prediction
    from softxent.app.run import Run
    from softxent.app.tables import DIGITS, digits, open_files

    run = Run.load(model)
    if not data and run.schema.data != DIGITS:
        raise Mistake("model needs", option="--data")
    source = digits() if not data else open_files(data)
    run.schema.check(source)
    told = Prediction.of(run, source.row(index), target, data=Path(source.path).name, temperature=T)
    screen.notes(source.reading_notes())
    return told


def _steps(told: Trace | Prediction, lang: str, article: bool) -> Any:
    from softxent.explain import Trace

    if isinstance(told, Trace):
        from softxent.explain.story import story

        return story(told, lang, article=article)
    from softxent.app.row_story import steps

    return steps(told, lang, article=article)


def _write_page(file: str, told: Trace | Prediction, lang: str, article: bool) -> None:
    from softxent.app import explore
    from softxent.explain import Trace

    trace = told if isinstance(told, Trace) else told.trace
    named = trace.labels if trace.labels != tuple(map(str, range(len(trace.labels)))) else ()
    view = explore.view(
        trace.scores,
        trace.target,
        labels=named,
        temperature=trace.temperature,
        truncated=article,
        lang=lang,
    )
    with whole_file(file) as binary, as_text(binary) as stream:
        stream.write(explore.with_view(view))
    print(say(lang, "page written", page=file))


def _print_json(values: dict[str, Any]) -> None:
    rows = (f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    print("{\n" + ",\n".join(rows) + "\n}")


def is_number(text: str) -> bool:
    try:
        _float("", text)
    except Mistake:
        return False
    return True


def _float(name: str, text: str) -> float:
    try:
        return float(text.replace("−", "-").replace("∞", "inf"))  # as the story writes them
    except ValueError:
        raise Mistake("number", name=name, got=repr(text)) from None


def _layer(file: str) -> Any:
    from softxent.app.cli.npz import arrays
    from softxent.explain import Layer

    return Layer(**arrays(file, "layer file", LAYER))


STYLES = {
    "title": "bold",
    "formula": "cyan",
    "head": "dim",
    "target": "bold green",
    "strong": "bold",
    "diagonal": "bold yellow",
    "bar": "blue",
    "total": "dim",
}


def _print_story(steps: Any) -> None:
    from rich.console import Console
    from rich.markup import escape

    from softxent.explain.render import as_text

    def paint(text: str, role: str) -> str:
        return f"[{STYLES[role]}]{escape(text)}[/]" if role in STYLES else escape(text)

    console = Console(width=WIDTH, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(as_text(steps, paint), end="", soft_wrap=True)
    print(capture.get(), end="")
