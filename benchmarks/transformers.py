"""python -m benchmarks.transformers: a training step of a small GPT-2 through use(model), beside the plain one.

Each way runs in a process of its own. Its peak is VmHWM, set back after warming up: what the step takes beyond what was
there, which is the weights, their gradients and AdamW's state.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import RESULTS, provenance, save, use_threads

WAYS = {"plain": "transformers", "use": "`use(model)`"}
# 30 million parameters, most of them in the tied embedding; dropout would hide the last layer's share of the time
GPT2 = {
    "vocab_size": 50257,
    "n_embd": 384,
    "n_layer": 6,
    "n_head": 6,
    "n_positions": 512,
    "embd_pdrop": 0,
    "attn_pdrop": 0,
    "resid_pdrop": 0,
}
PAGE = Path(__file__).parent.parent / "docs" / "transformers.md"


def memory(name: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found, f"/proc/self/status has no {name}"
    return int(found[1]) * 1024


def measure(way: str, rows: int, length: int, steps: int, threads: int) -> None:
    """Prints what one way took, as JSON."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = GPT2LMHeadModel(GPT2Config(**GPT2)).train()
    if way == "use":
        from softxent.transformers import use

        use(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    ids = torch.randint(model.config.vocab_size, (rows, length))

    def step(ids: Any) -> float:
        optimizer.zero_grad(set_to_none=False)  # the gradients' memory stays, and is no part of the peak
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        optimizer.step()
        return loss.item()

    step(ids[:1, :8])
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM := VmRSS
    losses, seconds, peaks = [], [], []
    for _ in range(steps):
        start = time.perf_counter()
        losses.append(step(ids))
        seconds.append(time.perf_counter() - start)
        peaks.append(memory("VmHWM") - before)
    parameters = sum(p.numel() for p in model.parameters())
    print(json.dumps({"parameters": parameters, "peak": peaks[-1], "seconds": seconds, "losses": losses}))


def table(result: dict[str, Any]) -> str:
    """The lines of docs/transformers.md."""
    lines = ["| | peak of a step | a step |", "|---|--:|--:|"]
    for way, name in WAYS.items():
        found = result["ways"][way]
        peak, fastest = found["peak"] / 2**20, min(found["seconds"])
        lines.append(f"| {name} | {peak:,.0f} MiB | {fastest:.2f} s |")
    versions = result["versions"]
    named = ", ".join(f"{name} {versions[name]}" for name in ("softxent", "torch", "transformers"))
    peak = "The fastest of the steps, and what they take beyond the weights, their gradients and the optimizer's state."
    return "\n".join(
        [*lines, "", f"{peak} {result['cpu']}, {result['threads']} threads, {result['date']}: {named}.", ""]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transformers", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    sizes = {name: getattr(args, name) for name in ("rows", "length", "steps", "threads")}
    if args.way:
        return measure(args.way, **sizes)
    use_threads(args.threads)
    import transformers

    result: dict[str, Any] = {**provenance(args.threads), "sizes": sizes, "model": GPT2, "ways": {}}
    result["versions"]["transformers"] = transformers.__version__
    for way in WAYS:
        command = [sys.executable, "-m", "benchmarks.transformers", "--way", way]
        command += [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
        result["ways"][way] = json.loads(subprocess.check_output(command, text=True).splitlines()[-1])
    if sizes == {name: parser.get_default(name) for name in sizes}:
        save(RESULTS / "transformers.json", result)
        show(result)
    print(table(result))


def show(result: dict[str, Any]) -> None:
    parts = re.split(r"(<!-- /?transformers -->\n)", PAGE.read_text(encoding="utf-8"))
    PAGE.write_text("".join([*parts[:2], table(result), *parts[3:]]), encoding="utf-8")


if __name__ == "__main__":
    main()
