"""python -m benchmarks.linear: a last layer and its loss in chunks, beside its products alone and beside PyTorch.

Every row runs in a process of its own, whose contenders take turns: medians, and ratios of them. Peak memory is what a
further process's VmHWM rises by over one step, beyond arguments and gradients; a first step, with 64 rows, has made the
libraries start their threads and fill their buffers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.machine import load, provenance, save
from benchmarks.report import READMES, caption, duration, piped, replace_between

RESULTS = Path(__file__).parent / "results" / "linear.json"
PAGE = Path(__file__).parents[1] / "docs" / "linear.md"


@dataclass(frozen=True)
class Row:
    """N × D × V, what is computed, in which library, and the goals: ours as a ratio to the contender's."""

    work: str
    shape: tuple[int, int, int]
    library: str
    goals: dict[str, float]
    memory: float | None = None  # MB

    @property
    def label(self) -> str:
        return f"{self.work} {' × '.join(map(str, self.shape))} {self.library}"


def rows() -> list[Row]:
    gradients = {"products": 1.04, "plain": 1 / 1.3}
    found = []
    for library in ("numpy", "torch"):
        chunked = {"PyTorch's chunks": 0.4} if library == "torch" else {}
        found += [
            Row("gradients", (2048, 768, 50257), library, gradients | chunked, 64),
            Row("gradients", (8192, 512, 32000), library, gradients | chunked, 64),
            Row("half ignored", (2048, 768, 50257), library, {"all counted": 0.55}, 64),
            Row("gradients", (1024, 256, 1_000_000), library, {"products": 1.08}, 128),
            Row("gradients", (512, 64, 1000), library, {"plain": 1}),
            Row("gradients", (64, 128, 10), library, {"plain": 1}),
            Row("loss", (2048, 768, 50257), library, {"products": 1.04}, 64),
            Row("statistics", (2048, 768, 50257), library, {"products": 1.08}, 64),
            Row("sample", (64, 768, 131072), library, {"products": 1.1, "multinomial": 0.2}, 32),
        ]
    return [*found, Row("gradients", (2048, 768, 50257), "bfloat16", {"ours in float32": 1 / 1.6}, 64)]


def can_be_had(row: Row) -> bool:
    """Whether this processor multiplies bfloat16, if the row asks for it: elsewhere a product takes minutes."""
    if row.library != "bfloat16":
        return True
    from softxent.torch.linear_layer.products import multiplies_bfloat16  # not in the processes of NumPy's rows

    return multiplies_bfloat16()


# One row, in a process of its own -------------------------------------------------------------------------------------


def contenders(row: Row) -> dict[str, Callable[[], Any]]:
    n, d, v = row.shape
    if row.library == "numpy":
        import numpy as np

        rng = np.random.default_rng(0)
        x, W = rng.standard_normal((n, d), np.float32), rng.standard_normal((v, d), np.float32)
        W /= np.float32(d**0.5)
        return of_numpy(row, x, W, rng.integers(v, size=n))
    import torch

    x, W, t = torch.randn(n, d), torch.randn(v, d) / d**0.5, torch.randint(v, (n,))
    return of_torch(row, x, W, t)


def of_numpy(row: Row, x: Any, W: Any, t: Any) -> dict[str, Callable[[], Any]]:
    import numpy as np

    import softxent as sx
    from softxent.numpy.linear import Products

    def plain() -> Any:
        z = x @ W.T
        _, G = sx.cross_entropy_and_grad(z, t, out=z)
        return G @ W, G.T @ x

    library = Products(np.dtype(np.float32))
    to = np.empty_like(x), np.empty_like(W)
    found: dict[str, Callable[[], Any]] = {"products": lambda: products(row, library, x, W, *to)}
    if row.work == "half ignored":
        half = np.where(np.arange(len(t)) % 2, t, -100)
        return {
            "ours": lambda: sx.linear_cross_entropy_and_grad(x, W, half),
            "all counted": lambda: sx.linear_cross_entropy_and_grad(x, W, t),
        }
    if row.work == "gradients":
        return found | {"ours": lambda: sx.linear_cross_entropy_and_grad(x, W, t), "plain": plain}
    if row.work == "sample":
        return found | {"ours": lambda: sx.linear_sample(x, W, rng=0)}
    f = sx.linear_cross_entropy if row.work == "loss" else sx.linear_statistics
    return found | {"ours": lambda: f(x, W, t)}


