"""`softxent.explain`: the numbers of a trace, and the story that is told of them."""

import doctest
import inspect
import json
import math
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

import softxent
from softxent import definition, functional
from softxent.explain import Layer, explain
from softxent.explain.render import WIDTH, as_html, as_text, width
from softxent.explain.story import decimals, story
from softxent.words import LANGUAGES, language

INF, NAN = math.inf, math.nan
WORKED = explain([1, 5, 3], 1)

SCORES = {  # scores, target, options
    "worked": ([1, 5, 3], 1, {}),
    "one class": ([7], 0, {}),
    "masked": ([-INF, 0, 1], 2, {}),
    "masked target": ([-INF, 0, 1], 0, {}),
    "hopeless": ([0, -1000], 1, {}),
    "certain": ([0, 60], 1, {}),
    "huge": ([3e38, -3e38, 0], 1, {}),
    "tiny": ([1e-7, -1.23456789e-7, 5e-324], 1, {}),
    "apart": ([1e4, -1e4, 1e4], 1, {}),
    "hot": ([1, 5, 3], 1, {"temperature": 1e300}),
    "cold": ([1, 5, 3], 1, {"temperature": 1.2345678e-3}),
    "names": ([1, 5, 3], "狗", {"labels": ["一个很长很长很长的名字", "狗", "[red]<b>bird</b>[/red]"]}),
    "fifty": (np.random.default_rng(0).normal(0, 20, 50), 3, {"labels": [f"class number {i}" for i in range(50)]}),
    "thousand": (np.random.default_rng(1).normal(0, 1e-5, 1000), 3, {"temperature": 1.2345678e-3}),
    "layer": (Layer(np.linspace(-1, 1, 7), np.arange(84.0).reshape(12, 7) / 50, np.zeros(12)), 3, {}),
}
UNDEFINED = {"nan": [NAN, 1], "inf": [1, INF], "two inf": [INF, INF], "all masked": [-INF, -INF]}


def told(trace, lang="en", **options):
    return as_text(story(trace, lang, **options))


# The numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("scores", [1, 5, 3]),
        ("max", 5),
        ("shifted", [-4, 0, -2]),
        ("exp", [0.018316, 1, 0.135335]),
        ("sum", 1.153651),
        ("p", [0.015876, 0.866813, 0.117310]),
        ("hard_max", 1),
        ("loss", 0.142932),
        ("chain_rule", [0.015876, -0.133187, 0.117310]),
        ("gradient", [0.015876, -0.133187, 0.117310]),
        ("finite_difference", [0.015876, -0.133187, 0.117310]),
        ("scores_after", [0.984124, 5.133187, 2.882690]),
        ("loss_after", 0.114334),
    ],
)
def test_worked_example(step, expected):
    assert getattr(WORKED, step) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("case", SCORES)
def test_what_the_kernel_computes_comes_from_the_kernel(case):
    scores, target, options = SCORES[case]
    trace = explain(scores, target, **options)
    T = trace.temperature
    loss, gradient = functional.cross_entropy_and_grad(trace.scores, trace.target, temperature=T)
    assert trace.loss == loss
    np.testing.assert_array_equal(trace.gradient, gradient)
    np.testing.assert_array_equal(trace.p, functional.softmax(trace.scores, temperature=T))
    np.testing.assert_array_equal(trace.p_after, functional.softmax(trace.scores_after, temperature=T))


@pytest.mark.parametrize("case", SCORES)
def test_jacobian_has_two_cases(case):
    scores, target, options = SCORES[case]
    trace = explain(scores, target, **options)
    p = trace.p
    off = ~np.eye(len(p), dtype=bool)
    np.testing.assert_allclose(trace.jacobian.diagonal(), p * (1 - p), atol=1e-15)
    np.testing.assert_array_equal(trace.jacobian[off], -np.outer(p, p)[off])


@pytest.mark.parametrize("case", ["worked", "one class", "masked", "certain", "cold", "names", "fifty", "layer"])
def test_chain_rule_and_finite_differences_give_the_gradient(case):
    scores, target, options = SCORES[case]
    trace = explain(scores, target, **options)
    np.testing.assert_allclose(trace.chain_rule / trace.temperature, trace.gradient, rtol=1e-12, atol=1e-300)
    scale = trace.loss + 1
    np.testing.assert_allclose(trace.finite_difference, trace.gradient, atol=1e-9 * scale / trace.temperature)


