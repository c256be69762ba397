"""Standard output and error while a command runs: their errors are kept until its work is done and saved."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from softxent.app.outputs import Unread
from softxent.app.words import Mistake


class Kept:
    """A stream that keeps its first error, and swallows what is written from then on."""

    def __init__(self, stream: TextIO | None) -> None:
        self.stream = stream or open(os.devnull, "w")  # noqa: SIM115  it was closed, as by >&-
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        if self.error is None:
            try:
                self.stream.write(text)
            except OSError as error:
                self.error = error
        return len(text)

    def flush(self) -> None:
        if self.error is None:
            try:
                self.stream.flush()
            except OSError as error:
                self.error = error

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def errors_kept() -> Iterator[None]:
    streams = sys.stdout, sys.stderr
    out, err = map(Kept, streams)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        for kept in (out, err):
            kept.flush()
            if kept.error is not None:
                _silence(kept.stream)
            if kept.stream not in streams:
                kept.stream.close()


def failed() -> bool:
    """Whether standard output could not be written to, for another reason than that nothing reads it any more."""
    sys.stdout.flush()
    error = getattr(sys.stdout, "error", None)
    return error is not None and not isinstance(error, BrokenPipeError)


def raise_error() -> None:
    """Raises if standard output could not be written to: Unread if nothing reads it any more."""
    sys.stdout.flush()
    error = getattr(sys.stdout, "error", None)
    if isinstance(error, BrokenPipeError):
        raise Unread
    if error is not None:
        raise Mistake("cannot print", why=error.strerror)


def _silence(stream: TextIO) -> None:
    """Sends what is still in the stream's buffer to nowhere, or Python would fail on it when it exits."""
    with suppress(OSError, ValueError, io.UnsupportedOperation):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
