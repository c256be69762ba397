"""`--help` in both languages: the help texts of commands and options are phrases of `softxent.app.words`."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from typer.core import TyperCommand, TyperGroup

from softxent.app.words import LANGUAGES, PHRASES, WIDTH, Mistake, say


class Command(TyperCommand):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(_help(self, ctx))


class Group(TyperGroup):
    def format_help(self, ctx: Any, formatter: Any) -> None:
        formatter.write(_help(self, ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if not args[0].startswith("-") and args[0] not in self.commands:
            raise _no_such("command", repr(args[0]), args[0], self.commands)
        return super().resolve_command(ctx, args)


def no_such_option(command: Any, text: str) -> Mistake:
    """Returns the error of an option that a command does not have, with the ones that may have been meant."""
    got = text.partition("=")[0]
    known = [name for parameter in command.params for name in parameter.opts if name.startswith("-")]
    return _no_such("option", got, got, [*known, "--lang", "--help", *(["--version"] * hasattr(command, "commands"))])


def _no_such(what: str, shown: str, got: str, known: Iterable[str]) -> Mistake:
    near = difflib.get_close_matches(got.lower(), known, n=3, cutoff=0.7)
    if near:
        return Mistake(f"no such {what}, near", got=shown, near=", ".join(near))
    return Mistake(f"no such {what}", got=shown, known=", ".join(known))


def _help(command: Any, ctx: Any) -> str:
    lang = ctx.obj
    console = Console(width=WIDTH, highlight=False, emoji=False)
    parameters = command.get_params(ctx)
    arguments = [p for p in parameters if p.param_type_name == "argument"]
    options = [p for p in parameters if p.param_type_name == "option" and p.name != "help"]
    commands = getattr(command, "commands", {})
    words = [*(["COMMAND"] if commands else []), *(p.metavar for p in arguments), "[OPTIONS]"]
    usage = " ".join([ctx.command_path, *(_metavar(lang, word) for word in words)])

    with console.capture() as capture:
        console.print(Text(say(lang, "usage"), "bold").append(usage, "not bold"))
        console.print(Padding(Text(say(lang, command.help)), (1, 0, 0, 2)))
        _print_table(console, say(lang, "commands"), [(name, say(lang, each.help)) for name, each in commands.items()])
        _print_table(
            console, say(lang, "arguments"), [(_metavar(lang, p.metavar), say(lang, p.help)) for p in arguments]
        )
        rows = [(f"{p.opts[0]} {_metavar(lang, p.metavar)}".rstrip(), say(lang, p.help)) for p in options]
        rows.append((f"--lang {'|'.join(LANGUAGES)}", say(lang, "option lang")))
        rows.append(("--help", say(lang, "option help")))
        rows += [("--version", say(lang, "option version"))] if commands else []
        _print_table(console, say(lang, "options"), rows)
        if command.epilog:
            console.print(Padding(Text(say(lang, "example", command=command.epilog)), (1, 0, 0, 0)))
    return "\n".join(line.rstrip() for line in capture.get().rstrip().split("\n"))


def _metavar(lang: str, word: str | None) -> str:
    return say(lang, word) if word in PHRASES else word or ""


def _print_table(console: Console, title: str, rows: list[tuple[str, str]]) -> None:
    if not rows:
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in rows:
        table.add_row(Text("  " + name, "cyan"), Text(text))
    console.print(Text("\n" + title, "bold"))
    console.print(table)
