"""The errors of tensors, in the voice of softxent.checks and in the classes that PyTorch's functions raise.

PyTorch and NumPy's functions differ in the class for the same mistake; these errors are of both classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from softxent.checks import element, integer

LOGITS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64)


class DTypeError(TypeError, RuntimeError):
    """A tensor of another dtype or kind than expected."""


class InputError(ValueError, RuntimeError):
    """A tensor of another shape or with other values than expected, or an option out of its range."""


class ClassIndexError(IndexError, ValueError):
    """A target that is no class."""


def dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def tensor(name: str, x: Any) -> None:
    """A dense tensor in the memory that the CPU kernel reads."""
    if not isinstance(x, Tensor):
        raise DTypeError(f"{name} is {type(x).__name__}, but must be a tensor")
    if x.layout != torch.strided:
        raise DTypeError(f"{name} is {str(x.layout).removeprefix('torch.')}, but must be strided (dense)")
    if not x.is_cpu:
        raise DTypeError(
            f"{name} is on {x.device}, but softxent has a kernel for cpu only; "
            f"move it there with {name}.cpu(), or use torch.nn.functional on {x.device.type}"
        )


def logits(name: str, x: Any, axis: int) -> None:
    if not isinstance(x, Tensor) or not x.is_cpu or x.layout != torch.strided:
        tensor(name, x)
    if x.dtype not in LOGITS:
        raise DTypeError(f"{name} is {dtype(x)}, but must be float16, bfloat16, float32 or float64")
    if x.ndim == 0:
        raise InputError(f"{name} is a single number, but must have an axis of classes")
    if x.shape[axis] == 0:
        raise InputError(f"{name} has shape {tuple(x.shape)}, but must have at least 1 class")


def dims(name: str, value: Any, x: Any, of: str = "input") -> list[int]:
    """The axes, counted from the first."""
    tensor(of, x)
    if x.ndim == 0:
        raise InputError(f"{of} is a single number, but must have an axis of classes")
    wanted = [integer(name, k) for k in (value if isinstance(value, (tuple, list)) else [value])]
    for k in wanted:
        if not -x.ndim <= k < x.ndim:
            raise ClassIndexError(f"{name} is {k}, but {of} has {x.ndim} axes ({-x.ndim} … {x.ndim - 1})")
    result = [k % x.ndim for k in wanted]
    if len(set(result)) < len(result) or not result:
        raise InputError(f"{name} is {value}, but must name at least one axis, and each once")
    return result


def logits_and_target(name: str, x: Any, t: Any, axis: int | None = None) -> tuple[int, bool]:
    """The axis of the classes, by default PyTorch's, and whether the target is class indices, or else probabilities."""
    if not (isinstance(x, Tensor) and x.is_cpu and x.layout == torch.strided):
        tensor(name, x)
    if not (isinstance(t, Tensor) and t.is_cpu and t.layout == torch.strided):
        tensor("target", t)
    shape, target_shape = tuple(x.shape), tuple(t.shape)  # tuples, which are ten times as fast to slice
    if axis is None:
        axis = 1 if len(shape) > 1 else 0
    if x.dtype not in LOGITS or 0 in shape[axis : axis + 1] or not shape:
        logits(name, x, axis)
    rows = shape[:axis] + shape[axis + 1 :]
    by_index = target_shape == rows
    if not by_index and target_shape != shape:
        raise InputError(
            f"target has shape {target_shape}, but {name} has shape {shape}: "
            f"class indices must have shape {rows}, probabilities {shape}"
        )
    if t.dtype not in (INTEGERS if by_index else LOGITS):
        raise DTypeError(
            f"target is {dtype(t)}, but must be integers (class indices) or, in {name}'s shape, probabilities"
        )
    return axis, by_index


def weight(name: str, w: Any, classes: int) -> None:
    tensor(name, w)
    if w.requires_grad:
        raise InputError(f"{name} requires grad, but cross_entropy has no derivative for it; pass {name}.detach()")
    if w.dtype not in LOGITS + INTEGERS:
        raise DTypeError(f"{name} is {dtype(w)}, but must be numbers")
    if w.shape != (classes,):
        raise InputError(f"{name} has shape {tuple(w.shape)}, but there are {classes} classes: expected ({classes},)")


def weight_values(name: str, w: Tensor) -> None:
    valid = (w >= 0) & (w < torch.inf)
    if not valid.all():
        first = int(valid.int().argmin())
        raise InputError(f"{name}[{first}] is {w[first].item()}, but must be a finite number at least 0")


def one_weight(dim: int | None) -> None:
    """torch.func.vmap over the class weights has no rule."""
    if dim is not None:
        raise RuntimeError("weight is mapped over by torch.func.vmap, but must be the same for the whole batch")


def probabilities(t: Tensor) -> None:
    """Finite and ≥ 0; they need not sum to 1."""
    if not t.numel():
        return
    least, most = t.aminmax()
    if least >= 0 and most < torch.inf:
        return
    first = int(((t >= 0) & (t < torch.inf)).flatten().int().argmin())
    raise InputError(
        f"{element('target', t.shape, first)} is {t.flatten()[first].item()}, "
        "but probabilities must be finite and at least 0"
    )


def target_value(name: str, t: Tensor, row: int, classes: int) -> ClassIndexError:
    return ClassIndexError(
        f"{element('target', t.shape, row)} is {t.flatten()[row].item()}, "
        f"but {name} has {classes} classes (0 … {classes - 1})"
    )


def own_memory(name: str, x: Tensor) -> None:
    if any(stride == 0 and size > 1 for size, stride in zip(x.shape, x.stride(), strict=True)) or x.is_neg():
        raise RuntimeError(f"{name} is expanded or lazily negated, but must hold each number in memory of its own")


def overwritable(name: str, x: Tensor) -> None:
    """Its storage may hold the gradient."""
    base = x if x._base is None else x._base
    if base.is_leaf and base.requires_grad:
        raise RuntimeError(f"{name} is (a view of) a leaf that requires grad, but inplace=True overwrites it")
    own_memory(name, x)


def not_in_place() -> RuntimeError:
    return RuntimeError("inplace is True, but must be False in torch.compile, torch.func and for subclasses of Tensor")


def spent() -> RuntimeError:
    return RuntimeError(
        "the logits hold the gradient since cross_entropy(…, inplace=True), so that backward runs once, "
        "and is not differentiable; pass inplace=False"
    )


def second_forward() -> RuntimeError:
    return RuntimeError("softxent has no forward mode over forward mode: take torch.func.hessian, or jacrev for one")


def out(to: Any, x: Tensor, t: Tensor) -> None:
    """`out` can hold the gradient of `x`, and is `x` itself or does not touch it."""
    tensor("out", to)
    if to.shape != x.shape:
        raise InputError(f"out has shape {tuple(to.shape)}, but logits has shape {tuple(x.shape)}")
    if to.dtype != x.dtype:
        raise DTypeError(f"out is {dtype(to)}, but the gradient is {dtype(x)}, as logits")
    if torch.compiler.is_compiling():  # a graph computes the gradient apart
        return
    own_memory("out", to)
    same = to.data_ptr() == x.data_ptr() and to.stride() == x.stride()
    if not same and to.untyped_storage().data_ptr() == x.untyped_storage().data_ptr():
        raise ValueError("out shares logits' storage, but must be logits itself or another tensor")
    if to.untyped_storage().data_ptr() == t.untyped_storage().data_ptr():
        raise ValueError("out shares target's storage, but must be another tensor")


def generator(rng: Any) -> TypeError:
    return TypeError(f"rng is {rng!r}, but must be a torch.Generator, a seed or None")
