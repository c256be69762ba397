"""Which mistakes explain the user's numbers: the fewest that explain all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, combinations, product
from typing import NamedTuple

import numpy as np

from softxent.diagnosis.case import Array, Case, Part, Prediction
from softxent.diagnosis.hypotheses import MISTAKES, declared_scale, scales
from softxent.diagnosis.precision import floor, tolerance

CLEAR = 1e-4  # a single number that is known less well, relative to itself, fits too many pairs of mistakes by chance
BLURRED = 1e-3  # and one that is known even less well any mistake: a 16-bit loss
NEAR = 0.25  # how far the measured ratio may be from one that is worth a comparison, number by number


class Fit(NamedTuple):
    """The mistakes that explain one part: at most one of the computation, and two of scale."""

    mistake: str
    scales: tuple[str, ...]
    values: Mapping[str, float]
    ratio: float  # of the user's numbers to what the mistake of the computation alone gives

    @property
    def mistakes(self) -> set[tuple[str, str]]:
        """What counts as the same mistake in both parts."""
        own = {(self.mistake, repr(sorted(self.values.items())))} if self.mistake else set()
        return own | {(scale, "") for scale in self.scales}


RIGHT = Fit("", (), {}, 1.0)
Explanation = dict[str, Fit]  # of each part by its name


def explanations(case: Case, excused: Mapping[str, Array], extra: Mapping[str, list[Prediction]]) -> list[Explanation]:
    """All that need the fewest mistakes; a part that nothing explains is left out.

    excused   for each part, the rows that are not compared
    extra     mistakes with a parameter that was fitted to the user's numbers
    """
    fits: dict[str, list[Fit]] = {}
    seen: set[str] = set()  # mistakes that explain a part of many numbers: then a single number need not prove them
    for part in parts(case, excused):
        fits[part.name] = list(part_fits(case, part, excused[part.name], extra, seen))
        seen |= {fit.mistake for fit in fits[part.name] if part.values.ndim}
    found: dict[frozenset[tuple[str, str, str]], Explanation] = {}
    explained = {name: choices for name, choices in fits.items() if choices}
    for choice in product(*explained.values()):
        explanation = dict(zip(explained, choice, strict=True))
        key = frozenset((name, *mistake) for name, fit in explanation.items() for mistake in fit.mistakes)
        found.setdefault(key, explanation)
    least = min(map(cost, found.values()))
    return [explanation for explanation in found.values() if cost(explanation) == least]


def cost(explanation: Explanation) -> int:
    return len(set[tuple[str, str]]().union(*(fit.mistakes for fit in explanation.values())))


def parts(case: Case, excused: Mapping[str, Array]) -> Iterator[Part]:
    """Those that have something left to compare, the gradient first."""
    for part in (case.grad, case.loss):
        if part is not None and not excused[part.name].all():
            yield part


def part_fits(
    case: Case, part: Part, excused: Array, extra: Mapping[str, list[Prediction]], seen: set[str]
) -> Iterator[Fit]:
    """First whether the numbers are right, or a multiple of it, entry by entry; then to the rounding of whole rows."""
    close = list(prediction_fits(case, part, "", case.right, excused, by_entry=True))
    if close:
        fewest = min(len(fit.scales) for fit in close)
        yield from (fit for fit in close if len(fit.scales) == fewest)
        return
    right = list(prediction_fits(case, part, "", case.right, excused))
    if RIGHT.mistakes in [fit.mistakes for fit in right]:
        yield RIGHT
        return
    yield from right
    for name, predictions in chain(((name, predict(case)) for name, predict in MISTAKES.items()), extra.items()):
        for prediction in predictions:
            yield from prediction_fits(case, part, name, prediction, excused, proven=name in seen)


def prediction_fits(
    case: Case,
    part: Part,
    mistake: str,
    prediction: Prediction,
    excused: Array,
    *,
    by_entry: bool = False,
    proven: bool = False,
) -> Iterator[Fit]:
    if prediction.only not in ("", part.name):
        return
    expected, allowed = expectation(case, part, prediction)
    if by_entry:
        allowed = entry_tolerance(case, part, expected)
    skip = skipped(case, part, excused)
    ratio = measured_ratio(part.values, expected, skip)
    at_most = most_mistakes(part, expected, allowed) + proven
    for names, factor in factors(case, part, prediction.divisor):
        if len(names) + bool(mistake) > at_most or (names and not abs(ratio - factor) <= NEAR * abs(factor)):
            continue
        if same(part.values, factor * expected, abs(factor) * allowed + floor(part.precision), skip):
            yield Fit(mistake, names, prediction.values, ratio)


def most_mistakes(part: Part, expected: Array, allowed: Array) -> int:
    """How many mistakes at once are tried; a single number fits by chance if it is not known well."""
    if part.values.ndim:
        return 3
    return 2 if allowed <= CLEAR * abs(expected) else 1 if allowed <= BLURRED * abs(expected) else 0


def factors(case: Case, part: Part, divisor: float) -> Iterator[tuple[tuple[str, ...], float]]:
    """The mistakes of scale, up to two of them at once, with the factor that they come to."""
    singles = scales(case, part, divisor)
    given, declared = part.by_row, case.options.reduction == "none"
    starts: list[tuple[tuple[str, ...], float]] = [((), 1.0)]
    if part.name == "grad" or given == declared:
        yield (), 1.0
    elif given:  # one loss a row, though a single one was declared
        starts = [(("not_reduced",), 1.0)]
    else:
        mean = singles.pop("averaged", 1.0)
        starts = [(("summed",), 1.0), (("averaged",), mean)]
    for names, factor in starts:
        if names:
            yield names, factor
        yield from (((*names, name), factor * ratio) for name, ratio in singles.items())
        for (a, by_a), (b, by_b) in combinations(singles.items(), 2):
            yield (*names, a, b), factor * by_a * by_b


# Numbers ------------------------------------------------------------------------------------------------------------


def expectation(case: Case, part: Part, prediction: Prediction) -> tuple[Array, Array]:
    """What the user's numbers would be, at the declared scale, and how far off they may be."""
    scale = declared_scale(case, part, prediction.divisor)
    if part.name == "grad":
        grads = prediction.grads
        return in_range(scale * grads, part), scale * case.grad_tolerance(part.precision, grads)[:, None]
    losses = prediction.losses
    allowed = case.loss_tolerance(part.precision, losses)
    if part.by_row:
        return in_range(losses, part), allowed
    total = allowed.sum() + tolerance(part.precision, case.rows) * np.abs(losses).sum()
    return in_range(np.asarray(scale * losses.sum()), part), np.asarray(scale * total)


