"""Searches for the rows on which what we return is as far from the exact result as can be, in ULP.

Rows of every family below are tried; of the worst, each quantity's are changed a little at a time for as long as its
error grows (hill climbing, with many rows at once), for each instruction set, dtype and class axis. The exact result
is long double's (reference.py); of the worst row of each kind it is then mpmath's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np

import softxent as sx
from benchmarks import reference
from benchmarks.reference import Array
from softxent.kernels import _cpu

DTYPES = {"float32": np.float32, "float64": np.float64, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
AXES = {"last": -1, "first": 0}  # along rows and, unless they have few classes, across them
CLASSES = (2, 3, 10, 17, 33, 48, 65, 100, 257, 1024, 5000)
FEWER = (3, 33, 100, 1024)  # with options
ELEMENTS, CLIMBING = 2**13, 2**12  # of each family; of the rows that are changed at a time
STEPS = 100
PLAIN = "none"
OPTIONS: dict[str, dict[str, Any]] = {
    PLAIN: {},
    "temperature 0.23": {"temperature": 0.23},
    "softcap 0.158, T 0.23": {"softcap": 0.158, "temperature": 0.23},
    "softcap 30": {"softcap": 30.0},
    "normalizer 1e26": {"normalizer": 1e26},
    "smoothing 0.1": {"label_smoothing": 0.1},
    "z_loss 1e-4": {"z_loss": 1e-4},
    "weights 1e±30": {"class_weight": np.geomspace(1e-30, 1e30, 7)},  # repeated over the classes
}
BEYOND = {("float16", "weights 1e±30"), ("float16", "normalizer 1e26")}  # the range of the dtype


def results(logits: Array, target: Array, axis: int = -1, **options: Any) -> dict[str, Array]:
    """What softxent returns for rows × classes, with the classes laid along `axis`."""
    rows = (lambda a: np.ascontiguousarray(a.T)) if axis == 0 else np.asarray
    x = rows(logits)
    reduction = "mean" if "normalizer" in options else "none"  # its loss is no row's
    loss, grad = sx.cross_entropy_and_grad(x, target, axis=axis, reduction=reduction, **options)
    found = {"grad": rows(grad)} | ({"loss": loss} if reduction == "none" else {})
    if not options:
        found |= {"softmax": rows(sx.softmax(x, axis)), "log_softmax": rows(sx.log_softmax(x, axis))}
        found["lse"] = sx.logsumexp(x, axis)
    return found


# Rows ---------------------------------------------------------------------------------------------------------------


def families(rng: np.random.Generator, rows: int, V: int) -> Iterator[Array]:
    """Rows × classes of each kind, in float64."""
    some = rng.uniform
    for sigma in (0.1, 1, 5, 20, 100):
        yield sigma * rng.standard_normal((rows, V))
    largest = np.arange(V) == rng.integers(V, size=(rows, 1))
    yield np.where(largest, 0, -some(0, 40, (rows, 1)))  # equal others
    yield np.where(largest, 0, -some(0, 0.1, (rows, 1))) + some(-2, 2, (rows, 1))
    yield np.where(largest, -1.43, -1.44) * some(0.9, 1.1, (rows, 1))
    yield -some(0, 2, (rows, 1)) * np.arange(V)  # geometric
    yield some(0, 2, (rows, 1)) * rng.permuted(np.tile(np.arange(V), (rows, 1)), axis=1)
    yield np.where(rng.random((rows, V)) < some(0, 1, (rows, 1)), 0, -some(0, 30, (rows, 1)))  # two values
    yield some(-1, 1, (rows, V)) * 10 ** some(-3, 3, (rows, 1))


def changed(rng: np.random.Generator, x: Array) -> Array:
    """The same rows, each with one change, in float64: of one class, of all, or of all but one."""
    rows, V = x.shape
    j, k, row = rng.integers(V, size=rows), rng.integers(V, size=rows), np.arange(rows)
    size, x = 10 ** rng.uniform(-6, 1, rows), x.copy()
    kind = rng.integers(6)
    if kind == 0:
        x[row, j] += size * rng.standard_normal(rows)
    elif kind == 1:
        x[row, j] = x[row, k]
    elif kind == 2:
        x[row, j] *= 1 + rng.integers(-4, 5, rows) * 2.0 ** -rng.choice([7, 10, 23, 52])  # some ulps
    elif kind == 3:
        x *= 1 + 0.1 * size[:, None] * rng.standard_normal((rows, 1))
    elif kind == 4:
        x += (size * rng.standard_normal(rows))[:, None]
        x[row, j] -= (size * rng.standard_normal(rows)) * rng.integers(2, size=rows)
    else:
        x = np.where(rng.random((rows, V)) < 0.5, x, x[rng.permutation(rows)])
    return x


# The search ---------------------------------------------------------------------------------------------------------

Score = Callable[[Array, Array], dict[str, Array]]  # logits, target → each row's error, by quantity


def worst(rng: np.random.Generator, steps: int) -> list[dict[str, Any]]:
    """The largest error of each dtype, axis, options and quantity over all classes and instruction sets."""
    from rich.progress import track

    if not reference.ENOUGH:
        raise SystemExit("the search needs a long double of 64 bits or more, as x86 and Linux on arm64 have")
    kinds = [(dtype, name) for dtype in DTYPES for name in OPTIONS if (dtype, name) not in BEYOND]
    found: dict[tuple[str, ...], dict[str, Any]] = {}
    best = _cpu.instruction_set()
    for dtype, name in track(kinds, "Searching", transient=True):
        for V in FEWER if OPTIONS[name] else CLASSES:
            rows = tried(rng, dtype, V)
            for isa in _cpu.instruction_sets():
                _cpu.use(isa)
                for axis in AXES:
                    score = scorer(axis, options_of(name, V))
                    for case in climbed(rng, *rows, score, steps if name == PLAIN else steps // 4):
                        key = (dtype, axis, name, case["quantity"])
                        if key not in found or case["error"] > found[key]["error"]:
                            found[key] = {**dict(zip(KEY, key, strict=True)), **case, "isa": isa, "classes": V}
    confirmed = [confirm(case) for case in found.values()]
    _cpu.use(best)
    return confirmed


KEY = ("dtype", "axis", "options", "quantity")


def options_of(name: str, V: int) -> dict[str, Any]:
    options = dict(OPTIONS[name])
    if "class_weight" in options:
        options["class_weight"] = np.resize(options["class_weight"], V)
    return options


def tried(rng: np.random.Generator, dtype: str, V: int) -> tuple[Array, Array]:
    """Rows of every family, and targets: the largest, the second or any."""
    logits = np.concatenate([*families(rng, max(2, ELEMENTS // V), V)]).astype(DTYPES[dtype])
    order, row = np.argsort(logits.astype(np.float64), axis=1), np.arange(len(logits))
    choices = np.stack([order[:, -1], order[:, -2], rng.integers(V, size=len(row))])
    return logits, choices[rng.integers(3, size=len(row)), row]


def scorer(axis: str, options: dict[str, Any]) -> Score:
    def score(logits: Array, target: Array) -> dict[str, Array]:
        parts = np.array_split(np.arange(len(logits)), max(1, logits.size // 2**14))  # what fits the cache
        exact = [reference.results(logits[i], target[i], **options) for i in parts]
        got = results(logits, target, AXES[axis], **options)
        scores = [
            reference.errors({name: value[i] for name, value in got.items() if value.ndim}, e, target[i])
            for i, e in zip(parts, exact, strict=True)
        ]
        return {name: np.concatenate([s[name] for s in scores]) for name in scores[0]}

    return score


def climbed(rng: np.random.Generator, logits: Array, target: Array, score: Score, steps: int) -> list[dict[str, Any]]:
    """The worst row of each quantity, after `steps` changes of the worst ones that were tried."""
    scores = score(logits, target)
    each = max(2, CLIMBING // logits.shape[1] // len(scores))
    start = {name: np.argsort(value)[-each:] for name, value in scores.items()}
    x, y = (np.concatenate([part[i] for i in start.values()]) for part in (logits, target))
    mine = {name: slice(n * each, (n + 1) * each) for n, name in enumerate(start)}
    height = np.concatenate([scores[name][i] for name, i in start.items()])
    for _ in range(steps):
        new = np.clip(changed(rng, x.astype(np.float64)), -6e4, 6e4).astype(x.dtype)
        to = np.where(rng.random(len(y)) < 0.1, rng.integers(x.shape[1], size=len(y)), y)
        now = score(new, to)
        up = np.concatenate([now[name][i] for name, i in mine.items()])
        better = up >= height
        x[better], y[better], height[better] = new[better], to[better], up[better]
    found = []
    for name, i in mine.items():
        at = i.start + int(np.argmax(height[i]))
        found.append({"quantity": name, "error": height[at], "row": x[at], "target": int(y[at])})
    return found


def confirm(case: dict[str, Any]) -> dict[str, Any]:
    """The error of the row beside mpmath's result, in place of long double's; the row is kept if it is short."""
    x, y = case.pop("row"), np.array([case["target"]])
    options = options_of(case["options"], len(x))
    _cpu.use(case["isa"])
    times = 64  # as many rows as go across, if it was among so many
    got = results(np.tile(x, (times, 1)), np.repeat(y, times), AXES[case["axis"]], **options)
    got = {name: value[:1] for name, value in got.items() if value.ndim}
    error = reference.errors(got, reference.by_mpmath(x[None], y, **options), y)[case["quantity"]][0]
    case["error"] = float(f"{error:.4g}") if np.isfinite(error) else "inf"
    return case | ({"logits": x.astype(np.float64).tolist()} if len(x) <= 100 else {})
