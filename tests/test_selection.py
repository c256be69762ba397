"""The choice of a model: what is tried, on which rows, what is taken, and that it is the same each time."""

import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import palmerpenguins
import pytest
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning

from softxent.app import comparison, selection
from softxent.app.selection import Candidate, choose, difference, simplest
from softxent.app.settings import Settings
from softxent.app.splits import split
from softxent.app.tables import open_file
from softxent.app.task import Task
from softxent.app.training import evaluate, fit

PENGUINS = Path(palmerpenguins.__file__).parent / "data" / "penguins.csv"
RNG = np.random.default_rng


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(X, y, name="table.csv"):
    """A CSV file of numbers and a label, read as `train` reads it."""
    lines = [",".join(map(str, [*row, label])) for row, label in zip(X, y, strict=True)]
    Path(name).write_text("\n".join([",".join(f"x{i}" for i in range(X.shape[1])) + ",y", *lines]), "utf-8")
    return Task.of(open_file(name), "y", {})


def noise(rows=80, features=12):
    """Labels that the numbers say nothing of."""
    return RNG(0).standard_normal((rows, features)).round(3), RNG(1).choice(["a", "b"], rows)


def rings(rows=500):
    """Labels that are no linear function of the numbers: inside a ring or outside."""
    X = RNG(0).standard_normal((rows, 2)).round(3)
    return X, np.where((X**2).sum(axis=1) < 1.4, "in", "out")


def trained(task, settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        parts = split(task, settings)
        return parts, fit(parts, settings, lambda epoch: None)


# What is chosen -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "tried"),
    [
        (Settings(), [(), (32,), (128,)]),
        (Settings(model="linear"), [()]),
        (Settings(model="network"), [(32,), (128,)]),
        (Settings(hidden=()), [()]),
    ],
)
def test_candidates(settings, tried):
    assert settings.candidates == tried
    assert settings.chooses


@pytest.mark.parametrize("settings", [Settings(hidden=(8,)), Settings(model="linear", alpha=0.5)])
def test_what_is_given_is_not_chosen(settings):
    _, fitted = trained(table(*noise()), replace(settings, epochs=3))
    assert fitted.choice is None
    assert fitted.classifier.alpha == (0.5 if settings.alpha else 1e-4)


def test_noise_gets_a_strong_penalty_and_data_a_weak_one():
    _, of_noise = trained(table(*noise()), Settings(model="linear"))
    X, y = datasets.load_iris(return_X_y=True)
    _, of_iris = trained(table(X, np.array(["a", "b", "c"])[y]), Settings(model="linear"))
    assert of_noise.classifier.alpha > 0.3
    assert of_iris.classifier.alpha < 0.01


def test_default_no_longer_overfits():
    """Breast cancer had a log-loss of 0.289 with α = 1e-4, and scikit-learn's 0.127 with C = 1."""
    X, y = datasets.load_breast_cancer(return_X_y=True)
    task = table(X, np.array(["malignant", "benign"])[y])
    losses = [
        evaluate(*trained(task, settings)).scores.log_loss
        for settings in (Settings(model="linear"), Settings(hidden=(), alpha=1e-4))
    ]
    assert losses[0] < 0.1 < losses[1]


def test_network_where_a_line_does_not_do():
    _, fitted = trained(table(*rings()), Settings())
    assert fitted.units[1:-1] in [(32,), (128,)]
    assert fitted.classifier.n_iter_ == fitted.choice.chosen.at
    assert fitted.choice.facts()["tried"][0]["log_loss"] > 0.5


def test_all_training_rows_are_trained_on():
    parts, fitted = trained(table(*noise()), Settings(model="linear"))
    assert (len(parts.train), len(parts.val), len(parts.test)) == (64, 0, 16)
    assert fitted.choice.rows == 64


def test_folds_fit_their_own_features():
    """A fold's scale is that of the rows that train it: the others are not looked at."""
    parts = split(table(*noise()), Settings())
    made = selection.folds_of(parts, Settings())
    assert len(made) == 5
    for fold in made:
        np.testing.assert_allclose(fold.X.mean(axis=0), 0, atol=1e-12)
        assert abs(fold.X_val.mean(axis=0)).max() > 1e-3
        assert not set(fold.train.rows) & set(fold.val.rows)
    assert sorted(np.concatenate([fold.val.rows for fold in made])) == sorted(parts.train.rows)


