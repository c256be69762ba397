"""The run folder: what is saved is what is loaded, and what is not a run of ours is refused."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from softxent.app.cli import run as command
from softxent.app.folders import prepare
from softxent.app.run import FILES, FORMAT, TRUSTED, Run, Unseen
from softxent.app.tables import open_file
from softxent.app.words import Mistake


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on columns of every kind: number, category, text, date, constant, empty."""
    folder = tmp_path_factory.mktemp("runs")
    rng = np.random.default_rng(0)
    rows = 80
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=rows),
            "category": rng.choice(["x", "y", None], rows),
            "text": [f"{word} {i}" for i, word in enumerate(rng.choice(["cats", "dogs"], rows))],  # few n-grams
            "date": pd.to_datetime("2024-01-01") + pd.to_timedelta(rng.integers(0, 500, rows), "D"),
            "constant": 1,
            "empty": None,
        }
    )
    frame["label"] = np.where(frame["text"].str.contains("cats"), "cat", "dog")
    frame.to_csv(folder / "t.csv", index=False)
    words = ["train", str(folder / "t.csv"), "--target", "label", "--out", str(folder / "run")]
    assert command([*words, "--model", "linear", "--alpha", "1e-3"]) == 0
    return folder


@pytest.fixture
def folder(trained, tmp_path, monkeypatch):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return "run"


@pytest.fixture
def run(folder):
    """The run with its classifier only, which is quickly saved."""
    loaded = Run.load(folder)
    return replace(loaded, model=loaded.model[-1])


def test_what_is_saved_is_what_is_loaded(folder):
    run, rows = Run.load(folder), open_file("t.csv").read()
    kinds = {column.name: column.kind for column in run.schema.columns}
    assert kinds == {name: name for name in ("number", "category", "text", "date", "constant", "empty")}
    unseen = Unseen()
    P = np.exp(run.log_proba(rows, unseen))
    assert unseen.notes == []
    assert (P.argmax(axis=1) == run.schema.class_indices(rows)).mean() > 0.95
    run.save(folder, {}, lambda path: path.write_text(""))
    assert (np.exp(Run.load(folder).log_proba(rows, Unseen())) == P).all()


def test_only_types_of_ours_are_in_a_model(folder):
    types = set(skops.io.get_untrusted_types(file=f"{folder}/model.skops"))
    assert types <= TRUSTED
    assert "softxent.sklearn.classifier.SoftmaxClassifier" in types


@pytest.mark.parametrize(
    ("model", "types"),
    [
        (make_pipeline(FunctionTransformer(os.getcwd)), "posix.getcwd"),
        (make_pipeline(FunctionTransformer(shutil.rmtree)), "shutil.rmtree"),
        (Path("/"), f"{type(Path()).__module__}.PosixPath"),  # pathlib._local in Python 3.13
    ],
)
def test_untrusted_types_are_not_loaded(folder, softxent, model, types):
    skops.io.dump(model, f"{folder}/model.skops")
    expected = f"error: 'run/model.skops' holds {types}, which no model of softxent train has: "
    expected += "it is not loaded, for it may run any code\n"
    assert softxent("predict", folder, "t.csv") == (2, "", expected)


UPDATE = "update your clone of softxent, and pip install it again"


def test_newer_format(folder, softxent):
    path = Path(folder, "schema.json")
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({"format": FORMAT + 1, "softxent": "9.0", "classes": "unknown to us"}), "utf-8")
    expected = f"'run' was made by softxent 9.0, which is newer than this one, {content['softxent']}"
    assert softxent("predict", folder, "t.csv") == (2, "", f"error: {expected}: {UPDATE}\n")


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("schema.json", b"", "JSONDecodeError: "),
        ("schema.json", b'{"format": 1}', "KeyError: 'columns'"),
        ("schema.json", b'{"softxent": "1"}', "KeyError: 'format'"),
        ("schema.json", b"[]", "TypeError: "),
        ("model.skops", b"not skops", "BadZipFile: "),
    ],
)
def test_damaged(folder, softxent, name, content, why):
    Path(folder, name).write_bytes(content)
    code, out, err = softxent("evaluate", folder, "t.csv")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: 'run' is damaged: {why}")
    assert err.endswith("; train again\n")


@pytest.mark.parametrize("missing", ["schema.json", "model.skops", None])
def test_no_run(folder, missing):
    if missing:
        Path(folder, missing).unlink()
    else:
        shutil.rmtree(folder)
    with pytest.raises(Mistake, match=r"^there is no run 'run': it must be a folder that softxent train saved$"):
        Run.load(folder)


def test_files_beside_a_run_stay(folder, run):
    Path(folder, "notes.txt").write_text("mine")
    run.save(folder, {"accuracy": 1.0}, lambda path: path.write_text("report"))
    assert sorted(os.listdir(folder)) == sorted(["notes.txt", *FILES])
    assert Path(folder, "metrics.json").read_text() == '{\n "accuracy": 1.0\n}'


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), ZeroDivisionError()])
def test_nothing_changes_if_saving_fails(folder, run, error):
    before = {name: Path(folder, name).read_bytes() for name in os.listdir(folder)}

    def fail(path):
        raise error

    with pytest.raises((Mistake, KeyboardInterrupt, ZeroDivisionError)) as raised:
        run.save(folder, {}, fail)
    if isinstance(error, OSError):
        expected = (
            "the run could not be saved in 'run': No space left on device. A model that was there before is as it was."
        )
        assert str(raised.value) == expected
    assert {name: Path(folder, name).read_bytes() for name in os.listdir(folder)} == before


@pytest.mark.parametrize("exists", [False, True])
def test_folder_is_not_made_before_there_is_a_run(run, exists):
    if exists:
        os.makedirs("a/b")
    prepare("a/b")
    assert os.path.exists("a/b") == exists
    run.save("a/b", {}, lambda path: path.write_text("report"))
    assert sorted([*os.listdir("a/b"), "report.json"]) == sorted(FILES)  # what a report shows is train's to write
    assert os.listdir("a") == ["b"]
    assert os.stat("a").st_mode == os.stat("a/b").st_mode


@pytest.mark.parametrize("name", FILES)
def test_folder_in_the_place_of_a_file(folder, name):
    Path(folder, name).unlink()
    os.mkdir(f"{folder}/{name}")
    with pytest.raises(Mistake, match=r"^'run' is a folder with other things in it: "):
        prepare(folder)


def test_folder_that_a_crash_left(tmp_path):
    (tmp_path / ".saving-1").mkdir()
    prepare(str(tmp_path))


def test_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Mistake, match=r"^'.*' cannot be written: Not a directory$"):
        prepare(str(tmp_path / "file" / "run"))