def of_torch(row: Row, x: Any, W: Any, t: Any) -> dict[str, Callable[[], Any]]:
    import torch

    import softxent.torch as S
    from softxent.torch.linear_layer.products import Products

    E = torch.nn.functional

    def step(f: Callable[..., Any], t: Any = t, dtype: Any = torch.float32) -> Callable[[], Any]:
        inputs = x.to(dtype, copy=True).requires_grad_(), W.to(dtype, copy=True).requires_grad_()

        def run() -> Any:
            return torch.autograd.grad(f(*inputs, t), inputs)

        return run

    def plain(x: Any, W: Any, t: Any) -> Any:
        return E.cross_entropy(E.linear(x, W), t)

    def chunks(x: Any, W: Any, t: Any) -> Any:
        return E.linear_cross_entropy(x, W, t, options=torch.nn.LinearCrossEntropyOptions())

    if row.library == "bfloat16":
        return {
            "ours": step(S.linear_cross_entropy, dtype=torch.bfloat16),
            "ours in float32": step(S.linear_cross_entropy),
            "plain": step(plain, dtype=torch.bfloat16),
        }
    if row.work == "half ignored":
        half = torch.where(torch.arange(len(t)) % 2 == 1, t, -100)
        return {"ours": step(S.linear_cross_entropy, half), "all counted": step(S.linear_cross_entropy)}
    library = Products(x, torch.float32, torch.float32)
    to = torch.empty_like(x), torch.empty_like(W)
    found = {"products": lambda: products(row, library, x, W, *to)}
    if row.work == "gradients":
        # with a million classes PyTorch's chunks take minutes a step
        large = 10_000 < row.shape[2] < 1_000_000 and hasattr(torch.nn, "LinearCrossEntropyOptions")
        return found | {
            "ours": step(S.linear_cross_entropy), "plain": step(plain),
            **({"PyTorch's chunks": step(chunks)} if large else {}),
        }  # fmt: skip
    if row.work == "sample":
        return found | {
            "ours": lambda: S.linear_sample(x, W),
            "multinomial": lambda: torch.multinomial(torch.softmax(x @ W.T, 1), 1),
        }
    f = S.linear_cross_entropy if row.work == "loss" else S.linear_statistics
    return found | {"ours": lambda: f(x, W, t)}


def products(row: Row, library: Any, x: Any, W: Any, to_x: Any, to_W: Any) -> None:
    """What our plan multiplies, and nothing else."""
    import softxent as sx

    plan = sx.linear_plan(*row.shape, gradients=row.work == "gradients")
    (r, c), v = plan.chunk, row.shape[2]
    buffer = library.empty(r * c)
    for k in range(0, v, c):
        for passes in range(plan.products - 2 if plan.products > 1 else 1):
            for start in range(0, len(x), r):
                x_c, W_c = x[start : start + r], W[k : k + c]
                z = buffer[: len(x_c) * len(W_c)].reshape(len(x_c), len(W_c))
                library.product(x_c, W_c.T, z)
                if plan.products > 1 and passes == plan.products - 3:
                    to_x[start : start + r] = z @ W_c
                    library.add_product(z.T, x_c, to_W[k : k + c], first=not start)


def measure(row: Row, seconds: float) -> dict[str, float]:
    """The median time of each, in turn."""
    entries = contenders(row)
    times: dict[str, list[float]] = {name: [] for name in entries}
    for run in entries.values():
        run()
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or len(times["ours"]) < 3:
        for name, run in entries.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: median(found) for name, found in times.items()}


