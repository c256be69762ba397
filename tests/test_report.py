"""report.html as a file: self-contained, escaped, in two languages; test_report_browser.py looks at it."""

from html.parser import HTMLParser

import numpy as np
import pytest

from softxent.app.report import Content, Evaluation, TreatedColumn, curves, merged, shown, write
from softxent.app.report.examples import class_rows
from softxent.app.report.numbers import percent, significant
from softxent.app.words import Words
from tests.report_cases import CASES, SCRIPT, contents, evaluated, written

ALLOWED = ("#", "data:", "explorer.html#")  # the page beside it


class Page(HTMLParser):
    """What a report has: its tags, what they refer to, its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.references, self.attributes, self.text = [], [], [], ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        self.references += [value for name, value in attributes if name in ("src", "href", "srcset", "action", "data")]

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    return {name: Page(written(folder, name).read_text("utf-8")) for name in CASES}


@pytest.fixture
def evaluation():
    return Evaluation.of(["cat", "dog"], [0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], class_counts=[5, 5])


def text_of(path, evaluation, **options):
    write(path, Content(**{"name": "pets", "target": "kind", "date": "today", "evaluation": evaluation, **options}))
    return Page(path.read_text("utf-8"))


@pytest.mark.parametrize("name", CASES)
def test_needs_nothing_from_outside(pages, name):
    assert [to for to in pages[name].references if not to.startswith(ALLOWED)] == []
    assert "url(" not in pages[name].text
    assert "@import" not in pages[name].text


@pytest.mark.parametrize("name", CASES)
def test_has_no_script_and_no_tag_of_the_datas(pages, name):
    assert {"script", "b"}.isdisjoint(pages[name].tags)
    assert pages[name].tags.count("img") == (10 if name == "digits" else 0)
    assert ("hacked" in pages[name].text) == (name == "hostile")


def test_names_that_are_no_text_do_not_stop_it(tmp_path, evaluation):
    assert "caf?.csv" in text_of(tmp_path / "r.html", evaluation, name="caf\udce9.csv").text


@pytest.mark.parametrize("losses", [[2.0], [2.0, 1.0], [0.0, 0.0], [1e-9, 1e-9], [1e5, 1e-7], [np.inf, 1.0, np.nan]])
def test_any_loss_has_a_curve_within_its_panel(losses):
    curve = curves.losses(losses, losses[::-1])
    points = [tuple(map(float, point.split(","))) for line in curve.lines for point in line.split()]
    assert len(points) == 2 * np.isfinite(losses).sum()
    width, height = curves.PANEL
    for x, y in points + curve.points:
        assert 0 <= x <= width
        assert 0 <= y <= height
    assert len({tick.label for tick in curve.y}) == len(curve.y) >= 2


@pytest.mark.parametrize("accuracies", [[1.0], [0.0], [0.5, 0.5], [0.0, 1.0], [0.97, 0.9702, 0.9701]])
def test_accuracy_stays_within_0_and_100_percent(accuracies):
    curve = curves.accuracies(accuracies)
    assert (curve.step, curves.accuracies(accuracies, kept=1).step) == (len(accuracies), 1)
    labels = [float(tick.label.removesuffix("\N{NO-BREAK SPACE}%")) for tick in curve.y]
    assert labels == sorted(set(labels))
    assert len(labels) >= 2
    assert 0 <= labels[0] <= 100 * min(accuracies)
    assert 100 * max(accuracies) <= labels[-1] <= 100


@pytest.mark.parametrize("name", CASES)
def test_class_rows_hold_the_target_and_sum_to_zero(name):
    for example in evaluated(CASES[name]).worst:
        rows = class_rows(CASES[name].classes, example)
        assert len(rows) <= 6
        assert sum(row.y for row in rows) == 1
        np.testing.assert_allclose(sum(row.p for row in rows), 1, rtol=1e-12)
        np.testing.assert_allclose(sum(row.grad for row in rows), 0, atol=1e-12)


@pytest.mark.parametrize(
    "examples", [[{}] * 3, [{}, {"pixel0": 1}, {"pixel1": 2}], [{f"pixel{k}": "red" for k in range(4)}] * 3]
)
def test_examples_of_few_or_other_features_each(tmp_path, evaluation, examples):
    page = text_of(tmp_path / "r.html", evaluation, examples=shown(examples))
    assert page.tags.count("dd") == 3 + sum(map(len, examples))  # 3: the scores


def test_more_than_a_hundred_classes_have_no_matrix(tmp_path):
    rng = np.random.default_rng(0)
    P = rng.dirichlet(np.ones(101), 200)
    big = Evaluation.of(range(101), rng.integers(0, 101, 200), P, class_counts=np.ones(101, int))
    page = text_of(tmp_path / "r.html", big)
    assert "With 101 classes the matrix would not be readable" in page.text
    assert "rect" not in page.tags


def test_says_so_when_no_better_than_the_baseline(tmp_path, evaluation):
    even = Evaluation.of(["cat", "dog"], [0, 1], [[0.5, 0.5]] * 2, class_counts=[5, 5])
    assert "The log-loss is not below the baseline's" in text_of(tmp_path / "even.html", even).text
    assert "The log-loss is not below the baseline's" not in text_of(tmp_path / "r.html", evaluation).text


def test_columns_that_are_alike_share_a_row():
    text, number, out, scaled = map(Words.of, ("text", "number", "left out", "scaled"))
    columns = [("id", text, out), *[(f"x{k}", number, scaled) for k in range(7)], ("y", text, scaled)]
    assert merged([TreatedColumn(*column) for column in columns]) == [
        ("id", 1, text, out),
        ("x0 … x6", 7, number, scaled),
        ("y", 1, text, scaled),
    ]


def test_too_few_examples_is_an_error(tmp_path, evaluation):
    with pytest.raises(ValueError, match=r"^examples has 1 rows, but evaluation\.worst has 3$"):
        text_of(tmp_path / "r.html", evaluation, examples=shown([{"a": 1}]))


# Both languages, and once more --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_both_languages_stand_between_tags_alone(pages, name):
    texts = [value for _, value in pages[name].attributes if value and "<span" in value]
    assert texts == []
    languages = [value for attribute, value in pages[name].attributes if attribute == "lang"]
    assert languages.count("en") == pytest.approx(languages.count("zh-CN"), abs=1)  # html has one
    for text in ("Worst-classified examples", "分类最差的样本"):
        assert text in pages[name].text


def test_notes_stand_near_the_top(pages):
    before, _, after = pages["hostile"].text.partition(f"column {SCRIPT} is odd")
    assert f"列 {SCRIPT} 有些奇怪" in after
    assert "Confusion matrix" in after.replace("\n", " ")
    assert "predicted class" not in before
    assert "What training had to say" not in pages["wine"].text


@pytest.mark.parametrize("name", CASES)
def test_what_is_saved_makes_the_same_page(tmp_path, name):
    content = contents(name)
    content.save(tmp_path / "report.json")
    with open(tmp_path / "report.json", "rb") as stream:
        again = Content.read(stream)
    for lang in ("en", "zh"):
        write(tmp_path / "a.html", content, lang)
        write(tmp_path / "b.html", again, lang)
        assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


# What it says -------------------------------------------------------------------------------------------------------


def calibrated(p, right, rows):
    P = np.tile([p, 1 - p], (rows, 1))
    y = np.arange(rows) >= round(right * rows)
    return Evaluation.of(["cat", "dog"], y.astype(int), P, class_counts=[5, 5])


@pytest.mark.parametrize(
    ("p", "right", "rows", "en", "zh"),
    [
        (0.9, 0.9, 50, "Well calibrated, as far as these rows can tell.", "就这些数据而言，校准良好。"),
        (0.9, 0.84, 50, "Well calibrated, as far as these rows can tell.", "就这些数据而言，校准良好。"),
        (0.9, 0.84, 5000, "Overconfident: probabilities are too high.", "过于自信：所给概率偏高。"),
        (0.8, 0.84, 5000, "Underconfident: probabilities are too low.", "过于保守：所给概率偏低。"),
    ],
)
def test_calibration_is_told_by_one_number(tmp_path, p, right, rows, en, zh):
    of = calibrated(p, right, rows)
    text = text_of(tmp_path / "r.html", of).text
    assert (text.count(en), text.count(zh)) == (1, 1)
    error = percent(of.scores.calibration_error)
    assert text.count(f"The calibration error is {error}. On {rows:,} rows, chance alone") == 1
    assert text.count(f"校准误差为 {error}。只有 {rows:,} 行数据时") == 1
    assert "points" not in text


def test_thresholds_of_two_classes(pages):
    assert (
        "The model answers “恶性”, the rarer class, where its probability is at least 0.5."
        in pages["breast_cancer"].text
    )
    assert "概率不低于 0.5 时，模型回答较少见的类别“恶性”。" in pages["breast_cancer"].text
    assert "best balanced accuracy" not in pages["wine"].text


@pytest.mark.parametrize("name", CASES)
def test_scores_of_the_table_are_those_of_the_summary(pages, name):
    scores = contents(name).evaluation.scores
    for value in (percent(scores.accuracy), significant(scores.log_loss), percent(scores.calibration_error)):
        assert pages[name].text.count(value) >= 2
    assert ("top-5 accuracy" in pages[name].text) == (name == "hundred")
