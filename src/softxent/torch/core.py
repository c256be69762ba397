"""What softxent.torch's functions and softxent's on tensors have in common: check, then compute, in either's words."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from softxent.checks import Names, divisor, not_indices, only_axis, unknown_option
from softxent.options import NUMBERS
from softxent.results import Statistics
from softxent.torch import autograd, checks, ops
from softxent.torch.calls import COMPUTED_IN, KINDS, Call, call_of, rows_of, traced
from softxent.torch.checks import PYTORCHS
from softxent.torch.devices import kernels_of

DEFAULTS = {field.name: field.default for field in NUMBERS}


def arguments(axis: int, options: dict[str, Any], dtype: torch.dtype, empty: str, names: Names) -> tuple[Any, ...]:
    """Those of call_of; options that are not given have their defaults."""
    numbers = {**DEFAULTS, **options}
    if len(numbers) > len(DEFAULTS):
        raise unknown_option(min(options.keys() - DEFAULTS), sorted(DEFAULTS))
    return axis, *numbers.values(), dtype, empty, names.logits


# softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------


def normalize(f: Callable[..., Tensor], x: Tensor, dim: Any, temperature: float, names: Names) -> Tensor:
    """autograd.softmax or log_softmax over one axis or several; of a single number, over that."""
    temperature = divisor("temperature", temperature)
    if isinstance(x, Tensor) and x.ndim == 0:
        return normalize(f, x[None], only_axis(dim, names), temperature, names)[0]
    dims = checks.dims(names, dim, x)
    if len(dims) == 1:
        checks.logits(names, x, dims[0])
        return f(x, dims[0], temperature, names.logits)
    last = list(range(-len(dims), 0))
    moved = x.movedim(dims, last)
    return normalize(f, moved.flatten(-len(dims)), -1, temperature, names).reshape(moved.shape).movedim(last, dims)


def logsumexp(x: Tensor, dim: Any, keepdim: bool, names: Names) -> Tensor:
    if isinstance(x, Tensor) and x.ndim == 0:
        return logsumexp(x[None], only_axis(dim, names), False, names)
    dims = sorted(checks.dims(names, dim, x))
    merged = x.movedim(dims, list(range(-len(dims), 0))).flatten(-len(dims)) if len(dims) > 1 else x
    axis = dims[0] if len(dims) == 1 else merged.ndim - 1
    checks.logits(names, merged, axis)
    lse = autograd.logsumexp(merged, axis, names.logits)
    for k in dims if keepdim else ():
        lse = lse.unsqueeze(k)
    return lse


# cross-entropy ----------------------------------------------------------------------------------------------------


def cross_entropy(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    axis: int,
    options: dict[str, Any],
    dtype: torch.dtype,
    empty: str,
    names: Names,
    inplace: bool = False,
) -> Tensor:
    """Of arguments that are checked, but for the options."""
    normalizer = options.get("normalizer")
    if normalizer is not None and options.get("reduction", "mean") == "mean":
        if getattr(normalizer, "shape", ()) != ():
            raise checks.normalizer(normalizer)
        if isinstance(normalizer, Tensor):
            checks.no_derivative("normalizer", normalizer)
            if normalizer.is_cpu and not torch.compiler.is_compiling() and not ops.wanted(normalizer):
                normalizer = normalizer.item()
        if isinstance(normalizer, Tensor) or normalizer == 0:
            return divided(x, target, weight, axis, {**options, "normalizer": normalizer}, dtype, empty, names)
        options = {**options, "normalizer": normalizer}
    return autograd.cross_entropy(x, target, weight, arguments(axis, options, dtype, empty, names), inplace)


def ordinary(x: Any, target: Any, ignore_index: Any, label_smoothing: Any, reduction: Any, empty: Any) -> Call | None:
    """The call if it is one of the commonest, a mini-batch and its classes, which the kernel can be tried on at once.

    What it refuses goes the long way. With the long way's checks before it, a call on 1 × 10 logits with its backward
    took 1.7 times as long as PyTorch's.
    """
    if traced():  # asked first, so that torch.compile traces nothing of the rest
        return None
    if not (type(x) in KINDS and type(target) in KINDS and x.is_cpu and target.dtype is torch.int64):
        return None
    if not (type(ignore_index) is int and type(label_smoothing) is float and type(reduction) is type(empty) is str):
        return None
    dtype, shape = x.dtype, x.shape
    if len(shape) != 2 or COMPUTED_IN.get(dtype) is not dtype or target.shape != shape[:1] or x.is_neg():
        return None
    return ordinary_call(ignore_index, label_smoothing, reduction, dtype, empty)


@lru_cache(maxsize=256)
def ordinary_call(ignore_index: int, label_smoothing: float, reduction: str, dtype: torch.dtype, empty: str) -> Call:
    options = {"ignore_index": ignore_index, "label_smoothing": label_smoothing, "reduction": reduction}
    return call_of(*arguments(1, options, dtype, empty, PYTORCHS))


def divided(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    axis: int,
    options: dict[str, Any],
    dtype: torch.dtype,
    empty: str,
    names: Names,
) -> Tensor:
    """The sum of the losses divided by a number that is 0, on a GPU, or of a graph: over 0 the mean over nothing."""
    normalizer, wide = options["normalizer"], torch.promote_types(dtype, torch.float32)
    options = {**options, "reduction": "sum", "normalizer": None}
    total = autograd.cross_entropy(x, target, weight, arguments(axis, options, wide, empty, names))
    return over(total, normalizer, empty).to(dtype)


def over(total: Tensor, normalizer: Any, empty: str) -> Tensor:
    count = torch.as_tensor(normalizer, device=total.device)
    torch._assert_async((count >= 0) & (count < torch.inf), "normalizer must be a finite number, 0 or more")
    nothing = torch.nan if empty == "nan" else 0.0
    return torch.where(count == 0, nothing, total / torch.where(count == 0, 1, count))


# log_prob, statistics, sample ---------------------------------------------------------------------------------------


def row_call(
    x: Tensor, target: Tensor, dim: int, temperature: float, ignore_index: int, names: Names
) -> tuple[Any, ...]:
    """The arguments of a loss a row, of class indices."""
    (axis,) = checks.dims(names, dim, x)
    axis, by_index = checks.logits_and_target(names, x, target, axis)
    if not by_index:
        raise not_indices(target)
    options = {"temperature": divisor("temperature", temperature), "ignore_index": ignore_index, "reduction": "none"}
    return arguments(axis, options, COMPUTED_IN[x.dtype], "nan", names)


def log_prob(x: Tensor, target: Tensor, dim: int, temperature: float, ignore_index: int, names: Names) -> Tensor:
    return 0 - autograd.cross_entropy(x, target, None, row_call(x, target, dim, temperature, ignore_index, names))


def statistics(x: Tensor, target: Tensor, dim: int, temperature: float, ignore_index: int, names: Names) -> Statistics:
    return autograd.statistics(x, target, row_call(x, target, dim, temperature, ignore_index, names))


def sample(x: Tensor, dim: int, temperature: float, generator: Any, return_log_prob: bool, names: Names) -> Any:
    temperature = divisor("temperature", temperature)
    (axis,) = checks.dims(names, dim, x)
    checks.logits(names, x, axis)
    if generator is not None:
        checks.generator_device(names, generator, x)
    given = {} if generator is None else {"generator": generator}  # a graph with dynamic shapes takes no None
    uniform = torch.rand(rows_of(x, axis), dtype=torch.float64, device=x.device, **given)
    index, drawn = autograd.sample(x, axis, temperature, uniform, names.logits)
    if not return_log_prob:
        return index
    if autograd.needs_graph(x) or torch._C._are_functorch_transforms_active():
        drawn = log_prob(x, index, axis, temperature, -100, names)
    return index, drawn


def loss_and_grad(
    x: Tensor, target: Tensor, weight: Tensor | None, call: tuple[Any, ...], out: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Without autograd."""
    x, target = x.detach(), target.detach()
    if not ops.wanted(x, target, weight, out):
        kernels = kernels_of(x)
        grad = kernels.empty_like(x) if out is None else out
        return kernels.loss(x, target, weight, call_of(*call), grad), grad
    loss = autograd.cross_entropy(x, target, weight, call)
    grad = ops.cross_entropy_grad(x, target, weight, torch.ones_like(loss), *call)
    if out is None:
        return loss, grad
    with torch.no_grad():
        out.copy_(grad)
    return loss, out
