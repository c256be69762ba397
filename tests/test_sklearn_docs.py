"""The pages about the estimator: their examples run, and the code that they quote is the code."""

import doctest
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = ["estimator.md", "backpropagation.md"]


@pytest.mark.parametrize("page", PAGES)
def test_examples(page):
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE, encoding="utf-8"
    )
    assert not failed
    assert tried


@pytest.mark.parametrize("page", PAGES)
def test_quoted_code_is_ours(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for path, quoted in re.findall(r"<!-- quoted from (\S+) -->\n```python\n(.*?)```", text, re.DOTALL):
        assert quoted in (ROOT / path).read_text(encoding="utf-8")
