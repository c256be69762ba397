"""Which rows train, validate and test: by class, by group, by time, from a file, in folds; and rows with weights."""

import json
from pathlib import Path

import numpy as np
import pytest

from softxent.app.dealing import folds, split_rows
from softxent.app.run import LabelledRows

RNG = np.random.default_rng(0)
Y = RNG.choice(["a", "b", "c"], 300, p=[0.6, 0.3, 0.1])
GROUP = RNG.integers(0, 40, 300).astype(str)
TIME = RNG.integers(0, 50, 300).astype(float)


def rows_of(y, **facts):
    return LabelledRows(np.zeros((len(y), 1)), y, np.arange(len(y)), **facts)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# Rows ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("facts", [{}, {"group": GROUP}, {"time": TIME}])
@pytest.mark.parametrize("test_size", [0, 0.05, 0.2, 0.33, 0.75])
def test_parts_have_their_share_and_every_row_once(facts, test_size):
    parts = split_rows(rows_of(Y, **facts), test_size, 0.1, seed=1)
    assert sorted(np.concatenate(parts)) == list(range(300))
    assert all((np.diff(part) > 0).all() for part in parts)
    assert abs(len(parts[2]) - test_size * 300) <= 15
    assert abs(len(parts[1]) - 0.1 * (1 - test_size) * 300) <= 15
    assert set(Y[parts[0]]) == {"a", "b", "c"}


