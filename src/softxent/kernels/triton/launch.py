"""How kernels are launched: how many rows and classes a program takes, and what they are compiled with."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from triton import cdiv, next_power_of_2

# Not measured yet: chosen by benchmarks/gpu_check.py, so that no program spills and instructions an element are few.
# About 800 instructions a thread are the row's own, so that a thread has as many elements as registers hold.
FEW = 32  # classes: with no more, a thread has whole rows
ROWS = 128  # of a program then
EACH = {4: 64, 8: 32}  # elements a thread, by the bytes of a number as it is computed; half, a quarter, … of it where
PLAIN, MORE, IN_TURN, HEAVY = range(4)  # more numbers live at once: probabilities and softcaps are HEAVY
LONGEST = {4: 32768, 8: 8192}  # classes that a program holds at once, of PLAIN passes
BLOCK = {4: 8192, 8: 4096}  # of a longer row, or of a part of it
PLANE = 32, 128  # rows × classes at a time where the rows lie side by side: their numbers fill a line of memory
ENOUGH = 256  # programs: with fewer rows, long ones are taken in parts
OF_SAMPLE = 4096  # classes a part, of which one is read twice
OF_STATISTICS_GRADIENT = 4096  # classes a program
MOST_WARPS = 16  # 32 leave 64 registers a thread; of 64 threads each, 16 are all that a program may have


class Shape(NamedTuple):
    """Of the programs that a pass is launched with; made of the shape of the logits alone, and so are the bits."""

    rows: int  # a program
    block: int  # classes at a time
    one_block: bool
    parts: int  # of a row
    width: int  # classes a part
    level: int  # PLAIN … HEAVY

    @property
    def constants(self) -> dict[str, Any]:
        return {"ROWS": self.rows, "BLOCK": self.block, "ONE_BLOCK": self.one_block, "PARTS": self.parts}

    @property
    def padded_parts(self) -> int:
        return next_power_of_2(self.parts)

    def compiler(self, size: int) -> dict[str, Any]:
        """Contraction off, since two_sum (math.py) finds the errors of operations that are not fused."""
        threads = self.rows if self.block == 1 else self.rows * self.block // (EACH[size] >> self.level)
        warps = max(1, min(MOST_WARPS, threads // 32))
        return {"num_warps": warps, "enable_fp_fusion": False, "sanitize_overflow": False}


@lru_cache(maxsize=1024)
def shape_of(rows: int, classes: int, size: int, side_by_side: bool = False, level: int = PLAIN) -> Shape:
    """Of a pass over so many rows.

    size           bytes of a number as it is computed
    side_by_side   rows are neighbours in memory, classes are not
    level          of the pass
    """
    if classes <= FEW:
        return Shape(ROWS, 1, False, 1, classes, level)
    block = next_power_of_2(classes)
    if block <= LONGEST[size] >> level and not side_by_side:
        return Shape(1, block, True, 1, classes, level)
    level = IN_TURN if level == PLAIN else HEAVY
    if side_by_side:
        return Shape(PLANE[0], min(block, PLANE[1]), block <= PLANE[1], 1, classes, level)
    block = BLOCK[size] >> 2 * (level == HEAVY)
    # not of float64, where combining parts would add an ULP
    parts = min(cdiv(classes, block), cdiv(ENOUGH, rows)) if size == 4 and rows < ENOUGH else 1
    width = cdiv(cdiv(classes, parts), block) * block
    return Shape(1, block, width == block, cdiv(classes, width), width, level)


@lru_cache(maxsize=1024)
def shape_of_sample(classes: int) -> Shape:
    """Of sample, whose parts are a block each."""
    block = min(next_power_of_2(classes), OF_SAMPLE)
    return Shape(max(1, min(ROWS, 1024 // block)), block, True, cdiv(classes, block), block, IN_TURN)


@lru_cache(maxsize=1024)
def shape_of_statistics_gradient(classes: int) -> Shape:
    """Of the gradient of statistics, whose programs need nothing of each other."""
    block = min(next_power_of_2(classes), OF_STATISTICS_GRADIENT)
    return Shape(1, block, False, cdiv(classes, block), block, IN_TURN)
