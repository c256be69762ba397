"""`softxent check`: files and functions, in both languages, and its exit codes."""

import doctest
import inspect
import json
import re
import shlex
import sys

import numpy as np
import pytest

import softxent as sx
from pages import ROOT, command_lines
from softxent.diagnosis.words import PHRASES
from softxent.options import FIELDS

pytest.importorskip("typer")

RNG = np.random.default_rng(0)
LOGITS, TARGET = RNG.normal(size=(5, 4)), RNG.integers(4, size=5)
LOSS, GRAD = sx.cross_entropy_and_grad(LOGITS, TARGET)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def save(name="step.npz", **arrays):
    np.savez(name, **arrays)
    return name


def test_right(softxent):
    code, out, err = softxent("check", save(logits=LOGITS, target=TARGET, loss=LOSS, grad=GRAD))
    assert (code, err) == (0, "")
    assert re.fullmatch(r"loss: correct to \d ULP \(float64\)\ngradient: correct to \d ULP \(float64\)\n", out)


def test_wrong(softxent):
    file = save(logits=LOGITS, target=TARGET, grad=5 * GRAD)
    code, out, err = softxent("check", file)
    assert (code, err) == (1, "")
    assert out.splitlines()[0] == "gradient: summed, not averaged: off by N = 5"
    assert out.splitlines()[-1] == "  fix: grad = grad / 5"
    assert softxent("check", file, "--lang", "zh")[1].splitlines()[0] == "梯度：求了和，没有取平均：差 N = 5 倍"
    assert softxent("check", file, "--reduction", "sum")[0] == 0


OPTIONS = {
    "ignore_index": 2,
    "label_smoothing": 0.1,
    "temperature": 2.0,
    "softcap": 3.0,
    "z_loss": 0.01,
    "reduction": "mean",
    "normalizer": 7.0,
}


