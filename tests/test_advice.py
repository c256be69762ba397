"""The notes on a table and a model: each has a table that calls for it, and real ones that do not."""

import warnings
from pathlib import Path

import numpy as np
import palmerpenguins
import pandas as pd
import pytest
import vega_datasets
from sklearn import datasets

from softxent.app import advice
from softxent.app.settings import Settings
from softxent.app.splits import split
from softxent.app.tables import open_file
from softxent.app.task import Task
from softxent.app.training import evaluate, fit
from softxent.app.words import Mistake

PENGUINS = Path(palmerpenguins.__file__).parent / "data/penguins.csv"
VEGA = Path(vega_datasets.__file__).parent / "_data"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def frame_of(name):
    """A table that ships in a package, with its target."""
    if name == "penguins":
        return pd.read_csv(PENGUINS), "species"
    if name in ("cars", "barley", "seattle-weather", "airports"):
        file = VEGA / f"{name}.{'json' if name in ('cars', 'barley') else 'csv'}"
        frame = pd.read_json(file) if file.suffix == ".json" else pd.read_csv(file)
        frame = frame.groupby("country").head(20) if name == "airports" else frame
        return frame, {"cars": "Origin", "barley": "site", "seattle-weather": "weather", "airports": "country"}[name]
    data = getattr(datasets, f"load_{name}")(as_frame=True)
    return data.frame, "target"


