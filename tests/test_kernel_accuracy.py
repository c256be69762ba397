"""Every value is within the published bound of mpmath's: on every instruction set, along rows and across them."""

from collections.abc import Iterator

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings, target
from hypothesis import strategies as st

import softxent as sx
from benchmarks import reference
from benchmarks.search import results
from benchmarks.ulp import Exact
from softxent.definition import scaled
from softxent.kernels import _cpu
from tests.cases import (
    CASES,
    FEW,
    FLOAT32,
    FLOAT64,
    PLAIN,
    SETTINGS,
    WIDE,
    computed_in,
    geometric,
    named,
    one_ahead,
    tolerance,
)
from tests.exact import assert_within_bound, exact, exact_row, exact_rows


@pytest.fixture(autouse=True)
def _restore_instruction_set():
    best = _cpu.instruction_set()
    yield
    _cpu.use(best)


# Ways to compute the same rows ------------------------------------------------------------------------------------


def along_rows(f, logits, target, **options):
    """One row at a time: too few to go across."""
    return [
        np.concatenate(parts)
        for parts in zip(
            *(f(x[None], t[None], -1, **options) for x, t in zip(logits, target, strict=True)), strict=True
        )
    ]


def across_rows(f, logits, target, **options):
    """Each row several times: more than a vector of them, and a part. Classes come first if they are many."""
    rows, classes = logits.shape
    again = np.arange(35 if classes < 1000 else 17) % rows
    x, t = logits[again], target[again]
    if classes <= FEW:
        parts = f(x, t, -1, **options)
    else:
        t = t if t.ndim == 1 else np.ascontiguousarray(t.T)
        parts = [part if part.ndim == 1 else part.T for part in f(np.ascontiguousarray(x.T), t, 0, **options)]
    for part in parts:  # the same bits wherever a row lies in its tile
        np.testing.assert_array_equal(part.astype(np.float64), part[again].astype(np.float64))
    return [part[:rows] for part in parts]


def ways() -> Iterator:
    for name in _cpu.instruction_sets():
        for rows in (along_rows, across_rows):
            _cpu.use(name)
            yield f"{name}, {rows.__name__}", rows


EVERY = [pytest.param(case, dtype, id=f"{case}, {dtype.name}") for case in CASES for dtype in case.dtypes]
every_case = pytest.mark.parametrize(("case", "dtype"), EVERY)


# The bound ----------------------------------------------------------------------------------------------------------


@every_case
@pytest.mark.parametrize(
    ("f", "quantity"), [(sx.softmax, "softmax"), (sx.log_softmax, "log_softmax"), (sx.logsumexp, "lse")]
)
def test_softmax_and_its_logarithm(f, quantity, case, dtype):
    for way, rows in ways():
        [got] = rows(lambda x, t, axis: [f(x, axis)], case.logits_as(dtype), case.target())
        assert got.dtype == dtype
        assert_within_bound(way, got, *exact(quantity, case, dtype))


@every_case
def test_loss_and_gradient(case, dtype):
    for way, rows in ways():
        losses, grad = rows(loss_and_grad, case.logits_as(dtype), case.target(), reduction="none")
        assert (losses.dtype, grad.dtype) == (computed_in(dtype), dtype)
        assert_within_bound(f"{way}, loss", losses, *exact("loss", case, dtype))
        assert_within_bound(f"{way}, gradient", grad, *exact("grad", case, dtype))


def loss_and_grad(x, t, axis, **options):
    return sx.cross_entropy_and_grad(x, t, axis=axis, **options)


OPTIONS_ULP = 8


@pytest.mark.parametrize("by_index", [True, False], ids=["index", "probabilities"])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize(
    "case",
    named("V=10 σ=20", "V=49 σ=1", "V=10 about -4096", "strips -560, -460", "tiny losses", "V=10, 50% not masked"),
    ids=str,
)
def test_options(case, setting, by_index):
    """In float64; for the others definition.py is exact enough: test_kernel_paths.py.

    float64 has no wider type to do the options' arithmetic in: 8 ULP of the largest term, not 4. With a softcap z
    itself is right but for at most its last bit, which is |z| ULP of exp(z).
    """
    target, options = case.target() if by_index else case.probabilities(), setting.of(case.classes)
    if "normalizer" in options:
        options = {**options, "reduction": "mean"}
    else:
        options = {**options, "reduction": "none"}
    bound = OPTIONS_ULP if setting is not PLAIN else None
    if cap := options.get("softcap"):
        z = np.abs(scaled(case.logits_as(FLOAT64), options.get("temperature", 1.0), cap))
        bound += 2 * z[np.isfinite(z)].max(initial=0)
    for way, rows in ways():
        losses, grad = rows(one_loss_each, case.logits_as(FLOAT64), target, **options)
        assert_within_bound(f"{way}, loss", losses, *exact("loss", case, FLOAT64, setting, by_index), bound=bound)
        assert_within_bound(f"{way}, gradient", grad, *exact("grad", case, FLOAT64, setting, by_index), bound=bound)


