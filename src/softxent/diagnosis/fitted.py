"""Mistakes with a parameter, which is fitted to the user's numbers: tried when no other mistake explains them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from softxent.diagnosis import differences
from softxent.diagnosis.case import Array, Case, Part, Prediction
from softxent.diagnosis.hypotheses import declared_scale
from softxent.diagnosis.matching import expectation, measured_ratio, most_mistakes, same, skipped
from softxent.diagnosis.precision import floor

SMOOTHINGS = (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)  # those that people use
DIFFERENT = 1.01  # the least ratio of two weights
TELLING = 3  # the fewest numbers beyond the parameters that are fitted to them


def fitted(case: Case, part: Part, excused: Array) -> dict[str, list[Prediction]]:
    """What can be fitted to this part, to be compared with both."""
    if part.values.ndim == 0:
        if most_mistakes(part, *expectation(case, part, case.right)) < 2:
            return {}
        return {"label_smoothing": [smoothed(case, epsilon) for epsilon in SMOOTHINGS]}
    found = {"label_smoothing": list(smoothing(case, part, excused))}
    if part.name == "grad":
        found |= numerical(case, part)
        found |= weights(case, part, excused)
    found["factor"] = list(factor(case, part, excused))
    return found


# Label smoothing: loss and gradient are linear in ε -------------------------------------------------------------------


def smoothed(case: Case, epsilon: float) -> Prediction:
    return case.predict(label_smoothing=epsilon)._replace(values={"found": epsilon})


def smoothing(case: Case, part: Part, excused: Array) -> Iterator[Prediction]:
    """c·((1 − ε)·E_0 + ε·E_1) with the c and ε that come nearest."""
    ends = [expectation(case, part, case.predict(label_smoothing=epsilon))[0] for epsilon in (0.0, 1.0)]
    skip = skipped(case, part, excused)
    use = ~skip & np.isfinite(part.values) & np.isfinite(ends[0]) & np.isfinite(ends[1])
    if use.sum() < TELLING + 2:
        return
    (alpha, beta), *_ = np.linalg.lstsq(np.stack([end[use] for end in ends], axis=1), part.values[use], rcond=None)
    epsilon = float(beta / (alpha + beta)) if alpha + beta else 0.0
    if 0 < epsilon <= 1:
        short = float(f"{epsilon:.3g}")
        yield smoothed(case, short if abs(short - epsilon) < 1e-3 * epsilon else epsilon)


# A factor, of the whole or of each row --------------------------------------------------------------------------------


def factor(case: Case, part: Part, excused: Array) -> Iterator[Prediction]:
    expected, allowed = expectation(case, part, case.right)
    skip = skipped(case, part, excused)
    ratio = measured_ratio(part.values, expected, skip)
    free = case.rows * (case.classes - 1 if part.name == "grad" else 1) - 1
    telling = (np.abs(expected) > 100 * allowed).sum() - 1 >= TELLING
    if not np.isfinite(ratio) or ratio == 0 or not telling or free < TELLING:
        return
    if same(part.values, ratio * expected, abs(ratio) * allowed + floor(part.precision), skip):
        yield as_it_is(case, part, {"factor": ratio})


def weights(case: Case, part: Part, excused: Array) -> dict[str, list[Prediction]]:
    """A factor of each row: a weight of its class, if rows of the same class have the same."""
    expected, allowed = expectation(case, part, case.predict(class_weight=None))
    skip = skipped(case, part, excused)
    rows = np.flatnonzero(~case.ignored & ~excused & (np.abs(expected).max(axis=1) > 100 * allowed[:, 0]))
    if len(rows) < 2 or len(rows) * (case.classes - 2) < TELLING:
        return {}
    ratios = np.ones(case.rows)
    ratios[rows] = [measured_ratio(part.values[i], expected[i], skip[i]) for i in rows]
    allowed = np.abs(ratios)[:, None] * allowed + floor(part.precision)
    if not (ratios[rows] > 0).all() or not same(part.values, ratios[:, None] * expected, allowed, skip):
        return {}
    low, high = rows[ratios[rows].argmin()], rows[ratios[rows].argmax()]
    values = {"low": float(low), "high": float(high), "times": float(ratios[high] / ratios[low])}
    if values["times"] < DIFFERENT:
        return {}
    if case.by_index and by_class(ratios[rows], case.target[rows]):
        values |= {"low": float(case.target[low]), "high": float(case.target[high])}
        return {"class_weight": [as_it_is(case, part, values)]}
    return {"row_weights": [as_it_is(case, part, values)]}


def by_class(ratios: Array, target: Array) -> bool:
    """Whether rows of a class have one ratio; a class of one row says nothing."""
    groups = [ratios[target == y] for y in np.unique(target)]
    return any(len(group) > 1 for group in groups) and all(np.ptp(group) <= 1e-2 * group.max() for group in groups)


# Numerical derivatives ------------------------------------------------------------------------------------------------


def numerical(case: Case, part: Part) -> dict[str, list[Prediction]]:
    step = differences.step_of(case, part)
    if step is None:
        return {}
    values = {"h": step.h, "best": step.best}
    return {differences.verdict(step): [as_it_is(case, part, values)]}


def as_it_is(case: Case, part: Part, values: dict[str, float]) -> Prediction:
    """The user's own numbers as the prediction: the fit has been judged by its own measure."""
    scale = declared_scale(case, part, case.right.divisor)
    own = part.values / scale
    fit = case.right._replace(values=values, only=part.name)
    return fit._replace(grads=own) if part.name == "grad" else fit._replace(losses=own)