def test_folds_keep_groups_together():
    X, y = noise()
    Path("t.csv").write_text(
        "x,g,y\n" + "\n".join(f"{x[0]},{i // 8},{c}" for i, (x, c) in enumerate(zip(X, y, strict=True)))
    )
    from softxent.app.roles import Roles

    task = Task.of(open_file("t.csv"), "y", {}, Roles(group="g"))
    for fold in selection.folds_of(split(task, Settings()), Settings()):
        assert not set(fold.train.group) & set(fold.val.group)


@pytest.mark.parametrize(
    ("gains", "chosen"),
    [([0.2, 0.3, 0.25, 0.2], (32,)), ([2.0, -1.8, 1.9, -1.9], ()), ([-0.1, -0.2, -0.1, -0.1], ())],
)
def test_network_must_be_better_by_more_than_chance(gains, chosen):
    losses = np.array([3.0, 2.0, 4.0, 3.0])
    linear, network = Candidate(()), Candidate((32,))
    linear.record(1.0, losses, np.ones(4))
    network.record(1, losses - gains, np.ones(4))
    assert simplest([linear, network], 4).hidden == chosen


def test_the_strongest_alpha_that_is_hardly_worse():
    candidate = Candidate(())
    for alpha, mean in ((1.0, 0.6), (0.1, 0.5015), (0.01, 0.5), (0.001, 0.7)):
        candidate.record(alpha, np.full(3, mean), np.ones(3))
    assert candidate.at == 0.01
    candidate.settle()
    assert candidate.at == 0.1


def test_difference():
    mean, error = difference(np.array([1.0, 3.0]), np.array([0.0, 0.0]), np.ones(2))
    assert (mean, error) == (2.0, pytest.approx(np.sqrt(2) / 2))
    assert difference(np.array([1.0, 3.0]), np.zeros(2), np.array([1.0, 0.0])) == (1.0, 0.0)


def test_validation_rows_take_the_place_of_folds():
    task = table(*rings(200))
    parts = split(task, Settings(hidden=(4,)))  # holds a tenth out
    choice = choose(parts, Settings(model="linear"))
    assert (choice.folds, choice.rows) == (0, len(parts.val))