def one_loss_each(x, t, axis, **options):
    """With a normalizer the gradient is divided by it, and the losses are those of the rows."""
    _, grad = sx.cross_entropy_and_grad(x, t, axis=axis, **options)
    options = {k: v for k, v in options.items() if k != "normalizer"}
    return sx.cross_entropy(x, t, axis=axis, **{**options, "reduction": "none"}), grad


# The search -----------------------------------------------------------------------------------------------------------


@st.composite
def rows_that_round_alike(draw) -> np.ndarray:
    """A row whose terms round the same way again and again, or any."""
    classes, by = draw(st.integers(2, 4100)), draw(st.floats(1e-6, 30))
    largest, kind = draw(st.floats(-90, 90)), draw(st.integers(0, 3))
    if kind == 0:
        return largest + geometric(classes, by / 8, 1)
    if kind == 1:
        return largest + by * np.random.default_rng(draw(st.integers(0, 999))).standard_normal((1, classes))
    if kind == 2:
        return np.where(np.arange(classes) < draw(st.integers(1, classes)), largest, largest - by)[None]
    return one_ahead(classes, largest, by, 1)


@pytest.mark.skipif(not reference.ENOUGH, reason="long double is no longer than double here")
@pytest.mark.parametrize("axis", [-1, 0])
@pytest.mark.parametrize("isa", _cpu.instruction_sets())
@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_a_search_finds_no_row_beyond_the_bound(dtype, isa, axis):
    """One row goes along its classes; as many as fill a vector, with the classes first, go across."""
    _cpu.use(isa)
    times = 1 if axis == -1 else 17

    @settings(derandomize=True, deadline=None, max_examples=120, database=None)
    @given(rows_that_round_alike(), st.integers(0, 2))
    def search(row, choice):
        x = row.astype(dtype)
        y = np.array([[0, x.shape[1] - 1, int(x.argmax())][choice]])
        got = results(np.repeat(x, times, 0), np.repeat(y, times), axis)
        errors = reference.errors({k: v[:1] for k, v in got.items()}, reference.results(x, y), y)
        worst = max(float(error[0]) for error in errors.values())
        target(worst)
        assert worst <= tolerance(dtype, x.shape[1]), errors

    search()


# Small factors, large ones, nothing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("by_index", [True, False], ids=["index", "probabilities"])
@pytest.mark.parametrize(
    "options", [{}, {"softcap": 1e4}, {"label_smoothing": 0.1}, {"temperature": 0.95}, {"z_loss": 1e-3}], ids=str
)
@pytest.mark.parametrize(("dtype", "far", "large"), [(FLOAT32, -140, 1e30), (FLOAT64, -900, 1e300)], ids=str)
def test_weights_lift_what_is_far_below(dtype, far, large, options, by_index):
    """E ends at e^−130 and e^−800 below the largest, where A·p_j need not be 0."""
    logits = np.array([[0, far, far - 2, 1, -np.inf, far]], dtype)
    target = np.array([0]) if by_index else np.array([[0.5, 0, 0, 0.5, 0, 0]], dtype)
    weight = np.array([large, 1, 0, large, 1, 1], dtype)
    row = exact_row(logits[0], target[0], class_weight=weight, **options)
    bound = 4 if dtype == FLOAT32 or "softcap" not in options else 4 + 2 * abs(far)
    for name in _cpu.instruction_sets():
        _cpu.use(name)
        in_place = logits.copy()
        _, grad = sx.cross_entropy_and_grad(
            in_place, target, class_weight=weight, out=in_place, reduction="sum", **options
        )
        assert_within_bound(name, grad, Exact(*(p[None] for p in row.grad)), row.grad_terms[None], bound)
    assert (grad[0, [1, 2, 5]] != 0).all()


