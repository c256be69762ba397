"""The Triton kernels are within the published bound of mpmath: on a GPU where there is one, else in the interpreter."""

from itertools import product

import numpy as np
import pytest
import torch

import softxent as sx
from benchmarks.ulp import Exact
from softxent import definition
from softxent.options import LossOptions
from softxent.torch.calls import Call
from softxent.torch.checks import ARRAYS
from tests.cases import (
    BFLOAT16,
    CASES,
    FLOAT16,
    FLOAT32,
    FLOAT64,
    PLAIN,
    SETTINGS,
    SHAPES,
    VARIED,
    WIDE,
    assert_close,
    computed_in,
    named,
)
from tests.exact import assert_within_bound, exact, exact_row
from tests.test_kernel_paths import assert_as_defined
from tests.triton_kernels import DEVICE, cuda, launch, layout

pytestmark = pytest.mark.gpu


# Ways to take a row ---------------------------------------------------------------------------------------------------

WAYS = {
    "as launched": {},
    "one block": {"FEW": 0},
    "blocks in turn": {"ENOUGH": 1},
    "parts of a block": {"ENOUGH": 10**9},
    "parts of several": {"ENOUGH": 8},
}


@pytest.fixture
def take(monkeypatch):
    """Lets the kernels take rows of so many classes in one of these ways, with three or four blocks a row."""

    def way(name, classes, level=launch.PLAIN):
        constants = dict(WAYS[name])
        if "ENOUGH" in constants:
            block = launch.next_power_of_2(classes) // 4 << 2 * (level > launch.PLAIN)
            constants |= {"LONGEST": {4: (256,) * 3, 8: (256,) * 3}, "BLOCK": {4: block, 8: block}}
            constants["ACCESS"] = 64  # of few strips
        for constant, value in constants.items():
            monkeypatch.setattr(launch, constant, value)
        launch.shape_of.cache_clear()

    yield way
    launch.shape_of.cache_clear()


def tensor(array):
    x = torch.from_numpy(array.view(np.int16)).view(torch.bfloat16) if array.dtype == BFLOAT16 else torch.tensor(array)
    return x.to(DEVICE)


def array(x):
    x = x.cpu()
    return x.view(torch.int16).numpy().view(BFLOAT16) if x.dtype == torch.bfloat16 else x.numpy()


def call_of(x, axis=1, empty="zero", class_weight=None, **options):
    return Call(
        axis, LossOptions(**options), torch.float64 if x.dtype == torch.float64 else torch.float32, empty, ARRAYS
    )


def loss_and_grad(x, target, axis=1, inplace=False, upstream=None, **options):
    w = options.get("class_weight")
    x, out = tensor(x), None
    out = x if inplace else torch.full_like(x, 7)
    w = None if w is None else tensor(w)
    loss = cuda.loss(x, tensor(np.asarray(target)), w, call_of(x, axis, **options), out, upstream)
    return array(loss), array(out)


# Each with a branch of sum_up or combine that it is there for
LONG = named(
    "ascending by 40",
    "descending by 300",
    "strips 0, 400, 0",
    "strips 460, 560, 490",
    "tiny loss, the largest in the last strip",
    "V=300 about 500",
    "V=300 within ±3e38",
    "a tie between strips",
    "first strip masked",
    "nan at -1 of two strips",
    "NaN in a masked row",
)
EVERY = [
    *((case, FLOAT32, "as launched") for case in CASES if FLOAT32 in case.dtypes),
    *((case, dtype, "as launched") for case in VARIED for dtype in case.dtypes if dtype != FLOAT32),
    *((case, FLOAT32, "one block") for case in VARIED if case.classes <= launch.FEW),
    *((case, FLOAT32, way) for case in LONG for way in list(WAYS)[2:] if FLOAT32 in case.dtypes),
    *((case, FLOAT64, "blocks in turn") for case in LONG),
    *((case, dtype, "blocks in turn") for case in LONG for dtype in (FLOAT16, BFLOAT16) if dtype in case.dtypes),
]
every_case = pytest.mark.parametrize(
    ("case", "dtype", "way"), [pytest.param(*given, id=", ".join(map(str, given))) for given in EVERY]
)


