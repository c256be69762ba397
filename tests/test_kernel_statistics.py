"""log p_y, entropy, lse, argmax and rank of each row, from one visit; and the factor of each row's gradient."""

import mpmath
import numpy as np
import pytest

from softxent.kernels import _cpu
from softxent.options import LossOptions
from tests.cases import FLOAT32, FLOAT64, computed_in, named
from tests.exact import numbers
from tests.test_kernel_accuracy import (  # noqa: F401
    _restore_instruction_set,
    assert_within_bound,
    every_case,
    exact,
    exact_rows,
)

IGNORED = -100


def statistics(logits, target, axis=-1, temperature=1.0):
    rows, number = np.shape(target), computed_in(logits.dtype)
    floats, integers = [np.empty(rows, number) for _ in range(3)], [np.empty(rows, np.int64) for _ in range(2)]
    raw = logits if logits.dtype.kind == "f" else logits.view(np.uint16)
    target = np.ascontiguousarray(target, np.int64)
    _cpu.statistics(raw, target, axis % logits.ndim, IGNORED, temperature, *floats, *integers)
    return *floats, *integers


def exact_entropy(case, dtype):
    def of(row):  # p and log_p are of the distinct classes
        counts = np.bincount(row.index)
        return -mpmath.fsum(int(n) * p * log_p for n, p, log_p in zip(counts, row.p, row.log_p, strict=True) if p)

    with mpmath.workdps(60):
        return numbers([of(row) for row in exact_rows(case, dtype)])


@every_case
def test_each_statistic_is_within_the_bound(case, dtype):
    logits, target = case.logits_as(dtype), case.target()
    wide = logits.astype(np.float64)
    for name in _cpu.instruction_sets():
        _cpu.use(name)
        log_prob, entropy, lse, argmax, rank = statistics(logits, target)
        assert_within_bound(f"{name}, −log p", -log_prob, *exact("loss", case, dtype))
        number = computed_in(dtype)
        if number == dtype:
            assert_within_bound(f"{name}, lse", lse, *exact("lse", case, dtype))
        assert_within_bound(f"{name}, entropy", entropy, exact_entropy(case, dtype))
        np.testing.assert_array_equal(argmax, wide.argmax(-1))  # NaN counts as the largest, as in NumPy
        np.testing.assert_array_equal(rank, (wide > np.take_along_axis(wide, target[:, None], -1)).sum(-1))


@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
def test_any_axis_and_strides(dtype):
    logits = np.random.default_rng(0).normal(size=(4, 9, 5)).astype(dtype)
    target = np.random.default_rng(1).integers(9, size=(4, 5))
    expected = statistics(np.ascontiguousarray(np.moveaxis(logits, 1, -1)), target)
    for got, want in zip(statistics(logits, target, 1), expected, strict=True):
        np.testing.assert_array_equal(got, want)
    for got, want in zip(statistics(logits[::-2, :, ::2], target[::-2, ::2], 1), expected, strict=True):
        np.testing.assert_array_equal(got, want[::-2, ::2])


def test_ignored_rows_have_log_prob_0_and_no_rank():
    logits = np.array([[1, 5, 3], [1, 5, 3]], np.float32)
    log_prob, entropy, lse, argmax, rank = statistics(logits, np.array([1, IGNORED]))
    np.testing.assert_array_equal([log_prob[1], rank[1]], [0, -1])
    np.testing.assert_array_equal([entropy[0], lse[0], argmax[0]], [entropy[1], lse[1], argmax[1]])


def test_a_long_row_is_split_over_threads_without_changing_a_bit():
    [case] = named("segments 0, 80, 40")
    logits, target = case.logits_as(FLOAT32), case.target()
    threads = _cpu.get_num_threads()
    try:
        _cpu.set_num_threads(1)
        alone = statistics(logits, target)
        _cpu.set_num_threads(4)
        for got, want in zip(statistics(logits, target), alone, strict=True):
            np.testing.assert_array_equal(got, want)
    finally:
        _cpu.set_num_threads(threads)


def test_a_target_that_is_no_class_is_refused():
    with pytest.raises(_cpu.BadTarget):
        statistics(np.zeros((2, 3), np.float32), np.array([0, 3]))


# The factor of each row's gradient --------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(40, 10), (40, 1000), (3, 70_000)], ids=str)
@pytest.mark.parametrize("dtype", [FLOAT32, FLOAT64], ids=str)
@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.1, "z_loss": 0.1}, {"temperature": 2, "softcap": 5}], ids=str
)
@pytest.mark.parametrize("axis", [0, 1])
def test_upstream_multiplies_each_rows_gradient(shape, dtype, options, axis):
    rng = np.random.default_rng(shape[1])
    logits, target = rng.normal(size=shape).astype(dtype), rng.integers(shape[1], size=shape[0])
    upstream = rng.normal(size=shape[0]).astype(dtype)
    upstream[:2] = 0, 1
    target[2] = IGNORED
    x = logits if axis == 1 else np.ascontiguousarray(logits.T)
    grads = [np.empty_like(x) for _ in range(2)]
    packed = LossOptions(ignore_index=IGNORED, reduction="sum", **options).packed
    for grad, factor in zip(grads, (None, upstream), strict=True):
        _cpu.cross_entropy(x, target, axis, None, grad, None, factor, packed, False)
    plain, scaled = (grad if axis == 1 else grad.T for grad in grads)
    expected = plain.astype(np.float64) * upstream[:, None]
    size = np.maximum(np.abs(expected), np.abs(upstream[:, None]) * options.get("label_smoothing", 0) / shape[1])
    assert (np.abs(scaled - expected) <= 4 * np.finfo(dtype).eps * size).all()
    assert not scaled[0].any()
    np.testing.assert_array_equal(scaled[1], plain[1])
    assert not scaled[2].any()
