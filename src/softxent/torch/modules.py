"""The losses as modules."""

from __future__ import annotations

import math
from inspect import Signature, signature
from typing import Any

import torch
from torch import Tensor

from softxent.checks import unknown_option
from softxent.torch.functional import cross_entropy
from softxent.torch.linear_layer.functional import linear_cross_entropy

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


LAYER = {
    name: parameter.default
    for name, parameter in signature(linear_cross_entropy).parameters.items()
    if name not in ("input", "linear_weight", "target", "linear_bias", "weight", "options")
}


class LinearCrossEntropyLoss(torch.nn.Module):
    """The last linear layer and its loss: torch.nn.LinearCrossEntropyLoss on softxent.torch.linear_cross_entropy.

    in_features, num_classes, out_features, bias, device, dtype   of the layer, `self.linear`, which this module owns
    linear   a torch.nn.Linear, or torch.nn.Embedding, in its place, whose parameters are borrowed: tied embeddings
    weight   w, one number a class; the other options are linear_cross_entropy's

    >>> embedding = torch.nn.Embedding(10, 4)
    >>> LinearCrossEntropyLoss(linear=embedding, label_smoothing=0.1)
    LinearCrossEntropyLoss(
      label_smoothing=0.1
      (linear): Embedding(10, 4)
    )
    """

    def __init__(
        self,
        in_features: int | None = None,
        num_classes: int | None = None,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        linear: torch.nn.Linear | torch.nn.Embedding | None = None,
        device: Any = None,
        dtype: Any = None,
        weight: Tensor | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        options.pop("options", None)  # PyTorch's chunks
        if unknown := options.keys() - LAYER.keys():
            raise unknown_option(min(unknown), sorted(LAYER))
        if linear is None:
            if in_features is None or num_classes is None:
                raise TypeError("in_features or num_classes is missing, but must be given unless linear is")
            linear = torch.nn.Linear(
                in_features, math.prod(out_features, start=num_classes), bias=bias, device=device, dtype=dtype
            )
        self.linear, self.out_features = linear, tuple(out_features)
        self.register_buffer("weight", weight)
        self.options = {**LAYER, **options}

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        W, bias = self.linear.weight, getattr(self.linear, "bias", None)
        if self.out_features:
            W = W.unflatten(0, (-1, *self.out_features))
            bias = None if bias is None else bias.unflatten(0, (-1, *self.out_features))
        return linear_cross_entropy(input, W, target, linear_bias=bias, weight=self.weight, **self.options)

    def extra_repr(self) -> str:
        return ", ".join(f"{name}={value!r}" for name, value in self.options.items() if value != LAYER[name])