def in_range(values: Array, part: Part) -> Array:
    """±inf where a number is too large for the user's dtype."""
    return np.where(np.abs(values) > part.precision.largest, np.copysign(np.inf, values), values)


def entry_tolerance(case: Case, part: Part, expected: Array) -> Array:
    """Relative to each number itself: one that is far below its row's largest may still be known well."""
    z = case.z
    with np.errstate(invalid="ignore"):
        far = np.minimum(np.abs(z - z.max(axis=1, keepdims=True)), 1e3) + case.magnitude[:, None]
        relative = tolerance(part.precision, case.classes + case.rows) * far
        rows = relative if part.name == "grad" else relative.max(axis=1)
        return np.asarray(np.minimum(rows if rows.shape == expected.shape else rows.max(), 1e-2) * np.abs(expected))


def skipped(case: Case, part: Part, excused: Array) -> Array:
    """Which numbers are not compared: a logit of −inf has no derivative, though some libraries write one."""
    if part.name == "grad":
        return excused[:, None] | np.isneginf(case.x)
    return excused if part.by_row else np.zeros((), bool)


def measured_ratio(got: Array, expected: Array, skip: Array) -> float:
    """The factor that brings `expected` nearest to `got`."""
    use = ~skip & np.isfinite(got) & np.isfinite(expected)
    e, u = expected[use], got[use]
    size = np.abs(e).max(initial=0.0)
    return float((u * (e / size)).sum() / (e * (e / size)).sum()) if size > 0 else np.nan


def same(got: Array, expected: Array, allowed: Array, skip: Array) -> bool:
    with np.errstate(invalid="ignore"):
        close = np.isfinite(expected) & (np.abs(got - expected) <= allowed)
    return bool((close | (got == expected) | (np.isnan(got) & np.isnan(expected)) | skip).all())
