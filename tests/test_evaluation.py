"""Evaluation: its numbers against scikit-learn's and against their definitions, its JSON, its errors."""

import json

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
    top_k_accuracy_score,
)

import softxent as sx
from softxent.app.report import Evaluation


@pytest.fixture(scope="module")
def digits():
    """Few training rows, so that there is something to find wrong: y, P, the training labels."""
    X, y = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(X[:200] / 16, y[:200])
    return y[200:], model.predict_proba(X[200:] / 16), y[:200]


def evaluate(y, P=None, *, counts=None, **options):
    V = np.shape(options.get("log_P", P))[1]
    counts = np.ones(V, int) if counts is None else counts
    return Evaluation.of([f"class {k}" for k in range(V)], y, P, class_counts=counts, **options)


# The numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_scikit_learns(digits, dtype):
    y, P, _ = digits
    P = P.astype(dtype)
    scores = evaluate(y, P).scores
    rtol = 1e-12 if dtype == np.float64 else 1e-5
    assert scores.accuracy == accuracy_score(y, P.argmax(axis=1))
    np.testing.assert_allclose(scores.log_loss, log_loss(y, digits[1]), rtol=rtol)
    np.testing.assert_allclose(scores.brier_score, brier_score_loss(y, digits[1], scale_by_half=False), rtol=rtol)


def test_baseline_is_the_prior_classifier(digits):
    y, P, y_train = digits
    prior = DummyClassifier(strategy="prior").fit(np.zeros((len(y_train), 1)), y_train)
    of_prior = evaluate(y, prior.predict_proba(np.zeros((len(y), 1)))).scores
    np.testing.assert_allclose(evaluate(y, P, counts=np.bincount(y_train)).baseline, of_prior, rtol=1e-12)


