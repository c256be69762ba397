"""The errors of tensors, in the voice of softxent.checks and in the classes that PyTorch's functions raise.

PyTorch and NumPy's functions differ in the class for the same mistake; these errors are of both classes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch._C._autograd import _top_saved_tensors_default_hooks as saved_tensors_hooks
from torch.nn import Parameter

from softxent import checks as shared
from softxent.checks import Names

LOGITS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
DEVICES = ("cpu", "cuda")  # with kernels, softxent.torch.devices; ROCm's are "cuda" too
MOST_AXES = 64  # as in PyTorch's own kernels
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.uint16, torch.uint32, torch.uint64)


class DTypeError(TypeError, RuntimeError):
    """A tensor of another dtype or kind than expected."""


class InputError(ValueError, RuntimeError):
    """A tensor of another shape or with other values than expected, or an option out of its range."""


class ClassIndexError(IndexError, ValueError):
    """A target that is no class."""


# What arguments are called in errors: in PyTorch's functions, and in those of softxent that all array libraries share
PYTORCHS = Names("input", "dim", "weight", InputError, DTypeError, ClassIndexError)
ARRAYS = Names("logits", "axis", "class_weight", InputError, DTypeError, ClassIndexError)
LAYERS = PYTORCHS._replace(logits="linear(input)")  # of a last layer, which has no argument of that name
BY_LOGITS = {names.logits: names for names in (PYTORCHS, ARRAYS, LAYERS)}


def dtype(x: Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")


def tensor(name: str, x: Any) -> None:
    """A dense tensor that a kernel reads, or one without memory, whose results have shapes only."""
    if not isinstance(x, Tensor):
        raise DTypeError(f"{name} is {type(x).__name__}, but must be a tensor")
    if x.layout != torch.strided:
        raise DTypeError(f"{name} is {str(x.layout).removeprefix('torch.')}, but must be strided (dense)")
    if x.device.type not in DEVICES and not x.is_meta:
        raise DTypeError(
            f"{name} is on {x.device}, but softxent has kernels for {' and '.join(DEVICES)} only; "
            f"move it there with {name}.cpu(), or use torch.nn.functional on {x.device.type}"
        )
    if (
        x.is_cuda
        and x.dtype == torch.bfloat16
        and not torch.version.hip
        and torch.cuda.get_device_capability(x.device) < (8, 0)
    ):
        raise DTypeError(
            f"{name} is bfloat16, but {torch.cuda.get_device_name(x.device)} does not compute it: use float16"
        )


def no_triton() -> ModuleNotFoundError:
    return ModuleNotFoundError(
        "softxent computes on GPUs with Triton, which is not installed: pip install triton "
        "(PyTorch's builds for CUDA and ROCm bring theirs)",
        name="triton",
    )


def same_device(name: str, y: Tensor, logits: str, x: Tensor) -> None:
    if y.device != x.device:
        raise DTypeError(f"{name} is on {y.device}, but {logits} is on {x.device}: both must be on the same device")


def logits(names: Names, x: Any, axis: int) -> None:
    tensor(names.logits, x)
    if x.dtype not in LOGITS:
        raise shared.logits_dtype(dtype(x), "float16, bfloat16, float32 or float64", names)
    if x.ndim == 0:
        raise shared.single_number(names)
    if x.ndim > MOST_AXES:
        raise InputError(f"{names.logits} has {x.ndim} axes, but must have {MOST_AXES} at most")
    shared.classes(tuple(x.shape), x.shape[axis], names)


def dims(names: Names, value: Any, x: Any) -> list[int]:
    """The axes, counted from the first."""
    tensor(names.logits, x)
    if x.ndim == 0:
        raise shared.single_number(names)
    result = [shared.axis(k, x.ndim, names) for k in (value if isinstance(value, (tuple, list)) else [value])]
    if len(set(result)) < len(result) or not result:
        raise InputError(f"{names.axis} is {value}, but must name at least one axis, and each once")
    return result


def target_of_one_row(x: Any, t: Any) -> Any:
    """As PyTorch, takes a target of shape (1,) for logits of shape (C,)."""
    if isinstance(x, Tensor) and isinstance(t, Tensor) and x.ndim == 1 and t.shape == (1,) and t.dtype in INTEGERS:
        return t[0]
    return t


def logits_and_target(names: Names, x: Any, t: Any, axis: int | None = None) -> tuple[int, bool]:
    """The axis of the classes, by default PyTorch's, and whether the target is class indices, or else probabilities."""
    name = names.logits
    if not (isinstance(x, Tensor) and x.is_cpu and x.layout == torch.strided):
        tensor(name, x)
    if not (isinstance(t, Tensor) and t.is_cpu and t.layout == torch.strided):
        tensor("target", t)
    if not (x.is_cpu and t.is_cpu):
        same_device("target", t, name, x)
    shape, target_shape = tuple(x.shape), tuple(t.shape)  # tuples, which are ten times as fast to slice
    if axis is None:
        axis = 1 if len(shape) > 1 else 0
    if x.dtype not in LOGITS or 0 in shape[axis : axis + 1] or not 0 < len(shape) <= MOST_AXES:
        logits(names, x, axis)
    rows = shape[:axis] + shape[axis + 1 :]
    by_index = target_shape == rows
    if not by_index and target_shape != shape:
        raise shared.target_shape(target_shape, shape, rows, names)
    if t.dtype not in (INTEGERS if by_index else LOGITS):
        raise shared.target_dtype(dtype(t), names)
    return axis, by_index


