from typing import Any

from numpy.typing import NDArray

MAX_THREADS: int

Described = tuple[int, str, tuple[int, ...], tuple[int, ...]]  # address, format, shape, strides in elements
Buffer = NDArray[Any] | Described | Any  # Any: of a type that read_tensors knows

# `threads`: the most that the call may use; 0: as many as set_num_threads says

class BadTarget(IndexError):
    """args[0] is the first row whose target is no class."""

def cross_entropy(
    logits: Buffer,
    target: Buffer,
    axis: int,
    class_weight: Buffer | None,
    out: Buffer | None,
    loss: Buffer | None,
    upstream: Buffer | None,
    options: bytes,
    nan_if_empty: bool,
    *,
    threads: int = 0,
) -> None: ...
def softmax(logits: Buffer, axis: int, temperature: float, out: Buffer, *, threads: int = 0) -> None: ...
def log_softmax(logits: Buffer, axis: int, temperature: float, out: Buffer, *, threads: int = 0) -> None: ...
def logsumexp(logits: Buffer, axis: int, lse: Buffer, *, threads: int = 0) -> None: ...
def sample(
    logits: Buffer,
    axis: int,
    temperature: float,
    uniform: Buffer,
    index: Buffer,
    log_prob: Buffer | None,
    *,
    threads: int = 0,
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
    *,
    threads: int = 0,
) -> None: ...
def way(name: str, logits: Buffer, axis: int) -> str:
    """How the kernel goes over these logits in this pass: "along rows", "across rows" or "across rows, in strips"."""

def read_tensors(type: type) -> bool:
    """Whether objects of this very type are read by its __dlpack_c_exchange_api__ from now on; False if it has none."""

def get_num_threads() -> int: ...
def set_num_threads(count: int) -> None: ...
def instruction_sets() -> list[str]: ...
def instruction_set() -> str: ...
def use(name: str) -> None: ...
