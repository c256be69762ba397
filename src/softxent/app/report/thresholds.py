"""Two classes: what becomes of precision, recall and F1 if the rarer class is predicted from another probability on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve, roc_curve

from softxent.app.report.scores import Array, Classes

GRID = 201  # thresholds at which the curves are drawn


class At(NamedTuple):
    """A threshold, and the scores of predicting the class where its probability is at least that."""

    threshold: float
    precision: float
    recall: float
    f1: float
    balanced_accuracy: float


class Thresholds(NamedTuple):
    """`positive` is the index of the class that a threshold is for; `curve` has a point for each of GRID thresholds."""

    positive: int
    half: At
    best_f1: At
    best_balanced_accuracy: At
    curve: list[At]


def thresholds(p: NDArray[np.float64], target: Classes, train_rows: Classes, w: Array) -> Thresholds | None:
    """Returns the scores over the threshold of the rarer class in training; None if the rows are all of one class."""
    positive = 0 if train_rows[0] < train_rows[1] else 1
    y = target == positive
    if not w[y].any() or not w[~y].any():
        return None
    precision, recall, at = precision_recall_curve(y, p[:, positive], sample_weight=w)
    false_positive, _, _ = roc_curve(y, p[:, positive], sample_weight=w, drop_intermediate=False)
    specificity = 1 - false_positive[1:][::-1]  # of the same thresholds: all probabilities, in ascending order
    precision, recall = precision[:-1], recall[:-1]
    f1 = 2 * precision * recall / np.where(precision + recall > 0, precision + recall, 1)
    balanced = (recall + specificity) / 2
    none = At(1.0, np.nan, 0.0, 0.0, 0.5)  # above all probabilities

    def scored(threshold: float) -> At:
        k = int(np.searchsorted(at, threshold))
        if k == len(at):
            return none._replace(threshold=threshold)
        return At(threshold, *(float(of[k]) for of in (precision, recall, f1, balanced)))

    def best(of: Array) -> At:
        k = min(np.flatnonzero(of >= of.max() - 1e-12), key=lambda k: abs(at[k] - 0.5))
        below = at[k - 1] if k else 0.0
        return scored(0.5 if below < 0.5 <= at[k] else float(below + at[k]) / 2)  # all in between do the same

    return Thresholds(positive, scored(0.5), best(f1), best(balanced), [scored(t) for t in np.linspace(0, 1, GRID)])
