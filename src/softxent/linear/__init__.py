"""The last layer and its loss without the rows × classes logits: a loop over chunks of them, for any array library.

    z = x·Wᵀ + b,   the loss of z and G = ∂loss/∂z as in softxent.definition,
    ∂loss/∂x = G·W,   ∂loss/∂W = Gᵀ·x,   ∂loss/∂b = Σ_rows G

The products are the array library's own. Two ways lead through them, and a plan says which one a call takes:

along_rows      A chunk is some rows and all classes. Its logits become G in place: three products make loss and
                gradients.
across_classes  A chunk is some rows and some classes, where whole rows would be too few for a product at full speed.
                A first pass finds each row's lse, a second computes the logits again: four products.
"""

from __future__ import annotations

from typing import Any

from softxent.linear import across_classes, along_rows
from softxent.linear.along_rows import loss_and_gradient_of_logits
from softxent.linear.layer import Array, Gradients, Layer, Library
from softxent.linear.per_row import Truncation, sample, statistics
from softxent.linear.plan import LinearPlan, linear_plan

__all__ = [
    "Gradients",
    "Layer",
    "Library",
    "LinearPlan",
    "Truncation",
    "linear_plan",
    "loss_and_gradient_of_logits",
    "loss_and_gradients",
    "losses",
    "sample",
    "statistics",
]


def losses(layer: Layer, plan: LinearPlan) -> Array:
    """The losses of the counted rows, in float64."""
    return (along_rows if plan.along_rows else across_classes).losses(layer, plan)


def loss_and_gradients(layer: Layer, plan: LinearPlan, upstream: Any, to: Gradients) -> Array:
    """The same, and the gradients of Σ_i upstream_i·loss_i, which are written to `to`.

    upstream  a number, an array with one for each row, the ignored ones too, or None for 1
    """
    return (along_rows if plan.along_rows else across_classes).loss_and_gradients(layer, plan, upstream, to)
