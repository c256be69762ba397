"""Arrays described by address, format, shape and strides, for who has no Python buffers; one upstream gradient."""

import numpy as np
import pytest

from softxent.kernels import _cpu
from tests.cases import BFLOAT16, DTYPES, FLOAT32, WIDE

FORMATS = {"float32": "f", "float64": "d", "float16": "e", "bfloat16": "H", "int64": "q"}
OPTIONS = (-100, 0.1, 1.0, 0.0, 0.0, 2, 0.0)  # as LossOptions.numbers: a mean


def described(array):
    strides = tuple(stride // array.itemsize for stride in array.strides)
    return array.ctypes.data, FORMATS[array.dtype.name], array.shape, strides


def exported(array):
    return array.view(np.uint16) if array.dtype == BFLOAT16 else array


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_same_bits_as_from_a_buffer(dtype, axis):
    rng = np.random.default_rng(axis)
    x = rng.normal(0, 4, (12, 7, 20)).astype(dtype)[::-2, :, 1:9:2]
    t = rng.integers(x.shape[axis], size=np.delete(x.shape, axis))
    results = []
    for as_buffer in (exported, described):
        grad = np.zeros_like(x)
        loss = _cpu.cross_entropy(as_buffer(x), as_buffer(t), True, axis, None, as_buffer(grad), None, *OPTIONS)
        results.append((loss, grad.tobytes()))
    assert results[0] == results[1]


def test_no_number_is_read_of_an_empty_array():
    x, t = np.empty((0, 5), FLOAT32), np.empty(0, np.int64)
    assert _cpu.cross_entropy(described(x), described(t), True, 1, None, None, None, *OPTIONS) == 0


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("shape", [(40, 10), (40, 1000), (3, 70_000)], ids=str)
@pytest.mark.parametrize("upstream", [0.0, -3.0, 1e-30, np.inf, np.nan])
def test_one_upstream_gradient_for_all_rows(shape, dtype, upstream):
    rng = np.random.default_rng(shape[1])
    x, t = rng.normal(size=shape).astype(dtype), rng.integers(shape[1], size=shape[0])
    t[1] = -100
    plain, scaled = np.empty_like(x), np.empty_like(x)
    for grad, factor in ((plain, None), (scaled, upstream)):
        loss = _cpu.cross_entropy(x, t, True, 1, None, grad, None, *OPTIONS, upstream=factor)
        assert np.isfinite(loss)
    assert not scaled[1].any()  # ignored, whatever is upstream
    with np.errstate(invalid="ignore"):
        expected = np.delete(plain.astype(np.float64) * upstream, 1, 0)
    got = np.delete(scaled, 1, 0).astype(np.float64)
    if np.isfinite(upstream):
        size = np.maximum(np.abs(expected), abs(upstream) * 0.1 / shape[1] / shape[0])
        assert (np.abs(got - expected) <= 8 * np.finfo(dtype).eps * size + np.finfo(dtype).smallest_subnormal).all()
    else:
        assert not np.isfinite(got).any()
