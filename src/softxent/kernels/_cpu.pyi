from typing import Any

from numpy.typing import NDArray

MAX_THREADS: int

Described = tuple[int, str, tuple[int, ...], tuple[int, ...]]  # address, format, shape, strides in elements
Buffer = NDArray[Any] | Described

class BadTarget(IndexError):
    """args[0] is the first row whose target is no class."""

def cross_entropy(
    logits: Buffer,
    target: Buffer,
    by_index: bool,
    axis: int,
    class_weight: Buffer | None,
    out: Buffer | None,
    result: Buffer | None,
    ignore_index: int,
    label_smoothing: float,
    temperature: float,
    softcap: float,
    z_loss: float,
    reduction: int,
    normalizer: float,
    upstream: Buffer | float | None = None,
) -> float: ...
def normalize(
    op: int, logits: Buffer, axis: int, temperature: float, out: Buffer | None, result: Buffer | None
) -> None: ...
def sample(
    logits: Buffer,
    axis: int,
    temperature: float,
    uniform: Buffer,
    index: Buffer,
    log_prob: Buffer | None,
) -> int: ...
def statistics(
    logits: Buffer,
    target: Buffer,
    axis: int,
    ignore_index: int,
    temperature: float,
    log_prob: Buffer,
    entropy: Buffer,
    lse: Buffer,
    argmax: Buffer,
    rank: Buffer,
) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(count: int) -> None: ...
def instruction_sets() -> list[str]: ...
def instruction_set() -> str: ...
def use(name: str) -> None: ...
