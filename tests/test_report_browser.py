"""report.html in a real browser: it asks for nothing, complains of nothing, fits a phone and can be read."""

from itertools import pairwise

import pytest

from tests.report_cases import CASES, SCRIPT, written

PHONE, DESKTOP = 390, 1280

# WCAG 2.1, "contrast ratio": of each text's colour with the nearest background behind it
CONTRASTS = """() => {
  const rgb = color => color.match(/[\\d.]+/g).map(Number);
  const luminance = color => {
    const [r, g, b] = rgb(color).map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    const { backgroundColor } = getComputedStyle(element);
    return rgb(backgroundColor)[3] === 0 ? behind(element.parentElement) : backgroundColor;
  };
  const ratios = {};
  for (const element of document.querySelectorAll('body *:not(svg *)')) {
    if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
    const [a, b] = [getComputedStyle(element).color, behind(element)].map(luminance).sort((x, y) => y - x);
    ratios[element.tagName + ' ' + element.className] = (a + 0.05) / (b + 0.05);
  }
  return ratios;
}"""

CLIPPED = """() => [...document.querySelectorAll('svg text')].filter(text => {
  const [inner, outer] = [text, text.closest('svg')].map(element => element.getBoundingClientRect());
  return inner.left < outer.left - 1 || inner.right > outer.right + 1
      || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
}).map(text => text.textContent)"""


@pytest.fixture(scope="module")
def look(browser, tmp_path_factory):
    """Opens a report, once: the page, and all that it complained of or asked for, its own file first."""
    folder = tmp_path_factory.mktemp("reports")
    files = {name: written(folder, name).as_uri() for name in CASES}
    looked_at = {}

    def look(name, width=DESKTOP, scheme="light"):
        if (name, width, scheme) not in looked_at:
            page = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme).new_page()
            noise = []
            page.on("console", lambda message: noise.append(message.text))
            page.on("pageerror", lambda error: noise.append(str(error)))
            page.on("request", lambda request: noise.append(request.url.removeprefix(files[name]) or "itself"))
            page.goto(files[name])
            looked_at[name, width, scheme] = page, noise
        return looked_at[name, width, scheme]

    return look


@pytest.mark.parametrize("name", CASES)
def test_asks_for_nothing_and_complains_of_nothing(look, name):
    page, noise = look(name)
    page.wait_for_timeout(100)
    assert noise == ["itself"]
    assert page.evaluate("document.scripts.length") == 0


@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("name", CASES)
def test_fits_the_width(look, name, width):
    page, _ = look(name, width)
    page.evaluate("document.querySelectorAll('details').forEach(element => element.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(CLIPPED) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(look, scheme):
    for name in ("digits", "hostile"):
        ratios = look(name, scheme=scheme)[0].evaluate(CONTRASTS)
        assert ratios
        assert {element: ratio for element, ratio in ratios.items() if ratio < 4.5} == {}  # WCAG 2.1, AA


@pytest.mark.parametrize("name", CASES)
def test_worst_examples_with_p_y_and_p_minus_y(look, name):
    page, _ = look(name)
    cards = page.locator("#worst li")
    assert cards.count() == 10
    for rows in cards.evaluate_all(
        "cards => cards.map(card => [...card.querySelectorAll('tbody tr')].map(row => "
        "[Number(row.cells[1].innerText), ...[...row.querySelectorAll('data')].map(d => Number(d.value))]))"
    ):
        y, p, grad = (sum(column) for column in zip(*rows, strict=True))
        assert (y, abs(p - 1) < 1e-9, abs(grad) < 1e-9) == (1, True, True)


def test_bars_are_as_long_as_p_minus_y(look):
    page, _ = look("breast_cancer")
    rows = page.locator("#worst tbody tr").evaluate_all(
        "rows => rows.map(row => { const [track, bar] = ['.signed', '.signed i'].map(at => "
        "row.querySelector(at).getBoundingClientRect()); const grad = Number(row.querySelectorAll('data')[1].value); "
        "return [grad, (bar.left - track.left) / track.width, (bar.right - track.left) / track.width]; })"
    )
    assert len(rows) == 20
    for grad, left, right in rows:
        start, end = (left, right) if grad > 0 else (right, left)
        assert abs(start - 0.5) < 0.05
        assert abs(2 * (end - start) - grad) < 0.1


LANGUAGES = {"en": ("English", "Confusion matrix", "Accuracy"), "zh-CN": ("中文", "混淆矩阵", "准确率")}


@pytest.mark.parametrize(("name", "lang"), [("digits", "en"), ("wine", "zh-CN")])
def test_opens_in_its_language_and_switches(look, name, lang):
    page, _ = look(name)
    other = next(code for code in LANGUAGES if code != lang)
    assert page.locator("html").get_attribute("lang") == lang
    for shown, hidden in ((lang, other), (other, lang), (lang, other)):
        page.get_by_role("radio", name=LANGUAGES[shown][0]).check(force=True)
        _, title, heading = LANGUAGES[shown]
        assert page.get_by_role("heading", name=title, exact=True).is_visible()
        assert page.locator("dt", has_text=heading).first.is_visible()
        assert page.get_by_role("img", name=title).count() >= 1
        assert page.locator(f"main [lang={hidden}]").evaluate_all("all => all.some(e => e.checkVisibility())") is False
        assert page.locator("body").inner_text().count(LANGUAGES[hidden][1]) == 0


def test_the_keyboard_switches_the_language(look):
    page, _ = look("hundred")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "in-en"
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("heading", name="混淆矩阵", exact=True).is_visible()
    page.keyboard.press("ArrowLeft")
    assert page.get_by_role("heading", name="Confusion matrix", exact=True).is_visible()


def test_names_of_the_data_are_shown_as_they_are(look):
    page, _ = look("hostile")
    assert page.title().startswith("hostile.csv · " + SCRIPT)
    assert page.get_by_role("rowheader", name=SCRIPT).first.is_visible()
    assert page.locator("img").count() == 0


def test_pixels_are_drawn(look):
    page, _ = look("digits")
    sizes = page.locator("#worst img").evaluate_all(
        "all => all.map(i => [i.complete, i.naturalWidth, i.naturalHeight])"
    )
    assert sizes == 10 * [[True, 8, 8]]
    assert look("wine")[0].locator("#worst img").count() == 0


@pytest.mark.parametrize("name", CASES)
def test_can_be_read_without_seeing(look, name):
    page, _ = look(name)
    assert (
        page.locator("svg:not([role=img][aria-labelledby]), img:not([role=img] img[alt='']), [aria-label]").count() == 0
    )
    labels = page.locator("[aria-labelledby]").evaluate_all("all => all.map(e => e.getAttribute('aria-labelledby'))")
    assert all(page.locator(f"[id='{label}']").inner_text() for label in labels)
    ids = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(set(ids)) == len(ids)
    assert page.locator("thead th:not([scope=col]), tbody th:not([scope=row])").count() == 0
    levels = page.eval_on_selector_all("h1, h2, h3", "all => all.map(heading => Number(heading.tagName[1]))")
    assert levels[0] == 1
    assert max(after - before for before, after in pairwise(levels)) <= 1
    anchors = page.locator("nav a").all()
    assert len(anchors) > 3
    for anchor in anchors:
        assert page.locator(anchor.get_attribute("href")).count() == 1
