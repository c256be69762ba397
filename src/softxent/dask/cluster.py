"""Where tasks run: on the workers of a client, or without one on dask's scheduler of this process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import zip_longest
from typing import Any
from uuid import uuid4

import dask
import numpy as np
from dask.delayed import Delayed, delayed
from distributed import as_completed

Part = Any  # a future of a client, or without one a task (Delayed)

EVEN = 4  # tasks a thread, at least, whose load is then about even; each costs the scheduler a millisecond or two
ANY_SIZE = {"distributed.admin.large-graph-warning-threshold": "1 PiB"}  # parameters are in the graph: see `tasks`


def tasks(
    name: str, f: Callable[..., Any], arguments: Iterable[tuple[Any, ...]], homes: Sequence[str | None] = ()
) -> list[Delayed]:
    """Returns a task for each tuple of arguments; dask's dashboard shows softxent-`name`.

    Arguments are part of the task, so that dask makes them again too when a worker dies.

    homes  the worker where each should run, None for any; another will do if that one is gone
    """
    call, run = delayed(f, pure=False, traverse=False), uuid4().hex
    made = []
    for k, (given, home) in enumerate(zip_longest(arguments, homes)):
        with dask.annotate(workers=[home], allow_other_workers=True) if home else nullcontext():
            made.append(call(*given, dask_key_name=f"softxent-{name}-{k}-{run}"))
    return made


@contextmanager
def current(client: Any) -> Iterator[None]:
    """Graphs go to this client, and so do the futures in them, which look for a current one."""
    with dask.config.set(ANY_SIZE), client.as_current() if client else nullcontext():
        yield


def compute(client: Any, made: Sequence[Delayed]) -> list[Any]:
    """Returns what the tasks return; nothing of it stays in the cluster."""
    with current(client):
        return list(dask.compute(*made, scheduler=client, traverse=False, optimize_graph=False))


def placed(client: Any, made: Sequence[Delayed], told: Callable[[float], None] = lambda done: None) -> list[Part]:
    """Returns futures of the tasks, which are computed and stay in the cluster, adjacent ones on the same worker.

    Without a client it returns the tasks: their results are computed each time that they are needed.

    told  a function that is called with the share of the tasks that are done, after each
    """
    if client is None:
        return list(made)
    workers = client.nthreads()
    if not workers:
        raise ValueError("client has no workers, but fit places partitions on them: start some, or adapt(minimum=1)")
    futures: list[Part] = []
    with current(client):
        for address, stop in zip(workers, edges(len(made), list(workers.values())), strict=True):
            run = made[len(futures) : stop]
            futures += client.compute(run, workers=[address], allow_other_workers=True, traverse=False) if run else []
        for done, _ in enumerate(as_completed(futures), 1):
            told(done / len(futures))
    return futures


def edges(parts: int, threads: Sequence[int]) -> list[int]:
    """Returns where each worker's run of partitions ends, in proportion to its threads.

    The ends are multiples of a power of two, where there are enough partitions: subtrees of the sum, then, don't lie
    on two workers.
    """
    step = 1 << max(0, (parts // (8 * len(threads))).bit_length() - 1)  # runs differ by an eighth, at most
    ends = np.rint(np.cumsum(threads) / sum(threads) * parts / step).astype(int) * step
    return [*ends[:-1].tolist(), parts]


def homes(client: Any, parts: Sequence[Part]) -> list[str | None]:
    """Returns the worker that has each part."""
    if client is None:
        return [None] * len(parts)
    found = client.who_has(parts)
    return [next(iter(found.get(part.key, ())), None) for part in parts]


def shares(client: Any) -> int:
    """Returns into how many tasks to divide what each worker does: one where it has a thread, a few for each of many.

    Without a client a task has one partition, whatever their number, so that few are in memory at a time.
    """
    if client is None:
        return sys.maxsize
    return max(1, sum(1 if threads == 1 else EVEN * threads for threads in client.nthreads().values()))


def fetched(client: Any, parts: Sequence[Part]) -> list[Any]:
    """Returns the parts themselves, brought here."""
    if client is None:
        return compute(None, parts)
    return list(client.gather(list(parts)))
