"""softxent.load: the model of a run in Python, on every kind of rows, with what the command computes."""

import json
from pathlib import Path

import numpy as np
import palmerpenguins
import pandas as pd
import polars as pl
import pyarrow.csv
import pytest
from scipy import sparse
from sklearn import datasets

import softxent
from softxent.app.cli import run

PENGUINS = Path(palmerpenguins.__file__).parent / "data/penguins.csv"
ROW = {
    "island": "Dream",
    "bill_length_mm": 46.5,
    "bill_depth_mm": 17.9,
    "flipper_length_mm": 192,
    "body_mass_g": 3500,
    "sex": "female",
    "year": 2007,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    words = ["train", str(PENGUINS), "--target", "species", "--hidden", "8", "--epochs", "20", "--json"]
    assert run([*words, "--out", str(folder / "penguins")]) == 0
    return folder / "penguins"


@pytest.fixture(scope="module")
def model(folder):
    return softxent.load(folder)


ROWS = {
    "pandas": lambda: pd.read_csv(PENGUINS),
    "pandas, all text": lambda: pd.read_csv(PENGUINS, dtype=str),
    "pandas, categories, columns turned round": lambda: pd.read_csv(PENGUINS).astype({"sex": "category"}).iloc[:, ::-1],
    "polars": lambda: pl.read_csv(PENGUINS, null_values="NA"),
    "pyarrow": lambda: pyarrow.csv.read_csv(PENGUINS),
    "rows": lambda: pd.read_csv(PENGUINS).to_dict("records"),
    "columns": lambda: pd.read_csv(PENGUINS).to_dict("list"),
    "values": lambda: pd.read_csv(PENGUINS).drop(columns="species").values.tolist(),
    "objects": lambda: pd.read_csv(PENGUINS).drop(columns="species").astype(object).to_numpy(),
}


@pytest.mark.parametrize("kind", ROWS)
def test_every_kind_of_rows(folder, model, kind, tmp_path):
    out = str(tmp_path / "p.parquet")
    assert run(["predict", str(folder), str(PENGUINS), "--proba", "--out", out]) == 0
    expected = pd.read_parquet(out)
    assert model.predict(ROWS[kind]()).tolist() == expected["species"].tolist()
    P = model.predict_proba(ROWS[kind]())
    np.testing.assert_allclose(P, expected.iloc[:, 1:].to_numpy(), rtol=1e-12)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(ROWS[kind]())), P, rtol=1e-12)


def test_what_a_model_says_of_itself(model):
    assert repr(model) == "<softxent model of 'species' with 3 classes, trained on penguins.csv>"
    assert model.classes_.tolist() == ["Adelie", "Chinstrap", "Gentoo"]
    assert (model.target, model.columns) == ("species", list(ROW))
    assert model.pipeline.predict(pd.DataFrame([ROW])).tolist() == model.predict(ROW).tolist()
    assert model.features([ROW, ROW]).shape == (2, model.pipeline[-1].n_features_in_)
    assert model.predict_proba([]).shape == (0, 3)


def test_explains_as_the_command_does(folder, model, capsys):
    assert run(["explain", "--model", str(folder), "--data", str(PENGUINS), "--row", "17", "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    told = model.explain(pd.read_csv(PENGUINS).iloc[17]).to_dict()
    assert told.pop("row") == 0
    assert told.pop("data") == "row"
    for name in ("row", "data"):
        expected.pop(name)
    assert told == expected
    for row in (ROW, [ROW], list(ROW.values()), pd.DataFrame([ROW]), pd.Series(ROW)):
        assert model.explain(row).contributions == model.explain(ROW).contributions
    assert "What pushed this prediction" in str(model.explain(ROW, "Adelie"))
    assert model.explain(ROW, "Adelie")._repr_html_().startswith('<div class="softxent">')
    assert model.explain(ROW, "Adelie").trace.target == 0


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (3, "X is int, but must be a DataFrame, a dict of columns, or a list of rows"),
        ([3], "X is a list of int, but must be a DataFrame, a dict of columns, or a list of rows"),
        (
            [[1, 2]],
            "X has a row of 2 values, but the model has 7 columns: island, bill_length_mm, bill_depth_mm, "
            "flipper_length_mm, body_mass_g, sex, year",
        ),
        ({"a": [1, 2], "b": [1]}, "X has columns of different lengths: a 2, b 1"),
        (
            {name: value for name, value in ROW.items() if name != "sex"},
            "'X' has no column 'sex', which the model was trained with; its columns are island, bill_length_mm, "
            "bill_depth_mm, flipper_length_mm, body_mass_g, year",
        ),
    ],
)
def test_mistakes(model, rows, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        model.predict(rows)
    assert str(raised.value) == message


def test_warns_of_unseen_values(model):
    with pytest.warns(UserWarning, match=r"^column 'island' has 'Mars', which training did not have: it counts as "):
        model.predict(ROW | {"island": "Mars"})


def test_one_row_is_explained(model):
    with pytest.raises(ValueError, match=r"^row is 2 rows, but must be one$"):
        model.explain([ROW, ROW])


def test_no_run(tmp_path):
    with pytest.raises(ValueError, match=r"^there is no run '.*': it must be a folder that softxent train saved$"):
        softxent.load(tmp_path)


def test_integer_labels_and_sparse_rows(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X, y = datasets.load_iris(return_X_y=True)
    datasets.dump_svmlight_file(X, y, "iris.svm")
    assert run(["train", "iris.svm", "--json"]) == 0
    model = softxent.load("runs/iris")
    assert model.classes_.tolist() == [0, 1, 2]
    assert (model.predict(X) == model.predict(sparse.csr_matrix(X))).all()
    assert (model.predict(X) == y).mean() > 0.9
    assert model.explain(X[:1]).contributions.columns[0].column.startswith("x")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")
def test_run_of_an_earlier_version():
    saved = Path(__file__).parent / "data/saved_by_0.1"
    model = softxent.load(saved / "run")
    assert model.predict({"weight": [1.56, -1.17], "colour": ["white", "black"]}).tolist() == ["dog", "猫"]
