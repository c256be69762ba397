"""The last linear layer and its loss, of tensors, in the words of torch.nn.functional and of sx.linear_*."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from softxent import checks as shared
from softxent.checks import Names, linear_shapes, not_indices, not_negative, truncation
from softxent.linear import Truncation
from softxent.linear.plan import SMALL
from softxent.options import takes_options
from softxent.results import Statistics
from softxent.torch import checks, core
from softxent.torch.autograd import needs_graph
from softxent.torch.calls import COMPUTED_IN, by_operator
from softxent.torch.checks import LAYERS
from softxent.torch.devices import waits
from softxent.torch.functional import overridable
from softxent.torch.linear_layer import autograd
from softxent.torch.linear_layer.products import computed_in

LARGEST = 2**63 - 1  # that an operator takes
OF_ARRAYS, OF_PYTORCH = ("inputs", "weight", "target", "bias"), ("input", "linear_weight", "target", "linear_bias")


@overridable
@takes_options
def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    empty: str = "nan",
    memory_budget: Any = "auto",
    options: Any = None,
    **more: Any,
) -> Tensor:
    """cross_entropy(linear(input, linear_weight, linear_bias), target), which never holds all of the logits.

    A drop-in for torch.nn.functional.linear_cross_entropy: its arguments, and those of cross_entropy here.

    input             (…, D), any leading shape
    linear_weight     (C, D), as torch.nn.Linear's; or (C, d_1, …, d_K, D) for a loss of K dimensions
    target            class indices, in input's shape without D; or probabilities, with C in its place
    linear_bias       (C,), or (C, d_1, …, d_K)
    weight            w, (C,): one number a class
    reduction, ignore_index, label_smoothing   as cross_entropy's
    empty             the mean over nothing counted: "nan" as in PyTorch, or "zero"
    memory_budget     bytes that may be held beyond arguments and gradients; "auto" is 56 MiB, on a GPU see linear_plan
    options           PyTorch's own strategy of chunks, in whose place memory_budget stands here
    {options}

    Differentiable in input, linear_weight and linear_bias, twice; and in probabilities and their class weights, once.

    >>> input, linear_weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> linear_cross_entropy(input, linear_weight, torch.tensor([1]))
    tensor(0.3490)
    """
    del options
    if isinstance(linear_weight, Tensor) and linear_weight.ndim > 2:
        given = {"weight": weight, "ignore_index": ignore_index, "label_smoothing": label_smoothing, **more}
        return of_dimensions(
            input,
            linear_weight,
            target,
            linear_bias,
            reduction,
            {**given, "empty": empty, "memory_budget": memory_budget},
        )
    by_index = checked(LAYERS, OF_PYTORCH, input, linear_weight, target, linear_bias)
    if ignore_index is not None and not by_index:
        checks.no_ignored(max(ignore_index, 0))
    if weight is not None:
        checks.weight(LAYERS, weight, input, linear_weight.shape[0], by_index)
    numbers = {"label_smoothing": label_smoothing, "reduction": reduction, **more}
    numbers["ignore_index"] = -100 if ignore_index is None else ignore_index
    input, linear_weight, linear_bias = autocast(input, linear_weight, linear_bias)
    tensors = input, linear_weight, linear_bias, target, weight
    return loss(tensors, by_index, numbers, loss_dtype(tensors, by_index), empty, LAYERS, memory_budget)


def of_dimensions(
    x: Tensor, W: Tensor, target: Tensor, bias: Tensor | None, reduction: str, options: dict[str, Any]
) -> Tensor:
    """A loss for each of d_1 × … × d_K layers; classes are the first axis of `W`, and the second of probabilities."""
    shape, by_index = W.shape[1:-1], target.ndim == W.ndim - 1
    W, t = W.flatten(1, -2), target.flatten(1 if by_index else 2)
    bias = None if bias is None else bias.flatten(1)
    normalizer = options.pop("normalizer", None)
    losses = torch.stack(
        [
            linear_cross_entropy(
                x, W[:, k], t[..., k], linear_bias=None if bias is None else bias[:, k], reduction="none", **options
            )
            for k in range(W.shape[1])
        ],
        -1,
    )
    if reduction == "none":
        return losses.unflatten(-1, shape)
    if reduction == "sum":
        return losses.sum()
    if normalizer is not None:
        return losses.sum() / normalizer
    if not by_index:
        return losses.mean()
    ignore = -100 if options["ignore_index"] is None else options["ignore_index"]
    kept, w = t != ignore, options["weight"]
    count = kept.sum() if w is None else torch.where(kept, w[torch.where(kept, t, 0)], 0).sum()
    return losses.sum() / count if options["empty"] == "nan" else losses.sum() / torch.where(count == 0, 1, count)


@overridable
def linear_log_prob(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    ignore_index: int = -100,
    memory_budget: Any = "auto",
) -> Tensor:
    """log p_y of each row of linear(input, linear_weight, linear_bias), 0 where the target is ignored; differentiable.

    >>> input, linear_weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> linear_log_prob(input, linear_weight, torch.tensor([1]))
    tensor([-0.3490])
    """
    given = input, linear_weight, linear_bias, target
    return log_prob(given, (temperature, softcap, ignore_index), LAYERS, OF_PYTORCH, memory_budget)


def linear_statistics(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    ignore_index: int = -100,
    memory_budget: Any = "auto",
) -> Statistics:
    """Of each row of linear(input, linear_weight, linear_bias) log p_y, entropy, lse, largest class and target's rank.

    The first three are differentiable, once. See softxent.results.Statistics.

    >>> input, linear_weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> linear_statistics(input, linear_weight, torch.tensor([1])).entropy
    tensor([0.7139])
    """
    given = input, linear_weight, linear_bias, target
    return statistics(given, (temperature, softcap, ignore_index), LAYERS, OF_PYTORCH, memory_budget)


@overridable
def linear_sample(
    input: Tensor,
    linear_weight: Tensor,
    *,
    linear_bias: Tensor | None = None,
    temperature: float = 1.0,
    softcap: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    generator: torch.Generator | None = None,
    return_log_prob: bool = False,
    memory_budget: Any = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """A class for each row of linear(input, linear_weight, linear_bias), drawn with probability p.

    top_k, top_p, min_p   leave classes out, in this order: all but the k largest; all but the fewest with top_p of the
                          probability; those with less than min_p times the largest
    return_log_prob       also return log p of the class among all of them: the bits of linear_log_prob, differentiable

    >>> input, linear_weight = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    >>> linear_sample(input, linear_weight, top_k=1)
    tensor([1])
    """
    given, cut = (input, linear_weight, linear_bias), truncation(top_k, top_p, min_p)
    index, log_p = sample(
        given, (temperature, softcap), cut, generator, return_log_prob, LAYERS, OF_PYTORCH, memory_budget
    )
    return (index, log_p) if return_log_prob else index


# In the words of either -----------------------------------------------------------------------------------------------


def checked(names: Names, called: tuple[str, ...], x: Any, W: Any, target: Any, bias: Any) -> bool:
    """Whether the target is class indices."""
    for name, a in zip(called, (x, W, target, bias), strict=True):
        if a is not None:
            checks.tensor(name, a)
            checks.same_device(name, a, called[0], x)
    for name, a in ((called[0], x), (called[1], W), (called[3], bias)):
        if a is not None and a.dtype not in COMPUTED_IN:
            raise shared.logits_dtype(
                checks.dtype(a), "float16, bfloat16, float32 or float64", names._replace(logits=name)
            )
    shapes = (tuple(x.shape), tuple(W.shape), tuple(target.shape), None if bias is None else tuple(bias.shape))
    linear_shapes(names, **dict(zip(called, shapes, strict=True)))
    by_index = target.shape == x.shape[:-1]
    if target.dtype not in (checks.INTEGERS if by_index else COMPUTED_IN):
        raise shared.target_dtype(checks.dtype(target), names)
    return by_index


def autocast(*tensors: Tensor | None) -> tuple[Any, ...]:
    """As torch.nn.functional.linear's arguments are."""
    device = autocast_device(tensors[0])
    if not torch.is_autocast_enabled(device):
        return tensors
    dtype = torch.get_autocast_dtype(device)
    return tuple(a if a is None or a.dtype == torch.float64 else a.to(dtype) for a in tensors)


