"""Every value is within the published bound of mpmath's: on every instruction set, along rows and across them."""

from collections.abc import Iterator
from functools import cache

import ml_dtypes
import mpmath
import numpy as np
import pytest

import softxent as sx
from benchmarks.ulp import FORMATS, Exact, ulp_error
from softxent.definition import scaled
from softxent.kernels import _cpu
from tests.cases import CASES, FLOAT32, FLOAT64, PLAIN, SETTINGS, computed_in, named, tolerance
from tests.exact import exact_row


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
    if classes <= 48:
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


# Exact results ------------------------------------------------------------------------------------------------------


@cache
def exact_rows(case, dtype, setting=PLAIN, by_index=True):
    target, options = case.target() if by_index else case.probabilities(), setting.of(case.classes)
    return [exact_row(x, t, **options) for x, t in zip(case.logits_as(dtype), target, strict=True)]


@cache
def exact(quantity, *case):
    """A quantity of all rows, and the terms that may cancel in it."""
    rows = exact_rows(*case)
    numbers = Exact(*(np.stack(parts) for parts in zip(*(getattr(row, quantity) for row in rows), strict=True)))
    terms = {"lse": "largest", "loss": "loss_terms", "grad": "grad_terms"}.get(quantity)
    return numbers, np.stack([np.atleast_1d(getattr(row, terms)) for row in rows]) if terms else 0.0


def rounded_beyond_range(exact: Exact, dtype) -> Exact:
    """inf where the dtype has no number for it."""
    top = ml_dtypes.finfo(dtype).maxexp
    half_ulp = 0.5 ** (FORMATS[dtype.name][0] + 1)
    beyond = (exact.exponent > top) | (exact.exponent == top) & (np.abs(exact.high) >= 1 - half_ulp)
    high = np.where(beyond & np.isfinite(exact.high) & (exact.high != 0), np.copysign(np.inf, exact.high), exact.high)
    return Exact(high, np.where(np.isinf(high), 0, exact.low), exact.exponent)


def assert_within_bound(way, got, exact, terms=0.0, bound=None):
    got = np.reshape(got, exact.high.shape)
    exact = rounded_beyond_range(exact, got.dtype)
    error = ulp_error(got, exact, terms)
    worst = np.unravel_index(np.argmax(error), error.shape)
    value = np.ldexp(exact.high[worst], np.clip(exact.exponent[worst], -2000, 2000))
    assert error[worst] <= (bound or tolerance(got.dtype, got.shape[-1])), (
        f"{way}: {error[worst]:.2f} ULP at {worst}: {got[worst]!r}, exact {value!r}"
    )


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
