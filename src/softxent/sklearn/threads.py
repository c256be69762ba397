"""Threads that each do a share of the work, products and all."""

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
    """`map` on that many threads, with one thread of BLAS each: BLAS on all threads would wait for the last of them
    after each product, this after each share.
    """
    with blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(threads) as pool:
        yield pool.map if threads > 1 else map


@cache
def blas() -> Any:
    return ThreadpoolController()  # looks through all loaded libraries: some ms
