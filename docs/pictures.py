"""Makes docs/report.png, docs/explorer.png and the same in Chinese: python -m docs.pictures

It trains on the digits by `softxent train` and looks at the pages in a Chromium, as the browser tests do.
`python -m docs.pictures explorer` makes those of the explorer page alone.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, sync_playwright

from softxent.app import explore
from softxent.app.cli import run
from tests.conftest import find_chromium

DOCS = Path(__file__).parent
WIDTH, SCALE = 1080, 1.5
TWO_CASES = "#v=1&lang={lang}&screen=4&shown=4&cell=0,1"


def main(only: str = "") -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        chromium = playwright.chromium.launch(executable_path=find_chromium(playwright.chromium.executable_path))
        for name, picture in (("report", report), ("explorer", explorer)):
            if only in ("", name):
                for lang, ending in (("en", "png"), ("zh", "zh.png")):
                    picture(chromium, lang, DOCS / f"{name}.{ending}")


def report(chromium: Browser, lang: str, file: Path) -> None:
    assert run(["train", "--lang", lang, "--out", lang]) == 0, "softxent train failed"
    shoot(chromium, Path(lang, "report.html").absolute().as_uri(), file, until="#confusion")


def explorer(chromium: Browser, lang: str, file: Path) -> None:
    shoot(chromium, explore.PAGE.as_uri() + TWO_CASES.format(lang=lang), file, until=".derivation")


def shoot(chromium: Browser, address: str, file: Path, *, until: str) -> None:
    """Takes a picture of a page, from its top to the end of an element."""
    page = chromium.new_page(viewport={"width": WIDTH, "height": 800}, device_scale_factor=SCALE)
    page.goto(address)
    bottom = page.locator(until).bounding_box()
    assert bottom, f"{address} has no {until}"
    clip: FloatRect = {"x": 0, "y": 0, "width": WIDTH, "height": bottom["y"] + bottom["height"]}
    page.screenshot(path=file, full_page=True, clip=clip)
    print(file, os.path.getsize(file), "bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
