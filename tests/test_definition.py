"""definition.py against mpmath and finite differences: the oracle of the other tests is right itself."""

import numpy as np
import pytest

from benchmarks.ulp import Exact
from softxent import definition
from tests.cases import CASES, FLOAT64, INF, NAN, SETTINGS, assert_close, definition_error, named
from tests.exact import exact_row

SMALL = [case for case in CASES if case.classes <= 300 and FLOAT64 in case.dtypes]
SOME = named("V=10 σ=5", "V=48 σ=5", "V=10 at ±1e38", "tiny losses", "a tie", "V=10, 50% not masked", "one class")


def close(got, exact: Exact, terms, tolerance):
    with np.errstate(over="ignore", under="ignore"):
        value = np.ldexp(exact.high, np.clip(exact.exponent, -3000, 3000).astype(int))
    assert_close(got, value, tolerance, terms, subnormals=1000)  # a sum of V of them


@pytest.mark.parametrize("case", SMALL, ids=str)
def test_against_mpmath(case):
    tolerance, x = definition_error(FLOAT64, case.classes), case.logits
    losses, grad = definition.cross_entropy_and_grad(x, case.target(), reduction="none")
    p, log_p, lse = definition.softmax(x), definition.log_softmax(x), definition.logsumexp(x)
    for i, y in enumerate(case.target()):
        exact = exact_row(x[i], y)
        if np.isnan(exact.loss.high[0]):
            assert np.isnan([losses[i], *grad[i], *p[i], *log_p[i]]).all()
            np.testing.assert_equal(lse[i], exact.lse.high[0])
            continue
        close(p[i], exact.softmax, 0, tolerance)
        close(log_p[i], exact.log_softmax, 0, tolerance)
        close(lse[i], exact.lse, abs(exact.largest), tolerance)
        close(losses[i], exact.loss, 0, tolerance)
        close(grad[i], exact.grad, exact.grad_terms, tolerance)


@pytest.mark.parametrize("by_index", [True, False], ids=["index", "probabilities"])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("case", SOME, ids=str)
def test_options_against_mpmath(case, setting, by_index):
    target, options = case.target() if by_index else case.probabilities(), setting.of(case.classes)
    z = definition.scaled(case.logits, options.get("temperature", 1), options.get("softcap"))
    # z is rounded, by another way
    tolerance = definition_error(FLOAT64, case.classes) + 4 * 2.0**-53 * np.minimum(
        np.abs(z[np.isfinite(z)]).max(), 1e5
    )
    _, grad = definition.cross_entropy_and_grad(case.logits, target, **options)
    options = {name: value for name, value in options.items() if name not in ("normalizer", "reduction")}
    losses, _ = definition.cross_entropy_and_grad(case.logits, target, **options, reduction="none")
    divisor = setting.options.get("normalizer") or definition_divisor(target, options)
    for i, t in enumerate(target):
        exact = exact_row(case.logits[i], t, **options, normalizer=divisor)
        close(losses[i], exact.loss, exact.loss_terms, tolerance)
        close(grad[i], exact.grad, exact.grad_terms, tolerance)


def definition_divisor(target, options):
    w = options.get("class_weight")
    by_weight = sum(float(w[y]) for y in target) if target.ndim == 1 and w is not None else len(target)
    return by_weight or INF  # nothing counted: gradient 0


NEGATIVE = {"class_weight": [-1, 2, -0.5, 0, 1, -3]}  # PyTorch's functions take them: softxent.torch does too


@pytest.mark.parametrize("by_index", [True, False], ids=["index", "probabilities"])
@pytest.mark.parametrize("options", [*(setting.of(6) for setting in SETTINGS), NEGATIVE], ids=str)
def test_gradient_is_a_finite_difference(options, by_index):
    x = np.random.default_rng(0).normal(0, 3, (3, 6))
    target = np.array([0, 3, 5]) if by_index else np.random.default_rng(1).dirichlet(np.ones(6), 3)
    options = {"reduction": "sum", **options}

    def loss(x):
        return definition.cross_entropy_and_grad(x, target, **options)[0]

    step = 1e-5 * np.eye(x.size).reshape(x.size, *x.shape)
    difference = np.array([(loss(x + h) - loss(x - h)) / 2e-5 for h in step]).reshape(x.shape)
    gradient = definition.cross_entropy_and_grad(x, target, **options)[1]
    np.testing.assert_allclose(gradient, difference, atol=1e-8 * np.abs(gradient).max() + 1e-9, rtol=1e-6)


def test_jacobian_has_two_cases():
    p = definition.softmax([1.0, 5.0, 3.0])
    jacobian = definition.softmax_jacobian(p)
    for i in range(3):
        for j in range(3):
            np.testing.assert_allclose(jacobian[j, i], p[j] * (1 - p[j]) if i == j else -p[j] * p[i], rtol=1e-14)


