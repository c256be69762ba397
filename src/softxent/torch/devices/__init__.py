"""Which device has which kernels: a module here for each of checks.DEVICES.

Each is a module with the same calls (softmax, log_softmax, logsumexp, loss, gradient, scale, statistics, sample, draw),
which return tensors and never wait for their device.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

from torch import Tensor

from softxent.torch import checks
from softxent.torch.devices import cpu


@cache
def kernels_for(device: str) -> ModuleType:
    """The kernels of a kind of device, imported when they are first asked for: Triton alone takes a second."""
    try:
        return import_module(f"softxent.torch.devices.{device}")
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] == "triton":
            raise checks.no_triton() from None
        raise


def waits(x: Tensor) -> bool:
    """Whether a number of `x` may be asked for; on a GPU that would be to wait for it."""
    return bool(cpu.WAITS) if x.is_cpu else x.is_meta  # torch.compile traces this, so that it imports nothing


def kernels_of(x: Tensor) -> ModuleType:
    """The kernels of the device that `x` is on."""
    return cpu if x.is_cpu else kernels_for(x.device.type)  # x.device.type takes six times as long as x.is_cpu
