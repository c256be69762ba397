"""Every error that a user can cause, by its text, raised before anything is written."""

import re

import numpy as np
import pytest

import softxent as sx
from tests.cases import INF, NAN

X = np.zeros((3, 4), np.float32)
T = np.array([0, 1, 2])
P = np.full((3, 4), 0.25, np.float32)


def raises(kind, text):
    return pytest.raises(kind, match=f"^{re.escape(text)}$")


def with_one(array, index, value):
    array = array.copy()
    array[index] = value
    return array


TARGETS = [
    (with_one(T, 1, 4), ValueError, "target[1] is 4, but logits has 4 classes (0 … 3)"),
    (with_one(T, 2, -1), ValueError, "target[2] is -1, but logits has 4 classes (0 … 3)"),
    (with_one(T, 0, -101), ValueError, "target[0] is -101, but logits has 4 classes (0 … 3)"),
    (T.astype(np.uint8) + np.uint8(2), ValueError, "target[2] is 4, but logits has 4 classes (0 … 3)"),
    (np.array([0, 2**64 - 1, 1], np.uint64), ValueError, f"target[1] is {2**64 - 1}, but logits has 4 classes (0 … 3)"),
    (
        np.array([0, 2**64 - 100, 1], np.uint64),  # not −100
        ValueError,
        f"target[1] is {2**64 - 100}, but logits has 4 classes (0 … 3)",
    ),
    (
        T.astype(float),
        TypeError,
        "target is float64, but must be integers (class indices) or, in logits' shape, probabilities",
    ),
    (T > 0, TypeError, "target is bool, but must be integers (class indices) or, in logits' shape, probabilities"),
    (P > 0, TypeError, "target is bool, but must be integers (class indices) or, in logits' shape, probabilities"),
    (
        P.astype(int),
        TypeError,
        "target is int64, but must be integers (class indices) or, in logits' shape, probabilities",
    ),
    (
        P.astype(complex),
        TypeError,
        "target is complex128, but must be integers (class indices) or, in logits' shape, probabilities",
    ),
    (
        ["a", "b", "c"],
        TypeError,
        "target is <U1, but must be integers (class indices) or, in logits' shape, probabilities",
    ),
    (
        T[:2],
        ValueError,
        "target has shape (2,), but logits has shape (3, 4): class indices must have shape (3,), probabilities (3, 4)",
    ),
    (
        0,
        ValueError,
        "target has shape (), but logits has shape (3, 4): class indices must have shape (3,), probabilities (3, 4)",
    ),
    (
        P[0],
        ValueError,
        "target has shape (4,), but logits has shape (3, 4): class indices must have shape (3,), probabilities (3, 4)",
    ),
    (with_one(P, (1, 2), -0.5), ValueError, "target[1, 2] is -0.5, but probabilities must be finite and at least 0"),
    (with_one(P, (2, 0), NAN), ValueError, "target[2, 0] is nan, but probabilities must be finite and at least 0"),
    (with_one(P, (0, 3), INF), ValueError, "target[0, 3] is inf, but probabilities must be finite and at least 0"),
]

