"""The options of the loss, once: name, default, meaning, check. Whatever else lists them is made from these fields."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from inspect import Parameter, cleandoc, signature
from struct import Struct
from typing import Any, Literal, TypedDict, TypeVar

from softxent import checks

REDUCTIONS = ("none", "sum", "mean")  # in the kernel's numbering


def option(
    default: Any,
    meaning: str,
    chinese: str,
    check: Callable[[str, Any], Any] | None = None,
    code: str = "",
    packed: Callable[[Any], Any] = lambda value: value or 0,
) -> Any:
    """A field of LossOptions.

    check    of (name, value), for any value but the default: raises, or returns it as a plain Python number
    code     how struct writes packed(value), which the kernel is handed
    """
    metadata = {"meaning": {"en": meaning, "zh": chinese}, "check": check, "code": code, "packed": packed}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, eq=False)
class LossOptions:
    """What turns a target into a_j = w_j·q_j, and Σ_j a_j·(lse − z_j) into the loss.

    {options}

    Numbers become Python's when the options are made, so that what is changed in place later changes nothing here.

    >>> LossOptions(label_smoothing=0.1).reduction
    'mean'
    >>> LossOptions(temperature=0)
    Traceback (most recent call last):
    ValueError: temperature is 0, but must be a finite number above 0
    """

    class_weight: Any = option(
        None,
        "w, one number ≥ 0 for each class (none: all 1)",
        "w，每个类别一个 ≥ 0 的权重（不给则全为 1）",
    )
    ignore_index: int = option(
        -100,
        "rows with this target: loss 0, gradient 0, not counted; has no meaning for probability targets",
        "目标等于它的行：损失为 0，梯度为 0，不计数；对概率目标没有意义",
        checks.int64,
        "q",
    )
    label_smoothing: float = option(
        0.0,
        "ε in [0, 1]: q_j = (1 − ε)·t_j + ε / V",
        "[0, 1] 内的 ε：q_j = (1 − ε)·t_j + ε / V",
        checks.share,
        "d",
    )
    temperature: float = option(1.0, "T > 0: z = x / T", "T > 0：z = x / T", checks.divisor, "d")
    softcap: float | None = option(
        None,
        "c > 0: z = c·tanh(x / c) / T (none: z = x / T)",
        "c > 0：z = c·tanh(x / c) / T（不给则 z = x / T）",
        checks.divisor,
        "d",
    )
    z_loss: float = option(
        0.0, "λ ≥ 0: λ·lse² is added to the loss", "λ ≥ 0：损失加上 λ·lse²", checks.not_negative, "d"
    )
    reduction: Literal["none", "sum", "mean"] = option(
        "mean",
        'or "sum", or "none", one loss a row; the mean divides by Σ w_y of the counted rows (probabilities: by rows)',
        '或 "sum"，或 "none"（每行一个损失）；均值除以计数各行的 Σ w_y，概率目标则除以行数',
        checks.one_of(REDUCTIONS),
        "q",
        REDUCTIONS.index,
    )
    normalizer: float | None = option(
        None,
        "replaces that divisor: a number > 0, such as the number of tokens in all micro-batches",
        "取代上述除数：一个 > 0 的数，例如所有微批次的 token 总数",
        checks.divisor,
        "d",
    )

    def __post_init__(self) -> None:
        for name, default, check in CHECKED:
            value = getattr(self, name)
            if value is not default:
                object.__setattr__(self, name, check(name, value))
        if self.normalizer is not None and self.reduction != "mean":
            raise ValueError(
                f"normalizer replaces the divisor of reduction='mean', but reduction is {self.reduction!r}"
            )

    def __eq__(self, other: object) -> bool:
        """The same numbers, and the same object as class_weight: arrays have no == that says yes or no."""
        if not isinstance(other, LossOptions):
            return NotImplemented
        return self.packed == other.packed and self.class_weight is other.class_weight

    def __hash__(self) -> int:
        return hash(self.packed)

    @cached_property
    def packed(self) -> bytes:
        """What the kernel is handed: the numbers, in the order of the fields; LossOptions in kernel.hpp."""
        return PACKED.pack(*[packed(getattr(self, name)) for name, packed in PACKING])

    @cached_property
    def each(self) -> LossOptions:
        """The same of one row, without class weights, which are an array."""
        return replace(self, class_weight=None, reduction="none", normalizer=None)

    @classmethod
    def of(cls, options: Options) -> LossOptions:
        """The options of a call; none given costs nothing."""
        if not options:
            return DEFAULT
        if not options.keys() <= FIELDS.keys():
            raise checks.unknown_option(min(options.keys() - FIELDS.keys()), sorted(FIELDS))
        return cls(**options)


class Options(TypedDict, total=False):
    """The fields once more, for type checkers: Unpack takes no dataclass. A test compares the two."""

    class_weight: Any
    ignore_index: int
    label_smoothing: float
    temperature: float
    softcap: float | None
    z_loss: float
    reduction: Literal["none", "sum", "mean"]
    normalizer: float | None


FIELDS = {field.name: field for field in fields(LossOptions)}
CHECKED = [(f.name, f.default, f.metadata["check"]) for f in FIELDS.values() if f.metadata["check"]]
NUMBERS = [f for f in FIELDS.values() if f.metadata["code"]]
PACKING = [(f.name, f.metadata["packed"]) for f in NUMBERS]
PACKED = Struct("".join(f.metadata["code"] for f in NUMBERS))
DEFAULT = LossOptions()

# What is made from the fields -----------------------------------------------------------------------------------------

F = TypeVar("F", bound=Callable[..., Any])


def takes_options(function: F) -> F:
    """A function of **options whose signature lists them, and whose docstring describes them in place of {options}.

    Options that the function has as parameters of its own are not repeated, nor is class_weight in functions with
    PyTorch's `input`, which call it weight.
    """
    own = [p for p in signature(function).parameters.values() if p.kind is not Parameter.VAR_KEYWORD]
    taken = {p.name for p in own}
    added = [f for f in FIELDS.values() if f.name not in taken and not (f.name == "class_weight" and "input" in taken)]
    listed = [Parameter(f.name, Parameter.KEYWORD_ONLY, default=f.default, annotation=f.type) for f in added]
    function.__signature__ = signature(function).replace(parameters=own + listed)  # type: ignore[attr-defined]
    function.__doc__ = with_options(function.__doc__, [f.name for f in added])
    return function


def with_options(docstring: str | None, names: list[str]) -> str | None:
    """The docstring with a line for each option in place of {options}; python -OO has none."""
    lines = [f"{name:<15}  {FIELDS[name].metadata['meaning']['en']}" for name in names]
    return docstring and cleandoc(docstring).replace("{options}", "\n".join(lines))


def markdown(language: str = "en") -> str:
    """The table of options in README.md and, with "zh", in README.zh.md."""
    head = {"en": "| option | default | meaning |", "zh": "| 选项 | 默认值 | 含义 |"}[language]
    rows = [f"| `{f.name}` | `{f.default!r}` | {f.metadata['meaning'][language]} |" for f in FIELDS.values()]
    return "\n".join([head, "| --- | --- | --- |", *rows])


LossOptions.__doc__ = with_options(LossOptions.__doc__, list(FIELDS))

if __name__ == "__main__":
    print(markdown(*sys.argv[1:]))  # python -m softxent.options zh