def drawn(n, V, seed=0):
    """Rows whose probabilities have something to tell, and weights."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, V))
    y = (logits + rng.gumbel(size=(n, V))).argmax(axis=1)
    return y, sx.softmax(logits), rng.integers(0, 4, n).astype(float)


@pytest.mark.parametrize("V", [2, 3, 12])
@pytest.mark.parametrize("weighted", [False, True])
def test_scores_of_classes_are_scikit_learns(V, weighted):
    y, P, w = drawn(400, V)
    weight = {"sample_weight": w} if weighted else {}
    scores = evaluate(y, P, weight=w if weighted else None).scores
    predicted = P.argmax(axis=1)
    expected = (
        balanced_accuracy_score(y, predicted, **weight),
        f1_score(y, predicted, average="macro", **weight),
        np.mean([roc_auc_score(y == k, P[:, k], **weight) for k in range(V)]),
        top_k_accuracy_score(y, P, k=5, **weight) if V > 10 else np.nan,
    )
    found = (scores.balanced_accuracy, scores.macro_f1, scores.roc_auc, scores.top_5_accuracy)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_classes_that_no_row_has_count_for_nothing():
    y, P = [0, 1, 0, 1], [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1], [0.4, 0.5, 0.1]]
    scores = evaluate(y, P).scores
    assert (scores.balanced_accuracy, round(scores.macro_f1, 4), scores.roc_auc) == (0.75, 0.7333, 0.5)
    assert np.isnan(evaluate([0, 0], [[0.6, 0.4]] * 2).scores.roc_auc)


# Intervals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [[0.5, 0.5, 0.5, 0.5], [0.3, 0.3, 0.6, 0.6], [0.1, 0.4, 0.4, 0.9]])
def test_ties_count_by_half_in_roc_auc(p):
    y = [0, 1, 0, 1]
    assert evaluate(y, np.stack([1 - np.array(p), p], axis=1)).scores.roc_auc == roc_auc_score(y, p)


@pytest.mark.parametrize(("n", "V"), [(200, 4), (3000, 40)])
def test_intervals_are_as_wide_as_the_scores_differ_between_draws(n, V):
    """95 % of a normal distribution lie within 3.92 standard deviations; 3000 rows are more than a replicate draws."""
    several = [evaluate(*drawn(n, V, seed)[:2]) for seed in range(8)]
    for name, (low, high) in several[0].intervals.items():
        between = np.std([getattr(e.scores, name) for e in several], ddof=1)
        assert 0.3 < (high - low) / (3.92 * between) < 4, name
        assert low < getattr(several[0].scores, name) < high
    low, high = several[0].intervals["log_loss"]
    y, P, _ = drawn(n, V)
    exact = 3.92 * np.log(P[np.arange(n), y]).std() / np.sqrt(n)
    assert (high - low) / exact == pytest.approx(1, abs=0.2)


def test_intervals_are_the_same_each_time_and_honest_at_the_end(digits):
    y, P, _ = digits
    assert evaluate(y, P).intervals == evaluate(y, P).intervals
    names = {"accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss", "brier_score"}
    assert set(evaluate(y, P).intervals) == names
    perfect = evaluate([0, 1] * 5, [[0.9, 0.1], [0.1, 0.9]] * 5).intervals
    assert {name: np.round(of, 2).tolist() for name, of in perfect.items()} == {"accuracy": [0.72, 1.0]}


# Thresholds ---------------------------------------------------------------------------------------------------------


def test_thresholds_are_of_the_rarer_class_and_scikit_learns():
    y, P, w = drawn(300, 2)
    found = evaluate(y, P, counts=[4, 9], weight=w).thresholds
    assert found.positive == 0
    for at in (found.half, found.best_f1, found.best_balanced_accuracy, found.curve[60]):
        says = P[:, 0] >= at.threshold
        expected = (
            precision_score(y == 0, says, sample_weight=w),
            recall_score(y == 0, says, sample_weight=w),
            f1_score(y == 0, says, sample_weight=w),
            balanced_accuracy_score(y == 0, says, sample_weight=w),
        )
        np.testing.assert_allclose(at[1:], expected, rtol=1e-12)
    assert found.best_f1.f1 >= max(at.f1 for at in found.curve)
    assert found.best_balanced_accuracy.balanced_accuracy >= max(at.balanced_accuracy for at in found.curve)
    assert found.half.threshold == 0.5


@pytest.mark.parametrize(
    ("y", "P", "best"),
    [
        ([0, 1, 0, 1], [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9]], 0.5),  # already the best
        ([0, 1, 0, 1], [[0.9, 0.1], [0.7, 0.3], [0.9, 0.1], [0.6, 0.4]], 0.2),
    ],
)
def test_best_threshold_is_0_5_or_in_the_middle_of_those_that_do_the_same(y, P, best):
    assert evaluate(y, P, counts=[5, 5]).thresholds.best_f1.threshold == pytest.approx(best)


def test_only_two_classes_that_rows_have_have_thresholds():
    assert evaluate([0, 1], [[0.5, 0.3, 0.2]] * 2).thresholds is None
    assert evaluate([1, 1], [[0.5, 0.5]] * 2).thresholds is None
    assert "thresholds" not in evaluate([1, 1], [[0.5, 0.5]] * 2).metrics()


@pytest.mark.parametrize(
    ("p", "right", "error"),
    [(1.0, 10, 0.0), (1.0, 0, 1.0), (0.9, 9, 0.0), (0.9, 5, 0.4), (0.6, 10, 0.4)],
)
def test_calibration_error_of_one_probability(p, right, error):
    y = [0] * right + [1] * (10 - right)
    np.testing.assert_allclose(evaluate(y, [[p, 1 - p]] * 10).scores.calibration_error, error, atol=1e-12)


def test_calibration_error_is_its_definition(digits):
    y, P, _ = digits
    top, right = P.max(axis=1), P.argmax(axis=1) == y
    expected = 0.0
    for b in range(15):
        inside = (b / 15 < top) & (top <= (b + 1) / 15)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - top[inside].mean())
    evaluation = evaluate(y, P)
    np.testing.assert_allclose(evaluation.scores.calibration_error, expected, rtol=1e-12)
    assert sum(b.rows for b in evaluation.bins) == len(y)


def test_confusion_and_per_class(digits):
    y, P, y_train = digits
    evaluation = evaluate(y, P, counts=np.bincount(y_train))
    for k, entry in enumerate(evaluation.per_class):
        hits = evaluation.confusion[k, k]
        assert entry.rows == (y == k).sum() == evaluation.confusion[k].sum()
        assert entry.train_rows == (y_train == k).sum()
        assert entry.recall == hits / entry.rows
        assert entry.precision == hits / evaluation.confusion[:, k].sum()
        np.testing.assert_allclose(entry.f1, 2 * hits / (entry.rows + evaluation.confusion[:, k].sum()), rtol=1e-12)


def test_worst_have_the_largest_losses(digits):
    y, P, _ = digits
    evaluation = evaluate(y, P, rows=np.arange(200, 200 + len(y)))
    losses = -np.log(P[np.arange(len(y)), y])
    assert [e.index for e in evaluation.worst] == np.argsort(-losses)[:10].tolist()
    for e in evaluation.worst:
        assert (e.row, e.y, e.predicted) == (200 + e.index, y[e.index], P[e.index].argmax())
        np.testing.assert_allclose(e.p, P[e.index], rtol=1e-12)
        np.testing.assert_allclose(e.grad, P[e.index] - np.eye(10)[e.y], atol=1e-12)
        np.testing.assert_allclose(e.loss, losses[e.index], rtol=1e-12)


# Extremes -----------------------------------------------------------------------------------------------------------


def test_an_underflowing_p_has_a_finite_loss_by_its_logarithm():
    log_P = sx.log_softmax([[0.0, 800.0], [0.0, 40.0]])
    assert evaluate([0, 1], np.exp(log_P)).scores.log_loss == np.inf
    evaluation = evaluate([0, 1], log_P=log_P)
    assert evaluation.worst[0].loss == 800
    np.testing.assert_allclose(evaluation.worst[1].grad, [np.exp(-40), -np.exp(-40)], rtol=1e-12)  # not p − 1 = 0


def test_an_impossible_target_has_p_minus_y_of_minus_1():
    evaluation = evaluate([0], [[0.0, 1.0]])
    assert evaluation.worst[0].loss == np.inf
    assert evaluation.worst[0].grad.tolist() == [-1, 1]
    assert evaluation.scores.brier_score == 2


def test_classes_without_rows():
    evaluation = evaluate([0, 0, 3], [[0.7, 0.1, 0.1, 0.1]] * 3, counts=[5, 5, 0, 0])
    assert np.isnan(evaluation.per_class[1].recall)
    assert np.isnan(evaluation.per_class[3].precision)
    assert evaluation.baseline.log_loss == np.inf  # training never saw class 3


@pytest.mark.parametrize("P", [[[1.0]], [[0.5, 0.5]], np.full((3, 2000), 1 / 2000)])
def test_json_has_no_nan(P):
    metrics = evaluate([0] * len(P), P, counts=[1] + [0] * (len(P[0]) - 1)).metrics()
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics
    assert ("confusion_matrix" in metrics) == (len(P[0]) <= 100)


def test_fewer_rows_than_worst_and_ties_in_order():
    assert [e.row for e in evaluate([1, 1, 1], [[0.5, 0.5]] * 3).worst] == [0, 1, 2]


def test_inputs_are_not_written_to(digits):
    y, P, _ = digits
    y.flags.writeable = P.flags.writeable = False
    evaluate(y, log_P=np.log(P))


# Errors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "given", "error", "message"),
    [
        ([], {"P": np.ones((0, 2))}, ValueError, "y has no rows, but an evaluation needs at least 1"),
        ([0], {"P": [[0.5, 0.5]], "log_P": [[0.0, 0.0]]}, TypeError, "both P and log_P are given: give one of them"),
        ([0], {}, TypeError, "neither P nor log_P is given: give one of them"),
        (
            [0, 1],
            {"P": [[0.5, 0.5]]},
            ValueError,
            "P has shape (1, 2), but y has 2 rows and classes has 2 names",
        ),
        ([0, 1], {"log_P": [[0, 0], [0, np.nan]]}, ValueError, "log_P[1] has NaN, but must be probabilities"),
        ([0, 2], {"P": [[0.5, 0.5]] * 2}, ValueError, "target[1] is 2, but logits has 2 classes (0 … 1)"),
    ],
)
def test_errors(y, given, error, message):
    with pytest.raises(error) as raised:
        Evaluation.of(["cat", "dog"], y, class_counts=[1, 1], **given)
    assert str(raised.value) == message
