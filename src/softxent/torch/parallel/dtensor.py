"""DTensors: which mesh dimension splits the classes, which split the rows, and how results and gradients lie then.

Local tensors go in and come out, as with torch's local_map, with the placements of each argument's gradient.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from softxent.torch import checks


def is_dtensor(x: Any) -> bool:
    return type(x).__name__ == "DTensor"  # without the import, which takes a second


@dataclass
class Layout:
    """Of a call whose classes are split over one dimension of a device mesh."""

    mesh: Any
    dim: int  # of the mesh, over which classes are split
    rows: tuple[Any, ...]  # placements of one number a row
    shape: tuple[int, ...]  # of the rows on all ranks
    classes: int

    @property
    def split(self) -> tuple[Any, int, int]:
        """The group, the first class of this rank and the number of all: slices are as torch.chunk makes them."""
        each = -(-self.classes // self.mesh.size(self.dim))
        start = min(self.classes, each * self.mesh.get_local_rank(self.dim))
        return self.mesh.get_group(self.dim), start, self.classes

    def with_classes(self, axis: int, rows: bool) -> tuple[Any, ...]:
        """Placements of what has its classes on `axis`, and with `rows` those too."""
        from torch.distributed.tensor import Replicate, Shard

        found = []
        for placement in self.rows:
            if not rows or placement.is_replicate():
                found.append(Replicate())
            else:
                found.append(Shard(placement.dim + (placement.dim >= axis)))
        found[self.dim] = Shard(axis)
        return tuple(found)

    def local(self, x: Any, placements: tuple[Any, ...], summed: bool = False) -> Any:
        """This rank's part, of a tensor that lies so or is brought to; a plain one counts as replicated.

        summed   its gradient is summed over the ranks that have other rows
        """
        from torch.distributed.tensor import DTensor, Partial, Replicate

        if x is None:
            return None
        if not isinstance(x, Tensor):
            raise checks.DTypeError(f"a tensor beside a DTensor is {type(x).__name__}, but must be a tensor")
        if not is_dtensor(x):
            x = DTensor.from_local(x, self.mesh, [Replicate()] * self.mesh.ndim, run_check=False)
        of_grad = [
            Partial() if summed and placement.is_replicate() and not of_rows.is_replicate() else placement
            for placement, of_rows in zip(placements, self.rows, strict=True)
        ]
        return x.redistribute(placements=placements).to_local(grad_placements=of_grad)

    def logits(self, x: Any, dim: int) -> Tensor:
        return self.local(x, self.with_classes(dim % x.ndim, True))

    def of_classes(self, a: Any) -> Any:
        """One number a class."""
        return self.local(a, self.with_classes(0, False), summed=True)

    def replicates(self, x: Any) -> bool:
        """Whether the ranks that split the classes have the same rows of a layer's input."""
        return not (is_dtensor(x) and x.placements[self.dim].is_shard())

    def layer(self, x: Any, W: Any, bias: Any) -> tuple[Any, Any, Any]:
        """The input's gradient is each rank's own part where its rows were gathered from ranks with other classes."""
        from torch.distributed.tensor import DTensor, Partial, Replicate

        if not is_dtensor(x):
            x = DTensor.from_local(x, self.mesh, [Replicate()] * self.mesh.ndim, run_check=False)
        of_grad: list[Any] = [*self.rows]
        if not self.replicates(x):
            of_grad[self.dim] = Partial()
        local = x.redistribute(placements=self.rows).to_local(grad_placements=of_grad)
        of_classes = self.with_classes(0, False)
        return local, self.local(W, of_classes, summed=True), self.of_classes(bias)

    def target(self, target: Any, dim: int) -> Any:
        """Class indices, which lie as rows do; or probabilities, as logits with their classes on `dim` do."""
        by_index = isinstance(target, Tensor) and target.ndim == len(self.shape)
        axis = dim % (len(self.shape) + 1)
        return self.local(target, self.rows if by_index else self.with_classes(axis, True))

    def of_rows(self, column: Tensor) -> Any:
        """One number a row, on all ranks."""
        from torch.distributed.tensor import DTensor

        stride = torch.empty(self.shape, device="meta").stride()
        return DTensor.from_local(
            column, self.mesh, self.rows, run_check=False, shape=torch.Size(self.shape), stride=stride
        )

    def total(self, number: Tensor) -> Any:
        """What is still to be summed over the ranks that have other rows."""
        from torch.distributed.tensor import DTensor, Partial

        placements = [placement if placement.is_replicate() else Partial() for placement in self.rows]
        return DTensor.from_local(number, self.mesh, placements, run_check=False)

    def summed(self, number: Tensor) -> Tensor:
        """The same on every rank, summed."""
        return self.total(number.detach()).full_tensor()


def layout_of_logits(x: Any, dim: int) -> Layout | None:
    """None for plain tensors."""
    if not is_dtensor(x):
        return None
    (axis,) = checks.dims(checks.PYTORCHS, dim, x)
    mesh_dim = dim_of(x.placements, axis, "input", [])
    rows = rows_of(x.placements, mesh_dim, axis)
    shape = tuple(x.shape)
    return Layout(x.device_mesh, mesh_dim, rows, shape[:axis] + shape[axis + 1 :], shape[axis])


def layout_of_layer(x: Any, W: Any) -> Layout | None:
    """Of a layer whose weight is split by its rows, which are classes, and whose input may be split by its rows."""
    from torch.distributed.tensor import DTensor, Replicate

    if not (is_dtensor(x) or is_dtensor(W)):
        return None
    if not is_dtensor(W):
        raise checks.DTypeError("input is a DTensor, but linear_weight is none: both must be on the same mesh")
    if not is_dtensor(x):
        checks.tensor("input", x)
        x = DTensor.from_local(x, W.device_mesh, [Replicate()] * W.device_mesh.ndim, run_check=False)
    if x.device_mesh != W.device_mesh:
        raise checks.InputError(f"input is on {x.device_mesh}, but linear_weight is on {W.device_mesh}")
    of_rows = [k for k, placement in enumerate(x.placements) if placement.is_shard()]
    mesh_dim = dim_of(W.placements, 0, "linear_weight", of_rows)
    rows = rows_of(x.placements, mesh_dim, x.ndim - 1)
    return Layout(W.device_mesh, mesh_dim, rows, tuple(x.shape[:-1]), W.shape[0])


def dim_of(placements: Any, axis: int, name: str, others: list[int]) -> int:
    """The mesh dimension that splits the classes: the last that does, if one of `others` does too."""
    found = [k for k, placement in enumerate(placements) if placement.is_shard(axis)]
    if not found:
        raise checks.InputError(
            f"{name} has placements {tuple(placements)}, but one must be Shard({axis}), of its classes; "
            "whole classes are for softxent.torch's functions"
        )
    if len([k for k in found if k not in others]) > 1:
        raise checks.InputError(
            f"{name} has placements {tuple(placements)}, but its classes must be split over one dimension of the mesh; "
            "redistribute it, or flatten the mesh"
        )
    return found[-1]


def rows_of(placements: Any, mesh_dim: int, axis: int) -> tuple[Any, ...]:
    """Placements of one number a row: those of what has its classes, or features, on `axis`, without that."""
    from torch.distributed.tensor import Replicate, Shard

    found: list[Any] = [Replicate()] * len(placements)
    for k, placement in enumerate(placements):
        if k != mesh_dim and placement.is_shard() and not placement.is_shard(axis):
            found[k] = Shard(placement.dim - (placement.dim > axis))
    return tuple(found)