@pytest.mark.parametrize(
    ("features", "folds", "most"), [(10, 5, 300), (2000, 1, 300), (100_000, 1, 30)], ids=["narrow", "wide", "very wide"]
)
def test_work_of_a_network_is_bounded(features, folds, most):
    """On 10,000 rows, by what their number and width cost, never by a clock: the choice is the same on any machine."""

    class Rows(list):
        y = np.arange(3)

    class X:
        shape = (400 if features < 100 else 8000, features)

    given = [selection.Fold(X, Rows(range(X.shape[0])), X, Rows(range(X.shape[0] // 4)))] * 5
    found, epochs = selection.affordable((128,), given, Settings())
    assert len(found) == folds
    assert 5 <= epochs <= most


def test_ctrl_c_keeps_the_best_so_far():
    def stop(step):
        if step.hidden:
            raise KeyboardInterrupt

    task = table(*noise())
    fitted = fit(split(task, Settings()), Settings(), lambda epoch: None, stop)
    assert [note.say("en") for note in fitted.notes] == [
        "stopped by Ctrl-C while models were tried; the best so far is trained"
    ]
    assert fitted.linear


# The command ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "en", "zh"),
    [
        (
            ["--model", "tree"],
            "--model is 'tree', but must be auto, linear or network",
            "--model 是 'tree'，应为 auto、linear 或 network",
        ),
        (
            ["--model", "linear", "--hidden", "8"],
            "--model is linear, but --hidden is 8: leave one of them out",
            "--model 是 linear，而 --hidden 是 8：请去掉其中一个",
        ),
        (
            ["--model", "network", "--hidden", "0"],
            "--model is network, but --hidden is 0: leave one of them out",
            "--model 是 network，而 --hidden 是 0：请去掉其中一个",
        ),
        (
            ["--compare", "--cv", "3"],
            "--compare is asked for, but there are no test rows to compare models on: leave --cv out",
            "用了 --compare，但没有可供比较的测试数据：请去掉 --cv",
        ),
        (
            ["--alpha", "none"],
            "--alpha is 'none', but must be a finite number at least 0",
            "--alpha 是 'none'，应为不小于 0 的有限数",
        ),
    ],
)
def test_options(softxent, words, en, zh):
    for lang, text in (("en", en), ("zh", zh)):
        code, _, err = softxent("train", str(PENGUINS), "--target", "species", *words, "--lang", lang)
        assert code == 2
        assert text in err
    assert not Path("runs").exists()


def test_shown_saved_and_reported(softxent):
    words = ["train", str(PENGUINS), "--target", "species", "--model", "linear", "--compare"]
    code, out, _ = softxent(*words)
    assert code == 0
    for line in (
        "275 rows to train on, 69 to test",
        "Chosen by log-loss in 5-fold validation on the training rows",
        "Model: 15 → 3, multinomial logistic regression",
        "Beside scikit-learn's models, on the same 69 test rows and features",
    ):
        assert line in out.split("\n")
    assert "← chosen" in out
    metrics = json.loads(Path("runs/penguins/metrics.json").read_text("utf-8"))
    (tried,) = metrics["training"]["choice"]["tried"]
    assert tried["alpha"] == metrics["training"]["alpha"]
    assert len(tried["path"]) >= 8
    compared = {row["name"]: row for row in metrics["comparison"]}
    assert compared.keys() == {"softxent", *comparison.PEERS}
    assert compared["softxent"]["log_loss"] == pytest.approx(metrics["log_loss"])
    page = Path("runs/penguins/report.html").read_text("utf-8")
    for text in ("Choice of the model", "模型的选择", "Beside other models", "HistGradientBoosting", "不分上下"):
        assert text in page


@pytest.mark.parametrize("classes", [["a", "b"], ["a", "b", "c"]])
def test_peers_meet_a_class_with_few_rows(classes):
    """LogisticRegressionCV cannot score folds without a class, MLPClassifier cannot hold out one of two rows."""
    X, y = noise(60)
    y[:4] = classes[-1]
    y[4:] = [classes[i % (len(classes) - 1)] for i in range(56)]
    parts, fitted = trained(table(X, y), Settings(model="linear"))
    rows = comparison.compare(parts, fitted.model, fitted.seconds, 0)
    assert {row.name for row in rows} == {"softxent", *comparison.PEERS}
    assert [row.log_loss for row in rows] == sorted(row.log_loss for row in rows)
    assert rows[0].best
    assert rows[0].tie


# The same command, the same model -------------------------------------------------------------------------------------

TRAINED = {"linear": ["--model", "linear", "--alpha", "0.01"], "network": ["--model", "network", "--epochs", "2"]}
TRAIN = """
from softxent.app.cli import run
for name, words in {}.items():
    assert run(["train", "kinds.csv", "--target", "y", *words, "--out", f"{}/{{name}}", "--json"]) == 0
"""


def test_model_files_are_the_same_in_any_process():
    """With another hash seed and number of threads; numbers, categories, dates, texts, missing values."""
    rng, words = RNG(0), ["red", "green", "blue", "wine", "good", "bad", "sour", "acid", "oak", "dry", "sweet"]
    lines = ["number,category,date,text,y"]
    for i in range(60):
        text = " ".join(rng.choice(words, 3))
        number = "" if i % 9 == 0 else round(rng.standard_normal(), 3)
        lines.append(f"{number},{rng.choice(list('abc'))},2024-{i % 12 + 1:02d}-{i % 28 + 1:02d},{text},{'uvw'[i % 3]}")
    Path("kinds.csv").write_text("\n".join(lines), "utf-8")
    exec(TRAIN.format(TRAINED, "here"))
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, "PYTHONHASHSEED": "1", **dict.fromkeys(names, "1")}
    command = [sys.executable, "-c", TRAIN.format(TRAINED, "there")]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    for name in TRAINED:
        assert Path(f"here/{name}/model.skops").read_bytes() == Path(f"there/{name}/model.skops").read_bytes(), name


def test_solution_does_not_depend_on_threads():
    from softxent import get_num_threads, set_num_threads
    from softxent.sklearn import SoftmaxClassifier

    X, y = RNG(0).standard_normal((9000, 60)), RNG(1).integers(3, size=9000)
    before, found = get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            set_num_threads(threads)
            found.append(SoftmaxClassifier(alpha=0.01).fit(X, y).coef_)
    finally:
        set_num_threads(before)
    assert (found[0] == found[1]).all()
    assert (found[0] == found[2]).all()
