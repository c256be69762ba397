"""Writes files and folders whole or not at all, and never over a file that is read or that was there before.

A file that exists is replaced with `--force` only, whoever wrote it: a CSV has no place for a mark that it is ours.
"""

from __future__ import annotations

import errno
import io
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from softxent.app.words import Mistake

SAVED = ".saved"  # a folder in the folder, whose files count instead of those of the same names beside it


def refuse_inputs(option: str, outputs: Iterable[Path], inputs: Sequence[Path]) -> None:
    """Raises if an output is one of the inputs, by whatever path, symbolic link or hard link."""
    for output in outputs:
        for path in inputs:
            if output.exists() and path.exists() and output.samefile(path):
                raise Mistake("output is input", option=option, got=repr(str(output)), input=repr(str(path)))


def refuse_file(option: str, file: str, inputs: Sequence[Path], *, force: bool) -> None:
    """Raises if the file is read, or if it exists; not if that is forced, or it is empty, a device or a pipe."""
    refuse_inputs(option, [Path(file)], inputs)
    if not force and Path(file).is_file() and Path(file).stat().st_size:
        raise Mistake("output exists", option=option, got=repr(file))


class Unread(Exception):
    """Nothing reads on: `softxent … | head` has enough. No BrokenPipeError, of which Click makes an exit code of 1."""


class _File(io.FileIO):
    """A file whose errors in writing are told as mistakes, and so are no errors of what is read meanwhile."""

    def __init__(self, path: Path | str, mode: str, name: str) -> None:
        self.said = name
        with mistakes(name):
            super().__init__(path, mode)

    def write(self, data: Any) -> int:
        with mistakes(self.said):
            return super().write(data) or 0


@contextmanager
def mistakes(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise Unread from None
        raise Mistake("cannot write", got=repr(name), why=error.strerror or error) from None


@contextmanager
def whole_file(file: str) -> Iterator[BinaryIO]:
    """Opens a file that takes its name only once it is complete; a device or a pipe is written to directly.

    Raises Mistake if it cannot be written.
    """
    if os.path.exists(file) and not os.path.isfile(file):  # a folder raises at once
        with io.BufferedWriter(_File(file, "w", file)) as stream:
            yield stream
        return
    path = Path(os.path.realpath(file))  # a symbolic link stays, and what it leads to is written
    new = path.with_name(f"{path.name}.{os.getpid()}.part")
    raw = _File(new, "x", file)
    try:
        with io.BufferedWriter(raw) as stream:
            yield stream
            stream.flush()
            with mistakes(file):
                os.fsync(stream.fileno())
                os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def as_text(stream: BinaryIO) -> Iterator[TextIO]:
    """Writes UTF-8 to a binary file, which stays open."""
    text = io.TextIOWrapper(stream, encoding="utf-8", newline="")
    try:
        yield text
        text.flush()
    finally:
        with suppress(OSError):
            text.detach()


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
    with suppress(FileNotFoundError, NotADirectoryError):
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
