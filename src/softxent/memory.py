"""Memory for large results, kept from call to call: clearing fresh pages takes longer than computing their contents."""

from __future__ import annotations

import mmap
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGE = 2**22  # bytes; smaller blocks malloc keeps by itself

_free: list[mmap.mmap] = []  # blocks that no array uses
_keep = True


def keep_memory(keep: bool = True) -> None:
    """Whether the memory of a large result is kept for the next of about its size, once no array or tensor uses it.

    It is by default, and the system may take what is kept whenever it needs memory. Such a result cannot be resized in
    place. `keep_memory(False)` gives back at once what is kept, and leaves later results to NumPy and PyTorch.

    >>> keep_memory(False)
    >>> keep_memory()
    """
    global _keep
    _keep = keep
    if not keep:
        _free.clear()


def kept(size: int) -> bool:
    """Are results of so many bytes?"""
    return _keep and size >= LARGE


def empty_like(x: NDArray[Any]) -> NDArray[Any]:
    """numpy.empty_like, of a large array in memory that one no longer used had."""
    if not kept(x.nbytes):
        return np.empty_like(x, order="K")
    strides = None if x.flags.c_contiguous else np.empty_like(x, order="K").strides
    return np.ndarray(x.shape, x.dtype, lend(x.nbytes), strides=strides)


def lend(size: int) -> NDArray[np.uint8]:
    """Memory of `size` bytes, in use as long as this array is: every view of it has it as its base."""
    block = _take(size)
    loan = np.frombuffer(block, np.uint8, size)
    weakref.finalize(loan, _give_back, block).atexit = False
    return loan


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
    if _keep and _advise(block, "MADV_FREE"):
        _free.append(block)


def _advise(block: mmap.mmap, what: str) -> bool:
    """Tells the system, if it knows of that and has it."""
    try:
        block.madvise(getattr(mmap, what))
    except (AttributeError, OSError):
        return False
    return True
