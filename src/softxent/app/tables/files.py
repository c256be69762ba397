"""Finds the bytes of what a user names: a file, a packed one, a pipe, standard input, a folder of files."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import sys
import tempfile
import weakref
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path
from typing import Any

from softxent.app.tables.content import ENDINGS, PACKED
from softxent.app.words import Mistake

STDIN = "-"
STDIN_NAME = "stdin"


@dataclass(frozen=True)
class File:
    """A file as the user names it, and where its bytes are: in a temporary file if it was packed, or a pipe."""

    name: str
    path: Path
    inner: str  # its name unpacked
    sheet: str = ""
    again: bool = True  # it can be opened a second time
    kept: list[Any] = field(default_factory=list)  # temporary folders, which go when nothing reads on

    @property
    def ending(self) -> str:
        return Path(self.inner).suffix.lower()

    @property
    def stem(self) -> str:
        return Path(self.inner).stem


class _Temporary:
    """A temporary folder, which goes when nothing refers to it any more, without a warning that it does."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="softxent-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


@contextmanager
def reading(name: str) -> Iterator[None]:
    """Tells the errors of the environment, and those in packed files, in words of ours."""
    try:
        yield
    except FileNotFoundError:
        raise Mistake("no file", got=repr(name)) from None
    except PermissionError:
        raise Mistake("no permission", got=repr(name)) from None
    except IsADirectoryError:
        raise Mistake("is a folder", got=repr(name)) from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
        why = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise Mistake("unreadable file", got=repr(name), why=why) from None


def found(name: str) -> list[File]:
    """Returns the files that a name stands for, unpacked: one, those of a folder, or those that a pattern matches."""
    with reading(name):
        if name == STDIN:
            return [_unpacked(_copied(STDIN_NAME, sys.stdin.buffer, STDIN_NAME))]
        path = Path(name)
        if path.is_dir():
            return [_unpacked(File(str(each), each, each.name)) for each in _tables_in(path)]
        if not path.exists():
            matching = sorted(glob(name)) if any(mark in name for mark in "*?[") else []
            return [file for each in matching for file in found(each)] or [_sheet_of(name)]
        if not path.is_file():  # a pipe, or process substitution: it can be read once
            with open(path, "rb") as stream:
                return [_unpacked(_copied(name, stream, STDIN_NAME))]
        return [_unpacked(File(name, path, path.name))]


def inputs(names: Sequence[str]) -> list[Path]:
    """Returns the paths of all that is read, so that nothing is written there."""
    paths: list[Path] = []
    for name in names:
        path = Path(name)
        paths += [path for each in glob(name) for path in inputs([each])] if not path.exists() else []
        paths += _tables_in(path) if path.is_dir() else [path if path.exists() else Path(name.rpartition(":")[0])]
    return [path for path in paths if path.is_file()]


def _tables_in(folder: Path) -> list[Path]:
    with reading(str(folder)):
        files = sorted(each for each in folder.iterdir() if each.is_file() and not each.name.startswith("."))
    tables = [each for each in files if _known(each)]
    if not tables:
        known = " ".join(ending for endings in ENDINGS.values() for ending in endings)
        raise Mistake("no tables", got=repr(str(folder)), known=known)
    return tables


def _known(path: Path) -> bool:
    inner = Path(path.stem) if path.suffix.lower() in PACKED else path
    return any(inner.suffix.lower() in endings for endings in ENDINGS.values())


def _sheet_of(name: str) -> File:
    """Reads FILE.xlsx:SHEET."""
    file, _, sheet = name.rpartition(":")
    if Path(file).suffix.lower() not in ENDINGS["Excel"] or not Path(file).is_file():
        raise Mistake("no file", got=repr(name))
    return File(name, Path(file), Path(file).name, sheet)


def _copied(name: str, stream: Any, inner: str) -> File:
    """Copies what can be read only once."""
    folder = _Temporary()
    path = folder.path / inner
    with open(path, "wb") as copy:
        shutil.copyfileobj(stream, copy)
    return File(name, path, inner, again=False, kept=[folder])


def _unpacked(file: File) -> File:
    """Unpacks a file as often as it is packed, whatever its name says."""
    with reading(file.name), open(file.path, "rb") as stream:
        start = stream.read(6)
    for ending, (magic, opened) in UNPACK.items():
        if start.startswith(magic):
            inner = file.stem if file.ending == ending else file.inner
            with reading(file.name), opened(file.path) as stream:
                copy = _copied(file.name, stream, inner)
            return _unpacked(replace(copy, again=file.again, kept=[*file.kept, *copy.kept]))
    return _from_zip(file) if start.startswith(b"PK\x03\x04") else file


def _from_zip(file: File) -> File:
    """Unpacks the one table of a .zip; workbooks and .npz are archives too, and stay."""
    try:
        with zipfile.ZipFile(file.path) as archive:
            names = [each for each in archive.namelist() if not each.endswith("/") and not each.startswith("__MACOSX")]
            tables = [each for each in names if _known(Path(each)) or file.ending == ".zip"]
            if any(each.startswith(("xl/", "word/", "ppt/")) or each.endswith(".npy") for each in names):
                return file
            if len(tables) != 1:
                raise Mistake("zip of many", got=repr(file.name), files=len(tables))
            with archive.open(tables[0]) as stream:
                copy = _copied(file.name, stream, Path(tables[0]).name)
            return _unpacked(replace(copy, again=file.again, kept=[*file.kept, *copy.kept]))
    except (zipfile.BadZipFile, RuntimeError):  # cut short, or with a password: what reads it says so
        return file


def _zstandard(path: Path) -> Any:
    import pyarrow as pa

    return pa.CompressedInputStream(pa.OSFile(str(path)), "zstd")


UNPACK: dict[str, tuple[bytes, Callable[[Path], Any]]] = {
    ".gz": (b"\x1f\x8b", gzip.open),
    ".bz2": (b"BZh", bz2.open),
    ".xz": (b"\xfd7zXZ\x00", lzma.open),
    ".zst": (b"\x28\xb5\x2f\xfd", _zstandard),
}
