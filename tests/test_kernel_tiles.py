"""Across rows: what tiles alone can get wrong, and which passes take that way."""

import numpy as np
import pytest

import softxent as sx
from benchmarks.ulp import ulp_error
from softxent.kernels import _cpu
from tests.cases import BFLOAT16, DTYPES, FEW, FLOAT64, INF, SHAPES, WIDE
from tests.exact import exact_row

MANY = 1100  # classes that go in strips where rows are closer together in memory
PASSES = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "sample", "statistics")


@pytest.fixture(autouse=True, params=_cpu.instruction_sets())
def _instruction_set(request):
    best = _cpu.instruction_set()
    _cpu.use(request.param)
    yield
    _cpu.use(best)


def fewest(dtype):
    """Rows for which many classes go across them: they fill a vector, and are some."""
    width = {"v3": 32, "v4": 64}.get(_cpu.instruction_set(), 16)
    return max(4, width // (8 if dtype == FLOAT64 else 4))


def described(x):
    return x.view(np.uint16) if x.dtype == BFLOAT16 else x


# Which way ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", PASSES)
def test_way(name, dtype):
    def way(x, axis):
        return _cpu.way(name, described(x), axis)

    W = fewest(dtype)
    across, along, strips = "across rows", "along rows", "across rows, in strips"
    # few classes: from four rows on, or rows enough to fill their part of a vector, wherever the class axis lies
    assert way(np.zeros((4, FEW // W), dtype), 1) == across
    assert way(np.zeros((3, 2), dtype), 1) == along
    assert way(np.zeros((W, FEW), dtype), 1) == across
    assert way(np.zeros((FEW, W), dtype), 0) == across
    assert way(np.zeros((W, FEW), dtype)[:, ::-1], 1) == across
    assert way(np.zeros((3, FEW), dtype), 1) == along
    if W > 4:
        assert way(np.zeros((W - 1, FEW), dtype), 1) == along
        assert way(np.zeros((W // 2, FEW // 2), dtype), 1) == across
    # more: where rows are closer together than classes, and fill a vector
    assert way(np.zeros((100, FEW + 1), dtype), 1) == along
    assert way(np.zeros((FEW + 1, W), dtype), 0) == across
    assert way(np.zeros((FEW + 1, W - 1), dtype), 0) == along
    assert way(np.zeros((FEW + 1, 2 * W), dtype)[:, ::-2], 0) == across
    assert way(np.zeros((2, FEW + 1, W), dtype), 1) == across
    assert way(np.zeros((100, FEW + 1), dtype).T, 0) == along
    # more than a tile of 64 rows has room for: in strips, but for what needs all of a row at once
    whole = name in ("sample", "statistics")
    assert way(np.zeros((FEW // 2, 64), dtype), 0) == across
    assert way(np.zeros((MANY, 64), dtype), 0) == (across if whole else strips)
    assert way(np.zeros((2, MANY, 64), dtype), 1) == (across if whole else strips)


def test_way_of_no_pass():
    with pytest.raises(ValueError, match="not a pass"):
        _cpu.way("softmin", np.zeros((2, 2)), 1)


@pytest.mark.parametrize("name", PASSES)
def test_shapes_go_both_ways(name):
    """Each pass × dtype is tried in SHAPES along rows, across rows transposed, across planes, and in strips."""
    for dtype in DTYPES:
        ways = {
            (_cpu.way(name, described(np.zeros(shape, dtype)), axis), axis == len(shape) - 1) for shape, axis in SHAPES
        }
        some = {("along rows", True), ("along rows", False), ("across rows", True), ("across rows", False)}
        in_strips = {("across rows, in strips", False)}
        assert ways == (some if name in ("sample", "statistics") else some | in_strips)


# Exact --------------------------------------------------------------------------------------------------------------


EXACT = {}  # rows by what they are made of: they are the same for each instruction set and number of rows


def exact_of(logits, target, **options):
    parts = logits, *(np.asarray(value) for _, value in sorted(options.items()))
    key = target, *sorted(options), *((part.dtype.str, part.tobytes()) for part in parts)
    if key not in EXACT:
        EXACT[key] = exact_row(logits, target, **options)
    return EXACT[key]


def assert_exact(logits, target, axis=1, rows=None, tolerance=4, way="across rows", **options):
    """All quantities of equal rows, `rows` of them, within 4 ULP."""
    rows = rows or fewest(logits.dtype) + 1
    many = np.repeat(logits[None], rows, axis=0)
    x = many if axis == 1 else np.ascontiguousarray(many.T)
    assert _cpu.way("cross_entropy", x, axis) == way
    exact = exact_of(logits, target, **options)
    losses, grad = sx.cross_entropy_and_grad(x, [target] * rows, axis=axis, **{"reduction": "none", **options})
    grad = np.moveaxis(grad, axis, 1)
    softmax, log_softmax = (np.moveaxis(f(x, axis), axis, 1)[-1] for f in (sx.softmax, sx.log_softmax))
    if "normalizer" in options:
        got = {"gradient": (grad[-1], exact.grad, exact.grad_terms)}
    elif "class_weight" in options:
        got = {
            "gradient": (grad[-1], exact.grad, exact.grad_terms),
            "loss": (losses[-1:], exact.loss, exact.loss_terms),
        }
    else:
        got = {
            "gradient": (grad[-1], exact.grad, exact.grad_terms),
            "loss": (losses[-1:], exact.loss, exact.loss_terms),
            "softmax": (softmax, exact.softmax, 0.0),
            "log_softmax": (log_softmax, exact.log_softmax, 0.0),
            "lse": (sx.logsumexp(x, axis)[-1:], exact.lse, exact.largest),
        }
    for quantity, (value, right, terms) in got.items():
        error = ulp_error(value, right, terms)
        worst = np.argmax(error)
        assert error[worst] <= tolerance, f"{quantity}: {error[worst]:.1f} ULP at {worst}: {value[worst]!r}"


# one logit, and others that are alike, whose equal terms all round the same way when they are added plainly
ALIKE = [(0.158, 33), (1.7, 33), (2.3, 48), (0.9, 24), (1.44, 64), (0.01, 65), (3.3, 200), (0.3, FEW), (0.77, 31)]


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize(("below", "classes"), ALIKE)
@pytest.mark.parametrize("axis", [0, 1])
def test_one_above_equal_others(below, classes, axis, target, dtype):
    assert_exact(np.array([0] + [-below] * (classes - 1), dtype), target, axis)


def test_float32_softmax_of_many_equal_others():
    assert_exact(np.array([-1.43] + [-1.44] * 1024, np.float32), 1, axis=0, way="across rows, in strips")


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("ratio", [0.9, 0.99, 0.5])
@pytest.mark.parametrize("classes", [10, 47, 100])
def test_geometric_others(classes, ratio, dtype):
    assert_exact(np.log(ratio) * np.arange(classes, dtype=dtype), 0)


def pieces(*values, size=600):
    """As many classes of each value, less a little more for each class, so that the first is the largest."""
    return np.repeat(values, size).astype(np.float64) - np.tile(np.arange(size) / 64, len(values))


IN_STRIPS = {
    "equal others": np.array([0] + [-0.3] * (2 * MANY)),
    "rising": np.linspace(-40, 40, 129)[np.arange(3 * MANY) * 129 // (3 * MANY)],
    "falling": np.linspace(40, -40, 129)[np.arange(3 * MANY) * 129 // (3 * MANY)],
    "up and down": pieces(0, 80, -30, 85),
    "far apart": pieces(0, 5000, 4900, 5100),
    "far below 0": pieces(-4000, -INF, -4010, -3990),
    "first masked": pieces(-INF, -INF, 3, 2),
    "ties": np.repeat([3.0, 2, 3, 1], 600),
}


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("target", [0, 700, -1])
@pytest.mark.parametrize("name", IN_STRIPS)
def test_in_strips(name, target, dtype):
    logits = IN_STRIPS[name].astype(dtype)
    assert_exact(logits, target % len(logits), axis=0, rows=65, way="across rows, in strips")


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("rows", [65, 172])
@pytest.mark.parametrize(
    "options",
    [
        {"label_smoothing": 0.1},
        {"z_loss": 1e-3},
        {"normalizer": 1e26, "reduction": "mean"},
        {"normalizer": 1e-26, "reduction": "mean"},
        {"weight": 1e30},
        {"weight": 1e-30},
    ],
    ids=str,
)
def test_options_in_strips(options, rows, dtype):
    logits = IN_STRIPS["up and down"].astype(dtype)
    if weight := options.get("weight"):
        weights = np.ones(len(logits), dtype)
        weights[700] = weight
        options = {"class_weight": weights}
    assert_exact(logits, 700, axis=0, rows=rows, way="across rows, in strips", **options)


@pytest.mark.parametrize("weight", [1e-30, 1e-36, 1e-38, 1e-20])
def test_small_class_weights_keep_their_digits(weight):
    assert_exact(np.float32([1, 2, 3]), 2, class_weight=np.full(3, weight, np.float32))


@pytest.mark.parametrize("normalizer", [1e20, 1e26, 1e37, 1e-30])
def test_large_and_small_divisors(normalizer):
    assert_exact(np.float32([1, 2, 3, -20]), 2, reduction="mean", normalizer=normalizer)


@pytest.mark.parametrize("below", [129, 131, 140, 150, 170, 200])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_large_weight_lifts_tiny_probabilities(below, axis):
    """e^−170 is 0 in float32; 1e30·e^−150 is not."""
    assert_exact(np.float32([0, -below, -1, -below - 20, -np.inf]), 0, axis, class_weight=np.full(5, 1e30, np.float32))


@pytest.mark.parametrize("below", [790, 805, 850, 900])
def test_a_large_weight_lifts_tiny_probabilities_in_float64(below):
    weight = np.full(4, 1e200)
    assert_exact(np.float64([0, -below, -1, -np.inf]), 0, class_weight=weight)


@pytest.mark.parametrize("below", [100, 105, 110, 125, 129.9, 130.5, 140, 160])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_large_weight_of_a_target_far_above_the_others(below, axis):
    """Loss and gradient are w·Σ e^−d, down to the subnormals."""
    assert_exact(np.float32([-below, 0, -below - 1, -below - 5]), 1, axis, class_weight=np.float32([1, 1e28, 1, 1]))


@pytest.mark.parametrize("below", [131, 150])
def test_a_large_weight_lifts_tiny_probabilities_beside_label_smoothing(below):
    assert_exact(
        np.float32([0, -below, -1]), 0, class_weight=np.float32([1e30, 1e-25, 1]), label_smoothing=1e-3, tolerance=8
    )


@pytest.mark.parametrize("rows", [1, 9])
def test_distances_beyond_the_largest_number(rows):
    """m − z is infinite, and ε / V of it is not."""
    x = np.tile([1e308, -1e308, 0], (rows, 1))
    losses = sx.cross_entropy(x, np.zeros(rows, np.int64), label_smoothing=0.03, reduction="none")
    np.testing.assert_allclose(losses, 0.01 * 1e308 + 2 * (0.01 * 1e308), rtol=1e-14)


def test_upstream_lifts_only_the_rows_that_it_is_large_for():
    x = np.repeat(np.float32([[0, -150, -1]]), 9, axis=0)
    factors = np.where(np.arange(9) % 2, 1e30, 1).astype(np.float32)
    grad = np.empty_like(x)
    options = sx.options.LossOptions(reduction="sum").packed
    _cpu.cross_entropy(x, np.zeros(9, np.int64), 1, None, grad, None, factors, options, False)
    right = 1e30 * np.exp(-150.0) / (1 + np.exp(-1.0))
    np.testing.assert_allclose(grad[1::2, 1], right, rtol=1e-6)
    assert (grad[::2, 1] == 0).all()


# Tiles --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(6, 5, 7), (3, 20, 50), (40, 3, 2), (2, FEW + 3, 21)], ids=str)
def test_a_tile_goes_on_in_the_next_plane(shape, dtype):
    """The same bits as from rows that are evenly apart, for all passes."""
    rng = np.random.default_rng(1)
    x = rng.normal(0, 3, shape).astype(dtype)
    even = np.ascontiguousarray(np.moveaxis(x, 1, 0)).reshape(shape[1], -1)
    target = rng.integers(shape[1], size=(shape[0], shape[2]))
    for f in (sx.softmax, sx.log_softmax):
        got, expected = np.moveaxis(f(x, 1), 1, 0), f(even, 0)
        assert got.tobytes() == expected.tobytes()
    losses, grad = sx.cross_entropy_and_grad(x, target, axis=1, reduction="none")
    expected = sx.cross_entropy_and_grad(even, target.ravel(), axis=0, reduction="none")
    assert losses.tobytes() == expected[0].tobytes()
    assert np.moveaxis(grad, 1, 0).tobytes() == expected[1].tobytes()
    assert sx.logsumexp(x, 1).tobytes() == sx.logsumexp(even, 0).tobytes()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("rows", "classes"),
    [(rows, classes) for rows in (4, 7, 16, 63, 172) for classes in (2, 3, 4, 5, 10, 33)] + [(16, FEW), (63, FEW)],
)
def test_statistics_across_rows(rows, classes, dtype):
    """As along each row on its own, with masks, ties and rows that have no softmax."""
    rng = np.random.default_rng(rows + classes)
    x = np.round(rng.normal(0, 3, (rows, classes))).astype(dtype)
    x[1::5, 0] = -np.inf
    x[2::7, -1] = np.inf
    x[3::11, classes // 2] = np.nan
    x[rows - 1] = -np.inf
    target = rng.integers(classes, size=rows)
    target[::9] = -100
    assert _cpu.way("statistics", described(x), 1) == "across rows"
    got = sx.statistics(x, target)
    for i in range(rows):
        row = sx.statistics(x[i : i + 1], target[i : i + 1])
        for name in ("argmax", "rank"):
            assert getattr(got, name)[i] == getattr(row, name)[0], (name, i)
        for name in ("log_prob", "entropy", "lse"):
            one, other = getattr(got, name)[i], getattr(row, name)[0]
            np.testing.assert_allclose(one, other, rtol=1e-6 if dtype != FLOAT64 else 1e-14, err_msg=f"{name} {i}")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("classes", [2, 3, 10, 33, FEW])
def test_samples_across_rows(classes, dtype):
    """The first class whose cumulative probability exceeds u."""
    rng = np.random.default_rng(classes)
    x = rng.normal(0, 2, (200, classes)).astype(dtype)
    x[::3, 0] = -np.inf
    x[1::3, -1] = -np.inf
    u = rng.random(200)
    u[:6] = [0, 0, 0, 1 - 2**-53, 1 - 2**-53, 1 - 2**-53]
    index, log_prob = np.empty(200, np.int64), np.empty(200, np.float64)
    assert _cpu.way("sample", described(x), 1) == "across rows"
    assert _cpu.sample(described(x), 1, 1.0, u, index, log_prob) == -1
    p = np.exp(x.astype(np.float64) - x.astype(np.float64).max(1, keepdims=True))
    ends = np.cumsum(p / p.sum(1, keepdims=True), axis=1)
    row = np.arange(200)
    assert (p[row, index] > 0).all()
    assert (ends[row, index] >= u - 1e-6).all()
    assert (np.where(index > 0, ends[row, index - 1], 0) <= u + 1e-6).all()
    np.testing.assert_allclose(log_prob, np.log(p[row, index] / p.sum(1)), rtol=2e-6, atol=2e-7)
    drawn = index.copy()
    assert _cpu.sample(described(x), 1, 1.0, u, index, None) == -1
    assert (index == drawn).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_row_without_probabilities_is_named(bad):
    x = np.zeros((9, 5), np.float32)
    x[6, 2] = bad
    index = np.empty(9, np.int64)
    assert _cpu.sample(x, 1, 1.0, np.full(9, 0.5), index, None) == 6
    assert (np.delete(index, 6) == 2).all()
