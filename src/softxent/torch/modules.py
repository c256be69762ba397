"""The loss as a module."""

from __future__ import annotations

from inspect import Signature, signature
from typing import Any

import torch
from torch import Tensor

from softxent.torch.functional import cross_entropy

PYTORCHS = signature(torch.nn.CrossEntropyLoss.__init__).parameters
PARAMETERS = signature(cross_entropy).parameters
DEFAULTS = {  # of the options: all parameters but the tensors and what PyTorch has deprecated
    name: parameter.default
    for name, parameter in PARAMETERS.items()
    if name not in ("input", "target", "weight", "size_average", "reduce")
}


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """torch.nn.CrossEntropyLoss on softxent.torch.cross_entropy, whose options it takes too.

    >>> CrossEntropyLoss(label_smoothing=0.1)
    CrossEntropyLoss(label_smoothing=0.1)
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        own = {name: options.pop(name, default) for name, default in DEFAULTS.items() if name not in PYTORCHS}
        super().__init__(*arguments, **options)
        self.__dict__.update(own)

    __init__.__signature__ = Signature(  # type: ignore[attr-defined]
        [*signature(__init__).parameters.values()][:1]
        + [parameter for name, parameter in PARAMETERS.items() if name not in ("input", "target")]
    )

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(input, target, self.weight, **self.options())

    def options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in DEFAULTS}

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options().items() if value != DEFAULTS[name])
