"""How rows × classes lie in a GPU's memory, and the programs that they are shared out to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import torch
from torch import Tensor

from softxent.kernels.triton.launch import PLAIN, Shape, shape_of
from softxent.torch.calls import COMPUTED_IN, rows_of

NVIDIA = torch.version.hip is None


@cache
def warp_of(device: torch.device) -> int:
    """Threads of a warp: 32, or 64 on most of AMD's GPUs."""
    return torch.cuda.get_device_properties(device).warp_size if device.type == "cuda" else 32


class Rows:
    """How rows × classes lie in the memory of some tensors, as the kernels take it.

    Row i is (i // inner, i % inner), and a tensor has a stride for the outer rows, the inner rows and the classes. One
    whose rows need more strides than these is copied.
    """

    def __init__(self, x: Tensor, axis: int, *others: Tensor) -> None:
        self.axis, self.shape, self.classes = axis, rows_of(x, axis), x.shape[axis]
        self.count = math.prod(self.shape)
        splits = range(len(self.shape), -1, -1)  # inner = 1 takes no division
        self.split = axis
        self.split = next((k for k in splits if all(self.strides(t, k) for t in (x, *others))), axis)
        self.inner = math.prod(self.shape[self.split :])

    def strides(self, t: Tensor, split: int) -> tuple[int, ...]:
        """Those of the outer and the inner rows and of the classes; none if they are not so few."""
        strides = list(t.stride())
        of_classes = strides.pop(self.axis) if t.ndim > len(self.shape) else 0
        outer, inner = stride_of(self.shape[:split], strides[:split]), stride_of(self.shape[split:], strides[split:])
        return () if outer is None or inner is None else (outer, inner, of_classes)

    def of(self, t: Tensor) -> tuple[Tensor, tuple[int, ...]]:
        """The tensor, or a copy, and its strides."""
        t = t if self.strides(t, self.split) else t.contiguous()
        return t, self.strides(t, self.split)

    def shape_for(self, x: Tensor, level: int = PLAIN) -> Shape:
        """Of the programs for `x`, as it is here."""
        size = COMPUTED_IN[x.dtype].itemsize
        outer, inner, of_classes = self.strides(x, self.split)
        side_by_side = self.count > 1 and of_classes > 1 and (inner if self.inner > 1 else outer) < of_classes
        return shape_of(self.count, self.classes, size, x.itemsize, warp_of(x.device), side_by_side, level)

    def aligned(self, *tensors: Tensor) -> int:
        """How many elements every row of these begins and ends at a multiple of; at most as many as a load takes."""
        strides = (stride for t in tensors for stride in self.strides(t, self.split)[:2])
        return math.gcd(16 // max(t.itemsize for t in tensors), self.classes, *strides)

    @property
    def arguments(self) -> tuple[int, int, int]:
        return self.count, self.classes, self.inner


def stride_of(shape: Sequence[int], strides: Sequence[int]) -> int | None:
    """The one stride of these axes; None if they need several."""
    axes = [(n, stride) for n, stride in zip(shape, strides, strict=True) if n != 1]
    for (_, stride), (n, below) in pairwise(axes):
        if stride != n * below:
            return None
    return axes[-1][1] if axes else 0
