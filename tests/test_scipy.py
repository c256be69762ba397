"""SciPy defines the convention of softmax, log_softmax and logsumexp: its documented examples and edge cases.

Where softxent's convention is another one, the test says so. SciPy rounds more than softxent, so it sets the tolerance.
"""

from typing import Any

import numpy as np
import pytest
import scipy.special

import softxent as sx

pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # SciPy's, at ±1e308

INF, NAN = np.inf, np.nan
FUNCTIONS = [
    (sx.softmax, scipy.special.softmax),
    (sx.log_softmax, scipy.special.log_softmax),
    (sx.logsumexp, scipy.special.logsumexp),
]
BOTH = pytest.mark.parametrize(("ours", "scipys"), FUNCTIONS, ids=["softmax", "log_softmax", "logsumexp"])

AXES = [
    ((5,), [0, -1, None, (0,)]),
    ((1, 1), [0, 1, None, (0, 1)]),
    ((4, 3), [0, 1, -1, -2, None, (0,), (1,), (0, 1), (1, 0), (-1, -2)]),
    ((2, 3, 4), [0, 1, 2, -1, None, (0, 1), (1, 2), (0, 2), (2, 0), (-1, 0), (0, 1, 2)]),
    ((2, 1, 3, 5), [1, None, (0, 2), (1, 3), (3, 1, 0)]),
]


def close(ours: Any, scipys: Any) -> None:
    assert np.shape(ours) == np.shape(scipys)
    eps = np.finfo(scipys.dtype).eps
    np.testing.assert_allclose(ours, scipys, rtol=200 * eps, atol=4 * eps)


@BOTH
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("shape", "axis"), [(shape, axis) for shape, axes in AXES for axis in axes])
def test_axis(ours: Any, scipys: Any, dtype: Any, shape: tuple[int, ...], axis: Any) -> None:
    logits = (5 * np.random.default_rng(len(shape)).standard_normal(shape)).astype(dtype)
    result = ours(logits, axis=axis)
    assert result.dtype == dtype
    close(result, scipys(logits, axis=axis))


@BOTH
@pytest.mark.parametrize("axis", [np.int64(0), np.int8(-2), np.array(0), (np.int64(0),)])
def test_an_axis_may_be_any_integer(ours: Any, scipys: Any, axis: Any) -> None:
    logits = np.random.default_rng(0).standard_normal((3, 4))
    close(ours(logits, axis=axis), scipys(logits, axis=0))


def test_the_default_axis_is_the_last_one() -> None:
    # another convention: SciPy's default is axis=None, all of the array as one row
    logits = np.random.default_rng(0).standard_normal((3, 4))
    for ours, scipys in FUNCTIONS:
        close(ours(logits), scipys(logits, axis=-1))
        close(ours(logits, axis=None), scipys(logits))


@BOTH
@pytest.mark.parametrize(
    "logits",
    [
        [1, 2],
        [[1, 2], [3, 4]],
        np.array([1, 5, 3], np.int8),
        np.array([200, 5, 3], np.uint8),
        np.array([2**62, 0], np.int64),
        np.arange(24).reshape(2, 3, 4),
    ],
)
def test_integers_are_float64(ours: Any, scipys: Any, logits: Any) -> None:
    result = ours(logits)
    assert result.dtype == np.float64
    close(result, scipys(np.asarray(logits, np.float64), axis=-1))


# What SciPy documents and tests of each function -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("logits", "p"),
    [
        ([1000.0, 0, 0, 0], [1, 0, 0, 0]),
        ([1.0, 1], [0.5, 0.5]),
        ([0.0, 1], [0.2689414213699951, 0.7310585786300049]),
        ([1000.0, 1], [1, 0]),
        ([-1000.0, -1000, -1000], [1 / 3, 1 / 3, 1 / 3]),
        ([-1000.0, 0, 1000], [0, 0, 1]),
        ([1e300, -1e300], [1, 0]),
        ([1.7e308, -1.7e308], [1, 0]),
        ([3.0], [1]),
        ([-INF, 0], [0, 1]),
        ([-INF, 0, -INF, 0], [0, 0.5, 0, 0.5]),
        (np.arange(4.0), [0.03205860328008499, 0.08714431874203257, 0.23688281808991013, 0.6439142598879724]),
        (np.arange(4.0) + 1000, [0.03205860328008499, 0.08714431874203257, 0.23688281808991013, 0.6439142598879724]),
    ],
)
def test_softmax(logits: Any, p: Any) -> None:
    np.testing.assert_allclose(sx.softmax(logits), p, rtol=1e-15)
    close(sx.softmax(logits), scipy.special.softmax(logits))


