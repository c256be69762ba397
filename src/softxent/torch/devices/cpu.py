"""Tensors → the CPU kernel. Nothing here knows of autograd."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from softxent.checks import undrawable
from softxent.kernels import _cpu
from softxent.memory import kept, lend
from softxent.results import Statistics
from softxent.torch import checks
from softxent.torch.calls import COMPUTED_IN, Call, rows_of
from softxent.torch.checks import ARRAYS

CPU = torch.device("cpu")
WAITS = True  # whoever asks for a number of a tensor

for kind in (Tensor, Parameter):
    _cpu.read_tensors(kind)


def checked(f: Any, given: dict[str, Tensor | None], *arguments: Any) -> Any:
    """f(*arguments) on as many threads as PyTorch may use; `given` are the caller's tensors, for errors."""
    try:
        return f(*arguments, threads=torch.get_num_threads())
    except ValueError:
        all_have_memory(given)
        raise


def all_have_memory(given: dict[str, Tensor | None]) -> None:
    for name, x in given.items():
        if x is not None and x.numel() and not x.untyped_storage().nbytes():
            raise checks.freed(name) from None


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """torch.empty, whatever the default device."""
    return torch.empty(shape, dtype=dtype, device=CPU)


def empty_like(x: Tensor) -> Tensor:
    """torch.empty_like; of a large tensor, in memory that is kept from call to call."""
    if not kept(x.nbytes):
        return torch.empty_like(x)
    strides = x.stride() if x.is_contiguous() else torch.empty_like(x, device="meta").stride()
    return torch.frombuffer(lend(x.nbytes), dtype=x.dtype).as_strided(x.shape, strides).data  # no view, to autograd


# softmax, log_softmax, logsumexp ------------------------------------------------------------------------------------


def softmax(x: Tensor, axis: int, temperature: float, name: str, out: Tensor | None = None) -> Tensor:
    out = empty_like(x) if out is None else out
    checked(_cpu.softmax, {name: x}, x, axis, temperature, out)
    return out


def log_softmax(x: Tensor, axis: int, temperature: float, name: str) -> Tensor:
    out = empty_like(x)
    checked(_cpu.log_softmax, {name: x}, x, axis, temperature, out)
    return out


def logsumexp(x: Tensor, axis: int, name: str) -> Tensor:
    lse = empty(rows_of(x, axis), x.dtype)
    checked(_cpu.logsumexp, {name: x}, x, axis, lse)
    return lse


# cross-entropy ----------------------------------------------------------------------------------------------------


def loss(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    call: Call,
    out: Tensor | None = None,
    upstream: Tensor | None = None,
) -> Tensor:
    """The loss; with `out`, ∂loss/∂x is written there, for an upstream gradient of 1 or the one given."""
    result = empty(rows_of(x, call.axis) if call.options.reduction == "none" else (), call.dtype)
    run(x, target, weight, call, out, result, upstream)
    return result


def gradient(
    x: Tensor,
    target: Tensor,
    weight: Tensor | None,
    upstream: Tensor,
    call: Call,
    out: Tensor | None = None,
    ahead: bool = False,
) -> Tensor:
    """upstream · ∂loss/∂x, into `out` if that is given; upstream is a number, or without a reduction one a row.

    ahead   `out` holds it for an upstream gradient of 1, and `scale` could not make of that what is wanted
    """
    out = empty_like(x) if out is None else out
    run(x, target, weight, call, out, None, upstream.contiguous())
    return out


def scale(grad: Tensor, upstream: Tensor) -> bool:
    """Multiplies in place by `upstream`, a number, unless that would round a second time: then returns False.

    Powers of two up to 1 change the exponent alone, except below the normal range, which float16 alone has in use.
    """
    factor = upstream.item()
    if factor == 1:
        return True
    mantissa, _ = math.frexp(factor)
    if abs(mantissa) != 0.5 or abs(factor) > 1 or grad.dtype == torch.float16:
        return False
    grad.mul_(factor)
    return True


