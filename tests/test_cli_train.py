"""`softxent train`, `predict` and `evaluate` through the command line: real data sets, and every mistake's message."""

import csv
import json
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from io import StringIO
from pathlib import Path

import numpy as np
import palmerpenguins
import pytest
from sklearn import datasets

from pages import command_lines
from softxent.app.cli import run

PENGUINS = Path(palmerpenguins.__file__).parent / "data"
GIVEN = ("--model", "linear", "--alpha", "0.001")  # trained at once, for a test that is not about the choice


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(name, *lines):
    Path(name).write_text("\n".join(lines) + "\n", "utf-8")
    return name


def sklearn_file(name):
    """scikit-learn's table as a CSV file with the names of the classes."""
    data = getattr(datasets, f"load_{name}")(as_frame=True)
    data.frame["target"] = data.target_names[data.target]
    data.frame.to_csv(f"{name}.csv", index=False)
    return f"{name}.csv"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a run on the penguins, without a hidden layer; and what training printed, by its command line."""
    folder, shown = tmp_path_factory.mktemp("trained"), {}
    shutil.copy(PENGUINS / "penguins.csv", folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.setenv("LC_ALL", "C")
        for line in ("train penguins.csv --target species --lang zh", "train penguins.csv --target species"):
            with redirect_stdout(StringIO()) as out, redirect_stderr(out):
                assert run(line.split()) == 0
            shown[line] = out.getvalue()
    return folder, shown


@pytest.fixture
def penguins(trained):
    shutil.copytree(trained[0], ".", dirs_exist_ok=True)
    return "runs/penguins"


# Real data ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "words", "least"),
    [
        (lambda: None, ["--epochs", "30"], 0.9),  # scikit-learn's digits
        (lambda: sklearn_file("wine"), ["--target", "target"], 0.9),
        (lambda: sklearn_file("breast_cancer"), ["--target", "target"], 0.9),
        (lambda: sklearn_file("breast_cancer"), ["--target", "target", "--hidden", "16,8", "--epochs", "40"], 0.9),
        (lambda: str(PENGUINS / "penguins.csv"), ["--target", "species", *GIVEN], 0.95),
        (lambda: str(PENGUINS / "penguins-raw.csv"), ["--target", "Species", "--drop", "Individual ID", *GIVEN], 0.95),
    ],
)
def test_trains_on_real_data(softxent, data, words, least):
    file = data()
    code, out, err = softxent("train", *([file] if file else []), *words, "--out", "run", "--json")
    metrics = json.loads(out)
    assert (code, re.sub("note: the loss had not settled.*\n", "", err)) == (0, "")
    assert metrics["accuracy"] >= least
    assert metrics["log_loss"] < metrics["baseline"]["log_loss"] / 3
    names = ["explorer.html", "metrics.json", "model.skops", "report.html", "report.json", "schema.json"]
    assert sorted(os.listdir("run")) == names
    assert json.loads(Path("run/metrics.json").read_text("utf-8")) == metrics


def test_the_same_seed_gives_the_same_model(softxent):
    wine, words = sklearn_file("wine"), ("--hidden", "8", "--epochs", "9")
    runs = [
        json.loads(softxent("train", wine, "--target", "target", *words, "--seed", seed, "--json")[1])
        for seed in ("3", "3", "4")
    ]
    for metrics in runs:
        del metrics["training"]["seconds"]
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize(
    ("lang", "lines"),
    [
        (
            "en",
            [
                "penguins.csv: 344 rows, 8 columns (UTF-8, ',')",
                "  island             category           0 or 1 for each of 3 values",
                "  bill_length_mm     number          2  standardised; missing: the mean, marked",
                "  sex                category       11  0 or 1 for each of 2 values",
                "  year               number             standardised",
                "  Adelie      152  44.2%  ████████▉",
                "Always saying Adelie, the most frequent in training, would be right in 43.5% of the test rows.",
                "275 rows to train on, 69 to test",
                "Chosen by log-loss in 5-fold validation on the training rows",
                "Model: 15 → 3, multinomial logistic regression",
                "On 69 test rows",
                "Saved in runs/penguins: model.skops, schema.json, metrics.json, report.html",
            ],
        ),
        (
            "zh",
            [
                "penguins.csv：344 行，8 列（UTF-8, ','）",
                "  island             类别        3 个值各一个 0/1",
                "总是回答训练中最多的 Adelie，能答对测试数据的 43.5%。",
                "训练 275 行，测试 69 行",
                "在训练数据上做 5 折交叉验证，按对数损失选择",
                "在 69 行测试数据上",
                "请看 runs/penguins/report.html",
            ],
        ),
    ],
)
def test_shows(trained, lang, lines):
    out = trained[1]["train penguins.csv --target species" + (" --lang zh" if lang == "zh" else "")]
    assert [line for line in lines if line not in out.split("\n")] == []


def test_report_is_about_this_training(softxent, penguins):
    page = Path(penguins, "report.html").read_text("utf-8")
    for text in ("penguins.csv", "species", "bill_length_mm", "Chinstrap", "multinomial logistic regression"):
        assert text in page
    assert "softxent train penguins.csv --target species" in re.sub("<.*?>", "", page)


def test_columns_of_every_kind(softxent):
    """GB18030, semicolons, decimal commas, dates, missing values, integer classes, an identifier."""
    rng = np.random.default_rng(0)
    lines = ["编号;日期;城市;分数;空;备注;等级"]
    for i in range(120):
        level, city = rng.integers(3), ["北京", "上海", ""][rng.integers(3)]
        score = f"{level + rng.normal() / 5:.2f}".replace(".", ",") if i % 10 else ""
        remark = f"第{i}次 " + ["差得很", "还可以", "好极了"][level]
        lines.append(f"P{i:04};{rng.integers(1, 29):02}.06.2024;{city};{score};;{remark};{level + 1}")
    Path("gb.csv").write_bytes("\n".join(lines).encode("gb18030"))
    code, out, err = softxent("train", "gb.csv", "--target", "等级", *GIVEN)
    assert (code, err) == (
        0,
        "note: column 编号 differs in every row: if it only names the row, leave it out with --drop 编号\n",
    )
    shown = {line.split()[0]: line.split()[1] for line in out.split("\n\n")[1].split("\n")[1:] if line}
    assert shown == {
        "编号": "text",
        "日期": "date",
        "城市": "category",
        "分数": "number",
        "空": "empty",
        "备注": "text",
    }
    assert json.loads(Path("runs/gb/metrics.json").read_text("utf-8"))["accuracy"] > 0.9
    code, out, _ = softxent("predict", "runs/gb", "gb.csv")
    assert (code, set(out.split("\n")[1:-1])) == (0, {"1", "2", "3"})


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["0", "1"], ["0", "1"]),
        (["10", "9"], ["9", "10"]),
        (["true", "false"], ["false", "true"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),
        (["yes, please", "p\"q'<b>"], ["p\"q'<b>", "yes, please"]),
    ],
)
def test_classes_keep_their_names(softxent, labels, names):
    with open("t.csv", "w", newline="") as file:
        csv.writer(file).writerows([["x", "y"], *([i, labels[i % 2]] for i in range(40))])
    assert softxent("train", "t.csv", "--target", "y", *GIVEN, "--json")[0] == 0
    _, out, _ = softxent("predict", "runs/t", "t.csv", "--proba")
    rows = list(csv.reader(out.splitlines()))
    assert rows[0] == ["y", *(f"p({name})" for name in names)]
    assert {row[0] for row in rows[1:]} <= set(names)
    assert np.allclose(np.sum([list(map(float, row[1:])) for row in rows[1:]], axis=1), 1)


@pytest.mark.parametrize("kind", ["parquet", "feather", "npz", "svm"])
def test_other_kinds_of_files(softxent, kind):
    X, y = datasets.load_iris(return_X_y=True)
    frame = datasets.load_iris(as_frame=True).frame
    file, target = f"t.{kind}", "target"
    if kind == "npz":
        np.savez(file, X=X.astype(np.float32), target=y)
    elif kind == "svm":
        datasets.dump_svmlight_file(X, y, file)
        target = ""
    else:
        getattr(frame, f"to_{kind}")(file)
    code, out, _ = softxent("train", file, *(["--target", target] if target else []), *GIVEN, "--json")
    assert (code, json.loads(out)["accuracy"] > 0.85) == (0, True)
    _, out, _ = softxent("predict", "runs/t", file)
    assert np.mean([int(label) for label in out.split()[1:]] == y) > 0.9
    code, out, err = softxent("evaluate", "runs/t", file, "--json")
    assert (code, err, json.loads(out)["rows"]) == (0, "", 150)
    assert softxent("explain", "--model", "runs/t", "--data", file, "--row", "149")[0] == 0


def test_validation_file(softxent):
    lines = Path(sklearn_file("wine")).read_text("utf-8").splitlines()
    write("train.csv", lines[0], *lines[1::2])
    write("val.csv", lines[0], *lines[2::2])
    _, out, _ = softxent(
        "train", "train.csv", "--target", "target", "--val", "val.csv", "--hidden", "8", "--test-size", "0.3"
    )
    assert "63 rows to train on, 89 to validate, 26 to test" in out


def test_class_weight_moves_the_predictions(softxent):
    rng = np.random.default_rng(0)
    rows = [f"{rng.normal() + (i % 10 == 0)},{'rare' if i % 10 == 0 else 'common'}" for i in range(500)]
    file = write("t.csv", "x,y", *rows)

    def recall(*words):
        metrics = json.loads(softxent("train", file, "--target", "y", *GIVEN, "--json", *words)[1])
        return next(entry["recall"] for entry in metrics["per_class"] if entry["name"] == "rare")

    assert recall() < 0.3 < recall("--class-weight", "balanced")
    assert recall("--class-weight", "rare=50") > 0.9


@pytest.mark.parametrize(
    ("line", "output"),
    [block for page in ("README", "README.zh", "docs/train", "docs/train.zh") for block in command_lines(f"{page}.md")],
)
def test_pages_show_what_it_prints(softxent, trained, penguins, line, output):
    """But for digits and bars, which depend on the processor."""
    lines = Path("penguins.csv").read_text("utf-8").splitlines()
    write("test.csv", lines[0], *lines[1::7])
    write("new.csv", lines[0], lines[1], lines[159], lines[299])
    code, out, err = (0, trained[1][line], "") if line in trained[1] else softxent(*shlex.split(line))
    assert (code, err) == (0, "")
    assert words_of(out) == words_of(output)


def words_of(text):
    return re.sub(r"\d[\d.e-]*", "0", re.sub("[█▏▎▍▌▋▊▉]+", "", text)).split()


# predict, evaluate --------------------------------------------------------------------------------------------------


def test_predict_matches_columns_by_name(softxent, penguins):
    rows = list(csv.DictReader((PENGUINS / "penguins.csv").read_text("utf-8").splitlines()))
    names = ["note", *reversed(rows[0])]
    write("new.csv", ",".join(names), *(",".join({**row, "note": "x"}[name] for name in names) for row in rows))
    code, out, err = softxent("predict", penguins, "new.csv")
    assert (code, err) == (0, "note: 'new.csv' has columns that the model does not use: note\n")
    assert np.mean([a == row["species"] for a, row in zip(out.split()[1:], rows, strict=True)]) > 0.98


def test_predict_streams(softxent, penguins):
    lines = (PENGUINS / "penguins.csv").read_text("utf-8").splitlines()
    write("big.csv", lines[0], *lines[1:] * 60)  # several batches
    assert softxent("predict", penguins, "big.csv", "--proba", "--out", "p.csv") == (0, "", "")
    predicted = Path("p.csv").read_text("utf-8").splitlines()
    assert len(predicted) == 344 * 60 + 1
    assert predicted[1:345] == predicted[-344:]


def test_predict_says_what_training_did_not_have(softxent, penguins):
    lines = (PENGUINS / "penguins.csv").read_text("utf-8").splitlines()
    write("new.csv", lines[0], lines[1].replace("Torgersen", "Mars"))
    code, out, err = softxent("predict", penguins, "new.csv")
    assert (code, out) == (0, "species\nAdelie\n")
    assert err == (
        "note: column 'island' has 'Mars', which training did not have: it counts as none of the known values\n"
    )


def test_evaluate(softxent, penguins):
    code, out, err = softxent("evaluate", penguins, str(PENGUINS / "penguins.csv"))
    assert (code, err) == (0, "")
    assert "On 344 rows of penguins.csv" in out
    metrics = json.loads(softxent("evaluate", penguins, str(PENGUINS / "penguins.csv"), "--json")[1])
    assert re.search(f"\n  accuracy +{metrics['accuracy']:.4f}  .* {metrics['baseline']['accuracy']:.4f}\n", out)


def test_explain_goes_down_to_each_feature(softxent):
    file = str(PENGUINS / "penguins.csv")
    assert softxent("train", file, "--target", "species", "--hidden", "6", "--out", "run", "--epochs", "5")[0] == 0
    words = ("explain", "--model", "run", "--data", file, "--row", "17")
    code, out, err = softxent(*words)
    assert (code, err) == (0, "")
    for text in (
        "Row 17 of penguins.csv",
        "3 scores, target: Adelie",
        "bill_depth_mm           20.7",
        "Down to each feature",
    ):
        assert text in out
    told = json.loads(softxent(*words, "--json")[1])
    assert (told["row"], told["label"], told["columns"]["sex"]) == (17, "Adelie", "male")

    from softxent.app.run import Run
    from softxent.app.tables import open_file

    run = Run.load("run")
    x = np.asarray(run.model[:-1].transform(open_file(file).row(17).features(run.schema.columns)))

    def loss(x):
        return -run.model[-1].predict_log_proba(x)[0, 0]

    h = 1e-6 * np.eye(x.shape[1])
    slopes = [(loss(x + step) - loss(x - step)) / 2e-6 for step in h]
    assert np.allclose([feature["gradient"] for feature in told["features"]], slopes, atol=1e-7)
    assert np.isclose(told["loss"], loss(x))


# Mistakes -----------------------------------------------------------------------------------------------------------

GOOD = [f"{i % 7},{'ab'[i % 2]}" for i in range(30)]


@pytest.mark.parametrize(
    ("lines", "words", "en", "zh"),
    [
        (
            ["x,y", *GOOD],
            [],
            "--target is missing: name the column of 't.csv' to predict; its columns are x, y",
            "缺少 --target：请指明要预测 't.csv' 的哪一列；它的列有：x, y",
        ),
        (
            ["x,species", *GOOD],
            ["--target", "specis"],
            "'t.csv' has no column 'specis'; did you mean species?",
            "'t.csv' 没有 'specis' 这一列；是不是 species？",
        ),
        (
            ["x,y", *GOOD],
            ["--target", "qqq"],
            "'t.csv' has no column 'qqq'; its columns are x, y",
            "'t.csv' 没有 'qqq' 这一列；它的列有：x, y",
        ),
        (
            ["x,y", *(f"{i},a" for i in range(9))],
            ["--target", "y"],
            "'y' is 'a' in all 9 rows, but must have at least 2 classes",
            "'y' 在全部 9 行中都是 'a'，应至少有 2 类",
        ),
        (
            ["x,y", "1,", "2,"],
            ["--target", "y"],
            "column 'y' of 't.csv' has no labels",
            "'t.csv' 的 'y' 列没有任何标签",
        ),
        (
            ["x,y", *(f"{i % 3},n{i}" for i in range(100))],
            ["--target", "y"],
            "'y' has 100 different values in 100 rows, but must have classes, with several rows each",
            "'y' 在 100 行中有 100 个不同的值，应为类别，每类有若干行",
        ),
        (
            ["x,y", "1,a", "2,b", "3,a"],
            ["--target", "y"],
            "'t.csv' has 3 rows with a label, but must have at least 4: some to train on, some to test",
            "'t.csv' 有 3 行带标签，应至少有 4 行：一部分训练，一部分测试",
        ),
        (
            ["y", *"abab"],
            ["--target", "y"],
            "'t.csv' has no column to learn from beside 'y'",
            "'t.csv' 除 'y' 外没有可以学习的列",
        ),
        (
            ["x,y", *GOOD, "inf,a"],
            ["--target", "y"],
            "column 'x' has inf in line 32, but must have numbers in ±1e100; leave the field empty if it is unknown",
            "列 'x' 在第 32 行的值是 inf，应为 ±1e100 以内的数；不知道的值请留空",
        ),
        (
            ["x,y", *GOOD, "1"],
            ["--target", "y"],
            "'t.csv' has 1 fields in line 32, but must have 2, as the header",
            "'t.csv' 第 32 行有 1 个字段，应与表头一样有 2 个",
        ),
        (
            ["x,y", *GOOD],
            ["--target", "y", "--class-weight", "c=2"],
            "--class-weight is 'c=2', but must be balanced, or a weight for each class, as in a=1,b=1",
            "--class-weight 是 'c=2'，应为 balanced 或各类的权重，例如 a=1,b=1",
        ),
        (
            ["x,y", *GOOD],
            ["--target", "y", "--drop", "z"],
            "'t.csv' has no column 'z'; its columns are x, y",
            "'t.csv' 没有 'z' 这一列；它的列有：x, y",
        ),
        (
            ["x,y", *GOOD],
            ["--target", "y", "--hidden", "64x32"],
            "--hidden is '64x32', but must be units of layers with commas between, as in 64,32",
            "--hidden 是 '64x32'，应为用逗号隔开的各层单元数，例如 64,32",
        ),
        (
            ["x,y", *GOOD],
            ["--target", "y", "--epochs", "0"],
            "--epochs is '0', but must be a whole number above 0",
            "--epochs 是 '0'，应为大于 0 的整数",
        ),
        (
            ["x,y", *GOOD],
            ["--target", "y", "--lr", "fast"],
            "--lr is 'fast', but must be a finite number above 0",
            "--lr 是 'fast'，应为大于 0 的有限数",
        ),
        (
            ["x,y", *GOOD],
            ["--target", "y", "--test-size", "1"],
            "--test-size is '1', but must be a number from 0 to below 1",
            "--test-size 是 '1'，应为不小于 0 且小于 1 的数",
        ),
        (
            ["x,y", *GOOD],
            ["--target", "y", "--out", "t.csv"],
            "'t.csv' is a file, but must be a folder",
            "'t.csv' 是文件，应为目录",
        ),
        (
            ["x,y", *GOOD],
            ["--target", "y", "--out", "."],
            "'.' is a folder with other things in it: name a new folder, or one that softxent train saved before",
            "'.' 里有别的东西：请换一个新目录，或 softxent train 以前保存的目录",
        ),
    ],
)
def test_mistakes_in_training(softxent, lines, words, en, zh):
    file = write("t.csv", *lines)
    assert softxent("train", file, *words) == (2, "", f"error: {en}\n")
    assert softxent("train", file, *words, "--lang", "zh") == (2, "", f"错误：{zh}\n")


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        (["1,", "2,"], "2 rows have no 'y' and are left out, the first in line 32"),
        (
            ["1,c"],
            "class 'c' has 1 example, so it cannot be tested: add some, merge it with another class, or remove it",
        ),
    ],
)
def test_notes(softxent, rows, note):
    code, _, err = softxent("train", write("t.csv", "x,y", *GOOD, *rows), "--target", "y")
    assert (code, err.split("\n")[0]) == (0, f"note: {note}")


def changed(before, after):
    lines = (PENGUINS / "penguins.csv").read_text("utf-8").splitlines()
    return write("new.csv", *(line.replace(before, after) for line in lines[:4]))


@pytest.mark.parametrize(
    ("before", "after", "en", "zh"),
    [
        (
            "body_mass_g",
            "body_mas_g",
            "'new.csv' has no column 'body_mass_g', which the model was trained with; did you mean body_mas_g?",
            "'new.csv' 没有 'body_mass_g' 这一列，而模型训练时用到了它；是不是 body_mas_g？",
        ),
        (
            "3800",
            "heavy",
            "column 'body_mass_g' has 'heavy' in line 3, but must have a number, as in training",
            "列 'body_mass_g' 在第 3 行的值是 'heavy'，应与训练时一样为数值",
        ),
        (
            "3800",
            "-inf",
            "column 'body_mass_g' has -inf in line 3, but must have numbers in ±1e100; leave the field empty if it is "
            "unknown",
            "列 'body_mass_g' 在第 3 行的值是 -inf，应为 ±1e100 以内的数；不知道的值请留空",
        ),
    ],
)
def test_mistakes_in_prediction(softxent, penguins, before, after, en, zh):
    file = changed(before, after)
    for words in (("predict", penguins, file, "--out", "p.csv"), ("evaluate", penguins, file)):
        assert softxent(*words) == (2, "", f"error: {en}\n")
        assert softxent(*words, "--lang", "zh") == (2, "", f"错误：{zh}\n")
    assert not list(Path().glob("p.csv*"))


def test_mistakes_in_evaluation(softxent, penguins):
    expected = "error: 'species' is 'Emu' in line 2 of 'new.csv', but the classes are Adelie, Chinstrap, Gentoo\n"
    assert softxent("evaluate", penguins, changed("Adelie", "Emu")) == (2, "", expected)
    expected = "error: column 'species' of 'new.csv' has no labels\n"
    assert softxent("evaluate", penguins, changed("Adelie", "")) == (2, "", expected)
    expected = "error: 'new.csv' has no column 'species'; did you mean spezies?\n"
    code, _, err = softxent("evaluate", penguins, changed("species", "spezies"))
    assert (code, err) == (2, expected)


@pytest.mark.parametrize(
    ("words", "en"),
    [
        (["--model", "nowhere", "--data", "t.csv"], "--model needs --row too"),
        (
            ["--model", "nowhere", "--data", "t.csv", "--row", "x"],
            "--row is 'x', but must be a whole number at least 0",
        ),
        (["--model", "r", "1", "2"], "--model cannot stand beside SCORE: the scores are the model's"),
        (["1", "2", "--row", "1"], "--row is for a row of data: it needs --model"),
        (
            ["--model", "nowhere", "--data", "t.csv", "--row", "1"],
            "there is no run 'nowhere': it must be a folder that softxent train saved",
        ),
    ],
)
def test_mistakes_in_explaining(softxent, words, en):
    assert softxent("explain", *words) == (2, "", f"error: {en}\n")


def test_explaining_needs_the_data(softxent, penguins):
    assert softxent("explain", "--model", penguins, "--row", "3") == (2, "", "error: --model needs --data too\n")


def test_the_digits_are_always_there(softxent):
    assert softxent("train", "--epochs", "1", "--json")[0] == 0
    code, out, err = softxent("explain", "--model", "runs/digits", "--row", "1796")
    assert (code, err) == (0, "")
    assert "10 scores, target: class 8" in out


def test_row_out_of_range(softxent, penguins):
    words = ("explain", "--model", penguins, "--data", changed("", ""), "--row", "3")
    assert softxent(*words) == (2, "", "error: --row is 3, but 'new.csv' has 3 rows (0 … 2)\n")


@pytest.mark.parametrize(
    ("words", "en", "zh"),
    [
        (("predict",), "RUN is missing: see --help", "缺少 RUN：请看 --help"),
        (("predict", "run"), "NEW is missing: see --help", "缺少 NEW：请看 --help"),
        (("evaluate", "run"), "TEST is missing: see --help", "缺少 TEST：请看 --help"),
        (("explore", "b"), "there is no place for b: see --help", "多余的参数 b：请看 --help"),
    ],
)
def test_mistakes_in_arguments(softxent, words, en, zh):
    assert softxent(*words) == (2, "", f"error: {en}\n")
    assert softxent(*words, "--lang", "zh") == (2, "", f"错误：{zh}\n")


@pytest.mark.parametrize("package", ["pyarrow", "skops", "skrub"])
def test_missing_package(package):
    """Each is imported when there is work for it, and said to be missing then."""
    write("t.csv", "x,y", *(f"{'pqr'[i % 3]},{'ab'[i % 2]}" for i in range(30)))
    script = f"import sys; sys.modules['{package}'] = None; from softxent.app.cli import main; main()"
    command = [sys.executable, "-c", script, "train", "t.csv", "--target", "y", *GIVEN]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C"}, encoding="utf-8")
    assert done.returncode == 2
    expected = f"error: the command needs {package}, which is not installed: "
    expected += 'pip install ".[cli]" in a clone of softxent\n'
    assert done.stderr.endswith(expected)


# As a process -------------------------------------------------------------------------------------------------------


def test_pipes_are_clean():
    """Those of predict: tests/test_cli_environment.py."""
    command = [sys.executable, "-m", "softxent", "train", sklearn_file("wine"), "--target", "target", *GIVEN, "--json"]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "LC_ALL": "C"}, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["rows"] == 36


def on_a_terminal(*words, answer):
    """What appears on a terminal of its own on which `answer` is typed when asked."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "softxent", *words]
    environment = {**os.environ, "LC_ALL": "C", "TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment) as running:
        os.close(end)
        shown, asked = b"", False
        with suppress(OSError):  # EIO: the other end is closed
            while new := os.read(terminal, 1 << 16):
                shown += new
                if not asked and b"predicted? " in shown:
                    asked = True
                    os.write(terminal, answer)
    os.close(terminal)
    return running.returncode, re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", shown.decode()).replace("\r\n", "\n")


def test_asks_on_a_terminal_and_shows_a_bar():
    words = ("train", str(PENGUINS / "penguins.csv"), "--hidden", "8", "--epochs", "50")
    code, shown = on_a_terminal(*words, answer=b"species\n")
    assert code == 0
    assert "its columns are species, island, bill_length_mm, " in shown
    assert re.search(
        r"Training [━╸]+ step \d+  loss \d\.\d{4}  validation accuracy \d\.\d{3}  at most 0:0\d left", shown
    )


@pytest.mark.parametrize(
    ("answer", "message"), [(b"specis\n", "did you mean species?"), (b"\x04", "--target is missing")]
)
def test_asks_once(answer, message):
    code, shown = on_a_terminal("train", str(PENGUINS / "penguins.csv"), answer=answer)
    assert code == 2
    assert message in shown


@pytest.fixture
def small_files():
    """No file can be larger than 20 KB, as on a disk that is nearly full."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20 * 1024, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_full_disk_leaves_the_previous_model(softxent, penguins, small_files):
    """model.skops does not fit."""
    before = {path.name: path.read_bytes() for path in Path(penguins).iterdir()}
    code, _, err = softxent("train", "penguins.csv", "--target", "species", *GIVEN, "--force")
    expected = f"error: the run could not be saved in '{penguins}': File too large. "
    expected += "A model that was there before is as it was.\n"
    assert (code, err) == (2, expected)
    assert {path.name: path.read_bytes() for path in Path(penguins).iterdir()} == before


def test_ctrl_c_keeps_the_best_model_so_far(softxent, monkeypatch):
    @contextmanager
    def interrupted(screen):
        def on_epoch(epoch):
            if epoch.number == 20:
                os.kill(os.getpid(), signal.SIGINT)

        yield on_epoch, lambda step: None

    monkeypatch.setattr("softxent.app.cli.screen.Screen.progress", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    code, _, err = softxent("train", "--epochs", "1000000", "--hidden", "64")
    signal.signal(signal.SIGINT, before)
    assert code == 0, err
    assert re.search(r"^note: stopped by Ctrl-C after \d+ epochs; the best model so far is kept$", err, re.M)
    assert (Path("runs/digits/model.skops")).is_file()
