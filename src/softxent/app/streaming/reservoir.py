"""The rows of a table whose keys are lowest, whatever the number of rows: what chance, or time, picks out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softxent.app.tables.rows import alike

Array = NDArray[Any]


@dataclass
class Picked:
    """Rows with their keys and places: the number of their part, and of the row in its file."""

    table: pa.Table
    key: Array
    part: Array
    row: Array

    def __len__(self) -> int:
        return len(self.key)

    def some(self, index: Array) -> Picked:
        return Picked(self.table.take(index), self.key[index], self.part[index], self.row[index])

    @classmethod
    def joined(cls, each: list[Picked]) -> Picked:
        table = pa.concat_tables(alike([one.table for one in each]), promote_options="permissive")
        return cls(table, *(np.concatenate([getattr(one, of) for one in each]) for of in ("key", "part", "row")))


class Reservoir:
    """Holds at most `most` rows, those of the lowest keys; rows of one key stay together, or go."""

    def __init__(self, most: int) -> None:
        self.most, self.below = most, np.inf
        self.held: list[Picked] = []

    def offer(self, rows: Picked) -> None:
        kept = np.flatnonzero(rows.key < self.below)
        if not len(kept) and self.held:
            return
        self.held.append(rows.some(kept))
        if sum(map(len, self.held)) > 2 * self.most:
            self.held = [self._lowest()]

    def picked(self) -> Picked:
        """Returns the rows, those of the lowest key first."""
        self.held = [self._lowest()]
        return self.held[0]

    def join(self, other: Reservoir) -> None:
        self.below = min(self.below, other.below)
        for rows in other.held:
            self.offer(rows)

    def _lowest(self) -> Picked:
        """Of at least one batch, which may be of no rows."""
        all_rows = Picked.joined(self.held)
        kept = np.flatnonzero(all_rows.key < self.below)
        order = kept[np.lexsort((all_rows.row[kept], all_rows.part[kept], all_rows.key[kept]))]
        if len(order) > self.most:
            self.below = all_rows.key[order[self.most]]
            order = order[all_rows.key[order] < self.below]
        return all_rows.some(order)
