"""`softxent check FILE.npz` or `softxent check MODULE:FUNCTION`: what is wrong with a loss and its gradient."""

import json
from typing import Annotated, Any

import typer

from softxent.app.words import Mistake, Phrase

REQUIRED, OTHERS = ("logits", "target"), ("loss", "grad", "class_weight")


def check(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(metavar="FILE.npz|MODULE:FUNCTION", help="check subject")],
    axis: Annotated[str | None, typer.Option(metavar="NUMBER", help="check axis")] = None,
    ignore_index: Annotated[str | None, typer.Option(metavar="NUMBER", help="check ignore index")] = None,
    label_smoothing: Annotated[str | None, typer.Option(metavar="ε", help="check label smoothing")] = None,
    temperature: Annotated[str | None, typer.Option(metavar="T", help="check temperature")] = None,
    softcap: Annotated[str | None, typer.Option(metavar="c", help="check softcap")] = None,
    z_loss: Annotated[str | None, typer.Option(metavar="λ", help="check z loss")] = None,
    reduction: Annotated[str | None, typer.Option(metavar="none|sum|mean", help="check reduction")] = None,
    normalizer: Annotated[str | None, typer.Option(metavar="NUMBER", help="check normalizer")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="check json")] = False,
) -> int:
    typed = {
        "ignore_index": ignore_index,
        "label_smoothing": label_smoothing,
        "temperature": temperature,
        "softcap": softcap,
        "z_loss": z_loss,
        "reduction": reduction,
        "normalizer": normalizer,
    }
    options = {name: _option(name, text) for name, text in typed.items() if text is not None}
    classes = -1 if axis is None else _whole("--axis", axis)
    if ":" in subject and not subject.endswith(".npz"):
        return _check_function(context.obj, subject, classes, options, as_json=as_json)
    return _check_file(context.obj, subject, classes, options, as_json=as_json)


def _check_file(lang: str, file: str, axis: int, options: dict[str, Any], *, as_json: bool) -> int:
    from softxent.app.checking import case_of
    from softxent.app.cli.npz import arrays
    from softxent.diagnosis import diagnosis_of

    given = arrays(file, "check file", REQUIRED, OTHERS)
    if "loss" not in given and "grad" not in given:
        missing = Phrase("arrays missing", names="loss, grad", found=", ".join(given))
        raise Mistake("check file", got=repr(file), why=missing)
    options |= {name: given[name] for name in ("class_weight",) if name in given}
    case = case_of(given["logits"], given["target"], given.get("loss"), given.get("grad"), axis, options)
    diagnosis = diagnosis_of(case)
    print(json.dumps(diagnosis.to_dict(), indent=1) if as_json else diagnosis.text(lang))
    return int(not diagnosis.correct)


def _check_function(lang: str, name: str, axis: int, options: dict[str, Any], *, as_json: bool) -> int:
    from dataclasses import asdict

    from softxent.app.checking import diagnoses

    found = list(diagnoses(name, axis, options))
    if as_json:
        print(json.dumps([asdict(batch) | diagnosis.to_dict() for batch, diagnosis in found], indent=1))
    else:
        print("\n\n".join(f"{batch.phrase.say(lang)}\n{diagnosis.text(lang)}" for batch, diagnosis in found))
    return int(not all(diagnosis.correct for _, diagnosis in found))


def _option(name: str, text: str) -> Any:
    """The value of an option of the loss, as its own check has it."""
    from softxent import checks
    from softxent.options import FIELDS

    expected = {checks.share: "from 0 to 1", checks.divisor: "above 0", checks.not_negative: "at least 0"}
    option, check = f"--{name.replace('_', '-')}", FIELDS[name].metadata["check"]
    if check is checks.int64:
        return _whole(option, text)
    try:
        return check(name, float(text) if check in expected else text)
    except ValueError:
        reason = Phrase(expected.get(check, "a reduction"))
        raise Mistake("option number", option=option, got=repr(text), expected=reason) from None


def _whole(option: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Mistake("option number", option=option, got=repr(text), expected=Phrase("whole")) from None
