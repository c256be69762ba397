"""Arrays described by address, format, shape and strides, for who has no Python buffers; one upstream gradient."""

import numpy as np
import pytest

from softxent.kernels import _cpu
from softxent.options import LossOptions
from tests.cases import BFLOAT16, DTYPES, FLOAT32, WIDE

FORMATS = {"float32": "f", "float64": "d", "float16": "e", "bfloat16": "H", "int64": "q"}
OPTIONS = LossOptions(label_smoothing=0.1).packed


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
        grad, loss = np.zeros_like(x), np.zeros(())
        to = as_buffer(grad), as_buffer(loss), None
        _cpu.cross_entropy(as_buffer(x), as_buffer(t), axis, None, *to, OPTIONS, False)
        results.append((loss, grad.tobytes()))
    assert results[0] == results[1]


def test_no_number_is_read_of_an_empty_array():
    x, t, loss = np.empty((0, 5), FLOAT32), np.empty(0, np.int64), np.ones(())
    _cpu.cross_entropy(described(x), described(t), 1, None, None, described(loss), None, OPTIONS, False)
    assert loss == 0
    _cpu.cross_entropy(described(x), described(t), 1, None, None, described(loss), None, OPTIONS, True)
    assert np.isnan(loss)


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("shape", [(40, 10), (40, 1000), (3, 70_000)], ids=str)
@pytest.mark.parametrize("upstream", [0.0, -3.0, 1e-30, np.inf, np.nan])
def test_one_upstream_gradient_for_all_rows(shape, dtype, upstream):
    rng = np.random.default_rng(shape[1])
    x, t = rng.normal(size=shape).astype(dtype), rng.integers(shape[1], size=shape[0])
    t[1] = -100
    plain, scaled, loss = np.empty_like(x), np.empty_like(x), np.empty(())
    for grad, factor in ((plain, None), (scaled, np.array(upstream))):
        _cpu.cross_entropy(x, t, 1, None, grad, loss, factor, OPTIONS, False)
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
