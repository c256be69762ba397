"""The command `softxent`: what it prints, in both languages, and how it fails."""

import json
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest

from pages import command_lines

pytest.importorskip("typer")

from softxent.explain import Layer, explain

WORKED = ("explain", "1", "5", "3", "--target", "1")


@pytest.fixture
def layer_file(tmp_path):
    rng = np.random.default_rng(0)
    parts = {"x": rng.normal(size=4), "W": rng.normal(size=(3, 4)), "b": rng.normal(size=3)}
    np.savez(tmp_path / "layer.npz", **parts)
    return str(tmp_path / "layer.npz"), Layer(**parts)


def process(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "softxent", *words],
        capture_output=True,
        env={**os.environ, "LC_ALL": "C", **environment},
        timeout=60,
    )


# What it prints -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (WORKED, "3 scores, target: class 1 (classes are counted from 0)"),
        (WORKED, "p = [0.015876, 0.866813, 0.117310]"),
        (WORKED, "gradient = [0.015876, −0.133187, 0.117310]"),
        ((*WORKED, "--style", "article"), "gradient = [0.015, 0.866 − 1, 0.117]"),
        ((*WORKED, "--lang", "zh"), "梯度 = [0.015876, −0.133187, 0.117310]"),
        (("--lang=zh", *WORKED), "梯度 = [0.015876, −0.133187, 0.117310]"),
        ((*WORKED, "--temperature", "2"), "T = 2,  z = s / T"),
        (("explain", "1", "5", "3", "--labels", "cat,dog,bird", "--target", "dog"), "3 scores, target: dog"),
        (("explain", "1", "5", "3", "--labels", "猫，狗，鸟", "--target", "狗", "--lang", "zh"), "3 个分数，目标：狗"),
        (("explain", "1", "5", "3"), "No target was given: the class with the largest score is taken."),
        (("explain", "-1", "2", "--target", "0"), "gradient = [−0.952574, 0.952574]"),
        (("explain", "--target", "0", "--", "-1", "2"), "gradient = [−0.952574, 0.952574]"),
        (("explain", "-1e0", "2", "--target=0"), "gradient = [−0.952574, 0.952574]"),
        (("explain", "−1", "2", "--target=0"), "gradient = [−0.952574, 0.952574]"),
        (("explain", "-inf", "2", "-.5"), "−∞ is a mask: that class has probability 0 and gradient 0."),
        (("explain", "nan", "2"), "No softmax: a score is NaN or +∞, or all are −∞. The story ends here."),
        (("explain", "nan", "2", "--lang", "zh"), "这组分数没有 softmax：含有 NaN 或 +∞，或全部为 −∞。推导到此为止。"),
        (("explain", *map(str, range(1000))), "990 of the 1000 classes are not shown here"),
        (("explain", "--help"), "Usage: softxent explain [SCORE]... [OPTIONS]"),
        (("explain", "-h", "--lang", "zh"), "用法：softxent explain [分数]... [选项]"),
        (("--help",), "Usage: softxent COMMAND [OPTIONS]"),
        ((), "Usage: softxent COMMAND [OPTIONS]"),
        (("--lang", "zh"), "用法：softxent 命令 [选项]"),
    ],
)
def test_prints(softxent, words, line):
    code, out, err = softxent(*words)
    assert (code, err) == (0, "")
    assert line in out


OPTIONS = {
    (): "",
    ("explain",): "--target --labels --temperature --layer --model --data --row --style --html --force --json",
    (
        "check",
    ): "--axis --ignore-index --label-smoothing --temperature --softcap --z-loss --reduction --normalizer --json",
    ("train",): "--target --drop --hidden --epochs --lr --batch-size --alpha --class-weight --val --test-size --seed "
    "--out --force --json",
    ("predict",): "--proba --keep --out --force",
    ("evaluate",): "--json",
}


@pytest.mark.parametrize("words", OPTIONS)
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_help_has_every_option_and_fits_80_columns(softxent, words, lang):
    _, out, _ = softxent(*words, "--help", "--lang", lang)
    assert [line for line in out.split("\n") if len(line) > 80] == []
    options = {"--lang", "--help", *OPTIONS[words].split()}
    assert {word for word in out.split() if word.startswith("--")} >= options


