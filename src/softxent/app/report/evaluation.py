"""Evaluates a classifier's probabilities: the numbers of the report and of metrics.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import precision_recall_fscore_support

from softxent.app.report.intervals import intervals
from softxent.app.report.scores import MANY, RANKED, Decisions, Scores, in_top, roc_auc, weighted_mean
from softxent.app.report.thresholds import Thresholds, thresholds
from softxent.functional import cross_entropy, cross_entropy_and_grad, softmax

BINS = 15  # of the top probability, as in Guo et al. 2017, section 4
WORST = 10
ROWS = 1024  # in a block of p − y, so that it is never held for all rows
MATRIX_CLASSES = 100  # metrics() holds the confusion matrix up to here: 100 × 100 numbers

Array = NDArray[np.float64]


class PerClass(NamedTuple):
    name: str
    precision: float  # NaN if the class was never predicted
    recall: float  # NaN if no row has it
    f1: float
    rows: int
    train_rows: int


class Bin(NamedTuple):
    """The rows whose top probability is in (low, high]; of an empty bin, confidence and accuracy are NaN."""

    low: float
    high: float
    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Example:
    """One row: its index in y, its number in the user's data, y, log p, p, p − y and −log p_y."""

    index: int
    row: int
    y: int
    log_p: Array
    p: Array
    grad: Array
    loss: float

    @property
    def predicted(self) -> int:
        return int(self.p.argmax())


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The result of `of`. `baseline` always predicts the training frequencies; `worst` has the largest losses first."""

    classes: tuple[str, ...]
    rows: int
    scores: Scores
    intervals: dict[str, tuple[float, float]]  # 95 %, by the score's name; of those that have one
    baseline: Scores
    majority: int
    confusion: NDArray[np.int64]  # rows of each true × predicted class
    per_class: tuple[PerClass, ...]
    bins: tuple[Bin, ...]
    worst: tuple[Example, ...]
    thresholds: Thresholds | None  # of two classes

    @classmethod
    def of(
        cls,
        classes: Sequence[object],
        y: ArrayLike,
        P: ArrayLike | None = None,
        *,
        log_P: ArrayLike | None = None,
        class_counts: ArrayLike,
        rows: ArrayLike | None = None,
        weight: ArrayLike | None = None,
        frequency: ArrayLike = (),
    ) -> Evaluation:
        """Evaluates n predictions of V classes.

        classes       V names
        y             n true class indices
        P, log_P      n × V probabilities, or their logarithms (one of the two): with log_P, a p that underflows to 0
                      still has a finite loss
        class_counts  V numbers of training rows: the baseline always predicts their frequencies
        rows          the n rows' numbers in the user's data (none: 0 … n − 1)
        weight        how much each row counts in all that is a mean over rows (none: all the same)
        frequency     V shares that the baseline predicts instead, where training rows have weights

        >>> e = Evaluation.of(["cat", "dog"], [0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], class_counts=[5, 5])
        >>> print(f"{e.scores.accuracy:.3f} {e.scores.log_loss:.4f} {e.baseline.log_loss:.4f} {e.worst[0].row}")
        0.667 0.4149 0.6931 2
        >>> e.worst[0].grad.round(3)
        array([ 0.6, -0.6])
        """
        target = np.asarray(y, np.int64)
        V = len(classes)
        logits = _log_probabilities(P, log_P, (len(target), V))  # log p is a logit whose lse is 0
        counts = np.asarray(class_counts, np.int64)
        share = np.asarray(frequency if len(np.asarray(frequency)) else counts, np.float64)
        w = np.ones(len(target)) if weight is None else np.asarray(weight, np.float64)
        numbers = np.arange(len(target)) if rows is None else np.asarray(rows)
        losses = cross_entropy(logits, target, reduction="none").astype(np.float64)
        brier = _brier_scores(logits, target)
        predicted = logits.argmax(axis=1)
        right = predicted == target
        names = tuple(str(name) for name in classes)
        bins, part = _bins(np.exp(logits.max(axis=1).astype(np.float64)), right, w)
        worst = np.argsort(-losses, kind="stable")[:WORST]
        wide, y_worst = logits[worst].astype(np.float64), target[worst]
        balanced_accuracy, macro_f1 = Decisions(target, predicted, V).balanced_accuracy_and_f1(w)
        scores = Scores(
            accuracy=float(np.average(right, weights=w)),
            balanced_accuracy=balanced_accuracy,
            macro_f1=macro_f1,
            roc_auc=roc_auc(logits, target, w),
            top_5_accuracy=float(np.average(in_top(logits, target), weights=w)) if V > MANY else np.nan,
            log_loss=weighted_mean(losses, w),
            calibration_error=sum(s * abs(b.accuracy - b.confidence) for s, b in zip(part, bins, strict=True) if s),
            brier_score=weighted_mean(brier, w),
        )
        return cls(
            classes=names,
            rows=len(target),
            scores=scores,
            intervals=intervals(scores, logits, target, losses, brier, w),
            baseline=_baseline(share / share.sum(), target, w),
            majority=int(share.argmax()),
            confusion=np.bincount(target * V + predicted, minlength=V * V).reshape(V, V),
            per_class=_per_class(names, target, predicted, counts, weight),
            bins=bins,
            worst=tuple(
                Example(int(i), int(numbers[i]), int(target[i]), log_p, p, grad, float(losses[i]))
                for i, log_p, p, grad in zip(worst, wide, softmax(wide), _p_minus_y(wide, y_worst), strict=True)
            ),
            thresholds=thresholds(np.exp(logits.astype(np.float64)), target, counts, w) if V == 2 else None,
        )

    def metrics(self) -> dict[str, Any]:
        """Returns everything as JSON has it; a number that is not finite, or not defined (an empty bin's), is None."""
        return {
            "rows": self.rows,
            "classes": list(self.classes),
            **_json(self.scores),
            "intervals": {name: list(interval) for name, interval in self.intervals.items()},
            "baseline": {"class": self.classes[self.majority], **_json(self.baseline)},
            "per_class": [_json(entry) for entry in self.per_class],
            "reliability": [_json(entry) for entry in self.bins],
            "worst": [
                {"row": e.row, "target": e.y, "predicted": e.predicted, "log_loss": _finite(e.loss)} for e in self.worst
            ],
            **({"confusion_matrix": self.confusion.tolist()} if len(self.classes) <= MATRIX_CLASSES else {}),
            **({"thresholds": self._thresholds(self.thresholds)} if self.thresholds else {}),
        }

    def _thresholds(self, found: Thresholds) -> dict[str, Any]:
        best = {name: getattr(found, name)._asdict() for name in ("half", "best_f1", "best_balanced_accuracy")}
        return {"class": self.classes[found.positive]} | {
            name: {key: _finite(x) for key, x in at.items()} for name, at in best.items()
        }


def _log_probabilities(P: ArrayLike | None, log_P: ArrayLike | None, shape: tuple[int, int]) -> NDArray[Any]:
    if (P is None) == (log_P is None):
        raise TypeError(f"{'neither P nor log_P is' if P is None else 'both P and log_P are'} given: give one of them")
    if shape[0] == 0:
        raise ValueError("y has no rows, but an evaluation needs at least 1")
    name, given = ("log_P", np.asarray(log_P)) if P is None else ("P", np.asarray(P))
    if given.shape != shape:
        raise ValueError(f"{name} has shape {given.shape}, but y has {shape[0]} rows and classes has {shape[1]} names")
    if np.isnan(given).any():
        raise ValueError(f"{name}[{int(np.isnan(given).any(axis=1).argmax())}] has NaN, but must be probabilities")
    with np.errstate(divide="ignore"):
        return given if P is None else np.log(given)


def _p_minus_y(logits: NDArray[Any], target: NDArray[np.int64]) -> NDArray[Any]:
    """Returns p − y, which is −1 at a target whose p is 0: no mask, whose gradient would be 0."""
    losses, grad = cross_entropy_and_grad(logits, target, reduction="none")
    impossible = np.isposinf(losses)
    grad[impossible, target[impossible]] = -1
    return grad


def _brier_scores(logits: NDArray[Any], target: NDArray[np.int64]) -> Array:
    scores = np.empty(len(target))
    for first in range(0, len(target), ROWS):
        grad = _p_minus_y(logits[first : first + ROWS], target[first : first + ROWS])
        scores[first : first + ROWS] = np.einsum("ij,ij->i", grad, grad)
    return scores


def _baseline(frequency: Array, target: NDArray[np.int64], w: Array) -> Scores:
    """Scores the training frequencies as a prediction for every row; all rows are then in one bin."""
    V, says = len(frequency), np.full(len(target), frequency.argmax())
    accuracy = float(np.average(target == says, weights=w))
    balanced_accuracy, macro_f1 = Decisions(target, says, V).balanced_accuracy_and_f1(w)
    f_y = frequency[target]
    with np.errstate(divide="ignore"):  # a class that training did not have
        log_loss = weighted_mean(-np.log(f_y), w)
    several = len(np.unique(target[w > 0])) > 1
    return Scores(
        accuracy=accuracy,
        balanced_accuracy=balanced_accuracy,
        macro_f1=macro_f1,
        roc_auc=0.5 if several and V <= RANKED else np.nan,  # all rows are ties
        top_5_accuracy=float(np.average(in_top(np.broadcast_to(frequency, (len(target), V)), target), weights=w))
        if V > MANY
        else np.nan,
        log_loss=log_loss,
        calibration_error=abs(accuracy - float(frequency.max())),
        brier_score=float(frequency @ frequency - 2 * np.average(f_y, weights=w) + 1),
    )


def _per_class(
    names: tuple[str, ...],
    target: NDArray[np.int64],
    predicted: NDArray[np.intp],
    counts: NDArray[np.int64],
    weight: ArrayLike | None,
) -> tuple[PerClass, ...]:
    table = precision_recall_fscore_support(
        target, predicted, labels=range(len(names)), zero_division=np.nan, sample_weight=weight
    )
    rows = np.bincount(target, minlength=len(names))
    columns = (*table[:3], rows, counts)
    return tuple(PerClass(*entry) for entry in zip(names, *(column.tolist() for column in columns), strict=True))


def _bins(top: Array, right: NDArray[np.bool_], w: Array) -> tuple[tuple[Bin, ...], list[float]]:
    """Returns the bins, and the share of all weight that is in each."""
    which = np.clip(np.ceil(top * BINS).astype(int) - 1, 0, BINS - 1)
    rows, weight = np.bincount(which[w > 0], minlength=BINS), np.bincount(which, w, BINS)
    with np.errstate(invalid="ignore"):
        confidence, accuracy = (np.bincount(which, of * w, BINS) / weight for of in (top, right))
    bins = tuple(
        Bin(b / BINS, (b + 1) / BINS, int(rows[b]), float(confidence[b]), float(accuracy[b])) for b in range(BINS)
    )
    return bins, (weight / weight.sum()).tolist()


def _json(entry: Scores | PerClass | Bin) -> dict[str, Any]:
    """Returns the numbers by their names; one that is not defined is None."""
    return {name: _finite(x) if isinstance(x, float) else x for name, x in entry._asdict().items()}


def _finite(x: float) -> float | None:
    return x if np.isfinite(x) else None
