"""The arguments of a call: checked, flattened to rows, and cut to the classes that are this rank's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor

from softxent import checks as shared
from softxent.checks import integer, not_indices
from softxent.options import LossOptions
from softxent.results import Statistics
from softxent.torch import checks, core
from softxent.torch.calls import COMPUTED_IN
from softxent.torch.checks import LAYERS, PYTORCHS
from softxent.torch.linear_layer.functional import autocast
from softxent.torch.linear_layer.products import computed_in
from softxent.torch.parallel import call
from softxent.torch.parallel.dtensor import Layout
from softxent.torch.parallel.exchange import Group, group_of

Given = tuple[Any, Any, Any]  # input, linear_weight, linear_bias


@contextmanager
def reported(group: Any, name: str, x: Any) -> Iterator[None]:
    """An error of this rank's arguments is raised on every rank; in a graph all ranks trace the same one."""
    if torch.compiler.is_compiling():
        yield
        return
    with call.reported(Group(group), name, x):
        yield


class Split:
    """Which classes are this rank's: from `start`, `kept` of the columns that it holds."""

    def __init__(self, start: int, held: int, total: int) -> None:
        self.start, self.held, self.total = start, held, total
        self.kept = max(0, min(held, total - start))

    @classmethod
    def of(cls, group: Any, held: int, start: Any, total: Any) -> Split:
        rank, size = torch.distributed.get_rank(group), torch.distributed.get_world_size(group)
        if total is None:
            each, total = held, held * size
        else:
            total = int(shared.positive("vocab_total", integer("vocab_total", total)))
            each = -(-total // size)
        start = min(each * rank, total) if start is None else integer("vocab_start", start)
        shared.not_negative("vocab_start", start)
        return cls(start, held, total)

    def cut(self, a: Tensor, axis: int) -> Tensor:
        """Without padding."""
        return a if self.kept == self.held else a.narrow(axis, 0, self.kept)


class Said:
    """The options of a call, checked, and what all ranks must say alike."""

    def __init__(
        self, name: str, rows: Any, given: Any, by_index: bool, weight: Any, options: dict[str, Any], read: bool
    ) -> None:
        self.name, self.read, self.by_index = name, read, by_index
        self.normalizer = options.get("normalizer")
        plain: Any = {option: value for option, value in options.items() if option != "normalizer"}
        number = None if isinstance(self.normalizer, Tensor) else self.normalizer
        self.options = LossOptions.of(plain | {"normalizer": number})
        if isinstance(self.normalizer, Tensor):
            if self.normalizer.ndim:
                raise checks.normalizer(self.normalizer)
            checks.no_derivative("normalizer", self.normalizer)
        self.dtype = COMPUTED_IN[given[0].dtype] if len(given) == 1 else computed_in(*given)
        graph = torch.is_grad_enabled() and len(given) > 1 and given[0].requires_grad
        self.rows = rows
        self.alike = (
            f"weight = {call.shown(weight)}\nreduction = {self.options.reduction}\n"
            f"normalizer = {call.shown(self.normalizer)}\nwhether input requires grad = {graph}"
        )

    def numbers(self, group: Any, split: Split, budget: int = -1, reduced: bool = True) -> tuple[Any, ...]:
        """Those of an operator."""
        o = self.options
        alike = f"{self.alike}\nreduce_grad = {reduced}"
        return (
            self.name, group.group_name, split.start, split.total, o.ignore_index, o.label_smoothing, o.temperature,
            o.softcap, o.z_loss, budget, self.read, reduced, self.rows, alike,
        )  # fmt: skip


def of_logits(x: Any, target: Any, weight: Any, dim: int) -> tuple[tuple[Any, Any, Any], tuple[int, ...], bool]:
    """rows × classes logits, their target and class weights, and the shape of the rows."""
    checks.tensor("input", x)
    if x.dtype not in checks.LOGITS:
        raise shared.logits_dtype(checks.dtype(x), "float16, bfloat16, float32 or float64", PYTORCHS)
    (axis,) = checks.dims(PYTORCHS, dim, x)
    x, by_index = x.movedim(axis, -1), True
    rows, classes = tuple(x.shape[:-1]), x.shape[-1]
    if target is not None:
        checks.tensor("target", target)
        checks.same_device("target", target, "input", x)
        by_index = tuple(target.shape) == rows
        moved = target if by_index or target.ndim != x.ndim else target.movedim(axis, -1)
        if not by_index and moved.shape != x.shape:
            whole = (*rows[:axis], classes, *rows[axis:])
            raise shared.target_shape(tuple(target.shape), whole, rows, PYTORCHS)
        target = flat_target(moved, rows, classes, by_index)
    return (x.reshape(prod(rows), classes), target, checked_weight(weight, x, classes, by_index)), rows, by_index


def of_layer(x: Any, W: Any, bias: Any, target: Any) -> tuple[Given, Any, tuple[int, ...], bool]:
    for name, a in (("input", x), ("linear_weight", W), ("linear_bias", bias), ("target", target)):
        if a is not None:
            checks.tensor(name, a)
            checks.same_device(name, a, "input", x)
            if name != "target" and a.dtype not in COMPUTED_IN:
                names = PYTORCHS._replace(logits=name)
                raise shared.logits_dtype(checks.dtype(a), "float16, bfloat16, float32 or float64", names)
    fits = x.ndim and W.ndim == 2 and x.shape[-1] == W.shape[1] > 0
    if not (fits and (bias is None or bias.shape == W.shape[:1])):
        shapes = [None if a is None else tuple(a.shape) for a in (x, W, bias)]
        raise checks.InputError(
            f"input has shape {shapes[0]}, linear_weight {shapes[1]} and linear_bias {shapes[2]}, "
            "but these must fit together: (…, D), (classes of this rank, D), (classes of this rank,)"
        )
    x, W, bias = autocast(x, W, bias)
    rows, by_index = tuple(x.shape[:-1]), True
    if target is not None:
        by_index = tuple(target.shape) == rows
        if not by_index and tuple(target.shape) != (*rows, W.shape[0]):
            raise shared.target_shape(tuple(target.shape), (*rows, W.shape[0]), rows, LAYERS)
        target = flat_target(target, rows, W.shape[0], by_index)
    return (x.reshape(prod(rows), x.shape[-1]), W, bias), target, rows, by_index


def flat_target(target: Tensor, rows: tuple[int, ...], classes: int, by_index: bool) -> Tensor:
    if target.dtype not in (checks.INTEGERS if by_index else checks.LOGITS):
        raise shared.target_dtype(checks.dtype(target), PYTORCHS)
    return target.reshape(-1).long() if by_index else target.reshape(prod(rows), classes)


def checked_weight(weight: Any, x: Tensor, classes: int, by_index: bool) -> Any:
    if weight is not None:
        checks.weight(PYTORCHS, weight, x, classes, by_index)
    return weight


def indices(target: Any, input: Any, group: Any) -> Any:
    """A target of log_prob."""
    if isinstance(target, Tensor) and target.is_floating_point():
        with reported(group_of(group), "log_prob", input):
            raise not_indices(target)
    return target


def uniforms(x: Tensor, generator: Any) -> Tensor:
    if generator is not None:
        checks.generator_device(PYTORCHS, generator, x)
    given = {} if generator is None else {"generator": generator}
    return torch.rand(x.shape[0], dtype=torch.float64, device=x.device, **given)


def placed(column: Tensor, rows: tuple[int, ...], layout: Layout | None) -> Any:
    """One number a row, in the shape of the rows."""
    return column.reshape(rows) if layout is None else layout.of_rows(column.reshape(rows))


def columns(found: Any, rows: tuple[int, ...], layout: Layout | None) -> Statistics:
    return Statistics(*(placed(column, rows, layout) for column in found[:5]))


def result(losses: Tensor, state: Tensor, rows: tuple[int, ...], said: Said, layout: Layout | None) -> Any:
    """The losses, their sum or their mean; of a DTensor over the rows of all ranks."""
    options = said.options
    if options.reduction == "none":
        return placed(losses.to(said.dtype), rows, layout)
    total = losses.sum()
    if options.reduction == "mean":
        divisor: Any = said.normalizer
        if divisor is None:
            count = state.detach()[-1].sum()  # of probabilities the number of rows
            divisor = count if layout is None else layout.summed(count)
        total = core.over(total, divisor, "zero") if isinstance(divisor, Tensor) else total / (divisor or torch.inf)
    total = total.to(said.dtype)
    return total if layout is None else layout.total(total)
