"""What runs where the partitions are: functions of a partition's examples, one thread each."""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softxent.functional import get_num_threads, set_num_threads
from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.sums import Sums, in_order, shares_of
from softxent.sklearn.threads import one_blas_thread

Array = NDArray[Any]


class Parameters(NamedTuple):
    """What an evaluation needs beside the rows."""

    loss: Loss
    W: Array
    b: Array


class OneThread:
    """A context in which BLAS and the kernel have one thread, in the whole process.

    A worker runs as many tasks at once as it has threads: the first to come sets the limit, the last to go lifts it.
    """

    def __init__(self) -> None:
        self.lock, self.users = threading.Lock(), 0

    def __enter__(self) -> None:
        with self.lock:
            if not self.users:
                self.blas, self.of_kernel = one_blas_thread(), get_num_threads()
                set_num_threads(1)
            self.users += 1

    def __exit__(self, *of_error: object) -> None:
        with self.lock:
            self.users -= 1
            if not self.users:
                self.blas.restore_original_limits()
                set_num_threads(self.of_kernel)


one_thread = OneThread()


@np.errstate(over="ignore", invalid="ignore")  # an objective that is not finite is reported as such
def sums(given: Parameters, *parts: Examples) -> Sums:
    """Returns the sums over the rows of neighbouring partitions."""
    if len(parts) == 1:
        with one_thread:
            return in_order(share() for share in shares_of(parts[0], *given))
    middle = left_of(len(parts))
    return add(sums(given, *parts[:middle]), sums(given, *parts[middle:]))


def add(left: Sums, right: Sums) -> Sums:
    return in_order([left, right])


def left_of(parts: int) -> int:
    """Returns how many of the parts are on the left side of their sum: the largest power of two below their number."""
    return 1 << (parts - 1).bit_length() - 1


def every(examples: Examples, first: int, step: int) -> Examples:
    return examples[first::step]
