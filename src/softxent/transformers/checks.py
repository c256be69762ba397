"""The errors of use(model), in the voice of softxent.checks."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import torch
from transformers import PreTrainedModel

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def kind(value: Any) -> str:
    """transformers.LlamaForCausalLM: a class by its package, without the modules in between."""
    package = type(value).__module__.partition(".")[0]
    return type(value).__name__ if package == "builtins" else f"{package}.{type(value).__name__}"


def causal_lm(model: Any) -> PreTrainedModel:
    """The model itself, of a peft model the one that it was made from."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if not isinstance(base, PreTrainedModel):
        hint = "; pass model.module, and wrap it afterwards" if hasattr(model, "module") else ""
        raise TypeError(
            f"model is {kind(base)}, but must be a transformers.PreTrainedModel or a peft model of one{hint}"
        )
    if "labels" not in signature(base.forward).parameters:
        raise TypeError(f"model is {kind(base)}, whose forward takes no labels, but must be a causal language model")
    return base


def head_of(model: PreTrainedModel) -> torch.nn.Linear:
    """The last layer, whose product with the hidden states is all that it does."""
    head: Any = model.get_output_embeddings()
    if head is None:
        raise TypeError(f"model is {kind(model)}, which has no output embeddings, but must have a linear head")
    name = next((name for name, module in model.named_modules() if module is head), "the head")
    quantised = dtype_if_quantised(head)
    if quantised:
        raise TypeError(
            f"{name} is quantised ({quantised}), but must be of float16, bfloat16, float32 or float64; "
            "leave it out of the quantisation"
        )
    if type(head) is not torch.nn.Linear:
        hint = "; leave it out of target_modules and modules_to_save" if kind(head).startswith("peft.") else ""
        raise TypeError(f"{name} is {kind(head)}, but must be a torch.nn.Linear{hint}")
    if head.weight.is_meta:
        raise ValueError(f"{name}.weight is on meta, but must have its numbers when use(model) is called")
    return head


def dtype_if_quantised(head: torch.nn.Module) -> str | None:
    """Of weights that are packed, as PyTorch's own quantised layers have them, the name of the class stands for it."""
    weight = getattr(head, "weight", None)
    if isinstance(weight, torch.Tensor):
        return None if weight.dtype in FLOATS else str(weight.dtype).removeprefix("torch.")
    return kind(head) if "quantized" in type(head).__module__ else None


def not_in_use(forward: Callable[..., Any], mark: str) -> None:
    """What wraps a forward shows it as __wrapped__."""
    at: Any = forward
    while at is not None:
        if hasattr(at, mark) and getattr(at, mark).in_use:
            raise ValueError("model is in use already: call undo() of its handle first")
        at = getattr(at, "__wrapped__", None)


class Refused(ValueError):
    """A model whose loss can not be had without its logits."""


# What a tiny batch shows ----------------------------------------------------------------------------------------------


def logits_differ(model: PreTrainedModel, ours: float, theirs: float, read: dict[str, Any]) -> Refused:
    numbers = ", ".join(f"{name} {value}" for name, value in read.items()) or "none that softxent knows"
    return Refused(
        f"model is {kind(model)}, whose logits are not its head's with a scaling or softcap of its config ({numbers}): "
        f"of a tiny batch one is {theirs:.6g}, and {ours:.6g} from the head"
    )


def losses_differ(model: PreTrainedModel, ours: float, theirs: float, with_items: bool) -> Refused:
    given = "with num_items_in_batch" if with_items else "the mean"
    return Refused(
        f"model is {kind(model)}, whose loss is not the cross-entropy of its shifted labels: "
        f"of a tiny batch it is {theirs:.6g} ({given}), and {ours:.6g} without the logits"
    )


def own_loss(model: PreTrainedModel) -> Refused:
    return Refused(
        f"model is {kind(model)}, whose forward does not hand its head's logits to model.loss_function, but must"
    )


def needs_logits(model: PreTrainedModel, reason: Exception) -> Refused:
    return Refused(f"model is {kind(model)}, whose forward fails without logits: {type(reason).__name__}: {reason}")
