"""The functions of softxent.torch: PyTorch's signatures and conventions, and what softxent adds to them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.overrides import handle_torch_function, has_torch_function

from softxent.options import takes_options
from softxent.results import Statistics
from softxent.torch import autograd, checks, core
from softxent.torch.checks import PYTORCHS

F = TypeVar("F", bound=Callable[..., Any])


def overridable(function: F) -> F:
    """As PyTorch's functions: arguments with a __torch_function__, such as the proxies of torch.fx, take the call."""

    @wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if has_torch_function(given := (*arguments, *options.values()) if options else arguments):
            return handle_torch_function(call, given, *arguments, **options)
        return function(*arguments, **options)

    return call  # type: ignore[return-value]


@overridable
@takes_options
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
    *,
    empty: str = "nan",
    inplace: bool = False,
    check_targets: bool = False,
    **options: Any,
) -> Tensor:
    """loss = Σ_j a_j·(lse − z_j) + λ·lse²; with no option −log p_y, the mean over the rows, in nats.

    A drop-in for torch.nn.functional.cross_entropy: same arguments, shapes, dtypes, autocast rule and derivatives.

    input            logits: (C,), (N, C) or (N, C, d_1, …, d_K); 16, 32 or 64 bits (bfloat16 too), on the CPU or a GPU
    target           class indices of any integer dtype, in input's shape without C; or probabilities, in input's shape
    weight           w, (C,): one number a class; it has a derivative only beside probabilities, as in PyTorch
    ignore_index, reduction, label_smoothing   as in PyTorch; size_average and reduce are its old names of reduction
    {options}
                     of 0: the mean over nothing
    empty            the mean over nothing counted: "nan" as in PyTorch, or "zero"
    inplace          backward writes the gradient over `input`, so that no second array is needed
    check_targets    on a GPU, wait for it and raise IndexError at once for a target that is no class; else, as with
                     PyTorch, the device stops when it gets there

    Returns a tensor of input's dtype (float32 for 16-bit logits under autocast), a number, or with reduction="none"
    one a row. Raises IndexError for a target that is no class, else RuntimeError, ValueError or TypeError.

    >>> logits = torch.tensor([[1.0, 5.0, 3.0], [0.0, 20.0, 0.0]], requires_grad=True)
    >>> loss = cross_entropy(logits, torch.tensor([1, 1]), reduction="none")
    >>> loss
    tensor([1.4293e-01, 4.1223e-09], grad_fn=<CrossEntropyBackward>)
    >>> loss.sum().backward()
    >>> logits.grad
    tensor([[ 1.5876e-02, -1.3319e-01,  1.1731e-01],
            [ 2.0612e-09, -4.1223e-09,  2.0612e-09]])
    """
    if size_average is not None or reduce is not None:
        reduction = torch.nn._reduction.legacy_get_string(size_average, reduce)
    if reduction == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.", stacklevel=3)
        reduction = "mean"
    if weight is None and not options and not check_targets:
        call = core.ordinary(input, target, ignore_index, label_smoothing, reduction, empty)
        if call is not None:
            try:
                return autograd.cross_entropy_directly(input, target, None, call, inplace)
            except (ValueError, RuntimeError):  # nothing is written yet; what follows says why, or knows what to do
                pass
    target = checks.target_of_one_row(input, target)
    axis, by_index = checks.logits_and_target(PYTORCHS, input, target)
    if weight is not None:
        checks.weight(PYTORCHS, weight, input, input.shape[axis], by_index)
    if not by_index:
        checks.no_ignored(ignore_index)
    elif check_targets and not target.is_meta:
        checks.targets(PYTORCHS, target, input.shape[axis], ignore_index)
    dtype = input.dtype
    if not by_index or dtype.itemsize == 2:
        dtype = loss_dtype(input, None if by_index else target, weight)
    options = {"ignore_index": ignore_index, "label_smoothing": label_smoothing, "reduction": reduction, **options}
    return core.cross_entropy(input, target, weight, axis, options, dtype, empty, PYTORCHS, inplace)


def loss_dtype(x: Tensor, probabilities: Tensor | None, weight: Tensor | None) -> torch.dtype:
    """PyTorch's rule: the input's; with probabilities the widest; float32 at least under autocast."""
    dtype = x.dtype
    if probabilities is not None:
        dtype = torch.promote_types(dtype, probabilities.dtype)
        dtype = dtype if weight is None else torch.promote_types(dtype, weight.dtype)
    if dtype.itemsize == 2 and torch.is_autocast_enabled("cpu" if x.is_meta else x.device.type):
        return torch.float32
    return dtype


# softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------


