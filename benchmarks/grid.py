"""The grid of small calls: forward + backward of softxent.torch beside eager PyTorch, rows × classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.rows import Row

ROWS = (1, 8, 32, 128, 256, 1024)
CLASSES = (2, 10, 100, 1000, 10000)
SOME = 1000  # logits, from which on a call is never to be slower than PyTorch's
GOAL, GOAL_OF_FEWER = 1.0, 1.1


def measured(threads: int, quick: bool, rng: np.random.Generator) -> list[dict[str, Any]]:
    """For each shape the median of both, in seconds, and ours over theirs."""
    from benchmarks.runner import Effort, time_row

    effort = Effort(rounds=(3, 3)) if quick else Effort(rounds=(11, 21))
    found = []
    for shape in ((rows, classes) for rows in ROWS for classes in CLASSES):
        if quick and shape[0] * shape[1] > 100_000:
            continue
        row = Row("autograd", shape, {"softxent.torch": {}}, {"PyTorch": None}, tight=True)
        timed = time_row(row, threads, effort, set(), rng)
        if timed["absent"]:
            return []
        ours, peer = (timed["timings"][name]["median"] for name in ("softxent.torch", "PyTorch"))
        goal = GOAL if shape[0] * shape[1] >= SOME else GOAL_OF_FEWER
        ratio = float(f"{ours / peer:.4g}")
        found.append({"shape": shape, "ours": ours, "PyTorch": peer, "ratio": ratio, "at most": goal})
        found[-1]["met"] = ratio <= goal
    return found


def table(grid: list[dict[str, Any]]) -> list[list[str]]:
    """Rows down, classes across: ours over PyTorch's, **missed goals** in bold; and ours in µs."""
    cells = {tuple(cell["shape"]): cell for cell in grid}
    lines = [["rows × classes", *(f"{classes:,}" for classes in CLASSES)]]
    for rows in ROWS:
        found = [cells.get((rows, classes)) for classes in CLASSES]
        lines.append([f"{rows:,}", *(_cell(cell) for cell in found)])
    return lines


def _cell(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "–"
    ratio = f"{cell['ratio']:.2f}"
    return (ratio if cell["met"] else f"**{ratio}**") + f" ({1e6 * cell['ours']:,.0f} µs)"
