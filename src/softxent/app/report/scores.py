"""The scores of a classifier's probabilities, each a function of how much every row counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

TOP = 5  # top-5 accuracy, as on ImageNet
MANY = 10  # with more classes than this it is a score
RANKED = 100  # with more classes than this, ROC-AUC would take a sort of all rows for each: it is left out
ROWS = 1024  # compared at a time, so that no second array of rows × classes is held

Array = NDArray[np.float64]
Classes = NDArray[np.int64]


class Scores(NamedTuple):
    """The numbers that sum up the probabilities; NaN where one is not defined.

    accuracy           the share of the rows whose most probable class is right
    balanced_accuracy  the mean of the classes' recalls (Brodersen et al., ICPR 2010)
    macro_f1           the mean of the classes' F1
    roc_auc            how often a row of a class has a higher p of it than a row of another: the mean over the classes,
                       each against the rest (Hand & Till 2001, section 2); with two classes, of either
    top_5_accuracy     the share of the rows whose class is among the five most probable, if there are more than 10
    log_loss           mean of −log p_y, in nats: 0 is perfect, log V is guessing uniformly
    calibration_error  Σ_b |B_b|/n · |accuracy(B_b) − confidence(B_b)| over 15 bins b of equal width of the top
                       probability, which confidence averages (Naeini et al., AAAI 2015; Guo et al., ICML 2017, eq. 3)
    brier_score        mean of Σ_j (p_j − y_j)², in [0, 2] (Brier 1950): the squared length of p − y
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    roc_auc: float
    top_5_accuracy: float
    log_loss: float
    calibration_error: float
    brier_score: float


PHRASES = {  # of the scores, in the order in which they are shown
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "roc_auc": "ROC-AUC",
    "top_5_accuracy": "top-5 accuracy",
    "log_loss": "log-loss",
    "calibration_error": "calibration error",
    "brier_score": "Brier score",
}


def weighted_mean(of: NDArray[Any], w: Array) -> float:
    """Returns the mean by weight; a row that weighs nothing has no part in it, be it infinite."""
    return float(np.average(of[w > 0].astype(np.float64), weights=w[w > 0]))


class Decisions:
    """True and predicted classes, counted cell by cell of the confusion matrix."""

    def __init__(self, target: Classes, predicted: NDArray[Any], classes: int) -> None:
        self.classes = classes
        cells, self.cell = np.unique(target * classes + predicted, return_inverse=True)
        self.true, self.predicted = np.divmod(cells, classes)

    def balanced_accuracy_and_f1(self, w: Array) -> tuple[float, float]:
        """Returns the mean recall and the mean F1 of the classes that any of the rows has or is predicted as."""
        V, weight = self.classes, np.bincount(self.cell, w, len(self.true))
        has, said = np.bincount(self.true, weight, V), np.bincount(self.predicted, weight, V)
        right = self.true == self.predicted
        hits = np.bincount(self.true[right], weight[right], V)
        recall = float((hits[has > 0] / has[has > 0]).mean())
        return recall, float((2 * hits / np.where(has + said > 0, has + said, 1))[has + said > 0].mean())


class Ranks:
    """Rows in the order of each class's logit, in which ROC-AUC counts the pairs that stand right.

    A class's order is worth more than p's: p rounds to 1 for many rows at once.
    """

    def __init__(self, logits: NDArray[Any], target: Classes, classes: Sequence[int]) -> None:
        of = logits[:, list(classes)].T
        self.order = np.argsort(of, axis=1, kind="stable")
        ordered = np.take_along_axis(of, self.order, axis=1)
        n, at = of.shape[1], np.arange(of.shape[1])
        new = np.concatenate([np.ones((len(of), 1), bool), ordered[:, 1:] != ordered[:, :-1]], axis=1)
        self.below = np.maximum.accumulate(np.where(new, at, 0), axis=1)  # how many are less than each
        ends = np.concatenate([new[:, 1:], np.ones((len(of), 1), bool)], axis=1)
        self.up_to = np.minimum.accumulate(np.where(ends, at + 1, n)[:, ::-1], axis=1)[:, ::-1]
        self.positive = target[self.order] == np.array(classes)[:, None]

    def areas(self, w: Array) -> Array:
        """Returns the area under each class's curve, ties counted by half; NaN without rows on either side."""
        weight = w[self.order]
        positive = weight * self.positive
        before = np.zeros((len(weight), weight.shape[1] + 1))
        np.cumsum(weight - positive, axis=1, out=before[:, 1:])
        passed = np.take_along_axis(before, self.below, 1) + np.take_along_axis(before, self.up_to, 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (positive * passed).sum(axis=1) / 2 / (positive.sum(axis=1) * before[:, -1])


def ranked(logits: NDArray[Any]) -> tuple[NDArray[Any], list[int]]:
    """Returns what rows are ranked by, and the classes that are: of two, the second, by the difference."""
    V = logits.shape[1]
    if V == 2:
        return np.stack([logits[:, 0], logits[:, 1] - logits[:, 0]], axis=1), [1]
    return logits, list(range(V)) if V <= RANKED else []


def roc_auc(logits: NDArray[Any], target: Classes, w: Array) -> float:
    by, classes = ranked(logits)
    return mean_area(np.array([Ranks(by, target, [k]).areas(w)[0] for k in classes]))


def mean_area(areas: Array) -> float:
    known = areas[~np.isnan(areas)]
    return float(known.mean()) if len(known) else np.nan


def in_top(logits: NDArray[Any], target: Classes, top: int = TOP) -> NDArray[np.bool_]:
    """Whether each row's class is among its `top` most probable; of equal ones, the first classes count as more."""
    found = np.empty(len(target), bool)
    for first in range(0, len(target), ROWS):
        rows, y = logits[first : first + ROWS], target[first : first + ROWS, None]
        own = np.take_along_axis(rows, y, axis=1)
        before = (rows > own) | ((rows == own) & (np.arange(rows.shape[1]) < y))
        found[first : first + ROWS] = before.sum(axis=1) < top
    return found
