"""What the benchmarks measure with is itself right."""

import numpy as np
import pytest

from benchmarks import reference
from benchmarks.ulp import ulp_error

needs_long_double = pytest.mark.skipif(not reference.ENOUGH, reason="long double is no longer than double here")
OPTIONS = [
    {},
    {"temperature": 0.23},
    {"softcap": 0.158, "temperature": 0.23},
    {"label_smoothing": 0.1, "z_loss": 1e-3},
    {"normalizer": 1e26},
    {"class_weight": np.linspace(0.5, 2, 33)},
]


@needs_long_double
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("sigma", [0.1, 5, 100])
def test_long_double_is_as_good_as_mpmath(sigma, options):
    rng = np.random.default_rng(int(sigma * 10))
    logits, target = sigma * rng.standard_normal((4, 33)), rng.integers(33, size=4)
    logits[0], logits[0, target[0]] = -sigma, 0  # equal others
    fast, exact = reference.results(logits, target, **options), reference.by_mpmath(logits, target, **options)
    for name in ("loss", "grad", "softmax", "log_softmax", "lse"):
        # of z itself the last bit may differ, where c·tanh(x / c) / T lies between two doubles
        bound = 0.05 if "softcap" not in options else 0.05 + 2 * 0.158 / 0.23
        value = exact[name].high.astype(np.longdouble) + exact[name].low
        value = np.ldexp(value, exact[name].exponent)
        terms = np.maximum(np.abs(value), exact.get(f"{name} terms", 0)).astype(np.float64)
        np.testing.assert_allclose(fast.get(f"{name} terms", 0), exact.get(f"{name} terms", 0), rtol=1e-9, atol=1e-300)
        assert (np.abs(value - fast[name]) <= bound * np.spacing(terms).astype(np.longdouble)).all(), name


@needs_long_double
def test_long_doubles_keep_their_bits():
    third = 1 / np.longdouble(3)
    assert 0.3 < ulp_error([np.float64(third)], [third])[0] < 0.35
    assert ulp_error([np.inf, 0.0], np.array([np.inf, 0], np.longdouble)).tolist() == [0, 0]


@needs_long_double
def test_errors_of_what_is_a_little_wrong():
    logits, target = np.float32([[0, 1, 2], [0, 20, 0]]), np.array([2, 1])
    exact = reference.results(logits, target)
    got = {name: exact[name].astype(np.float32) for name in ("loss", "grad", "softmax", "log_softmax", "lse")}
    assert all((error <= 0.5).all() for error in reference.errors(got, exact, target).values())
    got["grad"][1, 1] = 0  # as p_y − 1 rounds
    got["loss"][0] += 3 * np.spacing(got["loss"][0])
    errors = reference.errors(got, exact, target)
    assert errors["target gradient"][1] > 1e6
    assert 2.4 < errors["loss"][0] < 3.6
    assert (errors["other gradients"] <= 0.5).all()
