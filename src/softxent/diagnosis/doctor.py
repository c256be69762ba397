"""sx.diagnose: from the user's numbers to a Diagnosis."""

from __future__ import annotations

from typing import Any, Unpack

import numpy as np

from softxent.diagnosis import evidence
from softxent.diagnosis.case import Array, Case, Part
from softxent.diagnosis.fitted import fitted
from softxent.diagnosis.matching import Explanation, explanations
from softxent.diagnosis.nonfinite import Lost, lost
from softxent.diagnosis.result import Diagnosis, Finding
from softxent.options import Options, takes_options

NO_MISTAKES = {"finite_difference"}  # what may be found and is a hint


@takes_options
def diagnose(
    logits: Any, target: Any, *, loss: Any = None, grad: Any = None, axis: int = -1, **options: Unpack[Options]
) -> Diagnosis:
    """Says what is wrong with a loss and a gradient of your own, or that they are right, to how many ULP.

    logits, target   as cross_entropy's: arrays or tensors; a few rows are enough
    loss             yours: a number, or one a row; or a function of (logits, target) that returns the loss, or the loss
                     and the gradient. For tensors, autograd's gradient of it is checked too
    grad             yours, of logits' shape, or a function of (logits, target) that returns it
    axis             of the classes; the options are those that your loss is meant to have
    {options}

    Each finding names a mistake that would give just these numbers, with the evidence and a line of code that mends it.
    If several would, all are named; if none is known that would, it says where the numbers are off and accuses nothing.

    >>> import numpy as np
    >>> from softxent import cross_entropy, softmax
    >>> logits, target = np.array([[1.0, 5.0, 3.0], [2.0, 0.0, 1.0]]), np.array([1, 0])
    >>> diagnose(logits, target, loss=cross_entropy(logits, target)).correct
    True
    >>> diagnosis = diagnose(logits, target, grad=softmax(logits) / 2)
    >>> print(diagnosis.text("en"))
    gradient: y is forgotten: it is p, not p − y
      grad[0, 1] is 0.433407, but should be −0.0665933
      fix: grad = (p - y) / 2
    >>> [finding.name for finding in diagnosis.findings]
    ['target_forgotten']

    Errors: ValueError or TypeError, naming the argument, as cross_entropy's, and for shapes that do not fit.
    """
    return diagnosis_of(Case.of(logits, target, loss, grad, axis, options))


def diagnosis_of(case: Case) -> Diagnosis:
    with np.errstate(all="ignore"):  # inf and NaN are data here
        return found(case)


def found(case: Case) -> Diagnosis:
    given = {part.name: part for part in (case.loss, case.grad) if part is not None}
    missing = {name: lost(case, part) for name, part in given.items()}
    excused = {name: each.rows for name, each in missing.items()}
    choices = explained(case, given, excused)
    unknown = [part for name, part in given.items() if name not in choices[0] and not excused[name].all()]
    base = [evidence.unexplained(case, part) for part in unknown]
    sets = [
        [*not_finite, *base, *evidence.findings(case, choice)]
        for not_finite in not_finite_findings(case, given, missing)
        for choice in choices
    ]
    notes = [each for each in sets[0] if each.name in NO_MISTAKES]
    sets = [[each for each in findings if each.name not in NO_MISTAKES] for findings in sets]
    named = {finding.name for findings in sets for finding in findings}
    inputs = [] if "taken_as_probabilities" in named else evidence.of_logits(case)
    right = [part for name, part in given.items() if is_right(name, choices[0], missing[name])]
    return Diagnosis(
        (*inputs, *sets[0]),
        tuple((*inputs, *findings) for findings in sets[1:]),
        (*notes, *evidence.hints(case, right)),
        {part.name: evidence.in_ulp(case, part) for part in right},
        {part.name: part.precision.name for part in right},
    )


def is_right(name: str, explanation: Explanation, lost: Lost) -> bool:
    return not lost.wrong and (bool(lost.rows.all()) or (name in explanation and not explanation[name].mistakes))


def explained(case: Case, given: dict[str, Part], excused: dict[str, Array]) -> list[Explanation]:
    """With mistakes that have a parameter if no others explain all; what explains a part alone if none does."""
    choices = explanations(case, excused, {})
    left = [name for name in given if name not in choices[0] and not excused[name].all()]
    if not left:
        return choices
    extra = {name: fits for part in left for name, fits in fitted(case, given[part], excused[part]).items()}
    return explanations(case, excused, extra)


def not_finite_findings(case: Case, given: dict[str, Part], missing: dict[str, Lost]) -> list[list[Finding]]:
    """One set for each cause that explains all that is inf or NaN; a single empty one if nothing is."""
    bad = {name: each for name, each in missing.items() if each.wrong}
    if not bad:
        return [[]]
    shared = set.intersection(*(set(each.causes) for each in bad.values()))
    causes = [cause for cause in next(iter(bad.values())).causes if cause in shared] or ["not_finite"]
    return [[evidence.finding(case, cause, [given[name] for name in bad], {}, None)] for cause in causes]
