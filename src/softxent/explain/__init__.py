"""softxent.explain(scores, target): every step, in numbers (trace.py), in words (story.py) and on a screen (render.py).

The function and this package have one name, and an import from the package puts it into `softxent`
under that name. So `softxent.explain` is always the package, and the package can be called.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from inspect import signature
from types import ModuleType

from numpy.typing import ArrayLike

from softxent.explain import words  # noqa: F401  adds the phrases
from softxent.explain.render import as_html, as_text
from softxent.explain.story import story
from softxent.explain.trace import Layer, Trace

__all__ = ["Explanation", "Layer", "Trace", "explain"]


class Explanation(Trace):
    """A Trace that prints as its story, and is shown as one in a notebook."""

    def __str__(self) -> str:
        return as_text(story(self))

    def _repr_html_(self) -> str:
        return as_html(story(self))


def explain(
    scores: ArrayLike | Layer,
    target: int | str | None = None,
    *,
    temperature: float = 1.0,
    labels: Sequence[str] | None = None,
) -> Explanation:
    """p = softmax(scores / T), loss = −ln p_y, gradient = (p − y) / T, with every step between.

    scores: V ≤ 1000 numbers, a class each, or a `Layer` whose W x + b they are; −inf is a mask.
    target: the right class, an index from 0 or one of `labels`; by default the class with the largest score.

    Errors: ValueError for scores that are not one row of real numbers, a target that is none of the classes, T ≤ 0,
    labels that are not one name a class. NaN and ±inf scores are data.

    >>> trace = explain([1, 5, 3], 1)
    >>> trace.p.round(6), round(trace.loss, 6), trace.gradient.round(6)
    (array([0.015876, 0.866813, 0.11731 ]), 0.142932, array([ 0.015876, -0.133187,  0.11731 ]))
    >>> explain([1, 5, 3], "dog", labels=["cat", "dog", "bird"]).draws  # of 1000
    (..., ..., ...)
    >>> explain([1, 5, 3], 7)
    Traceback (most recent call last):
    softxent.words.Mistake: target is 7, but scores has 3 classes (0 … 2)
    """
    return Explanation.of(scores, target, temperature=temperature, labels=labels)


class _Callable(ModuleType):
    __call__ = staticmethod(explain)
    __signature__ = signature(explain)


sys.modules[__name__].__class__ = _Callable
