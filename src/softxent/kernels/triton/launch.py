"""How kernels are launched: how many rows and classes a program takes, and what they are compiled with."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

from triton import cdiv, next_power_of_2

# Not measured yet: chosen by benchmarks/gpu_check.py, so that no program spills and instructions an element are few.
# Some hundred instructions a thread are the row's own, so that a thread has as many elements as registers hold.
FEW = 32  # classes: with no more, a thread has whole rows
ROWS = 128  # of a program then
PLAIN, MORE, HEAVY = range(3)  # how many numbers live at once: probabilities and softcaps are HEAVY
EACH = {4: (64, 32, 16), 8: (32, 16, 8)}  # elements a thread, by the bytes of a number in computing, and level
LONGEST = {4: (32768, 16384, 4096), 8: (8192, 4096, 1024)}  # classes of rows that a program holds whole, by the same
BLOCK = {4: 8192, 8: 4096}  # of a longer row, or of a part of it
# Where rows lie side by side, by a warp's threads
PLANE = {32: (32, 128), 64: (32, 64)}  # rows × classes at a time: 32 rows' numbers fill a line of memory
EACH_OF_PLANES = {32: 8, 64: 4}  # elements a thread, with options: with twice as many, numbers of a row are spilled
ENOUGH = 256  # programs: with fewer rows, long ones are taken in parts
OF_SAMPLE = 4096  # classes a part, of which one is read twice
OF_STATISTICS_GRADIENT = 4096  # classes a program
FEWEST_THREADS = 2  # a row: what they read at once is a sector of 32 bytes
MOST_STRIPS = 32  # which compilers take longer and longer for
MOST_THREADS = 512  # a program: 1024 leave each 64 registers on NVIDIA's chips
REGISTERS = 168  # of a thread with options: by itself NVIDIA's assembler takes fewer and keeps some numbers in memory
ACCESS = 16  # bytes that a thread reads or writes at once


class Shape(NamedTuple):
    """Of the programs that a pass is launched with; made of the logits' shape and a warp's size, as are the bits."""

    rows: int  # a program
    block: int  # classes at a time
    warps: int
    strips: int  # that a block comes in
    one_block: bool
    full: bool  # there is no block with fewer classes
    parts: int  # of a row
    width: int  # classes a part
    registers: int | None = None  # of a thread at most

    @property
    def constants(self) -> dict[str, Any]:
        return {
            "ROWS": self.rows, "BLOCK": self.block, "STRIPS": self.strips, "FULL": self.full,
            "ONE_BLOCK": self.one_block, "PARTS": self.parts,
        }  # fmt: skip

    def compiler(self, nvidia: bool) -> dict[str, Any]:
        """Contraction off, since two_sum (math.py) finds the errors of operations that are not fused."""
        registers = {"maxnreg": self.registers} if nvidia else {}  # which no other compiler knows
        return {"num_warps": self.warps, "enable_fp_fusion": False, "sanitize_overflow": False, **registers}


ROW_OF_PARTS = Shape(1, 1, 1, 1, True, True, 1, 1)  # of a program that combines them


def shaped(rows: int, block: int, classes: int, parts: int, each: int, item: int, warp: int) -> Shape:
    """With so many rows and classes at a time, and so many elements a thread."""
    width = cdiv(cdiv(classes, parts), block) * block
    threads = max(warp, min(MOST_THREADS, rows * block // each))
    lanes = ACCESS // item * max(1, threads // rows)
    return Shape(
        rows, block, threads // warp, max(1, block // lanes),
        width == block, classes % block == 0, cdiv(classes, width), width,
    )  # fmt: skip


def held(rows: int, classes: int, threads: int, access: int, warp: int) -> Shape:
    """Of programs that hold whole rows, with so many threads a row, each of which reads so many classes at once."""
    lanes = access * threads
    strips = cdiv(classes, lanes)
    block = strips * lanes
    return Shape(rows, block, rows * threads // warp, strips, True, classes % block == 0, 1, block)


@lru_cache(maxsize=1024)
def shape_of(
    rows: int, classes: int, size: int, item: int, warp: int, side_by_side: bool = False, level: int = PLAIN
) -> Shape:
    """Of a pass over so many rows.

    size, item     bytes of a number as it is computed, and as it is read
    warp           threads of a warp
    side_by_side   rows are neighbours in memory, classes are not
    level          of the pass
    """
    each, access = EACH[size][level], ACCESS // item
    if side_by_side:
        access = 1 if classes <= FEW else 2
        each = EACH_OF_PLANES[warp] if level == HEAVY else each
    elif classes < warp * each:  # a warp has several rows, which begin where they do in memory
        access = math.gcd(classes, access)
    each = min(each, MOST_STRIPS * access)
    threads = 1 if classes <= FEW else next_power_of_2(cdiv(classes, each))  # a row
    if side_by_side and threads <= MOST_THREADS // warp:
        return held(max(warp, ROWS // threads), classes, threads, access, warp)
    if not side_by_side and classes <= LONGEST[size][level]:
        threads = threads if classes <= FEW else max(FEWEST_THREADS, threads)
        shape = held(max(1, ROWS // threads) if threads < warp else 1, classes, threads, access, warp)
        return shape._replace(registers=REGISTERS) if level == HEAVY and classes > FEW else shape
    block = next_power_of_2(classes)
    # a warp of 64 keeps masks in scalar registers, of which there are some hundred
    each = EACH[size][HEAVY if warp > 32 or level else MORE]
    if side_by_side:
        rows, most = PLANE[warp]
        return shaped(rows, min(block, most), classes, 1, EACH_OF_PLANES[warp] if level else each, item, warp)
    block = BLOCK[size] >> 2 * (level > PLAIN)
    # not of float64, where combining parts would add an ULP
    parts = min(cdiv(classes, block), cdiv(ENOUGH, rows)) if size == 4 and rows < ENOUGH else 1
    shape = shaped(1, block, classes, parts, each, item, warp)
    return shape._replace(registers=REGISTERS) if level else shape


@lru_cache(maxsize=1024)
def shape_of_sample(classes: int, item: int, warp: int, level: int) -> Shape:
    """Of sample's sums (PLAIN), whose parts are a block each, and of what draws from these."""
    block = min(next_power_of_2(classes), OF_SAMPLE)
    return shaped(1, block, classes, cdiv(classes, block), EACH[4][level], item, warp)


@lru_cache(maxsize=1024)
def shape_of_statistics_gradient(classes: int, warp: int) -> Shape:
    """Of the gradient of statistics, whose programs need nothing of each other."""
    block = min(next_power_of_2(classes), OF_STATISTICS_GRADIENT)
    return shaped(1, block, classes, cdiv(classes, block), EACH[4][HEAVY], 4, warp)
