"""How a torch.autograd.Function is called: with what torch.func needs, or without, which saves half of a small call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch._C import _are_functorch_transforms_active  # as torch.autograd.Function.apply does
from torch._functorch.pyfunctorch import TransformType, retrieve_all_functorch_interpreters
from torch.autograd import Function

from softxent.torch import checks

EAGER: dict[type[Function], type[Function]] = {}

transforms_active: Callable[[], bool] = _are_functorch_transforms_active  # within torch.func.grad, vmap, jvp, …


class EagerFunction(Function):
    """A Function outside torch.func, whose apply comes without the preparations for it: a tenth of a small call."""

    @classmethod
    def apply(cls, *arguments: Any) -> Any:
        return super(Function, cls).apply(*arguments)


def apply(function: type[Function], *arguments: Any) -> Any:
    """function.apply(…), which inspects its own signature at each call; torch.func alone needs that."""
    return (function if transforms_active() else EAGER[function]).apply(*arguments)


def with_eager_twin(function: type[Function]) -> type[Function]:
    """The same Function in the older style, forward(ctx, …)."""

    def forward(ctx: Any, *arguments: Any) -> Any:
        output = function.forward(*arguments)
        function.setup_context(ctx, arguments, output)
        return output

    derivatives = {"backward": staticmethod(function.backward), "jvp": staticmethod(function.jvp)}
    EAGER[function] = type(function.__name__, (EagerFunction,), {"forward": staticmethod(forward), **derivatives})
    return function


def forbid_second_forward() -> None:
    """Forward mode over forward mode: PyTorch would leave out the outer derivative of a Function, and say nothing."""
    if sum(level.key() == TransformType.Jvp for level in retrieve_all_functorch_interpreters()) > 1:
        raise checks.second_forward()


def leading(x: Tensor, dim: int | None, size: int) -> Tensor:
    """With the axis of vmap first."""
    return x.expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