@overridable
def softmax(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
    *,
    temperature: float = 1.0,
) -> Tensor:
    """p_j = exp(z_j) / Σ_k exp(z_k), z = input / temperature; as torch.nn.functional.softmax, within 4 ULP.

    dim     of the classes; by default PyTorch's choice, of which it warns: 0 for 0, 1 or 3 axes, else 1
    dtype   what `input` is converted to first

    >>> softmax(torch.tensor([1.0, 5.0, 3.0]), -1)
    tensor([0.0159, 0.8668, 0.1173])
    """
    return normalized("softmax", input, dim, _stacklevel, dtype, temperature)


@overridable
def log_softmax(
    input: Tensor,
    dim: int | None = None,
    _stacklevel: int = 3,
    dtype: torch.dtype | None = None,
    *,
    temperature: float = 1.0,
) -> Tensor:
    """log p_j = z_j − lse; of the largest logit −log1p(the others), not 0. Arguments as softmax's.

    >>> log_softmax(torch.tensor([0.0, 20.0]), -1)
    tensor([-2.0000e+01, -2.0612e-09])
    """
    return normalized("log_softmax", input, dim, _stacklevel, dtype, temperature)


def normalized(
    name: str, x: Tensor, dim: int | None, stacklevel: int, dtype: torch.dtype | None, temperature: float
) -> Tensor:
    checks.tensor(PYTORCHS.logits, x)
    if dim is None:
        dim = torch.nn.functional._get_softmax_dim(name, x.ndim, stacklevel + 2)  # and its warning
    x = x if dtype is None else x.to(dtype)
    if x.ndim and not x.shape[checks.dims(PYTORCHS, dim, x)[0]]:
        return x.clone()  # of no class
    return core.normalize(getattr(autograd, name), x, dim, temperature, PYTORCHS)


@overridable
def logsumexp(input: Tensor, dim: int | tuple[int, ...] = -1, keepdim: bool = False) -> Tensor:
    """lse = log Σ_j exp(x_j), as torch.logsumexp; `dim` may be several.

    >>> logsumexp(torch.tensor([1000.0, 1000.0]))
    tensor(1000.6932)
    """
    return core.logsumexp(input, dim, keepdim, PYTORCHS)


# log_prob, statistics, sample ---------------------------------------------------------------------------------------


@overridable
def log_prob(
    input: Tensor, target: Tensor, dim: int = -1, *, temperature: float = 1.0, ignore_index: int = -100
) -> Tensor:
    """log p_y of each row, 0 where the target is ignore_index; differentiable. As Categorical(logits=input).log_prob.

    float32 or, for float64 logits, float64.

    >>> log_prob(torch.tensor([[1.0, 5.0, 3.0], [0.0, 20.0, 0.0]]), torch.tensor([1, 1]))
    tensor([-1.4293e-01, -4.1223e-09])
    """
    return core.log_prob(input, target, dim, temperature, ignore_index, PYTORCHS)


def statistics(
    input: Tensor, target: Tensor, dim: int = -1, *, temperature: float = 1.0, ignore_index: int = -100
) -> Statistics:
    """Of each row log p_y, the entropy, lse, the largest class and the target's rank, in one pass over memory.

    The first three are differentiable. See softxent.results.Statistics.

    >>> s = statistics(torch.tensor([[1.0, 5.0, 3.0], [0.0, 20.0, 0.0]]), torch.tensor([1, 2]))
    >>> s.entropy, s.rank
    (tensor([4.4106e-01, 8.6568e-08]), tensor([0, 1]))
    """
    if has_torch_function(given := (input, target)) and not any(is_subclass(x) for x in given):
        options = {"temperature": temperature, "ignore_index": ignore_index}
        return handle_torch_function(statistics, given, input, target, dim, **options)
    return Statistics(*columns(input, target, dim, temperature=temperature, ignore_index=ignore_index))


def is_subclass(x: Any) -> bool:
    return isinstance(x, Tensor) and type(x) not in (Tensor, Parameter)


@overridable
def columns(input: Tensor, target: Tensor, dim: int, *, temperature: float, ignore_index: int) -> tuple[Tensor, ...]:
    """Those of statistics; a plain tuple, whose parts a __torch_function__ can convert."""
    return tuple(core.statistics(input, target, dim, temperature, ignore_index, PYTORCHS))


@overridable
def sample(
    input: Tensor,
    dim: int = -1,
    *,
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
    return_log_prob: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The soft max: for each row an index, drawn with probability p.

    return_log_prob   also return log p of the drawn index, differentiable with respect to `input`

    A row without probabilities (all −inf, +inf or NaN in it) is a ValueError.

    >>> sample(torch.tensor([[1.0, 5.0, 3.0]] * 4), generator=torch.Generator().manual_seed(0))
    tensor([2, 1, 1, 2])
    """
    return core.sample(input, dim, temperature, generator, return_log_prob, PYTORCHS)
