"""The Triton kernels for tests: on a GPU as they are, elsewhere in Triton's interpreter (interpreter.py)."""

import pytest
import torch

pytest.importorskip("triton")  # there is one for Linux

if torch.cuda.is_available():
    DEVICE = "cuda"
else:
    DEVICE = "cpu"
    import tests.interpreter  # noqa: F401, before the kernels

from softxent.kernels.triton import launch
from softxent.torch.devices import cuda

__all__ = ["DEVICE", "cuda", "launch"]
