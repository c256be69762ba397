"""The rows to learn from in files, of which a block is in memory at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from softxent.functional import get_num_threads
from softxent.sklearn.examples import Examples, concatenated
from softxent.sklearn.loss import Loss
from softxent.sklearn.sums import SAMPLE, Evaluate, Share, in_order, rows_of_a_block
from softxent.sklearn.threads import thread_map

Array = NDArray[Any]

GROUP = 8  # blocks whose rows are shuffled together for mini-batches


@dataclass
class Field:
    """An array in a file, rows × `width`; of width 0 it is a vector."""

    file: BinaryIO
    dtype: np.dtype[Any]
    width: int = 0

    @property
    def row(self) -> int:
        return self.dtype.itemsize * max(self.width, 1)

    def append(self, a: Array) -> None:
        self.file.write(np.ascontiguousarray(a, self.dtype).data)

    def read(self, start: int, stop: int) -> Array:
        """Reads rows, for several threads at once too."""
        a = np.empty((stop - start, self.width) if self.width else stop - start, self.dtype)
        view, at = memoryview(a.reshape(-1).view(np.uint8)), start * self.row  # type: ignore[arg-type]
        while view:
            count = os.preadv(self.file.fileno(), [view], at)
            view, at = view[count:], at + count
        return a


class Stored:
    """Rows that are appended once, and then learned from."""

    def __init__(self, new_file: Callable[[], BinaryIO], like: Examples, block: int) -> None:
        """`like` has rows of the same kind; `block`, bytes of X that are read at a time."""
        X, self.rows = like.X, 0
        self.X = Field(new_file(), X.dtype, X.shape[1])
        self.y = Field(new_file(), np.dtype(np.int64))
        self.s = None if like.weight is None else Field(new_file(), np.dtype(np.float64))
        self.size = max(1, block // max(self.X.row, 1))

    def append(self, examples: Examples) -> None:
        self.X.append(examples.X)
        self.y.append(examples.target)
        if self.s is not None:
            self.s.append(np.asarray(examples.weight))
        self.rows += len(examples)

    def _fields(self) -> list[Field]:
        return [self.X, self.y, *([] if self.s is None else [self.s])]

    def __len__(self) -> int:
        return self.rows

    def finished(self) -> Stored:
        """All rows are there."""
        for field in self._fields():
            field.file.flush()
        every = -(-self.rows // SAMPLE)
        rows = [Examples(*(field.read(row, row + 1) for field in self._fields())) for row in range(0, self.rows, every)]
        self.sample = concatenated(rows)
        return self

    def blocks(self) -> list[int]:
        return list(range(0, self.rows, self.size))

    def __getitem__(self, start: int) -> Examples:
        """Returns the block that begins at that row."""
        stop = min(start + self.size, self.rows)
        return Examples(*(field.read(start, stop) for field in self._fields()))

    @contextmanager
    def sums(self, loss: Loss, W: Array, b: Array) -> Iterator[Evaluate]:
        def of(start: int) -> Any:
            block = self[start]
            return Share(block, rows_of_a_block(block.X, len(b)), loss, W, b)()

        with thread_map(get_num_threads()) as map:
            yield lambda: in_order(map(of, self.blocks()))

    def groups(self, rng: np.random.RandomState) -> Iterable[Examples]:
        """Yields some blocks at a time, drawn by chance."""
        order = rng.permutation(self.blocks())
        for k in range(0, len(order), GROUP):
            yield concatenated([self[start] for start in order[k : k + GROUP]])
