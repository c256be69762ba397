"""Puts what was found into findings: where the numbers are off, by how much, and the line of code that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from softxent import functional
from softxent.diagnosis.case import Array, Case, Part
from softxent.diagnosis.hypotheses import declared_scale, floor_of, sums_to_1
from softxent.diagnosis.matching import Explanation, expectation, skipped
from softxent.diagnosis.precision import floor, ulp
from softxent.diagnosis.result import Finding, Place

OF_LOGITS = "loss = cross_entropy(logits, target)  # logits: the scores, with no softmax before"

# {part} is loss, grad, or each of them in turn; whatever has no = in it is what the part becomes
FIXES = {
    "summed": "{part} / {used}",
    "averaged": "{part} * {divisor}",
    "averaged_twice": "{part} * {used}",
    "divided_by_classes": "{part} * {classes}",
    "wrong_sign": "-{part}",
    "in_bits": "{part} * math.log(2)",
    "not_reduced": "loss = losses.sum(){per}",
    "ignored_rows_in_divisor": "divisor = (target != {ignore_index}).sum()",
    "weights_divided_by_rows": "divisor = class_weight[target].sum()",
    "normalizer_not_applied": "divisor = {used}",
    "temperature_not_in_gradient": "grad = grad / {temperature}",
    "gradient_of_another_reduction": "{part} {rescale}",
    "factor": "{part} / {factor}",
    "class_weight": "loss = cross_entropy(logits, target, class_weight={class_weight})",
    "row_weights": "{part} / weights[:, None]",
    "target_forgotten": "grad = (p - y){per}",
    "softmax_twice": OF_LOGITS,
    "log_forgotten": "log_p = log_softmax(logits)  # not softmax",
    "softmax_forgotten": "log_p = log_softmax(logits)  # not the logits themselves",
    "wrong_axis": "p = softmax(logits, axis={declared})",
    "softmax_over_all": "p = softmax(logits, axis={declared})",
    "labels_off_by_one": "target = {undo}",
    "label_smoothing": "loss = cross_entropy(logits, target, label_smoothing={label_smoothing})",
    "label_smoothing_over_others": "q = (1 - eps) * y + eps / {classes}",
    "weights_not_applied": "loss = cross_entropy(logits, target, class_weight=class_weight)",
    "temperature_not_applied": "loss = cross_entropy(logits / {temperature}, target)",
    "softcap_not_applied": "loss = cross_entropy({softcap} * tanh(logits / {softcap}), target)",
    "z_loss_not_applied": "losses = losses + {z_loss} * logsumexp(logits) ** 2",
    "ignored_rows_counted": "counted = target != {ignore_index}",
    "taken_as_probabilities": OF_LOGITS,
    "probabilities_as_logits": OF_LOGITS,
    "overflow_without_max_shift": "z = logits - logits.max({declared}, keepdims=True)  # before exp(z)",
    "log_of_zero": "log_p = log_softmax(logits)  # not log(softmax(logits))",
    "zero_times_inf": "losses = -where(y > 0, y * log_p, 0).sum({declared})",
    "sum_overflows": "loss = cross_entropy(logits.float(), target)",
    "finite_difference_step_too_large": "h = {best}",
    "finite_difference_step_too_small": "h = {best}",
    "digits_lost": "loss, grad = sx.cross_entropy_and_grad(logits, target)",
}

NOT_FINITE = {"overflow_without_max_shift", "log_of_zero", "zero_times_inf", "sum_overflows", "not_finite"}


def facts(case: Case) -> dict[str, Any]:
    """The numbers that words and fixes name, as they are written there."""
    options, divisor = case.options, case.right.divisor
    used = options.normalizer or divisor
    numbers = {
        "rows": case.rows,
        "classes": case.classes,
        "counted": (~case.ignored).sum(),
        "ignored": case.ignored.sum(),
        "divisor": divisor,
        "used": used,
        "floor": floor_of(case.classes),
        "temperature": options.temperature,
        "softcap": options.softcap or 0,
        "z_loss": options.z_loss,
        "label_smoothing": options.label_smoothing,
        "ignore_index": options.ignore_index,
    }
    return {name: written(value) for name, value in numbers.items()} | {
        "declared": case.axis,
        "reduction": repr(options.reduction),
        "per": f" / {written(used)}" if options.reduction == "mean" else "",
        "rescale": f"/ {written(used)}" if options.reduction == "mean" else f"* {written(divisor)}",
        "class_weight": None if options.class_weight is None else "class_weight",
        "precision": case.precision.name,
    }


def written(value: float) -> str:
    """As in code: with a hyphen for minus."""
    return f"{float(value):.6g}"


# Findings -----------------------------------------------------------------------------------------------------------


def finding(case: Case, name: str, parts: Iterable[Part], values: Mapping[str, Any], ratio: float | None) -> Finding:
    given = list(parts)
    words = facts(case) | {key: written(value) for key, value in values.items()}
    if "shift" in values:
        words |= dict(zip(("used", "undo"), shifted(values["shift"]), strict=True))
    places = tuple(place for part in given if (place := furthest(case, part, name in NOT_FINITE)) is not None)
    part = " and ".join(part.name for part in given)
    return Finding(name, part, fix(name, [part.name for part in given], words), ratio, places, words)


def shifted(shift: float) -> tuple[str, str]:
    return ("target + 1", "target - 1") if shift > 0 else ("target - 1", "target + 1")


def fix(name: str, parts: list[str], words: Mapping[str, Any]) -> str:
    template = FIXES.get(name, "")
    if not template or "=" in template:
        return template.format(**words)
    return f"{', '.join(parts)} = {', '.join(template.format(part=part, **words) for part in parts)}"


def findings(case: Case, explanation: Explanation) -> list[Finding]:
    """One for each mistake, of the parts that have it."""
    given = {part.name: part for part in (case.loss, case.grad) if part is not None}
    of: dict[tuple[str, str], list[str]] = {}
    for name in [name for name in given if name in explanation]:
        for mistake in sorted(explanation[name].mistakes):
            of.setdefault(mistake, []).append(name)
    found = []
    for (name, _), names in of.items():
        fit = explanation[names[0]]
        alone = name in fit.scales and len(fit.scales) == 1
        if reductions_differ(explanation, name):
            name = "gradient_of_another_reduction"
        values = fit.values if name == fit.mistake else {}
        found.append(finding(case, name, [given[n] for n in names], values, fit.ratio if alone else None))
    return found


def reductions_differ(explanation: Explanation, name: str) -> bool:
    """The loss is as declared, and the gradient that of a sum or a mean."""
    if explanation.keys() != {"loss", "grad"} or name not in ("summed", "averaged"):
        return False
    return not explanation["loss"].mistakes and len(explanation["grad"].mistakes) == 1


# Places -------------------------------------------------------------------------------------------------------------


def apart(case: Case, part: Part) -> tuple[Array, Array]:
    """How far each number is from the right one, and which are further than rounding."""
    expected, allowed = expectation(case, part, case.right)
    skip = skipped(case, part, np.zeros(case.rows, bool))
    with np.errstate(invalid="ignore"):
        distance = np.abs(part.values - expected)
    alike = skip | (part.values == expected) | (np.isnan(part.values) & np.isnan(expected))
    distance = np.where(alike, 0.0, np.where(np.isnan(distance), np.inf, distance))
    return distance, distance > np.where(np.isfinite(expected), allowed + floor(part.precision), 0.0)


def furthest(case: Case, part: Part, not_finite: bool) -> Place | None:
    """Where a number is furthest from the right one, if it is further than rounding; inf and NaN count if asked for."""
    distance, wrong = apart(case, part)
    wrong = wrong if not_finite else wrong & np.isfinite(distance)
    return place(case, part, int(np.where(wrong, distance, -1).argmax())) if wrong.any() else None


def place(case: Case, part: Part, flat: int) -> Place:
    expected = np.broadcast_to(expectation(case, part, case.right)[0], part.values.shape)
    index: tuple[int, ...] = ()
    if part.name == "grad":
        index = case.place(*divmod(flat, case.classes))
    elif part.by_row:
        index = case.place(flat)
    return Place(part.name, index, float(part.values.flat[flat]), float(expected.flat[flat]))


def unexplained(case: Case, part: Part) -> Finding:
    """With the first number that is wrong, and the one that is furthest off."""
    distance, wrong = apart(case, part)
    flat = dict.fromkeys([int(wrong.argmax()), int(distance.argmax())])
    words = facts(case) | {"wrong": int(wrong.sum()), "count": part.values.size}
    return Finding("unexplained", part.name, places=tuple(place(case, part, k) for k in flat), values=words)


# What is right ------------------------------------------------------------------------------------------------------


def unit(case: Case, part: Part) -> Array:
    """The size whose ULP the bound of 4 ULP is stated in: the number itself, or the largest term of a difference."""
    expected = np.abs(expectation(case, part, case.right)[0])
    differs = not case.by_index or case.options.label_smoothing > 0 or case.options.z_loss > 0
    if part.name == "loss" or not differs:
        return expected
    scale = declared_scale(case, part, case.right.divisor)
    y = scale * case.a * case.slope
    return np.asarray(np.maximum(np.abs(scale * case.right.grads + y), y))


def in_ulp(case: Case, part: Part) -> float:
    distance, size = apart(case, part)[0], unit(case, part)
    with np.errstate(invalid="ignore"):
        ulps = distance / ulp(size, part.precision)
    return float(np.max(ulps, initial=0.0, where=np.isfinite(ulps)))


def hints(case: Case, right: Iterable[Part]) -> list[Finding]:
    found = []
    if log_probabilities(case):
        found.append(Finding("log_probabilities_as_logits", "logits"))
    for part in right:
        distance, size = apart(case, part)[0], unit(case, part)
        with np.errstate(invalid="ignore"):
            lost = np.isfinite(size) & (distance > np.maximum(1e-2 * size, floor(part.precision)))
        if lost.any():
            relative = np.where(lost, distance / np.maximum(size, floor(part.precision)), 0)
            words = facts(case) | {"precision": part.precision.name}
            where = (place(case, part, int(relative.argmax())),)
            found.append(Finding("digits_lost", part.name, fix("digits_lost", [], words), None, where, words))
    return found


def log_probabilities(case: Case) -> bool:
    """Whether log Σ exp is 0 in each row, to the precision of a log-softmax."""
    x = case.x
    if case.classes < 2 or not (x <= 0).all() or not np.isfinite(x.max(axis=1)).all():
        return False
    lse = functional.logsumexp(x)
    return bool((np.abs(lse) <= 4 * case.precision.eps * (case.classes**0.5 - x.max(axis=1))).all())


def of_logits(case: Case) -> list[Finding]:
    """The finding that the logits are probabilities."""
    if not sums_to_1(case):
        return []
    words = facts(case)
    return [Finding("probabilities_as_logits", "logits", fix("probabilities_as_logits", [], words), values=words)]
