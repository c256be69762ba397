"""The cases that every test and benchmark draws on: logits, targets, options, and how far a result may be off.

Logits are float64 matrices, rows × classes, to be rounded to a dtype with `Case.logits_as`. Each names the branch of
the kernel that it is there for; sizes sit on both sides of the kernel's constants, whatever these are:

    FEW_CLASSES  the most that are computed across rows, wherever the class axis lies
    STRIP        of a row, whose largest logit may need a new range
    SEGMENT      of a row, which another thread may take
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

FLOAT32, FLOAT64, FLOAT16 = np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16)
BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
DTYPES = (FLOAT32, FLOAT64, FLOAT16, BFLOAT16)
WIDE = (FLOAT32, FLOAT64)  # where 16-bit logits, which differ at the ends only, would prove nothing new
INF, NAN = np.inf, np.nan


def constant(file: str, name: str) -> int:
    """A constant of the kernel's source."""
    source = Path(__file__).parents[1] / "src/softxent/kernels/cpu" / file
    found = re.search(rf"\b{name} = (\d+)", source.read_text("utf-8"))
    assert found, f"{file} has no constant {name}"
    return int(found[1])


FEW = constant("passes/tiles.hpp", "FEW_CLASSES")
STRIP, SEGMENT = constant("passes/strip.hpp", "STRIP"), constant("passes/row.hpp", "SEGMENT")


