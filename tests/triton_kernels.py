"""The Triton kernels for tests: on a GPU as they are, elsewhere in Triton's interpreter (interpreter.py)."""

from importlib.util import find_spec

import pytest
import torch

if not find_spec("triton"):  # not imported: what it defines must know of the interpreter
    pytest.skip("Triton is for Linux", allow_module_level=True)

if torch.cuda.is_available():
    DEVICE = "cuda"
else:
    DEVICE = "cpu"
    import tests.interpreter  # noqa: F401, before the kernels

from softxent.kernels.triton import launch
from softxent.torch.devices import cuda, layout

__all__ = ["DEVICE", "cuda", "launch", "layout"]
