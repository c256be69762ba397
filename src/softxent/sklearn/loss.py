"""The loss on top of every network, which turns logits into δ = p − y in place."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from softxent.numpy.adapter import cross_entropy_and_grad
from softxent.options import LossOptions
from softxent.sklearn.examples import Examples

Array = NDArray[Any]


class Loss:
    """Σ_i s_i·loss_i with the weights s of the rows, and w and ε of softxent.definition."""

    def __init__(self, class_weight: Array | None = None, label_smoothing: float = 0.0) -> None:
        self.sum = LossOptions(class_weight=class_weight, label_smoothing=label_smoothing, reduction="sum")
        self.each = LossOptions(class_weight=class_weight, label_smoothing=label_smoothing, reduction="none")

    def and_delta(self, logits: Array, examples: Examples) -> float:
        """Returns the loss, and overwrites `logits` with δ = ∂loss/∂logits."""
        if examples.weight is None:
            return float(cross_entropy_and_grad(logits, examples.target, 1, self.sum, logits)[0])
        losses, delta = cross_entropy_and_grad(logits, examples.target, 1, self.each, logits)
        delta *= examples.weight[:, None]
        return float(losses @ examples.weight)
