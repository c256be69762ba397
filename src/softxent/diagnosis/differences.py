"""Whether a gradient is a numerical derivative, (loss(x + h) − loss(x − h)) / 2h, and which step h it was made with.

A large step leaves a truncation error ∝ h² (h for a one-sided difference): h is found from its size. A small one leaves
the rounding of the losses: their difference is a whole number of ULP, so the gradient is a multiple of ULP / 2h.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from softxent import functional
from softxent.diagnosis.case import Array, Case, Part
from softxent.diagnosis.hypotheses import declared_scale
from softxent.diagnosis.precision import PRECISIONS, Precision, tolerance, ulp

KINDS = {"central": 2, "forward": 1, "backward": 1}  # the distance of the two losses, in h
FAR = 30  # a step so many times the best one has lost two digits or more
LARGEST = 8.0
NUMBERS = 3  # the fewest that tell a step from chance
WHOLE = 1e-6
ROUNDINGS = 64  # of a loss, in its ULP


class Step(NamedTuple):
    kind: str
    h: float
    best: float


def change(case: Case, by: float) -> Array:
    """loss(x + by·e_j) − loss(x) for each class j: lse rises by log1p(p_j·(exp(δ) − 1)), δ = by / T."""
    delta = by / case.options.temperature
    rise = np.log1p(case.p * np.expm1(delta))
    A, z_loss = case.a.sum(axis=1, keepdims=True), case.options.z_loss
    lse = functional.logsumexp(case.z)[:, None] if z_loss else 0.0
    counted = np.where(case.ignored, 0.0, z_loss)[:, None]
    return np.asarray(A * rise - case.a * delta + counted * rise * (2 * lse + rise))


def difference(case: Case, kind: str, h: float) -> Array:
    """The numerical derivative, but for rounding."""
    if kind == "central":
        return (change(case, h) - change(case, -h)) / (2 * h)
    signed = h if kind == "forward" else -h
    return change(case, signed) / signed


def step_of(case: Case, part: Part) -> Step | None:
    """The step that the user's gradient was made with, if it is a numerical derivative."""
    scale = declared_scale(case, part, case.right.divisor)
    usable = np.isfinite(case.x).all() and np.isfinite(part.values).all() and case.options.softcap is None
    if not usable or not scale:
        return None
    got, grads = part.values / scale, case.right.grads
    error = got - grads
    for kind in KINDS:
        h = truncated(case, part, kind, error)
        if h is not None:
            return Step(kind, h, best(kind, part.precision))
    return rounded(case, part, scale)


def best(kind: str, precision: Precision) -> float:
    """Where truncation and rounding are as large: ∛ε, √ε for a one-sided difference; one digit says it."""
    return float(f"{precision.eps ** (1 / 3 if kind == 'central' else 1 / 2):.0e}")


def truncated(case: Case, part: Part, kind: str, error: Array) -> float | None:
    """The step whose truncation error this is: a guess, whose own error says how to mend it."""
    order = 2 if kind == "central" else 1
    h = 1e-2
    for _ in range(40):
        predicted = difference(case, kind, h) - case.right.grads
        size = (predicted * predicted).sum()
        ratio = (error * predicted).sum() / size if size > 0 else 0.0
        if not ratio > 0:
            return None
        h, before = min(h * min(max(ratio, 1e-4), 1e4) ** (1 / order), LARGEST), h
        if abs(h - before) <= 1e-12 * h:
            break
    left = np.abs(error - (difference(case, kind, h) - case.right.grads))
    noise = loss_size(case, part) * part.precision.eps / h + case.grad_tolerance(part.precision, case.right.grads).max()
    enough = (np.abs(error) > 20 * noise).sum() >= NUMBERS
    return h if enough and left.max() <= 4 * noise else None


def loss_size(case: Case, part: Part) -> float:
    """Of the sum of the losses, with the terms that it is rounded by."""
    return float(case.loss_tolerance(part.precision, case.right.losses).sum() / tolerance(part.precision, 1))


def rounded(case: Case, part: Part, scale: float) -> Step | None:
    """The smallest step whose quantum divides every number of the gradient, and whose rounding explains its error."""
    losses = case.right.losses
    total = np.abs(losses.sum())
    for precision in (PRECISIONS["float64"], PRECISIONS["float32"]):
        # an ULP of the loss, of the sum before it is divided, or of each row's
        for unit in (
            ulp(scale * total, precision),
            ulp(total, precision) * scale,
            ulp(losses, precision)[:, None] * scale,
        ):
            for distance, kind, h in steps():
                left = np.abs(part.values - scale * difference(case, kind, h))
                if (left <= ROUNDINGS * unit / distance).all() and divides(unit / distance, part):
                    return Step(kind, h, best(kind, precision))
    return None


def steps() -> list[tuple[float, str, float]]:
    """Those that people use, the smallest first, since a quantum's tenth divides the same numbers."""
    used = {10.0**-k for k in range(2, 17)} | {PRECISIONS[name].eps ** (1 / n) for name in PRECISIONS for n in (2, 3)}
    return sorted((KINDS[kind] * h, kind, h) for kind in ("central", "forward") for h in used)


def divides(quantum: Array, part: Part) -> bool:
    n = part.values / quantum
    slack = WHOLE + 4 * part.precision.eps * np.abs(n)
    return bool((np.abs(n) >= 0.5).sum() >= NUMBERS and (slack < 0.02).all() and (abs(n - np.rint(n)) <= slack).all())


def verdict(step: Step) -> str:
    if step.h > FAR * step.best:
        return "finite_difference_step_too_large"
    return "finite_difference_step_too_small" if step.h < step.best / FAR else "finite_difference"