def test_softmax_example_of_scipys_documentation() -> None:
    x = np.array([[1, 0.5, 0.2, 3], [1, -1, 7, 3], [2, 12, 13, 3]])
    overall = [
        [4.48309e-06, 2.71913e-06, 2.01438e-06, 3.31258e-05],
        [4.48309e-06, 6.06720e-07, 1.80861e-03, 3.31258e-05],
        [1.21863e-05, 2.68421e-01, 7.29644e-01, 3.31258e-05],
    ]
    columns = [
        [2.11942e-01, 1.01300e-05, 2.75394e-06, 3.33333e-01],
        [2.11942e-01, 2.26030e-06, 2.47262e-03, 3.33333e-01],
        [5.76117e-01, 9.99988e-01, 9.97525e-01, 3.33333e-01],
    ]
    rows = [
        [1.05877e-01, 6.42177e-02, 4.75736e-02, 7.82332e-01],
        [2.42746e-03, 3.28521e-04, 9.79307e-01, 1.79366e-02],
        [1.22094e-05, 2.68929e-01, 7.31025e-01, 3.31885e-05],
    ]
    for axis, p in ((None, overall), (0, columns), (1, rows)):
        np.testing.assert_allclose(sx.softmax(x, axis=axis), p, rtol=1e-5)
        assert sx.softmax(x, axis=axis).sum(axis=axis) == pytest.approx(1, rel=1e-15)


@pytest.mark.parametrize(
    ("logits", "log_p"),
    [
        ([1000.0, 1], [0, -999]),
        ([1000.0, 1, 1000], [-np.log(2), -999 - np.log(2), -np.log(2)]),
        ([-1000.0, -1000, -1000], [-np.log(3)] * 3),
        ([0.0, -1000], [0, -1000]),
        ([1.0, 1], [-np.log(2)] * 2),
        ([-INF, 0], [-INF, 0]),
        ([1e308, -1e308], [0, -INF]),  # −2e308 is beyond float64
        ([7.0], [0]),
        (
            np.arange(4.0),
            [-3.4401896985611953, -2.4401896985611953, -1.4401896985611953, -0.44018969856119533],
        ),
        (
            np.arange(4.0) + 1000,
            [-3.4401896985611953, -2.4401896985611953, -1.4401896985611953, -0.44018969856119533],
        ),
    ],
)
def test_log_softmax(logits: Any, log_p: Any) -> None:
    np.testing.assert_allclose(sx.log_softmax(logits), log_p, rtol=1e-15)
    close(sx.log_softmax(logits), scipy.special.log_softmax(logits))


def test_log_softmax_of_the_winner_is_not_rounded_to_0() -> None:
    # another result: −log1p(e^−40), which SciPy rounds to 0
    for gap in (40.0, 700.0):
        assert sx.log_softmax([0.0, -gap])[0] == pytest.approx(-np.exp(-gap), rel=1e-15, abs=0)
        assert scipy.special.log_softmax([0.0, -gap])[0] == 0


def test_log_softmax_example_of_scipys_documentation() -> None:
    # log(softmax(x)) would be [0, −inf]
    with np.errstate(divide="ignore"):
        assert np.log(sx.softmax([1000.0, 1.0])).tolist() == [0, -INF]
    assert sx.log_softmax([1000.0, 1.0]).tolist() == [0, -999]


