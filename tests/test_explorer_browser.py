"""The explorer page in a real browser, from file:// with the network off: numbers, keys, hash, and who can read it."""

import re
import shutil

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from softxent.app import explore
from tests.explorer_cases import CASES, DRAWN, OPEN_ALL, close, expected
from tests.report_cases import contents, written

SIZES = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True},
}
LANGUAGES = ("en", "zh")
SCREENS = range(1, 9)
OURS = (1, 2, 3, 4, 5, 8)  # whose numbers are a row's; 6 and 7 have tests of their own
AXE = {"resultTypes": ["violations"]}  # it is quicker where it need not list what is right
ALL_SHOWN = "#v=1&lang={lang}&screen={screen}&shown=12345678"

NUMBERS = """() => [...document.querySelectorAll('[data-name]')].map(
  e => [e.dataset.name, Number(e.dataset.value), e.textContent.trim()])"""
ESCAPED = """() => [...document.querySelectorAll('body *')].filter(e => {
  const { right, left, width } = e.getBoundingClientRect();
  return width > 0 && (right > innerWidth + 1 || left < -1) && !e.closest('.scroll, .formula, .label, svg');
}).map(e => e.outerHTML.slice(0, 80))"""
OUTLINED = """() => {
  const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
  return document.activeElement === document.body || (outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2);
}"""
FOCUSED = """() => {
  const e = document.activeElement;
  return e === document.body ? '' : (e.id || e.getAttribute('aria-label') || e.textContent).trim();
}"""


@pytest.fixture(scope="module")
def opened(browser):
    """Opens the page at a hash: the page, and all that it complained of or asked for, its own file first."""
    contexts = {}

    def opened(hash="", size="desktop", scheme="light", locale="en-US", motion="no-preference", file=explore.PAGE):
        key = size, scheme, locale, motion
        if key not in contexts:
            contexts[key] = browser.new_context(
                **SIZES[size], color_scheme=scheme, locale=locale, offline=True, reduced_motion=motion
            )
        page, noise = contexts[key].new_page(), []
        page.on("console", lambda message: noise.append(message.text))
        page.on("pageerror", lambda error: noise.append(str(error)))
        page.on("request", lambda request: noise.append(request.url.partition("#")[0]))
        page.goto(file.as_uri() + hash)
        page.wait_for_selector("h1")
        return page, noise

    yield opened
    for context in contexts.values():
        context.close()


@pytest.fixture(scope="module")
def turned(opened):
    """Turns a page, opened once for each look, to a hash: the page, and all that it complained of or asked for."""
    pages = {}

    def turned(hash, **look):
        key = tuple(look.items())
        if key not in pages:
            pages[key] = opened(**look)
        page, noise = pages[key]
        page.goto(explore.PAGE.as_uri() + hash)
        page.evaluate(DRAWN)
        return page, noise

    return turned


@pytest.mark.parametrize("screen", SCREENS)
def test_asks_for_nothing_and_complains_of_nothing(opened, screen):
    lang = LANGUAGES[screen % 2]  # test_fits_the_width listens to the others
    page, noise = opened(ALL_SHOWN.format(screen=screen, lang=lang))
    page.evaluate(OPEN_ALL)
    page.wait_for_timeout(400)  # the hash is written
    assert noise == [explore.PAGE.as_uri()]
    assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[lang]
    page.close()


@pytest.mark.parametrize("case", CASES)
def test_numbers_are_the_definitions(turned, case):
    want = expected(CASES[case])
    for screen in OURS:
        page, _ = turned(CASES[case].hash(screen, "en"))
        if screen == 1:
            page.get_by_role("button", name="Draw 100").click()
        numbers = page.evaluate(NUMBERS)
        drawn = [value for name, value, _ in numbers if name.startswith("drawn")]
        assert sum(drawn) == (100 if screen == 1 else 0)
        rest = [(name, value) for name, value, _ in numbers if not name.startswith("drawn")]
        assert len(rest) >= 4
        assert [(name, value, want[name]) for name, value in rest if not close(name, value, want[name])] == []


@pytest.mark.parametrize("screen", OURS)
def test_digits_are_those_of_the_number(turned, screen):
    page, _ = turned(CASES["lesson"].hash(screen, "zh"))
    for name, value, shown in page.evaluate(NUMBERS):
        digits = float(shown.replace("−", "-"))
        assert abs(digits - value) <= 10.0 ** -len(shown.partition(".")[2].partition("e")[0]) * 10 ** (
            int(shown.partition("e")[2].replace("−", "-") or 0)
        ), name


