"""The README's picture, docs/benchmark.svg, from a result alone: `python -m benchmarks.picture [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import load, newest

PICTURE = Path(__file__).parent.parent / "docs" / "benchmark.svg"
GREY = "#7d8590"  # reads on white and on black
COLOURS = {"ours": "#2da44e", "PyTorch": "#e5534b", "torch.compile": "#e0823d", "JAX": "#4c8dff", "SciPy": "#a475f9"}
MEMORY = ("copy", "read-only sum")  # the limits that the memory sets


def times_the_limit(row: dict[str, Any]) -> tuple[str, dict[str, float]] | None:
    """The row's memory limit, and everyone's time over it."""
    limit = next((limit for limit in row.get("fastest way", {}) if limit in MEMORY), None)
    if limit is None:
        return None
    median = {name: timing["median"] for name, timing in row["timings"].items()}
    ours = next(ratio["of"] for ratio in row["ratios"] if ratio["to"] == limit)
    unit = median[row["fastest way"][limit]]
    names = {"ours": ours} | {peer: peer for peer in COLOURS if peer in median}
    return limit, {name: median[timed] / unit for name, timed in names.items()}


def draw(result: dict[str, Any], path: Path = PICTURE) -> Path:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "softxent", "font.size": 10, "text.color": GREY})
    from matplotlib import pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    rows = [(row["row"], *found) for row in result["rows"] if (found := times_the_limit(row))]
    figure, axes = plt.subplots(figsize=(9, 0.36 * len(rows) + 1.3), layout="constrained")
    for y, (_, _, times) in enumerate(rows):
        ours = times["ours"]
        axes.plot([min(times.values()), max(times.values())], [y, y], color=GREY, linewidth=0.6, alpha=0.6, zorder=1)
        for name, x in times.items():
            size = 90 if name == "ours" else 40
            axes.scatter(x, y, s=size, color=COLOURS[name], zorder=3 if name == "ours" else 2)
        axes.annotate(f"{ours:.2f}", (ours, y), (0, 7), textcoords="offset points", ha="center", size=8)
    for name, colour in COLOURS.items():
        if any(name in times for _, _, times in rows):
            axes.scatter([], [], color=colour, label="softxent" if name == "ours" else name)

    axes.axvline(1, color=GREY, linewidth=1, linestyle=":")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.set_yticks(range(len(rows)), [label if limit == "copy" else f"{label} *" for label, limit, _ in rows])
    axes.invert_yaxis()
    where = f"{result['cpu']}, {result['threads']} threads, {result['date']}"
    axes.set_xlabel(f"time ÷ a copy (* a read-only sum) of the array; softxent in place\n{where}", color=GREY)
    axes.tick_params(colors=GREY, which="both")
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(GREY)
    figure.legend(loc="outside upper center", ncols=len(COLOURS), frameon=False)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, transparent=True, metadata={"Date": None})
    plt.close(figure)
    return path


if __name__ == "__main__":
    print(draw(load(Path(sys.argv[1]) if len(sys.argv) > 1 else newest())))
