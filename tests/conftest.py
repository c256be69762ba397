"""What several files of tests use: the command `softxent`, and a browser.

Tests that look at a page run where a Chromium is found, and are counted at the end where none is.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# Before PyTorch is imported: its threads wait for each other asleep. Those that spin where another process has a core,
# as in CI, make test_linear_memory.py take 107 s instead of 20
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if find_spec("torch") and find_spec("triton"):
    import torch

    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"  # asked at the import of Triton, which transformers imports too

REQUIRED = "SOFTXENT_REQUIRE_BROWSER"  # set to 1 by .ci/run: without a browser, its tests fail
NONE_FOUND = "no Chromium was found: install one (apt install chromium), or set CHROMIUM to its path"


def find_chromium(bundled: str) -> str | None:
    """CHROMIUM if it is set, one on the PATH, or the one that `playwright install chromium` brought."""
    if given := os.environ.get("CHROMIUM"):
        return given
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    return bundled if Path(bundled).exists() else None


def pytest_runtest_setup() -> None:
    """Has skops not indent its JSON, a third of the time of each training; softxent writes that JSON anew anyway."""
    if persist := sys.modules.get("skops.io._persist"):
        persist.json = SimpleNamespace(dumps=lambda tree, indent: json.dumps(tree))


@pytest.fixture
def softxent(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Runs a command line in English: its exit code, what it printed, and what it complained of."""
    from softxent.app.cli import run

    monkeypatch.setenv("LC_ALL", "C")

    def command(*words: str) -> tuple[int, str, str]:
        code = run(words)
        return code, *capsys.readouterr()

    return command


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        where = find_chromium(playwright.chromium.executable_path)
        if where is None:
            (pytest.fail if os.environ.get(REQUIRED) == "1" else pytest.skip)(NONE_FOUND)
        with playwright.chromium.launch(executable_path=where) as running:
            yield running


@pytest.fixture(scope="session")
def ranks() -> Iterator[Any]:
    """Processes of torch.distributed, on gloo."""
    from tests.ranks import Ranks

    pool = Ranks()
    yield pool
    pool.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    skipped = sum(NONE_FOUND in str(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if skipped:
        terminalreporter.write_line(f"NOT RUN: {skipped} browser tests; {NONE_FOUND}", yellow=True, bold=True)