@pytest.mark.parametrize("facts", [{}, {"group": GROUP}])
def test_seed_decides(facts):
    first, again, other = (split_rows(rows_of(Y, **facts), 0.2, 0.1, seed)[2].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_no_group_is_on_two_sides():
    train, val, test = (set(GROUP[part]) for part in split_rows(rows_of(Y, group=GROUP), 0.2, 0.1, seed=0))
    assert len(train | val | test) == len(train) + len(val) + len(test)
    for trains, tests in folds(rows_of(Y, group=GROUP), 5, seed=0):
        assert not set(GROUP[trains]) & set(GROUP[tests])


def test_groups_keep_the_share_of_each_class():
    share = np.mean(Y == "c")
    _, _, test = split_rows(rows_of(Y, group=GROUP), 0.2, 0.1, seed=0)
    assert abs(np.mean(Y[test] == "c") - share) < 0.04
    assert max(abs(np.mean(Y[tests] == "c") - share) for _, tests in folds(rows_of(Y, group=GROUP), 5, seed=0)) < 0.04


def test_the_latest_rows_test():
    train, val, test = split_rows(rows_of(Y, time=TIME), 0.2, 0.1, seed=0)
    assert TIME[train].max() < TIME[val].min() <= TIME[val].max() < TIME[test].min()
    pairs = folds(rows_of(Y, time=TIME), 5, seed=0)
    assert len(pairs) == 5
    assert all(TIME[trains].max() < TIME[tests].min() for trains, tests in pairs)


@pytest.mark.parametrize("facts", [{}, {"group": GROUP}, {"time": TIME}])
def test_folds_test_each_row_once(facts):
    pairs = folds(rows_of(Y, **facts), 4, seed=0)
    tested = np.concatenate([tests for _, tests in pairs])
    assert len(np.unique(tested)) == len(tested)
    assert len(tested) == (300 if "time" not in facts else len(tested)) >= 0.75 * 300
    assert max(len(tests) for _, tests in pairs) - min(len(tests) for _, tests in pairs) <= (20 if facts else 1)


@pytest.mark.parametrize(
    ("y", "facts"),
    [
        (["a"] * 9 + ["b"], {}),
        (["a"] * 8 + ["b"] * 2, {"group": list("1122334455")}),
        (["a"] * 8 + ["b"] * 2, {"group": list("1111223344")}),
        (["a", "b"] * 5, {"group": list("1122222222")}),
    ],
)
def test_every_class_trains(y, facts):
    y = np.array(y)
    rows = rows_of(y, **{name: np.array(of) for name, of in facts.items()})
    for test_size in (0.1, 0.5, 0.9):
        train, _, test = split_rows(rows, test_size, 0.1, seed=0)
        assert set(y[train]) == {"a", "b"}
        assert len(test)
    for trains, tests in folds(rows, 3, seed=0):
        assert set(y[tests]) <= set(y[trains]) == {"a", "b"}


@pytest.mark.parametrize(
    "facts", [{"group": np.array(["1"] * 6)}, {"group": np.array(["1", "2"] * 3)}, {"time": np.ones(6)}]
)
def test_what_cannot_be_parted_is_not_tested(facts):
    """One group; a group for each class; one time."""
    rows = rows_of(np.array(["a", "b"] * 3), **facts)
    assert len(split_rows(rows, 0.2, 0.1, seed=0)[0]) == 6
    assert folds(rows, 5, seed=0) == []


# The command --------------------------------------------------------------------------------------------------------

LINEAR = ("--model", "linear")  # no networks are tried, for which the rows are parted in the same way


def table(file="t.csv", rows=200, seed=0, **columns):
    """x tells the class; patient has 25 values and a share in x; day ascends; w is 1 or 0."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, rows)
    patient = rng.integers(0, 25, rows)
    made = {
        "x": (2 * y + rng.normal(size=rows)).round(3),
        "patient": [f"P{i}" for i in patient],
        "day": [f"2024-{1 + i // 28:02}-{1 + i % 28:02}" for i in range(rows)],
        "w": rng.integers(0, 2, rows),
        "y": np.array(["no", "yes"])[y],
    } | columns
    lines = [",".join(made), *(",".join(map(str, row)) for row in zip(*made.values(), strict=True))]
    Path(file).write_text("\n".join(lines) + "\n", "utf-8")
    return file


def schema():
    return json.loads(Path("runs/t/schema.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ["--group", "patient", *LINEAR],
            [
                "  patient  group               no feature: its rows stay together",
                "Groups of patient: 20 to train on, 5 to test",
            ],
        ),
        (
            ["--time", "day", *LINEAR],
            [
                "  day      time (ISO 8601)           no feature: the latest rows test",
                "day: up to 2024-06-20 to learn from, from 2024-06-21 to test on",
            ],
        ),
        (["--weight", "w"], ["  w        weight                    no feature: how much a row counts"]),
    ],
)
def test_roles_are_shown_and_saved(softxent, words, lines):
    code, out, _ = softxent("train", table(), "--target", "y", *words)
    assert code == 0
    squeezed = [" ".join(line.split()) for line in out.split("\n")]
    assert [line for line in lines if " ".join(line.split()) not in squeezed] == []
    role, column = words[0].removeprefix("--"), words[1]
    assert schema()["roles"] == {"group": None, "time": None, "weight": None} | {role: column}
    assert next(each for each in schema()["columns"] if each["name"] == column)["kind"] == role
    assert json.loads(Path("runs/t/metrics.json").read_text("utf-8"))["training"][role] == column
    assert softxent("predict", "runs/t", "t.csv")[0] == 0


def test_rows_without_a_group_or_a_time_are_left_out(softxent):
    patient = ["" if i in (3, 5) else f"P{i % 9}" for i in range(200)]
    for words in (["--group", "patient"], ["--time", "patient"]):
        patient = [p.removeprefix("P") for p in patient]
        code, _, err = softxent("train", table(patient=patient), "--target", "y", "--drop", "day", *LINEAR, *words)
        assert (code, err) == (0, "note: 2 rows have no 'patient' and are left out, the first in line 5\n")


def test_file_of_test_rows(softxent):
    table("more.csv", 60, seed=1)
    code, out, _ = softxent("train", table(), "--target", "y", "--test", "more.csv", "--drop", "patient,day")
    assert code == 0
    assert "On 60 test rows" in out
    assert "Then  softxent explain --model runs/t --data more.csv --row " in out
    metrics = json.loads(softxent("evaluate", "runs/t", "more.csv", "--json")[1])
    assert metrics["log_loss"] == json.loads(Path("runs/t/metrics.json").read_text("utf-8"))["log_loss"]


def test_groups_that_train_and_test(softxent):
    table("more.csv", 60, seed=1)
    words = ("train", table(), "--target", "y", "--test", "more.csv", "--drop", "day", "--group", "patient")
    expected = "groups of patient are in the training rows and in 'more.csv': the scores may be too good\n"
    assert softxent(*words)[2].endswith(expected)


def test_classes_that_come_later(softxent):
    y = ["new" if i > 195 else "no" if i % 2 else "yes" for i in range(200)]
    code, out, err = softxent(
        "train", table(y=y), "--target", "y", "--time", "day", "--drop", "patient", "--alpha", "0", "--model", "linear"
    )
    assert (code, "On 36 test rows" in out) == (0, True)
    assert err == "note: 'new' of 'y' is in the latest rows only, unknown to training: 4 test rows are not scored\n"
    assert schema()["classes"] == ["no", "yes"]


def test_weights_count_in_training_and_in_scores(softxent):
    """A row of weight 2 is as good as the row twice."""
    rng = np.random.default_rng(0)
    x, y, w = rng.normal(size=80).round(3), rng.integers(0, 2, 80), rng.integers(1, 4, 80)
    lines = [f"{a + b},{b}" for a, b in zip(x, y, strict=True)]
    Path("w.csv").write_text("\n".join(["x,y,w", *(f"{line},{s}" for line, s in zip(lines, w, strict=True))]) + "\n")
    Path("t.csv").write_text("\n".join(["x,y", *np.repeat(lines, w)]) + "\n")
    scores = []
    for file, words in (("w.csv", ["--weight", "w"]), ("t.csv", [])):
        softxent(
            "train", file, "--target", "y", "--test", file, "--val", file, "--model", "linear", "--alpha", "0.1", *words
        )
        metrics = json.loads(softxent("evaluate", f"runs/{file[0]}", file, "--json")[1])
        scores.append([metrics[name] for name in ("accuracy", "log_loss", "calibration_error", "brier_score")])
        scores[-1] += [metrics["baseline"][name] for name in ("accuracy", "log_loss", "brier_score")]
    np.testing.assert_allclose(scores[0], scores[1], atol=0.02)  # features are standardised without weights
    np.testing.assert_allclose(scores[0][4:], scores[1][4:], rtol=1e-12)


def test_report_counts_rows_as_they_are(softxent):
    """Scores are by weight; how many rows are right, and would be by guessing, is not."""
    softxent("train", table(), "--target", "y", "--weight", "w", "--drop", "patient,day")
    page = Path("runs/t/report.html").read_text("utf-8")
    per_class = json.loads(Path("runs/t/metrics.json").read_text("utf-8"))["per_class"]
    majority = json.loads(Path("runs/t/metrics.json").read_text("utf-8"))["baseline"]["class"]
    rows = next(each["rows"] for each in per_class if each["name"] == majority)
    assert f"in training, would get {rows} right." in page


def test_cross_validation(softxent):
    code, out, _ = softxent("train", table(), "--target", "y", "--cv", "4", "--drop", "patient,day", *LINEAR)
    assert code == 0
    assert "4 folds: 200 rows, each predicted by a model that has not seen it" in out
    metrics = json.loads(Path("runs/t/metrics.json").read_text("utf-8"))
    accuracy = metrics["cross_validation"]["accuracy"]
    assert metrics["rows"] == 200
    assert len(accuracy["folds"]) == 4
    assert np.isclose(np.mean(accuracy["folds"]), metrics["accuracy"])
    assert f"{accuracy['mean']:.4f} ± {accuracy['deviation']:.4f}" in out


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "Nothing was tested: all rows trained, so how good the model is on others is not known."),
        ("zh", "没有作测试：全部数据都用来训练了，模型在别的数据上有多好，无从得知。"),
    ],
)
def test_all_rows_train(softxent, lang, text):
    words = ["--target", "y", "--test-size", "0", "--group", "patient", "--drop", "day", "--lang", lang]
    code, out, _ = softxent("train", table(), *LINEAR, *words)
    assert code == 0
    assert text in out
    metrics = json.loads(Path("runs/t/metrics.json").read_text("utf-8"))
    others = ("training", "importance")
    assert {name: metrics[name] for name in metrics if name not in others} == {
        "rows": 0,
        "classes": ["no", "yes"],
    }
    page = Path("runs/t/report.html").read_text("utf-8")
    assert text in page
    assert 'id="confusion"' not in page
    assert softxent("report", "runs/t")[0] == 0
    assert softxent("evaluate", "runs/t", "t.csv", "--lang", lang)[0] == 0


def test_svmlight_has_no_column_of_groups(softxent):
    Path("t.svm").write_text("".join(f"{i % 2} 1:{i}\n" for i in range(20)))
    expected = "error: --group names a column, but 't.svm' has none with a name\n"
    assert softxent("train", "t.svm", "--group", "x") == (2, "", expected)
    expected = "错误：--group 要给出列名，但 't.svm' 中的列没有名字\n"
    assert softxent("train", "t.svm", "--group", "x", "--lang", "zh") == (2, "", expected)


MISTAKES = [
    (
        ["--group", "patient", "--time", "day"],
        "--group and --time cannot stand together: both say which rows must not be parted",
        "--group 和 --time 不能同时使用：二者都决定怎样拆分数据",
    ),
    (
        ["--cv", "5", "--test-size", "0.3"],
        "--cv and --test-size cannot stand together: both say which rows test",
        "--cv 和 --test-size 不能同时使用：二者都决定用哪些行测试",
    ),
    (
        ["--test", "t.csv", "--cv", "3"],
        "--cv and --test cannot stand together: both say which rows test",
        "--cv 和 --test 不能同时使用：二者都决定用哪些行测试",
    ),
    (
        ["--cv", "1"],
        "--cv is '1', but must be a whole number at least 2",
        "--cv 是 '1'，应为不小于 2 的整数",
    ),
    (
        ["--group", "y"],
        "--group is 'y', which is --target already",
        "--group 是 'y'，但它已用作 --target",
    ),
    (
        ["--time", "w", "--weight", "w"],
        "--weight is 'w', which is --time already",
        "--weight 是 'w'，但它已用作 --time",
    ),
    (
        ["--group", "patent"],
        "'t.csv' has no column 'patent'; did you mean patient?",
        "'t.csv' 没有 'patent' 这一列；是不是 patient？",
    ),
    (
        ["--time", "patient"],
        "--time is 'patient', which must have dates or numbers, but has 'P5'",
        "--time 是 'patient'，应为日期或数值列，但其中有 'P5'",
    ),
    (
        ["--time", "one"],
        "--time is 'one', which has one value only: nothing is earlier or later",
        "--time 是 'one'，但它只有一个值，分不出先后",
    ),
    (
        ["--group", "one"],
        "--group is 'one', which has too few groups (1) for each class to train and some rows to test",
        "--group 是 'one'，它的组太少（1 组）：无法让每一类都有行训练、同时又有行测试",
    ),
    (
        ["--weight", "patient"],
        "--weight is 'patient', which has 'P5' in line 2, but must have finite numbers at least 0",
        "--weight 是 'patient'，在第 2 行的值是 'P5'，应为不小于 0 的有限数",
    ),
    (
        ["--weight", "x"],
        "--weight is 'x', which has -0.664 in line 5, but must have finite numbers at least 0",
        "--weight 是 'x'，在第 5 行的值是 -0.664，应为不小于 0 的有限数",
    ),
    (
        ["--weight", "gap"],
        "--weight is 'gap', which has nothing in line 2, but must have finite numbers at least 0",
        "--weight 是 'gap'，在第 2 行的值是 空，应为不小于 0 的有限数",
    ),
    (
        ["--weight", "nil"],
        "--weight is 'nil', which is 0 in all rows that train",
        "--weight 是 'nil'，但训练用的行权重全是 0",
    ),
]


@pytest.mark.parametrize(("words", "en", "zh"), MISTAKES)
def test_mistakes(softxent, words, en, zh):
    file = table(one=["same"] * 200, gap=["", *range(1, 200)], nil=[0] * 200)
    assert softxent("train", file, "--target", "y", *words) == (2, "", f"error: {en}\n")
    assert softxent("train", file, "--target", "y", *words, "--lang", "zh") == (2, "", f"错误：{zh}\n")
    assert not Path("runs/t").exists()