OPTIONS = [
    ({"class_weight": [1, NAN, 1, 1]}, ValueError, "class_weight[1] is nan, but must be a finite number at least 0"),
    ({"class_weight": [1, 1, INF, 1]}, ValueError, "class_weight[2] is inf, but must be a finite number at least 0"),
    ({"class_weight": [1, 1, 1, -2]}, ValueError, "class_weight[3] is -2.0, but must be a finite number at least 0"),
    ({"class_weight": [1, 1]}, ValueError, "class_weight has shape (2,), but logits has 4 classes: expected (4,)"),
    ({"class_weight": 2.0}, ValueError, "class_weight has shape (), but logits has 4 classes: expected (4,)"),
    ({"class_weight": list("abcd")}, TypeError, "class_weight is <U1, but must be numbers"),
    ({"label_smoothing": -0.1}, ValueError, "label_smoothing is -0.1, but must be a finite number between 0 and 1"),
    ({"label_smoothing": 1.1}, ValueError, "label_smoothing is 1.1, but must be a finite number between 0 and 1"),
    ({"label_smoothing": NAN}, ValueError, "label_smoothing is nan, but must be a finite number between 0 and 1"),
    ({"label_smoothing": "0.1"}, ValueError, "label_smoothing is '0.1', but must be a finite number between 0 and 1"),
    ({"temperature": 0}, ValueError, "temperature is 0, but must be a finite number above 0"),
    ({"temperature": -1.5}, ValueError, "temperature is -1.5, but must be a finite number above 0"),
    ({"temperature": INF}, ValueError, "temperature is inf, but must be a finite number above 0"),
    ({"temperature": NAN}, ValueError, "temperature is nan, but must be a finite number above 0"),
    ({"temperature": None}, ValueError, "temperature is None, but must be a finite number above 0"),
    ({"temperature": np.ones(3)}, ValueError, "temperature is of shape (3,), but must be a finite number above 0"),
    ({"softcap": 0}, ValueError, "softcap is 0, but must be a finite number above 0"),
    ({"softcap": -30.0}, ValueError, "softcap is -30.0, but must be a finite number above 0"),
    ({"softcap": NAN}, ValueError, "softcap is nan, but must be a finite number above 0"),
    ({"z_loss": -1e-4}, ValueError, "z_loss is -0.0001, but must be a finite number 0 or more"),
    ({"z_loss": NAN}, ValueError, "z_loss is nan, but must be a finite number 0 or more"),
    ({"reduction": "avg"}, ValueError, "reduction is 'avg', but must be one of 'none', 'sum', 'mean'"),
    ({"reduction": None}, ValueError, "reduction is None, but must be one of 'none', 'sum', 'mean'"),
    ({"normalizer": 0}, ValueError, "normalizer is 0, but must be a finite number above 0"),
    ({"normalizer": -3}, ValueError, "normalizer is -3, but must be a finite number above 0"),
    ({"normalizer": NAN}, ValueError, "normalizer is nan, but must be a finite number above 0"),
    (
        {"normalizer": 3, "reduction": "sum"},
        ValueError,
        "normalizer replaces the divisor of reduction='mean', but reduction is 'sum'",
    ),
    ({"ignore_index": 1.5}, TypeError, "ignore_index is 1.5, but must be an integer"),
    ({"axis": 2}, ValueError, "axis is 2, but logits has 2 axes (-2 … 1)"),
    ({"axis": -3}, ValueError, "axis is -3, but logits has 2 axes (-2 … 1)"),
    ({"axis": 1.0}, TypeError, "axis is 1.0, but must be an integer"),
    ({"axis": None}, TypeError, "axis is None, but must be an integer"),
    (
        {"weight": [1, 1, 1, 1]},
        TypeError,
        "weight is not an option; the options are class_weight, ignore_index, label_smoothing, normalizer, reduction, "
        "softcap, temperature, z_loss",
    ),
]

KINDS = "but must be float16, bfloat16, float32, float64 or integers"
LOGITS = [
    (np.array([[1, None]]), TypeError, f"logits is object, {KINDS}"),
    (np.zeros((2, 3), complex), TypeError, f"logits is complex128, {KINDS}"),
    ([["1", "2"]], TypeError, f"logits is <U1, {KINDS}"),
    ([[True, False]], TypeError, f"logits is bool, {KINDS}"),
    (np.zeros((2, 3), np.longdouble), TypeError, f"logits is {np.dtype(np.longdouble)}, {KINDS}"),
    (np.zeros((3, 0), np.float32), ValueError, "logits has shape (3, 0), but must have at least 1 class"),
    ([], ValueError, "logits has shape (0,), but must have at least 1 class"),
    (2.0, ValueError, "logits is a single number, but must have an axis of classes"),
]

READ_ONLY = np.empty((3, 4), np.float32)
READ_ONLY.flags.writeable = False
MEMORY = np.zeros(40, np.float32)
OUTS = [
    (np.empty((3, 5), np.float32), ValueError, "out has shape (3, 5), but logits has shape (3, 4)"),
    (np.empty(12, np.float32), ValueError, "out has shape (12,), but logits has shape (3, 4)"),
    (np.empty((3, 4)), TypeError, "out is float64, but the gradient is float32, as logits"),
    (READ_ONLY, ValueError, "out is read-only, but must be writable"),
    ([[0.0] * 4] * 3, TypeError, "out is list, but must be a NumPy array"),
]
NAMES = [sx.softmax, sx.log_softmax, sx.logsumexp, sx.sample]
LOSSES = [sx.cross_entropy, sx.cross_entropy_and_grad]


@pytest.mark.parametrize("f", LOSSES)
@pytest.mark.parametrize(("target", "kind", "text"), TARGETS)
def test_target(f, target, kind, text):
    with raises(kind, text):
        f(X, target)


@pytest.mark.parametrize("f", LOSSES)
@pytest.mark.parametrize(("options", "kind", "text"), OPTIONS)
def test_options(f, options, kind, text):
    with raises(kind, text):
        f(X, T, **options)


@pytest.mark.parametrize(("logits", "kind", "text"), LOGITS)
def test_logits(logits, kind, text):
    for f in NAMES:
        with raises(kind, text):
            f(logits)
    for f in LOSSES:
        with raises(kind, text):
            f(logits, 0)


