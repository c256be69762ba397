"""The explorer page: one HTML file, built from web/ by `make web`, that shows scores that are handed to it.

What it shows is its view, a text that web/src/hash.ts reads: behind # in its URL, or else written into the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np
from numpy.typing import ArrayLike

from softxent.app.words import Mistake

__all__ = ["PAGE", "view", "with_view"]

PAGE = Path(__file__).parent / "explorer.html"
VERSION = "1"  # hash.ts: another version's view counts as none
CLASSES = 50
TEMPERATURES = 0.05, 20.0
LANDS_ON = 5  # why p − y: the numbers of one row from scores to gradient
NO_VIEW = '<meta name="softxent-view" content="">'


def view(
    logits: ArrayLike,
    target: int,
    *,
    labels: Sequence[str] = (),
    temperature: float = 1.0,
    truncated: bool = False,
    lang: str,
) -> str:
    """Returns the view of one row; raises Mistake if the page cannot show it.

    >>> view([1, 5, 3], 1, labels=["cat", "dog", "bird"], lang="en")
    'v=1&lang=en&screen=5&scores=1.0,5.0,3.0&target=1&T=1.0&label=cat&label=dog&label=bird'
    """
    scores = np.asarray(logits, np.float64)
    if len(scores) > CLASSES:
        raise Mistake("page classes", got=len(scores), most=CLASSES)
    for i in np.flatnonzero(~np.isfinite(scores))[:1]:
        raise Mistake("page finite", index=i, got=scores[i])
    least, most = TEMPERATURES
    if not least <= temperature <= most:
        raise Mistake("page temperature", got=temperature, least=least, most=most)
    parts = [
        ("v", VERSION),
        ("lang", lang),
        ("screen", LANDS_ON),
        ("scores", ",".join(map(repr, scores.tolist()))),
        ("target", target),
        ("T", temperature),
        *(("label", label) for label in labels),
        *([("truncated", 1)] if truncated else []),
    ]
    return "&".join(f"{name}={quote(str(value), safe=',', errors='replace')}" for name, value in parts)


def with_view(view: str) -> str:
    """Returns the page with that view written into it; a hash in its URL still wins."""
    page = PAGE.read_text("utf-8")
    if page.count(NO_VIEW) != 1:
        raise RuntimeError(f"{PAGE} has no place for a view: run make web")
    return page.replace(NO_VIEW, NO_VIEW.replace('""', f'"{escape(view)}"'))
