"""Why the user's numbers are inf or NaN where the true ones are finite."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from softxent import functional
from softxent.diagnosis.case import Array, Case, Part
from softxent.diagnosis.matching import expectation, skipped


@dataclass(frozen=True)
class Lost:
    """The rows of a part that have no numbers to compare, whether that is wrong, and what would explain all of it."""

    rows: Array
    wrong: bool = False
    causes: tuple[str, ...] = ()


def lost(case: Case, part: Part) -> Lost:
    if not case.right.divisor and case.options.reduction == "mean":  # the mean over nothing: NaN in PyTorch, 0 here
        return Lost(np.broadcast_to(np.isnan(part.values).all(), case.rows))
    expected, _ = expectation(case, part, case.right)
    if not part.values.ndim and np.abs(case.right.losses).sum() > part.precision.largest and np.isinf(part.values):
        return Lost(np.ones(case.rows, bool))  # a mean may overflow before it is divided
    wrong = ~np.isfinite(part.values) & np.isfinite(expected) & ~skipped(case, part, np.zeros(case.rows, bool))
    if not wrong.any():
        return Lost(np.zeros(case.rows, bool))
    rows = np.asarray(wrong.any(axis=1) if part.name == "grad" else np.broadcast_to(wrong, case.rows))
    return Lost(rows, True, causes(case, part, rows))


def causes(case: Case, part: Part, rows: Array) -> tuple[str, ...]:
    """What explains each row that is inf or NaN; of a single loss, any row may have made it so."""
    overflow, no_share = overflows(case, part), (case.a == 0) & ~case.ignored[:, None]
    candidates: dict[str, Array] = {"overflow_without_max_shift": overflow & ~case.ignored}
    if part.name == "grad" or not np.isnan(part.values).any():  # −log 0 is inf; backwards it is 0·inf too
        candidates["log_of_zero"] = np.any(vanishing(case, part) & (case.a > 0), axis=1)
    if np.isnan(part.values).any():
        candidates["zero_times_inf"] = np.any(vanishing(case, part) & no_share, axis=1)
    candidates["sum_overflows"] = too_large(case, part)
    if not part.values.ndim:
        return tuple(name for name, where in candidates.items() if where.any())
    explains = {name: bool((where >= rows).all()) for name, where in candidates.items()}
    explains["overflow_without_max_shift"] &= bool((candidates["overflow_without_max_shift"] <= rows).all())
    return tuple(name for name, true in explains.items() if true)


def overflows(case: Case, part: Part) -> Array:
    """Rows where exp(z_j) overflows, or underflows for all classes: inf / inf, or 0 / 0."""
    m = case.z.max(axis=1)
    return (m > math.log(part.precision.largest)) | (m < math.log(part.precision.smallest))


def too_large(case: Case, part: Part) -> Array:
    """Rows, or all of them, whose Σ_j −log p_j is beyond the largest number: label smoothing adds that up."""
    terms = functional.logsumexp(case.z)[:, None] - case.z
    size = np.where(np.isfinite(terms), terms, 0).sum(axis=1)
    return np.asarray((size if part.values.ndim else np.full(case.rows, size.sum())) > part.precision.largest)


def vanishing(case: Case, part: Part) -> Array:
    """Where p is too small for the dtype, and its logarithm −inf."""
    log_p = case.z - functional.logsumexp(case.z)[:, None]
    return np.asarray(log_p < math.log(part.precision.normal))
