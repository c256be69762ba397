"""A last layer's functions as operators: what graphs and transforms see of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from softxent.linear import Truncation
from softxent.torch import ops
from softxent.torch.calls import ARGUMENTS, SCHEMA, call_of
from softxent.torch.linear_layer import layer
from softxent.torch.linear_layer import second as derivatives
from softxent.torch.linear_layer.layer import Needs
from softxent.torch.linear_layer.products import computed_in

GIVEN = "Tensor input, Tensor linear_weight, Tensor? linear_bias, Tensor target, Tensor? weight"


def flat(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `given`, which takes what is given one by one, as operators and autograd do."""
    return lambda *arguments: f(arguments[:5], *arguments[5:])


def operator(name: str, of: str, fake: Callable[..., Any], compute: Callable[..., Any]) -> torch._ops.OpOverload:
    """Defines torch.ops.softxent.linear_name of what is given, its own arguments, the budget and those of a call."""
    own, results = of.split(" -> ")

    def computed(_: Any, *arguments: Any) -> Any:
        return compute(*arguments[:-ARGUMENTS], call_of(*arguments[-ARGUMENTS:]))

    def vmapped(info: Any, dims: Any, *arguments: Any) -> Any:
        return ops.one_by_one(info, dims, defined, *arguments)

    defined = ops.operator(f"linear_{name}", f"({own}, int budget, {SCHEMA}) -> {results}", computed, fake, vmapped)
    return defined


def fake_loss(x: Tensor, W: Tensor, bias: Any, target: Any, weight: Any, budget: int, *arguments: Any) -> Tensor:
    call = call_of(*arguments)
    return x.new_empty(x.shape[:1] if call.options.reduction == "none" else (), dtype=call.dtype)


def fake_gradients(
    x: Tensor, W: Tensor, bias: Tensor | None, target: Any, weight: Any, _: Any, needs: Needs, *__: Any
) -> Any:
    return tuple(torch.empty_like(a) if need else x.new_empty(0) for a, need in zip((x, W, bias), needs, strict=True))


def fake_masses(x: Tensor, W: Any, bias: Any, target: Any, weight: Any, _: Any, needs: Needs, *__: Any) -> Any:
    return tuple(
        torch.empty_like(a) if need else x.new_empty(0) for a, need in zip((target, weight), needs, strict=True)
    )


def fake_second(
    x: Tensor,
    W: Tensor,
    bias: Tensor | None,
    target: Any,
    weight: Any,
    u: Any,
    vx: Any,
    vW: Any,
    vb: Any,
    budget: int,
    *arguments: Any,
) -> Any:
    of_bias = x.new_empty(W.shape[:1]) if bias is None else torch.empty_like(bias)
    return torch.empty_like(x), torch.empty_like(W), of_bias, fake_loss(x, W, bias, target, weight, budget, *arguments)


def fake_statistics(x: Tensor, W: Tensor, bias: Tensor | None, *_: Any) -> Any:
    floats = [computed_in(x, W, bias)] * 3
    return tuple(x.new_empty(x.shape[:1], dtype=dtype) for dtype in [*floats, torch.int64, torch.int64])


def fake_sample(x: Tensor, *arguments: Any) -> Any:
    index = x.new_empty(x.shape[:1], dtype=torch.int64)
    return index, x.new_empty(x.shape[:1], dtype=arguments[-3]), index.new_empty(())


loss = operator("loss", f"{GIVEN} -> Tensor", fake_loss, flat(layer.loss))
gradients = operator(
    "gradients",
    f"{GIVEN}, Tensor upstream, bool[] needs -> (Tensor, Tensor, Tensor)",
    fake_gradients,
    flat(layer.gradients),
)
masses = operator(
    "masses",
    f"{GIVEN}, Tensor upstream, bool[] needs -> (Tensor, Tensor)",
    fake_masses,
    flat(derivatives.to_masses),
)
second = operator(
    "second",
    f"{GIVEN}, Tensor upstream, Tensor? of_input, Tensor? of_weight, Tensor? of_bias"
    " -> (Tensor, Tensor, Tensor, Tensor)",
    fake_second,
    flat(derivatives.second),
)
statistics = operator(
    "statistics", f"{GIVEN} -> (Tensor, Tensor, Tensor, Tensor, Tensor)", fake_statistics, flat(layer.statistics)
)
statistics_gradients = operator(
    "statistics_gradients",
    f"{GIVEN}, Tensor[] upstream, bool[] needs -> (Tensor, Tensor, Tensor)",
    fake_gradients,
    flat(derivatives.statistics_gradients),
)


def drawn(x: Tensor, W: Tensor, bias: Any, u: Tensor, k: Any, p: Any, least: Any, *rest: Any) -> Any:
    return layer.sample((x, W, bias), u, Truncation(k, p, least), *rest)


sample = operator(
    "sample",
    "Tensor input, Tensor linear_weight, Tensor? linear_bias, "
    "Tensor uniform, int? top_k, float? top_p, float? min_p -> (Tensor, Tensor, Tensor)",
    fake_sample,
    drawn,
)
