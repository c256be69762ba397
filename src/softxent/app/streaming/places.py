"""Where the passes over a table run: here, one part after another."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from softxent.app.streaming.parts import Part
from softxent.app.streaming.passes import Reader, examples
from softxent.app.streaming.stored import Stored
from softxent.app.words import Mistake, Phrase
from softxent.sklearn.sums import TrainingRows

Array = NDArray[Any]
T = TypeVar("T")
BLOCK = 64  # of the memory, a block of features: so many threads may each hold one

Told = Callable[[Phrase, float], None]  # what is being done, and what share of it is done
Given = AbstractContextManager[tuple[TrainingRows, Array]]


class Place(Protocol):
    memory: int  # bytes that may be held of a table at a time

    def map(self, f: Callable[..., T], parts: Sequence[Part], *arguments: Any) -> Iterable[T]:
        """Returns f(part, *arguments) of each part, in their order."""

    def note(self, rows: int, sample: int) -> Phrase:
        """Tells how the rows train."""

    def rows(self, parts: Sequence[Part], reader: Reader, features: Any, count: int) -> Given:
        """Gives the rows that train, about `count` of them, as the classifier sees them, and Σ s_i of each class."""


class Here:
    """This process: features are kept in a file that has no name, and goes with the process."""

    def __init__(self, folder: Path, memory: int, told: Told) -> None:
        self.folder, self.memory, self.told = folder, memory, told

    def note(self, rows: int, sample: int) -> Phrase:
        return Phrase("streamed", rows=rows, sample=sample)

    def map(self, f: Callable[..., T], parts: Sequence[Part], *arguments: Any) -> Iterator[T]:
        for done, part in enumerate(parts):
            self.told(Phrase("reading parts"), done / len(parts))
            yield f(part, *arguments)

    @contextmanager
    def rows(self, parts: Sequence[Part], reader: Reader, features: Any, count: int) -> Iterator[tuple[Stored, Array]]:
        with ExitStack() as files:
            stored, weights = None, np.zeros(len(reader.classes))

            def new_file() -> BinaryIO:
                return files.enter_context(tempfile.TemporaryFile(dir=self.folder))

            for done, part in enumerate(parts):
                self.told(Phrase("writing features"), done / len(parts))
                for each in examples(part, reader, features):
                    if stored is None:
                        self.check_space(each.X[:1].nbytes * count)
                        stored = Stored(new_file, each, self.memory // BLOCK)
                    stored.append(each)
                    weights += np.bincount(each.target, each.weight, len(weights))
            assert stored is not None  # a class has rows that train
            yield stored.finished(), weights

    def check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise Mistake("no space", folder=repr(str(self.folder)), needed=gigabytes(needed), free=gigabytes(free))


def gigabytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
