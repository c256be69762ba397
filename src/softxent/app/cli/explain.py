"""`softxent explain 1 5 3 --target 1`, or `--model RUN --data FILE --row 17`: tells the story of `softxent.explain`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from softxent.app.cli import options
from softxent.app.words import WIDTH, Mistake

LAYER = ("x", "W", "b")


def explain(
    context: typer.Context,
    scores: Annotated[list[str] | None, typer.Argument(metavar="[SCORE]...", help="explain scores")] = None,
    target: Annotated[str | None, typer.Option(metavar="INDEX|NAME", help="explain target")] = None,
    labels: Annotated[str | None, typer.Option(metavar="A,B,…", help="explain labels")] = None,
    temperature: Annotated[str, typer.Option(metavar="T", help="explain temperature")] = "1",
    layer: Annotated[str | None, typer.Option(metavar="FILE.npz", help="explain layer")] = None,
    model: Annotated[str | None, typer.Option(metavar="RUN", help="explain model")] = None,
    data: Annotated[str | None, typer.Option(metavar="FILE", help="explain data")] = None,
    row: Annotated[str | None, typer.Option(metavar="NUMBER", help="explain row")] = None,
    style: Annotated[str, typer.Option(metavar="exact|article", help="explain style")] = "exact",
    as_json: Annotated[bool, typer.Option("--json", help="explain json")] = False,
) -> None:
    if style not in ("exact", "article"):
        raise Mistake("style", got=repr(style))
    if as_json and style == "article":
        raise Mistake("style of json")
    T = _float("temperature", temperature)
    if model is not None:
        _refuse("model alone", {"SCORE": scores, "--layer": layer, "--labels": labels})
        return _explain_row(context.obj, model, data, row, target, T, article=style == "article", as_json=as_json)
    _refuse("needs model", {"--data": data, "--row": row})
    if scores and layer:
        raise Mistake("scores and layer", got=len(scores))
    if not scores and not layer:
        raise Mistake("scores missing")

    numbers = [_float(f"scores[{i}]", text) for i, text in enumerate(scores or [])]
    names = None if labels is None else [name.strip() for name in labels.replace("，", ",").split(",")]

    from softxent.explain import explain as trace_of  # NumPy, when there is something to compute

    trace = trace_of(_layer(layer) if layer else numbers, target, temperature=T, labels=names)
    if as_json:
        _print_json(trace.to_dict())
    else:
        from softxent.explain.story import story

        _print_story(story(trace, context.obj, article=style == "article"))


def _refuse(phrase: str, given: dict[str, object]) -> None:
    for option, value in given.items():
        if value:
            raise Mistake(phrase, option=option)


def _explain_row(
    lang: str,
    model: str,
    data: str | None,
    row: str | None,
    target: str | None,
    T: float,
    *,
    article: bool,
    as_json: bool,
) -> None:
    if row is None:
        raise Mistake("model needs", option="--row")
    index = options.whole("--row", row, 0)

    from softxent.app.prediction import explain_row, steps
    from softxent.app.run import Run
    from softxent.app.tables import DIGITS, digits, open_file

    run = Run.load(model)
    if data is None and run.schema.data != DIGITS:
        raise Mistake("model needs", option="--data")
    source = digits() if data is None else open_file(data)
    run.schema.check(source)
    prediction = explain_row(run, source.row(index), target, data=Path(source.path).name, temperature=T)
    if as_json:
        _print_json(prediction.to_dict())
    else:
        _print_story(steps(prediction, lang, article=article))


def _print_json(values: dict[str, Any]) -> None:
    rows = (f"  {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    print("{\n" + ",\n".join(rows) + "\n}")


def _float(name: str, text: str) -> float:
    try:
        return float(text.replace("−", "-").replace("∞", "inf"))  # as the story writes them
    except ValueError:
        if text.startswith("-"):
            raise Mistake("no such option", got=text) from None
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
