"""Which rows are held back from training: some by their numbers, whole groups, or all from a time on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.run import LabelledRows

Array = NDArray[Any]


@dataclass(frozen=True)
class Held:
    rows: Array  # numbers in the table, in ascending order
    groups: Array | None = None
    since: Any = None  # the time

    @classmethod
    def of(cls, rows: LabelledRows) -> Held:
        """Holds these rows, and all others of their groups, and of their times or later ones."""
        if not len(rows):
            return cls(np.zeros(0, np.int64))
        groups = None if rows.group is None else np.unique(rows.group)
        return cls(np.unique(rows.rows), groups, None if rows.time is None else rows.time.min())

    def mask(self, numbers: Array, group: Array | None, time: Array | None) -> NDArray[np.bool_]:
        held = np.isin(numbers, self.rows)
        if self.groups is not None:
            held |= np.isin(np.asarray(group), self.groups)
        if self.since is not None:
            held |= time >= self.since
        return np.asarray(held)

    def of_rows(self, rows: LabelledRows) -> NDArray[np.bool_]:
        return self.mask(rows.rows, rows.group, rows.time)

    def joined(self, other: Held) -> Held:
        groups = [of for of in (self.groups, other.groups) if of is not None]
        since = [of for of in (self.since, other.since) if of is not None]
        return Held(
            np.union1d(self.rows, other.rows),
            np.unique(np.concatenate(groups)) if groups else None,
            min(since, default=None),
        )
