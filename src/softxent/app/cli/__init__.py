"""The command `softxent`, one file a command; what they share is here: the language, the errors, the exit codes.

0 done      2 the user's mistake, told in one message      1 ours, or what `check` has found in the user's numbers
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, TextIO

from softxent.app.cli import streams
from softxent.app.outputs import Unread
from softxent.app.words import LANGUAGES, Mistake, language, say

DONE, OURS, YOURS = 0, 1, 2
INTERRUPTED = 130  # 128 + SIGINT, as a shell says it

# of the extra `cli`
PACKAGES = {
    "charset_normalizer",
    "dask",
    "distributed",
    "jinja2",
    "onnx",
    "openpyxl",
    "pandas",
    "pyarrow",
    "rich",
    "scipy",
    "skops",
    "sklearn",
    "skrub",
} | {"typer"}
EXTRAS = {"dask": "cli,dask", "distributed": "cli,dask", "onnx": "cli,onnx"}  # which another extra has


def main(arguments: Sequence[str] | None = None) -> None:
    for stream in (sys.stdout, sys.stderr):
        _speak_unicode(stream)
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Runs one command and returns its exit code; prints what went wrong in the user's language."""
    with streams.errors_kept():
        return _tried(list(arguments), language())


def _tried(arguments: list[str], lang: str) -> int:
    try:
        lang, rest = _language_chosen(arguments, lang)
        code = _run(rest, lang)
        streams.raise_error()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except Unread:
        return DONE
    except Exception as error:
        if type(error).__name__ == "Abort":  # what older versions of Typer make of Ctrl-C
            return INTERRUPTED
        message, code = _blame(error, lang)
        print(say(lang, "error", message=message), file=sys.stderr)
        return code


def _run(arguments: list[str], lang: str) -> int:
    if arguments[:1] == ["--version"]:
        print(f"softxent {version('softxent')}")
        return DONE
    import typer  # here and not above: without it, run says how to install it

    from softxent.app.cli.check import check
    from softxent.app.cli.evaluate import evaluate
    from softxent.app.cli.explain import explain
    from softxent.app.cli.explore import explore
    from softxent.app.cli.export import export
    from softxent.app.cli.help import Command, Group
    from softxent.app.cli.predict import predict
    from softxent.app.cli.report import report
    from softxent.app.cli.train import train

    app = typer.Typer(cls=Group, add_completion=False, rich_markup_mode=None)
    app.callback(help="about softxent", context_settings={"help_option_names": ["--help", "-h"]})(lambda: None)
    scores = {"ignore_unknown_options": True}  # −1 is a score, no option; explain refuses what is neither
    example = "softxent explain 1 5 3 --target 1"
    app.command("explain", cls=Command, help="about explain", epilog=example, context_settings=scores)(explain)
    for command, example in (
        (check, "softxent check step.npz --reduction sum"),
        (explore, "softxent explore"),
        (train, "softxent train penguins.csv --target species"),
        (predict, "softxent predict runs/penguins new.csv --proba --out predictions.csv"),
        (evaluate, "softxent evaluate runs/penguins test.csv"),
        (export, "softxent export runs/penguins penguins.onnx"),
        (report, "softxent report runs/penguins --lang zh"),
    ):
        name = command.__name__
        app.command(name, cls=Command, help=f"about {name}", epilog=example)(command)
    code = app(arguments or ["--help"], prog_name="softxent", obj=lang, standalone_mode=False)
    return code or DONE


def _language_chosen(arguments: list[str], lang: str) -> tuple[str, list[str]]:
    """Takes `--lang` out of the arguments, wherever it stands: every command has it, and help needs it first."""
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        option, equals, value = word.partition("=")
        if word == "--":
            return lang, [*rest, word, *words]
        if option != "--lang":
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value:
            raise Mistake("no value", option="--lang")
        if value not in LANGUAGES:
            raise Mistake("lang", got=repr(value))
        lang = value
    return lang, rest


def _blame(error: Exception, lang: str) -> tuple[str, int]:
    if isinstance(error, Mistake):
        return error.say(lang), YOURS
    if isinstance(error, ModuleNotFoundError) and (package := (error.name or "").split(".")[0]) in PACKAGES:
        return say(lang, "missing package", package=package, extras=EXTRAS.get(package, "cli")), YOURS
    if hasattr(error, "format_message"):  # Typer's usage errors: its own, or Click's in older versions
        return _usage(error, lang), YOURS
    if isinstance(error, OSError):
        why = error.strerror or str(error)
        return say(lang, "system", why=f"{why}: {error.filename!r}" if error.filename else why), YOURS
    if isinstance(error, MemoryError):
        return say(lang, "no memory"), YOURS
    return say(lang, "our mistake", what=f"{type(error).__name__}: {error}"), OURS


def _usage(error: Any, lang: str) -> str:
    option, message = getattr(error, "option_name", None), error.format_message()
    if type(error).__name__ == "NoSuchOption":
        from softxent.app.cli.help import no_such_option

        return no_such_option(error.ctx.command, str(option)).say(lang)
    if type(error).__name__ == "MissingParameter":
        return say(lang, "no argument", name=error.param.metavar.removesuffix("..."))
    if "unexpected extra argument" in message:
        return say(lang, "extra argument", got=message.partition(") (")[2].removesuffix(")"))
    if "requires an argument" in message:
        return say(lang, "no value", option=option)
    if "does not take a value" in message:
        return say(lang, "value given", option=option)
    return say(lang, "bad usage", message=message)


def _speak_unicode(stream: TextIO) -> None:
    """Makes a pipe UTF-8 if its locale lacks ∂ or ▌; a name that is not valid text is escaped."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is None:
        return
    try:
        "∂ −∞ ▌".encode(stream.encoding)
        reconfigure(errors="backslashreplace")
    except UnicodeEncodeError:
        reconfigure(encoding="utf-8", errors="backslashreplace")
