"""How much of the logits is held at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from softxent import checks

AUTO = 56 * 2**20  # bytes: of 64 MB, beside the buffers of BLAS
LEAST_ROWS = 128  # fewer are slower in three products than in four of some classes: benchmarks/products.py
MOST_ROWS = 1024  # more are no faster
MOST_CLASSES, FEW_CLASSES, LEAST_CLASSES = 2**14, 2**10, 2**6  # in a chunk that has not all of them
SMALL = 2**19  # logits that are made at once: a loop of one chunk takes 1.2 × as long
BLOCK = 4 * 2**20  # bytes of a block of ∂loss/∂W, where a library cannot add a product to it


@dataclass(frozen=True)
class LinearPlan:
    """What a call of linear_cross_entropy holds and computes.

    rows, features, classes   of the layer
    chunk                     rows × classes of the logits that are held at a time
    products                  of all inputs and weights, rows × features × classes multiply-adds each
    bytes                     held at most, beyond the arguments and the results
    """

    rows: int
    features: int
    classes: int
    chunk: tuple[int, int]
    products: int
    bytes: int

    @property
    def multiply_adds(self) -> int:
        return self.products * self.rows * self.features * self.classes

    @property
    def along_rows(self) -> bool:
        """Whether chunks have all classes."""
        return self.chunk[1] == self.classes

    def __str__(self) -> str:
        classes = "all" if self.along_rows else str(self.chunk[1])
        return (
            f"{self.rows} rows × {self.features} features × {self.classes} classes: "
            f"{self.chunk[0]} rows × {classes} classes at a time, {self.products} product{'s' * (self.products > 1)}, "
            f"{self.bytes / 2**20:.1f} MiB, {self.multiply_adds / 1e9:.4g}·10⁹ multiply-adds"
        )


def linear_plan(
    rows: int,
    features: int,
    classes: int,
    *,
    itemsize: int = 4,
    gradients: bool = True,
    memory_budget: Any = "auto",
    cast: bool = False,
    arrays: int = 1,
    copies: int = 0,
    all_classes: bool = False,
    beside: int = 0,
) -> LinearPlan:
    """The largest chunks within the budget, as linear_cross_entropy chooses them.

    itemsize       bytes of a number that is computed with: 4, or 8 for float64
    gradients      whether they are wanted beside the loss
    memory_budget  in bytes: the most that is held beyond arguments and results; "auto" is 56 MiB
    cast           whether inputs and weight are of 16 bits, and so converted before they are multiplied
    arrays         of a chunk's size, where it has not all classes: 1, and 1 for a softcap, and 2 where targets are
                   smoothed or probabilities
    copies         of a chunk beside it, where it has all classes
    all_classes    whether it must have: for truncated samples, and second derivatives
    beside         numbers held beside a chunk, whatever its size

    Raises ValueError, which names the least budget possible, if this one is too small.

    >>> print(linear_plan(2048, 768, 50257))  # doctest: +NORMALIZE_WHITESPACE
    2048 rows × 768 features × 50257 classes: 256 rows × all classes at a time, 3 products, 54.7 MiB,
    237.1·10⁹ multiply-adds
    """
    sizes = {"rows": rows, "features": features, "classes": classes, "itemsize": itemsize, "arrays": arrays}
    for name, size in sizes.items():
        (checks.not_negative if name == "rows" else checks.positive)(name, checks.integer(name, size))
    budget = AUTO if memory_budget == "auto" else checks.integer("memory_budget", memory_budget)
    fixed = 8 * 10 * rows + (BLOCK if gradients else 0) + beside * itemsize
    of_index = 8 * 4  # of a row: index, lse, the target's logit, its factor

    def along_rows(r: int) -> int:
        converted = (1 + gradients) * classes * features * itemsize if cast else 0
        a_row = itemsize * 2 * features + of_index  # inputs and their gradient
        return fixed + converted + r * ((1 + copies) * classes * itemsize + a_row)

    def across_classes(r: int, c: int) -> int:
        # the next block is converted before the last one is let go; ∂loss/∂x is summed up
        converted = ((2 + 2 * gradients) * c + gradients * rows) * features * itemsize if cast else 0
        blocks = 3 * 8 * rows * -(-classes // c)
        a_row = itemsize * (2 + 4 * gradients) * features + of_index
        return fixed + converted + blocks + r * (arrays * (c + 1) * itemsize + a_row)

    def held(r: int, c: int) -> int:
        return along_rows(r) if c == classes else across_classes(r, c)

    def chosen(r: int, c: int) -> LinearPlan:
        r = even(rows, r)
        return LinearPlan(rows, features, classes, (r, c), (3 + (c < classes)) if gradients else 1, held(r, c))

    most = max(1, min(rows, MOST_ROWS))
    r = min(most, (budget - along_rows(0)) // (along_rows(1) - along_rows(0)))
    if r >= (1 if all_classes else min(most, LEAST_ROWS)):
        return chosen(r, classes)
    smaller = [] if all_classes else [*halved(most, min(classes, MOST_CLASSES))]
    for r, c in smaller:
        if held(r, c) <= budget:
            return chosen(r, c)
    if along_rows(1) <= budget:
        return chosen(1, classes)
    raise checks.memory_budget(memory_budget, min([along_rows(1), *(held(*chunk) for chunk in smaller)]))


def halved(rows: int, classes: int) -> Iterator[tuple[int, int]]:
    """Ever smaller chunks, of which both sides stay as large as products want them for as long as they can."""
    yield rows, classes
    while rows > LEAST_ROWS or classes > LEAST_CLASSES or (rows > 1 and classes <= FEW_CLASSES):
        if rows > LEAST_ROWS or (rows > 1 and classes <= FEW_CLASSES):
            rows //= 2
        else:
            classes //= 2
        yield rows, classes


remembered_plan = lru_cache(maxsize=256, typed=True)(linear_plan)  # which torch.compile does not trace


def even(rows: int, most: int) -> int:
    """At most so many rows a chunk, about as many in each; a multiple of 8 where that is possible."""
    each = -(-rows // max(1, -(-rows // most)))
    return max(1, min(most, -(-each // 8) * 8))
