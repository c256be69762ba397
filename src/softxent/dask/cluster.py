"""Where tasks run: on the workers of a client, or without one on dask's scheduler of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import dask
import numpy as np
from dask.delayed import Delayed, delayed
from distributed import wait

Part = Any  # a future of a client, or without one a task (Delayed)

ANY_SIZE = {"distributed.admin.large-graph-warning-threshold": "1 PiB"}  # parameters are in the graph: see `task`


def task(name: str, f: Callable[..., Any], *arguments: Any, key: Any, home: str | None = None) -> Delayed:
    """Returns the call as a task; dask's dashboard shows softxent-`name`.

    Arguments are part of the task, so that dask makes them again too when a worker dies.

    home  the worker where it should run; another will do if that one is gone
    """
    call = delayed(f, pure=False, traverse=False)
    if home is None:
        return call(*arguments, dask_key_name=f"softxent-{name}-{key}")
    with dask.annotate(workers=[home], allow_other_workers=True):
        return call(*arguments, dask_key_name=f"softxent-{name}-{key}")


def compute(client: Any, tasks: Sequence[Delayed]) -> list[Any]:
    """Returns what the tasks return; nothing of it stays in the cluster."""
    with dask.config.set(ANY_SIZE):
        return list(dask.compute(*tasks, scheduler=client, traverse=False, optimize_graph=False))


def placed(client: Any, tasks: Sequence[Delayed]) -> list[Part]:
    """Returns futures of the tasks, which are computed and stay in the cluster, adjacent ones on the same worker.

    Without a client it returns the tasks: their results are computed each time that they are needed.
    """
    if client is None:
        return list(tasks)
    workers = client.nthreads()
    if not workers:
        raise ValueError(f"client has no workers, but fit needs at least one: {client.scheduler.address} has none")
    futures: list[Part] = []
    with dask.config.set(ANY_SIZE):
        for address, stop in zip(workers, edges(len(tasks), list(workers.values())), strict=True):
            run = tasks[len(futures) : stop]
            futures += client.compute(run, workers=[address], allow_other_workers=True, traverse=False) if run else []
    wait(futures)
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


def fetched(client: Any, parts: Sequence[Part]) -> list[Any]:
    """Returns the parts themselves, brought here."""
    if client is None:
        return compute(None, parts)
    return list(client.gather(list(parts)))
