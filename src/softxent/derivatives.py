"""The derivatives of softmax and cross-entropy beyond p − y, for any array library.

Letters as in softxent.definition. The gradient is G_j = u·s_j·(B·p_j − a_j) with B = A + 2λ·lse and s_j = ∂z_j/∂x_j;
u is the row's upstream gradient over the divisor of the mean. From ∂p_j/∂z_i = p_j·([i = j] − p_i),

    Σ_j v_j·∂G_j/∂x_i = u·s_i·p_i·(B·(s_i·v_i − v̄) + 2λ·v̄) + G_i·v_i·s_i′ / s_i,    v̄ = Σ_j p_j·s_j·v_j
    s_i′ / s_i = −2·tanh(x_i / c) / c                                                with a softcap, 0 without

Arrays need +, −, ·, /, ==, indexing, sum(axis=, keepdims=) and reshape; a Library computes the rest. Where those have
derivatives of their own, so have the results here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, prod
from typing import Any

from softxent.options import LossOptions

Array = Any


@dataclass(frozen=True)
class Library:
    """What the formulas ask of an array library."""

    softmax: Callable[[Array, int], Array]
    log_softmax: Callable[[Array, int], Array]
    logsumexp: Callable[[Array, int], Array]  # without the axis
    where: Callable[[Array, Any, Any], Array]
    tanh: Callable[[Array], Array]


# of softmax and its logarithm -----------------------------------------------------------------------------------------


def softmax_times(v: Array, p: Array, axis: int, temperature: float) -> Array:
    """Σ_j v_j·∂p_j/∂x_i = p_i·(v_i − Σ_j p_j·v_j) / T: the Jacobian is symmetric."""
    return p * (v - (p * v).sum(axis=axis, keepdims=True)) / temperature


def times_log_softmax(v: Array, p: Array, axis: int, temperature: float) -> Array:
    """Σ_j v_j·∂log p_j/∂x_i = (v_i − p_i·Σ_j v_j) / T."""
    return (v - p * v.sum(axis=axis, keepdims=True)) / temperature


def log_softmax_times(v: Array, p: Array, axis: int, temperature: float) -> Array:
    """Σ_i ∂log p_j/∂x_i·v_i = (v_j − Σ_i p_i·v_i) / T."""
    return (v - (p * v).sum(axis=axis, keepdims=True)) / temperature


def entropy_gradient(p: Array, log_p: Array, entropy: Array, axis: int, temperature: float, library: Library) -> Array:
    """∂H/∂x_j = −p_j·(log p_j + H) / T; 0 for a mask, whose log p is −inf."""
    return -p * (library.where(p == 0, 0.0, log_p) + with_axis(entropy, axis)) / temperature


# of cross-entropy -----------------------------------------------------------------------------------------------------


def with_axis(rows: Array, axis: int) -> Array:
    """One number a row, with an axis of length 1 for the classes."""
    return rows.reshape((*rows.shape[:axis], 1, *rows.shape[axis:]))


@dataclass(frozen=True)
class Loss:
    """A call of cross-entropy whose derivatives are wanted, in the dtype to compute them in."""

    library: Library
    gradient: Callable[[Array], Array]  # of an upstream gradient: upstream · ∂loss/∂x
    x: Array
    target: Array
    weight: Array  # or None
    upstream: Array  # one a row for reduction="none", else a single number
    by_index: bool
    axis: int
    options: LossOptions

    def scaled(self) -> tuple[Array, Array | float]:
        """z and ∂z/∂x; −inf stays a mask."""
        x, c, T = self.x, self.options.softcap, self.options.temperature
        if c is None:
            return (x if T == 1 else x / T), 1 / T
        tanh = self.library.tanh(x / c)
        return self.library.where(x == -inf, x, c * tanh) / T, (1 - tanh * tanh) / T

    def along_classes(self, w: Array) -> Array:
        """One number a class, in the shape of x's class axis."""
        return w.reshape([-1 if k == self.axis else 1 for k in range(self.x.ndim)])

    def q(self) -> Array:
        """(1 − ε)·t_j + ε / V, of probabilities."""
        epsilon = self.options.label_smoothing
        return (1 - epsilon) * self.target + epsilon / self.x.shape[self.axis]

    def total_weight(self) -> Array:
        """A = Σ_j a_j, with the class axis kept."""
        epsilon, classes, w = self.options.label_smoothing, self.x.shape[self.axis], self.weight
        if not self.by_index:
            q = self.q()
            return (q if w is None else q * self.along_classes(w)).sum(axis=self.axis, keepdims=True)
        if w is None:
            return 1.0
        return (1 - epsilon) * with_axis(self.weight_of_targets(), self.axis) + epsilon / classes * w.sum()

    def ignored(self) -> Array:
        return self.target == self.options.ignore_index

    def weight_of_targets(self) -> Array:
        """w_y, 0 for ignored rows."""
        ignored, where = self.ignored(), self.library.where
        return where(ignored, 0.0, self.weight[where(ignored, 0, self.target)])

    def divisor(self) -> Array | float:
        """What the sum of the losses is divided by."""
        options, x = self.options, self.x
        if options.reduction != "mean":
            return 1.0
        if options.normalizer is not None:
            return float(options.normalizer)
        if not self.by_index:
            return float(prod(x.shape) / x.shape[self.axis])
        return (~self.ignored() if self.weight is None else self.weight_of_targets()).sum()

    def over(self, upstream: Array, divisor: Array | float) -> Array:
        """upstream / divisor, 0 where nothing is counted."""
        if isinstance(divisor, float):
            return upstream / (divisor or inf)
        return self.library.where(divisor == 0, 0.0, upstream / self.library.where(divisor == 0, 1, divisor))

    def row_factor(self) -> Array:
        """u, with the class axis kept; 0 for ignored rows."""
        if self.options.reduction == "none":
            u = with_axis(self.upstream, self.axis)
        else:
            u = self.over(self.upstream, self.divisor())
        return self.library.where(with_axis(self.ignored(), self.axis), 0.0, u) if self.by_index else u

    def total(self, terms: Array) -> Array:
        """Σ over the classes, or over everything."""
        return terms.sum(axis=self.axis) if self.options.reduction == "none" else terms.sum()

    def total_of_classes(self, terms: Array) -> Array:
        """Σ over the rows: one number a class."""
        return terms.sum(axis=tuple(k for k in range(terms.ndim) if k != self.axis))

    # first derivatives, to what ∂loss/∂x does not cover

    def to_masses(self) -> Array:
        """∂loss/∂a_j = −u·log p_j, for a given target distribution."""
        z, _ = self.scaled()
        return -self.row_factor() * self.library.log_softmax(z, self.axis)

    def masses_to_target(self, of_masses: Array) -> Array:
        """∂a_j/∂t_j = (1 − ε)·w_j."""
        scaled = of_masses * (1 - self.options.label_smoothing)
        return scaled if self.weight is None else scaled * self.along_classes(self.weight)

    def masses_to_weight(self, of_masses: Array) -> Array:
        """∂a_j/∂w_j = q_j, summed over the rows."""
        return self.total_of_classes(of_masses * self.q())

    # second derivatives

    def hessian_times(self, v: Array) -> Array:
        """Σ_j v_j·∂G_j/∂x."""
        options, axis, library = self.options, self.axis, self.library
        z, slope = self.scaled()
        p = library.softmax(z, axis)
        u, slope_v = self.row_factor(), slope * v
        mean = (p * slope_v).sum(axis=axis, keepdims=True)
        b = self.total_weight()
        if options.z_loss:
            b = b + 2 * options.z_loss * with_axis(library.logsumexp(z, axis), axis)
        h = u * slope * p * (b * (slope_v - mean) + 2 * options.z_loss * mean)
        if c := options.softcap:
            h = h - 2 / c * library.tanh(self.x / c) * v * self.gradient(self.upstream)
        return library.where(u == 0, 0.0, h)  # whatever the logits of ignored rows

    def gradient_to_masses(self, v: Array) -> Array:
        """Σ_j v_j·∂G_j/∂a_k, from ∂G_j/∂a_k = u·s_j·(p_j − [j = k])."""
        z, slope = self.scaled()
        slope_v = slope * v
        mean = (self.library.softmax(z, self.axis) * slope_v).sum(axis=self.axis, keepdims=True)
        return self.row_factor() * (mean - slope_v)

    def gradient_times_masses(self, v: Array) -> Array:
        """Σ_k v_k·∂G/∂a_k."""
        z, slope = self.scaled()
        p = self.library.softmax(z, self.axis)
        return self.row_factor() * slope * (p * v.sum(axis=self.axis, keepdims=True) - v)

    def masses_tangent(self, target_v: Array | None, weight_v: Array | None) -> Array:
        """The tangent of a_j = w_j·q_j."""
        parts = [] if target_v is None else [self.masses_to_target(target_v)]
        if weight_v is not None:
            parts.append(self.q() * self.along_classes(weight_v))
        return sum(parts[1:], parts[0])
