"""A causal language model's forward in training, which makes no logits.

All of the model's own forward runs, so that whatever it returns beside the loss stays as it was. For that one call two
of its parts are others: the head keeps its input and returns logits of 0 classes, to which scaling and softcap cost
nothing; and the loss is that of the head's input, with scaling and softcap among its options.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from softxent.last_layer import linear_cross_entropy
from softxent.torch.linear_layer.functional import autocast
from softxent.transformers import checks


class Scaling(NamedTuple):
    """What a model makes of its head's product x: its logits are c·tanh(scale·x / c), or scale·x without a softcap."""

    scale: float = 1.0
    softcap: float | None = None

    def options(self) -> dict[str, Any]:
        """The same in the options of the loss, whose temperature comes after the softcap."""
        return {
            "temperature": 1 / self.scale,
            "softcap": None if self.softcap is None else self.softcap / self.scale,
        }


def forward_without_logits(
    plain: Callable[..., Any],
    model: PreTrainedModel,
    scaling: Scaling,
    arguments: tuple[Any, ...],
    named: dict[str, Any],
) -> Any:
    """What plain(model, …) returns, with logits=None."""
    head, inputs, losses = checks.head_of(model), [], []

    def no_logits(hidden: Tensor) -> Tensor:
        inputs.append(hidden)
        return hidden.new_empty(*hidden.shape[:-1], 0)

    def loss(logits: Tensor, labels: Tensor, *_: Any, **options: Any) -> Tensor:
        del logits
        losses.append(loss_of(inputs[-1], head, labels, scaling, **options))
        return losses[-1]

    # _loss_function is what model.loss_function returns if it is there; to set that leaves one behind
    with replaced(head, "forward", no_logits), replaced(model, "_loss_function", loss):
        output = plain(model, *arguments, **{**named, "return_dict": True})
    if not losses:
        raise checks.own_loss(model)
    as_dict = named.get("return_dict")
    if model.config.return_dict if as_dict is None else as_dict:
        return type(output)(**{name: value for name, value in output.items() if name != "logits"})
    output["logits"] = None
    return output.to_tuple()


def loss_of(
    hidden: Tensor,
    head: torch.nn.Linear,
    labels: Tensor,
    scaling: Scaling,
    num_items_in_batch: Any = None,
    ignore_index: int = -100,
    shift_labels: Tensor | None = None,
    **_: Any,
) -> Tensor:
    """transformers.loss.loss_utils.ForCausalLMLoss of the head's logits; over nothing it is 0, not NaN."""
    if shift_labels is None:
        shift_labels = torch.nn.functional.pad(labels[..., 1:], (0, 1), value=ignore_index)
    inputs, weight, bias = autocast(hidden, head.weight, head.bias)
    return linear_cross_entropy(
        inputs,
        weight,
        shift_labels.to(hidden.device),
        bias,
        ignore_index=ignore_index,
        normalizer=None if num_items_in_batch is None else float(num_items_in_batch) or None,
        **scaling.options(),
    )


@contextmanager
def replaced(module: torch.nn.Module, name: str, value: Any) -> Iterator[None]:
    """The instance has another attribute, until the end."""
    here = vars(module)
    before = {name: here[name]} if name in here else {}
    here[name] = value
    try:
        yield
    finally:
        del here[name]
        here.update(before)
