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
ON_GPU = 960 * 2**20  # bytes of chunks, of 16 bits 2816 rows of 131072 classes: each costs a read and write of ∂loss/∂W
AT_ONCE = 512  # rows whose logits are made at a time: W is read for each, which takes a third as long as the product
AT_ONCE_NUMBERS = 2**26  # logits that are made at a time where these are more rows
OF_PRODUCT = 32 * 2**20  # bytes of a product in float32 that is rounded at a time: of a cache of 50 MB
TILE = 128  # rows of a product's tiles on GPUs
SMALL = 2**19  # logits that are made at once: a loop of one chunk takes 1.2 × as long
BLOCK = 4 * 2**20  # bytes of a block of ∂loss/∂W, where a library cannot add a product to it


@dataclass(frozen=True)
class LinearPlan:
    """What a call of linear_cross_entropy holds and computes.

    rows, features, classes   of the layer
    chunk                     rows × classes of the logits that are held at a time
    products                  of all inputs and weights, rows × features × classes multiply-adds each
    bytes                     held at most, beyond the arguments and the results
    piece                     rows of a chunk whose logits are held at a time, where of all only the gradient is
    """

    rows: int
    features: int
    classes: int
    chunk: tuple[int, int]
    products: int
    bytes: int
    piece: int | None = None

    @property
    def whole(self) -> bool:
        """Whether the gradient of all logits is held, in the dtype of products, so that nothing is summed up."""
        return self.piece is not None and self.chunk[0] >= self.rows

    def pieces(self, rows: int) -> Iterator[slice]:
        """Those of a chunk with so many rows."""
        size = self.piece or rows
        for start in range(0, rows, size):
            yield slice(start, min(start + size, rows))

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
    on_gpu: bool = False,
) -> LinearPlan:
    """The largest chunks within the budget, as linear_cross_entropy chooses them.

    itemsize       bytes of a number that is computed with: 4, or 8 for float64
    gradients      whether they are wanted beside the loss
    memory_budget  in bytes: the most that is held beyond arguments and results; "auto" is 56 MiB, and on a GPU 960 MiB
                   of chunks (or as much as 16-bit gradients take, if that is more) and the float32 sums of these
    cast           whether inputs and weight are of 16 bits, and so converted before they are multiplied (on a GPU not)
    arrays         of a chunk's size, where it has not all classes: 1, and 1 for a softcap, and 2 where targets are
                   smoothed or probabilities
    copies         of a chunk beside it, where it has all classes
    all_classes    whether it must have: for truncated samples, and second derivatives
    beside         numbers held beside a chunk, whatever its size
    on_gpu         whether the arrays are on a GPU, where a chunk always has all classes

    Raises ValueError, which names the least budget possible, if this one is too small.

    >>> print(linear_plan(2048, 768, 50257))  # doctest: +NORMALIZE_WHITESPACE
    2048 rows × 768 features × 50257 classes: 256 rows × all classes at a time, 3 products, 54.7 MiB,
    237.1·10⁹ multiply-adds
    """
    sizes = {"rows": rows, "features": features, "classes": classes, "itemsize": itemsize, "arrays": arrays}
    for name, size in sizes.items():
        (checks.not_negative if name == "rows" else checks.positive)(name, checks.integer(name, size))
    if on_gpu:
        multiplied = 2 if cast else itemsize
        return plan_on_gpu(rows, features, classes, itemsize, gradients, memory_budget, multiplied, copies, beside)
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


def plan_on_gpu(
    rows: int,
    features: int,
    classes: int,
    itemsize: int,
    gradients: bool,
    memory_budget: Any,
    multiplied: int,
    copies: int,
    beside: int,
) -> LinearPlan:
    """Chunks of all classes, as long as they can be: each adds to ∂loss/∂W, which is read and written for that.

    One chunk of all rows takes as much memory as the sum of ∂loss/∂W if there are twice as many rows as features.

    multiplied   bytes of a number that is multiplied. If it is less than itemsize, logits are made in pieces, G is held
                 of the whole chunk, and gradients are summed up before the results, made when the chunks are gone.
    """
    apart = gradients and multiplied < itemsize
    of_logits = padded(classes) * itemsize * (1 + copies)
    of_gradient = padded(classes) * multiplied if apart and not copies else 0
    of_W, of_x = ((n * (features + 1) if apart else 0) for n in (classes, rows))
    fixed, summed = 8 * 10 * rows + beside * itemsize, (of_W + of_x) * (itemsize - multiplied)

    def held(chunk: int) -> int:
        """While there are chunks the results are not, so that these are held in their place."""
        return fixed + max(of_W * itemsize, summed + chunk)

    a_row = of_logits + of_gradient
    if memory_budget == "auto":
        chunk = max(ON_GPU, of_W * itemsize - summed, a_row)  # as much as is held at the end anyway
    elif held(a_row) > (budget := checks.integer("memory_budget", memory_budget)):
        raise checks.memory_budget(memory_budget, held(a_row))
    else:
        chunk = budget - fixed - summed
    enough = max(AT_ONCE, AT_ONCE_NUMBERS // classes)
    if of_gradient:
        piece = even(rows, max(1, min(enough, rows)), TILE)  # no last one of few rows
        product = min(OF_PRODUCT, max(of_W, of_x) * itemsize)
        whole = fixed + rows * of_gradient + max(product, piece * of_logits - (of_W + of_x) * multiplied)
        if whole <= (fixed + max(ON_GPU, of_W * itemsize + product) if memory_budget == "auto" else budget):
            return LinearPlan(rows, features, classes, (max(rows, 1), classes), 3, whole, piece)
        r = (chunk - piece * of_logits) // of_gradient
        if r < piece:
            r = piece = chunk // a_row
        r = even(rows, min(r, max(rows, 1)), TILE)
        piece = max(1, min(piece, r))
        return LinearPlan(rows, features, classes, (r, classes), 3, held(piece * of_logits + r * of_gradient), piece)
    r = even(rows, max(1, min(chunk // of_logits, rows if gradients else enough, rows)), TILE)
    return LinearPlan(rows, features, classes, (r, classes), 3 if gradients else 1, held(r * of_logits))


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


def padded(classes: int) -> int:
    """Numbers from row to row on a GPU: a multiple of 16, so that each row is aligned."""
    return -(-classes // 16) * 16


def even(rows: int, most: int, multiple: int = 8) -> int:
    """At most so many rows a chunk, about as many in each; a multiple of 8 where that is possible."""
    each = -(-rows // max(1, -(-rows // most)))
    return max(1, min(most, -(-each // multiple) * multiple))
