"""What `train --compare` shows: scikit-learn's models beside ours, and which to take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from softxent.app.comparison import OURS, Compared

if TYPE_CHECKING:
    from softxent.app.cli.screen import Screen


def show(screen: Screen, rows: Sequence[Compared], tested: int) -> None:
    screen.line()
    screen.line(screen.say("compared", rows=tested), "bold")
    cells = [
        (row.name, f"{row.log_loss:.4f}", f"{row.accuracy:.4f}", f"{row.seconds:.1f}", screen.say(row.verdict))
        for row in rows
    ]
    head = ["", *(screen.say(word) for word in ("log-loss", "accuracy", "in seconds")), ""]
    screen.table(head, cells, right=[1, 2, 3])
    ours = next(row for row in rows if row.name == OURS)
    best = screen.say("ours is best" if ours.best else "ours ties" if ours.tie else "other is best", name=rows[0].name)
    screen.line(best)