def test_every_option_is_there_and_arrives(softxent):
    from softxent.app.cli.check import check

    assert OPTIONS.keys() == FIELDS.keys() - {"class_weight"}
    assert OPTIONS.keys() <= inspect.signature(check).parameters.keys()
    w = np.array([1.0, 2, 3, 4])
    loss, grad = sx.cross_entropy_and_grad(LOGITS, TARGET, class_weight=w, **OPTIONS)
    file = save(logits=LOGITS.T, target=TARGET, loss=loss, grad=grad.T, class_weight=w)
    words = [word for name, value in OPTIONS.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    code, out, err = softxent("check", file, "--axis", "0", *words)
    assert (code, err) == (0, "")
    assert out.startswith("loss: correct to ")


def test_json_is_the_diagnosis(softxent):
    file = save(logits=LOGITS, target=TARGET, loss=-LOSS, grad=GRAD)
    code, out, err = softxent("check", file, "--json")
    assert (code, err) == (1, "")
    assert json.loads(out) == json.loads(json.dumps(sx.diagnose(LOGITS, TARGET, loss=-LOSS, grad=GRAD).to_dict()))


# Functions ------------------------------------------------------------------------------------------------------------

RIGHT = """
import softxent as sx

def loss(logits, target):
    return sx.cross_entropy_and_grad(logits, target, ignore_index=0)
"""
NAIVE = """
import numpy as np

def loss(logits, target):
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(len(target)), target]).mean()
"""
TENSORS = """
import torch.nn.functional as F

def loss(logits, target):
    return F.cross_entropy(logits.softmax(dim=1), target)

right = F.cross_entropy
"""


@pytest.fixture
def module(request):
    """Writes a module of a name of its own, which is forgotten afterwards."""
    written = []

    def write(text):
        name = f"losses_{request.node.name.replace('[', '_').replace(']', '')}"
        with open(f"{name}.py", "w") as file:
            file.write(text)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


def test_a_right_function(softxent, module):
    code, out, err = softxent("check", f"{module(RIGHT)}:loss", "--ignore-index", "0")
    assert (code, err) == (0, "")
    assert out.count("loss: correct to ") == out.count("gradient: correct to ") == 6
    assert out.startswith("5 × 4, float32, logits 0 ± 1\n")


def test_a_function_that_overflows(softxent, module):
    code, out, err = softxent("check", f"{module(NAIVE)}:loss", "--json")
    assert (code, err) == (1, "")
    found = [[finding["name"] for finding in each["findings"]] for each in json.loads(out)]
    assert found == [
        [],
        [],
        [],
        ["overflow_without_max_shift"],
        ["overflow_without_max_shift"],
        ["overflow_without_max_shift"],
    ]
    assert [each["about"] for each in json.loads(out)] == [0, 0, 0, 200, 2000, 0]


def test_a_function_of_tensors(softxent, module):
    name = module(TENSORS)
    code, out, err = softxent("check", f"{name}:loss")
    assert (code, err) == (1, "")
    assert "loss and gradient: softmax is applied twice" in out
    assert softxent("check", f"{name}:right")[0] == 0


# How it fails ---------------------------------------------------------------------------------------------------------

FILE_EN = "'step.npz' must be a NumPy .npz file with logits, target, and loss or grad: "
FILE_ZH = "'step.npz' 应为 NumPy .npz 文件，含有 logits、target，以及 loss 或 grad："
FUNCTION_EN = "{} must be MODULE:FUNCTION, a function of (logits, target) in a module of this folder: "
FUNCTION_ZH = "{} 应为 模块:函数，即当前目录下某模块中以 (logits, target) 为参数的函数："
ALL = {"logits": LOGITS, "target": TARGET, "loss": LOSS}


@pytest.mark.parametrize(
    ("arrays", "words", "en", "zh"),
    [
        (None, ("step.npz",), FILE_EN + "there is no such file", FILE_ZH + "没有这个文件"),
        (
            {"x": LOGITS, "y": TARGET},
            ("step.npz",),
            FILE_EN + "it has no logits, target; its arrays: x, y",
            FILE_ZH + "其中没有 logits, target；它含有的数组：x, y",
        ),
        (
            {"logits": LOGITS, "target": TARGET},
            ("step.npz",),
            FILE_EN + "it has no loss, grad; its arrays: logits, target",
            FILE_ZH + "其中没有 loss, grad；它含有的数组：logits, target",
        ),
        (
            ALL | {"loss": LOGITS},
            ("step.npz",),
            "loss has shape (5, 4), but must be a single number, or one a row, of shape (5,)",
            "loss 的形状是 (5, 4)，应为一个数，或每行一个数，形状为 (5,)",
        ),
        (
            ALL | {"target": TARGET + 9},
            ("step.npz",),
            f"target[0] is {TARGET[0] + 9}, but logits has 4 classes (0 … 3)",
            f"输入有误：target[0] is {TARGET[0] + 9}, but logits has 4 classes (0 … 3)",
        ),
        (
            ALL,
            ("step.npz", "--temperature", "0"),
            "--temperature is '0', but must be a finite number above 0",
            "--temperature 是 '0'，应为大于 0 的有限数",
        ),
        (
            ALL,
            ("step.npz", "--label-smoothing", "2"),
            "--label-smoothing is '2', but must be a number from 0 to 1",
            "--label-smoothing 是 '2'，应为0 到 1 的数",
        ),
        (
            ALL,
            ("step.npz", "--axis", "last"),
            "--axis is 'last', but must be a whole number",
            "--axis 是 'last'，应为整数",
        ),
        (
            ALL,
            ("step.npz", "--reduction", "avg"),
            "--reduction is 'avg', but must be none, sum or mean",
            "--reduction 是 'avg'，应为none、sum 或 mean",
        ),
        (
            ALL,
            ("step.npz", "--reduction", "sum", "--normalizer", "3"),
            "normalizer replaces the divisor of reduction='mean', but reduction is 'sum'",
            "输入有误：normalizer replaces the divisor of reduction='mean', but reduction is 'sum'",
        ),
        (
            None,
            ("nowhere:loss",),
            FUNCTION_EN.format("'nowhere:loss'")
            + "importing it failed: ModuleNotFoundError: No module named 'nowhere'",
            FUNCTION_ZH.format("'nowhere:loss'") + "导入失败：ModuleNotFoundError: No module named 'nowhere'",
        ),
        (
            None,
            ("math:loss",),
            FUNCTION_EN.format("'math:loss'") + "it has no function 'loss'",
            FUNCTION_ZH.format("'math:loss'") + "其中没有函数 'loss'",
        ),
        (
            None,
            ("math:sqrt",),
            "math:sqrt raised TypeError: math.sqrt() takes exactly one argument (2 given) "
            "for a batch of 5 × 4, float32, logits 0 ± 1",
            "math:sqrt 在 5 × 4，float32，logits 为 0 ± 1 这一批上抛出了 "
            "TypeError: math.sqrt() takes exactly one argument (2 given)",
        ),
        (None, (), "FILE.npz|MODULE:FUNCTION is missing: see --help", "缺少 FILE.npz|MODULE:FUNCTION：请看 --help"),
    ],
)
def test_mistakes(softxent, arrays, words, en, zh):
    if arrays is not None:
        save(**arrays)
    assert softxent("check", *words) == (2, "", f"error: {en}\n")
    assert softxent("check", *words, "--lang", "zh") == (2, "", f"错误：{zh}\n")


# The page -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("line", "shown"), command_lines("docs/doctor.md"))
def test_docs_show_what_it_prints(softxent, line, shown):
    logits = np.array([[1.0, 5.0, 3.0], [2.0, 0.0, 1.0]], np.float32)
    target = np.array([1, 0])
    loss, grad = sx.cross_entropy_and_grad(logits, target)
    save(logits=logits, target=target, loss=loss, grad=2 * grad)
    with open("losses.py", "w") as file:
        file.write(NAIVE)
    sys.modules.pop("losses", None)
    _, out, err = softxent(*shlex.split(line))
    assert err == ""
    assert any_ulp(out) == any_ulp(shown)


def any_ulp(text):
    """Without the last bits, which another processor or library rounds otherwise."""
    return re.sub(r"correct to \S+ ULP", "correct to … ULP", text)


class AnyUlp(doctest.OutputChecker):
    def check_output(self, want, got, optionflags):
        return super().check_output(any_ulp(want), any_ulp(got), optionflags)


def test_docs():
    page = "docs/doctor.md"
    test = doctest.DocTestParser().get_doctest((ROOT / page).read_text("utf-8"), {}, page, page, 0)
    results = doctest.DocTestRunner(AnyUlp()).run(test)
    assert results.attempted
    assert not results.failed


def test_docs_name_every_finding():
    page = (ROOT / "docs/doctor.md").read_text("utf-8")
    named = {phrase.removeprefix("finding ") for phrase in PHRASES if phrase.startswith("finding ")}
    hints = {"log_probabilities_as_logits", "digits_lost", "finite_difference"}
    assert {name for name in named - hints if f"`{name}`" not in page} == set()