@pytest.mark.parametrize("warp", [32, 64])
@pytest.mark.parametrize(("size", "item"), [(4, 4), (4, 2), (8, 8)])
@pytest.mark.parametrize("side_by_side", [False, True])
def test_programs_have_every_class_and_no_thread_too_many(side_by_side, size, item, warp):
    for level, classes in product(
        range(launch.HEAVY + 1), [*range(1, 140), 999, 1000, 1025, 4096, 32768, 50257, 2**20]
    ):
        shape = launch.shape_of(1000, classes, size, item, warp, side_by_side, level)
        lanes, threads = shape.block // shape.strips, shape.warps * warp
        assert shape.block == lanes * shape.strips
        assert lanes & (lanes - 1) == 0  # what tl.arange takes
        assert shape.one_block == (shape.block >= classes)
        assert shape.full == (classes % shape.block == 0)
        assert threads <= launch.MOST_THREADS
        assert shape.rows * shape.block <= max(launch.FEW, launch.EACH[size][level] + lanes) * threads


@every_case
def test_softmax_and_its_logarithm(case, dtype, way, take):
    take(way, case.classes)
    x = tensor(case.logits_as(dtype))
    for quantity, got in (
        ("softmax", cuda.softmax(x, 1, 1.0, "")),
        ("log_softmax", cuda.log_softmax(x, 1, 1.0, "")),
        ("lse", cuda.logsumexp(x, 1, "")),
    ):
        assert_within_bound(f"{way}, {quantity}", array(got), *exact(quantity, case, dtype))


@every_case
def test_loss_and_gradient(case, dtype, way, take):
    take(way, case.classes)
    losses, grad = loss_and_grad(case.logits_as(dtype), case.target(), reduction="none", inplace=True)
    assert (losses.dtype, grad.dtype) == (computed_in(dtype), dtype)
    assert_within_bound(f"{way}, loss", losses, *exact("loss", case, dtype))
    assert_within_bound(f"{way}, gradient", grad, *exact("grad", case, dtype))


@pytest.mark.parametrize(
    ("case", "dtype"), [(case, FLOAT32) for case in LONG[:4]] + [(case, FLOAT64) for case in LONG[:2]], ids=str
)
def test_warps_of_64_threads(case, dtype, monkeypatch):
    monkeypatch.setattr(layout, "warp_of", lambda device: 64)
    test_loss_and_gradient(case, dtype, "as launched", lambda way, classes: None)


@pytest.mark.parametrize("by_index", [True, False], ids=["index", "probabilities"])
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize(
    ("case", "dtype"),
    [
        (case, FLOAT32)
        for case in named("V=10 σ=20", "V=49 σ=1", "V=300 at ±1e4", "tiny losses", "a tie", "V=10, inf in a row")
    ]
    + [(case, FLOAT64) for case in named("V=10 σ=20", "V=10, 50% not masked")],
    ids=str,
)
def test_options(case, dtype, setting, by_index):
    assert_options(case, dtype, setting, by_index)


@pytest.mark.parametrize("by_index", [True, False], ids=["index", "probabilities"])
@pytest.mark.parametrize("setting", [PLAIN, SETTINGS[-1]], ids=str)
@pytest.mark.parametrize("way", list(WAYS)[2:])
@pytest.mark.parametrize("case", named("strips 0, 90, 0", "first strip masked", "nan at -1 of two strips"), ids=str)
def test_options_of_long_rows(case, way, setting, by_index, take):
    take(way, case.classes, launch.PLAIN if by_index and setting is PLAIN else launch.HEAVY)
    assert_options(case, FLOAT32, setting, by_index)


def assert_options(case, dtype, setting, by_index):
    """As test_kernel_paths.py has them."""
    options = {"reduction": "mean" if "normalizer" in setting.options else "sum", **setting.of(case.classes)}
    each = {name: value for name, value in options.items() if name != "normalizer"} | {"reduction": "none"}
    x, t = case.logits_as(dtype), case.target() if by_index else case.probabilities()
    losses = loss_and_grad(x, t, **each)[0]
    assert_as_defined(losses, loss_and_grad(x, t, **options)[1], x, t, **options)


# Statistics and samples ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize(
    "case",
    named(
        "V=10 σ=5",
        "V=300 about 500",
        "strips 0, 90, 0",
        "a tie between strips",
        "last strips masked",
        "NaN beside inf",
        "tiny losses",
    ),
    ids=str,
)
def test_statistics(case, dtype, way, take):
    take(way, case.classes)
    x, t = case.logits_as(dtype), case.target()
    got = [array(part) for part in cuda.statistics(tensor(x), tensor(t), call_of(tensor(x), temperature=0.7))]
    for ours, expected in zip(got, sx.statistics(x, t, temperature=0.7), strict=True):
        if ours.dtype == np.int64:
            np.testing.assert_array_equal(ours, expected)
        else:
            assert_close(ours, expected, 16 * np.finfo(dtype).eps, 4 * np.finfo(dtype).tiny)


