"""What the kernel is handed: buffers, tensors, and descriptions of memory. One upstream gradient."""

import numpy as np
import pytest
import torch

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


def as_tensor(array):
    """Which shares the array's memory; copied where it has negative strides, which tensors do not."""
    array = array.copy() if array.base is not None else array
    if array.dtype == BFLOAT16:
        return torch.from_numpy(array.view(np.uint16)).view(torch.bfloat16)
    return torch.from_numpy(array)


class Other(torch.Tensor):
    """May hold no numbers of its own: only the very types that were told of are read."""


@pytest.fixture
def tensors_are_read():
    if not all(map(_cpu.read_tensors, (torch.Tensor, torch.nn.Parameter))):
        pytest.skip("PyTorch has no C exchange API before 2.10")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.usefixtures("tensors_are_read")
def test_the_same_bits_as_from_a_buffer(dtype, axis):
    rng = np.random.default_rng(axis)
    x = rng.normal(0, 4, (12, 7, 20)).astype(dtype)[::-2, :, 1:9:2]
    t = rng.integers(x.shape[axis], size=np.delete(x.shape, axis))
    results = []
    for as_buffer in (exported, described, as_tensor):
        grad, loss = np.zeros_like(x), np.zeros(())
        to = as_buffer(grad), as_buffer(loss), None
        _cpu.cross_entropy(as_buffer(x), as_buffer(t), axis, None, *to, OPTIONS, False)
        results.append((loss, grad.tobytes()))
    assert results[0] == results[1] == results[2]


@pytest.mark.usefixtures("tensors_are_read")
@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(6, 8)[::2, 1::2],
        torch.randn(4, 3).t(),
        torch.randn(4).expand(3, 4),
        torch.randn(3, 4, requires_grad=True),
        torch.nn.Parameter(torch.randn(3, 4)),
    ],
    ids=["stepped", "transposed", "expanded", "requires_grad", "parameter"],
)
def test_tensors_are_read_as_they_lie(tensor):
    out = torch.empty(3, 4)
    _cpu.softmax(tensor, 1, 1.0, out)
    torch.testing.assert_close(out, torch.softmax(tensor.detach(), 1))


@pytest.mark.usefixtures("tensors_are_read")
@pytest.mark.parametrize(
    ("tensor", "error", "text"),
    [
        (torch.zeros(3, 4, dtype=torch.int32), ValueError, "logits has not a dtype of the kernel"),
        (torch.zeros(3, 4, dtype=torch.complex64), ValueError, "logits has not a dtype of the kernel"),
        (torch._efficientzerotensor(3, 4), ValueError, "logits has no memory"),
        (torch.zeros(3, 4, device="meta"), RuntimeError, "Cannot pack tensors on meta"),
        (torch.zeros(3, 4).to_sparse(), RuntimeError, "Cannot access data pointer of Tensor that doesn't have storage"),
        (torch.zeros(3, 4).as_subclass(Other), TypeError, "a bytes-like object"),
    ],
)
def test_tensors_without_numbers_of_their_own(tensor, error, text):
    with pytest.raises(error, match=text):
        _cpu.softmax(tensor, 1, 1.0, torch.empty(3, 4))


def test_types_without_the_c_functions_are_not_read():
    assert not _cpu.read_tensors(np.ndarray)


def test_no_number_is_read_of_an_empty_array():
    x, t, loss = np.empty((0, 5), FLOAT32), np.empty(0, np.int64), np.ones(())
    _cpu.cross_entropy(described(x), described(t), 1, None, None, described(loss), None, OPTIONS, False)
    assert loss == 0
    _cpu.cross_entropy(described(x), described(t), 1, None, None, described(loss), None, OPTIONS, True)
    assert np.isnan(loss)


X, T = np.zeros((4, 5), FLOAT32), np.zeros(4, np.int64)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"logits": (0, "f", (4, 5), (5, 1))}, "logits has no memory"),
        (
            {"logits": described(np.zeros((1,) * 64))[:2] + ((1,) * 70,) * 2},
            "logits has 70 dimensions, but must have 64 at most",
        ),
        ({"logits": X.astype(">f4")}, "logits has not a dtype of the kernel"),
        ({"logits": X.astype(np.int32)}, "logits has not a dtype of the kernel"),
        ({"logits": T, "axis": 0}, "logits is of integers, but must be of floats"),
        ({"axis": 2}, "logits has not the axis that is asked for"),
        ({"axis": -1}, "logits has not the axis that is asked for"),
        ({"target": (0, "q", (4,), (1,))}, "target has no memory"),
        ({"target": T[:3]}, "target has not the size that the logits' shape asks for"),
        ({"target": np.zeros(8, np.int64)[::2]}, "target does not lie side by side in memory"),
        ({"target": X[:, :4]}, "target is not of the logits' shape"),
        ({"target": X.T}, "target is not of the logits' shape"),
        ({"class_weight": X[0, :4].copy()}, "class_weight has not the size that the logits' shape asks for"),
        ({"class_weight": np.ones(5)}, "class_weight has not the dtype that the logits' asks for"),
        ({"out": X[:3].copy()}, "out is not of the logits' shape"),
        ({"loss": np.empty(2)}, "loss has not the size that the logits' shape asks for"),
        ({"upstream": np.ones(3)}, "upstream has not the size that the logits' shape asks for"),
        ({"upstream": np.ones((2, 3))[:, :2]}, "upstream does not lie evenly in memory"),
    ],
)
def test_nothing_outside_the_arrays_is_read_or_written(wrong, text):
    """Whatever an adapter hands over."""
    results = {"out": X.copy(), "loss": np.empty(())}
    arguments = {"logits": X, "target": T, "axis": 1, "class_weight": None, "upstream": None, **results}
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        _cpu.cross_entropy(**(arguments | wrong), options=OPTIONS, nan_if_empty=False)
    assert str(raised.value) == text


def test_an_instruction_set_that_is_not_there():
    used, known = _cpu.instruction_set(), ", ".join(map(repr, _cpu.instruction_sets()))
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        _cpu.use("avx9")
    assert str(raised.value) == f"name is 'avx9', but must be one of {known}"
    assert _cpu.instruction_set() == used


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