def test_lesson_truncated_and_exact(opened):
    page, _ = opened("#v=1&lang=en&screen=5&shown=5")
    cells = page.locator("table").last.locator("tbody tr td")
    assert [text.strip() for text in cells.all_inner_texts()][:9:3] == ["0.015876", "0.866813", "0.117310"]
    page.get_by_label("cut off after three").check()
    assert [text.strip() for text in cells.all_inner_texts()][:9] == [
        "0.015", "0", "0.015", "0.866", "1", "−0.134", "0.117", "0", "0.117",
    ]  # fmt: skip
    page.close()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("screen", SCREENS)
def test_fits_the_width(turned, screen, lang, size):
    for case in ("lesson", "fifty"):
        page, noise = turned(CASES[case].hash(screen, lang), size=size)
        page.evaluate(OPEN_ALL)
        assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[size]["viewport"]["width"]
        assert page.evaluate(ESCAPED) == []
        assert noise == [explore.PAGE.as_uri()]


@pytest.mark.parametrize(
    ("lang", "shown", "size", "scheme", "options"),
    [
        ("en", "12345678", "desktop", "light", AXE),
        ("zh", "", "desktop", "light", AXE),
        ("en", "12345678", "phone", "light", AXE),
        ("en", "12345678", "desktop", "dark", AXE | {"runOnly": ["color-contrast"]}),  # colours are all that differs
    ],
)
@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing(turned, screen, lang, shown, size, scheme, options):
    page, _ = turned(CASES["lesson"].hash(screen, lang, shown), size=size, scheme=scheme, motion="reduce")
    page.evaluate(OPEN_ALL)
    found = Axe().run(page, options=options).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"][:120]) for each in found] == []


@pytest.mark.parametrize("screen", SCREENS)
def test_asks_before_it_shows(opened, screen):
    page, _ = opened(f"#v=1&lang=en&screen={screen}")
    choices = page.locator(".choice")
    assert choices.count() >= 2
    before = page.locator("main").inner_text()
    choices.first.click()
    assert page.locator(".verdict").inner_text().startswith(("Right.", "Not quite."))
    assert len(page.locator("main").inner_text()) > len(before)
    page.wait_for_url(re.compile(rf"shown={screen}$"))
    page.close()


def test_keyboard_alone(opened):
    page, _ = opened("#v=1&lang=en&screen=1")
    for screen in SCREENS:
        _tab_to(page, r"Just show me")
        page.keyboard.press("Enter")
        assert page.locator(".verdict").inner_text() != ""
        if screen == 1:
            _tab_to(page, r"Score of cat")
            for _ in range(10):
                page.keyboard.press("ArrowRight")
            assert page.locator("[data-name='scores[0]']").first.get_attribute("data-value") == "2"
        if screen == 4:
            _tab_to(page, r"∂p_1/∂z_1")
            page.keyboard.press("ArrowLeft")
            assert page.evaluate(FOCUSED).startswith("∂p_1/∂z_0")
            assert page.locator(".derivation.other").count() == 1
        if screen < 8:
            _tab_to(page, r"Next →")
            page.keyboard.press("Enter")
            expect(page.locator(".eyebrow")).to_have_text(re.compile(f"^{screen + 1} "))
            assert page.evaluate(FOCUSED) == "question"
    page.close()


def _tab_to(page, name):
    for _ in range(150):
        page.keyboard.press("Tab")
        if re.match(name, page.evaluate(FOCUSED)):
            return
    pytest.fail(f"Tab never reaches {name}")


@pytest.mark.parametrize("screen", OURS)
def test_what_has_the_focus_is_seen(turned, screen):
    page, _ = turned(f"#v=1&lang=en&screen={screen}&shown=12345678")
    for _ in range(20):
        page.keyboard.press("Tab")
        assert page.evaluate(OUTLINED)


def test_hash_follows_the_page_and_the_page_the_hash(opened):
    page, _ = opened("#v=1&lang=en&screen=2&shown=12345678")
    page.get_by_label("Scores", exact=True).fill("2 4, 8")
    page.get_by_role("button", name="3 The loss").click()
    page.get_by_label("dog", exact=True).check()
    page.wait_for_url(re.compile("screen=3&scores=2,4,8&target=1&"))
    again, _ = opened(page.evaluate("location.hash"))
    assert again.locator("main").inner_text() == page.locator("main").inner_text()
    page.go_back()
    expect(page.locator(".eyebrow")).to_have_text("2 · The formula")
    page.close()
    again.close()


