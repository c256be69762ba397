"""What a call costs each rank, from the shapes alone."""

from __future__ import annotations

from typing import NamedTuple

from softxent.checks import integer, one_of, positive
from softxent.torch.parallel.exchange import HEADER
from softxent.torch.parallel.state import State

CALLS = ("cross_entropy", "log_prob", "statistics", "sample")
NUMBER = 8  # bytes: what ranks send is float64
OF_STATISTICS, OF_SAMPLE = 6, 4  # numbers of a row in the second all-gather


class Cost(NamedTuple):
    """Of one call and its backward, on each rank.

    collectives     of a call as large as the last one; one more the first time
    gathered        bytes that this rank hands to all-gathers; each of the others gets them
    summed          bytes that it hands to an all-reduce: the float32 gradient of a layer's input
    sent            bytes that leave this rank, if both go round in rings
    memory          bytes beyond arguments and results: what was gathered, and what backward keeps
    multiply_adds   of a layer's products
    """

    collectives: int
    gathered: int
    summed: int
    sent: int
    memory: int
    multiply_adds: int


def cost(
    rows: int,
    classes: int,
    ranks: int,
    *,
    features: int = 0,
    call: str = "cross_entropy",
    by_index: bool = True,
    soft: bool = False,
    weighted: bool = False,
    itemsize: int = 4,
) -> Cost:
    """What a call of softxent.torch.parallel costs each rank, with even slices of the classes.

    features   of a last layer: that of linear_cross_entropy and its kin
    call       the function, with or without linear_
    by_index   whether targets are class indices
    soft       whether they are smoothed
    weighted   whether classes have weights
    itemsize   bytes of a number that a layer is computed with

    >>> cost(8192, 131072, 8, features=4096, call="linear_cross_entropy")
    Cost(collectives=2, gathered=196640, summed=134217728, sent=236257504, memory=2162944, multiply_adds=2199023255552)
    """
    for name, size in {"rows": rows, "classes": classes, "ranks": ranks}.items():
        positive(name, integer(name, size))
    one_of(CALLS)("call", call.removeprefix("linear_"))
    call, layer = call.removeprefix("linear_"), call.startswith("linear_")
    if call in ("cross_entropy", "log_prob"):
        first, second = 2 + by_index + (weighted and by_index) + 2 * (soft or not by_index), 0
    else:
        first, second = (1, OF_STATISTICS) if call == "statistics" else (3, OF_SAMPLE)
    backward = call != "sample"
    gathered = NUMBER * (HEADER + rows * (first + second))
    summed = itemsize * rows * features if layer and backward else 0
    products = (4 if backward else 1) if layer else 0
    sent = (ranks - 1) * gathered + 2 * (ranks - 1) * summed // ranks
    kept = NUMBER * rows * len(State._fields) if backward else 0
    each = -(-classes // ranks)
    return Cost(
        1 + (second > 0) + (summed > 0),
        gathered,
        summed,
        sent,
        ranks * gathered + kept,
        products * rows * each * features,
    )
