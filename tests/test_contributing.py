"""CONTRIBUTING.md: its map is the tree, and the files that it names are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
MAP = re.search(r"```\n(src/softxent/\n.*?)```", PAGE, re.DOTALL)[1]

FILE = r"[\w./-]*\w\.(?:py|pyi|hpp|cpp|md|toml|txt)\b|[\w./-]+/"


def mapped():
    """The paths on the map: each line begins with one, in the folder above it, and may name others beside it."""
    folders = []
    for line in MAP.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        first, _, text = line.strip().partition(" ")
        folder = Path(*folders[:depth])
        folders[depth:] = [first]
        yield folder / first
        inside = folder / first if first.endswith("/") else folder
        yield from (inside / name for name in re.findall(r"\b\w+\.(?:py|hpp|cpp)\b", text))


PATHS = sorted({str(path) for path in mapped()})


@pytest.mark.parametrize("path", PATHS)
def test_map_shows_what_is_there(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize(
    "folder", ["", "app", "diagnosis", "explain", "sklearn", "torch", "torch/devices", "kernels/cpu"]
)
def test_map_shows_all_that_is_there(folder):
    there = {
        path for path in (ROOT / "src/softxent" / folder).iterdir() if not re.match(r"_|py\.typed|.*\.so", path.name)
    }
    assert there <= {ROOT / path for path in PATHS}


@pytest.mark.parametrize("name", sorted(set(re.findall(rf"`({FILE})`", PAGE.replace(MAP, "")))))
def test_named_files_are_there(name):
    assert (ROOT / name).exists() or (ROOT / "src/softxent" / name).exists() or list((ROOT / "src").rglob(name))
