"""python -m benchmarks.memory: the most memory that loss and backward take beyond the logits, in units of the logits.

Each way runs in a process of its own, whose peak (ru_maxrss) is read before and after the first step; the fastest of
the later ones is shown. With MALLOC_MMAP_MAX_=0 and MALLOC_TRIM_THRESHOLD_ set, glibc too keeps freed memory.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import time

KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**34)}
FRESH = "softxent.torch, keep_memory(False)"
WAYS = ("torch.nn.functional", FRESH, "softxent.torch", "softxent.torch, inplace=True")


def measure(way: str, rows: int, classes: int) -> None:
    """Prints peak / logits and the fastest step, in a process that has done nothing else."""
    import torch

    import softxent.torch as S

    S.keep_memory(way != FRESH)
    inputs, weight = torch.randn(rows, 8), torch.randn(classes, 8, requires_grad=True)
    target = torch.randint(classes, (rows,))
    options = {"inplace": True} if "inplace" in way else {}
    f = S.cross_entropy if way.startswith("softxent") else torch.nn.functional.cross_entropy
    f(torch.randn(4, 9, requires_grad=True), target[:4] % 9).backward()  # what starting up takes
    peaks, seconds = [], []
    for _ in range(6):
        logits = torch.nn.functional.linear(inputs, weight)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        loss = f(logits, target, **options)
        grad = torch.autograd.grad(loss, logits)
        seconds.append(time.perf_counter() - start)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
        del grad, loss
    print(peaks[0] * 1024 / (logits.numel() * 4), min(seconds[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1024)
    parser.add_argument("--classes", type=int, default=50257)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        return measure(args.way, args.rows, args.classes)
    print(f"{args.rows} × {args.classes} float32 {'peak / logits':>31} {'a step':>9} {'glibc keeps':>12}")
    for way in WAYS:
        command = [sys.executable, "-m", "benchmarks.memory", "--way", way]
        command += ["--rows", str(args.rows), "--classes", str(args.classes)]
        (peak, seconds), (_, kept) = (
            map(float, subprocess.check_output(command, env=os.environ | extra, text=True).split())
            for extra in ({}, KEEP)
        )
        print(f"{way:34} {peak:17.2f} {seconds * 1e3:6.0f} ms {kept * 1e3:9.0f} ms")


if __name__ == "__main__":
    main()
