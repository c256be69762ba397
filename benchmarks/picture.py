"""The pictures docs/benchmark.svg and docs/plane.svg from a result: `python -m benchmarks.picture [FILE]`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.machine import load, newest
from benchmarks.plane import BESIDE_FLOAT32, CLASSES, LAYOUTS, goal

DOCS = Path(__file__).parent.parent / "docs"
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


def pyplot() -> Any:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": "softxent", "font.size": 10, "text.color": GREY})
    from matplotlib import pyplot as plt

    return plt


def draw_all(result: dict[str, Any]) -> list[Path]:
    return [draw(result, DOCS / "benchmark.svg")] + (
        [draw_plane(result, DOCS / "plane.svg")] if result.get("plane") else []
    )


def draw(result: dict[str, Any], path: Path) -> Path:
    """Everyone's time over the limit set by memory, a line for each row."""
    plt = pyplot()
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
    axes.set_xlabel(f"time ÷ a copy (* a read-only sum) of the array; softxent in place\n{where(result)}", color=GREY)
    plain(axes, "bottom")
    figure.legend(loc="outside upper center", ncols=len(COLOURS), frameon=False)
    return saved(figure, path)


def where(result: dict[str, Any]) -> str:
    return f"{result['cpu']}, {result['threads']} threads, {result['date']}"


def plain(axes: Any, *sides: str) -> None:
    """Grey, and without the lines of the other sides."""
    axes.tick_params(colors=GREY, which="both")
    for side, spine in axes.spines.items():
        spine.set_visible(side in sides)
        spine.set_color(GREY)


def saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, transparent=True, metadata={"Date": None})
    pyplot().close(figure)
    return path


def draw_plane(result: dict[str, Any], path: Path) -> Path:
    """Time an element over the classes, as a ratio to the reference: left each layout, right each dtype and work."""
    kinds: dict[str, dict[int, dict[str, Any]]] = {}
    for cell in result["plane"]:
        kinds.setdefault(cell["kind"], {})[cell["classes"]] = cell
    dtypes = {"float32": "last axis"} | {dtype: f"last axis, {dtype}" for dtype in BESIDE_FLOAT32}
    others = {kind: kind for kind in ("statistics", "sample")}
    figure, (left, right) = pyplot().subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
    for axes, lines in ((left, {layout: layout for layout in LAYOUTS}), (right, dtypes | others)):
        for (label, kind), colour in zip(lines.items(), LINES, strict=False):
            line(axes, kinds[kind], "ratio", colour=colour, label=label)
        line(axes, kinds["last axis"], "PyTorch ratio", colour=GREY, label="PyTorch", linestyle="--")
        axes.plot(CLASSES, [goal(V) for V in CLASSES], color=GREY, linewidth=1.6, linestyle=":", label="goal")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_yticks(TICKS, [f"{y:g}" for y in TICKS], minor=False)
        axes.set_yticks([], minor=True)
        axes.set_xlabel("classes", color=GREY)
        axes.grid(axis="y", color=GREY, linewidth=0.4, alpha=0.4)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=8, ncols=3)
        plain(axes, "bottom")
    left.set_title("float32, each layout", fontsize=10, color=GREY)
    right.set_title("last axis, each dtype; goal and PyTorch: float32", fontsize=10, color=GREY)
    left.set_ylabel("time an element ÷ that of 1024 × 50257", color=GREY)
    figure.supxlabel(f"loss + gradient in place; {where(result)}", fontsize=9, color=GREY)
    return saved(figure, path)


LINES = (*COLOURS.values(), "#d4a72c", "#db61a2")
TICKS = (0.5, 1, 2, 4, 8, 16, 32, 64)


def line(axes: Any, cells: dict[int, dict[str, Any]], value: str, colour: str, **style: Any) -> None:
    points = [(V, cell[value]) for V, cell in sorted(cells.items()) if value in cell]
    if points:
        axes.plot(*zip(*points, strict=True), color=colour, linewidth=1.4, marker=".", markersize=4, **style)


if __name__ == "__main__":
    print(*draw_all(load(Path(sys.argv[1]) if len(sys.argv) > 1 else newest())), sep="\n")
