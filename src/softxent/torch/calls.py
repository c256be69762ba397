"""What a call says besides its tensors, and which way it goes to a kernel: directly, or as an operator."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active as transforms_active  # within torch.func.grad, vmap, jvp, …
from torch._C import _get_tracing_state as traced_by_jit
from torch._C import _len_torch_dispatch_stack as dispatch_modes
from torch._C._functorch import is_functorch_wrapped_tensor, is_legacy_batchedtensor
from torch.nn import Parameter

from softxent.checks import Names, one_of
from softxent.options import NUMBERS, LossOptions
from softxent.torch import checks
from softxent.torch.checks import BY_LOGITS

# What a call says ---------------------------------------------------------------------------------------------------

COMPUTED_IN = {
    torch.float16: torch.float32,
    torch.bfloat16: torch.float32,
    torch.float32: torch.float32,
    torch.float64: torch.float64,
}


@dataclass(frozen=True, eq=False)
class Call:
    """What a call of cross_entropy says besides its tensors."""

    axis: int  # of the classes, counted from the first
    options: LossOptions  # without class weights, which are a tensor
    dtype: torch.dtype  # of the loss
    empty: str  # the mean over nothing: "nan", or "zero"
    names: Names

    @property
    def arguments(self) -> tuple[Any, ...]:
        """Those of call_of, and of the operators."""
        numbers = (getattr(self.options, field.name) for field in NUMBERS)
        return self.axis, *numbers, self.dtype, self.empty, self.names.logits

    def of_rows(self) -> Call:
        """The same for a batch of such calls, a loss a row."""
        return replace(self, axis=self.axis + 1, options=replace(self.options, reduction="none", normalizer=None))


check_empty = one_of(("nan", "zero"))


def call_of(*arguments: Any) -> Call:
    """The call with these arguments, checked: the axis, the numbers of LossOptions in order, dtype, empty, a name."""
    if PLAIN.issuperset(map(type, arguments)):
        return _remembered(*arguments)
    if not torch.is_grad_enabled():
        arguments = tuple(a.detach() if isinstance(a, Tensor) else a for a in arguments)
    return _call_of(*arguments)


def _call_of(axis: int, *arguments: Any) -> Call:
    *numbers, dtype, empty, logits = arguments
    try:
        check_empty("empty", empty)
        options = LossOptions(**{field.name: number for field, number in zip(NUMBERS, numbers, strict=True)})
    except ValueError as error:
        raise checks.InputError(*error.args) from None
    return Call(axis, options, dtype, empty, BY_LOGITS[logits])


PLAIN = {int, float, str, NoneType, torch.dtype}  # what cannot be changed in place once it is remembered
_remembered = lru_cache(maxsize=256, typed=True)(_call_of)


def _schema_type(hint: Any) -> str:
    """The type of an option in an operator's schema."""
    if get_origin(hint) is Literal:
        return "str"
    if NoneType in get_args(hint):
        return f"{next(kind for kind in get_args(hint) if kind is not NoneType).__name__}?"
    return str(hint.__name__)


_HINTS = get_type_hints(LossOptions)
_OPTIONS = [f"{_schema_type(_HINTS[f.name])} {f.name}" for f in NUMBERS]
_SCHEMA = ["int axis", *_OPTIONS, "ScalarType dtype", "str empty", "str name"]
SCHEMA, ARGUMENTS = ", ".join(_SCHEMA), len(_SCHEMA)  # of call_of's arguments, in an operator

# Which way it goes ---------------------------------------------------------------------------------------------------


KINDS = (Tensor, Parameter)  # without methods of their own


def by_operator(*tensors: Tensor | None) -> bool:
    """Whether PyTorch's dispatcher must see the call: a graph is traced, or a tensor is no plain memory of its own."""
    return traced() or not all(map(is_plain, tensors))


def traced() -> bool:
    """Whether a graph is made of what is called, or a transform or mode sees it."""
    return torch.compiler.is_compiling() or transforms_active() or dispatch_modes() > 0 or traced_by_jit() is not None


def is_plain(x: Tensor | None) -> bool:
    """Whether the numbers of `x`, if there are any, lie in memory as they are.

    Those of a subclass, on a device without kernels, lazily negated, or zeros without memory do not; nor those of a
    wrapper that outlived its transform of torch.func, and the batches of is_grads_batched.
    """
    return x is None or (
        type(x) in KINDS
        and (x.is_cpu or x.is_cuda)
        and not x.is_neg()
        and not x._is_zerotensor()
        and not is_functorch_wrapped_tensor(x)
        and not is_legacy_batchedtensor(x)
    )


def rows_of(x: Tensor, axis: int) -> tuple[int, ...]:
    shape = tuple(x.shape)
    return shape[:axis] + shape[axis + 1 :]