def computed_in(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Losses have this dtype, and z is rounded to it."""
    return FLOAT64 if dtype == FLOAT64 else FLOAT32


def tolerance(dtype: np.dtype[Any], classes: int) -> float:
    """The published bound in ULP of `dtype`; 16-bit results are rounded once, from float32. The same for any V."""
    del classes
    return 4 if dtype in (FLOAT32, FLOAT64) else 1


def definition_error(dtype: np.dtype[Any], classes: int) -> float:
    """How far apart, relative to the terms, definition.py and an exact result may be, both rounded to `dtype`.

    definition.py rounds z − m in float64 (exp multiplies that by up to 745) and adds up V terms.
    """
    return tolerance(dtype, classes) * float(ml_dtypes.finfo(dtype).eps) + 2.0**-53 * (2 * 745 + classes)


def assert_close(
    got: Array, expected: Array, tolerance: float, terms: Array | float = 0, subnormals: float = 4
) -> None:
    """|got − expected| ≤ tolerance · the size of the terms that it was made of, down to the subnormals; inf as inf."""
    floor = subnormals * float(ml_dtypes.finfo(np.asarray(got).dtype).smallest_subnormal)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = np.asarray(expected).astype(np.asarray(got).dtype)  # inf beyond its range
        got, expected = np.asarray(got, np.float64), np.asarray(expected)
        bound = np.maximum(tolerance * np.maximum(np.abs(expected), terms), floor)
        right = (
            (np.abs(got - expected) <= bound) | (got == rounded.astype(np.float64)) | np.isnan(got) & np.isnan(expected)
        )
    wrong = np.argwhere(~right)
    assert not len(wrong), f"{len(wrong)} wrong, first {wrong[0]}: {got[~right][0]!r}, expected {expected[~right][0]!r}"


# Logits -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Case:
    """Rows × classes, and the dtypes that can hold them."""

    name: str
    logits: Array
    dtypes: tuple[np.dtype[Any], ...] = DTYPES

    @property
    def classes(self) -> int:
        return self.logits.shape[1]

    def __str__(self) -> str:
        return self.name

    def logits_as(self, dtype: np.dtype[Any]) -> Array:
        return self.logits.astype(dtype)

    @cache  # noqa: B019, cases live as long as the tests
    def target(self) -> Array:
        """The largest, the second, the smallest and some class, in turn."""
        order = np.argsort(np.where(np.isnan(self.logits), 0, self.logits), axis=-1, kind="stable")
        some = np.random.default_rng(self.classes).integers(self.classes, size=len(order))
        second = order[:, -2 if self.classes > 1 else -1]
        choices = np.stack([order[:, -1], second, order[:, 0], some])
        return choices[np.arange(len(order)) % 4, np.arange(len(order))]

    def probabilities(self) -> Array:
        """As many zeros as not, those of −inf logits among them; rows need not sum to 1."""
        rng = np.random.default_rng(self.classes)
        t = rng.choice([0, 0, 0, 0.3, 1, 2.5], self.logits.shape)
        t[:, 0] += 0.1
        t /= t.sum(axis=-1, keepdims=True)
        t[1::2] *= 0.75
        return np.where(np.isneginf(self.logits), 0, t)


def gaussian(classes: int, sigma: float, rows: int = 4, about: float = 0) -> Array:
    rng = np.random.default_rng([classes, int(sigma * 10), rows, int(abs(about))])
    return about + sigma * rng.standard_normal((rows, classes))


def uniform(classes: int, most: float, rows: int = 4) -> Array:
    rng = np.random.default_rng(classes)
    return most * rng.uniform(-1, 1, 80)[rng.integers(80, size=(rows, classes))]


def signs(classes: int, size: float, rows: int = 4) -> Array:
    return size * np.random.default_rng(classes).choice([-1.0, 1.0], (rows, classes))


def masked(classes: int, keep: float, rows: int = 4) -> Array:
    """−inf but for a share of the classes, the last of them among it."""
    kept = np.random.default_rng(classes).random((rows, classes)) < keep
    kept[:, -1] = True
    return np.where(kept, few_values(classes, 5, rows, 80), -INF)


def few_values(classes: int, sigma: float, rows: int = 1, count: int = 300) -> Array:
    """Long rows of `count` different logits, so that mpmath is done in a second."""
    rng = np.random.default_rng(classes)
    return sigma * rng.standard_normal(count)[rng.integers(count, size=(rows, classes))]


def strips(*levels: float, width: int = STRIP, rows: int = 4) -> Array:
    """One strip about each level; the last one is a part."""
    noise = few_values(width * len(levels) - width // 3, 1, rows, count=40)
    return noise + np.repeat(levels, width)[: noise.shape[1]]


def rising(by: float, classes: int = 5 * STRIP + STRIP // 2) -> Array:
    """Each strip's largest is `by` above the one before it."""
    return np.floor(np.arange(classes) * 32 / STRIP)[None] / 32 * by + few_values(8, 1, 3)[:, [0]]


def with_one(value: float, classes: int, at: int) -> Array:
    logits = few_values(classes, 5, 3, 40)
    logits[1, at] = value
    return logits


def one_ahead(classes: int, largest: float, by: float, rows: int = 4) -> Array:
    """Equal others: their terms round the same way each time they are added to a sum, wherever it stands."""
    return np.where(np.arange(classes) == classes // 3, largest, largest - by) * np.ones((rows, 1))


def geometric(classes: int, by: float, rows: int = 4) -> Array:
    """p_j falls from class to class by the factor exp(−by)."""
    return -by * np.arange(classes) * np.ones((rows, 1))


def rows_of(*rows: list[float], times: int = 4) -> Array:
    return np.repeat(np.array(rows, np.float64), times, axis=0)


def not_float16() -> tuple[np.dtype[Any], ...]:
    return (FLOAT32, FLOAT64, BFLOAT16)


CASES = [
    *(Case(f"V={v} σ={s}", gaussian(v, s)) for s in (1, 5, 20, 100) for v in (2, 3, 10)),
    *(Case(f"V={v} σ={s}", gaussian(v, s)) for v, s in ((47, 100), (48, 5), (49, 1), (49, 20))),
    *(Case(f"V={v} σ={s}", few_values(v, s, 4, 80)) for v, s in ((FEW - 1, 100), (FEW, 5), (FEW + 1, 5))),
    *(Case(f"V=1000 σ={s}", few_values(1000, s, 2), WIDE) for s in (1, 20, 100)),
    Case("V=1000 σ=5", gaussian(1000, 5, 2)),
    *(
        Case(f"V={v} σ={s}", few_values(v, s, 4, 80))
        for v, s in ((257, 20), (STRIP - 1, 1), (STRIP, 5), (STRIP + 1, 20), (2 * STRIP + 1, 100))
    ),
    Case("one class", gaussian(1, 20)),
    # z − m is exact from EXACT on: 512 in float32, 4096 in float64
    *(Case(f"V=300 about {m}", m + few_values(300, 20, 4, 80), WIDE) for m in (500, -500, 4100, -6e4)),
    *(Case(f"V=10 about {m}", gaussian(10, 5, about=m)) for m in (88, -88, 512, -4096, 3e4)),
    *(Case(f"V={v} within ±1e4", uniform(v, 1e4)) for v in (3, 10, 300)),
    *(Case(f"V={v} at ±1e4", signs(v, 1e4)) for v in (2, 10, 300)),
    *(Case(f"V={v} at ±3e38", signs(v, 3e38), not_float16()) for v in (2, 10, 300)),
    Case("V=10 at ±1e38", signs(10, 1e38), not_float16()),  # and the same in float32 divided by T
    *(Case(f"V={v} within ±3e38", uniform(v, 3e38), not_float16()) for v in (3, 300)),
    *(Case(f"V={v} at ±1e308", signs(v, 1e308), (FLOAT64,)) for v in (2, 10, 300)),
    *(Case(f"V={v} within ±1e308", uniform(v, 1e308), (FLOAT64,)) for v in (3, 300)),
    Case("m and log Σ cancel", rows_of([-0.5206, -0.9015, -0.43327], times=1) + gaussian(3, 1e-3, 8), (FLOAT64,)),
    Case("subnormal logits", rows_of([1e-40, -1e-45, 0], [1e-310, 5e-324, -2e-308])),
    # the running maximum of a row rises or falls by more than HEADROOM, 27 and 200, with each strip
    *(Case(f"ascending by {s}", rising(s), WIDE) for s in (20, 40, 150, 300)),
    *(Case(f"descending by {s}", -rising(s), WIDE) for s in (40, 300)),
    *(Case(f"strips {a}, {b}, {a}", strips(a, b, a), WIDE) for a, b in ((0, 26), (0, 28), (0, 40), (0, 90), (0, 101))),
    *(
        Case(f"strips {a}, {b}, {a}", strips(a, b, a), WIDE)
        for a, b in ((0, 130), (0, 199), (0, 201), (0, 400), (0, 700))
    ),
    *(Case(f"strips {a}, {b}, {a}", strips(a, b, a), WIDE) for a, b in ((0, 740), (90, 0), (700, 0), (-50, -95))),
    # from one kind of range to the other: conversion() is no power of two
    Case("strips 460, 560, 490", strips(460, 560, 490), WIDE),
    Case("strips -560, -460", strips(-560, -460, rows=2), WIDE),
    Case("strips 3950, 4150, 4420", strips(3950, 4150, 4420), WIDE),
    Case("strips 3800, 4500", strips(3800, 4500), WIDE),
    # Σ E is large in its range, and the factor that brings it into the next one underflows
    Case("strips 5000, 5190, 5830", strips(5000, 5190, 5830), WIDE),
    Case("strips 0, 1e4, 2e4", strips(0, 1e4, 2e4), WIDE),
    *(Case(f"V={v} σ=5", few_values(v, 5), WIDE) for v in (SEGMENT - 1, SEGMENT, SEGMENT + 1)),
    Case("V=70000 σ=1", few_values(70000, 1), (FLOAT32, FLOAT64, FLOAT16)),
    Case("V=70000 σ=100", few_values(70000, 100), (FLOAT32, FLOAT64, BFLOAT16)),
    Case("segments 0, 80, 40", few_values(70000, 5) + np.repeat([0, 80, 40], SEGMENT)[:70000], WIDE),
    Case("segments 600, 480, 0", few_values(70000, 5) + np.repeat([600, 480, 0], SEGMENT)[:70000], WIDE),
    # the largest of a row far above where its range lies, and as large as another segment's first
    Case("steps 0, 590, 740", np.repeat([0.0, 590, 740], [STRIP, STRIP, 1])[None], WIDE),
    Case("steps 0, 20, 90", np.repeat([0.0, 20, 90], [STRIP, STRIP, 1])[None], WIDE),
    Case("a tie between segments", np.repeat([2.0, 3, 3], [STRIP, SEGMENT - STRIP, 9])[None]),
    Case("a tie between segments, later", np.repeat([3.0, 2, 3], [SEGMENT, STRIP, STRIP])[None], WIDE),
    # the others beside the target, far below an ULP of 1
    Case("tiny losses", rows_of([0, 20], [0, 60], [0, -90], [0, -100], [0, -103.5])),
    Case("tiny losses, float64", rows_of([0, 300], [0, -700], [0, -720], [0, 744.5]), (FLOAT64,)),
    Case("tiny loss of 3", rows_of([0, 20, 0], [20, 0, 20], [-90, 0, -90])),
    *(
        Case(f"tiny loss of {v}", np.where(np.arange(v) == v // 2, t, few_values(v, 1, 4, 60)))
        for v, t in ((300, 25), (3 * STRIP, 88))
    ),
    Case("tiny loss of 300, float64", np.where(np.arange(300) == 7, 720, few_values(300, 1, 4, 60)), (FLOAT64,)),
    Case(
        "tiny loss, the largest in the last strip",
        np.where(np.arange(3 * STRIP) == 2 * STRIP + 7, 720, few_values(3 * STRIP, 1, 4, 60)),
        (FLOAT64,),
    ),
    *(Case(f"V={v}, all {c}", np.full((4, v), float(c))) for v, c in ((2, 0), (10, 88), (300, -1e4), (1000, 0.1))),
    # found by searching for the largest error: 7 to 12 ULP where a strip or a tile is added up plainly in its own type
    *(
        Case(f"{v - 1} equal beside one {by} above", one_ahead(v, largest, by), WIDE)
        for v, largest, by in (
            (24, 0, 1.7),
            (33, 0, 3.2),
            (48, 0, 2.9),
            (65, 0, 0.7),
            (6, 2.776997332139593, 6.4590611611079805),
            (1025, -1.43, 0.01),
            (1267, -1.9470564917691666, 6.737075591656693e-05),
            (2540, 0, 22.238003605428013),
            (3185, 2.0780369262756038, 15.005665930734132),
        )
    ),
    Case("256 equal beside one, of 16 bits", one_ahead(257, 2, 4)),
    *(Case(f"V={v}, each {by} below the one before", geometric(v, by), WIDE) for v, by in ((40, 0.7), (300, 0.01))),
    Case("a tie", rows_of([3, 1, 3], [3, 3, 1], [-1e4, 2, 2])),
    Case(
        "a tie between strips", np.where(np.arange(3 * STRIP) % (STRIP + 44) == 5, 30, few_values(3 * STRIP, 5, 4, 60))
    ),
    *(Case(f"V={v}, {k:.0%} not masked", masked(v, k)) for v, k in ((2, 0.5), (10, 0.5), (300, 0.5))),
    Case("few of many not masked", masked(2 * STRIP + 88, 0.01)),
    Case("first strip masked", strips(-INF, 5, 0)),
    Case("first strip masked, the others far below 0", strips(-INF, -4000, -4010), WIDE),
    Case("last strips masked", strips(5, -INF, -INF)),
    Case("middle strip masked, far up", strips(0, -INF, 600)),
    *(Case(f"V={v}, a row all masked", np.vstack([gaussian(v, 5, 2), np.full((2, v), -INF)])) for v in (1, 10, 300)),
    *(Case(f"V=10, {x} in a row", with_one(x, 10, 3)) for x in (INF, NAN)),
    *(Case(f"{x} at {k} of two strips", with_one(x, 2 * STRIP, k)) for x in (INF, NAN) for k in (0, STRIP + 9, -1)),
    Case("NaN beside inf", rows_of([NAN, INF, 0], [INF, -INF, 0], [-INF, NAN, -INF], [INF, INF, INF])),
    Case("NaN in a masked row", np.where(np.arange(2 * STRIP) == STRIP + 9, NAN, np.full((2, 2 * STRIP), -INF))),
]


# Options of the loss ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Setting:
    """Options of cross_entropy for any number of classes."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    weighted: float = 0  # class weights up to this, every third 0; 0: none

    def __str__(self) -> str:
        return self.name

    def of(self, classes: int) -> dict[str, Any]:
        if not self.weighted:
            return self.options
        weight = np.float32([0.3, 1, 0, 0.7, 0.9, 0]) * np.float32(self.weighted)
        return {**self.options, "class_weight": np.resize(weight, classes)}


PLAIN = Setting("no option")
SETTINGS = [
    PLAIN,
    Setting("weights", weighted=2),
    Setting("large weights", weighted=1e6),
    Setting("ε=0.1", {"label_smoothing": 0.1}),
    Setting("ε=1", {"label_smoothing": 1.0}),
    Setting("T=0.7", {"temperature": 0.7}),
    Setting("T=3", {"temperature": 3}),
    Setting("c=30", {"softcap": 30.0}),
    Setting("c=2 T=0.3", {"softcap": 2.0, "temperature": 0.3}),
    Setting("c=500", {"softcap": 500.0}),
    Setting("λ=1e-4", {"z_loss": 1e-4}),
    Setting("λ=0.3", {"z_loss": 0.3}),
    Setting("normalizer=7", {"reduction": "mean", "normalizer": 7.0}),
    Setting("weights ε=0.1", {"label_smoothing": 0.1}, weighted=2),
    Setting("weights ε=0.1 T=1.5 λ=0.01", {"label_smoothing": 0.1, "temperature": 1.5, "z_loss": 0.01}, weighted=2),
    Setting(
        "everything",
        {"label_smoothing": 0.2, "temperature": 0.8, "softcap": 20.0, "z_loss": 0.01, "normalizer": 3.0},
        weighted=2,
    ),
]


def named(*names: str) -> list[Case]:
    """The cases of these names."""
    by_name = {case.name: case for case in CASES}
    return [by_name[name] for name in names]


# On which every setting is tried
VARIED = named(
    "one class",
    "V=10 σ=20",
    "V=49 σ=1",
    "V=10 about -4096",
    "V=300 at ±1e4",
    "V=10 at ±1e38",
    "strips -560, -460",
    "strips 0, 90, 0",
    "strips 0, 400, 0",
    "tiny losses",
    "a tie",
    "V=10, 50% not masked",
    "first strip masked",
    "V=10, a row all masked",
    "nan at -1 of two strips",
    "V=10, inf in a row",
)

# Shapes and memory ---------------------------------------------------------------------------------------------------

SHAPES = [  # and the axis of the classes
    ((1, 3), 1),
    ((5, 10), 1),
    ((300, 10), 1),
    ((10, 300), 0),
    ((129, 48), 1),
    ((129, 49), 1),
    ((7, 600), 1),
    ((600, 7), 0),
    ((3, 33000), 1),
    ((33000, 3), 0),
    ((2, 21, 8, 9), 1),
    ((2, 100, 5, 9), 1),
    ((40, 5, 300), 2),
    ((40, 3, 6), 0),
    ((1100, 140), 0),
    ((2, 1300, 9, 3), 1),
    ((4, 3, 5), 1),
    ((6,), 0),
    ((1, 1), 1),
    ((0, 5), 1),
    ((2, 5, 0, 3), 1),
]
