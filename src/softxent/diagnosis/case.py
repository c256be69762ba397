"""What the user gave, as rows × classes in float64, and what is right for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softxent import checks, functional
from softxent.derivatives import Library, Loss
from softxent.diagnosis.precision import MOST, Precision, coarsest, floor, tolerance
from softxent.numpy import adapter
from softxent.options import LossOptions
from softxent.words import Mistake

Array = NDArray[Any]

NUMPY = Library(functional.softmax, functional.log_softmax, functional.logsumexp, np.where, np.tanh)


class Prediction(NamedTuple):
    """What a loss and its gradient would be: one number a row, rows × classes, and what their mean divides by."""

    losses: Array
    grads: Array
    divisor: float
    values: Mapping[str, float] = {}
    only: str = ""  # the part that this is a mistake of, if the other one stays as it is


@dataclass(frozen=True, eq=False)
class Part:
    """The loss, or the gradient, that the user computed."""

    name: str
    values: Array  # float64: a number, one a row, or rows × classes
    shape: tuple[int, ...]  # as it came
    precision: Precision

    @property
    def by_row(self) -> bool:
        """A loss for each row."""
        return self.values.ndim == 1


@dataclass(frozen=True, eq=False)
class Case:
    """Logits and target, rows × classes, with the options that the user declared."""

    x: Array
    target: Array  # class indices, or probabilities
    options: LossOptions
    shape: tuple[int, ...]  # of the logits
    axis: int
    precision: Precision
    loss: Part | None = None
    grad: Part | None = None

    @classmethod
    def of(cls, logits: Any, target: Any, loss: Any, grad: Any, axis: int, options: Mapping[str, Any]) -> Case:
        """Raises whatever cross_entropy raises, and errors about loss and grad."""
        if loss is None and grad is None:
            raise Mistake("nothing to check")
        given, dtype = read("logits", logits)
        x, t = adapter.as_logits(given), read("target", target)[0]
        w = options.get("class_weight")
        w = None if w is None else read("class_weight", w)[0]
        functional.cross_entropy(x, t, axis=axis, **{**options, "class_weight": w})
        axis = checks.axis(axis, x.ndim)
        if x.size == 0:
            raise Mistake("no rows to check", got=x.shape)
        by_index = t.shape != x.shape
        case = cls(
            rows_of(x.astype(np.float64), axis),
            t.reshape(-1).astype(np.int64) if by_index else rows_of(t.astype(np.float64), axis),
            LossOptions(**{**options, "class_weight": None if w is None else w.astype(np.float64)}),
            x.shape,
            axis,
            coarsest(dtype),
        )
        loss, grad = returned(loss, grad, logits, target)
        return replace(case, loss=case.loss_part(loss), grad=case.grad_part(grad))

    # the user's numbers

    def loss_part(self, value: Any) -> Part | None:
        if value is None:
            return None
        a, dtype = numbers("loss", value)
        rows = self.rows_shape
        if a.shape != rows and a.size != 1:
            raise Mistake("loss shape", got=a.shape, rows=rows)
        by_row = a.shape == rows if self.rows > 1 else self.options.reduction == "none"
        return Part("loss", a.reshape(-1 if by_row else ()), a.shape, coarsest(dtype, self.precision.name))

    def grad_part(self, value: Any) -> Part | None:
        if value is None:
            return None
        a, dtype = numbers("grad", value)
        if a.shape != self.shape:
            raise Mistake("grad shape", got=a.shape, logits=self.shape)
        return Part("grad", rows_of(a, self.axis), a.shape, coarsest(dtype, self.precision.name))

    # shapes

    @property
    def rows_shape(self) -> tuple[int, ...]:
        return self.shape[: self.axis] + self.shape[self.axis + 1 :]

    @property
    def rows(self) -> int:
        return self.x.shape[0]

    @property
    def classes(self) -> int:
        return self.x.shape[1]

    @property
    def by_index(self) -> bool:
        return self.target.ndim == 1

    def in_shape(self, a: Array) -> Array:
        """Rows × classes in the logits' shape."""
        return np.moveaxis(a.reshape(*self.rows_shape, self.classes), -1, self.axis)

    def place(self, row: int, column: int | None = None) -> tuple[int, ...]:
        """The index of a row, or of an entry, in the user's array."""
        index = [int(k) for k in np.unravel_index(row, self.rows_shape)] if self.rows_shape else []
        return tuple(index if column is None else [*index[: self.axis], column, *index[self.axis :]])

    # what is right

    def predict(self, x: Array | None = None, target: Array | None = None, **options: Any) -> Prediction:
        """The loss and its gradient of each row, and the mean's divisor, with something changed."""
        each = replace(self.options, **{"reduction": "none", "normalizer": None, **options})
        x, t = self.x if x is None else x, self.target if target is None else target
        losses, grads = adapter.cross_entropy_and_grad(x, t, 1, each, None)
        mean = replace(each, reduction="mean")
        divisor = Loss(NUMPY, not_needed, x, t, each.class_weight, np.ones(()), self.by_index, 1, mean).divisor()
        return Prediction(losses, grads, float(divisor))

    @cached_property
    def right(self) -> Prediction:
        return self.predict()

    @cached_property
    def ignored(self) -> Array:
        """Which rows are."""
        return self.target == self.options.ignore_index if self.by_index else np.zeros(self.rows, bool)

    @cached_property
    def layer(self) -> Loss:
        """The formulas of derivatives.py; class indices as probabilities, 0 for ignored rows."""
        t = self.target
        if self.by_index:
            t = (np.arange(self.classes) == t[:, None]) & ~self.ignored[:, None]
        weight = self.options.class_weight
        return Loss(NUMPY, not_needed, self.x, t.astype(np.float64), weight, np.ones(()), False, 1, self.options)

    @cached_property
    def z(self) -> Array:
        return np.asarray(self.layer.scaled()[0])

    @cached_property
    def slope(self) -> Array:
        """∂z/∂x."""
        return np.broadcast_to(self.layer.scaled()[1], self.x.shape)

    @cached_property
    def a(self) -> Array:
        """a_j = w_j·q_j, 0 in ignored rows."""
        q, w = self.layer.q(), self.options.class_weight
        return np.where(self.ignored[:, None], 0, q if w is None else q * w)

    @cached_property
    def p(self) -> Array:
        return np.asarray(functional.softmax(self.z))

    # how far right numbers may be off

    @cached_property
    def magnitude(self) -> Array:
        """1 + |m|, of each row: a library that forms x_j − lse rounds it to so many times ε."""
        return 1 + np.abs(self.z.max(axis=1))

    def grad_tolerance(self, precision: Precision, grads: Array) -> Array:
        """Of each row of a gradient, for the largest of its terms is what it is rounded by."""
        relative = np.minimum(tolerance(precision, self.classes + self.rows) * self.magnitude, MOST)
        with np.errstate(invalid="ignore"):
            z_loss = 2 * self.options.z_loss * np.abs(functional.logsumexp(self.z))
            size = np.maximum(np.abs(grads).max(axis=1), (self.a.sum(axis=1) + z_loss) / self.options.temperature)
        return np.asarray(relative * size)

    def loss_tolerance(self, precision: Precision, losses: Array) -> Array:
        """Of the loss of each row."""
        A, z = self.a.sum(axis=1), self.z
        with np.errstate(invalid="ignore"):
            products = np.where(self.a != 0, self.a * np.abs(z), 0).sum(axis=1)
            lse = functional.logsumexp(z)
            size = A * (self.magnitude + np.log(self.classes)) + products + self.options.z_loss * lse * lse
            size += np.abs(losses)
            return np.minimum(
                tolerance(precision, self.classes + self.rows) * size, MOST * (np.abs(losses) + A)
            ) + floor(precision)


