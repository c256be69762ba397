"""Reads the arrays of a NumPy .npz file that was named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.words import Mistake, Phrase


def arrays(file: str, phrase: str, required: Sequence[str], others: Sequence[str] = ()) -> dict[str, NDArray[Any]]:
    """The required arrays, and others if they are there; `phrase` is the error, whose `why` says what is wrong."""

    def wrong(why: str, **values: object) -> Mistake:
        return Mistake(phrase, got=repr(file), why=Phrase(why, **values))

    if not Path(file).is_file():
        raise wrong("no such file")
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as found:
            names = found.files
            read = {name: found[name] for name in (*required, *others) if name in names}
    except Exception:  # zipfile, zlib, struct and NumPy each have their own for a damaged file
        raise wrong("unreadable") from None
    missing = [name for name in required if name not in read]
    if missing:
        raise wrong("arrays missing", names=", ".join(missing), found=", ".join(names) or "–")
    return read
