"""Every number between scores and gradient, step by step: what `softxent explain` tells.

    s → z = s / T → z − m → exp → Σ → p → −ln p_y → ∂p_j/∂z_i → chain rule → p − y → one gradient step

Softmax, loss, gradient and draws come from the functions that train models; only the steps that those never show
(shifted, exp, sum, Jacobian) come from the definition.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from softxent import definition, functional
from softxent.definition import Array
from softxent.words import Mistake

CLASSES = 1000  # the Jacobian has V² numbers: 8 MB at 1000 classes
DRAWS = 1000
SEED = 0
H = 1e-5  # in units of z: central differences are off by about h² ~ 1e-10 and by float64's ε / h ~ 1e-11


@dataclass(frozen=True, eq=False)
class Layer:
    """scores = W x + b: x has shape (D,), W (V, D), b (V,).

    >>> Layer(x=[1, 2], W=[[1, 0], [0, 1], [1, 1]], b=[0, 0, -1]).scores
    array([1., 2., 2.])
    """

    x: ArrayLike
    W: ArrayLike
    b: ArrayLike

    def __post_init__(self) -> None:
        for name in "xWb":
            value = _real(getattr(self, name))
            if value is None:
                raise Mistake("layer numbers", name=name, got=_short_repr(getattr(self, name)))
            object.__setattr__(self, name, value)
        x, W, b = self._arrays()
        if x.ndim != 1 or W.ndim != 2 or W.shape[1] != len(x) or b.shape != W.shape[:1]:
            raise Mistake("layer shapes", x=x.shape, W=W.shape, b=b.shape)

    def _arrays(self) -> tuple[Array, Array, Array]:
        return np.asarray(self.x), np.asarray(self.W), np.asarray(self.b)

    @property
    def scores(self) -> Array:
        x, W, b = self._arrays()
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(W @ x + b)

    def gradients(self, gradient: Array) -> LayerGradients:
        """∂loss/∂W = g xᵀ, ∂loss/∂b = g, ∂loss/∂x = Wᵀ g, where g = ∂loss/∂scores."""
        x, W, b = self._arrays()
        with np.errstate(invalid="ignore", over="ignore"):
            return LayerGradients(x, W, b, np.outer(gradient, x), gradient, W.T @ gradient)


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """A linear layer, and the gradient of the loss with respect to each of its parts."""

    x: Array
    W: Array
    b: Array
    grad_W: Array
    grad_b: Array
    grad_x: Array


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """The steps of `explain`, in order, each with its numbers in float64."""

    layer: LayerGradients | None
    labels: tuple[str, ...]  # a name for each class
    target: int  # y
    target_given: bool
    temperature: float
    scores: Array
    scaled: Array  # z = scores / T
    max: float  # m = max_j z_j
    shifted: Array  # z − m
    exp: Array  # exp(z − m)
    sum: float  # Σ_j exp(z_j − m)
    p: Array  # exp(z − m) / Σ
    hard_max: int  # argmax_j z_j
    draws: tuple[int, ...]  # how often `sample` drew each class
    loss: float  # −ln p_y, in nats
    jacobian: Array  # jacobian[j, i] = ∂p_j/∂z_i
    chain_rule: Array  # −1/p_y · ∂p_y/∂z_i
    gradient: Array  # ∂loss/∂scores = (p − y) / T
    finite_difference: Array  # (loss(s + h) − loss(s − h)) / 2h
    learning_rate: float
    scores_after: Array  # scores − learning_rate · gradient
    p_after: Array
    loss_after: float

    @property
    def defined(self) -> bool:
        """Whether the scores have a softmax: none is NaN or +∞, and one at least is not −∞."""
        return math.isfinite(self.max)

    def to_dict(self) -> dict[str, Any]:
        """Returns the trace as numbers, lists and strings, for JSON; NaN and ±∞, which JSON lacks, become strings.

        >>> trace = Trace.of([0.0, float("-inf")], 0).to_dict()
        >>> trace["scores"], trace["p"], trace["loss"]
        ([0.0, '-Infinity'], [1.0, 0.0], 0.0)
        """
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}

    def __repr__(self) -> str:
        numbers = ", ".join(f"{p:.6g}" for p in self.p[:8]) + (", …" if len(self.p) > 8 else "")
        return f"Trace(target={self.target}, p=[{numbers}], loss={self.loss:.6g})"

    @classmethod
    def of(
        cls,
        scores: ArrayLike | Layer,
        target: int | str | None = None,
        *,
        temperature: float = 1.0,
        labels: Sequence[str] | None = None,
    ) -> Self:
        """Computes the trace; the arguments are those of `softxent.explain`."""
        layer = scores if isinstance(scores, Layer) else None
        s = _checked_scores(scores.scores if isinstance(scores, Layer) else scores)
        T = _checked_temperature(temperature)
        names = _checked_labels(labels, len(s))
        hard_max = int(s.argmax())
        y = hard_max if target is None else _checked_target(target, names, named=labels is not None)

        with np.errstate(all="ignore"):  # NaN, ±inf and p_y = 0 are shown as they come
            z = definition.scaled(s, T)
            m, shifted = definition.shifted(z)
            exp = np.exp(shifted)
            p = np.asarray(functional.softmax(s, temperature=T))
            loss, gradient = functional.cross_entropy_and_grad(s, y, temperature=T)
            after = s - T * (T * gradient)  # η = T² moves z by −(p − y): as ∂²loss/∂z² ≤ ½, that never raises the loss
            return cls(
                layer=layer.gradients(gradient) if layer else None,
                labels=names,
                target=y,
                target_given=target is not None,
                temperature=T,
                scores=s,
                scaled=z,
                max=float(m[0]),
                shifted=shifted,
                exp=exp,
                sum=float(exp.sum()),
                p=p,
                hard_max=hard_max,
                draws=_draws(s, T) if np.isfinite(m[0]) else (0,) * len(s),
                loss=float(loss),
                jacobian=definition.softmax_jacobian(p),
                chain_rule=definition.chain_rule(p, y),
                gradient=gradient,
                finite_difference=_finite_difference(s, y, T),
                learning_rate=T * T,
                scores_after=after,
                p_after=np.asarray(functional.softmax(after, temperature=T)),
                loss_after=float(functional.cross_entropy(after, y, temperature=T)),
            )


def _draws(s: Array, T: float) -> tuple[int, ...]:
    rng = np.random.default_rng(SEED)
    drawn = [int(functional.sample(s, temperature=T, rng=rng)) for _ in range(DRAWS)]
    return tuple(np.bincount(drawn, minlength=len(s)).tolist())


def _finite_difference(s: Array, y: int, T: float) -> Array:
    """(loss(s + h·e_i) − loss(s − h·e_i)) / 2h for each i, divided by the step that float64 really took."""
    h = H * T * np.eye(len(s))
    up, down = s + h, s - h
    above, below = (
        functional.cross_entropy(x, np.full(len(s), y), temperature=T, reduction="none") for x in (up, down)
    )
    width = np.where(np.isneginf(s), 2 * H * T, up.diagonal() - down.diagonal())  # a mask stays −inf when it is moved
    return np.asarray((above - below) / width)


# What a user can get wrong ------------------------------------------------------------------------------------------


def _real(value: ArrayLike) -> Array | None:
    """Returns a float64 copy of the value, or None if it is not made of real numbers."""
    try:
        array = np.asarray(value)
    except ValueError:  # rows of different lengths
        return None
    return array.astype(np.float64) if array.dtype.kind in "iuf" else None


def _short_repr(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:59] + "…"


def _checked_scores(scores: ArrayLike) -> Array:
    s = _real(scores)
    if s is None:
        raise Mistake("scores numbers", got=_short_repr(scores))
    if s.ndim != 1:
        raise Mistake("scores shape", got=s.shape)
    if not 1 <= len(s) <= CLASSES:
        raise Mistake("scores count", got=len(s), most=CLASSES)
    return s


def _checked_temperature(temperature: float) -> float:
    value = _real(temperature)
    if value is None or value.ndim or not 0 < value < math.inf:
        raise Mistake("temperature", got=_short_repr(temperature))
    return float(value)


def _checked_labels(labels: Sequence[str] | None, classes: int) -> tuple[str, ...]:
    names = tuple(map(str, range(classes) if labels is None else labels))
    if len(names) != classes:
        raise Mistake("labels count", got=len(names), classes=classes)
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Mistake("labels twice", index=index, got=repr(name))
    return names


def _checked_target(target: int | str, names: tuple[str, ...], *, named: bool) -> int:
    last = len(names) - 1
    if isinstance(target, str):
        if named and target in names:
            return names.index(target)
        try:
            target = int(target)  # as it comes from the command line
        except ValueError:
            known = ", ".join(names[:10]) + (", …" if last >= 10 else "")
            phrase = "target name" if named else "target nameless"
            raise Mistake(phrase, got=_short_repr(target), last=last, labels=known) from None
    try:
        y = operator.index(target)
    except TypeError:
        raise Mistake("target type", got=_short_repr(target)) from None
    if isinstance(target, bool):
        raise Mistake("target type", got=target)
    if not 0 <= y <= last:
        raise Mistake("target range", got=y, classes=len(names), last=last)
    return y


def _plain(value: Any) -> Any:
    if isinstance(value, LayerGradients):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray):
        return value.tolist() if np.isfinite(value).all() else _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
