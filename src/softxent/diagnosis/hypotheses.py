"""The mistakes that are known, each as what the user's numbers would then be.

A mistake of the computation predicts the loss and the gradient of each row; one of scale is a factor on them. Both are
made from softxent's own functions, in float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from softxent import functional
from softxent.derivatives import softmax_times
from softxent.diagnosis.case import Array, Case, Part, Prediction, rows_of

# Of the computation: each yields what it predicts, in one or more variants -------------------------------------------


def target_forgotten(case: Case) -> Iterator[Prediction]:
    """The gradient is p, not p − y."""
    yield case.right._replace(grads=case.right.grads + case.a * case.slope, only="grad")


def softmax_twice(case: Case) -> Iterator[Prediction]:
    """The loss takes p for logits, so it cannot fall below log(1 + (V − 1) / e)."""
    p = functional.softmax(case.x)
    once = case.predict(x=p)._replace(values={"floor": floor_of(case.classes)})
    yield once._replace(grads=softmax_times(once.grads, p, 1, 1.0))
    yield once  # softmax(p) − y, by hand


def floor_of(classes: int) -> float:
    """The least cross-entropy of logits between 0 and 1."""
    return math.log1p((classes - 1) / math.e)


def log_forgotten(case: Case) -> Iterator[Prediction]:
    """The loss is −p_y."""
    yield Prediction(-products(case.a, case.p), softmax_times(-case.a, case.p, 1, 1.0) * case.slope, case.right.divisor)


def softmax_forgotten(case: Case) -> Iterator[Prediction]:
    """The loss is −z_y, as nll_loss makes it of logits."""
    yield Prediction(-products(case.a, case.z), -case.a * case.slope, case.right.divisor)


def wrong_axis(case: Case) -> Iterator[Prediction]:
    """The softmax is taken over another axis than that of the classes."""
    for axis in set(range(len(case.shape))) - {case.axis}:
        for prediction in softmax_over(case, axis):
            yield prediction._replace(values={"axis": axis})
        if case.by_index and case.shape[axis] == case.classes:
            yield along(case, axis)


def softmax_over_all(case: Case) -> Iterator[Prediction]:
    """np.exp(x) / np.exp(x).sum(), of all rows at once."""
    if case.rows > 1:
        yield from softmax_over(case, tuple(range(len(case.shape))))


def softmax_over(case: Case, axis: int | tuple[int, ...]) -> Iterator[Prediction]:
    """With the derivative of that, or with p − y."""
    z, a = case.in_shape(case.z), case.in_shape(case.a)
    log_p, p = functional.log_softmax(z, axis), functional.softmax(z, axis)
    losses = -products(case.a, rows_of(log_p, case.axis))
    for total in (a.sum(axis=axis, keepdims=True), a.sum(axis=case.axis, keepdims=True)):
        yield Prediction(losses, rows_of(p * total - a, case.axis) * case.slope, case.right.divisor)


def along(case: Case, axis: int) -> Prediction:
    """What cross_entropy(…, axis=axis) gives, if the shapes happen to fit."""
    moved = replace(case, x=rows_of(case.in_shape(case.x), axis), axis=axis)
    there = moved.predict()
    return there._replace(grads=rows_of(moved.in_shape(there.grads), case.axis), values={"axis": axis})


def labels_off_by_one(case: Case) -> Iterator[Prediction]:
    if not case.by_index:
        return
    for shift in (1, -1)[: case.classes - 1]:  # of two classes, it is the other one both ways
        moved = np.where(case.ignored, case.target, (case.target + shift) % case.classes)
        yield case.predict(target=moved)._replace(values={"shift": shift})


def label_smoothing(case: Case) -> Iterator[Prediction]:
    if case.options.label_smoothing:
        yield case.predict(label_smoothing=0.0)._replace(values={"found": 0.0})


def label_smoothing_over_others(case: Case) -> Iterator[Prediction]:
    """ε is shared among the V − 1 other classes: the target is left 1 − ε, not 1 − ε + ε / V."""
    epsilon = case.options.label_smoothing * case.classes / max(case.classes - 1, 1)
    if case.by_index and 0 < epsilon <= 1 and case.classes > 1:
        yield case.predict(label_smoothing=epsilon)


def ignored_rows_counted(case: Case) -> Iterator[Prediction]:
    if not case.ignored.any():
        return
    if -case.classes <= case.options.ignore_index < case.classes:  # an index of some class, counted from either end
        yield case.predict(target=case.target % case.classes, ignore_index=-1)
    counted = np.where(case.ignored[:, None], case.p * case.slope, case.right.grads)
    yield case.right._replace(grads=counted, only="grad")  # their one-hot row is all 0, and p is left


def taken_as_probabilities(case: Case) -> Iterator[Prediction]:
    """The user's loss is right, but takes what is here called logits for probabilities."""
    if sums_to_1(case):
        with np.errstate(divide="ignore"):
            yield case.predict(x=np.log(case.x))


