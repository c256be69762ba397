"""softxent export: ONNX Runtime computes from the columns of a table what the pipeline computes, to 1e-6."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

import softxent
from softxent.app.cli import run

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

SAVED = Path(__file__).parent / "data" / "saved_by_0.1"


def table(rows, seed):
    """Columns of every kind, with missing values; one is called as an output of the model is."""
    rng = np.random.default_rng(seed)
    label = rng.choice(["cat", "dog", "狗"], rows)
    sounds = [{"cat": "Miaow", "dog": "WOOF woof", "狗": "汪 汪"}[name] for name in label]
    numbers = rng.integers(500, size=rows)  # few n-grams
    frame = pd.DataFrame(
        {
            "weight": (rng.normal(size=rows) + (label == "dog") * 2).round(3).astype(str),
            "label": rng.integers(0, 9, rows).astype(str),
            "colour": rng.choice(["red", "blue", "grün", ""], rows),
            "sex": rng.choice(["m", "f"], rows),
            "born": [f"{y}-0{m}-1{d}" for y, m, d in rng.integers([1905, 1, 0], [2030, 10, 10], (rows, 3))],
            "seen": [f"2024-02-{d} 0{h}:15:00" for d, h in rng.integers([10, 0], [30, 10], (rows, 2))],
            "remark": [f"No. {n} says\t{sound}  é{n % 7}" for n, sound in zip(numbers, sounds, strict=True)],
            "code": [f"c{n}" for n in rng.integers(60, size=rows)],
            "kind": label,
        }
    )
    for column in ("weight", "born", "remark"):
        frame.loc[rng.random(rows) < 0.1, column] = ""
    return frame


@pytest.fixture(scope="module", params=[["--model", "linear", "--alpha", "0.01"], ["--hidden", "7,5", "--epochs", "8"]])
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    table(220, 0).to_csv(folder / "t.csv", index=False)
    words = ["train", str(folder / "t.csv"), "--target", "kind", "--out", str(folder / "run"), "--json"]
    assert run([*words, *request.param]) == 0
    return str(folder / "run")


@pytest.fixture(scope="module")
def session(trained, tmp_path_factory):
    file = str(tmp_path_factory.mktemp("onnx") / "model.onnx")
    assert run(["export", trained, file]) == 0
    return onnxruntime.InferenceSession(file)


@pytest.fixture(scope="module")
def model(trained):
    return softxent.load(trained)


def assert_same(session, model, frame):
    labels, P = session.run(None, model.onnx_inputs(frame))
    np.testing.assert_allclose(P, model.predict_proba(frame), atol=1e-6, rtol=1e-6)
    assert labels.tolist() == model.predict(frame).tolist()


def test_the_same_as_the_pipeline(session, model):
    assert_same(session, model, table(300, 1))


@pytest.mark.filterwarnings("ignore:column")  # values that training did not have
@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("weight", ["", "0", "-1e9"]),
        ("colour", ["", "purple", "RED"]),
        ("sex", ["", "x", "m"]),
        ("born", ["", "1700-01-01", "1969-12-31", "1970-01-01", "2000-02-29", "2100-03-01", "2399-12-31"]),
        ("seen", ["", "1969-12-31 23:59:59", "2024-02-29 00:00:00"]),
        ("remark", ["", " ", "a", "ab", "É É", "MIAOW\u3000woof", "ſ K", "汪" * 300, "\U0001f600 woof", "aaaa aaaa"]),
        ("code", ["", "c1", "nothing like it"]),
    ],
)
def test_values_that_are_missing_new_or_odd(session, model, column, values):
    frame = table(len(values), 2)
    frame[column] = values
    assert_same(session, model, frame)


def test_inputs_and_outputs(session):
    kinds = {each.name: each.type for each in session.get_inputs()}
    assert {kinds[name] for name in ("weight", "label")} == {"tensor(double)"}
    assert {kinds[name] for name in ("colour", "sex", "remark", "code")} == {"tensor(string)"}
    assert {kinds[name] for name in ("born", "seen")} == {"tensor(int64)"}
    outputs = [(each.name, each.type, each.shape) for each in session.get_outputs()]
    assert outputs == [("label_", "tensor(string)", ["rows"]), ("probabilities", "tensor(double)", ["rows", 3])]
    assert session.get_modelmeta().custom_metadata_map["target"] == "kind"


def test_integer_labels_and_sparse_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = datasets.load_iris(return_X_y=True)
    datasets.dump_svmlight_file(X, y, "iris.svm")
    assert (
        run(["train", "iris.svm", "--model", "linear", "--alpha", "0.01", "--json"])
        == run(["export", "runs/iris", "iris.onnx"])
        == 0
    )
    session = onnxruntime.InferenceSession("iris.onnx")
    labels, P = session.run(["label", "probabilities"], {"X": X})
    model = softxent.load("runs/iris")
    np.testing.assert_allclose(P, model.predict_proba(X), atol=1e-12)
    assert (labels.dtype, labels.tolist()) == (np.int64, model.predict(X).tolist())


# The command ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAVED, ".", dirs_exist_ok=True)


@pytest.mark.parametrize(
    ("lang", "lines"),
    [
        (
            "en",
            [
                "Written to model.onnx. It takes, for each row:",
                "  weight: float64, NaN where missing",
                "  colour: string, empty where missing",
                "and returns label, and probabilities of 3 classes as float64.",
                "softxent.load(RUN).onnx_inputs(table) makes these inputs.",
            ],
        ),
        (
            "zh",
            [
                "已写入 model.onnx。每一行的输入：",
                "  weight：float64，缺失为 NaN",
                "  colour：字符串，缺失为空串",
                "输出 label 和 probabilities（3 类的概率，float64）。",
                "softxent.load(模型目录).onnx_inputs(表) 可生成这些输入。",
            ],
        ),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_says_what_it_takes(softxent, saved, lang, lines):
    assert softxent("export", "run", "model.onnx", "--lang", lang) == (0, "\n".join(lines) + "\n", "")


def test_says_that_text_needs_onnx_runtime(softxent, trained, tmp_path):
    for lang, line in (
        ("en", "Text is split into characters by an operator of ONNX Runtime's own (com.microsoft Tokenizer):"),
        ("zh", "文本按字符切分，用的是 ONNX Runtime 自带的算子（com.microsoft Tokenizer），其他运行时可能没有。"),
    ):
        assert line in softxent("export", trained, str(tmp_path / f"{lang}.onnx"), "--lang", lang)[1].split("\n")


@pytest.mark.parametrize(
    ("words", "en", "zh"),
    [
        (["run", "m.pkl"], "FILE.onnx is 'm.pkl', but must end in .onnx", "输出文件是 'm.pkl'，扩展名应为 .onnx"),
        (
            ["run", "animals.csv"],
            "FILE.onnx is 'animals.csv', which exists already: name another file, or add --force to replace it",
            "FILE.onnx 是 'animals.csv'，而这个文件已经存在：请换一个文件名，或加上 --force 覆盖它",
        ),
        (
            ["nowhere", "m.onnx"],
            "there is no run 'nowhere': it must be a folder that softxent train saved",
            "没有 'nowhere'：应为 softxent train 保存的目录",
        ),
        (["run"], "FILE.onnx is missing: see --help", "缺少 FILE.onnx：请看 --help"),
    ],
)
def test_mistakes(softxent, saved, words, en, zh):
    assert softxent("export", *words) == (2, "", f"error: {en}\n")
    assert softxent("export", *words, "--lang", "zh") == (2, "", f"错误：{zh}\n")
    assert not Path("m.onnx").exists()


def test_without_the_package(softxent, saved, monkeypatch):
    for name in [name for name in sys.modules if name == "onnx" or name.startswith("softxent.app.exporting")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "onnx", None)
    en = 'error: the command needs onnx, which is not installed: pip install ".[cli,onnx]" in a clone of softxent\n'
    assert softxent("export", "run", "m.onnx") == (2, "", en)
