"""Models that earlier versions saved load, and predict the same numbers: tests/data/saved_by_0.1.

`softxent train animals.csv --target label --hidden 8 --epochs 60` wrote the run, and `softxent predict --proba` the
predictions; adam.skops and sgd.skops are estimators after three calls of partial_fit, saved by skops.io.dump.
"""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import skops.io

from softxent.app.run import Run
from softxent.app.tables import open_file

SAVED = Path(__file__).parent / "data" / "saved_by_0.1"
DATA = str(SAVED / "animals.csv")

# saved by another version of scikit-learn than the one that is installed
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")


def table(text):
    head, *rows = csv.reader(text.splitlines())
    return head, [row[0] for row in rows], np.array([row[1:] for row in rows], float)


def test_command(softxent):
    code, out, err = softxent("predict", str(SAVED / "run"), DATA, "--proba")
    assert (code, err) == (0, "")
    head, names, p = table(out)
    then_head, then_names, then_p = table((SAVED / "predictions.csv").read_text("utf-8"))
    assert (head, names) == (then_head, then_names)
    np.testing.assert_allclose(p, then_p, rtol=1e-9)  # BLAS may add in another order than it did then


def test_from_python():
    run = Run.load(str(SAVED / "run"))
    rows = open_file(DATA).read()
    names = run.model.predict(rows.features(run.schema.columns))
    assert names.tolist() == table((SAVED / "predictions.csv").read_text("utf-8"))[1]


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_estimator_in_the_middle_of_training(solver):
    path, rows = SAVED / f"{solver}.skops", open_file(DATA).read()
    model = skops.io.load(path, trusted=skops.io.get_untrusted_types(file=path))
    X, y = rows.table["weight"].to_numpy().astype(float)[:, None], rows.labels("label")[0]
    then = json.loads((SAVED / "after_another_epoch.json").read_text())[solver]
    np.testing.assert_allclose(model.partial_fit(X, y).predict_proba(X[:3]), then, rtol=1e-9)
