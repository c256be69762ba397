"""python -m benchmarks.gpu: every row of the GPU's table beside its limit and the peers that are installed.

Contenders take turns on the same tensors; times are medians of the device's own clock, each call on tensors that no
cache holds. Beside the time: the most memory that a call takes beyond what is there before it, and the largest error of
what it returns for a few rows, half of them won by the target, in ULP of the exact results (reference.py).
"""

from __future__ import annotations

import argparse
import fnmatch
import secrets
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu_rows import GPURow, rows
from benchmarks.machine import RESULTS, load, provenance, save, slug

PAGE = Path(__file__).parents[1] / "docs" / "gpu.md"
TINY = 2**12  # elements
CHECKED = 2**19  # logits whose errors are found, or 16 rows of them: the exact results take their time
UNCHECKED = ("sample", "autograd", "layer_log_prob", "layer_sample")


# Measuring ------------------------------------------------------------------------------------------------------------


def measured(row: GPURow, args: argparse.Namespace, seed: int) -> dict[str, Any]:
    from benchmarks.gpu_contenders import LAYERS_ON_GPU, ON_GPU, Tensors
    from benchmarks.runner import Effort, entered, interleave, summary

    effort = Effort((3, 3), 0.05) if args.quick or args.tiny else Effort((7, 21), 0.5)
    skip = {"torch.compile"} if args.quick or args.tiny else set()
    field = LAYERS_ON_GPU if row.is_layer else ON_GPU
    run = row.cut(TINY) if args.tiny else row
    data = Tensors(run, args.device, seed)
    entries, absent = entered(run, data, skip, field)
    interleave(list(entries.values()), effort)
    peaks = {name: data.peak(entry.contender, entry.run) for name, entry in entries.items()}
    data.close()
    result = {"row": run.label, "work": row.work, "shape": run.shape, "dtype": row.dtype, "memory": row.memory}
    result |= summary(run, entries, absent, field)
    del data, entries
    names = [name for name in (*row.ours, *row.peers) if name in result["timings"]]
    found = errors(row, names, field, args.device, seed) if row.work not in UNCHECKED else {}
    return {**result, "peak": {name: peaks[name] for name in names}, "errors": found}


def errors(row: GPURow, names: list[str], field: Any, device: str, seed: int) -> dict[str, Any]:
    """The largest error of each quantity that a contender returns, in ULP of its own dtype; or why there is none."""
    from benchmarks.gpu_contenders import Tensors

    if row.is_layer:
        n, d, v = row.shape
        data = Tensors(replace(row, shape=(min(n, 16), min(d, 256), min(v, 4096))), device, seed)
        exact = exact_layer(data)
    else:
        data, exact = logits_and_results(row, device, seed)
    return {name: error_of(row.work, (field.ours | field.peers)[name], data, exact) for name in names}


def exact_layer(data: Any) -> dict[str, Any]:
    """From the same inputs, in float64; gradients beside the largest of them, as products add up in float32."""
    from benchmarks import reference

    inputs, weight = (x.double().cpu().numpy() for x in data.arrays)
    exact = reference.results(inputs @ weight.T, data.target.cpu().numpy(), normalizer=len(inputs))
    grad = exact["grad"].astype(np.float64)
    found = {"mean loss": exact["loss"].mean(), "grad_inputs": grad @ weight, "grad_weight": grad.T @ inputs}
    return found | {f"{name} terms": np.abs(found[name]).max() for name in ("grad_inputs", "grad_weight")}