@pytest.mark.parametrize(
    "hash",
    [
        "#",
        "#%",
        "#%E0%A4%A",
        "#v=0&screen=5&scores=9,9",
        "#v=2",
        "#v=1&screen=99",
        "#v=1&scores=1,x,3",
        "#v=1&T=0",
        "#<script>alert(1)</script>",
    ],
)
def test_broken_hash_is_the_default(turned, hash):
    assert turned("#v=1&screen=5&scores=9,9", locale="en-GB")[0].locator(".eyebrow").inner_text().startswith("5")
    page, noise = turned(hash, locale="en-GB")
    assert page.locator(".eyebrow").inner_text() == "1 · Soft max"
    assert page.locator("[data-name^='scores']").evaluate_all("all => all.map(e => e.dataset.value)") == ["1", "5", "3"]
    assert noise == [explore.PAGE.as_uri()]


@pytest.mark.parametrize(
    ("lang", "pasted", "message"),
    [
        ("en", "1, two, 3", "scores[1] is “two”, but must be a number."),
        ("zh", "1，2，inf", "scores[2] 是“inf”，应为有限的数。"),
        ("en", "0 " * 51, "scores has 51 numbers, but must have 1 … 50."),
        ("zh", "", "分数是空的：每类应有一个数。"),
    ],
)
def test_wrong_scores_are_named(opened, lang, pasted, message):
    page, _ = opened(f"#v=1&lang={lang}&screen=2&shown=2")
    field = page.locator("#scores")
    field.fill(pasted)
    assert page.locator("#scores-hint").inner_text() == message
    assert field.get_attribute("aria-invalid") == "true"
    assert page.locator("[data-name='scores[1]']").get_attribute("data-value") == "5"
    field.fill("0.5\t-1e-3\n7 8")
    assert page.locator("[data-name='scores[1]']").get_attribute("data-value") == "-0.001"
    assert page.locator("#scores[aria-invalid=true]").count() == 0
    page.close()


@pytest.mark.parametrize(("locale", "title"), [("zh-CN", "软最大"), ("en-GB", "Soft max"), ("fr-FR", "Soft max")])
def test_speaks_the_browsers_language(opened, locale, title):
    page, _ = opened(locale=locale)
    assert page.locator(".eyebrow").inner_text() == f"1 · {title}"
    page.get_by_role("button", name="中文" if title == "Soft max" else "English").click()
    assert page.locator(".eyebrow").inner_text() != f"1 · {title}"
    page.close()


def test_written_scores_are_shown(opened, softxent, tmp_path):
    file = tmp_path / "out.html"
    softxent("explain", "0.5", "2", "--target", "a&b", "--labels", 'a&b,"猫"', "--html", str(file), "--lang", "zh")
    page, noise = opened(file=file)
    page.locator(".plain", has_text="直接看答案").click()
    assert page.locator(".eyebrow").inner_text() == "5 · 为什么是 p − y"
    assert page.locator("[data-name='scores[0]']").get_attribute("data-value") == "0.5"
    assert page.locator(".gradients .class").all_inner_texts() == ["a&b ▸", '"猫"']
    assert noise == [file.as_uri()]
    page.close()


def test_report_links_to_its_worst_rows(opened, browser, tmp_path):
    file, evaluation = written(tmp_path, "wine"), contents("wine").evaluation
    shutil.copy(explore.PAGE, tmp_path)
    page = browser.new_page()
    page.goto(file.as_uri())
    for k, example in enumerate(evaluation.worst[:2]):
        link = page.locator("#worst li").nth(k).locator("a:visible")
        assert str(example.row) in link.inner_text()
        shown, _ = opened(link.get_attribute("href").removeprefix("explorer.html"), file=tmp_path / "explorer.html")
        shown.locator(".plain", has_text="直接看答案").click()
        grad = shown.locator(".gradients [data-name]").evaluate_all("all => all.map(e => Number(e.dataset.value))")
        np.testing.assert_allclose(grad, example.grad, atol=1e-7)  # 9 digits of each score are in the link
        assert [text.removesuffix(" ▸") for text in shown.locator(".gradients .class").all_inner_texts()] == list(
            evaluation.classes
        )
        shown.close()
    page.close()
