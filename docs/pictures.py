"""Makes the pictures of the report, docs/report.png and docs/report.zh.png: python -m docs.pictures

It trains on the digits by `softxent train` and looks at the report in a Chromium, as the browser tests do.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from softxent.app.cli import run
from tests.conftest import find_chromium

PICTURES = {"en": "report.png", "zh": "report.zh.png"}
DOCS = Path(__file__).parent


def main() -> None:
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        chromium = playwright.chromium.launch(executable_path=find_chromium(playwright.chromium.executable_path))
        for lang, name in PICTURES.items():
            assert run(["train", "--lang", lang, "--out", lang]) == 0, "softxent train failed"
            page = chromium.new_page(viewport={"width": 1080, "height": 800}, device_scale_factor=1.5)
            page.goto(Path(lang, "report.html").absolute().as_uri())
            bottom = page.locator("#confusion").bounding_box()
            assert bottom, "the report has no confusion matrix"
            clip = {"x": 0, "y": 0, "width": 1080, "height": bottom["y"] + bottom["height"]}
            page.screenshot(path=DOCS / name, full_page=True, clip=clip)
            print(DOCS / name, os.path.getsize(DOCS / name), "bytes")


if __name__ == "__main__":
    main()
