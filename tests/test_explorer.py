"""The explorer page without a browser: what is committed, what it may not do, the commands that write and open it."""

import json
import re
import webbrowser

import numpy as np
import pytest

import softxent as sx
from softxent.app import explore
from softxent.words import Mistake
from tests.explorer_cases import Case, expected
from web import vectors

LARGEST = 400_000


def leaves(value, place=""):
    if isinstance(value, (dict, list)):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(each, f"{place}[{key!r}]")
    else:
        yield place, value


def test_vectors_are_what_the_definition_says():
    """But for the last digits, which depend on the processor and on how it multiplies matrices."""
    written, made = (dict(leaves(json.loads(text))) for text in (vectors.FILE.read_text("utf-8"), vectors.text()))
    assert written.keys() == made.keys()
    for place, value in made.items():
        expected = pytest.approx(value, rel=1e-11, abs=1e-13) if isinstance(value, float) else value
        assert written[place] == expected, place


def test_one_file_that_may_load_nothing():
    page = explore.PAGE.read_text("utf-8")
    assert len(page.encode()) <= LARGEST
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)[1]
    kinds = {kind: sources for kind, *sources in (part.split() for part in policy.split("; "))}
    assert kinds.pop("default-src") == kinds.pop("base-uri") == kinds.pop("form-action") == ["'none'"]
    assert all(source.startswith("'sha256-") for source in kinds["script-src"] + kinds["style-src"])
    assert not re.search(
        r"""(?:src|href)=["']?(?!#|data:,)|@import|url\((?!#)""", page.split("<body")[0].split("<script")[0]
    )


def test_view():
    assert explore.view([1, 5], 1, labels=["a&b", "猫"], temperature=2, truncated=True, lang="zh") == (
        "v=1&lang=zh&screen=5&scores=1.0,5.0&target=1&T=2&label=a%26b&label=%E7%8C%AB&truncated=1"
    )
    assert '<meta name="softxent-view" content="v=1&amp;lang=en&amp;label=%22">' in explore.with_view(
        "v=1&lang=en&label=%22"
    )


@pytest.mark.parametrize(
    ("logits", "temperature", "message"),
    [
        (range(51), 1, "scores has 51 classes, but the page shows 50 at most"),
        ([1, -np.inf], 1, "scores[1] is -inf, but the page needs finite numbers"),
        ([1, 2], 30, "temperature is 30, but the page has 0.05 … 20"),
    ],
)
def test_what_the_page_cannot_show(logits, temperature, message):
    with pytest.raises(Mistake, match=f"^{re.escape(message)}$"):
        explore.view(logits, 0, temperature=temperature, lang="en")


@pytest.mark.parametrize("opens", [True, False])
def test_explore(softxent, monkeypatch, opens):
    asked = []
    monkeypatch.setattr(webbrowser, "open", lambda url: asked.append(url) or opens)
    code, out, err = softxent("explore")
    assert (code, err, asked) == (0, "", [f"{explore.PAGE.as_uri()}#v=1&lang=en"])
    assert out == (
        f"{explore.PAGE} is open in the browser.\n"
        if opens
        else f"There is no browser here. The page is {explore.PAGE}\n"
    )
    assert "没有浏览器" in softxent("explore", "--lang", "zh")[1] or opens


def test_explain_html(softxent, tmp_path):
    file = tmp_path / "out.html"
    words = ("explain", "1", "5", "3", "--target", "dog", "--labels", "cat,dog,bird", "--html", str(file))
    assert softxent(*words) == (0, f"{file} has these scores: open it in a browser.\n", "")
    view = re.search('name="softxent-view" content="([^"]+)"', file.read_text("utf-8"))[1]
    hash = "v=1&lang=en&screen=5&scores=1.0,5.0,3.0&target=1&T=1.0&label=cat&label=dog&label=bird"
    assert view == hash.replace("&", "&amp;")
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_explain_html_mistakes(softxent, tmp_path):
    file = tmp_path / "layer.npz"
    np.savez(file, x=[1, 2], W=[[1, 0], [0, 1]], b=[0, 0])
    before = file.read_bytes()
    assert softxent("explain", "--layer", str(file), "--html", str(file))[0] == 2
    assert file.read_bytes() == before
    assert softxent("explain", "1", "2", "--html", str(tmp_path / "a"), "--json") == (
        2, "", "error: --html writes a page and --json prints numbers: choose one\n",
    )  # fmt: skip
    code, _, err = softxent("explain", "1", "2", "--html", str(tmp_path / "none" / "a.html"))
    assert (code, "cannot be written" in err) == (2, True)


def test_vectors_hold_the_lesson():
    lesson = json.loads(vectors.FILE.read_text("utf-8"))["rows"][0]
    assert np.round(lesson["p"], 6).tolist() == [0.015876, 0.866813, 0.11731]


@pytest.mark.parametrize("lead", [0, 0.5, 3, 10, 16.6, 20, 36, 40])
def test_what_the_page_says_of_softxent_is_what_softxent_returns(lead):
    shown = expected(Case([0, 1], 1, lead=lead))
    loss, grad = sx.cross_entropy_and_grad(np.float32([[0, lead]]), [1])
    for name, value in (("ours loss", loss), ("ours gradient", grad[0, 1])):
        assert abs(shown[name] - value) <= 4 * np.spacing(np.float32(abs(shown[name]))), name
