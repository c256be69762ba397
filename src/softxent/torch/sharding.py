"""How DTensor may split an operator's rows over ranks; the axis of the classes stays whole on each.

For each axis of the rows a rule says how outputs and inputs lie along a dimension of the mesh; that all are replicated
is always right. Classes that are split are gathered first, as is a mean's input,
whose divisor counts the rows of every rank.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from softxent.torch.calls import call_of

Placements = tuple[list[Any], list[Any]]  # of the outputs, and of the inputs, None for what is no tensor


def register(operator: Any, rows_of_outputs: Callable[..., list[Any]]) -> None:
    """`rows_of_outputs`, of the operator's arguments, says how each output lies where the rows are split.

    That is "logits", as the logits lie, "rows", one number a row, "sum", or nothing where they cannot be.
    """
    from torch.distributed.tensor import Partial, Replicate, Shard
    from torch.distributed.tensor.experimental import register_sharding

    def shardings(*arguments: Any) -> list[Placements]:
        x, axis = arguments[0], next(a for a in arguments if isinstance(a, int))
        tensors = [hasattr(a, "tensor_meta") for a in arguments]
        outputs = rows_of_outputs(*arguments)
        count = len(operator._schema.returns)
        names = [argument.name for argument in operator._schema.arguments]
        found: list[Placements] = [
            ([Replicate()] * count, [Replicate() if is_tensor else None for is_tensor in tensors])
        ]
        for k in range(x.ndim) if outputs else ():
            if k == axis:
                continue
            lies = {"logits": Shard(k), "rows": Shard(k - (k > axis)), "sum": Partial("sum")}
            along = {x.ndim: lies["logits"], x.ndim - 1: lies["rows"], 0: Replicate()}
            inputs = [along[a.ndim] if is_tensor else None for a, is_tensor in zip(arguments, tensors, strict=True)]
            if "weight" in names and tensors[2]:  # of which each rank needs all
                inputs[2] = Replicate()
            found.append(([lies[output] for output in outputs], inputs))
        return found

    register_sharding(operator)(shardings)


def of_loss(x: Any, target: Any, weight: Any, *arguments: Any) -> list[str]:
    options = call_of(*arguments).options
    if options.reduction == "none":
        return ["rows"]
    return [] if options.reduction == "mean" and options.normalizer is None else ["sum"]


def of_gradient(x: Any, target: Any, weight: Any, upstream: Any, *arguments: Any) -> list[str]:
    return ["logits"] if of_loss(x, target, weight, *arguments) else []