def test_jacobian_is_a_finite_difference():
    z, h = np.array([1.0, 5.0, 3.0]), 1e-6
    columns = [(definition.softmax(z + h * unit) - definition.softmax(z - h * unit)) / (2 * h) for unit in np.eye(3)]
    np.testing.assert_allclose(definition.softmax_jacobian(definition.softmax(z)), np.transpose(columns), atol=1e-9)


@pytest.mark.parametrize("logits", [[1.0, 5.0, 3.0], [0.0, 30.0], [0.0, 0.0, -40.0, 2.0]])
def test_chain_rule_ends_in_p_minus_y(logits):
    p = definition.softmax(logits)
    for target in range(len(p)):
        _, grad = definition.cross_entropy_and_grad([logits], [target])
        np.testing.assert_allclose(definition.chain_rule(p, target), grad[0], rtol=1e-14)


def test_worked_example():
    loss, grad = definition.cross_entropy_and_grad([[1, 5, 3]], [1])
    np.testing.assert_allclose(definition.softmax([1, 5, 3]), [0.015876, 0.866813, 0.117310], atol=5e-7)
    np.testing.assert_allclose(loss, 0.142932, atol=5e-7)
    np.testing.assert_allclose(grad, [[0.015876, -0.133187, 0.117310]], atol=5e-7)


@pytest.mark.parametrize(
    ("row", "lse"),
    [
        ([-INF, -INF], -INF),
        ([-INF, INF], INF),
        ([NAN, INF], NAN),
        ([NAN, -INF], NAN),
        ([-INF, 2], 2),
        ([1e308, 0], 1e308),
    ],
)
def test_logsumexp_of_what_is_not_finite(row, lse):
    np.testing.assert_equal(definition.logsumexp(row), lse)


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_what_is_not_finite_stays_so_under_a_softcap(softcap):
    logits = [[-INF, 1, 2], [INF, 1, 2], [NAN, 1, 2], [-INF, -INF, -INF], [0, 1, 2]]
    losses, grad = definition.cross_entropy_and_grad(logits, [1] * 5, softcap=softcap, reduction="none")
    assert list(np.isfinite(losses)) == [True, False, False, False, True]
    assert list(np.isnan(grad).all(-1)) == [False, True, True, True, False]
    assert grad[0, 0] == 0
    alone = definition.cross_entropy_and_grad([[1, 2]], [0], softcap=softcap, reduction="none")
    np.testing.assert_allclose(losses[0], alone[0][0], rtol=1e-15)


def test_huge_lse_without_z_loss():
    loss, grad = definition.cross_entropy_and_grad([[1e308, 0]], [1])
    np.testing.assert_array_equal(loss, 1e308)
    np.testing.assert_array_equal(grad, [[1, -1]])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_nothing_counted_is_0(reduction):
    loss, grad = definition.cross_entropy_and_grad([[NAN, 1], [2, 3]], [-100, -100], reduction=reduction)
    assert loss == 0
    np.testing.assert_array_equal(grad, 0)


@pytest.mark.parametrize("undefined", [NAN, INF])
@pytest.mark.parametrize("by_index", [True, False], ids=["index", "probabilities"])
def test_a_weight_of_0_hides_no_nan(undefined, by_index):
    """A row that is undefined is NaN in that row alone, whatever its target weighs."""
    target = np.array([1, 2]) if by_index else np.eye(3)[[1, 2]]
    losses, grad = definition.cross_entropy_and_grad(
        [[undefined, 1, 2], [0, 1, 2]], target, class_weight=[1, 0, 1], reduction="none"
    )
    assert list(np.isnan(losses)) == [True, False]
    assert list(np.isnan(grad).all(-1)) == [True, False]
    assert np.isfinite(grad[1]).all()


@pytest.mark.parametrize("target", [[0, 2, 5], np.random.default_rng(1).normal(size=(3, 6))], ids=["index", "weights"])
@pytest.mark.parametrize("options", [{}, NEGATIVE, {**NEGATIVE, "label_smoothing": 0.2}], ids=str)
def test_negative_weights_and_targets(target, options):
    x = np.random.default_rng(0).normal(0, 3, (3, 6))
    losses, _ = definition.cross_entropy_and_grad(x, target, **options, reduction="none")
    for i, t in enumerate(target):
        exact = exact_row(x[i], t, **options)
        terms = abs(definition.log_softmax(x[i])).max() * max(map(abs, options.get("class_weight", [1])))
        close(losses[i], exact.loss, terms, definition_error(FLOAT64, 6))
