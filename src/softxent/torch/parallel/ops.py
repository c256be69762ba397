"""The calls as PyTorch operators, so that autograd, torch.compile and checkpoints see each as one step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd, register_fake

from softxent.torch import checks, ops
from softxent.torch.calls import COMPUTED_IN
from softxent.torch.linear_layer.products import computed_in
from softxent.torch.parallel import loss, per_row
from softxent.torch.parallel.call import Call
from softxent.torch.parallel.state import State

SCHEMA = (
    "str name, str group, int start, int total, int ignore_index, float label_smoothing, float temperature, "
    "float? softcap, float z_loss, int budget, bool read, bool reduced, SymInt[] shape, str alike"
)
NUMBERS = SCHEMA.count(",") + 1
LAYER = "Tensor input, Tensor? linear_weight, Tensor? linear_bias"


def operator(name: str, given: str, results: str, compute: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    """Defines torch.ops.softxent.parallel_name of tensors and a Call."""

    def computed(*arguments: Any) -> Any:
        return compute(*arguments[:-NUMBERS], Call(*arguments[-NUMBERS:]))

    ops.LIBRARY.define(f"parallel_{name}({given}, {SCHEMA}) -> {results}", tags=(torch.Tag.pt2_compliant_tag,))
    for device in checks.DEVICES:
        ops.LIBRARY.impl(f"parallel_{name}", computed, device.upper())
    register_fake(f"softxent::parallel_{name}", fake, lib=ops.LIBRARY)
    return getattr(torch.ops.softxent, f"parallel_{name}").default


def like(needs: list[bool], *tensors: Tensor | None) -> tuple[Tensor, ...]:
    first: Any = tensors[0]
    return tuple(
        torch.empty_like(a) if a is not None and needed else first.new_empty(0)
        for a, needed in zip(tensors, needs, strict=True)
    )


def of_rows(x: Tensor) -> tuple[Tensor, Tensor]:
    rows = x.shape[0]
    return x.new_empty(rows, dtype=torch.float64), x.new_empty((len(State._fields), rows), dtype=torch.float64)


def fake_statistics(x: Tensor, W: Tensor | None, bias: Tensor | None, *_: Any) -> tuple[Tensor, ...]:
    dtype = COMPUTED_IN[x.dtype] if W is None else computed_in(x, W, bias)
    dtypes = dtype, dtype, dtype, torch.int64, torch.int64
    return *(x.new_empty(x.shape[0], dtype=of) for of in dtypes), of_rows(x)[1]


def fake_sample(x: Tensor, W: Tensor | None, bias: Tensor | None, *_: Any) -> tuple[Tensor, Tensor]:
    found = fake_statistics(x, W, bias)
    return found[3], found[0]


losses = operator(
    "losses", f"{LAYER}, Tensor target, Tensor? weight", "(Tensor, Tensor)", loss.losses, lambda x, *_: of_rows(x)
)
gradients = operator(
    "gradients",
    f"{LAYER}, Tensor target, Tensor? weight, Tensor state, Tensor upstream, bool[] needs",
    "(Tensor, Tensor, Tensor, Tensor, Tensor)",
    loss.gradients,
    lambda x, W, bias, target, weight, state, upstream, needs, *_: like(needs, x, W, bias, target, weight),
)
statistics = operator(
    "statistics",
    f"{LAYER}, Tensor target",
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
    per_row.statistics,
    fake_statistics,
)
statistics_gradients = operator(
    "statistics_gradients",
    f"{LAYER}, Tensor target, Tensor state, Tensor upstream, bool[] needs",
    "(Tensor, Tensor, Tensor)",
    per_row.statistics_gradients,
    lambda x, W, bias, target, state, upstream, needs, *_: like(needs, x, W, bias),
)
sample = operator("sample", f"{LAYER}, Tensor uniform", "(Tensor, Tensor)", per_row.sample, fake_sample)


# Derivatives ----------------------------------------------------------------------------------------------------------


def keep_losses(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:5], output[1])
    ctx.numbers = inputs[5:]
    ctx.set_materialize_grads(False)


def backward_of_losses(ctx: Any, upstream: Tensor | None, _: Any) -> Any:
    if upstream is None:
        return (None,) * (5 + NUMBERS)
    needs = [*ctx.needs_input_grad[:5]]
    found = gradients(*ctx.saved_tensors, upstream, needs, *ctx.numbers)
    return *(a if needed else None for a, needed in zip(found, needs, strict=True)), *(None,) * NUMBERS


def keep_statistics(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs[:4], output[5])
    ctx.numbers = inputs[4:]
    ctx.set_materialize_grads(False)


def backward_of_statistics(ctx: Any, *upstream: Tensor | None) -> Any:
    given = [u for u in upstream[:3] if u is not None]
    if not given:
        return (None,) * (4 + NUMBERS)
    u = torch.stack([torch.zeros_like(given[0]) if a is None else a for a in upstream[:3]])
    needs = [*ctx.needs_input_grad[:3]]
    found = statistics_gradients(*ctx.saved_tensors, u, needs, *ctx.numbers)
    return *(a if needed else None for a, needed in zip(found, needs, strict=True)), *(None,) * (1 + NUMBERS)


def no_second(ctx: Any, *_: Any) -> Any:
    raise checks.InputError(
        "softxent.torch.parallel has first derivatives only; gather the logits, and call softxent.torch on them"
    )


register_autograd("softxent::parallel_losses", backward_of_losses, setup_context=keep_losses, lib=ops.LIBRARY)
register_autograd(
    "softxent::parallel_statistics", backward_of_statistics, setup_context=keep_statistics, lib=ops.LIBRARY
)
for derivative in ("gradients", "statistics_gradients"):
    register_autograd(f"softxent::parallel_{derivative}", no_second, lib=ops.LIBRARY)
