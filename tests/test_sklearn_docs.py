"""The pages about the estimator: their examples run, and the code that they quote is the code."""

import doctest

import pytest

from pages import ROOT, quotes


@pytest.mark.parametrize("page", ["estimator.md", "estimator.zh.md", "backpropagation.md", "backpropagation.zh.md"])
def test_examples(page):
    failed, tried = doctest.testfile(
        str(ROOT / "docs" / page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE, encoding="utf-8"
    )
    assert not failed
    assert tried


@pytest.mark.parametrize("page", ["docs/backpropagation.md", "docs/backpropagation.zh.md"])
def test_quoted_code_is_ours(page):
    for path, quoted in quotes(page):
        assert quoted in (ROOT / path).read_text(encoding="utf-8")
