"""Every error that a user can cause, by its text, raised before anything is written."""

import re

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import as_strided, sliding_window_view

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
    ({"class_weight": [1, 1, 1, -2]}, ValueError, "class_weight[3] is -2, but must be a finite number at least 0"),
    (
        {"class_weight": [1, 1e300, 1, 1]},
        ValueError,
        "class_weight[1] is 1e+300, but must be a finite number at least 0 in float32",
    ),
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
    (np.ma.ones((2, 3)), TypeError, "logits is a masked array, but must be one without a mask; pass logits.filled(…)"),
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


@pytest.mark.parametrize("f", [*LOSSES, sx.log_prob, sx.statistics, lambda x, _: sx.sample(x)])
def test_a_single_number_has_no_classes(f):
    with raises(ValueError, "logits is a single number, but must have an axis of classes"):
        f(2.0, 0)


@pytest.mark.parametrize("f", [sx.softmax, sx.log_softmax, sx.logsumexp])
@pytest.mark.parametrize("axis", [1, -2, (0, 1)])
def test_axis_of_a_single_number(f, axis):
    k = axis if isinstance(axis, int) else 1
    with raises(ValueError, f"axis is {k}, but logits is a single number (-1 … 0)"):
        f(2.0, axis)


@pytest.mark.parametrize("mask", [False, True])
def test_masked_arrays(mask):
    """Whose masks the kernel would not see."""
    text = "{0} is a masked array, but must be one without a mask; pass {0}.filled(…)"
    target, weight = np.ma.array(T, mask=mask), np.ma.array(np.ones(4), mask=mask)
    for f in (*LOSSES, sx.log_prob, sx.statistics):
        with raises(TypeError, text.format("target")):
            f(X, target)
    for f in LOSSES:
        with raises(TypeError, text.format("class_weight")):
            f(X, T, class_weight=weight)
    with raises(TypeError, "out is a masked array, but must be one without a mask; pass out.data"):
        sx.cross_entropy_and_grad(X, T, out=np.ma.array(X.copy(), mask=mask))


def test_a_target_that_numpy_cannot_read():
    text = "target is not an array of numbers: Can't call numpy() on Tensor that requires grad. Use tensor.detach()"
    with pytest.raises(ValueError, match=f"^{re.escape(text)}"):
        sx.cross_entropy(X, torch.tensor(P, requires_grad=True))


class Elsewhere:
    def __array__(self, *_, **__):
        raise TypeError("it lies elsewhere")


@pytest.mark.parametrize("f", [sx.softmax, sx.sample, lambda x: sx.cross_entropy(x, 0)])
def test_logits_that_numpy_cannot_read(f):
    with raises(TypeError, "logits is not an array of numbers: it lies elsewhere"):
        f(Elsewhere())


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])  # float64 is copied, before it would be overwritten
def test_out_overlaps_class_weight(dtype):
    memory = np.ones(12, np.float32)
    w = memory[4:8] if dtype == np.float32 else memory[4:12].view(np.float64)
    with raises(ValueError, "out overlaps class_weight, but must be another array"):
        sx.cross_entropy_and_grad(X, T, class_weight=w, out=memory.reshape(3, 4))
    assert (memory == 1).all()


OVERLAPPING = [
    sliding_window_view(np.arange(6, dtype=np.float32), 4, writeable=True),
    as_strided(np.arange(4, dtype=np.float32), (3, 4), (0, 4)),
    as_strided(np.arange(4, dtype=np.float32), (3, 4), (4, 0)),
    as_strided(np.arange(20, dtype=np.float32), (3, 4), (12, 8)),  # 2·12 = 3·8
    as_strided(np.arange(40, dtype=np.float32), (3, 4), (2, 24)),  # halves of numbers
]


@pytest.mark.parametrize("x", OVERLAPPING)
def test_out_overlaps_itself(x):
    text = "out overlaps itself, but must hold each number in memory of its own"
    before = x.copy()
    for logits in (x, X):
        with raises(ValueError, text):
            sx.cross_entropy_and_grad(logits, T, out=x)
    np.testing.assert_array_equal(x, before)
    assert (sx.softmax(x) == sx.softmax(before)).all()  # reading them is fine


MEMORY_OF_OUT = np.zeros(400, np.float32)


@pytest.mark.parametrize(
    ("shape", "strides"),
    [
        ((3, 4), (16, 4)),
        ((3, 4), (4, 12)),
        ((3, 4), (64, 8)),
        ((3, 4), (-16, -4)),
        ((3, 4), (8, 12)),  # 0 12 24 36, 8 20 32 44, 16 28 40 52: between each other
        ((3, 4), (8, 28)),
        ((3, 1), (16, 0)),
        ((1, 4), (0, 4)),
        ((3, 1), (4, 1)),
        ((0, 4), (0, 0)),
    ],
)
def test_out_that_holds_each_number_in_memory_of_its_own(shape, strides):
    x = as_strided(MEMORY_OF_OUT[200:], shape, strides)
    x[...] = np.random.default_rng(0).normal(size=shape)
    expected = sx.cross_entropy_and_grad(x.copy(), [0] * len(x))
    loss, grad = sx.cross_entropy_and_grad(x, [0] * len(x), out=x)
    assert grad is x
    np.testing.assert_array_equal(loss, expected[0])
    np.testing.assert_allclose(grad, expected[1], rtol=1e-6)


def test_an_axis_of_length_1_takes_no_step():
    """The same memory twice, with another stride where there is nothing to step to."""
    memory = np.float32([1, 2, 3])
    x, out = memory[None], as_strided(memory, (1, 3), (400, 4))
    expected = sx.cross_entropy_and_grad(x.copy(), [1])[1]
    sx.cross_entropy_and_grad(x, [1], out=out)
    np.testing.assert_array_equal(memory, expected[0])


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


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray])
def test_logits_that_overflow_only_when_they_are_divided(sign, layout):
    text = "logits[1] has no probabilities to draw from: divided by temperature 1e-30 it overflows"
    logits = sign * np.float32([[0, 0], [1e20, 1e20], [np.inf, 1]])
    with raises(ValueError, text):
        sx.sample(layout(logits), temperature=1e-30)
    with raises(ValueError, text):
        sx.sample(layout(logits.T), axis=0, temperature=1e-30)


@pytest.mark.parametrize(
    ("count", "kind", "text"),
    [
        (True, TypeError, "count is True, but must be an integer"),
        (0, ValueError, "count is 0, but must be between 1 and 1024"),
        (1.5, TypeError, "count is 1.5, but must be an integer"),
    ],
)
def test_threads(count, kind, text):
    with raises(kind, text):
        sx.set_num_threads(count)
