"""Deals rows into those that train, validate and test: class by class, by groups that stay together, or by time.

A class is always learnt: its only row, or the only group that has it, trains. Of rows with groups, no group is on two
sides. Of rows with times, those that are tested are later than all that train, and rows of one time stay together.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.run import LabelledRows

Array = NDArray[Any]
ALWAYS = -1  # in the place of a fold: such rows train in every fold
MOST = 20  # folds of groups that a share is made of: 0.2 is 1 of 5, 0.15 is 3 of 20


def split_rows(rows: LabelledRows, test_size: float, val_size: float, seed: int) -> tuple[Array, Array, Array]:
    """Returns the rows that train, validate and test, each in ascending order.

    >>> y = np.array(["a"] * 8 + ["b"] * 2 + ["c"])
    >>> rows = LabelledRows(y, y, np.arange(11))
    >>> ["".join(y[part]) for part in split_rows(rows, 0.25, 0.2, seed=0)]
    ['aaaaabc', 'a', 'aab']
    """
    rng = np.random.default_rng(seed)
    if rows.time is None and rows.group is None:
        return by_class(rows.y, test_size, val_size, rng)
    tests = taken(rows, test_size, rng)
    others = np.flatnonzero(~tests)
    validates = np.zeros(len(rows), bool)
    validates[others] = taken(rows[others], val_size, rng)
    trains = ~tests & ~validates
    unseen = validates & ~np.isin(rows.y, rows.y[trains])
    trains, validates = trains | unseen, validates & ~unseen
    return np.flatnonzero(trains), np.flatnonzero(validates), np.flatnonzero(tests)


def by_class(y: Array, test_size: float, val_size: float, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """Draws each part with its share of every class. A class's only row trains; of two, one tests."""
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for name in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == name))
        test = min(max(round(test_size * len(rows)), 1 if test_size else 0), len(rows) - 1)
        val = min(round(val_size * (len(rows) - test)), len(rows) - test - 1)
        for part, of in zip(parts, np.split(rows, [len(rows) - test - val, len(rows) - test]), strict=True):
            part.extend(of)
    first, second, third = (np.sort(np.array(part, np.int64)) for part in parts)
    return first, second, third


def taken(rows: LabelledRows, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Marks about that share of the rows: the latest, or whole groups; none where that cannot be."""
    if share == 0 or len(rows) == 0:
        return np.zeros(len(rows), bool)
    if rows.time is not None:
        return latest(rows.time, share)
    groups = len(np.unique(rows.group))
    of = Fraction(share).limit_denominator(max(2, min(MOST, groups)))
    k = of.denominator if 0 < of < 1 else max(2, min(MOST, groups))
    marked = np.isin(deal_groups(rows, k, rng), range(min(max(round(share * k), 1), k - 1)))
    return marked & ~np.isin(rows.group, needed_groups(rows, marked))


def latest(time: Array, share: float) -> NDArray[np.bool_]:
    """Marks the latest rows, as near to the share as whole times allow; none if there is one time only.

    >>> latest(np.array([1, 3, 2, 3, 5]), 0.5)
    array([False,  True, False,  True,  True])
    """
    times, counts = np.unique(time, return_counts=True)
    if len(times) == 1:
        return np.zeros(len(time), bool)
    later = counts[::-1].cumsum()[::-1][1:]  # rows at or after each time but the first
    return np.asarray(time >= times[1 + np.abs(later - share * len(time)).argmin()])


def folds(rows: LabelledRows, k: int, seed: int) -> list[tuple[Array, Array]]:
    """Returns the rows that train and those that test in each of at most k folds, never none of either.

    By time, each fold tests on a span of time and trains on all that is earlier; otherwise each row tests once, but for
    a class's only row or only group. A row whose class no earlier one has is not tested.

    >>> y = np.array(["a"] * 4 + ["b"] * 2)
    >>> [(len(train), "".join(y[test])) for train, test in folds(LabelledRows(y, y, np.arange(6)), 2, seed=0)]
    [(3, 'aab'), (3, 'aab')]
    """
    rng = np.random.default_rng(seed)
    if rows.time is not None:
        fold = deal_times(rows.time, k)
    else:
        fold = deal_rows(rows.y, k, rng) if rows.group is None else deal_groups(rows, k, rng)
    pairs = []
    for number in range(int(fold.max(initial=ALWAYS)) + 1):
        trains = np.flatnonzero(fold < number if rows.time is not None else fold != number)
        tests = np.flatnonzero(fold == number)
        tests = tests[np.isin(rows.y[tests], rows.y[trains])]
        if len(np.unique(rows.y[trains])) > 1 and len(tests):
            pairs.append((trains, tests))
    return pairs


def deal_rows(y: Array, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deals each class's rows to k folds in turn, going on where the last class ended."""
    fold, dealt = np.full(len(y), ALWAYS), 0
    for name in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == name))
        if len(rows) > 1:
            fold[rows] = (dealt + np.arange(len(rows))) % k
            dealt += len(rows)
    return fold


def deal_times(time: Array, k: int) -> NDArray[np.int64]:
    """Cuts the rows into k + 1 spans of time of about as many rows each: the first only trains, in all folds."""
    rank = np.searchsorted(np.sort(time), time)  # rows that are earlier: one number for rows of one time
    span = rank * (k + 1) // max(len(time), 1)
    return np.asarray(np.unique(span, return_inverse=True)[1] + ALWAYS, np.int64)


def deal_groups(rows: LabelledRows, k: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Deals whole groups to k folds, the largest first, each to where its classes are rarest so far."""
    which = np.unique(rows.group, return_inverse=True)[1]
    classes = np.unique(rows.y, return_inverse=True)[1]
    counts = np.zeros((which.max() + 1, classes.max() + 1))
    np.add.at(counts, (which, classes), 1)
    share = counts / counts.sum(axis=0)
    alone = ((counts > 0) & ((counts > 0).sum(axis=0) == 1)).any(axis=1)
    fold = np.full(len(counts), ALWAYS)
    filled, sizes = np.zeros((k, counts.shape[1])), np.zeros(k)
    order = rng.permutation(np.flatnonzero(~alone))
    for group in order[np.argsort(-counts[order].sum(axis=1), kind="stable")]:
        growth = filled @ share[group]  # of Σ filled², less a constant
        fold[group] = to = np.lexsort((sizes, growth.round(12)))[0]
        filled[to] += share[group]
        sizes[to] += counts[group].sum()
    return fold[which]


def needed_groups(rows: LabelledRows, marked: NDArray[np.bool_]) -> list[Any]:
    """Returns for each class that only marked rows have its smallest group, which must train."""
    needed = []
    for name in np.setdiff1d(rows.y, rows.y[~marked]):
        groups, sizes = np.unique(rows.group[rows.y == name], return_counts=True)
        needed.append(groups[sizes.argmin()])
    return needed
