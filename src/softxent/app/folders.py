"""Where a run is saved: a folder that is free, or that holds a run on the same table."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from softxent.app.outputs import open_saved, settle
from softxent.app.run import FILES, MODEL, SCHEMA, Schema
from softxent.app.tables.rows import Source
from softxent.app.words import Mistake, Phrase


def chosen_folder(source: Source, target: str, out: str | None, *, force: bool) -> tuple[str, list[Phrase]]:
    """Returns the folder to save a run in, with a note if it is not `runs/` and the table's name.

    A run on another table, or with another target, stays: unless that is forced, the next free name is taken.
    """
    first, taken = "", None
    for folder in [out] if out else names(f"runs/{source.stem}"):
        held = None if force else held_in(folder)
        if held is None or held.is_of(source, target, folder):
            break
        first, taken = first or folder, taken or held
        if out:
            raise Mistake("another model", got=repr(out), data=held.data_from(folder), target=held.target)
    if taken is None:
        return folder, []
    return folder, [Phrase("next folder", taken=first, data=taken.data_from(first), target=taken.target, folder=folder)]


def names(first: str) -> Iterator[str]:
    """Yields a, a-2, a-3, …"""
    yield first
    for number in count(2):
        yield f"{first}-{number}"


def held_in(folder: str) -> Schema | None:
    """Returns the schema of the run that a folder holds, if any."""
    try:
        with open_saved(Path(folder), SCHEMA) as stream:
            return Schema.read(stream, folder)
    except Mistake:
        raise
    except Exception:  # none, or damaged: `prepare` knows which
        return None


def prepare(folder: str) -> None:
    """Checks that a run can be saved there, before any work is lost; refuses a folder that holds other things."""
    path = Path(os.path.realpath(folder))
    if path.exists() and not path.is_dir():
        raise Mistake("not a folder", got=repr(folder))
    try:
        fresh = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        settle(path)
        others = [each for each in path.iterdir() if not each.name.startswith(".saving-")]  # left by a crash
        ours = all((path / name).is_file() for name in (MODEL, SCHEMA))
        if (others and not ours) or any((path / name).is_dir() for name in FILES):
            raise Mistake("not a run", got=repr(folder))
        with tempfile.TemporaryFile(dir=path):
            pass
        if fresh:
            path.rmdir()  # it appears later, with all its files
    except OSError as error:
        raise Mistake("cannot write", got=repr(folder), why=error.strerror) from None
