"""What a page of the documentation shows, for the tests that run it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def command_lines(page: str) -> list[tuple[str, str]]:
    """The command lines of `softxent` on a page, each with what it prints there."""
    text = (ROOT / page).read_text("utf-8")
    found: list[tuple[str, str]] = re.findall(r"```console\n\$ softxent (.*)\n([^`]*)```", text)
    assert len(found) == text.count("```console\n") > 0
    return found


def quotes(page: str) -> list[tuple[str, str]]:
    """The pieces of code that a page quotes, each with the file that it says they are from."""
    text = (ROOT / page).read_text("utf-8")
    found: list[tuple[str, str]] = re.findall(r"<!-- quoted from (\S+) -->\n```python\n(.*?)```", text, re.DOTALL)
    assert len(found) == text.count("<!-- quoted from ") > 0
    return found
