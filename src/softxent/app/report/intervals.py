"""95 % intervals of the scores: the bootstrap over rows (Efron 1979), and Wilson's of a share.

Each replicate draws as many rows as there are, with replacement, and scores those. Of many rows it draws from a sample
of m, and its deviations are scaled by √(m/n) (Bickel, Götze & van Zwet 1997): 10⁶ rows take as long as 10⁴. A share's
interval is Wilson's, which holds where all rows are right and every replicate is the same. The calibration error has
none: a replicate's is larger than that of its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.report.scores import Array, Classes, Decisions, Ranks, Scores, mean_area, ranked, weighted_mean

REPLICATES = 400
ENTRIES, LEAST, MOST = 40_000, 1_000, 10_000  # rows × classes that a replicate draws from, and its rows
SAME = 1e-9  # replicates that differ by less do so by rounding alone
Interval = tuple[float, float]


def intervals(
    scores: Scores, logits: NDArray[Any], target: Classes, losses: Array, brier: Array, w: Array, seed: int = 0
) -> dict[str, Interval]:
    """Returns the intervals of the scores that have one; `losses` and `brier` are of each row, `w` its weight."""
    n, V = logits.shape
    rng = np.random.default_rng(seed)
    m = min(n, max(LEAST, min(MOST, ENTRIES // V)))
    pick = np.sort(rng.choice(n, m, replace=False)) if m < n else np.arange(n)
    if not w[pick].any():
        return {}
    replicate = _scorer(logits[pick], target[pick], losses[pick], brier[pick])
    base = replicate(w[pick])
    drawn = [np.bincount(rng.integers(0, m, m), minlength=m) * w[pick] for _ in range(REPLICATES)]
    values = np.array([replicate(weight) for weight in drawn if weight.any()])
    names = ("balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "brier_score")
    found = {}
    for name, of, at_base in zip(names, values.T, base, strict=True):
        value = getattr(scores, name)
        if not (np.isfinite(value) and np.isfinite(at_base)):
            continue
        deviation = (of[np.isfinite(of)] - at_base) * (m / n) ** 0.5
        if len(deviation) and np.ptp(deviation) > SAME * abs(value):
            low, high = value + np.quantile(deviation, [0.025, 0.975])
            found[name] = (max(float(low), 0.0), float(high) if name in names[3:] else min(float(high), 1.0))
    effective = float(w.sum() ** 2 / (w @ w))  # rows of equal weight that tell as much (Kish 1965)
    for name in ("accuracy", "top_5_accuracy"):
        if np.isfinite(getattr(scores, name)):
            found[name] = wilson(getattr(scores, name), effective)
    return found


def _scorer(logits: NDArray[Any], target: Classes, losses: Array, brier: Array) -> Callable[[Array], tuple[float, ...]]:
    """Returns the function of the rows' weights that gives the scores whose intervals are drawn."""
    decisions = Decisions(target, logits.argmax(axis=1), logits.shape[1])
    by, classes = ranked(logits)
    ranks = Ranks(by, target, classes) if classes else None

    def scored(w: Array) -> tuple[float, ...]:
        area = mean_area(ranks.areas(w)) if ranks else np.nan
        return (*decisions.balanced_accuracy_and_f1(w), area, weighted_mean(losses, w), weighted_mean(brier, w))

    return scored


def wilson(share: float, rows: float, z: float = 1.96) -> Interval:
    """Returns the 95 % confidence interval of a share (Wilson 1927, "Probable inference").

    >>> low, high = wilson(1.0, 10)
    >>> round(low, 3), round(high, 3)
    (0.722, 1.0)
    """
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z * (share * (1 - share) / rows + z * z / (4 * rows * rows)) ** 0.5 / (1 + z * z / rows)
    return middle - half, middle + half