def notes(frame, target, lang="en"):
    """What is said of the table and its split."""
    frame.to_csv("t.csv", index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        task = Task.of(open_file("t.csv"), target, {})
        return [note.say(lang) for note in [*task.notes, *split(task, Settings()).notes]]


REAL = ["penguins", "cars", "barley", "seattle-weather", "wine", "breast_cancer", "digits"]


@pytest.mark.parametrize("name", REAL)
def test_real_tables_call_for_no_note(name):
    assert notes(*frame_of(name)) == []


# A column that gives the answer away --------------------------------------------------------------------------------


def coded_target(frame):
    return frame["species"].map({"Adelie": 7, "Chinstrap": 3, "Gentoo": 5})


def renamed_target(frame):
    return frame["species"].str.upper() + " penguin"


def nearly_the_target(frame):
    return (frame["species"] == "Gentoo") * 100.0 + np.random.default_rng(0).normal(size=len(frame))


LEAK = "If it is not known before, leave it out with --drop told"
LEAKS = [
    (coded_target, f"column 'told' says the same as 'y': a likely leak. {LEAK}"),
    (renamed_target, f"column 'told' says the same as 'y': a likely leak. {LEAK}"),
    (nearly_the_target, f"column 'told' alone tells 'y' in 100.0% of the training rows: a likely leak. {LEAK}"),
]


@pytest.mark.parametrize(("told", "text"), LEAKS)
def test_leaks(told, text):
    frame = pd.read_csv(PENGUINS)
    y = np.where(frame["species"] == "Gentoo", "yes", "no") if told is nearly_the_target else frame["species"]
    frame = frame[["island", "body_mass_g"]].assign(told=told(frame), y=y)
    assert notes(frame, "y") == [text]
    assert notes(frame.rename(columns={"told": "y2"}), "y", "zh")[0].startswith(
        "列 'y2' 与 'y' 一一对应" if "same" in text else "单凭列 'y2' 就能答对 100.0% 训练数据的 'y'"
    )


def test_a_missing_value_can_be_the_leak():
    frame = pd.read_csv(PENGUINS)[["island", "body_mass_g"]]
    frame["y"] = np.where(np.arange(len(frame)) % 3, "alive", "dead")
    frame["died"] = pd.to_datetime("2024-01-01") + pd.to_timedelta(np.arange(len(frame)) % 90, "D")
    frame.loc[frame["y"] == "alive", "died"] = pd.NaT
    assert [note.split(":")[0] for note in notes(frame, "y")] == [
        "column 'died' alone tells 'y' in 100.0% of the training rows"
    ]


def test_many_leaks_are_one_note():
    frame = pd.read_csv(PENGUINS)
    copies = {f"copy{i}": frame["species"] for i in range(20)}
    assert notes(frame.assign(**copies), "species") == [
        "each of 20 columns alone tells 'species', likely leaks: copy0, copy1, copy2, copy3, copy4, copy5, copy6, "
        "copy7, copy8, copy9, copy10, copy11, … (20). Leave out with --drop those that are not known before"
    ]


def test_an_identifier_is_no_leak():
    frame = pd.read_csv(PENGUINS)[["island", "body_mass_g", "species"]]
    frame["code"] = [f"{name[:2]}x{i}" for i, name in enumerate(frame["species"])]
    assert notes(frame, "species") == [
        "column code differs in every row: if it only names the row, leave it out with --drop code"
    ]


def test_many_columns_take_little_time():
    """Bins first: a tree is grown for those columns only that nearly decide."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(2000, 400))).add_prefix("x")
    frame["y"] = rng.integers(0, 3, 2000)
    frame.to_parquet("t.parquet")
    parts = split(Task.of(open_file("t.parquet"), "y", {}), Settings())
    assert parts.notes == []


# Rows that train and test -------------------------------------------------------------------------------------------


def test_duplicates_are_counted():
    frame, target = frame_of("wine")
    twice = pd.concat([frame, frame])
    (note,) = notes(twice, target)
    assert note == (
        "test rows that also train, equal in every column and the label: 61 of 71. If they are copies, the scores are "
        "too good"
    )
    assert notes(twice, target, "zh") == [
        "71 行测试数据中有 61 行与某一训练行完全相同（包括标签）：如果是重复的数据，分数会偏高"
    ]


def test_rows_of_few_values_are_equal_by_chance():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 5, 300), "b": rng.choice(["x", "y"], 300), "y": rng.integers(0, 2, 300)})
    assert notes(frame, "y") == []


# A target that is a quantity ----------------------------------------------------------------------------------------

BIN = "df['target'] = pd.qcut(df['target'], 4, duplicates='drop')"


def test_a_quantity():
    frame, target = frame_of("diabetes")
    assert notes(frame, target) == [
        "'target' has 214 different numbers in 442 rows, and each is a class here: if it is a quantity, put it into "
        f"bins first, e.g. in pandas: {BIN}"
    ]
    frame["target"] += np.arange(len(frame)) / 1000
    expected = (
        "'target' has 442 different numbers in 442 rows, but must have classes, with several rows each: put them into "
        f"bins first, e.g. in pandas: {BIN}"
    )
    with pytest.raises(Mistake) as raised:
        notes(frame, target)
    assert str(raised.value) == expected


@pytest.mark.parametrize(
    ("classes", "counts", "quantity"),
    [
        (np.arange(40), [10] * 40, False),  # the faces of Olivetti
        (np.arange(1, 27), [9] * 26, False),
        (np.arange(1, 30), [1] + [20] * 28, True),  # the rings of abalones
        (np.arange(18, 80), [10] * 62, True),
        (np.arange(10), [1] * 10, False),
        (np.array([f"{i / 2}" for i in range(30)]), [10] * 30, True),
        (np.array([f"class {i}" for i in range(30)]), [10] * 30, False),
    ],
)
def test_what_is_a_quantity(classes, counts, quantity):
    assert advice.is_quantity(classes, np.array(counts)) == quantity


def test_rare_classes_are_one_note():
    frame, target = frame_of("airports")
    assert notes(frame, target)[0] == (
        "4 classes have 1 example each, so they cannot be tested: add some, merge or remove them: 'Federated States of "
        "Micronesia', 'N Mariana Islands', 'Palau', 'Thailand'"
    )


# A model ------------------------------------------------------------------------------------------------------------


def trained(frame, target, **settings):
    frame.to_csv("t.csv", index=False)
    chosen = Settings(**settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts = split(Task.of(open_file("t.csv"), target, {}), chosen)
        return parts, fit(parts, chosen, lambda epoch: None)


@pytest.mark.parametrize(
    ("told", "en", "zh"),
    [
        (True, "the model's probabilities are worth nothing", "模型给出的概率毫无价值"),
        (False, "the model has learned nothing", "模型什么也没学到"),
    ],
)
def test_a_network_that_learned_nothing(told, en, zh):
    """With steps so large, it may still be right, but is sure of what is wrong too."""
    parts, fitted = trained(*frame_of("wine"), hidden=(16,), lr=1e9, epochs=12)
    if not told:
        fitted.model[-1].coefs_[-1][...] = 0
    (note,) = advice.of_fit(parts.train, fitted.model, 1e9)
    assert note.say("en").startswith(f"{en}: on the very rows that trained it, its log-loss is ")
    assert ", that of class frequencies alone 1.085 (it is right in " in note.say("en")
    assert note.say("en").endswith(", one class for all in 40.2%): lower --lr (now 1e+09)")
    assert note.say("zh").startswith(f"{zh}：即使在训练数据上")
    assert note.say("zh").endswith("总答同一类答对 40.2%）：请减小 --lr（现为 1e+09）")


@pytest.mark.parametrize("settings", [{"model": "linear"}, {"hidden": (8,), "epochs": 12}])
def test_models_that_learned(settings):
    parts, fitted = trained(*frame_of("wine"), **settings)
    assert advice.of_fit(parts.train, fitted.model, None) == []
    assert advice.of_scores(evaluate(parts, fitted)) == []


def test_scores_not_below_the_baseline():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 40)).round(3)).add_prefix("x").assign(y=rng.integers(0, 2, 120))
    parts, fitted = trained(frame, "y", model="linear", alpha=1e-4)
    (note,) = advice.of_scores(evaluate(parts, fitted))
    assert note.say("en").endswith(": here the probabilities are worth no more than the class frequencies alone")
    assert note.say("zh").endswith("在这些数据上，模型给出的概率不比类别频率本身更有价值")
