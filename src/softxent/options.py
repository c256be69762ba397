"""The options of the loss, once: their names, defaults, meaning and checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import cached_property
from struct import Struct
from typing import Any, Literal, TypedDict

from softxent import checks

REDUCTIONS = ("none", "sum", "mean")  # in the kernel's numbering


def option(default: Any, meaning: str, code: str = "", packed: Callable[[Any], Any] = lambda value: value or 0) -> Any:
    """A field of LossOptions. The kernel is handed packed(value), written as struct writes `code`."""
    return field(default=default, metadata={"meaning": meaning, "code": code, "packed": packed})


@dataclass(frozen=True)
class LossOptions:
    """What turns a target into a_j = w_j·q_j, and Σ_j a_j·(lse − z_j) into the loss.

    >>> LossOptions(label_smoothing=0.1).reduction
    'mean'
    >>> LossOptions(temperature=0)
    Traceback (most recent call last):
    ValueError: temperature is 0, but must be a finite number above 0
    """

    class_weight: Any = option(None, "w, one number ≥ 0 for each class (none: all 1)")
    ignore_index: int = option(
        -100, "rows with this target have loss 0 and gradient 0, and are not counted; not for probability targets", "q"
    )
    label_smoothing: float = option(0.0, "ε in [0, 1]: q_j = (1 − ε)·t_j + ε / V", "d")
    temperature: float = option(1.0, "T > 0: z = x / T", "d")
    softcap: float | None = option(None, "c > 0: z = c·tanh(x / c) / T (none: z = x / T)", "d")
    z_loss: float = option(0.0, "λ ≥ 0: λ·lse² is added to the loss", "d")
    reduction: Literal["none", "sum", "mean"] = option(
        "mean",
        "a loss for each row, their sum, or the sum divided by Σ w_{y_i} over the counted rows "
        "(for probability targets by the number of rows; 0 if nothing is counted)",
        "q",
        REDUCTIONS.index,
    )
    normalizer: float | None = option(
        None, "replaces that divisor of the mean: a number > 0, such as the number of tokens in all micro-batches", "d"
    )

    def __post_init__(self) -> None:
        if not -(2**63) <= checks.integer("ignore_index", self.ignore_index) < 2**63:
            raise ValueError(f"ignore_index is {self.ignore_index}, but must be an int64")
        checks.number("label_smoothing", self.label_smoothing, "between 0 and 1", lambda x: 0 <= x <= 1)
        checks.positive("temperature", self.temperature)
        if self.softcap is not None:
            checks.positive("softcap", self.softcap)
        checks.number("z_loss", self.z_loss, "0 or more", lambda x: x >= 0)
        if self.reduction not in REDUCTIONS:
            raise ValueError(f"reduction is {self.reduction!r}, but must be one of {', '.join(map(repr, REDUCTIONS))}")
        if self.normalizer is not None:
            checks.positive("normalizer", self.normalizer)
            if self.reduction != "mean":
                raise ValueError(
                    f"normalizer replaces the divisor of reduction='mean', but reduction is {self.reduction!r}"
                )

    @cached_property
    def packed(self) -> bytes:
        """What the kernel is handed: the numbers, in the order of the fields; LossOptions in kernel.hpp."""
        return PACKED.pack(*(field.metadata["packed"](getattr(self, field.name)) for field in NUMBERS))

    @classmethod
    def of(cls, options: Options) -> LossOptions:
        """The options of a call; none given costs nothing."""
        if not options:
            return DEFAULT
        if unknown := set(options) - OPTION_NAMES:
            raise TypeError(f"{min(unknown)} is not an option; the options are {', '.join(sorted(OPTION_NAMES))}")
        return cls(**options)


class Options(TypedDict, total=False):
    """The same, as the keyword arguments of a function."""

    class_weight: Any
    ignore_index: int
    label_smoothing: float
    temperature: float
    softcap: float | None
    z_loss: float
    reduction: Literal["none", "sum", "mean"]
    normalizer: float | None


OPTION_NAMES = {field.name for field in fields(LossOptions)}
NUMBERS = [field for field in fields(LossOptions) if field.metadata["code"]]
PACKED = Struct("".join(field.metadata["code"] for field in NUMBERS))
DEFAULT = LossOptions()