def test_version(softxent):
    assert softxent("--version") == (0, f"softxent {version('softxent')}\n", "")


def test_json_is_the_trace(softxent):
    code, out, _ = softxent(*WORKED, "--json")
    assert code == 0
    assert json.loads(out) == explain([1, 5, 3], 1).to_dict()


def test_layer(softxent, layer_file):
    file, layer = layer_file
    code, out, _ = softxent("explain", "--layer", file, "--target", "1", "--json")
    assert code == 0
    assert json.loads(out) == explain(layer, 1).to_dict()
    assert "Back through the linear layer" in softxent("explain", "--layer", file, "--target", "1")[1]


@pytest.mark.parametrize(("line", "shown"), [*command_lines("docs/explain.md"), *command_lines("docs/explain.zh.md")])
def test_docs_show_what_it_prints(softxent, line, shown):
    code, out, err = softxent(*shlex.split(line))
    assert (code, err) == (0, "")
    assert rounding_apart(out) == rounding_apart(shown)


def rounding_apart(text):
    """Without the digits that another processor's last bit changes: how far finite differences are off."""
    return re.sub(r" +\S+e-\d\d", " …", text)


# How it fails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "en", "zh"),
    [
        (
            ("explain", "1", "5", "3", "--target", "7"),
            "target is 7, but scores has 3 classes (0 … 2)",
            "target 是 7，但 scores 只有 3 类（0 … 2）",
        ),
        (
            ("explain", "1", "5", "--target", "cow", "--labels", "cat,dog"),
            "target is 'cow', but must be an index (0 … 1) or one of the labels: cat, dog",
            "target 是 'cow'，应为下标（0 … 1）或 labels 中的一个名字：cat, dog",
        ),
        (("explain", "1", "a"), "scores[1] is 'a', but must be a number", "scores[1] 是 'a'，应为一个数"),
        (
            ("explain", "1", "--temperature", "hot"),
            "temperature is 'hot', but must be a number",
            "temperature 是 'hot'，应为一个数",
        ),
        (
            ("explain", "1", "--temperature", "-1"),
            "temperature is -1.0, but must be a finite number above 0",
            "temperature 是 -1.0，应为大于 0 的有限数",
        ),
        (
            ("explain", "1", "--labels", "a,b"),
            "labels has 2 names, but scores has 1 classes",
            "labels 有 2 个名字，但 scores 有 1 类",
        ),
        (
            ("explain", "1", "--tarjet", "0"),
            "there is no option --tarjet; did you mean --target?",
            "没有 --tarjet 这个选项；是不是 --target？",
        ),
        (
            ("train", "t.csv", "--hiden=64"),
            "there is no option --hiden; did you mean --hidden?",
            "没有 --hiden 这个选项；是不是 --hidden？",
        ),
        (
            ("--verson",),
            "there is no option --verson; did you mean --version?",
            "没有 --verson 这个选项；是不是 --version？",
        ),
        (("explain", "-x"), "there is no option -x", "没有 -x 这个选项"),
        (("--tarjet",), "there is no option --tarjet", "没有 --tarjet 这个选项"),
        (
            ("explian",),
            "there is no command 'explian'; did you mean explain?",
            "没有 'explian' 这个命令；是不是 explain？",
        ),
        (("explain", "1", "--target"), "--target came without a value", "--target 后面缺少值"),
        (
            ("explain", "1", "--style", "loud"),
            "style is 'loud', but must be exact or article",
            "style 是 'loud'，应为 exact 或 article",
        ),
        (
            ("explain", "1", "--style", "article", "--json"),
            "style is article, but --json gives every number in full: choose one",
            "style 是 article，但 --json 输出完整的数字：两者只能选一",
        ),
        (
            ("explain",),
            "scores is empty, but must have at least one number, e.g. softxent explain 1 5 3",
            "没有给出 scores，应至少有一个数，例如 softxent explain 1 5 3",
        ),
        (
            ("explain", "1", "--layer", "layer.npz"),
            "scores has 1 numbers, but must have none beside --layer, whose scores are W x + b",
            "scores 有 1 个数，但使用 --layer 时不应给出：分数就是 W x + b",
        ),
        (
            ("explain", "--layer", "nowhere.npz"),
            "layer is 'nowhere.npz', but must be a NumPy .npz file with x, W and b: there is no such file",
            "layer 是 'nowhere.npz'，应为含有 x、W、b 的 NumPy .npz 文件：没有这个文件",
        ),
    ],
)
def test_mistakes(softxent, words, en, zh):
    assert softxent(*words) == (2, "", f"error: {en}\n")
    assert softxent("--lang", "zh", *words) == (2, "", f"错误：{zh}\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--lang", "fr"), "lang is 'fr', but must be en or zh"),
        (("explain", "1", "--lang"), "--lang came without a value"),
    ],
)
def test_mistakes_in_the_language(softxent, words, message):
    assert softxent(*words) == (2, "", f"error: {message}\n")