def sums_to_1(case: Case) -> bool:
    """Whether the logits are probabilities: between 0 and 1, and 1 in each row, to the precision of a softmax."""
    x = case.x
    if case.classes < 2 or not ((x >= 0) & (x <= 1)).all() or not ((x > 0) & (x < 1)).any():
        return False
    return bool((np.abs(x.sum(axis=1) - 1) <= 4 * case.precision.eps * math.sqrt(case.classes)).all())


def without(option: str, default: float | None) -> Callable[[Case], Iterator[Prediction]]:
    """A declared option that is not applied."""

    def predict(case: Case) -> Iterator[Prediction]:
        value = getattr(case.options, option)
        if value is not None and (default is None or value != default):
            changed: dict[str, Any] = {option: default}
            yield case.predict(**changed)

    return predict


MISTAKES: dict[str, Callable[[Case], Iterator[Prediction]]] = {
    "target_forgotten": target_forgotten,
    "softmax_twice": softmax_twice,
    "log_forgotten": log_forgotten,
    "softmax_forgotten": softmax_forgotten,
    "wrong_axis": wrong_axis,
    "softmax_over_all": softmax_over_all,
    "labels_off_by_one": labels_off_by_one,
    "label_smoothing": label_smoothing,
    "label_smoothing_over_others": label_smoothing_over_others,
    "weights_not_applied": without("class_weight", None),
    "temperature_not_applied": without("temperature", 1.0),
    "softcap_not_applied": without("softcap", None),
    "z_loss_not_applied": without("z_loss", 0.0),
    "ignored_rows_counted": ignored_rows_counted,
    "taken_as_probabilities": taken_as_probabilities,
}


def products(a: Array, values: Array) -> Array:
    """Σ_j a_j·value_j of each row; 0·(−inf) counts as 0."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(a != 0, a * values, 0).sum(axis=1))


# Of scale: what Σ of the rows is multiplied by, relative to what was declared ----------------------------------------


def declared_scale(case: Case, part: Part, divisor: float) -> float:
    """What the sum of the losses is multiplied by; a mean over nothing is 0."""
    if case.options.reduction != "mean" or part.by_row:
        return 1.0
    divisor = case.options.normalizer or divisor
    return 1 / divisor if divisor else 0.0


def scales(case: Case, part: Part, divisor: float) -> dict[str, float]:
    """The mistakes of scale, each with the ratio of what it gives to what was declared."""
    counted, rows, classes = int((~case.ignored).sum()), case.rows, case.classes
    ratios = {"wrong_sign": -1.0, "divided_by_classes": 1 / classes, "in_bits": 1 / math.log(2)}
    if part.name == "grad" and case.options.temperature != 1:
        ratios["temperature_not_in_gradient"] = case.options.temperature
    if not (divisor and counted):
        return ratios
    if case.options.reduction != "mean" or part.by_row:
        return ratios | {"averaged": 1 / divisor}
    used = case.options.normalizer or divisor
    ratios |= {"summed": used, "averaged_twice": 1 / used}
    if case.options.normalizer:
        return ratios | {"normalizer_not_applied": used / divisor}
    if case.options.class_weight is not None and case.by_index:
        ratios["weights_divided_by_rows"] = divisor / counted
    if counted < rows:
        ratios["ignored_rows_in_divisor"] = divisor / rows
    return ratios