def weight(names: Names, w: Any, x: Tensor, classes: int, by_index: bool) -> None:
    tensor(names.weight, w)
    same_device(names.weight, w, names.logits, x)
    if by_index and w.requires_grad and torch.is_grad_enabled():
        raise weight_derivative(names.weight)
    if w.dtype not in LOGITS + INTEGERS and (by_index or w.dtype != torch.bool):
        raise shared.weight_dtype(dtype(w), names)
    if w.shape != (classes,):
        raise InputError(
            f"{names.weight} has shape {tuple(w.shape)}, but there are {classes} classes: expected ({classes},)"
        )


def no_ignored(ignore_index: Any) -> None:
    """As PyTorch, refuses an index to ignore beside probabilities, whatever means one: 0 or more."""
    if ignore_index >= 0:
        raise InputError(f"ignore_index is {ignore_index}, but has no meaning for probabilities: leave it out")


def weight_derivative(name: str) -> InputError:
    return InputError(
        f"{name} requires grad, but cross_entropy has no derivative for it beside class indices; pass {name}.detach()"
    )


def no_second(name: str) -> InputError:
    return InputError(
        f"{name} requires grad, but linear_cross_entropy has no second derivative for it: call cross_entropy on logits"
    )


def no_tangent(name: str) -> InputError:
    return InputError(
        f"{name} has a tangent, but a last layer in chunks has no forward mode for it: compute the logits"
    )


def no_further() -> InputError:
    return InputError("a last layer in chunks has no further derivatives; compute the logits, and call cross_entropy")


def weight_values(names: Names, w: Tensor) -> None:
    valid = (w >= 0) & (w < torch.inf)
    if not valid.all():
        first = int(valid.int().argmin())
        raise shared.weight_value(w[first].item(), first, names=names)


def probabilities(names: Names, t: Tensor) -> None:
    """Finite and ≥ 0; they need not sum to 1."""
    if not t.numel():
        return
    if not t.untyped_storage().nbytes():
        raise freed("target")
    least, most = t.aminmax()
    if least >= 0 and most < torch.inf:
        return
    first = int(((t >= 0) & (t < torch.inf)).flatten().int().argmin())
    raise shared.probability(t.flatten()[first].item(), t.shape, first, names)


