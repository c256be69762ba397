"""The plane: our time an element over classes × layout × dtype, as a ratio to our own at 1024 × 50257 in the same run.

Each cell is timed in turn with that reference, so that what disturbs one disturbs both. What is relative to another
cell (16-bit to float32, an option to none) is a ratio of the two ratios.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.rows import Row

REFERENCE = Row("loss_and_grad", (1024, 50257), {}, {})
ELEMENTS = 2**24  # of float32 twice as much as the largest last-level cache that we know of holds: 64 MiB
CLASSES = (2, 3, 5, 9, 10, 20, 32, 64, 100, 200, 1000, 10_000, 131_072, 1_000_000)
RANGES = ((2, 9, 4.0), (10, 31, 2.2), (32, 10**6, 1.5))  # classes from, to: at most this many times the reference
BESIDE_FLOAT32 = {"float64": 2.2, "float16": 1.3, "bfloat16": 1.3}
LAYOUTS: dict[str, tuple[tuple[str, ...], int, tuple[int, ...]]] = {  # the axes, that of the classes, and their steps
    "last axis": (("N", "V"), -1, ()),
    "axis 1 of 3": (("n", "V", "plane"), 1, ()),
    "axis 0": (("V", "N"), 0, ()),
    "last axis, rows reversed": (("N", "V"), -1, (-1, 1)),
    "last axis, classes stepped": (("N", "V"), -1, (1, 2)),
    "axis 0, rows reversed": (("V", "N"), 0, (1, -1)),
    "axis 0, rows stepped": (("V", "N"), 0, (1, 2)),
}
OPTIONS: dict[str, tuple[dict[str, Any], float]] = {  # at 1000 classes: at most this many times plain
    "label_smoothing": ({"label_smoothing": 0.1}, 1.6),
    "class_weight": ({"class_weight": np.linspace(0.5, 2, 1000)}, 1.6),
    "z_loss": ({"z_loss": 1e-4}, 1.6),
    "temperature": ({"temperature": 0.7}, 1.6),
    "softcap": ({"softcap": 30.0}, 3.0),
}
ONE_ROW = ((1, 131_072), 1.6)


@dataclass(frozen=True)
class Cell:
    row: Row
    kind: str  # a line of the table
    at_most: float
    beside: tuple[str, int] | None = None  # kind and classes that the goal is relative to; None: the reference
    peer: bool = False

    @property
    def classes(self) -> int:
        return self.row.shape[self.row.axis]


def cells() -> Iterator[Cell]:
    for layout in LAYOUTS:
        for V in CLASSES:
            yield Cell(row_of(layout, V), layout, goal(V), peer=layout in ("last axis", "axis 1 of 3"))
    for dtype, at_most in BESIDE_FLOAT32.items():
        for layout in ("last axis", "axis 1 of 3"):
            for V in CLASSES:
                row = row_of(layout, V, dtype=dtype)
                yield Cell(row, f"{layout}, {dtype}", at_most, (layout, V), peer=layout == "last axis")
    for work in ("statistics", "sample"):
        for V in CLASSES:
            yield Cell(row_of("last axis", V, work=work), work, goal(V), peer=V >= 100)  # theirs take seconds
    for name, (options, at_most) in OPTIONS.items():
        yield Cell(row_of("last axis", 1000, options=options), name, at_most, ("last axis", 1000))
    yield Cell(Row("loss_and_grad", ONE_ROW[0], {}, {}), "one row", ONE_ROW[1], peer=True)


def goal(V: int) -> float:
    return next(at_most for first, last, at_most in RANGES if first <= V <= last)


def row_of(layout: str, V: int, work: str = "loss_and_grad", **of_row: Any) -> Row:
    axes, axis, steps = LAYOUTS[layout]
    rows = ELEMENTS // V
    plane = min(rows, 2**16)
    sizes = {"V": V, "N": rows, "n": rows // plane, "plane": plane}
    return Row(work, tuple(sizes[name] for name in axes), {}, {}, axis, steps=steps, **of_row)


def measured(threads: int, quick: bool, rng: np.random.Generator) -> list[dict[str, Any]]:
    from benchmarks.contenders import Data
    from benchmarks.runner import Effort

    elements = 2**16 if quick else None
    reference = Data(REFERENCE.shrunk(elements) if elements else REFERENCE, threads, rng)
    effort = Effort(rounds=(2, 2)) if quick else Effort(rounds=(5, 7), seconds=0.3)
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for cell in cells():
        row = cell.row.shrunk(elements) if elements else cell.row
        print(f"plane: {cell.kind}, {cell.classes} classes", file=sys.stderr)
        timed = time_cell(Data(row, threads, rng), row.work, cell.peer, reference, effort)
        base = found[cell.beside]["ratio"] if cell.beside else 1.0
        timed["relative"] = _digits(timed["ratio"] / base)
        timed |= {"to": cell.beside[0] if cell.beside else "reference", "at most": cell.at_most}
        timed["met"] = timed["relative"] <= cell.at_most
        found[cell.kind, cell.classes] = {"kind": cell.kind, "classes": cell.classes, "shape": row.shape} | timed
    reference.close()
    return list(found.values())


def time_cell(data: Any, work: str, peer: bool, reference: Any, effort: Any) -> dict[str, Any]:
    """ns an element, and its ratio to the reference's; the peer's ratio to the same."""
    from benchmarks.contenders import InPlace, PyTorch, Softxent
    from benchmarks.runner import interleave, warm_up

    ours = InPlace if work == "loss_and_grad" else Softxent
    entries = {"ours": warm_up(ours, work, data, []), "reference": warm_up(InPlace, "loss_and_grad", reference, [])}
    if peer and not PyTorch.missing():
        with suppress(ValueError):  # its loss is no number: the float16 sum of many rows overflows
            entries["PyTorch"] = warm_up(PyTorch, work, data, [])
    interleave(list(entries.values()), effort)
    data.close()
    ns = {name: 1e9 * np.median(e.samples) / e.contender.data.logits.size for name, e in entries.items()}
    found = {name: _digits(value) for name, value in ns.items()}
    found["ratio"] = _digits(ns["ours"] / ns["reference"])
    return found | ({"PyTorch ratio": _digits(ns["PyTorch"] / ns["reference"])} if "PyTorch" in ns else {})


def _digits(x: float) -> float:
    return float(f"{x:.4g}")


# The table ----------------------------------------------------------------------------------------------------------


def table(plane: list[dict[str, Any]]) -> list[list[str]]:
    """For each kind and range of classes the largest ratio, where it is, and the goal; **missed ones** in bold.

    And the smallest and largest ratio of PyTorch's time to ours.
    """
    names = [f"{first} … {last} classes" if last < 10**6 else f"{first} and more" for first, last, _ in RANGES]
    lines = [["time an element", "÷ that of", *names, "PyTorch ÷ ours"]]
    for kind in dict.fromkeys(cell["kind"] for cell in plane):
        of_kind = [cell for cell in plane if cell["kind"] == kind]
        worst = []
        for first, last, _ in RANGES:
            within = [cell for cell in of_kind if first <= cell["classes"] <= last]
            worst.append(_cell(max(within, key=lambda cell: cell["relative"])) if within else "–")
        beside = "1024 × 50257" if of_kind[0]["to"] == "reference" else of_kind[0]["to"]
        peer = [cell["PyTorch"] / cell["ours"] for cell in of_kind if "PyTorch" in cell]
        lines.append([kind, beside, *worst, f"{min(peer):.3g} … {max(peer):.3g}" if peer else "–"])
    return lines


def _cell(cell: dict[str, Any]) -> str:
    ratio = f"{cell['relative']:.2f} at {cell['classes']:,} (≤ {cell['at most']:g})"
    return ratio if cell["met"] else f"**{ratio}**"