@pytest.mark.parametrize(
    ("logits", "lse"),
    [
        (np.arange(10), 9.4586297444267107),  # SciPy's first example
        ([1000.0, 1000], 1000 + np.log(2)),
        ([1e-300] * 7, np.log(7)),
        (np.full(1000, 1000.0), 1000 + np.log(1000)),
        ([-1000.0, -1000], -1000 + np.log(2)),
        ([1000.0, 1], 1000),
        ([-1000.0, 0, 1000], 1000),
        ([10000.0, 10000], 10000 + np.log(2)),
        ([-10000.0, -10000.0], -10000 + np.log(2)),
        ([5.0], 5),
        ([1e308, 1e308], 1e308),
        ([0.0, -INF], 0),
        ([-INF, -INF], -INF),
        ([-INF], -INF),
        ([INF, INF], INF),
        ([INF, 0], INF),
        ([INF, -INF], INF),
        ([INF], INF),
        ([NAN, 0], NAN),
        ([NAN, -INF], NAN),
        ([[1, 2], [3, 1e10]], [np.logaddexp(1, 2), 1e10]),
        ([[1e10, -1e10, 0], [INF, -INF, INF], [-INF, -INF, -INF]], [1e10, INF, -INF]),
    ],
)
def test_logsumexp(logits: Any, lse: Any) -> None:
    np.testing.assert_allclose(sx.logsumexp(logits), lse, rtol=1e-15)
    close(sx.logsumexp(logits), scipy.special.logsumexp(logits, axis=-1))


def test_logsumexp_of_log_probabilities() -> None:
    a = np.random.default_rng(0).random(100)
    assert sx.logsumexp(np.log(a)) == pytest.approx(np.log(a.sum()), rel=1e-14)


# Other conventions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row", [[INF, 0.0], [INF, -INF, 0.0], [INF, INF], [-INF, -INF], [NAN, 0.0], [NAN, -INF], [INF]]
)
@pytest.mark.parametrize("times", [1, 100])  # few classes and many
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_that_is_undefined_is_nan_in_that_row_alone(row: list[float], times: int, dtype: Any) -> None:
    # SciPy agrees, but for log_softmax beside +inf: there it has −inf, where ours is NaN as softmax is
    logits = np.zeros((3, len(row) * times), dtype)
    logits[1] = row * times
    for function in (sx.softmax, sx.log_softmax):
        result = function(logits)
        assert np.isnan(result[1]).all()
        assert np.isfinite(result[[0, 2]]).all()
    with np.errstate(invalid="ignore"):
        assert np.isnan(scipy.special.softmax(logits, axis=-1)[1]).all()
        assert np.isneginf(scipy.special.log_softmax([INF, 0.0])[1])


@BOTH
def test_empty(ours: Any, scipys: Any) -> None:
    close(ours(np.zeros((0, 3))), scipys(np.zeros((0, 3)), axis=-1))
    with pytest.raises(ValueError, match=r"logits has shape \(3, 0\), but must have at least 1 class"):
        ours(np.zeros((3, 0)))  # another convention: SciPy's logsumexp of nothing is −inf


@BOTH
@pytest.mark.parametrize("number", [3, 3.0, np.float32(3), np.array(3.0), np.array(3, np.float16), -INF, INF, NAN])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_a_single_number_is_a_row_of_one_class(ours: Any, scipys: Any, number: Any, axis: int | None) -> None:
    result = ours(number, axis=axis)
    assert type(result) is (np.float64 if isinstance(number, (int, float)) else number.dtype.type)
    with np.errstate(invalid="ignore"):
        expected = scipys(number, axis=axis)
    if number != INF or ours is sx.logsumexp:  # undefined beside +inf
        np.testing.assert_array_equal(result, expected)
    assert np.ndim(result) == np.ndim(expected) == 0


def test_a_single_number_along_several_axes() -> None:
    # SciPy has no (0,) for a single number, but for logsumexp
    for axis in ((), (0,), (-1,)):
        assert isinstance(sx.softmax(3.0, axis=axis), np.float64)
        assert sx.softmax(3.0, axis=axis) == 1
        assert sx.logsumexp(3.0, axis=axis) == 3


@BOTH
@pytest.mark.parametrize("axis", [2, -3, (0, 2)])
def test_axis_out_of_range(ours: Any, scipys: Any, axis: Any) -> None:
    with pytest.raises(np.exceptions.AxisError):
        scipys(np.zeros((2, 3)), axis=axis)
    with pytest.raises(ValueError, match=rf"axis is {2 if axis != -3 else -3}, but logits has 2 axes \(-2 … 1\)"):
        ours(np.zeros((2, 3)), axis=axis)


@BOTH
def test_axis_twice(ours: Any, scipys: Any) -> None:
    with pytest.raises(ValueError, match="duplicate"):
        scipys(np.zeros((2, 3)), axis=(1, -1))
    with pytest.raises(ValueError, match=r"axis is \(1, -1\), but names an axis twice"):
        ours(np.zeros((2, 3)), axis=(1, -1))
