"""How much a model needs each column; and images of arrays, drawn in the report."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture
from sklearn.inspection import permutation_importance
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from softxent.app.importance import importance
from softxent.app.report.images import grid, images
from softxent.sklearn import SoftmaxClassifier


def fitted(hidden=(), n=400):
    """The label is of a, less of b, and not of c; d says the same as c."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 4)) * [1, 1, 50, 1], columns=list("abcd"))
    y = (2 * X["a"] + X["b"] + rng.normal(size=n) > 0).to_numpy().astype(int)
    model = make_pipeline(StandardScaler(), SoftmaxClassifier(hidden, alpha=1e-2, max_iter=2000, random_state=0))
    return model.fit(X, y), X, y


@pytest.mark.parametrize("hidden", [(), (8,)])
def test_rises_are_those_of_shuffled_columns(hidden):
    model, X, y = fitted(hidden)
    found = importance(model, X, y, None, trained=False, seed=0)
    assert [rise.column for rise in found.columns][:2] == ["a", "b"]
    peer = permutation_importance(model, X, y, scoring="neg_log_loss", n_repeats=20, random_state=1)
    expected = dict(zip(X.columns, peer.importances_mean, strict=True))
    for rise in found.columns:
        assert abs(rise.rise - expected[rise.column]) < 0.05 + 0.1 * expected[rise.column]
        assert rise.low <= rise.rise <= rise.high
    assert found == importance(model, X, y, None, trained=False, seed=0)
    assert (found.rows, found.repeats, bool(found.coefficients)) == (400, 5, not hidden)


def test_rows_that_weigh_nothing_have_no_part():
    model, X, y = fitted()
    w = np.repeat([1.0, 0.0], 200)
    with_them = importance(model, X, y, w, trained=False, seed=0)
    y[200:] = 1 - y[200:]
    assert importance(model, X, y, w, trained=False, seed=0).columns == with_them.columns


def test_coefficients_are_of_one_standard_deviation():
    model, X, y = fitted()
    by_name = {each.feature: each for each in importance(model, X, y, None, trained=False, seed=0).coefficients}
    W = model[-1].coefs_[0]
    assert (by_name["a"].raised, by_name["a"].lowered) == (1, 0)
    assert by_name["a"].up == pytest.approx((W[0, 1] - W[0, 0]) / 2, rel=1e-4)
    assert by_name["a"].down == pytest.approx(-by_name["a"].up, rel=1e-6)


# Images -------------------------------------------------------------------------------------------------------------


def picture(url):
    return np.asarray(Picture.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 3), (3, 4, 4)])
def test_pixels_of_an_array_are_drawn_as_they_are(shape):
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    pixels.flat[:2] = 0, 255
    row = {f"X[{i}]": value for i, value in enumerate(pixels.ravel().tolist())} | {"age": 3}
    found = grid(list(row), {"X": shape})
    [drawn] = images([row], found)
    assert (drawn.width, drawn.height, drawn.ink) == (4, 3, False)
    np.testing.assert_array_equal(picture(drawn.url).reshape(shape), pixels)


@pytest.mark.parametrize("shape", [(12,), (2, 3, 2), (2, 2, 3, 1), (1, 3)])
def test_other_arrays_are_no_images(shape):
    assert grid([f"X[{i}]" for i in range(int(np.prod(shape)))], {"X": shape}) is None


def test_train_draws_images_and_measures_columns(softxent, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    y = np.arange(120) % 2
    np.savez(
        "t.npz", image=rng.integers(0, 200, (120, 3, 4, 3)) + 50 * y[:, None, None, None], age=rng.normal(size=120), y=y
    )
    assert softxent("train", "t.npz", "--target", "y")[0] == 0
    page = Path("runs/t/report.html").read_text("utf-8")
    assert page.count('<img class="image" src="data:image/png;base64,') == 10
    assert page.count("<dt>age</dt>") == 10
    assert "image[0]</dt>" not in page
    metrics = json.loads(Path("runs/t/metrics.json").read_text("utf-8"))
    assert {rise["column"] for rise in metrics["importance"]} == {"age", *(f"image[{i}]" for i in range(36))}
    for text in ("What the model goes by", "模型依据什么", "Only 24 rows: a small rise", "只有 24 行数据：上升很小"):
        assert text in page
    command = "softxent train t.npz --target y"
    assert command in "".join(
        part.partition(">")[2] for part in page.partition("<pre>")[2].partition("</pre>")[0].split("<")
    )