def not_needed(upstream: Array) -> Array:
    """The gradient, which is never asked of derivatives.py here."""
    raise NotImplementedError


# Arrays -------------------------------------------------------------------------------------------------------------


def rows_of(a: Array, axis: int) -> Array:
    return np.moveaxis(a, axis, -1).reshape(-1, a.shape[axis])


def read(name: str, value: Any) -> tuple[Array, str]:
    """An array or a tensor as a NumPy array, and the name of the dtype that it came in."""
    room = functional.adapter(value)
    if room is not adapter:
        a, dtype = room.as_numpy(value)
        return a, dtype
    a = adapter.as_array(name, value)
    return a, a.dtype.name


def numbers(name: str, value: Any) -> tuple[Array, str]:
    a, dtype = read(name, value)
    if a.dtype.kind not in "iuf" and dtype != "bfloat16":
        raise Mistake("part numbers", name=name, got=a.dtype)
    return a.astype(np.float64), dtype


# Functions ----------------------------------------------------------------------------------------------------------


def returned(loss: Any, grad: Any, logits: Any, target: Any) -> tuple[Any, Any]:
    """What the user's functions return for these logits; of tensors, autograd's gradient too."""
    if callable(loss):
        result = call(loss, logits, target, derive=grad is None)
        loss, grad = result[0], result[1] if grad is None else grad
    if callable(grad):
        grad = call(grad, logits, target, derive=False)[0]
    return loss, grad


def call(function: Callable[..., Any], logits: Any, target: Any, *, derive: bool) -> tuple[Any, Any]:
    """(loss, gradient or None), from a copy of the logits, since the function may write to it."""
    room = functional.adapter(logits)
    if room is not adapter:
        result = room.loss_and_autograd(function, logits, target, derive)
    else:
        result = function(np.array(logits), target if functional.adapter(target) is not adapter else np.array(target))
    if isinstance(result, (tuple, list)):
        if len(result) != 2:
            raise Mistake("returned", got=len(result))
        return result[0], result[1]
    return result, None
