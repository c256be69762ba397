"""softxent: the last layer of a classifier, done exactly."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softxent.app.loading import load
    from softxent.diagnosis import diagnose
    from softxent.explain import explain
    from softxent.functional import (
        cross_entropy,
        cross_entropy_and_grad,
        get_num_threads,
        log_prob,
        log_softmax,
        logsumexp,
        sample,
        set_num_threads,
        softmax,
        statistics,
    )
    from softxent.last_layer import (
        linear_cross_entropy,
        linear_cross_entropy_and_grad,
        linear_log_prob,
        linear_plan,
        linear_sample,
        linear_statistics,
    )
    from softxent.memory import keep_memory, kept_memory

__all__ = [
    "cross_entropy",
    "cross_entropy_and_grad",
    "diagnose",
    "explain",
    "get_num_threads",
    "keep_memory",
    "kept_memory",
    "linear_cross_entropy",
    "linear_cross_entropy_and_grad",
    "linear_log_prob",
    "linear_plan",
    "linear_sample",
    "linear_statistics",
    "load",
    "log_prob",
    "log_softmax",
    "logsumexp",
    "sample",
    "set_num_threads",
    "softmax",
    "statistics",
]
ELSEWHERE = {  # not in softxent.functional
    "diagnose": "softxent.diagnosis",
    "explain": "softxent.explain",
    "load": "softxent.app.loading",
    **{name: "softxent.last_layer" for name in __all__ if name.startswith("linear_")},
    "keep_memory": "softxent.memory",
    "kept_memory": "softxent.memory",
}


def __getattr__(name: str) -> Any:
    """Import NumPy and the kernel when a name is first used, so that `softxent --help` is instant (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'softxent' has no attribute {name!r}")
    module = import_module(ELSEWHERE.get(name, "softxent.functional"))
    return globals().setdefault(name, getattr(module, name))


def __dir__() -> list[str]:
    return __all__
