"""The functions of softxent.torch: PyTorch's signatures and conventions, and what softxent adds to them."""

from __future__ import annotations

import torch
from torch import Tensor

from softxent.checks import not_indices
from softxent.results import Statistics
from softxent.torch import checks, dispatch, kernel


def cross_entropy(
    input: Tensor,
    target: Tensor,
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
    normalizer: float | Tensor | None = None,
    empty: str = "nan",
    inplace: bool = False,
) -> Tensor:
    """loss = Σ_j a_j·(lse − z_j) + λ·lse²; with no option −log p_y, the mean over the rows, in nats.

    A drop-in for torch.nn.functional.cross_entropy: same arguments, shapes, dtypes, autocast rule and derivatives.

    input       logits: (C,), (N, C) or (N, C, d_1, …, d_K); float16, bfloat16, float32 or float64, on the CPU
    target      class indices of any integer dtype, in input's shape without C; or probabilities, in input's shape
    weight      w, (C,): one number ≥ 0 a class; it has no derivative
    size_average, reduce   deprecated in PyTorch: None
    ignore_index, reduction, label_smoothing, temperature, softcap, z_loss, normalizer
                see softxent.options.LossOptions
    empty       the mean over nothing counted: "nan" as in PyTorch, or "zero"
    inplace     backward's gradient overwrites `input`, which then has no use: no second array is needed

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
        raise ValueError("size_average and reduce are deprecated in PyTorch, and must be None; use reduction")
    axis, by_index = checks.logits_and_target("input", input, target)
    if weight is not None:
        checks.weight("weight", weight, input.shape[axis])
    dtype = input.dtype
    if not by_index or dtype.itemsize == 2:
        dtype = loss_dtype(input, None if by_index else target, weight)
    divisor, wide = None, dtype
    if normalizer is not None and isinstance(normalizer, Tensor):
        if reduction == "mean" and torch.compiler.is_compiling():  # its value is not known yet
            divisor, wide = normalizer, torch.promote_types(dtype, torch.float32)
            reduction, normalizer = "sum", None
        else:
            normalizer = normalizer.item()
    options = (ignore_index, label_smoothing, temperature, softcap, z_loss, reduction, normalizer)
    loss = dispatch.cross_entropy(input, target, weight, (axis, *options, wide, empty), inplace)
    return loss if divisor is None else (loss / divisor).to(dtype)


def loss_dtype(x: Tensor, probabilities: Tensor | None, weight: Tensor | None) -> torch.dtype:
    """PyTorch's rule: the input's; with probabilities the widest; float32 at least under autocast."""
    dtype = x.dtype
    if probabilities is not None:
        dtype = torch.promote_types(dtype, probabilities.dtype)
        dtype = dtype if weight is None else torch.promote_types(dtype, weight.dtype)
    if dtype.itemsize == 2 and torch.is_autocast_enabled("cpu"):
        return torch.float32
    return dtype


# softmax, log_softmax, logsumexp, sample ----------------------------------------------------------------------------


def softmax(input: Tensor, dim: int = -1, dtype: torch.dtype | None = None, *, temperature: float = 1.0) -> Tensor:
    """p_j = exp(z_j) / Σ_k exp(z_k), z = input / temperature; as torch.softmax, within 4 ULP.

    >>> softmax(torch.tensor([1.0, 5.0, 3.0]))
    tensor([0.0159, 0.8668, 0.1173])
    """
    x, axis = logits_along(input, dim, dtype)
    return dispatch.softmax(x, axis, temperature)


def log_softmax(input: Tensor, dim: int = -1, dtype: torch.dtype | None = None, *, temperature: float = 1.0) -> Tensor:
    """log p_j = z_j − lse; of the largest logit −log1p(the others), not 0. Arguments as softmax's.

    >>> log_softmax(torch.tensor([0.0, 20.0]))
    tensor([-2.0000e+01, -2.0612e-09])
    """
    x, axis = logits_along(input, dim, dtype)
    return dispatch.log_softmax(x, axis, temperature)


def logsumexp(input: Tensor, dim: int | tuple[int, ...] = -1, keepdim: bool = False) -> Tensor:
    """lse = log Σ_j exp(x_j), as torch.logsumexp; `dim` may be several.

    >>> logsumexp(torch.tensor([1000.0, 1000.0]))
    tensor(1000.6932)
    """
    dims = sorted(checks.dims("dim", dim, input))
    x = input.movedim(dims, list(range(-len(dims), 0))).flatten(-len(dims)) if len(dims) > 1 else input
    axis = dims[0] if len(dims) == 1 else x.ndim - 1
    checks.logits("input", x, axis)
    lse = dispatch.logsumexp(x, axis)
    for k in dims if keepdim else ():
        lse = lse.unsqueeze(k)
    return lse


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
    x, axis = logits_along(input, dim)
    uniform = torch.rand(kernel.rows_of(x, axis), dtype=torch.float64, generator=generator)
    index, drawn = dispatch.sample(x, axis, temperature, uniform)
    if not return_log_prob:
        return index
    return index, log_prob(input, index, dim, temperature=temperature) if needs_grad(input) else drawn


def log_prob(
    input: Tensor, target: Tensor, dim: int = -1, *, temperature: float = 1.0, ignore_index: int = -100
) -> Tensor:
    """log p_y of each row, 0 where the target is ignore_index; differentiable. As Categorical(logits=input).log_prob.

    float32 or, for float64 logits, float64.

    >>> log_prob(torch.tensor([[1.0, 5.0, 3.0], [0.0, 20.0, 0.0]]), torch.tensor([1, 1]))
    tensor([-1.4293e-01, -4.1223e-09])
    """
    x, axis = logits_and_indices("input", input, target, dim)
    arguments = (axis, ignore_index, 0.0, temperature, None, 0.0, "none", None, kernel.COMPUTED_IN[x.dtype], "nan")
    return 0 - dispatch.cross_entropy(x, target, None, arguments)


def statistics(
    input: Tensor, target: Tensor, dim: int = -1, *, temperature: float = 1.0, ignore_index: int = -100
) -> Statistics:
    """Of each row log p_y, the entropy, lse, the largest class and the target's rank, in one pass over memory.

    The first three are differentiable. See softxent.results.Statistics.

    >>> s = statistics(torch.tensor([[1.0, 5.0, 3.0], [0.0, 20.0, 0.0]]), torch.tensor([1, 2]))
    >>> s.entropy, s.rank
    (tensor([4.4106e-01, 8.6568e-08]), tensor([0, 1]))
    """
    x, axis = logits_and_indices("input", input, target, dim)
    return dispatch.statistics(x, target, axis, ignore_index, temperature)


def logits_and_indices(name: str, x: Tensor, target: Tensor, dim: int) -> tuple[Tensor, int]:
    (axis,) = checks.dims("dim", dim, x, name)
    axis, by_index = checks.logits_and_target(name, x, target, axis)
    if not by_index:
        raise not_indices(target)
    return x, axis


def logits_along(input: Tensor, dim: int, dtype: torch.dtype | None = None) -> tuple[Tensor, int]:
    """The logits, converted to dtype first as in PyTorch, and the axis of the classes."""
    (axis,) = checks.dims("dim", dim, input)
    x = input if dtype is None else input.to(dtype)
    checks.logits("input", x, axis)
    return x, axis


def needs_grad(x: Tensor) -> bool:
    return x.requires_grad and torch.is_grad_enabled()