def target_value(names: Names, t: Tensor, row: int, classes: int) -> Exception:
    return shared.target_value(t.flatten()[row].item(), t.shape, row, classes, names)


def freed(name: str) -> RuntimeError:
    return RuntimeError(f"{name} has no memory: its storage was freed")


def no_derivative(name: str, value: Tensor) -> None:
    if value.requires_grad and torch.is_grad_enabled():
        raise InputError(f"{name} requires grad, but softxent has no derivative for it; pass {name}.detach()")


def normalizer(value: Any) -> InputError:
    return InputError(f"normalizer is of shape {tuple(value.shape)}, but must be a single number")


def own_memory(name: str, x: Tensor) -> None:
    """Each element lies somewhere else."""
    if x.is_neg():
        raise RuntimeError(f"{name} is lazily negated, but must hold its numbers as they are")
    end = 0
    for stride, size in sorted((stride, size) for size, stride in zip(x.shape, x.stride(), strict=True) if size > 1):
        if stride <= end:
            raise RuntimeError(f"{name} overlaps itself, but must hold each number in memory of its own")
        end += stride * (size - 1)


def overwritable(name: str, x: Tensor, producers: set[str], **others: Tensor | None) -> None:
    """Its storage may hold the gradient; `producers` are the nodes of autograd that it comes from."""
    base = x if x._base is None else x._base
    if base.is_leaf and base.requires_grad:
        raise RuntimeError(f"{name} is (a view of) a leaf that requires grad, but inplace=True overwrites it")
    own_memory(name, x)
    apart(name, x, **others)
    if saved_tensors_hooks(True) is not None:
        raise RuntimeError("inplace is True, but must be False in a checkpoint and under other hooks of saved tensors")
    users = torch._C._storage_Use_Count(x.untyped_storage()._cdata) - 1  # without the object that was just asked
    if "CompiledFunctionBackward" in producers and users > 1 + (base is not x):
        raise RuntimeError(
            f"{name} shares its memory with what a compiled function keeps, but inplace=True overwrites it"
        )


def apart(name: str, x: Tensor, **others: Tensor | None) -> None:
    """None of the others lies in the storage of `x`."""
    for other, y in others.items():
        if y is not None and y.numel() and x.untyped_storage().data_ptr() == y.untyped_storage().data_ptr():
            raise InputError(f"{name} shares {other}'s storage, but must be another tensor")


def not_in_place() -> RuntimeError:
    return RuntimeError("inplace is True, but must be False in torch.compile, torch.func and for subclasses of Tensor")


def spent() -> RuntimeError:
    return RuntimeError(
        "the logits hold the gradient since cross_entropy(…, inplace=True), so that backward runs once, "
        "and is not differentiable; pass inplace=False"
    )


def out(to: Any, x: Tensor, **others: Tensor | None) -> None:
    """`out` can hold the gradient of `x`, and is `x` itself or does not touch it, nor the others."""
    tensor("out", to)
    if type(to) is not type(x) and not {type(to), type(x)} <= {Tensor, Parameter}:
        raise DTypeError(f"out is a {type(to).__name__}, but logits is a {type(x).__name__}")
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
    apart("out", to, **others)


def generator(rng: Any) -> TypeError:
    return TypeError(f"rng is {rng!r}, but must be a torch.Generator, a seed or None")


def generator_device(names: Names, given: torch.Generator, x: Tensor) -> None:
    if given.device.type != x.device.type:
        raise DTypeError(
            f"generator is on {given.device}, but {names.logits} is on {x.device}: both must be on the same device"
        )


def targets(names: Names, t: Tensor, classes: int, ignore_index: int) -> None:
    """Class indices, looked at now: of those on a GPU this waits for it."""
    wrong = ((t < 0) | (t >= classes)) & (t != ignore_index)
    if wrong.any():
        raise target_value(names, t, int(wrong.flatten().int().argmax()), classes)
