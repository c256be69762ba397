"""Processes that make up the ranks of torch.distributed in tests: started once, and asked again and again."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from datetime import timedelta
from typing import Any

RANKS = 4
TIMEOUT = 60  # seconds
os.environ["GLOO_SOCKET_IFNAME"] = "lo0" if sys.platform == "darwin" else "lo"  # their traffic stays on this machine
PRELOADED = [  # once for all processes
    "softxent.torch.parallel",
    "tests.ranks",
    "torch._dynamo",
    "torch.distributed.fsdp",
    "torch.distributed.tensor",
]


def processes() -> Any:
    """Where processes come from that have imported PyTorch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def serve(rank: int, size: int, store: str, timeout: float, tasks: Any) -> None:
    import torch
    import torch.distributed as dist

    warnings.simplefilter("error")
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=size, timeout=timedelta(seconds=timeout)
    )
    groups = {size: dist.group.WORLD} | {n: dist.new_group(range(n)) for n in range(1, size)}
    tasks.send(("ready", None))
    for function, count, arguments in iter(tasks.recv, None):
        try:
            tasks.send(("returned", function(groups[count], *arguments)))
        except Exception as error:
            tasks.send(("raised", (type(error).__name__, str(error), traceback.format_exc())))
    dist.destroy_process_group()


class Ranks:
    """`size` processes; run(f, n, …) is f(group, …) on the first n of them, whose results come in rank order."""

    def __init__(self, size: int = RANKS, timeout: float = TIMEOUT) -> None:
        context = processes()
        self.folder = tempfile.TemporaryDirectory()
        pairs = [context.Pipe() for _ in range(size)]
        self.pipes = [here for here, _ in pairs]
        given = (size, f"{self.folder.name}/store", timeout)
        self.processes = [
            context.Process(target=serve, args=(rank, *given, there), daemon=True)
            for rank, (_, there) in enumerate(pairs)
        ]
        for process, (_, there) in zip(self.processes, pairs, strict=True):
            process.start()
            there.close()
        for pipe in self.pipes:
            assert pipe.recv()[0] == "ready"

    def outcomes(self, function: Callable[..., Any], count: int, *arguments: Any) -> list[tuple[str, Any]]:
        for pipe in self.pipes[:count]:
            pipe.send((function, count, arguments))
        return [pipe.recv() for pipe in self.pipes[:count]]

    def run(self, function: Callable[..., Any], count: int, *arguments: Any) -> list[Any]:
        outcomes = self.outcomes(function, count, *arguments)
        for rank, (how, what) in enumerate(outcomes):
            assert how == "returned", f"on rank {rank}: {what[2]}"
        return [what for _, what in outcomes]

    def errors(self, function: Callable[..., Any], count: int, *arguments: Any) -> list[tuple[str, str]]:
        """The class and the message that each rank raised."""
        outcomes = self.outcomes(function, count, *arguments)
        assert {how for how, _ in outcomes} == {"raised"}, outcomes
        return [what[:2] for _, what in outcomes]

    def close(self) -> None:
        for process, pipe in zip(self.processes, self.pipes, strict=True):
            if process.is_alive():
                pipe.send(None)
            process.join(10)
        self.folder.cleanup()


# Processes that end with what they are asked ------------------------------------------------------------------------


def run_apart(function: Callable[[int], None]) -> None:
    """function(rank) in two new processes.

    For a DistributedDataParallel: where one is freed PyTorch may wait for ever, since its last work needs the GIL.
    """
    with tempfile.TemporaryDirectory() as folder:
        pairs = [processes().Pipe() for _ in range(2)]
        for rank, (_, there) in enumerate(pairs):
            processes().Process(target=apart, args=(rank, f"{folder}/store", function, there), daemon=True).start()
        for rank, (here, _) in enumerate(pairs):
            assert here.poll(TIMEOUT), f"rank {rank} waits for ever"
            wrong = here.recv()
            assert not wrong, f"on rank {rank}: {wrong}"


def apart(rank: int, store: str, function: Callable[[int], None], done: Any) -> None:
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        function(rank)
        dist.barrier()
    except BaseException:
        done.send(traceback.format_exc())
    else:
        done.send(None)
    os._exit(0)