@pytest.mark.parametrize(
    ("save", "why"),
    [
        (lambda file: file.write(b"not NumPy's"), "NumPy cannot read it"),
        (lambda file: file.write(b"PK\x03\x04 cut short"), "NumPy cannot read it"),
        (lambda file: None, "NumPy cannot read it"),
        (lambda file: np.save(file, np.ones(3)), "NumPy cannot read it"),
        (lambda file: np.savez(file), "it has no x, W, b; its arrays: –"),
        (lambda file: np.savez(file, x=[1], W=[[1]], b=np.array([None])), "NumPy cannot read it"),
        (lambda file: np.savez(file, x=[1]), "it has no W, b; its arrays: x"),
    ],
)
def test_mistakes_in_a_layer_file(softxent, tmp_path, save, why):
    path = tmp_path / "layer.npz"
    with open(path, "wb") as file:
        save(file)
    expected = f"error: layer is '{path}', but must be a NumPy .npz file with x, W and b: {why}\n"
    assert softxent("explain", "--layer", str(path)) == (2, "", expected)


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_missing_package(softxent, monkeypatch, package):
    for name in [
        name for name in sys.modules if name.split(".")[0] in ("typer", "rich") or name.startswith("softxent.app.cli.")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)  # import says that there is no such module
    expected = f"error: the command needs {package}, which is not installed: "
    expected += 'pip install ".[cli]" in a clone of softxent\n'
    assert softxent(*WORKED) == (2, "", expected)


def test_our_mistakes_are_ours(softxent, monkeypatch):
    monkeypatch.setattr(sys.modules["softxent.explain"], "explain", lambda *_, **__: 1 / 0)
    code, out, err = softxent(*WORKED)
    assert (code, out) == (1, "")
    assert err.startswith("error: softxent failed, and the mistake is ours: ZeroDivisionError: division by zero.")


def test_interrupted(softxent, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(sys.modules["softxent.explain"], "explain", interrupted)
    assert softxent(*WORKED)[0] == 130


# As a process -------------------------------------------------------------------------------------------------------


def test_pipe_has_no_colour_and_the_same_bytes_each_time():
    first, second = process(*WORKED), process(*WORKED)
    assert (first.returncode, first.stderr) == (0, b"")
    assert first.stdout == second.stdout
    assert b"\x1b" not in first.stdout


def test_colour_changes_nothing_but_colour():
    plain, coloured = process(*WORKED).stdout, process(*WORKED, FORCE_COLOR="1", TERM="xterm-256color").stdout
    assert b"\x1b[" in coloured
    assert re.sub(rb"\x1b\[[0-9;]*m", b"", coloured) == plain


def test_locale_decides_the_language():
    assert "梯度" in process(*WORKED, LC_ALL="zh_CN.UTF-8").stdout.decode()
    assert "没有" in process("explian", LC_ALL="zh_CN.UTF-8").stderr.decode()


def test_pipe_that_cannot_encode_gets_utf8():
    assert "∂loss/∂z_i" in process(*WORKED, PYTHONIOENCODING="ascii").stdout.decode()


def test_exit_codes():
    assert [process(*words).returncode for words in (("--help",), ("explain", "1", "--target", "3"))] == [0, 2]


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_reader_that_stops_early_is_no_error():
    command = f"{sys.executable} -m softxent explain {' '.join(map(str, range(300)))} --json | head -c 10"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, timeout=60)
    assert (done.stdout, done.stderr) == (b'{\n  "layer', b"")