@pytest.mark.parametrize("classes", [2, 10, 100, 300, 5000])
@pytest.mark.parametrize("dtype", [FLOAT32, BFLOAT16], ids=str)
def test_samples_are_those_that_the_uniform_numbers_fall_on(dtype, classes):
    rng = np.random.default_rng(classes)
    x = rng.normal(0, 2, (40 if classes < 1000 else 8, classes)).astype(dtype)
    x[:, -1] = -np.inf
    uniform = rng.random(len(x))
    uniform[:2] = 0, np.nextafter(1, 0)
    index, log_prob = cuda.sample(tensor(x), 1, 0.8, tensor(uniform), "logits")
    p = definition.softmax(x.astype(np.float64), 0.8)
    above = np.cumsum(p, 1)
    index = array(index)
    rows = np.arange(len(x))
    assert (p[rows, index] > 0).all()
    slack = 1e-6
    assert (above[rows, index] >= uniform - slack).all()
    assert (above[rows, index] - p[rows, index] <= uniform + slack).all()
    np.testing.assert_allclose(array(log_prob), np.log(p[rows, index]), rtol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("classes", [3, 10, 100, 2000])
def test_a_rare_class_is_drawn_as_often_as_it_should_be(classes, axis):
    """By u in the middle of its share, 1e-12, and a little below and above; on other u it is not."""
    rare = np.repeat([1, classes // 2, classes - 2], 3)
    x = np.full((len(rare), classes), -np.inf, FLOAT32)
    x[:, [0, -1]] = 0
    x[np.arange(len(rare)), rare] = -27
    share = np.exp(-27) / (2 + np.exp(-27))
    uniform = 0.5 + np.tile([-0.6, 0, 0.6], 3) * share
    x = np.ascontiguousarray(x if axis else x.T)
    index, _ = cuda.drawn(tensor(x), axis, 1.0, tensor(uniform))
    expected = np.where(np.arange(9) % 3 == 0, 0, np.where(np.arange(9) % 3 == 1, rare, classes - 1))
    np.testing.assert_array_equal(array(index), expected)


def test_a_row_without_probabilities_has_no_sample():
    x = tensor(np.float32([[1, 2], [-np.inf, -np.inf], [np.inf, 0], [np.nan, 0], [0, -np.inf]]))
    index, _ = cuda.drawn(x, 1, 1.0, tensor(np.full(5, 0.5)))
    assert index.tolist() == [1, -1, -1, -1, 0]


# Any layout -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("shape", "axis"), [given for given in SHAPES if np.prod(given[0]) < 40_000], ids=str)
@pytest.mark.parametrize("by_index", [True, False], ids=["index", "probabilities"])
def test_any_axis(shape, axis, by_index):
    rng = np.random.default_rng(sum(shape))
    x = rng.normal(0, 4, shape).astype(FLOAT32)
    t = rng.integers(shape[axis], size=np.delete(shape, axis)) if by_index else rng.random(shape).astype(FLOAT32)
    losses, grad = loss_and_grad(x, t, axis, reduction="none", label_smoothing=0.1)
    expected, expected_grad = sx.cross_entropy_and_grad(x, t, axis=axis, reduction="none", label_smoothing=0.1)
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    np.testing.assert_allclose(grad, expected_grad, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(array(cuda.softmax(tensor(x), axis, 1.0, "")), sx.softmax(x, axis), rtol=1e-6)
    np.testing.assert_allclose(array(cuda.logsumexp(tensor(x), axis, "")), sx.logsumexp(x, axis), rtol=1e-6)


VIEWS = {
    "a step less": lambda x: x[:, :-1],
    "classes stepped": lambda x: x[:, :, ::2],
    "rows stepped": lambda x: x[::2, 1::2],
    "transposed": lambda x: x.transpose(0, 2),
    "transposed rows": lambda x: x.transpose(0, 1),
    "expanded": lambda x: x[:1].expand(3, -1, -1),
    "one row": lambda x: x[1, 1],
}


@pytest.mark.parametrize("view", VIEWS)
def test_strided_rows(view):
    x = VIEWS[view](torch.randn(4, 6, 8, device=DEVICE, generator=torch.Generator(DEVICE).manual_seed(0)))
    t = torch.zeros(x.shape[:-1], dtype=torch.int64, device=DEVICE) + 2
    call = call_of(x, x.ndim - 1, reduction="none")
    out = torch.full_like(x, 7) if view != "expanded" else torch.full(x.shape, 7.0, device=DEVICE)
    losses = cuda.loss(x, t, None, call, out)
    expected, expected_grad = sx.cross_entropy_and_grad(array(x.contiguous()), array(t), reduction="none")
    np.testing.assert_allclose(array(losses), expected, rtol=1e-6)
    np.testing.assert_allclose(array(out.contiguous()), expected_grad, atol=1e-6)


def test_a_gradient_into_rows_that_lie_apart():
    x, room = torch.randn(4, 6, 8, device=DEVICE), torch.zeros(4, 6, 2, 8, 2, device=DEVICE)
    out = room[:, ::2, 1, :, 0].expand(4, 3, 8)
    x = x[:, ::2]
    t = torch.ones(4, 3, dtype=torch.int64, device=DEVICE)
    cuda.loss(x, t, None, call_of(x, 2, reduction="none"), out)
    expected = sx.cross_entropy_and_grad(array(x.contiguous()), array(t), reduction="none")[1]
    np.testing.assert_allclose(array(out.contiguous()), expected, atol=1e-6)
    assert not room[:, 1::2].any()
    assert not room[..., 1].any()


# Reductions, targets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignored", ["none", "some", "all"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("empty", ["zero", "nan"])
def test_reductions(reduction, ignored, weighted, empty):
    x = np.random.default_rng(0).normal(size=(7, 5)).astype(FLOAT32)
    t = np.array([0, 1, 2, 3, 4, 0, 1])
    t[{"none": [], "some": [1, 5], "all": slice(None)}[ignored]] = -100
    w = np.float32([1, 2, 0.5, 0, 3]) if weighted else None
    loss, grad = loss_and_grad(x, t, reduction=reduction, class_weight=w, empty=empty)
    expected, expected_grad = sx.cross_entropy_and_grad(x, t, reduction=reduction, class_weight=w)
    if (ignored, reduction, empty) == ("all", "mean", "nan"):
        expected = np.nan
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(grad, expected_grad, atol=1e-6)


@pytest.mark.parametrize("integer", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32])
def test_targets_of_any_integers(integer):
    x = torch.randn(3, 5, device=DEVICE)
    t = torch.tensor([0, 4, 2], device=DEVICE)
    call = call_of(x, reduction="none")
    torch.testing.assert_close(cuda.loss(x, t.to(integer), None, call), cuda.loss(x, t, None, call), rtol=0, atol=0)


@pytest.mark.parametrize("divisor", [1e-60, 1e-35, 1e-20, 1e35])
@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_divisors_small_and_large(dtype, divisor):
    logits = np.array([[0, -30, 5, -np.inf, -60]], dtype)
    row = exact_row(logits[0], 1, normalizer=divisor)
    _, grad = loss_and_grad(logits, [1], normalizer=divisor)
    assert_within_bound("gradient", grad, Exact(*(p[None] for p in row.grad)))


@pytest.mark.parametrize("way", WAYS)
def test_any_upstream_gradient(way, take):
    take(way, 700)
    x = np.random.default_rng(0).normal(size=(3, 700)).astype(FLOAT32)
    t, u = np.array([0, 699, 5]), np.float32([0.3, 0, -7])
    _, one = loss_and_grad(x, t, reduction="none")
    _, grad = loss_and_grad(x, t, reduction="none", upstream=tensor(u))
    np.testing.assert_allclose(grad, u[:, None] * one, rtol=1e-6)
    _, scaled = loss_and_grad(x, t, reduction="sum", upstream=tensor(np.array(-3.0, FLOAT32)))
    np.testing.assert_allclose(scaled, -3 * one, rtol=1e-6)


def test_a_gradient_ahead_is_left_alone_for_an_upstream_gradient_of_1():
    x, t = torch.randn(3, 5, device=DEVICE), torch.tensor([0, 1, 2], device=DEVICE)
    call, out = call_of(x), torch.full((3, 5), 7.0, device=DEVICE)
    cuda.gradient(x, t, None, torch.ones((), device=DEVICE), call, out, ahead=True)
    assert (out == 7).all()
    cuda.gradient(x, t, None, torch.full((), 0.5, device=DEVICE), call, out, ahead=True)
    expected = sx.cross_entropy_and_grad(array(x), array(t))[1] / 2
    np.testing.assert_allclose(array(out), expected, rtol=1e-6)


def test_same_bits_again():
    x = np.random.default_rng(0).normal(size=(2, 9000)).astype(FLOAT32)
    first, again = (loss_and_grad(x, [3, 8999], reduction="none") for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])


def test_no_rows():
    loss, grad = loss_and_grad(np.zeros((0, 5), FLOAT32), np.zeros(0, int))
    assert loss == 0
    assert grad.shape == (0, 5)