@pytest.mark.parametrize("temperature", [1e-3, 0.1, 1, 10, 1e3])
@pytest.mark.parametrize("target", [0, 1, 2])
def test_the_step_lowers_the_loss(target, temperature):
    trace = explain([1, 5, 3], target, temperature=temperature)
    assert trace.loss_after < trace.loss or trace.loss == 0


def test_draws_are_a_thousand_and_the_same_each_time():
    assert sum(WORKED.draws) == 1000
    assert explain([1, 5, 3], 1).draws == WORKED.draws
    np.testing.assert_allclose(WORKED.draws, 1000 * WORKED.p, atol=5 * math.sqrt(250))


def test_target_is_an_index_a_name_or_the_largest_score():
    names = ["cat", "dog", "bird"]
    assert [explain([1, 5, 3], t, labels=names).target for t in (2, "2", "bird", np.int8(2), None)] == [2, 2, 2, 2, 1]


@pytest.mark.parametrize("name", ["W", "b", "x"])
def test_layer_gradients_are_finite_differences(name):
    rng = np.random.default_rng(0)
    parts = {"x": rng.normal(size=4), "W": rng.normal(size=(3, 4)), "b": rng.normal(size=3)}
    exact = getattr(explain(Layer(**parts), 1, temperature=0.7).layer, f"grad_{name}")

    def loss(change):
        return explain(Layer(**{**parts, name: parts[name] + change}), 1, temperature=0.7).loss

    for at in np.ndindex(exact.shape):
        h = np.zeros(exact.shape)
        h[at] = 1e-5
        assert exact[at] == pytest.approx((loss(h) - loss(-h)) / 2e-5, abs=1e-9)


@pytest.mark.parametrize("case", UNDEFINED)
def test_undefined_scores_are_data(case):
    trace = explain(UNDEFINED[case], 0)
    assert not trace.defined
    assert np.isnan([*trace.p, *trace.gradient, trace.loss]).all()
    assert "No softmax" in told(trace)
    assert "没有 softmax" in told(trace, "zh")


def test_inputs_are_not_written_to():
    scores = np.array([1.0, 5.0, 3.0])
    scores.flags.writeable = False
    trace = explain(scores, 1)
    assert not np.shares_memory(trace.scores, scores)