@pytest.mark.parametrize(
    ("dtype", "logits", "options"),
    [
        (FLOAT32, [1, -140, -np.inf], {"z_loss": 1e32}),
        (FLOAT64, [1, -900, -np.inf], {"z_loss": 1e300}),
        (FLOAT32, [0, -140e-25, -np.inf], {"softcap": 1e4, "temperature": 1e-25}),
        (FLOAT64, [0, -850e-250, -np.inf], {"softcap": 1e4, "temperature": 1e-250}),
    ],
    ids=str,
)
def test_other_options_lift_too(dtype, logits, options):
    row = exact_row(np.array(logits, dtype), 0, **options)
    for name in _cpu.instruction_sets():
        _cpu.use(name)
        _, grad = sx.cross_entropy_and_grad(np.array([logits], dtype), [0], **options)
        assert_within_bound(name, grad, Exact(*(p[None] for p in row.grad)), row.grad_terms[None])
    assert grad[0, 1] != 0


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("divisor", [1e-60, 1e-35, 1e-20, 1e35])
def test_divisors_small_and_large(dtype, divisor):
    logits, target = np.array([[0, -30, 5, -np.inf, -60]], dtype), np.array([1])
    row = exact_row(logits[0], 1, normalizer=divisor)
    for name in _cpu.instruction_sets():
        _cpu.use(name)
        _, grad = sx.cross_entropy_and_grad(logits, target, normalizer=divisor)
        assert_within_bound(name, grad, Exact(*(p[None] for p in row.grad)))


@pytest.mark.parametrize("softcap", [3e-308, 1e-300, 1e-30, 1e200, 1e300])
@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_softcaps_beyond_all_logits(dtype, softcap):
    """tanh is ±1, or the identity: z = ±c, or x."""
    logits, target = np.array([[0.001, 0, -7, 0, 2]], dtype), np.array([1])
    row = exact_row(logits[0], 1, softcap=softcap)
    loss, grad = sx.cross_entropy_and_grad(logits, target, softcap=softcap, reduction="none")
    assert_within_bound("loss", loss, row.loss)
    assert_within_bound("gradient", grad, Exact(*(p[None] for p in row.grad)))


@pytest.mark.parametrize("rows", [1, 40])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_a_weight_of_0_hides_no_nan(rows, reduction):
    """Unless the mean is over nothing: then all is 0."""
    logits, target = np.tile(np.float32([0, np.nan, 1]), (rows, 1)), np.zeros(rows, int)
    loss, grad = sx.cross_entropy_and_grad(logits, target, class_weight=[0, 1, 1], reduction=reduction)
    expected = 0 if reduction == "mean" else np.nan
    np.testing.assert_array_equal(loss, expected)
    np.testing.assert_array_equal(grad, expected)


# Reductions ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize("case", named("V=10 σ=20", "V=1000 σ=5", "tiny losses", "V=300 about 500"), ids=str)
def test_reductions(case, dtype):
    logits, target = case.logits_as(dtype), case.target()
    with mpmath.workdps(60):
        total = mpmath.fsum(row.loss_number for row in exact_rows(case, dtype))
        expected = {"sum": Exact.of([total]), "mean": Exact.of([total / len(target)])}
    for reduction, value in expected.items():
        assert_within_bound(reduction, sx.cross_entropy(logits, target, reduction=reduction), value)


def test_target_masked_has_infinite_loss():
    loss, grad = sx.cross_entropy_and_grad([[0.0, -np.inf, 1.0]], [1], reduction="none")
    assert loss[0] == np.inf
    np.testing.assert_allclose(grad[0], [0.26894142, 0, 0.73105858], rtol=1e-8)


@pytest.mark.parametrize(("logits", "loss"), [([0, 20], 2.0611537e-9), ([0, 60], 8.756511e-27), ([0, -90], 8.194e-40)])
def test_tiny_losses_are_not_zero(logits, loss):
    target = [int(np.argmax(logits))]
    got, grad = sx.cross_entropy_and_grad(np.array([logits], np.float32), target)
    np.testing.assert_allclose([got, -grad[0, target[0]]], [loss, loss], rtol=1e-4)