def logits_and_results(row: GPURow, device: str, seed: int) -> tuple[Any, dict[str, Any]]:
    """A few rows, half of them won by their target, and what is exact."""
    from benchmarks import reference
    from benchmarks.gpu_contenders import Tensors, rows_of

    classes = row.shape[row.axis]
    data = Tensors(row.shrunk(classes * max(2, min(16, CHECKED // classes))), device, seed)
    x, t = rows_of(data.original, data.axis), data.target.reshape(-1)
    x[::2] = x[::2].clamp(-10, 10)
    x[range(0, len(x), 2), t[::2]] = 20  # the target wins: p_y − 1 cancels
    data.original = x.reshape(*data.target.shape, -1).movedim(-1, data.axis).contiguous()
    exact = reference.results(as_array(x), t.cpu().numpy(), normalizer=len(t))
    return data, exact | {"mean loss": exact["loss"].mean(), "log_prob": -exact["loss"]}


def error_of(work: str, kind: Any, data: Any, exact: dict[str, Any]) -> dict[str, float] | str:
    from benchmarks.ulp import ulp_error

    try:
        data.restore()
        contender = kind(data)
        contender.fresh()
        got = returned(work, contender, getattr(contender, work)(), data)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:120]}"
    found = {name: ulp_error(value, exact[name], exact.get(f"{name} terms", 0.0)).max() for name, value in got.items()}
    return {name: float(f"{largest:.4g}") for name, largest in found.items()}


def returned(work: str, contender: Any, result: Any, data: Any) -> dict[str, Any]:
    """What a call returned, by the names of reference.results, as rows × classes."""
    from benchmarks.gpu_contenders import rows_of

    if work == "layer":
        grads = (as_array(leaf.grad) for leaf in contender.leaves)
        return {"mean loss": as_array(result), **dict(zip(("grad_inputs", "grad_weight"), grads, strict=True))}
    if work == "loss_and_grad":
        leaf = getattr(contender, "leaf", None)
        loss = result[0] if isinstance(result, tuple) else result
        grad = data.logits if leaf is None else leaf.grad
        return {"mean loss": as_array(loss), "grad": as_array(rows_of(grad, data.axis))}
    if work == "loss":
        return {"mean loss": as_array(result)}
    if work == "statistics":
        return {"log_prob": as_array(result[0]).reshape(-1), "lse": as_array(result[2])}
    return {work: as_array(rows_of(result, data.axis))}


def as_array(x: Any) -> Any:
    import torch

    x = x.detach().cpu().contiguous()
    if x.dtype == torch.bfloat16:
        import ml_dtypes

        return x.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return x.numpy()


# The tables -----------------------------------------------------------------------------------------------------------

NOT_YET = {"en": "not measured yet", "zh": "尚未测量"}
WORDS = {
    "en": ("work", "ours", "of the limit", "memory", "largest error", "peers: time ÷ ours, memory, largest error"),
    "zh": ("计算", "本库用时", "与极限之比", "内存", "最大误差", "其他库：用时 ÷ 本库用时，内存，最大误差"),
}
NO_RESULT = {  # of the READMEs, which show no goals
    "en": "Not measured yet: so far the kernels have run in Triton's interpreter, and are compiled for four chips and "
    "checked: [docs/gpu.md](docs/gpu.md).",
    "zh": "尚未测量：目前这些核函数只在 Triton 的解释器中运行过，并为四种芯片编译和检查："
    "见 [docs/gpu.md](docs/gpu.md)。",
}
SHORT = ("loss_and_grad", "layer")  # what the READMEs show, of bfloat16
HOW = {
    "en": "A call's time on the GPU; memory beyond what is there before it; errors in ULP. `python -m benchmarks.gpu`",
    "zh": "时间为 GPU 上一次调用的中位数；内存为调用前之外的峰值；误差以 ULP 计。`python -m benchmarks.gpu`",
}


def table(result: dict[str, Any] | None, lang: str = "en", short: bool = False) -> list[list[str]]:
    found = {each["row"]: each for each in result["gpu"]} if result else {}
    shown = [row for row in rows() if not short or (row.work in SHORT and row.dtype == "bfloat16")]
    return [list(WORDS[lang]), *(line(row, found.get(row.label), lang) for row in shown)]


def line(row: GPURow, found: dict[str, Any] | None, lang: str) -> list[str]:
    from benchmarks.report import _of_limit, duration, say

    ((ours, limits),) = row.ours.items()
    label = say(found["row"] if found else row.label, lang)
    if found is None:
        goals = ", ".join(f"≤ {at_most:g} × {say(limit, lang)}" for limit, at_most in limits.items())
        return [label, NOT_YET[lang], goals, "–" if row.memory is None else f"≤ {size(row.memory)}", "–", "–"]
    ratios = "<br>".join(say(_of_limit(ratio), lang) for ratio in found["ratios"] if ratio["of"] == ours)
    peak = found["peak"][ours]
    memory = size(peak)
    if peak is not None and row.memory is not None:
        goal = f"≤ {size(row.memory)}"
        memory = f"{memory} ({goal})" if peak <= row.memory else f"**{memory} ({goal}, missed)**"
    peers = "<br>".join(say(peer(name, ours, found), lang) for name in row.peers)
    time_of_ours = duration(found["timings"][ours]["median"])
    return [label, time_of_ours, ratios, memory, largest_error(found["errors"].get(ours)), peers]


def peer(name: str, ours: str, found: dict[str, Any]) -> str:
    if name in found["absent"]:
        return f"{name}: {found['absent'][name]}"
    ratio = next(r["ratio"] for r in found["ratios"] if r["of"] == name and r["to"] == ours)
    return f"{name}: {ratio:.3g} ×, {size(found['peak'][name])}, {largest_error(found['errors'].get(name))}"


def size(bytes_: float | None) -> str:
    if bytes_ is None:
        return "–"
    return f"{bytes_ / 1e9:.3g} GB" if bytes_ >= 1e9 else f"{bytes_ / 1e6:.3g} MB"


def largest_error(found: dict[str, float] | str | None) -> str:
    if not found or isinstance(found, str):
        return found or "–"
    return f"{max(found.values()):.3g} ULP"


def caption(result: dict[str, Any] | None, lang: str) -> str:
    if result is None:
        return HOW[lang]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if version)
    return f"{result['gpu name']}, {result['date']}: {versions}. {HOW[lang]}"


def newest() -> dict[str, Any] | None:
    files = [load(path) for path in RESULTS.glob("*.json")]
    return max((found for found in files if "gpu" in found), key=lambda found: found["date"], default=None)


def pages() -> list[tuple[Path, str, bool]]:
    """Each with its language, and whether it shows few rows."""
    from benchmarks.report import READMES

    return [(PAGE, "en", False)] + [(path, lang, True) for lang, path in READMES.items()]


def text(result: dict[str, Any] | None, lang: str, short: bool) -> str:
    from benchmarks.report import piped

    if short and result is None:
        return NO_RESULT[lang]
    return f"{piped(table(result, lang, short))}\n\n{caption(result, lang)}"


def write_pages(result: dict[str, Any] | None) -> list[Path]:
    from benchmarks.report import replace_between

    return [path for path, lang, short in pages() if replace_between(path, "gpu", text(result, lang, short))]


# The command ----------------------------------------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", default="*", metavar="PATTERN", help="only rows like this: '*131072*bfloat16*'")
    parser.add_argument("--list", action="store_true", help="print the rows' names and stop")
    parser.add_argument("--quick", action="store_true", help="few rounds, no torch.compile; not saved")
    parser.add_argument("--tiny", action="store_true", help="tiny tensors, to see that everything runs; not saved")
    parser.add_argument("--device", default="cuda", help="cuda, or cpu with --tiny")
    parser.add_argument("--output", type=Path, metavar="FILE", help="the result (default: results/<gpu>.json)")
    parser.add_argument("--readme", action="store_true", help="no timing: the pages' tables from a result")
    args = parser.parse_args(argv)
    if args.readme:
        print(*write_pages(load(args.output) if args.output else newest()), sep="\n")
        return
    wanted = [row for row in rows() if fnmatch.fnmatch(row.label, args.rows)]
    if args.list or not wanted:
        print(*(row.label for row in wanted or rows()), sep="\n")
        sys.exit(None if wanted else f"--rows {args.rows!r} matches no row")
    import torch

    if args.device == "cuda" and not torch.cuda.is_available():
        sys.exit("python -m benchmarks.gpu needs a GPU; --device cpu --tiny shows without one that everything runs")

    from benchmarks import machine

    name = torch.cuda.get_device_name() if args.device == "cuda" else "no GPU"
    seed = secrets.randbits(32)
    result = {**provenance(1, machine.ON_GPU), "gpu name": name, "seed": seed, "gpu": []}
    for i, row in enumerate(wanted, 1):
        start = time.perf_counter()
        result["gpu"].append(measured(row, args, seed))
        cells = line(row, result["gpu"][-1], "en")
        print(f"[{i}/{len(wanted)}, {time.perf_counter() - start:.0f} s]", *cells, sep="  ", flush=True)
    complete = args.rows == "*" and not args.quick and not args.tiny
    if args.output or complete:
        path = args.output or RESULTS / f"{slug(name)}.json"
        save(path, result)
        print(path)
    if complete and not args.output:
        print(*write_pages(result), sep="\n")


if __name__ == "__main__":
    main()
