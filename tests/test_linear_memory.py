"""memory_budget is a promise: by the operating system's account, in a process whose BLAS has run before."""

import json
import os
import subprocess
import sys

import pytest

from softxent.linear.plan import AUTO

MARGIN = 2**20  # of stacks and heaps, not of arrays
MEBI = 2**20
PAGES = {"MALLOC_MMAP_THRESHOLD_": "131072"}  # else glibc, once it has seen a large block, keeps those, in pieces

MEASURE = """
import ctypes, gc, json, sys
import numpy as np
import softxent as sx

trim = getattr(ctypes.CDLL(None), "malloc_trim", lambda _: None)

def resident(which):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(which))

def size(results):
    return sum(map(size, results)) if isinstance(results, tuple) else 0 if results is None else results.nbytes

def beyond(f):
    "Bytes, beyond arguments and results."
    f()  # BLAS keeps its buffers
    gc.collect()
    trim(0)
    open("/proc/self/clear_refs", "w").write("5")
    before = resident("VmRSS")
    results = f()
    return resident("VmHWM") - before - size(results)

def made(library, kind, rows, features, classes, dtype, target, budget, options):
    rng = np.random.default_rng(0)
    x, W = (rng.standard_normal((n, features), np.float32) for n in (rows, classes))
    t = rng.integers(classes, size=rows)
    if target == "half ignored":
        t[::2] = -100
    if target == "soft":
        t = np.full((rows, classes), 1 / classes, np.float32)
    options = dict(options, memory_budget=budget)
    if library == "torch":
        import torch
        import softxent.torch as S
        x, W, t = map(torch.tensor, (x, W, t))
        x, W = (a.to(getattr(torch, dtype)).requires_grad_(kind == "gradients") for a in (x, W))
        def gradients():
            x.grad = W.grad = None
            S.linear_cross_entropy(x, W, t, **options).backward()
            return x.grad, W.grad
        return gradients if kind == "gradients" else lambda: calls(S)[kind](x, W, t, options)
    x, W = x.astype(dtype), W.astype(dtype)
    if kind == "gradients":
        return lambda: sx.linear_cross_entropy_and_grad(x, W, t, **options)
    return lambda: calls(sx)[kind](x, W, t, options)

def calls(of):
    return {
        "loss": lambda x, W, t, options: of.linear_cross_entropy(x, W, t, **options),
        "statistics": lambda x, W, t, options: tuple(of.linear_statistics(x, W, t, **options)),
        "sample": lambda x, W, t, options: of.linear_sample(x, W, **options),
    }

import ml_dtypes
print(json.dumps([beyond(made(*case)) for case in json.load(sys.stdin)]))
"""

CASES = [  # what is made of rows × features × classes, of which dtype and target, with which options
    ("loss", 600, 64, 20_000, "float32", "hard", {}),
    ("gradients", 600, 64, 20_000, "float32", "hard", {}),
    ("gradients", 600, 64, 20_000, "float32", "half ignored", {}),
    ("gradients", 200, 64, 20_000, "float32", "soft", {}),
    ("gradients", 200, 64, 40_000, "float32", "hard", {"softcap": 3.0, "label_smoothing": 0.1, "z_loss": 0.01}),
    ("gradients", 200, 32, 100_000, "float32", "hard", {}),
    ("gradients", 400, 64, 20_000, "bfloat16", "hard", {}),
    ("gradients", 600, 1024, 4_000, "float32", "half ignored", {}),
    ("statistics", 600, 64, 20_000, "float32", "hard", {}),
    ("statistics", 200, 32, 100_000, "float32", "hard", {"softcap": 3.0}),
    ("sample", 600, 64, 20_000, "float32", "hard", {}),
    ("sample", 200, 32, 100_000, "float32", "hard", {"temperature": 0.7}),
    ("sample", 100, 32, 20_000, "float32", "hard", {"top_p": 0.9}),
    ("gradients", 350, 4, 20_000, "bfloat16", "hard", {}),  # where products take G in 16 bits, that is much beside W
]
BUDGETS = ["auto", 16 * MEBI, 32 * MEBI, 128 * MEBI]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells, and resets, the peak of a process")
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_a_call_holds_no_more_than_its_budget(library):
    first = ("numpy", "torch").index(library)
    cases = [(library, *case[:-1], BUDGETS[(first + k) % 4], case[-1]) for k, case in enumerate(CASES)]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE],
        input=json.dumps(cases),
        env=os.environ | PAGES,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    over = [
        f"{case}: {held / MEBI:.1f} MiB"
        for case, held in zip(cases, json.loads(done.stdout), strict=True)
        if held > (AUTO if case[-2] == "auto" else case[-2]) + MARGIN
    ]
    assert not over, "\n".join(over)
