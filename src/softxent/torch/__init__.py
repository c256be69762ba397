"""softxent for PyTorch, in PyTorch's conventions: `import softxent.torch as F`, and F.cross_entropy is this one."""

from typing import Any as _Any

try:
    import torch as _torch
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"softxent.torch needs {missing.name}: pip install '.[torch]' in a clone of softxent", name=missing.name
    ) from None

from softxent.memory import keep_memory, kept_memory
from softxent.torch.functional import (
    cross_entropy,
    log_prob,
    log_softmax,
    logsumexp,
    sample,
    softmax,
    statistics,
)
from softxent.torch.linear_layer.functional import (
    linear_cross_entropy,
    linear_log_prob,
    linear_sample,
    linear_statistics,
)
from softxent.torch.modules import CrossEntropyLoss, LinearCrossEntropyLoss
from softxent.torch.watch import TrainingWarning, watch

__all__ = [
    "CrossEntropyLoss",
    "LinearCrossEntropyLoss",
    "TrainingWarning",
    "cross_entropy",
    "keep_memory",
    "kept_memory",
    "linear_cross_entropy",
    "linear_log_prob",
    "linear_sample",
    "linear_statistics",
    "log_prob",
    "log_softmax",
    "logsumexp",
    "sample",
    "softmax",
    "statistics",
    "watch",
]


def __getattr__(name: str) -> _Any:
    """What softxent has not is PyTorch's, so that this module may stand for torch.nn.functional in any file."""
    try:
        return getattr(_torch.nn.functional, name)
    except AttributeError:
        raise AttributeError(f"module 'softxent.torch' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *dir(_torch.nn.functional)})
