"""The curves of training, a value after each step, in the units of their SVG's viewBox; the templates draw them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from softxent.app.report.figures import MARGIN, Scale, Tick
from softxent.app.report.numbers import percent, significant

PANEL = (400, 220)


class Curves(NamedTuple):
    """Polylines on the same axes, each with the point and the value of the step that is marked."""

    lines: list[str]
    points: list[tuple[float, float]]
    values: list[str]
    step: int
    x: list[Tick]
    y: list[Tick]


def losses(train: Sequence[float], val: Sequence[float] = (), kept: int | None = None) -> Curves:
    """Draws the loss, on a logarithmic axis if it falls by more than a factor of 20; marks the step that was kept."""
    series = [train, val] if len(val) else [train]
    finite = [x for values in series for x in values if math.isfinite(x)] or [0.0]
    low, high, step = min(finite), max(finite), kept or len(train)
    labels = [significant(values[step - 1]) for values in series]
    if low <= 0 or high <= 20 * low:
        return _curves(series, [(x, significant(x)) for x in around(min(low, 0), high)], step, labels)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [float(f"{m}e{k}") for k in decades for m in ((1, 2, 5) if high < 1000 * low else (1,))]
    inside = [(math.log10(x), significant(x)) for x in marks if low * 0.8 <= x <= high * 1.25]
    logs = [[math.log10(x) if math.isfinite(x) else x for x in values] for values in series]
    return _curves(logs, inside[:: math.ceil(len(inside) / 8)], step, labels)


def accuracies(values: Sequence[float], kept: int | None = None) -> Curves:
    """Draws the accuracy, on an axis of at least 5 percentage points; marks the step that was kept."""
    step, high = kept or len(values), max(*values, 0.05)
    marks = around(max(min(*values, high - 0.05), 0), high)
    places = max(-2 - math.floor(math.log10(marks[1] - marks[0]) + 1e-9), 0)
    return _curves([values], [(x, percent(x, places)) for x in marks], step, [percent(values[step - 1])])


class Paths(NamedTuple):
    """The log-loss of the candidates on rows left out: the linear one at each α, or the networks after each epoch."""

    networks: bool
    names: list[str]
    curves: Curves


def paths(tried: Sequence[Mapping[str, Any]]) -> list[Paths]:
    """Draws the path of the linear model, if it has several steps, and those of the networks; marks each one's best."""
    linear = [each for each in tried if not each["hidden"] and len(each["path"]) > 1]
    networks = [each for each in tried if each["hidden"]]
    return [_paths(group) for group in (linear, networks) if group]


def _paths(group: Sequence[Mapping[str, Any]]) -> Paths:
    (w, h), (below, left), networks = PANEL, MARGIN, bool(group[0]["hidden"])
    places = [[at if networks else -math.log10(at) for at, _ in each["path"]] for each in group]
    values = [[loss for _, loss in each["path"]] for each in group]
    marks = around(min(map(min, values)), max(map(max, values)))
    first, last = min(map(min, places)), max(map(max, places))
    x, y = Scale(first, last, left, w - 14), Scale(marks[0], marks[-1], h - below, 14)
    best = [row.index(min(row)) for row in values]
    apart = max(spacing(first, last), 1)
    ticks = multiples(apart, math.ceil(first / apart), math.floor(last / apart))
    return Paths(
        networks,
        [", ".join(map(str, each["hidden"])) if networks else f"α = {significant(each['alpha'], 2)}" for each in group],
        Curves(
            lines=[
                " ".join(f"{x(p)},{y(v)}" for p, v in zip(*path, strict=True))
                for path in zip(places, values, strict=True)
            ],
            points=[(x(path[k]), y(row[k])) for path, row, k in zip(places, values, best, strict=True)],
            values=[significant(min(row)) for row in values],
            step=0,
            x=[Tick(x(t), f"{int(t):,}" if networks else significant(10.0**-t, 1)) for t in ticks],
            y=[Tick(y(value), significant(value)) for value in marks],
        ),
    )


def _curves(series: Sequence[Sequence[float]], marks: list[tuple[float, str]], step: int, labels: list[str]) -> Curves:
    (w, h), (below, left) = PANEL, MARGIN
    steps = len(series[0])
    shown = [v for values in series for v in values if math.isfinite(v)] + [value for value, _ in marks]
    x, y = Scale(1, steps, left, w - 14), Scale(min(shown), max(shown), h - below, 14)
    apart = max(spacing(1, steps), 1)
    at = [(x(step), y(values[step - 1])) for values in series if math.isfinite(values[step - 1])]
    return Curves(
        lines=[" ".join(f"{x(k)},{y(v)}" for k, v in enumerate(values, 1) if math.isfinite(v)) for values in series],
        points=at,
        values=labels,
        step=step,
        x=[Tick(x(s), f"{int(s):,}") for s in dict.fromkeys([1, *multiples(apart, 1, math.floor(steps / apart))])],
        y=[Tick(y(value), text) for value, text in marks],
    )


# Ticks --------------------------------------------------------------------------------------------------------------


def around(low: float, high: float) -> list[float]:
    """Returns the ticks within low … high, and the next on either side if those do not reach it.

    >>> around(0.93, 0.986)
    [0.92, 0.94, 0.96, 0.98, 1.0]
    """
    step = spacing(low, high)
    first = math.floor(low / step + 1e-9)
    return multiples(step, first, max(math.ceil(high / step - 1e-9), first + 1))


def spacing(low: float, high: float, about: int = 5) -> float:
    """Returns the distance between about that many ticks: 1, 2 or 5 times a power of ten.

    >>> spacing(0, 2.3), spacing(0.93, 0.99), spacing(3, 3)
    (0.5, 0.02, 1.0)
    """
    rough = (high - low) / about or 1.0
    power = 10.0 ** math.floor(math.log10(rough))
    return round(next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999), 12)


def multiples(step: float, first: int, last: int) -> list[float]:
    return [round(k * step, 12) for k in range(first, last + 1)]