# Mistakes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "target", "options", "message"),
    [
        ([1, 5, 3], 7, {}, "target is 7, but scores has 3 classes (0 … 2)"),
        ([1, 5, 3], -1, {}, "target is -1, but scores has 3 classes (0 … 2)"),
        ([1, 5, 3], 1.0, {}, "target is 1.0, but must be an integer or one of the labels"),
        ([1, 5, 3], True, {}, "target is True, but must be an integer or one of the labels"),
        ([1, 5], "cow", {}, "target is 'cow', but must be an index (0 … 1); for a name, give labels too"),
        (
            [1, 5],
            "cow",
            {"labels": ["cat", "dog"]},
            "target is 'cow', but must be an index (0 … 1) or one of the labels: cat, dog",
        ),
        ([1, 5, 3], 1, {"labels": ["a", "b"]}, "labels has 2 names, but scores has 3 classes"),
        ([1, 5], 1, {"labels": "aa"}, "labels[1] is 'a' again, but must be a name of its own for each class"),
        ([1, 5], 1, {"temperature": 0}, "temperature is 0, but must be a finite number above 0"),
        ([1, 5], 1, {"temperature": NAN}, "temperature is nan, but must be a finite number above 0"),
        ([1, 5], 1, {"temperature": INF}, "temperature is inf, but must be a finite number above 0"),
        ([1, 5], 1, {"temperature": "hot"}, "temperature is 'hot', but must be a finite number above 0"),
        (["1", "5"], 1, {}, "scores is ['1', '5'], but must be one row of real numbers"),
        ([1j, 5], 1, {}, "scores is [1j, 5], but must be one row of real numbers"),
        ([[1], [2, 3]], 1, {}, "scores is [[1], [2, 3]], but must be one row of real numbers"),
        ([True, False], 1, {}, "scores is [True, False], but must be one row of real numbers"),
        ([[1, 5, 3]], 1, {}, "scores has shape (1, 3), but must be (V,): one row, one score a class"),
        (5, 0, {}, "scores has shape (), but must be (V,): one row, one score a class"),
        (
            [],
            0,
            {},
            "scores has 0 classes, but must have 1 … 1000: the Jacobian has classes × classes numbers",
        ),
        (
            np.zeros(1001),
            0,
            {},
            "scores has 1001 classes, but must have 1 … 1000: the Jacobian has classes × classes numbers",
        ),
    ],
)
def test_mistakes(scores, target, options, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 the whole text is compared
        explain(scores, target, **options)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("x", "W", "b", "message"),
    [
        ("ab", [[1]], [1], "x is 'ab', but must be an array of real numbers"),
        (
            [1, 2],
            [[1, 2, 3]],
            [1],
            "x, W, b have shapes (2,), (1, 3), (1,), but must have (D,), (V, D), (V,): the scores are W x + b",
        ),
        (
            [1, 2],
            [[1, 2]],
            1,
            "x, W, b have shapes (2,), (1, 2), (), but must have (D,), (V, D), (V,): the scores are W x + b",
        ),
    ],
)
def test_mistakes_in_a_layer(x, W, b, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        Layer(x, W, b)
    assert str(error.value) == message


# The story ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("article", [False, True])
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("case", SCORES)
def test_story_fits_80_columns(case, lang, article):
    scores, target, options = SCORES[case]
    lines = told(explain(scores, target, **options), lang, article=article).split("\n")
    assert [line for line in lines if width(line) > WIDTH or line != line.rstrip()] == []
    assert len(lines) < 140


@pytest.mark.parametrize(
    ("case", "article", "line"),
    [
        ("worked", False, "p = [0.015876, 0.866813, 0.117310]"),
        ("worked", False, "gradient = [0.015876, −0.133187, 0.117310]"),
        ("worked", False, "−ln p_y = −ln 0.866813 = 0.142932 nats"),
        ("worked", False, "▸ j = 1    −0.013762   [0.115448]  −0.101686"),
        ("worked", False, "loss 0.142932 → 0.114334: it fell by 0.028598."),
        ("worked", True, "p = [0.015, 0.866, 0.117]"),
        ("worked", True, "gradient = [0.015, 0.866 − 1, 0.117]"),
        ("worked", True, "As in the article, numbers are truncated, not rounded, to three digits."),
        ("certain", False, "−ln (1 − 8.76e-27) = 8.756511e-27 nats"),
        ("hopeless", False, "p_y is 0 in float64: −1/p_y cannot be computed, but p − y needs no division."),
        ("masked", False, "−∞ is a mask: that class has probability 0 and gradient 0."),
        ("masked target", False, "The target is masked: its probability is 0, so the loss is ∞."),
        ("fifty", False, "40 of the 50 classes are not shown here; all are in to_dict() and --json."),
        ("fifty", False, "5 × 5 of 50 × 50 entries are shown: the target and the most probable."),
        ("layer", False, "∂loss/∂x"),
    ],
)
def test_story_says(case, article, line):
    scores, target, options = SCORES[case]
    assert line in told(explain(scores, target, **options), article=article)


def test_story_in_chinese():
    text = told(WORKED, "zh", article=True)
    for line in (
        "3 个分数，目标：类别 1（从",
        "梯度 = [0.015, 0.866 − 1, 0.117]",
        "截断（不是四舍五入）",
        "下降了 0.028",
    ):
        assert line in text.replace("（类别从", "（从")


def test_target_and_hard_max_are_always_shown():
    text = told(explain(np.arange(100.0), 0))
    assert "▸ 0 " in text
    assert "  99 " in text


@pytest.mark.parametrize(
    ("value", "exact", "article"),
    [
        (0.0, "0.000000", "0.000"),
        (-0.0, "0.000000", "0.000"),
        (0.8669999, "0.867000", "0.866"),
        (-0.1331866, "−0.133187", "−0.133"),
        (0.866, "0.866000", "0.866"),
        (1e-5, "1.00e-05", "1.00e-05"),
        (-1.9999e-5, "−2.00e-05", "−1.99e-05"),
        (5e-324, "4.94e-324", "4.94e-324"),
        (-1.7976e308, "−1.80e+308", "−1.79e+308"),
        (INF, "∞", "∞"),
        (-INF, "−∞", "−∞"),
        (NAN, "nan", "nan"),
    ],
)
def test_numbers(value, exact, article):
    assert (decimals(value), decimals(value, article=True)) == (exact, article)


def test_str_follows_the_locale(monkeypatch):
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert str(WORKED) == as_text(story(WORKED, "zh"))
    monkeypatch.setenv("LC_ALL", "C")
    assert str(WORKED) == told(WORKED)


def test_repr_is_one_line():
    assert repr(WORKED) == "Trace(target=1, p=[0.0158762, 0.866813, 0.11731], loss=0.142932)"


@pytest.mark.parametrize("case", [*sorted(SCORES.keys() - {"thousand"}), *UNDEFINED])
def test_to_dict_is_json(case):
    scores, target, options = SCORES.get(case) or (UNDEFINED[case], 0, {})
    trace = explain(scores, target, **options)
    back = json.loads(json.dumps(trace.to_dict(), allow_nan=False))
    np.testing.assert_array_equal(np.array(back["p"], float), trace.p)
    np.testing.assert_array_equal(np.array(back["jacobian"], float), trace.jacobian)
    assert float(back["loss"]) == pytest.approx(trace.loss, rel=0, nan_ok=True)


class Tags(HTMLParser):
    """What is open, and what was closed in the wrong order."""

    def __init__(self):
        super().__init__()
        self.open, self.wrong = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.wrong += [attr for attr in attrs if attr[0] in ("src", "href")]

    def handle_endtag(self, tag):
        if self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.mark.parametrize("case", [*SCORES, *UNDEFINED])
def test_html_is_whole_and_self_contained(case):
    scores, target, options = SCORES.get(case) or (UNDEFINED[case], 0, {})
    page = explain(scores, target, **options)._repr_html_()
    tags = Tags()
    tags.feed(page)
    assert (tags.open, tags.wrong) == ([], [])
    assert "http" not in page
    assert "<script" not in page


def test_html_shows_the_steps():
    page = as_html(story(WORKED, "en"))
    for part in (
        '<td class="strong">0.866813</td>',
        '<td class="diagonal">[0.115448]</td>',
        '<i style="width: 86.681%"></i>',
        "gradient = [0.015876, −0.133187, 0.117310]",
    ):
        assert part in page


def test_html_escapes_names():
    page = explain([1, 2], 0, labels=["<b>", "a&b"])._repr_html_()
    assert "<td>  a&amp;b</td>" in page
    assert "<b></td>" not in page


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LC_MESSAGES": "zh_TW", "LANG": "en_US"}, "zh"),
        ({"LC_ALL": "en_US.UTF-8", "LC_MESSAGES": "zh_CN", "LANG": "zh_CN"}, "en"),
        ({"LC_ALL": "", "LANG": "zh"}, "zh"),
        ({"LANG": "de_DE"}, "en"),
    ],
)
def test_language(environment, expected):
    assert language(environment) == expected


@pytest.mark.parametrize(
    "first",
    ["import softxent", "import softxent.explain.story", "from softxent.explain import Layer", "softxent.explain"],
)
def test_explain_is_called_whatever_was_imported_before(first):
    code = f"import softxent\n{first}\nprint(repr(softxent.explain([1, 5, 3], 1)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, encoding="utf-8")
    assert done.stdout == f"{WORKED!r}\n"


def test_signature():
    assert list(inspect.signature(softxent.explain).parameters) == ["scores", "target", "temperature", "labels"]


@pytest.mark.parametrize("page", ["explain.md", "explain.zh.md"])
def test_docs(page):
    failed, tried = doctest.testfile(f"../docs/{page}", encoding="utf-8")
    assert not failed
    assert tried


def test_explain_needs_neither_typer_nor_rich():
    code = "import sys, softxent as sx; str(sx.explain([1])); assert not {'typer', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_definition_and_kernel_agree_on_the_worked_example():
    loss, gradient = definition.cross_entropy_and_grad([1, 5, 3], 1)
    assert WORKED.loss == pytest.approx(float(loss), rel=1e-15)
    np.testing.assert_allclose(WORKED.gradient, gradient, rtol=1e-15)
