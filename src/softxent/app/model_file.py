"""Writes a fitted pipeline as a .skops file: the same model gives the same bytes, in any process and at any time.

skops numbers objects by their addresses in memory, and zip notes the time. Here objects are numbered in the order in
which they come, and the time is always the first that zip knows.
"""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

SCHEMA = "schema.json"  # where skops keeps the tree of objects
EPOCH = (1980, 1, 1, 0, 0, 0)


def dump(model: Any, path: Path) -> None:
    import skops.io

    with ZipFile(BytesIO(skops.io.dumps(model))) as made, ZipFile(path, "w", ZIP_DEFLATED) as archive:
        numbers: dict[int, int] = {}
        files: dict[str, str] = {}
        tree = renumbered(json.loads(made.read(SCHEMA)), numbers, files)
        for name, new in files.items():
            archive.writestr(entry(new), made.read(name))
        archive.writestr(entry(SCHEMA), json.dumps(tree))  # indented, a deep tree takes six times the bytes


def entry(name: str) -> ZipInfo:
    made = ZipInfo(name, EPOCH)
    made.compress_type, made.create_system = ZIP_DEFLATED, 3  # as on Unix, on Windows too
    made.external_attr = 0o600 << 16
    return made


def renumbered(tree: Any, numbers: dict[int, int], files: dict[str, str]) -> Any:
    """Returns the tree with 0, 1, … for its `__id__`s; `files` gets each array's new file name by its old one."""
    if isinstance(tree, list):
        return [renumbered(each, numbers, files) for each in tree]
    if not isinstance(tree, dict):
        return tree
    made: dict[str, Any] = {}
    for key, value in tree.items():
        if key == "__id__":
            made[key] = numbers.setdefault(value, len(numbers))
        elif key == "file" and isinstance(value, str) and "__loader__" in tree:
            made[key] = files.setdefault(value, f"{len(files)}{Path(value).suffix}")
        else:
            made[key] = renumbered(value, numbers, files)
    return made
