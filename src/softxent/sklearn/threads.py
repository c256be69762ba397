"""Runs shares of the work on threads, each with its own matrix products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

Map = Callable[..., Iterator[Any]]


@contextmanager
def thread_map(threads: int) -> Iterator[Map]:
    """Gives a `map` that runs on that many threads, each with one thread of BLAS.

    BLAS on all threads would wait for the slowest after each product; this waits after each share.
    """
    with one_blas_thread(), ThreadPoolExecutor(threads) as pool:
        yield pool.map if threads > 1 else map


def one_blas_thread() -> Any:
    """A context in which the bits of a matrix product don't depend on the number of threads that BLAS may use."""
    return blas().limit(limits=1, user_api="blas")


def one_thread() -> Any:
    """A context in which OpenMP too has one thread: many spin where others want the cores."""
    return ThreadpoolController().limit(limits=1)


@cache
def blas() -> Any:
    return ThreadpoolController()  # some ms: it looks through all loaded libraries