def peak(row: Row, name: str) -> float:
    """MB that one step of this contender takes beyond its arguments and the gradients."""
    n, d, v = row.shape
    contenders(Row(row.work, (64, d, v), row.library, {}))[name]()
    run = contenders(row)[name]
    gradients = 4 * d * (n + v) if row.work in ("gradients", "half ignored") else 0
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = status("VmRSS")
    run()
    return (status("VmHWM") - before - gradients // (1 + (row.library == "bfloat16"))) / 1e6


def status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


# All of them ----------------------------------------------------------------------------------------------------------


HEAD = """| work, N × D × V, library | ours | our time, as a ratio to | peak memory |
| --- | --: | --- | --- |"""
HEADS = {
    "en": (
        "loss and gradients, N × D × V",
        "ours",
        "÷ its products alone",
        "÷ logits, then loss",
        "peak: ours, theirs",
    ),
    "zh": ("损失与梯度，N × D × V", "本库用时", "÷ 矩阵乘积", "÷ 先求 logits 再求损失", "内存峰值：本库，后者"),
}
NAMES = {"numpy": "NumPy", "torch": "PyTorch"}


def line(found: dict[str, Any]) -> str:
    """Of the page's table."""
    times, peaks = found["seconds"], found["peak MB"]
    ratios = [ratio(times["ours"] / times[name], name, found["goals"].get(name)) for name in times if name != "ours"]
    memory = ", ".join(f"{name} {size:.0f} MB" for name, size in peaks.items())
    if found["memory"] and peaks["ours"] > found["memory"]:
        memory = f"**{memory} (≤ {found['memory']:.0f}, missed)**"
    return f"| {found['row']} | {duration(times['ours'])} | {'<br>'.join(ratios)} | {memory or '–'} |"


def ratio(value: float, name: str, goal: float | None) -> str:
    if goal is None:
        return f"{value:.2f}: {name}"
    return f"{value:.2f}: {name} (≤ {goal:.2f})" if value <= goal else f"**{value:.2f}: {name} (≤ {goal:.2f}, missed)**"


def cells(found: dict[str, Any]) -> list[str]:
    """A line of the READMEs' table."""
    times, peaks = found["seconds"], found["peak MB"]
    layer = f"{' × '.join(map(str, found['shape']))}, {NAMES[found['library']]}"
    ratios = [f"{times['ours'] / times[name]:.2f}" for name in ("products", "plain")]
    return [layer, duration(times["ours"]), *ratios, f"{peaks['ours']:.0f}, {peaks['plain']:.0f} MB"]


def write_pages(result: dict[str, Any]) -> None:
    layers = result["layers"]
    replace_between(PAGE, "linear", "\n".join([HEAD, *map(line, layers), "", caption(result)]))
    large = [found for found in layers if found["memory"] and {"products", "plain"} <= found["seconds"].keys()]
    for lang, readme in READMES.items():
        replace_between(readme, "linear", piped([[*HEADS[lang]], *map(cells, large)]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.linear", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", default="", help="only rows with this in their label; others stay as they were")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument(
        "--readme", action="store_true", help="measure nothing: write the pages' tables from the result"
    )
    parser.add_argument("--row", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.row is not None:
        row = rows()[args.row]
        print(json.dumps(peak(row, args.peak) if args.peak else measure(row, args.seconds)))
        return
    if args.readme:
        write_pages(load(RESULTS))
        return
    result = {**provenance(2), "layers": load(RESULTS)["layers"] if args.rows and RESULTS.exists() else []}
    print(HEAD)
    for k, row in enumerate(rows()):
        if args.rows in row.label and can_be_had(row):
            found = measured(k, row, args.seconds)
            print(line(found), flush=True)
            result["layers"] = [old for old in result["layers"] if old["row"] != row.label] + [found]
    order = [row.label for row in rows()]
    result["layers"].sort(key=lambda found: order.index(found["row"]))
    save(RESULTS, result)
    write_pages(result)


def measured(k: int, row: Row, seconds: float) -> dict[str, Any]:
    """Times and peaks of the k-th row, in processes of their own."""
    command = [sys.executable, "-m", "benchmarks.linear", "--row", str(k), "--seconds", str(seconds)]
    times = json.loads(subprocess.check_output(command))
    shown = [name for name in times if name in ("ours", "plain", "PyTorch's chunks")] if row.memory else []
    peaks = {name: json.loads(subprocess.check_output([*command, "--peak", name])) for name in shown}
    return {**asdict(row), "row": row.label, "seconds": times, "peak MB": peaks}


if __name__ == "__main__":
    main()
