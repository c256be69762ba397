"""Tensors → the CPU kernel. Nothing here knows of autograd."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from softxent.checks import positive, undrawable
from softxent.kernels import _cpu
from softxent.memory import kept, lend
from softxent.options import LossOptions
from softxent.results import Statistics
from softxent.torch import checks

COMPUTED_IN = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}

FORMATS = {
    torch.float16: "e",
    torch.bfloat16: "H",
    torch.float32: "f",
    torch.float64: "d",
    torch.int64: "q",
}


@dataclass(frozen=True, eq=False)
class Call:
    """What a call of cross_entropy says besides its tensors."""

    axis: int  # of the classes, counted from the first
    options: LossOptions  # without class weights, which are a tensor
    dtype: torch.dtype  # of the loss
    empty: str  # the mean over nothing: "nan", or "zero"
    name: str  # of the logits, in errors

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Those of call_of."""
        o = self.options
        numbers = (o.label_smoothing, o.temperature, o.softcap, o.z_loss)
        return self.axis, o.ignore_index, *numbers, o.reduction, o.normalizer, self.dtype, self.empty, self.name

    def of_rows(self) -> Call:
        """The same for a batch of such calls, a loss a row."""
        return replace(self, axis=self.axis + 1, options=replace(self.options, reduction="none", normalizer=None))


@lru_cache(maxsize=256)
def call_of(
    axis: int,
    ignore_index: int,
    label_smoothing: float,
    temperature: float,
    softcap: float | None,
    z_loss: float,
    reduction: Any,
    normalizer: float | None,
    dtype: torch.dtype,
    empty: str,
    name: str = "input",
) -> Call:
    """The options, checked; the same as last time cost nothing."""
    if empty not in ("nan", "zero"):
        raise ValueError(f"empty is {empty!r}, but must be one of 'nan', 'zero'")
    try:
        options = LossOptions(
            ignore_index=ignore_index,
            label_smoothing=label_smoothing,
            temperature=temperature,
            softcap=softcap,
            z_loss=z_loss,
            reduction=reduction,
            normalizer=normalizer,
        )
    except ValueError as error:
        raise checks.InputError(*error.args) from None
    return Call(axis, options, dtype, empty, name)


def raw(x: Tensor | None) -> Any:
    """What the kernel is handed: bfloat16 as "H", for Python's buffers have no name for it."""
    return None if x is None else (x.data_ptr(), FORMATS[x.dtype], x.shape, x.stride())


def rows_of(x: Tensor, axis: int) -> tuple[int, ...]:
    shape = tuple(x.shape)
    return shape[:axis] + shape[axis + 1 :]


# cross-entropy ----------------------------------------------------------------------------------------------------


def loss(x: Tensor, target: Tensor, weight: Tensor | None, call: Call, out: Tensor | None = None) -> Tensor:
    """The loss; with `out`, ∂loss/∂x is written there."""
    wide, options = COMPUTED_IN[x.dtype], call.options
    t, w = as_target(x, target, call), None if weight is None else as_weight(weight, wide, call)
    if t.dtype != torch.int64:
        checks.probabilities(t)
    result = torch.empty(rows_of(x, call.axis) if options.reduction == "none" else (), dtype=call.dtype)
    run(x, t, w, call, out, result)
    return result


def gradient(
    x: Tensor, target: Tensor, weight: Tensor | None, upstream: Tensor, call: Call, out: Tensor | None = None
) -> Tensor:
    """upstream · ∂loss/∂x, into `out` if that is given; upstream is a number, or without a reduction one a row."""
    wide = COMPUTED_IN[x.dtype]
    t, w = as_target(x, target, call), None if weight is None else as_weight(weight, wide, call)
    out = empty_like(x) if out is None else out
    run(x, t, w, call, out, None, upstream.resolve_neg().contiguous())
    return out


def run(
    x: Tensor, t: Tensor, w: Tensor | None, call: Call, out: Tensor | None, loss: Tensor | None, upstream: Any = None
) -> None:
    if x.is_neg():
        x = x.resolve_neg()
    try:
        _cpu.cross_entropy(
            raw(x),
            raw(t),
            call.axis,
            raw(w),
            raw(out),
            raw(loss),
            raw(upstream),
            call.options.packed,
            call.empty == "nan",
        )
    except _cpu.BadTarget as bad:
        raise checks.target_value(call.name, t, bad.args[0], x.shape[call.axis]) from None


def empty_like(x: Tensor) -> Tensor:
    """torch.empty_like, of a large tensor in memory that one no longer used had."""
    if not kept(x.nbytes):
        return torch.empty_like(x)
    strides = x.stride() if x.is_contiguous() else torch.empty_like(x, device="meta").stride()
    return torch.frombuffer(lend(x.nbytes), dtype=x.dtype).as_strided(x.shape, strides).data  # no view, to autograd


def as_target(x: Tensor, t: Tensor, call: Call) -> Tensor:
    """Class indices as int64, or probabilities."""
    if t.dtype == torch.int64:
        return t.contiguous()
    if t.dtype in COMPUTED_IN:
        return t
    index = t.to(torch.int64).contiguous()
    if t.dtype == torch.uint64 and index.numel() and index.min() < 0:  # wrapped round
        raise checks.target_value(call.name, t, int(index.flatten().argmin()), x.shape[call.axis])
    return index


def as_weight(w: Tensor, wide: torch.dtype, call: Call) -> Tensor:
    checks.weight_values("weight" if call.name == "input" else "class_weight", w)
    return w.to(wide).contiguous()


def statistics(x: Tensor, target: Tensor, call: Call) -> Statistics:
    x, t = x.resolve_neg(), as_target(x, target, call)
    floats = [torch.empty(t.shape, dtype=COMPUTED_IN[x.dtype]) for _ in range(3)]
    integers = [torch.empty_like(t) for _ in range(2)]
    options = call.options
    try:
        _cpu.statistics(
            raw(x), raw(t), call.axis, options.ignore_index, options.temperature, *map(raw, (*floats, *integers))
        )
    except _cpu.BadTarget as bad:
        raise checks.target_value(call.name, t, bad.args[0], x.shape[call.axis]) from None
    return Statistics(*floats, *integers)


# softmax, log_softmax, logsumexp, sample ----------------------------------------------------------------------------

SOFTMAX, LOG_SOFTMAX, LOGSUMEXP = 0, 1, 2


def normalize(op: int, x: Tensor, axis: int, temperature: float = 1.0) -> Tensor:
    positive("temperature", temperature)
    x = x.resolve_neg()
    if op == LOGSUMEXP:
        lse = torch.empty(rows_of(x, axis), dtype=x.dtype)
        _cpu.logsumexp(raw(x), axis, raw(lse))
        return lse
    out = empty_like(x)
    (_cpu.softmax if op == SOFTMAX else _cpu.log_softmax)(raw(x), axis, temperature, raw(out))
    return out


def sample(x: Tensor, axis: int, temperature: float, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """For each row the index that `uniform` falls on, and its log-probability."""
    positive("temperature", temperature)
    x = x.resolve_neg()
    index = torch.empty(rows_of(x, axis), dtype=torch.int64)
    log_prob = torch.empty(rows_of(x, axis), dtype=COMPUTED_IN[x.dtype])
    bad = _cpu.sample(raw(x), axis, temperature, raw(uniform), raw(index), raw(log_prob))
    if bad >= 0:
        raise undrawable(bad, rows_of(x, axis), "input")
    return index, log_prob
