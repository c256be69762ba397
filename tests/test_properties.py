"""What holds for any logits: properties of softmax, cross-entropy, its gradient and sampling."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import softxent as sx
from tests.cases import BFLOAT16, DTYPES, FLOAT32, FLOAT64, computed_in

INF = np.inf
EPS = {dtype: float(np.finfo(dtype).eps) for dtype in (FLOAT32, FLOAT64)}

settings.register_profile("softxent", derandomize=True, deadline=None, max_examples=100)
settings.load_profile("softxent")


# Logits: rows × classes, the extremes among them -------------------------------------------------------------------


@st.composite
def matrices(draw: st.DrawFn, masks: bool = True, dtypes: tuple[Any, ...] = (FLOAT32, FLOAT64)) -> Any:
    """0 … 5 rows of 1 … 700 classes (within a vector, a tile, a strip, beyond), of which one at least is no mask."""
    rows, classes = draw(st.integers(0, 5)), draw(st.sampled_from([1, 2, 3, 7, 16, 48, 49, 255, 257, 700]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from(dtypes))
    limits = ml_dtypes.finfo(dtype)
    half = float(limits.max) / 2  # twice that is a number still, under a temperature of 0.5
    logits = draw(st.sampled_from([1e-30, 0.1, 1.0, 5.0, 50.0, 1e4, 1e30])) * rng.uniform(-1, 1, (rows, classes))
    kind = draw(st.sampled_from(["smooth", "tied", "signs", "extreme", "masked" if masks else "smooth"]))
    if kind == "tied":
        logits = logits[:, rng.integers(0, (classes + 1) // 2, classes)]
    elif kind == "signs":
        logits = 1e4 * np.sign(logits)
    elif kind == "extreme":
        tiny = float(limits.smallest_subnormal)
        logits = rng.choice([-half, half, -tiny, tiny, -1e4, 1e4, 0.0, 1.0], (rows, classes))
    elif kind == "masked":
        kept = rng.random((rows, classes)) < 0.5
        kept[:, rng.integers(classes)] = True
        logits = np.where(kept, logits, -INF)
    return np.where(np.isneginf(logits), -INF, np.clip(logits, -half, half)).astype(dtype)


def targets(logits: Any) -> Any:
    """A class of each row that is not masked."""
    rng = np.random.default_rng(logits.shape[1])
    return np.argmax(np.where(np.isneginf(logits), -1, rng.random(logits.shape)), axis=-1)


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "label_smoothing": st.sampled_from([0.0, 0.1, 1.0]),
        "temperature": st.sampled_from([0.5, 1.0, 3.0]),
        "softcap": st.sampled_from([None, 5.0, 30.0]),
        "z_loss": st.sampled_from([0.0, 1e-3]),
        "reduction": st.sampled_from(["none", "sum", "mean"]),
    },
)


def same_bits(a: Any, b: Any) -> bool:
    return np.shape(a) == np.shape(b) and np.asarray(a).tobytes() == np.asarray(b).tobytes()


# Softmax ------------------------------------------------------------------------------------------------------------


@given(matrices())
def test_probabilities_sum_to_1(logits: Any) -> None:
    p = sx.softmax(logits)
    assert (p >= 0).all()
    assert (p <= 1).all()
    assert ((p == 0) | (logits > -INF)).all()
    assert (abs(p.sum(axis=-1, dtype=np.float64) - 1) <= 4 * EPS[p.dtype]).all()  # 4 ULP of each p, which add up to 1


@given(matrices(), st.sampled_from([-4096.0, -64.0, -1.0, 0.5, 32.0, 2048.0]))
def test_shift_changes_nothing(logits: Any, shift: float) -> None:
    with np.errstate(over="ignore"):  # what is so large is whole
        logits = np.where(
            abs(logits) < 1e6, np.round(logits * 64) / 64, logits
        )  # logits + shift is exact in float32 too
    moved = logits + logits.dtype.type(shift)
    assume((moved - logits.dtype.type(shift) == logits).all() and abs(shift) + 1e4 < 2**17)
    eps = EPS[logits.dtype]
    tiny = 8 * np.finfo(logits.dtype).smallest_subnormal
    t = targets(logits)
    np.testing.assert_allclose(sx.softmax(moved), sx.softmax(logits), rtol=8 * eps, atol=tiny)
    np.testing.assert_allclose(sx.log_softmax(moved), sx.log_softmax(logits), rtol=8 * eps, atol=tiny)
    loss, grad = sx.cross_entropy_and_grad(logits, t, reduction="none")
    moved_loss, moved_grad = sx.cross_entropy_and_grad(moved, t, reduction="none")
    np.testing.assert_allclose(moved_loss, loss, rtol=8 * eps, atol=tiny)
    np.testing.assert_allclose(moved_grad, grad, rtol=8 * eps, atol=tiny)
    lse, largest = sx.logsumexp(logits), logits.max(axis=-1, initial=-INF)
    scale = np.maximum(abs(largest), abs(lse)) + abs(shift)
    assert (abs(sx.logsumexp(moved) - (lse + lse.dtype.type(shift))) <= 9 * eps * scale).all()


@given(matrices(), st.integers(0, 2**32))
def test_order_of_the_classes_does_not_matter(logits: Any, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(logits.shape[1])
    position, t = np.argsort(order), targets(logits)
    bound: dict[str, Any] = {"rtol": 8 * EPS[logits.dtype], "atol": 8 * np.finfo(logits.dtype).smallest_subnormal}
    np.testing.assert_allclose(sx.softmax(logits[:, order]), sx.softmax(logits)[:, order], **bound)
    np.testing.assert_allclose(sx.log_softmax(logits[:, order]), sx.log_softmax(logits)[:, order], **bound)
    loss, grad = sx.cross_entropy_and_grad(logits, t, reduction="none")
    moved_loss, moved_grad = sx.cross_entropy_and_grad(logits[:, order], position[t], reduction="none")
    np.testing.assert_allclose(moved_loss, loss, **bound)
    np.testing.assert_allclose(moved_grad, grad[:, order], **bound)


@given(matrices(dtypes=DTYPES), st.integers(0, 2**32), OPTIONS)
def test_order_of_the_rows_does_not_matter(logits: Any, seed: int, options: Any) -> None:
    order, t = np.random.default_rng(seed).permutation(len(logits)), targets(logits)
    options["reduction"] = "none"
    loss, grad = sx.cross_entropy_and_grad(logits, t, **options)
    moved_loss, moved_grad = sx.cross_entropy_and_grad(logits[order], t[order], **options)
    assert same_bits(moved_loss, loss[order])
    assert same_bits(moved_grad, grad[order])


# The gradient -------------------------------------------------------------------------------------------------------


@given(matrices(), OPTIONS.filter(lambda options: not options.get("softcap") and not options.get("z_loss")))
def test_gradient_of_a_row_sums_to_0(logits: Any, options: Any) -> None:
    _, grad = sx.cross_entropy_and_grad(logits, targets(logits), **(options | {"reduction": "none"}))
    smoothed = options.get("label_smoothing", 0) > 0  # towards masks too, whose gradient is 0
    wide = grad[~(smoothed & np.isneginf(logits).any(axis=-1))].astype(np.float64)
    assert (abs(wide.sum(axis=-1)) <= 8 * EPS[grad.dtype] / options.get("temperature", 1)).all()


@given(matrices(masks=False, dtypes=(FLOAT64,)), OPTIONS)
@settings(max_examples=60)
def test_gradient_is_finite_difference(logits: Any, options: Any) -> None:
    logits = logits[:, :16] * min(1, 20 / max(abs(logits).max(initial=0), 1e-3))  # where a difference of losses tells
    t, h = targets(logits), 1e-5
    options = options | {"reduction": "sum"}
    _, grad = sx.cross_entropy_and_grad(logits, t, **options)
    step = np.zeros_like(logits)
    for j in range(logits.shape[1]):
        step[:, j] = h
        up, down = (sx.cross_entropy(logits + s, t, **(options | {"reduction": "none"})) for s in (step, -step))
        step[:, j] = 0
        size = 1 + abs(up) + abs(down)  # h² × the third derivative, and the losses' rounding / h
        assert (abs((up - down) / (2 * h) - grad[:, j]) <= 1e-9 * size).all()


# Legal options, however large or small, and the extremes of the logits beside them; z itself stays within the dtype
EXTREME_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "label_smoothing": st.sampled_from([0.0, 1e-300, 0.5, 1.0]),
        "temperature": st.sampled_from([0.5, 1.0, 1e20, 1e300]),
        "softcap": st.sampled_from([None, 2.3e-308, 1e-20, 1.0, 1e20, 1e300]),
        "z_loss": st.sampled_from([0.0, 5e-324, 1e-3]),
        "class_weight": st.sampled_from([1e-30, 1.0, 1e30]),
        "normalizer": st.sampled_from([1e-30, 1.0, 1e300]),
    },
)


@given(matrices(), EXTREME_OPTIONS, st.booleans())
def test_no_legal_option_makes_nan(logits: Any, options: Any, by_index: bool) -> None:
    """A loss that no number of the dtype is as large as is inf, and so is a gradient."""
    t = targets(logits) if by_index else sx.softmax(np.clip(logits, -1e3, 1e3))
    if "class_weight" in options:
        options["class_weight"] = np.full(logits.shape[1], options["class_weight"])
    if options.get("z_loss"):
        logits = np.clip(logits, -1e4, 1e4)  # lse² overflows, and inf − inf is NaN
    loss, grad = sx.cross_entropy_and_grad(logits, t, **options)
    assert loss >= 0
    assert not np.isnan(grad).any()
    assert (grad[logits == -INF] == 0).all()


# The same bits ------------------------------------------------------------------------------------------------------


@given(matrices(dtypes=DTYPES), OPTIONS, st.booleans())
def test_in_place_is_out_of_place(logits: Any, options: Any, by_index: bool) -> None:
    t = targets(logits) if by_index else sx.softmax(logits.astype(np.float32) / 100)
    loss, grad = sx.cross_entropy_and_grad(logits, t, **options)
    out, in_place = np.full_like(logits, 7), logits.copy()
    out_loss, same = sx.cross_entropy_and_grad(logits, t, out=out, **options)
    in_place_loss, _ = sx.cross_entropy_and_grad(in_place, t, out=in_place, **options)
    assert same is out
    assert same_bits(out_loss, loss)
    assert same_bits(in_place_loss, loss)
    assert same_bits(out, grad)
    assert same_bits(in_place, grad)
    assert same_bits(sx.cross_entropy(logits, t, **options), loss)


@pytest.mark.parametrize("dtype", DTYPES)
def test_out_needs_no_second_array(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softxent.numpy.adapter.empty_like", None)
    logits = np.zeros((2, 4), dtype)
    sx.cross_entropy_and_grad(logits, [0, 1], out=logits, reduction="sum")
    np.testing.assert_array_equal(logits, dtype.type(0.25) - np.eye(2, 4, dtype=dtype))


@given(matrices(dtypes=DTYPES), OPTIONS, st.integers(2, 5))
@settings(max_examples=50)
def test_any_number_of_threads(logits: Any, options: Any, count: int) -> None:
    logits = np.tile(logits, (200, 1))  # more than one task
    t, before = targets(logits), sx.get_num_threads()
    results = []
    try:
        for threads in (1, count):
            sx.set_num_threads(threads)
            loss, grad = sx.cross_entropy_and_grad(logits, t, **options)
            results.append((loss, grad, sx.softmax(logits), sx.log_softmax(logits), sx.logsumexp(logits)))
    finally:
        sx.set_num_threads(before)
    assert all(map(same_bits, *results))


@given(matrices(dtypes=DTYPES), OPTIONS)
def test_axis_and_strides_are_only_where_things_lie(logits: Any, options: Any) -> None:
    t = targets(logits)
    _, grad = sx.cross_entropy_and_grad(logits, t, **options)
    spaced = np.zeros((2 * logits.shape[0], 3 * logits.shape[1]), logits.dtype)[::2, ::3]
    spaced[...] = logits
    assert_close(sx.cross_entropy_and_grad(spaced, t, **options)[1], grad)
    assert_close(sx.cross_entropy_and_grad(np.ascontiguousarray(logits.T), t, axis=0, **options)[1].T, grad)
    assert_close(sx.softmax(logits.T, axis=0).T, sx.softmax(logits))


def swapped(array: Any) -> Any:
    """The same numbers, their bytes in the other order."""
    return array.astype(array.dtype.newbyteorder())


def misaligned(array: Any) -> Any:
    """The same numbers, one byte further than their dtype may lie."""
    moved = np.empty(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    moved[...] = array
    assert not moved.flags.aligned
    return moved


@pytest.mark.parametrize("elsewhere", [swapped, misaligned])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("by_index", [True, False])
def test_bytes_in_another_order_or_place(elsewhere: Callable[[Any], Any], dtype: Any, by_index: bool) -> None:
    rng = np.random.default_rng(0)
    logits, w = rng.normal(size=(5, 7)).astype(dtype), rng.random(7)
    t = np.arange(5) if by_index else sx.softmax(rng.normal(size=(5, 7))).astype(dtype)
    moved = logits if elsewhere is swapped and dtype == BFLOAT16 else elsewhere(logits)
    t_moved = t if elsewhere is swapped and t.dtype == BFLOAT16 else elsewhere(t)
    for got, expected in (
        (sx.softmax(moved), sx.softmax(logits)),
        (sx.logsumexp(moved), sx.logsumexp(logits)),
        (sx.sample(moved, rng=0), sx.sample(logits, rng=0)),
        (
            sx.cross_entropy(moved, t_moved, class_weight=elsewhere(w), reduction="none"),
            sx.cross_entropy(logits, t, class_weight=w, reduction="none"),
        ),
    ):
        assert same_bits(got, expected)
    if elsewhere is misaligned:
        loss, grad = sx.cross_entropy_and_grad(logits, t)
        for x, out in ((logits, misaligned(np.zeros_like(logits))), (moved, moved)):
            moved_loss, same = sx.cross_entropy_and_grad(x, t_moved, out=out)
            assert same is out
            assert same_bits(moved_loss, loss)
            assert same_bits(out, grad)


def assert_close(a: Any, b: Any) -> None:
    """Across rows and along them sums are added up in another order: both are within the bound, 4 ULP each."""
    dtype = computed_in(b.dtype)
    rtol = 2.0**-7 if b.dtype == BFLOAT16 else 2.0**-10 if b.dtype == np.float16 else 8 * EPS[dtype]
    atol = 2.0**-23 if b.dtype == np.float16 else 16 * EPS[dtype]
    np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol=rtol, atol=atol)


# The soft max -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 10, 49, 300, 1000])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_frequencies_are_the_probabilities(classes: int, dtype: Any, temperature: float) -> None:
    draws = 100_000
    logits = (2 * np.random.default_rng(classes).standard_normal(classes)).astype(dtype)
    counts = np.bincount(
        sx.sample(np.broadcast_to(logits, (draws, classes)), rng=classes, temperature=temperature), minlength=classes
    )
    expected = draws * sx.softmax(logits.astype(np.float64), temperature=temperature)
    rare = expected < 5  # too few for chi-squared: these and the first other count as one class
    counts, expected = (np.append(v[~rare], v[rare].sum() + v[~rare][0])[1:] for v in (counts, expected))
    assert scipy.stats.chisquare(counts, expected * (draws / expected.sum())).pvalue > 1e-6


def test_frequencies_of_a_long_row() -> None:
    classes, draws = 100_000, 3000
    logits = np.random.default_rng(0).standard_normal(classes).astype(np.float32)
    drawn = sx.sample(np.broadcast_to(logits, (draws, classes)), rng=1)
    p = sx.softmax(logits.astype(np.float64)).reshape(10, -1).sum(axis=-1)
    assert scipy.stats.chisquare(np.bincount(drawn // (classes // 10), minlength=10), draws * p).pvalue > 1e-6


@pytest.mark.parametrize("classes", [3, 40, 300, 3000])
def test_each_u_draws_the_class_whose_interval_it_is_in(classes: int) -> None:
    logits = np.random.default_rng(classes).normal(0, 3, classes)
    ends = np.cumsum(sx.softmax(logits))
    u = np.random.default_rng(5).random(2000)
    drawn = sx.sample(np.broadcast_to(logits, (len(u), classes)), rng=5)
    begins = ends - sx.softmax(logits)
    assert (begins[drawn] - 1e-12 <= u).all()
    assert (u <= ends[drawn] + 1e-12).all()


@given(matrices(dtypes=DTYPES), st.integers(0, 2**32), st.sampled_from([0.5, 1.0, 3.0]))
def test_masked_classes_are_never_drawn(logits: Any, seed: int, temperature: float) -> None:
    drawn = sx.sample(logits, rng=seed, temperature=temperature)
    assert drawn.dtype == np.int64
    assert drawn.shape == logits.shape[:1]
    assert ((drawn >= 0) & (drawn < logits.shape[1])).all()
    assert (sx.softmax(logits.astype(np.float64), temperature=temperature)[np.arange(len(drawn)), drawn] > 0).all()
    assert (logits[np.arange(len(drawn)), drawn] > -INF).all()


@given(matrices(dtypes=DTYPES), st.integers(0, 2**32), st.sampled_from([0.5, 1.0, 3.0]))
def test_log_prob_is_log_softmax_at_the_index(logits: Any, seed: int, temperature: float) -> None:
    drawn, log_prob = sx.sample(logits, rng=seed, temperature=temperature, return_log_prob=True)
    wide = computed_in(logits.dtype)
    assert log_prob.dtype == wide
    assert same_bits(drawn, sx.sample(logits, rng=seed, temperature=temperature))
    expected = sx.log_softmax(logits.astype(wide), temperature=temperature)[np.arange(len(drawn)), drawn]
    np.testing.assert_allclose(log_prob, expected, rtol=8 * EPS[wide], atol=8 * np.finfo(wide).smallest_subnormal)


@given(matrices(dtypes=DTYPES), st.integers(0, 2**32), st.integers(2, 5))
@settings(max_examples=50)
def test_same_draws_for_any_number_of_threads(logits: Any, seed: int, count: int) -> None:
    logits, before = np.tile(logits, (200, 1)), sx.get_num_threads()
    try:
        draws = []
        for threads in (1, count):
            sx.set_num_threads(threads)
            draws.append(sx.sample(logits, rng=seed, return_log_prob=True))
    finally:
        sx.set_num_threads(before)
    assert all(map(same_bits, *draws))


@given(matrices(dtypes=DTYPES), st.integers(0, 2**32))
def test_draws_do_not_depend_on_the_layout(logits: Any, seed: int) -> None:
    drawn = sx.sample(logits, rng=seed)
    assert same_bits(sx.sample(np.ascontiguousarray(logits.T), axis=0, rng=seed), drawn)
    assert same_bits(sx.sample(logits[:, None], rng=seed)[:, 0], drawn)


def test_shapes_of_draws() -> None:
    one = sx.sample([1.0, 5.0, 3.0], rng=0)
    assert isinstance(one, np.int64)
    logits = np.zeros((2, 3, 4), np.float32)
    assert [sx.sample(logits, axis=k, rng=0).shape for k in (0, 1, 2, -1)] == [(3, 4), (2, 4), (2, 3), (2, 3)]
    assert sx.sample(np.zeros((0, 4)), rng=0).shape == (0,)
    assert sx.sample(np.zeros((5, 1)), rng=0).tolist() == [0] * 5
    index, log_prob = sx.sample([[0, 0]], rng=0, return_log_prob=True)
    assert (index.shape, log_prob.shape, log_prob.dtype) == ((1,), (1,), np.float64)


def test_temperature_of_draws() -> None:
    logits = np.tile(np.array([1.0, 5.0, 3.0]), (10_000, 1))
    assert (sx.sample(logits, temperature=0.01, rng=0) == 1).all()  # the hard max
    assert (abs(np.bincount(sx.sample(logits, temperature=1e6, rng=0)) / 1e4 - 1 / 3) < 0.03).all()  # uniform


def test_rng() -> None:
    logits = np.zeros((1000, 50))
    seeded = sx.sample(logits, rng=7)
    assert same_bits(sx.sample(logits, rng=np.random.default_rng(7)), seeded)
    assert same_bits(sx.sample(logits, rng=np.random.SeedSequence(7)), seeded)
    generator = np.random.default_rng(7)
    assert same_bits(sx.sample(logits, rng=generator), seeded)
    assert not same_bits(sx.sample(logits, rng=generator), seeded)  # it has moved on
    assert not same_bits(sx.sample(logits), sx.sample(logits))  # None: from the system's entropy


@pytest.mark.parametrize(
    ("rng", "error", "text"),
    [
        ("seven", TypeError, "rng is 'seven', but must be a numpy.random.Generator, a seed or None"),
        (-1, ValueError, "rng is -1, but must be a numpy.random.Generator, a seed or None"),
        (0.5, TypeError, "rng is 0.5, but must be a numpy.random.Generator, a seed or None"),
    ],
)
def test_bad_rng(rng: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error) as raised:
        sx.sample([1.0, 2.0], rng=rng)
    assert str(raised.value) == text


@pytest.mark.parametrize("layout", [np.ascontiguousarray, lambda x: np.ascontiguousarray(x.T).T])
@pytest.mark.parametrize("classes", [1, 3, 300, 700])
@pytest.mark.parametrize("kind", ["masked", "inf", "nan"])
def test_a_row_without_probabilities(classes: int, kind: str, layout: Callable[[Any], Any]) -> None:
    logits = np.zeros((6, classes))
    logits[[4, 5]] = {"masked": -INF, "inf": INF, "nan": np.nan}[kind]
    with pytest.raises(ValueError, match=r"logits\[4\] has no probabilities to draw from") as raised:
        sx.sample(layout(logits), rng=0)
    assert str(raised.value) == "logits[4] has no probabilities to draw from: it is all −inf, or has +inf or NaN"
