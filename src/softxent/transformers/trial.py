"""A tiny batch goes through a model's own forward and through ours, before the model is changed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter, signature
from itertools import product
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from softxent.transformers import checks
from softxent.transformers.forward import Scaling, forward_without_logits

# What configs call the number that logits are multiplied with or divided by (Granite divides by logits_scaling,
# HyperCLOVA X multiplies with it), and the softcap
SCALES = ("logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")
SOFTCAPS = ("final_logit_softcapping", "output_logit_soft_cap", "logits_soft_cap", "softcap")

TOKENS = (2, 9)
RMS = 30.0  # of the trial's logits: a fresh model's are so small that a softcap of 30 to 50 would not show
ITEMS = 5  # for num_items_in_batch: not the number of tokens that count


def scaling_of(model: PreTrainedModel, plain: Callable[..., Any]) -> Scaling:
    """The scaling of the config with which the loss without logits is the model's own; an error if there is none."""
    head, named = checks.head_of(model), batch(model)
    takes_items = any(p.kind == Parameter.VAR_KEYWORD for p in signature(model.forward).parameters.values())
    calls = [named, {**named, "num_items_in_batch": ITEMS}] if takes_items else [named]
    with quietly(model), loud(head) as products:
        theirs = [same_random_numbers(plain, model, **call) for call in calls]
        scaling = match(model, products[-1], theirs[-1].logits)
        tolerance = roundings(head) * theirs[-1].logits.abs().max().item()
        for call, their in zip(calls, theirs, strict=True):
            ours = without_logits(plain, model, scaling, call).loss.item()
            if not abs(ours - their.loss.item()) <= tolerance:
                raise checks.losses_differ(model, ours, their.loss.item(), call is not named)
    return scaling


@contextmanager
def quietly(model: PreTrainedModel) -> Iterator[None]:
    """Without gradients, in the dtypes of the weights, and without warnings: checkpoints miss the gradients."""
    with torch.no_grad(), torch.autocast(model.device.type, enabled=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def batch(model: PreTrainedModel) -> dict[str, Any]:
    """Token ids, which are the labels too but for some that are ignored."""
    classes = min(model.get_output_embeddings().out_features, model.get_input_embeddings().num_embeddings)
    ids = torch.arange(TOKENS[0] * TOKENS[1], device=model.device).reshape(TOKENS) * 7 % classes
    labels = ids.clone()
    labels[0, :4] = -100
    return {"input_ids": ids, "labels": labels, "return_dict": True}


@contextmanager
def loud(head: torch.nn.Linear) -> Iterator[list[Tensor]]:
    """The head's inputs are multiplied so that its products have a mean square of RMS²; these are collected."""
    products: list[Tensor] = []

    def louder(_: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        x = torch.nn.functional.linear(inputs[0], head.weight, head.bias)
        louder = inputs[0] * (RMS / x.float().square().mean().sqrt().clamp(min=1e-30)).to(x.dtype)
        products.append(torch.nn.functional.linear(louder, head.weight, head.bias))
        return louder, *inputs[1:]

    hook = head.register_forward_pre_hook(louder)
    try:
        yield products
    finally:
        hook.remove()


def same_random_numbers(f: Callable[..., Any], model: PreTrainedModel, *arguments: Any, **named: Any) -> Any:
    """f(model, …) with the random numbers that the next call will have too: of dropout."""
    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
        return f(model, *arguments, **named)


def without_logits(plain: Callable[..., Any], model: PreTrainedModel, scaling: Scaling, named: dict[str, Any]) -> Any:
    try:
        return same_random_numbers(lambda m: forward_without_logits(plain, m, scaling, (), named), model)
    except checks.Refused:
        raise
    except Exception as reason:  # whatever the model does with its logits, such as to mask some of the classes
        raise checks.needs_logits(model, reason) from reason


def roundings(head: torch.nn.Linear) -> float:
    """How far two ways of computing logits may be apart, in units of the largest."""
    return max(1e-4, 4 * torch.finfo(head.weight.dtype).eps)


def match(model: PreTrainedModel, products: Tensor, logits: Tensor) -> Scaling:
    """The scaling that makes the logits of the head's products, of those that the config allows."""
    read, x, z = numbers(model), products.double(), logits.double()
    scales = [1.0, *(s for name in SCALES if name in read for s in (read[name], 1 / read[name]))]
    softcaps = [None, *(read[name] for name in SOFTCAPS if name in read)]
    tolerance = roundings(model.get_output_embeddings()) * z.abs().max()
    for scale, softcap in product(scales, softcaps):
        y = scale * x if softcap is None else softcap * torch.tanh(scale * x / softcap)
        if y.shape == z.shape and ((y - z).abs() <= tolerance).all():
            return Scaling(scale, softcap)
    at = int((x - z).abs().argmax()) if x.shape == z.shape else 0
    raise checks.logits_differ(model, x.flatten()[at].item(), z.flatten()[at].item(), read)


def numbers(model: PreTrainedModel) -> dict[str, float]:
    """The scales and softcaps of the config, of a model of text and images of its text's."""
    config = model.config.get_text_config()
    found = {name: getattr(config, name, None) for name in SCALES + SOFTCAPS}
    return {name: float(value) for name, value in found.items() if isinstance(value, (int, float)) and value > 0}
