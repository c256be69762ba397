from typing import Any

from numpy.typing import NDArray

MAX_THREADS: int

class BadTarget(IndexError):
    """args[0] is the first row whose target is no class."""

def cross_entropy(
    logits: NDArray[Any],
    target: NDArray[Any],
    by_index: bool,
    axis: int,
    class_weight: NDArray[Any] | None,
    out: NDArray[Any] | None,
    result: NDArray[Any] | None,
    ignore_index: int,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    z_loss: float,
    reduction: int,
    normalizer: float,
    upstream: NDArray[Any] | None = None,
) -> float: ...
def normalize(
    op: int, logits: NDArray[Any], axis: int, temperature: float, out: NDArray[Any] | None, result: NDArray[Any] | None
) -> None: ...
def sample(
    logits: NDArray[Any],
    axis: int,
    temperature: float,
    uniform: NDArray[Any],
    index: NDArray[Any],
    log_prob: NDArray[Any] | None,
) -> int: ...
def statistics(
    logits: NDArray[Any],
    target: NDArray[Any],
    axis: int,
    ignore_index: int,
    temperature: float,
    log_prob: NDArray[Any],
    entropy: NDArray[Any],
    lse: NDArray[Any],
    argmax: NDArray[Any],
    rank: NDArray[Any],
) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(count: int) -> None: ...
def instruction_sets() -> list[str]: ...
def instruction_set() -> str: ...
def use(name: str) -> None: ...