def autocast_device(x: Any) -> str:
    return "cpu" if x.is_meta else str(x.device.type)


def loss_dtype(given: tuple[Any, ...], by_index: bool) -> torch.dtype:
    x, W, bias, target, weight = given
    dtype = torch.promote_types(x.dtype, W.dtype)
    for other in (bias,) if by_index else (bias, target, weight):
        dtype = dtype if other is None else torch.promote_types(dtype, other.dtype)
    return torch.float32 if dtype.itemsize == 2 and torch.is_autocast_enabled(autocast_device(x)) else dtype


def budget_of(memory_budget: Any) -> int:
    """As an operator takes it: below 0 is "auto"."""
    if isinstance(memory_budget, str) and memory_budget == "auto":
        return -1
    return min(int(not_negative("memory_budget", shared.integer("memory_budget", memory_budget))), LARGEST)


def flat(given: tuple[Any, ...], by_index: bool) -> tuple[Any, ...]:
    x, W, bias, target, weight = given
    target = target if by_index else target.reshape(-1, W.shape[0])  # of indices, errors name the place
    return x.reshape(-1, x.shape[-1]), W, bias, target, weight


def is_small(given: Any, by_index: bool, options: dict[str, Any], memory_budget: Any) -> bool:
    """Whether all logits are one small chunk, of rows that count: the loop would take longer than what it does."""
    x, W, _, target, weight = given
    return (
        isinstance(memory_budget, str)
        and memory_budget == "auto"
        and not by_operator(*given)
        and waits(x)
        and x.ndim == 2
        and 0 < x.shape[0] * W.shape[0] <= SMALL
        and all(a is None or a.dtype == x.dtype for a in given[:3])
        and x.dtype in (torch.float32, torch.float64)
        and options.get("reduction", "mean") != "none"
        and not isinstance(options.get("normalizer"), Tensor)
        and not any(a is not None and a.requires_grad for a in (target, weight))  # once differentiable, as in the loop
        and not (by_index and bool((target == options["ignore_index"]).any()))
    )