def run(
    x: Tensor, target: Tensor, weight: Tensor | None, call: Call, out: Tensor | None, loss: Tensor | None, upstream: Any
) -> None:
    t = as_target(x, target, call)
    w = None if weight is None else as_weight(weight, t, call, COMPUTED_IN[x.dtype])
    if call.names is ARRAYS and t.dtype != torch.int64:
        checks.probabilities(call.names, t)
    try:
        _cpu.cross_entropy(
            x,
            t,
            call.axis,
            w,
            out,
            loss,
            upstream,
            call.options.packed,
            call.empty == "nan",
            threads=torch.get_num_threads(),
        )
    except _cpu.BadTarget as bad:
        raise checks.target_value(call.names, t, bad.args[0], x.shape[call.axis]) from None
    except ValueError:
        all_have_memory({call.names.logits: x, "target": t, call.names.weight: w, "out": out})
        raise


def as_target(x: Tensor, t: Tensor, call: Call) -> Tensor:
    """Class indices as int64, or probabilities."""
    if t.dtype in COMPUTED_IN or (t.dtype == torch.int64 and t.is_contiguous()):
        return t
    if t.numel() and not t.untyped_storage().nbytes():
        raise checks.freed("target")
    index = t.to(torch.int64).contiguous()
    if t.dtype == torch.uint64 and index.numel() and index.min() < 0:  # wrapped round
        raise checks.target_value(call.names, t, int(index.flatten().argmin()), x.shape[call.axis])
    return index


def as_weight(weight: Tensor, t: Tensor, call: Call, wide: torch.dtype) -> Tensor:
    """The class weights in the dtype of the computation; numbers that are not finite count where their class occurs."""
    if not weight.untyped_storage().nbytes():
        raise checks.freed(call.names.weight)
    if call.names is ARRAYS:
        checks.weight_values(call.names, weight)
    w = weight.to(wide).contiguous()
    if t.dtype == torch.int64 and not call.options.label_smoothing and not w.isfinite().all():
        occurs = torch.zeros_like(w, dtype=torch.bool)
        occurs[t[(t >= 0) & (t < len(w)) & (t != call.options.ignore_index)]] = True
        w = torch.where(occurs, w, 0)
    return w


def statistics(x: Tensor, target: Tensor, call: Call) -> Statistics:
    t = as_target(x, target, call)
    floats = [empty(t.shape, COMPUTED_IN[x.dtype]) for _ in range(3)]
    integers = [empty(t.shape, torch.int64) for _ in range(2)]
    options = call.options
    try:
        checked(
            _cpu.statistics,
            {call.names.logits: x, "target": t},
            x,
            t,
            call.axis,
            options.ignore_index,
            options.temperature,
            *floats,
            *integers,
        )
    except _cpu.BadTarget as bad:
        raise checks.target_value(call.names, t, bad.args[0], x.shape[call.axis]) from None
    return Statistics(*floats, *integers)


# sample -----------------------------------------------------------------------------------------------------------


def sample(x: Tensor, axis: int, temperature: float, uniform: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """For each row the index that `uniform` falls on, and its log-probability."""
    log_prob = empty(rows_of(x, axis), COMPUTED_IN[x.dtype])
    index, bad = draw(x, axis, temperature, uniform, name, log_prob)
    if bad >= 0:
        raise undrawable(bad, rows_of(x, axis), name)
    return index, log_prob


def draw(
    x: Tensor, axis: int, temperature: float, uniform: Tensor, name: str, log_prob: Tensor | None = None
) -> tuple[Tensor, int]:
    """The indices, and the first row without probabilities or −1."""
    index = torch.zeros(rows_of(x, axis), dtype=torch.int64, device=CPU)
    return index, checked(_cpu.sample, {name: x}, x, axis, temperature, uniform.contiguous(), index, log_prob)
