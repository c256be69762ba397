"""The options of the loss, once: their names, defaults, meaning and checks."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, TypedDict

from softxent import checks

REDUCTIONS = ("none", "sum", "mean")  # in the kernel's numbering


@dataclass(frozen=True)
class LossOptions:
    """What turns a target into a_j = w_j·q_j, and Σ_j a_j·(lse − z_j) into the loss.

    class_weight     w, one number ≥ 0 for each class (none: all 1)
    ignore_index     rows with this target have loss 0 and gradient 0, and are not counted; not for probability targets
    label_smoothing  ε in [0, 1]: q_j = (1 − ε)·t_j + ε / V
    temperature      T > 0: z = x / T
    softcap          c > 0: z = c·tanh(x / c) / T (none: z = x / T)
    z_loss           λ ≥ 0: λ·lse² is added to the loss
    reduction        "none", "sum" or "mean": a loss for each row, their sum, or the sum divided by Σ w_{y_i} over the
                     counted rows (for probability targets by the number of rows; 0 if nothing is counted)
    normalizer       replaces that divisor of the mean: a number > 0, such as the number of tokens in all micro-batches

    >>> LossOptions(label_smoothing=0.1).reduction
    'mean'
    >>> LossOptions(temperature=0)
    Traceback (most recent call last):
    ValueError: temperature is 0, but must be a finite number above 0
    """

    class_weight: Any = None
    ignore_index: int = -100
    label_smoothing: float = 0.0
    temperature: float = 1.0
    softcap: float | None = None
    z_loss: float = 0.0
    reduction: Literal["none", "sum", "mean"] = "mean"
    normalizer: float | None = None

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
    def numbers(self) -> tuple[int, float, float, float, float, int, float]:
        """What the kernel is handed: ignore_index, ε, T, c (0: none), λ, the reduction, the normalizer (0: none)."""
        return (
            int(self.ignore_index),
            float(self.label_smoothing),
            float(self.temperature),
            float(self.softcap or 0),
            float(self.z_loss),
            REDUCTIONS.index(self.reduction),
            float(self.normalizer or 0),
        )

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
DEFAULT = LossOptions()
