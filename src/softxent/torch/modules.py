"""The loss as a module."""

from __future__ import annotations

from inspect import signature
from typing import Any

import torch
from torch import Tensor

from softxent.torch.functional import cross_entropy

DEFAULTS = {  # of the options: all parameters but the tensors and what PyTorch has deprecated
    name: parameter.default
    for name, parameter in signature(cross_entropy).parameters.items()
    if name not in ("input", "target", "weight", "size_average", "reduce")
}


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """torch.nn.CrossEntropyLoss on softxent.torch.cross_entropy, whose options it takes too.

    >>> CrossEntropyLoss(label_smoothing=0.1)
    CrossEntropyLoss(label_smoothing=0.1)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        size_average: None = None,
        ignore_index: int = -100,
        reduce: None = None,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        *,
        temperature: float = 1.0,
        softcap: float | None = None,
        z_loss: float = 0.0,
        normalizer: float | None = None,
        empty: str = "nan",
        inplace: bool = False,
    ) -> None:
        super().__init__(weight, size_average, ignore_index, reduce, reduction, label_smoothing)
        self.temperature, self.softcap, self.z_loss = temperature, softcap, z_loss
        self.normalizer, self.empty, self.inplace = normalizer, empty, inplace

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(input, target, self.weight, **self.options())

    def options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in DEFAULTS}

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options().items() if value != DEFAULTS[name])
