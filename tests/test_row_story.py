"""What pushed a prediction: it adds up, and comes first in terminal, JSON and notebook; and the digits near p = 1."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from softxent.app.prediction import Prediction
from softxent.app.row_story import steps
from softxent.app.run import Run
from softxent.app.tables import open_file
from softxent.explain import explain
from softxent.explain.render import as_text
from softxent.explain.story import story

KINDS = {"number": "weight", "category": "colour", "date": "born", "text": "remark"}


@pytest.fixture(scope="module", params=[["--model", "linear", "--alpha", "1e-3"], ["--hidden", "8", "--epochs", "30"]])
def folder(request, tmp_path_factory):
    """A run on a column of every kind, without and with a hidden layer."""
    from softxent.app.cli import run

    folder, rng = tmp_path_factory.mktemp("run"), np.random.default_rng(0)
    lines = ["weight,colour,born,remark,label"]
    for i in range(120):
        label = "cat" if rng.random() < 0.5 else "dog"
        weight = f"{rng.normal() + 2 * (label == 'dog'):.3f}" if i % 9 else ""
        born = f"20{rng.integers(10, 25)}-0{rng.integers(1, 10)}-11"
        remark = f"no {i} says {'miaow' if label == 'cat' else 'woof'}"
        lines.append(f"{weight},{rng.choice(['red', 'blue', ''])},{born},{remark},{label}")
    (folder / "t.csv").write_text("\n".join(lines))
    words = ["train", str(folder / "t.csv"), "--target", "label", *request.param]
    assert run([*words, "--out", str(folder / "run"), "--json"]) == 0
    return folder


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_contributions_add_up_to_the_log_odds(folder, temperature):
    run, source = Run.load(str(folder / "run")), open_file(str(folder / "t.csv"))
    network = len(run.model[-1].coefs_) > 1
    for row in (0, 1, 9):
        told = Prediction.of(run, source.row(row), None, data="t.csv", temperature=temperature)
        pushed = told.contributions
        assert {each.column for each in pushed.columns} == {"weight", "colour", "born", "remark"}
        sizes = [abs(each.contribution) for each in pushed.columns]
        assert sizes == sorted(sizes, reverse=True)
        p = np.sort(told.trace.p)
        assert np.isclose(pushed.log_odds, np.log(p[-1] / p[-2]))
        classifier = run.model[-1]
        z = classifier.predict_log_proba(np.array([run.schema.means]))[0] / temperature
        a, b = (run.schema.classes.index(name) for name in (pushed.predicted, pushed.against))
        assert np.isclose(pushed.average_row, z[a] - z[b], atol=2e-2 if network else 1e-9)


def test_coefficients_of_a_linear_model(folder):
    run, source = Run.load(str(folder / "run")), open_file(str(folder / "t.csv"))
    if len(run.model[-1].coefs_) > 1:
        return
    pushed = Prediction.of(run, source.row(1), None, data="t.csv").contributions
    x = run.model[:-1].transform(source.row(1).features(run.schema.columns))[0]
    a, b = (run.schema.classes.index(name) for name in (pushed.predicted, pushed.against))
    each = (run.model[-1].coef_[a] - run.model[-1].coef_[b]) * (x - run.schema.means)
    names = run.model[:-1].get_feature_names_out()
    of_weight = sum(value for name, value in zip(names, each, strict=True) if "weight" in name)
    assert np.isclose(next(c.contribution for c in pushed.columns if c.column == "weight"), of_weight)


@pytest.mark.parametrize(
    ("lang", "title", "average"),
    [
        ("en", "1  What pushed this prediction", "the average training row"),
        ("zh", "1  是什么推动了这个预测", "训练数据的平均行"),
    ],
)
def test_comes_first_everywhere(softxent, folder, lang, title, average):
    words = ("explain", "--model", str(folder / "run"), "--data", str(folder / "t.csv"), "--row", "3", "--lang", lang)
    code, out, err = softxent(*words)
    assert (code, err) == (0, "")
    assert title in out.split("\n")
    assert average in out
    told = json.loads(softxent(*words, "--json")[1])
    assert list(told).index("contributions") < list(told).index("columns")
    assert set(told["contributions"]["columns"][0]) == {"column", "value", "contribution"}


def test_older_run_without_means(softxent, tmp_path, monkeypatch):
    shutil.copytree(Path(__file__).parent / "data/saved_by_0.1", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    assert softxent("explain", "--model", "run", "--data", "animals.csv", "--row", "3")[0] == 0


def test_article_style_truncates_every_number(folder):
    run, source = Run.load(str(folder / "run")), open_file(str(folder / "t.csv"))
    text = as_text(steps(Prediction.of(run, source.row(3), None, data="t.csv"), "en", article=True))
    text = text.partition("Is it right?")[0]
    assert [found for found in re.findall(r"\d\.\d{4,}(?!\d*[0-9]−?e)", text) if not found.startswith("0.999")] == []


# Digits ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "article", "lines"),
    [
        (
            [0, 16.34],
            False,
            ["−ln p_y = −ln 0.9999999199 = 8.00", "i = j   0.9999999199 × (1 − 0.9999999199) = 8.01e-08"],
        ),
        ([0, 16.34], True, ["i = j   0.9999999199 × (1 − 0.9999999199) = 8.00e-08"]),
        ([0, 40], False, ["−ln (1 − 4.25e-18) = 4.24", "(1 − 4.25e-18) − 1"]),
        ([0, 3], False, ["i = j   0.952574 × (1 − 0.952574) = 0.045177"]),
        ([0, 10], True, ["loss 4.539"]),
    ],
)
def test_as_many_digits_as_the_statement_needs(scores, article, lines):
    text = as_text(story(explain(scores, 1), "en", article=article))
    assert [line for line in lines if line not in text] == []
    assert "1.000000 × (1 − 1.000000)" not in text
    assert all(before != after for before, after in re.findall(r"loss (\S+) → (\S+): it fell", text))
