"""What an operator of this package is given besides its tensors, and how a rank's own errors reach the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from softxent.checks import target_value
from softxent.options import LossOptions
from softxent.torch import checks
from softxent.torch.checks import PYTORCHS
from softxent.torch.devices import waits
from softxent.torch.parallel.exchange import Group, Told, fail
from softxent.torch.parallel.local import Source, Targets

VOCABULARY = PYTORCHS._replace(logits="the vocabulary")


@dataclass
class Call:
    """The numbers of a call, in the order of an operator's arguments."""

    name: str
    group: str
    start: int  # the first class of this rank
    total: int  # classes of all ranks
    ignore_index: int
    label_smoothing: float
    temperature: float
    softcap: float | None
    z_loss: float
    budget: int
    read: bool
    reduced: bool  # whether the gradient of a layer's input is summed over the ranks
    shape: list[int]  # of the rows
    alike: str  # what else the ranks must say alike: a line with a name = a value for each

    @property
    def options(self) -> LossOptions:
        return LossOptions(
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            temperature=self.temperature,
            softcap=self.softcap,
            z_loss=self.z_loss,
            reduction="none",
        )

    def told(self, source: Source, target: Tensor | None) -> Told:
        given = [a for a in (source.x, source.W, source.bias) if a is not None]
        alike: dict[str, Any] = {
            "the shape of rows": [*self.shape],
            "the dtype": " and ".join(dict.fromkeys(map(checks.dtype, given))),
            "target": "nothing" if target is None else checks.dtype(target),
        }
        if source.W is not None:
            alike |= {"the number of features": source.W.shape[1], "linear_bias": shown(source.bias)}
        alike |= dict(line.split(" = ") for line in self.alike.splitlines())
        for name in ("ignore_index", "label_smoothing", "temperature", "softcap", "z_loss"):
            alike[name] = getattr(self, name)
        return Told(self.name, alike, self.start, self.start + source.classes, self.total, read=self.read)

    def source(self, x: Tensor, W: Tensor | None, bias: Tensor | None) -> Source:
        return Source(x, W, bias, self.options, self.budget)

    def targets(self, target: Tensor, source: Source) -> Targets | None:
        if target.is_floating_point():
            return None
        return Targets.of(target, self.start, self.start + source.classes, self.ignore_index)


def shown(value: Any) -> str:
    return "nothing" if value is None else "a tensor" if isinstance(value, Tensor) else f"{value}"


@contextmanager
def reported(group: Group, call: str, x: Any) -> Iterator[None]:
    """An error of this rank alone becomes one of all of them, which wait for what it would have sent."""
    try:
        yield
    except Exception as error:
        fail(group, call, error, x.device if isinstance(x, Tensor) else torch.device("cpu"))


def of_vocabulary(target: Tensor, call: Call) -> None:
    """Checks that each target is a class of some rank."""
    if target.is_floating_point():
        return
    wrong = ((target < 0) | (target >= call.total)) & (target != call.ignore_index)
    if not waits(target):
        torch._assert_async(~wrong.any(), "a target is no class of any rank")
    elif wrong.any():
        row = int(wrong.int().argmax())
        raise target_value(int(target[row]), tuple(call.shape), row, call.total, VOCABULARY)
