"""What SoftmaxClassifier says to bad input and bad fits, by its exact text."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import datasets
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.preprocessing import StandardScaler

from softxent.sklearn import SoftmaxClassifier, advice
from tests.cases import INF, NAN

X = np.random.default_rng(0).standard_normal((8, 3))
Y = np.array(["a", "b"] * 4)
P = np.full((8, 2), 0.5)


def raises(kind, text):
    return pytest.raises(kind, match=f"^{re.escape(text)}$")


def with_one(array, index, value):
    array = np.array(array, object if value is None else None)
    array[index] = value
    return array


IMPUTE = "fill in what is missing, for example with make_pipeline(SimpleImputer(), SoftmaxClassifier())"
NAMED = pd.DataFrame(with_one(X, (2, 1), NAN), columns=["age", "income", "debt"])
NUMBERS = np.array([0.0, 1.0] * 4)

FIT = [
    (with_one(X, (2, 1), NAN), Y, {}, f"X[2, 1] is NaN, but must be finite: {IMPUTE}"),
    (NAMED, Y, {}, f"X[2, 'income'] is NaN, but must be finite: {IMPUTE}"),
    (with_one(X, (7, 0), -INF), Y, {}, "X[7, 0] is -inf, but must be finite: replace or clip it"),
    (
        sparse.csr_array(with_one(np.eye(8, 3), (6, 2), INF)),
        Y,
        {},
        "X[6, 2] is inf, but must be finite: replace or clip it",
    ),
    (X, ["a"] * 8, {}, "y has one class, 'a', but a classifier needs examples of at least two classes"),
    (X, with_one(Y, 3, None), {}, "y[3] is None, but every row must have a label: drop the row, or give it one"),
    (X, with_one(NUMBERS, 5, NAN), {}, "y[5] is nan, but every row must have a label: drop the row, or give it one"),
    (
        X,
        pd.Series(Y, dtype="string").where(np.arange(8) != 4),
        {},
        "y[4] is <NA>, but every row must have a label: drop the row, or give it one",
    ),
    (X, with_one(NUMBERS, 0, INF), {}, "y[0] is inf, but every row must have a label: drop the row, or give it one"),
    (X, Y[:5], {}, "y has 5 labels, but X has 8 rows"),
    (X, None, {}, "SoftmaxClassifier requires y to be passed, but the target y is None"),
    (X, Y, {"sample_weight": [1.0] * 7}, "sample_weight has shape (7,), but X has 8 rows: expected (8,)"),
    (
        X,
        Y,
        {"sample_weight": with_one(np.ones(8), 2, -1)},
        "sample_weight[2] is -1.0, but must be a finite number at least 0",
    ),
    (X, Y, {"sample_weight": np.zeros(8)}, "sample_weight is zero for every row, but must be above 0 for some"),
    (X, Y, {"X_val": X}, "X_val and y_val must be given together, but y_val is None"),
    (X, Y, {"y_val": Y}, "X_val and y_val must be given together, but X_val is None"),
    (X, Y, {"X_val": X, "y_val": with_one(Y, 6, "c")}, "y_val[6] is 'c', but the classes are 'a', 'b'"),
    (X, Y, {"X_val": X, "y_val": Y[:3]}, "y_val has 3 labels, but X_val has 8 rows"),
    (
        X,
        Y,
        {"X_val": with_one(X, (0, 0), INF), "y_val": Y},
        "X_val[0, 0] is inf, but must be finite: replace or clip it",
    ),
]


@pytest.mark.parametrize(("X", "y", "more", "text"), FIT)
def test_fit(X, y, more, text):
    with raises(ValueError, text):
        SoftmaxClassifier().fit(X, y, **more)


FIT_PROBA = [
    (P[:5], {}, "P has shape (5, 2), but must be 8 rows × one column a class"),
    (P[:, :1], {}, "P has 1 column, but a classifier needs at least two classes"),
    (with_one(P, (3, 1), -0.5), {}, "P[3, 1] is -0.5, but must be a probability"),
    (with_one(P, (3, 1), NAN), {}, "P[3, 1] is nan, but must be a probability"),
    (
        with_one(P, (3, 1), 6.5),
        {},
        "P[3] sums to 7, but must sum to 1: divide each row by its sum, and give the sums as sample_weight if they are "
        "counts",
    ),
    (P, {"classes": ["a"]}, "classes is ['a'], but must name each of P's 2 columns once"),
    (P, {"classes": ["a", "a"]}, "classes is ['a', 'a'], but must name each of P's 2 columns once"),
    (P, {"X_val": X}, "X_val and P_val must be given together, but P_val is None"),
    (P, {"X_val": X, "P_val": np.full((8, 4), 0.25)}, "P_val has shape (8, 4), but must be 8 rows × 2"),
]


@pytest.mark.parametrize(("P", "more", "text"), FIT_PROBA)
def test_fit_proba(P, more, text):
    with raises(ValueError, text):
        SoftmaxClassifier().fit_proba(X, P, **more)


PARAMETERS = [
    ({"hidden_layer_sizes": (0,)}, ValueError, "hidden_layer_sizes is 0, but must be at least 1"),
    ({"hidden_layer_sizes": (4, 2.5)}, TypeError, "hidden_layer_sizes is 2.5, but must be an integer"),
    ({"activation": "step"}, ValueError, "activation is 'step', but must be one of 'relu', 'tanh', 'logistic'"),
    ({"solver": "saga"}, ValueError, "solver is 'saga', but must be one of 'auto', 'lbfgs', 'adam', 'sgd'"),
    (
        {"solver": "lbfgs", "hidden_layer_sizes": (4,)},
        ValueError,
        "solver is 'lbfgs', which is for no hidden layer, but must be 'adam', 'sgd' or 'auto' here",
    ),
    ({"alpha": -1}, ValueError, "alpha is -1, but must be a finite number at least 0"),
    ({"learning_rate_init": 0}, ValueError, "learning_rate_init is 0, but must be a finite number above 0"),
    ({"momentum": 1}, ValueError, "momentum is 1, but must be a finite number in [0, 1)"),
    ({"batch_size": 0}, ValueError, "batch_size is 0, but must be at least 1"),
    ({"batch_size": "all"}, ValueError, "batch_size is 'all', but must be an integer or 'auto'"),
    ({"max_iter": 0}, ValueError, "max_iter is 0, but must be at least 1"),
    ({"tol": NAN}, ValueError, "tol is nan, but must be a finite number at least 0"),
    ({"n_iter_no_change": 0}, ValueError, "n_iter_no_change is 0, but must be at least 1"),
    ({"class_weight": [1, 2]}, ValueError, "class_weight is [1, 2], but must be a dict, 'balanced' or None"),
    ({"class_weight": {"a": -1}}, ValueError, "class_weight['a'] is -1, but must be a finite number at least 0"),
    ({"class_weight": {"a": 1, "c": 2}}, ValueError, "class_weight names 'c', but the classes are 'a', 'b'"),
    (
        {"class_weight": {"a": 0, "b": 0}},
        ValueError,
        "class_weight times sample_weight is zero for every row, but must be above 0 for some",
    ),
    ({"label_smoothing": 2}, ValueError, "label_smoothing is 2, but must be a finite number in [0, 1]"),
    ({"validation_fraction": 1}, ValueError, "validation_fraction is 1, but must be a finite number between 0 and 1"),
    ({"verbose": -1}, ValueError, "verbose is -1, but must be at least 0"),
    (
        {"early_stopping": True, "validation_fraction": 0.9},
        ValueError,
        "validation_fraction is 0.9, which leaves 0 of 8 rows to learn from, but there are 2 classes: "
        "lower it, add examples, or pass X_val and y_val",
    ),
]


@pytest.mark.parametrize(("parameters", "kind", "text"), PARAMETERS)
def test_parameters(parameters, kind, text):
    with raises(kind, text):
        SoftmaxClassifier(**parameters).fit(X, Y)


def test_a_class_with_one_example_cannot_be_split():
    with raises(
        ValueError,
        "class 'c' has 1 example, but early_stopping needs 2 of each class, to learn from one and validate with the "
        "other: add examples, drop the class, or pass X_val and y_val",
    ):
        SoftmaxClassifier(early_stopping=True).fit(X, with_one(Y, 0, "c"))


def test_a_class_with_one_example_is_learnt():
    assert SoftmaxClassifier(alpha=1e-3).fit(X, with_one(Y, 0, "c")).predict(X[:1]) == "c"


def test_class_weight_may_name_a_class_that_a_fold_lacks():
    SoftmaxClassifier(class_weight={"a": 1, "b": 2, "c": 3}).fit(X, Y)


def test_partial_fit():
    with raises(ValueError, "classes is None, but the first call of partial_fit must name all classes"):
        SoftmaxClassifier().partial_fit(X, Y)
    model = SoftmaxClassifier().partial_fit(X, Y, classes=["a", "b"])
    with raises(ValueError, "classes is ['a', 'c'], but an earlier call had 'a', 'b'"):
        model.partial_fit(X, Y, classes=["a", "c"])
    with raises(ValueError, "y[0] is 'c', but the classes are 'a', 'b'"):
        model.partial_fit(X, with_one(Y, 0, "c"))
    with raises(ValueError, "class_weight is 'balanced', but partial_fit sees no class counts: pass a dict of weights"):
        SoftmaxClassifier(class_weight="balanced").partial_fit(X, Y, classes=["a", "b"])
    assert not hasattr(SoftmaxClassifier(solver="lbfgs"), "partial_fit")


def test_warm_start_with_other_layers():
    model = SoftmaxClassifier((4,), warm_start=True, max_iter=400, learning_rate_init=0.1).fit(X, Y)
    with raises(ValueError, "warm_start found weights of shapes [(3, 4), (4, 2)], but the layers are now [3, 5, 2]"):
        model.set_params(hidden_layer_sizes=(5,)).fit(X, Y)


def test_warm_start_with_other_classes():
    model = SoftmaxClassifier(warm_start=True).fit(X, Y)
    with raises(
        ValueError,
        "warm_start goes on with the classes 'a', 'b', but they are now 'b', 'c': "
        "set it to False, or pass examples of the same classes",
    ):
        model.fit(X, ["b", "c"] * 4)


def test_what_only_some_models_have():
    for name in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(SoftmaxClassifier(), name)(X)
    assert not hasattr(SoftmaxClassifier(), "coef_")
    model = SoftmaxClassifier((4,), solver="sgd", learning_rate_init=0.5, max_iter=400, random_state=0).fit(X, Y)
    with raises(AttributeError, "coef_ is there without hidden layers only; with them see coefs_ and intercepts_"):
        _ = model.coef_


def test_an_error_leaves_a_fitted_model_as_it_was():
    model = SoftmaxClassifier().fit(X, Y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=r"^y has one class"):
        model.fit(X, ["c"] * 8)
    np.testing.assert_array_equal(model.predict_proba(X), before)
    assert model.predict(X[:1]) in ("a", "b")


# what does not converge ----------------------------------------------------------------------------------------------

UNEVEN = pd.DataFrame({"age": X[:, 0] * 10, "income": X[:, 1] * 1e5, "share": X[:, 2] / 10})
DEVIATION = UNEVEN.std(ddof=0)
SCALES = (
    f"The columns of X differ in scale by a factor of {DEVIATION['income'] / DEVIATION['share']:.2g}: the standard "
    f"deviation of column 'income' is {DEVIATION['income']:.3g}, of column 'share' {DEVIATION['share']:.3g}. "
    "Put them on one scale: make_pipeline(StandardScaler(), {})"
)


def warns(text):
    return pytest.warns(ConvergenceWarning, match=f"^{re.escape(text)}$")


def test_advice_on_scales_has_the_line_of_code():
    reached = "max_iter=2 was reached before the loss settled. "
    with warns(reached + SCALES.format("SoftmaxClassifier(hidden_layer_sizes=(4,), max_iter=2)")):
        SoftmaxClassifier((4,), max_iter=2).fit(UNEVEN, Y)


def test_advice_on_scales_of_sparse_columns_keeps_the_zeros():
    with pytest.warns(ConvergenceWarning, match=re.escape("make_pipeline(StandardScaler(with_mean=False), Softmax")):
        SoftmaxClassifier((4,), max_iter=2).fit(sparse.csr_array(UNEVEN.to_numpy()), Y)


SETTLE = (
    "max_iter=2 was reached before the loss settled. Raise max_iter, or alpha: with a larger one it settles sooner."
)
CONSTANT = np.full((len(X), 1), 0.1)  # whose standard deviation is 1e-17
RARE = np.hstack([X, X, X[:, :1] * 1e-4])  # as the pixels at the edge of scikit-learn's digits


@pytest.mark.parametrize(("hidden", "X"), [((), UNEVEN), ((4,), np.hstack([X, CONSTANT])), ((4,), RARE)])
def test_no_advice_on_scales_that_do_not_matter(hidden, X):
    with warns(SETTLE):
        SoftmaxClassifier(hidden, max_iter=2).fit(X, Y)


WINE = datasets.load_wine(return_X_y=True)
NOTHING = r"^The .* nothing: its log-loss on the rows that trained it is \S+, that of class frequencies alone "


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"max_iter": 50}, "Put them on one scale: make_pipeline(StandardScaler(), SoftmaxClassifier("),
        ({"early_stopping": True}, "Put them on one scale: make_pipeline(StandardScaler(), SoftmaxClassifier("),
    ],
)
def test_a_network_that_learned_nothing(options, remedy):
    with pytest.warns(ConvergenceWarning, match=NOTHING + ".*" + re.escape(remedy)):
        SoftmaxClassifier((16,), random_state=0, **options).fit(*WINE)
    with pytest.warns(ConvergenceWarning, match=NOTHING + r".*Lower learning_rate_init \(now 1000\)\.$"):
        SoftmaxClassifier((16,), learning_rate_init=1e3, random_state=0).fit(
            StandardScaler().fit_transform(WINE[0]), WINE[1]
        )


@pytest.mark.parametrize("load", [datasets.load_iris, datasets.load_wine, datasets.load_breast_cancer])
@pytest.mark.parametrize("weight", [None, "balanced", {0: 9}])
def test_networks_that_learned(load, weight):
    X, y = load(return_X_y=True)
    model = SoftmaxClassifier((8,), learning_rate_init=0.01, class_weight=weight, max_iter=30, tol=0, random_state=0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(StandardScaler().fit_transform(X), y)
    assert not any("learned nothing" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("hidden", [(), (4,)])
def test_advice_where_scales_are_even(hidden):
    with warns(SETTLE):
        SoftmaxClassifier(hidden, max_iter=2).fit(X, Y)


def test_an_objective_that_overflows():
    text = f"The loss is not finite: X has entries as large as {abs(X).max():.3g}e+300. "
    text += "Divide its columns by their largest."
    with raises(ValueError, text):
        SoftmaxClassifier().fit(X * 1e300, Y)


def test_what_rounding_hides():
    assert advice.imprecise(X) == (
        "No step lowers the loss any more, though its gradient is above tol: float64 resolves no less; raise tol."
    )
    assert advice.imprecise(X.astype(np.float32)).endswith("float32 resolves no less; raise tol, or pass X as float64.")


def test_a_diverging_loss():
    options = {"solver": "sgd", "learning_rate_init": 1e300, "batch_size": 2}
    with raises(ValueError, "The loss is no longer finite. Lower learning_rate_init (now 1e+300)."):
        SoftmaxClassifier((4,), **options).fit(X, Y)
    text = SCALES.format(
        "SoftmaxClassifier(batch_size=2, hidden_layer_sizes=(4,), learning_rate_init=1e+300, solver='sgd')"
    )
    with raises(ValueError, "The loss is no longer finite. " + text):
        SoftmaxClassifier((4,), **options).fit(UNEVEN, Y)


def test_the_warning_points_at_the_users_line():
    with pytest.warns(ConvergenceWarning) as caught:
        SoftmaxClassifier(max_iter=2).fit(X, Y)
    assert caught[0].filename == __file__
