"""SoftmaxClassifier as scikit-learn sees it: its own checks, and the tools around an estimator."""

import pickle
import subprocess
import sys

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.feature_selection import RFE
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from softxent.sklearn import SoftmaxClassifier

IRIS, SPECIES = load_iris(return_X_y=True, as_frame=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[SPECIES]

CONFIGURATIONS = [
    SoftmaxClassifier(),
    SoftmaxClassifier(label_smoothing=0.1, warm_start=True),
    SoftmaxClassifier(solver="sgd"),
    SoftmaxClassifier((8,)),
    SoftmaxClassifier((8, 4), activation="tanh", label_smoothing=0.1),
    SoftmaxClassifier((8,), activation="logistic", solver="sgd", learning_rate_init=0.1),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::FutureWarning")
@parametrize_with_checks(CONFIGURATIONS)
def test_scikit_learn_check(estimator, check):
    check(estimator)


# around an estimator -----------------------------------------------------------------------------------------------


def test_pipeline_and_grid_search():
    search = GridSearchCV(
        make_pipeline(StandardScaler(), SoftmaxClassifier()), {"softmaxclassifier__alpha": [1e-3, 1.0]}, cv=3
    ).fit(IRIS, NAMES)
    assert search.best_params_ == {"softmaxclassifier__alpha": 1e-3}
    assert search.best_score_ > 0.95


def test_calibration():
    model = CalibratedClassifierCV(SoftmaxClassifier(), cv=3).fit(IRIS, NAMES)
    np.testing.assert_allclose(model.predict_proba(IRIS).sum(axis=1), 1)
    assert model.score(IRIS, NAMES) > 0.95


def test_feature_elimination_reads_coef():
    assert RFE(SoftmaxClassifier(), n_features_to_select=2).fit(IRIS, NAMES).support_.tolist() == [
        False,
        False,
        True,
        True,
    ]


def test_set_output_names_what_comes_before():
    steps = make_pipeline(StandardScaler(), SoftmaxClassifier()).set_output(transform="pandas").fit(IRIS, NAMES)
    assert list(steps[-1].feature_names_in_) == list(IRIS.columns)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_column_names(frame):
    X = frame({name: IRIS[name].to_numpy() for name in IRIS})
    model = SoftmaxClassifier().fit(X, NAMES)
    assert list(model.feature_names_in_) == list(IRIS.columns)
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(X[list(IRIS.columns[::-1])])


@pytest.mark.parametrize(
    "labels", [pd.Series(NAMES), pd.Series(NAMES, dtype="category"), pl.Series(NAMES), list(NAMES)]
)
def test_labels_of_any_kind(labels):
    assert set(SoftmaxClassifier().fit(IRIS, labels).predict(IRIS)) == {"setosa", "versicolor", "virginica"}


@pytest.mark.parametrize("hidden", [(), (5,)])
def test_pickle_and_clone(hidden):
    model = SoftmaxClassifier(hidden, solver="adam", max_iter=3, tol=0, random_state=0)
    for _ in range(2):
        model.partial_fit(IRIS, NAMES, classes=np.unique(NAMES))
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict_proba(IRIS), model.predict_proba(IRIS))
    for m in (loaded, model):
        m.partial_fit(IRIS, NAMES)  # with the same momenta and the same order of rows
    np.testing.assert_array_equal(loaded.predict_proba(IRIS), model.predict_proba(IRIS))
    assert clone(model).get_params() == model.get_params()
    assert not hasattr(clone(model), "coefs_")


def test_metadata_routing_of_weights_and_validation_set():
    weight = np.where(NAMES == "setosa", 1e-6, 1.0)
    with sklearn.config_context(enable_metadata_routing=True):
        model = SoftmaxClassifier(alpha=1.0).set_fit_request(sample_weight=True, X_val=True, y_val=True)
        model.set_score_request(sample_weight=True)
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        steps = make_pipeline(scaler, model, transform_input=["X_val"])
        steps.fit(IRIS, NAMES, sample_weight=weight, X_val=IRIS[::3], y_val=NAMES[::3])
        scores = cross_val_score(make_pipeline(model), IRIS, NAMES, params={"sample_weight": weight})
    scaled = StandardScaler().fit(IRIS)
    direct = SoftmaxClassifier(alpha=1.0).fit(scaled.transform(IRIS), NAMES, weight)
    np.testing.assert_allclose(steps.predict_proba(IRIS), direct.predict_proba(scaled.transform(IRIS)))
    assert len(steps[-1].validation_scores_) == steps[-1].n_iter_
    assert len(scores) == 5


def test_two_classes():
    X, y = load_breast_cancer(return_X_y=True)
    model = SoftmaxClassifier().fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == (len(X), 2)
    assert model.coef_.shape == (2, X.shape[1])
    np.testing.assert_allclose(model.decision_function(X), np.log(p[:, 1] / p[:, 0]), rtol=1e-6, atol=1e-9)


def test_log_proba_where_proba_rounds_to_zero():
    X = np.array([[-1.0], [1.0]])
    model = SoftmaxClassifier(alpha=1e-3).fit(X, [0, 1])
    log_p = model.predict_log_proba(1e5 * X)
    assert np.isfinite(log_p).all()
    assert model.predict_proba(1e5 * X)[0, 1] == 0 > log_p[0, 1]


@pytest.mark.parametrize("hidden", [(), (5,)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", [np.asarray, np.asfortranarray, sparse.csr_array, sparse.csr_matrix, sparse.csc_array])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_dtype_is_kept_and_sparse_is_the_same(hidden, dtype, form):
    X, options = IRIS.to_numpy().astype(dtype), {"alpha": 0.01, "random_state": 0, "max_iter": 30}
    model = SoftmaxClassifier(hidden, **options).fit(form(X), SPECIES)
    dense = SoftmaxClassifier(hidden, **options).fit(X, SPECIES)
    assert {W.dtype for W in model.coefs_ + model.intercepts_} == {np.dtype(dtype)}
    assert model.predict_proba(form(X)).dtype == dtype
    tolerance = {np.float32: 1e-3, np.float64: 1e-9}[dtype]
    np.testing.assert_allclose(model.predict_proba(form(X)), dense.predict_proba(X), atol=tolerance)


@pytest.mark.parametrize("package", ["sklearn", "scipy"])
def test_missing_extra_is_named(package):
    code = f"import sys; sys.modules['{package}'] = None\nimport softxent.sklearn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"softxent.sklearn needs {package}: pip install '.[sklearn]' in a clone of softxent" in done.stderr
