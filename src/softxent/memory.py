"""Memory for large results, kept from call to call: clearing fresh pages takes longer than computing their contents."""

from __future__ import annotations

import ctypes
import mmap
import resource
import weakref
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGE = 2**22  # bytes; smaller blocks malloc keeps by itself
RECENT = 16  # results: the largest of them says how much is kept

_free: list[mmap.mmap] = []  # blocks that no array uses
_sizes: deque[int] = deque(maxlen=RECENT)
_keep = True


def keep_memory(keep: bool = True) -> None:
    """Sets whether the memory of a large result is kept for the next one of about its size, once nothing uses it.

    It is by default: at most twice the largest of the last 16 large results, which the system may take whenever it
    needs memory, and nothing while the process's address space is limited (`ulimit -v`). Such a result cannot be
    resized in place. `keep_memory(False)` gives back at once what is kept, and leaves later results to NumPy and
    PyTorch.

    >>> keep_memory(False)
    >>> keep_memory()
    """
    global _keep
    _keep = keep
    if not keep:
        _free.clear()
        _sizes.clear()


def kept_memory() -> int:
    """Returns how many bytes are kept for later results.

    >>> keep_memory(False), keep_memory()  # so that nothing is
    (None, None)
    >>> import softxent as sx
    >>> logits = np.zeros((2**10, 2**10))  # 8 MB, and so is the gradient
    >>> loss, grad_logits = sx.cross_entropy_and_grad(logits, np.zeros(2**10, int))
    >>> kept_memory()
    0
    >>> del grad_logits
    >>> kept_memory()
    8388608
    """
    return sum(map(len, _free.copy()))


def kept(size: int) -> bool:
    """Whether a result of so many bytes takes its memory from here."""
    return _keep and size >= LARGE


def empty_like(x: NDArray[Any]) -> NDArray[Any]:
    """numpy.empty_like, of a large array in memory that one no longer used had."""
    if not kept(x.nbytes):
        return np.empty_like(x, order="K")
    strides = None if x.flags.c_contiguous else np.empty_like(x, order="K").strides
    return np.ndarray(x.shape, x.dtype, lend(x.nbytes), strides=strides)


def lend(size: int) -> NDArray[np.uint8]:
    """Returns `size` bytes, in use as long as anything refers to them: this array, a view of it, or its base."""
    _sizes.append(size)
    block = _take(size)
    loan: Any = (ctypes.c_char * size).from_buffer(block)  # what all these refer to: the block they cannot reach
    weakref.finalize(loan, _give_back, block).atexit = False
    return np.ndarray(size, np.uint8, loan)


def _take(size: int) -> mmap.mmap:
    """A free block of at most twice the size. Where none is, those that are free are given up for a new one."""
    others: list[mmap.mmap] = []
    while True:
        try:
            block = _free.pop()
        except IndexError:  # not asked before, for another thread may take the last
            break
        if size <= len(block) <= 2 * size:
            _free.extend(others)
            return block
        others.append(block)
    others.clear()
    try:
        block = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as reason:
        raise MemoryError(f"{size} bytes for the result: {reason.strerror}") from None
    _advise(block, "MADV_HUGEPAGE")
    return block


def _give_back(block: mmap.mmap) -> None:
    room = 2 * max(_sizes, default=0) - kept_memory()
    if _keep and len(block) <= room and not _address_space_is_limited() and _advise(block, "MADV_FREE"):
        _free.append(block)


def _address_space_is_limited() -> bool:
    """Whether what is kept could make allocations of others fail, of which nothing here would hear."""
    return any(resource.getrlimit(of)[0] != resource.RLIM_INFINITY for of in (resource.RLIMIT_AS, resource.RLIMIT_DATA))


def _advise(block: mmap.mmap, what: str) -> bool:
    """Tells the system, if it knows of that and has it."""
    try:
        block.madvise(getattr(mmap, what))
    except (AttributeError, OSError):
        return False
    return True
