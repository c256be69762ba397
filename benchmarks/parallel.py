"""torchrun --nproc-per-node 2 -m benchmarks.parallel: classes split over ranks, beside loss_parallel() and one rank.

Loss and backward of float32 logits, on processes of one thread each that talk by gloo; the best of several, on the
slowest rank. One rank has all classes and PyTorch's or softxent's loss alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.distributed.tensor.parallel import loss_parallel

import softxent.torch as S
from benchmarks.machine import provenance
from benchmarks.report import caption, duration, piped, replace_between
from softxent.torch import parallel

PAGE = Path(__file__).parents[1] / "docs" / "parallel.md"
SHAPES = [(512, 50257), (64, 131072), (8, 1000)]
TIMES = 9


def ours(x: Tensor, t: Tensor, edges: tuple[int, int]) -> None:
    parallel.cross_entropy(x, t, None, *edges).backward()


def theirs(x: Tensor, t: Tensor, mesh: DeviceMesh) -> None:
    with loss_parallel():
        logits = DTensor.from_local(x, mesh, [Shard(1)], run_check=False)
        F.cross_entropy(logits, t).backward()


def best(step: Callable[..., None], x: Tensor, *given: object) -> float:
    """Seconds on the slowest rank."""
    found = []
    for _ in range(TIMES):
        x.grad = None
        dist.barrier()
        start = time.perf_counter()
        step(x, *given)
        taken = torch.tensor(time.perf_counter() - start)
        dist.all_reduce(taken, dist.ReduceOp.MAX)
        found.append(taken.item())
    return min(found)


def row(rows: int, classes: int, mesh: DeviceMesh) -> list[str]:
    rank, ranks = dist.get_rank(), dist.get_world_size()
    each = -(-classes // ranks)
    start, stop = min(classes, rank * each), min(classes, (rank + 1) * each)
    target = torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(0))
    part = torch.randn(rows, stop - start, requires_grad=True)
    whole = torch.randn(rows, classes, requires_grad=True)
    split = best(ours, part, target, (start, classes)), best(theirs, part, target, mesh)
    alone = best(lambda x, t: S.cross_entropy(x, t).backward(), whole, target)
    plain = best(lambda x, t: F.cross_entropy(x, t).backward(), whole, target)
    return [f"{rows} × {classes}", *map(duration, (*split, alone, plain))]


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    ranks = dist.get_world_size()
    head = [
        f"rows × classes, {ranks} ranks",
        "`parallel`",
        "`loss_parallel()`",
        "one rank, softxent",
        "one rank, PyTorch",
    ]
    mesh = init_device_mesh("cpu", (ranks,))
    lines = [head, *(row(*shape, mesh) for shape in SHAPES)]
    if dist.get_rank() == 0:
        text = f"{piped(lines)}\n\n{caption(provenance(1))}"
        print(text)
        replace_between(PAGE, "parallel", text)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