def loss(
    given: Any,
    by_index: bool,
    options: dict[str, Any],
    dtype: torch.dtype,
    empty: str,
    names: Names,
    memory_budget: Any,
) -> Tensor:
    if is_small(given, by_index, options, memory_budget):
        x, W, bias, target, weight = given
        return core.cross_entropy(F.linear(x, W, bias), target, weight, 1, options, dtype, empty, names)
    rows, given, budget = given[0].shape[:-1], flat(given, by_index), budget_of(memory_budget)
    normalizer = options.get("normalizer")
    if isinstance(normalizer, Tensor) and options.get("reduction", "mean") == "mean":
        wide = torch.promote_types(dtype, torch.float32)
        arguments = core.arguments(1, {**options, "reduction": "sum", "normalizer": None}, wide, empty, names)
        return core.over(autograd.cross_entropy(given, arguments, budget), normalizer, empty).to(dtype)
    arguments = core.arguments(1, options, dtype, empty, names)
    result = autograd.cross_entropy(given, arguments, budget)
    return result.reshape(rows) if result.ndim else result


def each(given: Any, numbers: tuple[Any, ...], names: Names, called: tuple[str, ...]) -> tuple[Any, Any, torch.dtype]:
    """What is computed of each row; its target is class indices."""
    if not checked(names, called, given[0], given[1], given[3], given[2]):
        raise not_indices(given[3])
    options = dict(zip(("temperature", "softcap", "ignore_index"), numbers, strict=True))
    given = (*autocast(*given[:3]), given[3], None)
    return given, {**options, "reduction": "none"}, computed_in(*given[:3])


def log_prob(given: Any, numbers: Any, names: Names, called: tuple[str, ...], memory_budget: Any) -> Tensor:
    given, options, dtype = each(given, numbers, names, called)
    return 0 - loss(given, True, options, dtype, "nan", names, memory_budget)


def statistics(given: Any, numbers: Any, names: Names, called: tuple[str, ...], memory_budget: Any) -> Statistics:
    given, options, dtype = each(given, numbers, names, called)
    arguments = core.arguments(1, options, dtype, "nan", names)
    columns = autograd.statistics_of(flat(given, True), arguments, budget_of(memory_budget))
    return Statistics(*(column.reshape(given[0].shape[:-1]) for column in columns))


def sample(
    given: Any,
    numbers: Any,
    cut: Any,
    generator: Any,
    return_log_prob: bool,
    names: Names,
    called: Any,
    memory_budget: Any,
) -> tuple[Tensor, Tensor]:
    checks.tensor(called[0], given[0])
    rows = given[0].shape[:-1]
    target = torch.zeros(rows, dtype=torch.int64, device=given[0].device)
    full, options, dtype = each((*given, target), (*numbers, -1), names, called)
    arguments = core.arguments(1, options, dtype, "nan", names)
    if generator is not None:
        checks.generator_device(names, generator, given[0])
    x, W, bias = flat(full, True)[:3]
    index, log_p, bad = autograd.drawn(x, W, bias, Truncation(*cut), generator, arguments, budget_of(memory_budget))
    if not torch.compiler.is_compiling() and waits(x) and bad >= 0:
        raise shared.undrawable(int(bad), tuple(rows))
    index, log_p = index.reshape(rows), log_p.reshape(rows)
    if return_log_prob and (needs_graph(*given) or torch._C._are_functorch_transforms_active()):
        log_p = log_prob((*given, index), (*numbers, -1), names, called, memory_budget)
    return index, log_p
