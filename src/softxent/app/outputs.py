"""Writes files and folders whole or not at all, and never over a file that is read."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

from softxent.app.words import Mistake

SAVED = ".saved"  # a folder in the folder, whose files count instead of those of the same names beside it


def refuse_inputs(option: str, outputs: Iterable[Path], inputs: Sequence[Path]) -> None:
    """Raises if an output is one of the inputs, by whatever path, symbolic link or hard link."""
    for output in outputs:
        for path in inputs:
            if output.exists() and path.exists() and output.samefile(path):
                raise Mistake("output is input", option=option, got=repr(str(output)), input=repr(str(path)))


@contextmanager
def whole_file(file: str) -> Iterator[TextIO]:
    """Opens a text file that takes its name only once it is complete; a device or a pipe is written to directly."""
    if os.path.exists(file) and not os.path.isfile(file):  # a folder raises at once
        with open(file, "w", encoding="utf-8", newline="") as stream:
            yield stream
        return
    path = Path(os.path.realpath(file))  # a symbolic link stays, and what it leads to is written
    new = path.with_name(f"{path.name}.{os.getpid()}.part")
    with open(new, "x", encoding="utf-8", newline="") as stream:
        try:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
            os.replace(new, path)
        finally:
            new.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Makes an empty folder to write to; its files then come to `folder` by one rename, all of them or none.

    A new folder gets its name by that rename. In one that exists, other files stay, so no rename can replace just
    these: they become its folder `.saved`, from which `settle` moves them. `open_saved` looks there first: it opens
    the old files before the rename and the new ones after it, wherever the program or the machine stopped.
    """
    exists = folder.exists()
    home = Path(tempfile.mkdtemp(prefix=".saving-", dir=folder if exists else folder.parent))
    try:
        new = home / "new"
        new.mkdir()  # with the mode of any folder: that of mkdtemp is for the owner alone
        yield new
        for path in [*new.iterdir(), new]:
            flush(path)
        if exists:
            settle(folder)
            new.rename(folder / SAVED)
            flush(folder)
        else:
            new.rename(folder)
            flush(folder.parent)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def settle(folder: Path) -> None:
    """Moves what `whole_folder` has put into `.saved` to its place."""
    saved = folder / SAVED
    if not saved.is_dir():
        return
    for path in list(saved.iterdir()):
        with suppress(FileNotFoundError):  # another process moves them too
            path.replace(folder / path.name)
    flush(folder)
    with suppress(FileNotFoundError):
        saved.rmdir()


def open_saved(folder: Path, name: str) -> BinaryIO:
    """Opens a file as `whole_folder` saved it, whether or not it has been moved to its place."""
    with suppress(FileNotFoundError):
        return open(folder / SAVED / name, "rb")
    return open(folder / name, "rb")


def flush(path: Path) -> None:
    """Waits until a file is on the disk, or the names in a folder, if its file system can say that."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError) if path.is_dir() else nullcontext():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
