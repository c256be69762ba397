"""Which device has which kernels: the only table of them.

Each is a module with the same calls (normalize, loss, gradient, scale, statistics, sample, draw), which return tensors
and never wait for their device.
"""

from __future__ import annotations

from types import ModuleType

from torch import Tensor

from softxent.torch.devices import cpu

KERNELS: dict[str, ModuleType] = {"cpu": cpu}


def kernels_of(x: Tensor) -> ModuleType:
    """The kernels of the device that `x` is on."""
    return cpu if x.is_cpu else KERNELS[x.device.type]  # x.device.type takes six times as long as x.is_cpu