@pytest.mark.parametrize(("target", "kind", "text"), TARGETS)
def test_nothing_is_written_for_a_bad_target(target, kind, text):
    out = np.full((3, 4), 7, np.float32)
    with raises(kind, text):
        sx.cross_entropy_and_grad(X, target, out=out)
    assert (out == 7).all()
    in_place = X.copy()
    with raises(kind, text):
        sx.cross_entropy_and_grad(in_place, target, out=in_place)
    np.testing.assert_array_equal(in_place, X)


@pytest.mark.parametrize(("options", "kind", "text"), OPTIONS)
def test_nothing_is_written_for_a_bad_option(options, kind, text):
    out = np.full((3, 4), 7, np.float32)
    with raises(kind, text):
        sx.cross_entropy_and_grad(X, T, out=out, **options)
    assert (out == 7).all()


def test_the_last_row_of_many_is_checked_before_the_first_is_written():
    logits, target = np.zeros((200_000, 3), np.float32), np.zeros(200_000, np.int64)
    target[-1] = 3
    with raises(ValueError, "target[199999] is 3, but logits has 3 classes (0 … 2)"):
        sx.cross_entropy_and_grad(logits, target, out=logits)
    assert not logits.any()


def test_the_first_of_many_bad_targets_is_named():
    target = np.zeros((500, 400), np.int64)
    target[[300, 301, 499], [7, 0, 399]] = 9
    with raises(ValueError, "target[300, 7] is 9, but logits has 3 classes (0 … 2)"):
        sx.cross_entropy(np.zeros((500, 400, 3), np.float32), target)


def test_a_single_row():
    with raises(ValueError, "target is 3, but logits has 3 classes (0 … 2)"):
        sx.cross_entropy([1, 5, 3], 3)


@pytest.mark.parametrize(("out", "kind", "text"), OUTS)
def test_out(out, kind, text):
    with raises(kind, text):
        sx.cross_entropy_and_grad(X, T, out=out)


@pytest.mark.parametrize("out", [MEMORY[2:14].reshape(3, 4), MEMORY[11:23].reshape(3, 4), MEMORY[:12].reshape(4, 3).T])
def test_out_overlaps_logits(out):
    with raises(ValueError, "out overlaps logits, but must be logits itself or another array"):
        sx.cross_entropy_and_grad(MEMORY[:12].reshape(3, 4), T, out=out)


def test_out_overlaps_target():
    t = P.copy()
    with raises(ValueError, "out overlaps target, but must be another array"):
        sx.cross_entropy_and_grad(X, t, out=t)
    np.testing.assert_array_equal(t, P)


def test_out_between_the_logits():
    """In the same memory, without a number in common."""
    memory = np.zeros((3, 8), np.float32)
    sx.cross_entropy_and_grad(memory[:, ::2], T, out=memory[:, 1::2])
    assert not memory[:, ::2].any()


@pytest.mark.parametrize(
    ("axis", "kind", "text"),
    [
        ((0, 0), ValueError, "axis is (0, 0), but names an axis twice"),
        ((0, -2), ValueError, "axis is (0, -2), but names an axis twice"),
        ((0, 2), ValueError, "axis is 2, but logits has 2 axes (-2 … 1)"),
        (5, ValueError, "axis is 5, but logits has 2 axes (-2 … 1)"),
        ("1", TypeError, "axis is '1', but must be an integer"),
    ],
)
def test_axis(axis, kind, text):
    for f in (sx.softmax, sx.log_softmax, sx.logsumexp):
        with raises(kind, text):
            f(X, axis)


@pytest.mark.parametrize("temperature", [0, -1, NAN, INF])
def test_temperature(temperature):
    for f in (sx.softmax, sx.log_softmax, sx.sample):
        with raises(ValueError, f"temperature is {temperature}, but must be a finite number above 0"):
            f(X, temperature=temperature)


def test_ragged_lists():
    with pytest.raises(ValueError, match=r"^logits is not an array of numbers: "):
        sx.softmax([[1, 2], [3]])
    with pytest.raises(ValueError, match=r"^target is not an array of numbers: "):
        sx.cross_entropy(X, [[1, 2], [3]])


@pytest.mark.parametrize("row", [[NAN, 0.0, 1.0], [INF, 0.0, 1.0], [-INF, -INF, -INF]])
def test_no_probabilities_to_draw_from(row):
    text = "logits[1] has no probabilities to draw from: it is all −inf, or has +inf or NaN"
    with raises(ValueError, text):
        sx.sample([[0.0, 1.0, 2.0], row])


@pytest.mark.parametrize(
    ("count", "kind", "text"),
    [
        (0, ValueError, "count is 0, but must be between 1 and 1024"),
        (1.5, TypeError, "count is 1.5, but must be an integer"),
    ],
)
def test_threads(count, kind, text):
    with raises(kind, text):
        sx.set_num_threads(count)
