"""How the arguments are called in errors."""

from __future__ import annotations

from typing import NamedTuple


class Names(NamedTuple):
    """The same arguments in PyTorch's words and in those of softxent's array functions."""

    logits: str
    axis: str
    weight: str


PYTORCHS = Names("input", "dim", "weight")
ARRAYS = Names("logits", "axis", "class_weight")
BY_LOGITS = {names.logits: names for names in (PYTORCHS, ARRAYS)}
