"""softxent for PyTorch, in PyTorch's conventions: `import softxent.torch as F`, and F.cross_entropy is this one."""

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"softxent.torch needs {missing.name}: pip install 'softxent[torch]'", name=missing.name
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
from softxent.torch.modules import CrossEntropyLoss

__all__ = [
    "CrossEntropyLoss",
    "cross_entropy",
    "keep_memory",
    "kept_memory",
    "log_prob",
    "log_softmax",
    "logsumexp",
    "sample",
    "softmax",
    "statistics",
]
