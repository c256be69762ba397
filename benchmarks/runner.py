"""Times contenders in turn (A B C, B C A, C A B, …) on the same arrays: what disturbs one run disturbs all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.contenders import ON_CPU, Contender, Data, Field
from benchmarks.rows import Row

PAUSE = 0.005  # s; idle OpenMP threads of the one before spin on the next one's cores, PyTorch's for 2 ms
SAMPLE = 0.01  # s; calls shorter than half of it are timed several at a time, so that waking up weighs little


@dataclass(frozen=True)
class Effort:
    """Each contender is timed `rounds[0]` times, then up to `rounds[1]` until its calls add up to `seconds`."""

    rounds: tuple[int, int] = (5, 11)
    seconds: float = 0.6


@dataclass
class Entry:
    contender: Contender
    run: Callable[[], Any]
    calls: int = 1  # in one sample
    samples: list[float] = field(default_factory=list)

    def sample(self) -> float:
        return self.contender.data.seconds(self.contender, self.run, self.calls)


def time_row(row: Row, threads: int, effort: Effort, skip: set[str], rng: np.random.Generator) -> dict[str, Any]:
    """Every contender's median and quartiles in seconds, or why it was not timed; and the ratios to the limits."""
    result: dict[str, Any] = {"row": row.label, "work": row.work, "shape": row.shape, "dtype": row.dtype}
    try:
        data = Data(row, threads, rng)
    except ModuleNotFoundError as error:
        return {**result, "not measured": f"needs {error.name}"}
    entries, absent = entered(row, data, skip)
    interleave(list(entries.values()), effort)
    data.close()
    return {**result, **summary(row, entries, absent)}


def entered(row: Row, data: Any, skip: set[str], field: Field = ON_CPU) -> tuple[dict[str, Entry], dict[str, str]]:
    """The contenders that run, warmed up; and why others do not."""
    entries: dict[str, Entry] = {}
    absent: dict[str, str] = {}
    losses: list[float] = []
    for name, kind, work in _contenders(row, field):
        if name in skip or (missing := kind.missing()):
            absent[name] = "skipped" if name in skip else f"not installed: {', '.join(missing)}"
            continue
        try:
            entries[name] = warm_up(kind, work, data, losses)
        except Exception as error:
            if name in row.ours:
                raise
            absent[name] = f"failed: {type(error).__name__}: {str(error)[:120]}"
    return entries, absent


def summary(row: Row, entries: dict[str, Entry], absent: dict[str, str], field: Field = ON_CPU) -> dict[str, Any]:
    timings = {name: _spread(entry.samples) for name, entry in entries.items()}
    return {"timings": timings, "absent": absent, **_ratios(row, timings, field.limits)}


def _contenders(row: Row, field: Field) -> Iterator[tuple[str, type[Contender], str]]:
    for name in row.ours:
        yield name, field.ours[name], row.work
    for name in row.peers:
        yield name, field.peers[name], row.work
    for limit in _limits(row):
        if not isinstance(field.limits[limit], float):
            work, ways = field.limits[limit]
            yield from ((name, kind, work) for name, kind in ways.items())


def _limits(row: Row) -> dict[str, None]:
    return dict.fromkeys(limit for limits in row.ours.values() for limit in limits)


def warm_up(kind: type[Contender], work: str, data: Data, losses: list[float]) -> Entry:
    """Two untimed calls: the first may compile, and has to find the same loss as ours; the second tells the time."""
    entry = Entry(contender := kind(data), getattr(contender, work))
    data.restore()
    contender.fresh()
    result = entry.run()
    if work in ("loss", "loss_and_grad", "autograd", "scaled", "layer"):
        losses.append(float(result[0] if isinstance(result, tuple) else result))
        if not abs(losses[-1] - losses[0]) <= 0.02 * abs(losses[0]):  # 2 %: room for a loss rounded to bfloat16
            raise ValueError(f"its loss is {losses[-1]:.6g}, ours {losses[0]:.6g}")
    seconds = entry.sample()
    if seconds < SAMPLE / 2:
        entry.calls = int(SAMPLE / seconds)
        entry.sample()
    return entry


def interleave(entries: list[Entry], effort: Effort) -> None:
    gc.collect()
    gc.disable()
    try:
        for i in range(effort.rounds[1]):
            first = i % len(entries)
            for entry in entries[first:] + entries[:first]:
                if i < effort.rounds[0] or sum(entry.samples) * entry.calls < effort.seconds:
                    time.sleep(PAUSE)
                    entry.samples.append(entry.sample())
    finally:
        gc.enable()


def _spread(samples: list[float]) -> dict[str, float]:
    q1, median, q3 = np.quantile(samples, [0.25, 0.5, 0.75])
    return {"median": _digits(median), "q1": _digits(q1), "q3": _digits(q3), "samples": len(samples)}


def _digits(x: float) -> float:
    return float(f"{x:.5g}")


def _ratios(row: Row, timings: dict[str, dict[str, float]], limit_ways: dict[str, Any]) -> dict[str, Any]:
    """ours / the fastest way of each limit, and peer / ours, all of medians, with their goals."""
    median = {name: t["median"] for name, t in timings.items()}
    best: dict[str, str] = {}
    for limit in _limits(row):
        if isinstance(limit_ways[limit], float):
            best[limit], median[limit] = limit, limit_ways[limit]
        else:
            best[limit] = min((way for way in limit_ways[limit][1] if way in median), key=median.__getitem__)
    ratios = []
    for ours, limits in row.ours.items():
        for limit, goal in limits.items():
            ratio = median[ours] / median[best[limit]]
            met = None if goal is None else ratio <= goal
            ratios.append({"of": ours, "to": limit, "ratio": _digits(ratio), "at most": goal, "met": met})
        for peer, goal in row.peers.items():
            if peer in median:
                ratio = median[peer] / median[ours]
                met = None if goal is None else ratio >= goal
                ratios.append({"of": peer, "to": ours, "ratio": _digits(ratio), "at least": goal, "met": met})
    return {"fastest way": best, "ratios": ratios}
