"""Whatever way rows take through the adapter and the kernel, they come out the same, and as definition.py has them."""

import numpy as np
import pytest

import softxent as sx
from softxent import definition
from tests.cases import (
    BFLOAT16,
    DTYPES,
    FLOAT32,
    FLOAT64,
    INF,
    NAN,
    PLAIN,
    SETTINGS,
    SHAPES,
    VARIED,
    assert_close,
    computed_in,
    definition_error,
    named,
)

every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
every_setting = pytest.mark.parametrize("setting", SETTINGS, ids=str)
by_index_or_not = pytest.mark.parametrize("by_index", [True, False], ids=["index", "probabilities"])
every_shape = pytest.mark.parametrize(("shape", "axis"), SHAPES, ids=str)


@pytest.fixture(autouse=True)
def _restore_threads():
    threads = sx.get_num_threads()
    yield
    sx.set_num_threads(threads)


def drawn(shape, axis, dtype=FLOAT32, by_index=True):
    """Logits, and a target, in C order; read-only, since nothing may be written to them."""
    rng = np.random.default_rng(sum(shape))
    logits = rng.normal(0, 4, shape).astype(dtype)
    rows = shape[:axis] + shape[axis + 1 :]
    target = rng.integers(shape[axis], size=rows) if by_index else rng.random(shape).astype(computed_in(dtype))
    logits.flags.writeable = target.flags.writeable = False
    return logits, target


def same(got, expected):
    """Bit for bit: signed zeros and NaN too."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    assert got.tobytes() == expected.tobytes()


def assert_as_defined(losses, grad, logits, target, **options):
    """`losses` with reduction="none", `grad` with the one given, both as definition.py has them."""
    dtype, V = grad.dtype, logits.shape[-1]
    x, wide = logits.astype(np.float64), computed_in(dtype)
    if "class_weight" in options:
        options = {**options, "class_weight": options["class_weight"].astype(wide)}
    divisor = options.get("normalizer", 1)
    options = {name: value for name, value in options.items() if name not in ("normalizer", "reduction")}
    expected, expected_grad = definition.cross_entropy_and_grad(x, target, **options, reduction="none", round_z_to=wide)
    expected_grad = expected_grad / divisor

    T, c, lam = options.get("temperature", 1), options.get("softcap"), options.get("z_loss", 0)
    z = definition.scaled(x, T, c).astype(wide).astype(np.float64)
    size = np.nan_to_num(np.maximum(np.abs(z.max(-1)), np.abs(definition.logsumexp(z))), posinf=0)[..., None]
    a = definition.target_weights(
        np.maximum(target, 0), x.shape, options.get("class_weight"), options.get("label_smoothing", 0)
    )
    weight, p = a.sum(-1, keepdims=True), np.nan_to_num(definition.softmax(z))
    terms = np.maximum(a, weight * p) if target.shape == x.shape or "label_smoothing" in options else 0
    if lam:
        terms = np.maximum(terms, (weight + 2 * lam * size) * np.where(np.isneginf(z), 0, p))
        at_target = p * a  # p − 1 of a hard target does not cancel
        terms = np.maximum(terms, at_target)
    terms = terms * np.nan_to_num(definition.scaled_slope(x, T, c)) / divisor

    # z is rounded twice in float64, by different ways
    reach = np.abs(z[np.isfinite(z)]).max(initial=0) * 2.0**-51 if (T, c, wide) != (1, None, FLOAT64) else 0
    reach = reach if wide == FLOAT64 else 0
    loss_terms = 2 * lam * np.abs(np.nan_to_num(definition.logsumexp(z), posinf=0, neginf=0)) * size[..., 0]
    assert_close(losses, expected, definition_error(wide, V) + reach, loss_terms)
    assert_close(grad, expected_grad, definition_error(dtype, V) + reach, terms)


# As definition.py has it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "setting", "dtype"),
    [
        pytest.param(case, setting, dtype, id=f"{case}, {setting}, {dtype}")
        for case in VARIED
        for setting in SETTINGS
        for dtype in (
            DTYPES if setting in (PLAIN, SETTINGS[-1]) else (FLOAT32, FLOAT64)
        )  # 16 bits differ at the ends only
        if dtype in case.dtypes
    ],
)
@by_index_or_not
def test_options(case, setting, dtype, by_index):
    """One row after the other, and many at once with the classes first."""
    options = {"reduction": "mean" if "normalizer" in setting.options else "sum", **setting.of(case.classes)}
    each = {name: value for name, value in options.items() if name != "normalizer"} | {"reduction": "none"}
    x, t = case.logits_as(dtype), case.target() if by_index else case.probabilities()
    for axis, rows in ((1, len(x)), (0, 37)):
        x, t = np.resize(x, (rows, case.classes)), np.resize(t, (rows, *t.shape[1:]))
        logits, target = (
            np.ascontiguousarray(np.moveaxis(part, -1, axis) if part.ndim == 2 else part) for part in (x, t)
        )
        _, grad = sx.cross_entropy_and_grad(logits, target, axis=axis, **options)
        losses = sx.cross_entropy(logits, target, axis=axis, **each)
        assert_as_defined(losses, np.moveaxis(grad, axis, -1), x, t, **options)


# The same bits by every way ---------------------------------------------------------------------------------------


@every_dtype
@by_index_or_not
@every_setting
@pytest.mark.parametrize("case", named("V=10 σ=20", "strips 0, 90, 0", "V=48 σ=5", "nan at -1 of two strips"), ids=str)
def test_in_place_and_out_of_place_and_loss_alone(case, setting, by_index, dtype):
    x, t = case.logits_as(dtype), case.target() if by_index else case.probabilities()
    options = setting.of(case.classes)
    loss, grad = sx.cross_entropy_and_grad(x, t, **options)
    out = np.full_like(x, 7)
    loss_out, grad_out = sx.cross_entropy_and_grad(x, t, out=out, **options)
    in_place = x.copy()
    loss_in, grad_in = sx.cross_entropy_and_grad(in_place, t, out=in_place, **options)
    assert grad_out is out
    assert grad_in is in_place
    for got in (loss_out, loss_in, sx.cross_entropy(x, t, **options)):
        same(got, loss)
    for got in (out, in_place):
        same(got, grad)


@pytest.mark.parametrize("threads", [2, 3, 8])
@by_index_or_not
@pytest.mark.parametrize("setting", [SETTINGS[0], SETTINGS[1], SETTINGS[-1]], ids=str)
@pytest.mark.parametrize(
    ("shape", "axis"), [((1, 150_001), 1), ((900, 70), 1), ((7001, 10), 1), ((90, 700), 0)], ids=str
)
def test_threads(shape, axis, setting, by_index, threads):
    x, t = drawn(shape, axis, by_index=by_index)
    options = setting.of(shape[axis])
    results = []
    for count in (1, threads):
        sx.set_num_threads(count)
        parts = sx.cross_entropy_and_grad(x, t, axis=axis, **options)
        results.append([*parts, sx.softmax(x, axis), sx.log_softmax(x, axis), sx.logsumexp(x, axis)])
    for one, many in zip(*results, strict=True):
        same(many, one)


@every_dtype
@by_index_or_not
@every_shape
def test_any_axis(shape, axis, by_index, dtype):
    """As if the class axis were last, and the same counted from the end."""
    x, t = drawn(shape, axis, dtype, by_index)
    loss, grad = sx.cross_entropy_and_grad(x, t, axis=axis, reduction="none")
    last = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    t_last = t if by_index else np.ascontiguousarray(np.moveaxis(t, axis, -1))
    assert_as_defined(loss, np.moveaxis(grad, axis, -1), last, t_last, reduction="none")
    negative = axis - x.ndim
    for got, expected in zip(
        sx.cross_entropy_and_grad(x, t, axis=negative, reduction="none"), (loss, grad), strict=True
    ):
        same(got, expected)
    for f in (sx.softmax, sx.log_softmax):
        expected = getattr(definition, f.__name__)(last.astype(np.float64))
        assert_close(np.moveaxis(f(x, axis), axis, -1), expected, definition_error(dtype, shape[axis]))
    assert sx.logsumexp(x, axis).shape == loss.shape


LAYOUTS = {
    "Fortran": lambda x: np.asfortranarray(x),
    "every other": lambda x: np.repeat(x, 2, axis=-1)[..., ::2],
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "reversed": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "rows reversed": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "part of a larger array": lambda x: np.pad(x, [(1, 2)] * x.ndim)[tuple(slice(1, -2) for _ in x.shape)],
    "axes swapped": lambda x: np.ascontiguousarray(x.swapaxes(0, -1)).swapaxes(0, -1),
    "unaligned": lambda x: unaligned(x),
}


def unaligned(x):
    memory = np.empty(x.nbytes + 1, np.uint8)
    view = np.ndarray(x.shape, x.dtype, memory.data, 1)
    view[...] = x
    return view


every_strided_shape = pytest.mark.parametrize(
    ("shape", "axis"),
    [((5, 10), 1), ((70, 10), 1), ((9, 300), 1), ((2, 2100), 1), ((4, 21, 3, 5), 1), ((60, 4, 7), 0)],
    ids=str,
)


@pytest.mark.parametrize("layout", LAYOUTS)
@every_dtype
@every_strided_shape
@by_index_or_not
def test_any_strides(shape, axis, dtype, layout, by_index):
    x, t = drawn(shape, axis, dtype, by_index)
    laid_out = LAYOUTS[layout](x)
    in_place = LAYOUTS[layout](x)
    laid_out.flags.writeable = False
    strided = t if by_index else LAYOUTS[layout](t)
    loss, grad = sx.cross_entropy_and_grad(laid_out, strided, axis=axis, reduction="none")
    last = [np.moveaxis(part, axis, -1) for part in (grad, x, t) if part.ndim == x.ndim]
    assert_as_defined(loss, *last[:2], last[2] if len(last) > 2 else t, reduction="none")
    same(laid_out, x)
    same(sx.cross_entropy_and_grad(in_place, strided, axis=axis, reduction="none", out=in_place)[0], loss)
    same(in_place, grad)
    expected = definition.softmax(last[1].astype(np.float64))
    assert_close(np.moveaxis(sx.softmax(laid_out, axis), axis, -1), expected, definition_error(dtype, shape[axis]))


@pytest.mark.parametrize("layout", LAYOUTS)
@every_dtype
@every_strided_shape
@by_index_or_not
def test_any_strides_of_out(shape, axis, dtype, layout, by_index):
    x, t = drawn(shape, axis, dtype, by_index)
    loss, grad = sx.cross_entropy_and_grad(x, t, axis=axis)
    out = LAYOUTS[layout](np.zeros_like(x))
    got = sx.cross_entropy_and_grad(x, t, axis=axis, out=out)
    assert got[1] is out
    same(got[0], loss)
    same(out, grad)


def test_what_lies_outside_a_strided_out_stays():
    x, t = drawn((9, 60), 1)
    memory = np.full((18, 180), 7, np.float32)
    sx.cross_entropy_and_grad(x, t, out=memory[::2, ::3])
    memory[::2, ::3] = 7
    assert (memory == 7).all()


# Arguments of many kinds --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", ">i4", ">u8"])
def test_target_dtypes(kind):
    x, t = drawn((30, 10), 1)
    expected = sx.cross_entropy_and_grad(x, t)
    for target in (t.astype(kind), np.repeat(t.astype(kind), 2)[::2], t.astype(kind)[::-1].copy()[::-1]):
        for got, right in zip(sx.cross_entropy_and_grad(x, target), expected, strict=True):
            same(got, right)


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", BFLOAT16, ">f4", ">f8"])
@every_dtype
def test_probability_dtypes(kind, dtype):
    x, t = drawn((30, 10), 1, dtype, by_index=False)
    t = t.astype(kind)
    losses, grad = sx.cross_entropy_and_grad(x, t, reduction="none")
    assert_as_defined(losses, grad, x, t.astype(np.float64), reduction="none")


@pytest.mark.parametrize("logits", [[1, 5, 3], (1, 5, 3), np.array([1, 5, 3], np.int8), np.array([1, 5, 3], np.uint64)])
def test_lists_and_integers_become_float64(logits):
    for got, right in zip(
        sx.cross_entropy_and_grad(logits, 1), sx.cross_entropy_and_grad(np.array([1.0, 5, 3]), 1), strict=True
    ):
        same(got, right)
    same(sx.softmax(logits), sx.softmax(np.array([1.0, 5, 3])))
    same(sx.softmax([logits, logits]), sx.softmax(np.array([[1.0, 5, 3]] * 2)))


@pytest.mark.parametrize("dtype", [">f4", ">f8", ">f2"])
def test_swapped_bytes(dtype):
    x, t = drawn((30, 10), 1)
    for got, right in zip(
        sx.cross_entropy_and_grad(x.astype(dtype), t), sx.cross_entropy_and_grad(x.astype(dtype[1:]), t), strict=True
    ):
        same(got, right)


@every_dtype
@pytest.mark.parametrize("f", [sx.softmax, sx.log_softmax, sx.logsumexp])
@pytest.mark.parametrize("axis", [None, (0, 1), (2, 0), (-1,), (1, -1, 0), 1], ids=str)
def test_tuples_of_axes(f, axis, dtype):
    x, _ = drawn((5, 6, 7), 0, dtype)
    axes = (0, 1, 2) if axis is None else np.atleast_1d(axis) % 3
    rows = [k for k in range(3) if k not in axes]
    moved = x.transpose(*rows, *axes).reshape(*(x.shape[k] for k in rows), -1)
    expected = getattr(definition, f.__name__)(moved.astype(np.float64))
    got = f(x, axis)
    if f is not sx.logsumexp:
        got = got.transpose(*rows, *axes).reshape(moved.shape)
    assert got.shape == expected.shape
    assert_close(got, expected, definition_error(dtype, moved.shape[-1]), 4)


@pytest.mark.parametrize("f", [sx.softmax, sx.log_softmax, sx.logsumexp])
@pytest.mark.parametrize(("shape", "axis"), [((0, 5), 1), ((5, 0), 0), ((3, 0, 4), (0, 2)), ((2, 5, 0, 3), 1)], ids=str)
def test_no_rows(f, shape, axis):
    kept = [size for k, size in enumerate(shape) if k not in np.atleast_1d(axis)]
    assert f(np.zeros(shape, np.float32), axis).shape == (tuple(kept) if f is sx.logsumexp else shape)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_loss_of_no_rows(reduction):
    loss, grad = sx.cross_entropy_and_grad(np.zeros((0, 5)), np.zeros(0, int), reduction=reduction)
    same(loss, np.zeros(0) if reduction == "none" else np.float64(0))
    assert grad.shape == (0, 5)
    assert sx.cross_entropy(np.zeros((0, 5)), np.zeros((0, 5)), reduction=reduction).shape == loss.shape


# Reductions, ignored rows -------------------------------------------------------------------------------------------


@every_dtype
@by_index_or_not
@pytest.mark.parametrize(("rows", "classes"), [(5, 10), (70, 10), (5, 300)])
@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
def test_reductions(rows, classes, weighted, by_index, dtype):
    x, t = drawn((rows, classes), 1, dtype, by_index)
    options = {"class_weight": np.linspace(0, 2, classes).astype(np.float32)} if weighted else {}
    each = np.asarray(sx.cross_entropy(x, t, reduction="none", **options), np.float64)
    divisor = options["class_weight"][t].astype(np.float64).sum() if weighted and by_index else rows
    eps = definition_error(computed_in(dtype), classes)
    for how, divided in (
        ({"reduction": "sum"}, 1),
        ({}, divisor),
        ({"normalizer": 3}, 3),
        ({"normalizer": np.array(0.5)}, 0.5),
    ):
        loss, grad = sx.cross_entropy_and_grad(x, t, **options, **how)
        assert_close(loss, each.sum() / divided, eps)
        unreduced = sx.cross_entropy_and_grad(x.astype(np.float64), t, reduction="sum", **options)[1]
        assert_close(grad, unreduced / divided, definition_error(dtype, classes), 1 / divided)


@every_dtype
@every_setting
@pytest.mark.parametrize(("rows", "classes"), [(6, 10), (70, 10), (6, 300)])
@pytest.mark.parametrize("ignore_index", [-100, 3])
def test_ignored_rows_are_exactly_0_and_not_counted(rows, classes, setting, dtype, ignore_index):
    x, t = (part.copy() for part in drawn((rows, classes), 1, dtype))
    t[t == 3] = 4
    options = setting.of(classes)
    counted = np.arange(rows) % 3 > 0
    loss, grad = sx.cross_entropy_and_grad(x[counted], t[counted], **options)
    x[0], x[3, 2], t[~counted] = NAN, INF, ignore_index
    got_loss, got = sx.cross_entropy_and_grad(x, t, ignore_index=ignore_index, **options)
    assert (got[~counted].astype(np.float64) == 0).all()
    assert_close(got_loss, np.float64(loss), definition_error(computed_in(dtype), classes))
    assert_close(got[counted], grad.astype(np.float64), definition_error(dtype, classes))
    each = sx.cross_entropy(x, t, ignore_index=ignore_index, **{**options, "reduction": "none", "normalizer": None})
    assert (each[~counted] == 0).all()


@every_dtype
@every_setting
@pytest.mark.parametrize(("rows", "classes"), [(3, 10), (70, 10), (3, 300)])
def test_nothing_counted_is_0(rows, classes, setting, dtype):
    x = np.full((rows, classes), NAN, dtype)
    loss, grad = sx.cross_entropy_and_grad(x, np.full(rows, -100), **setting.of(classes))
    same(loss, computed_in(dtype).type(0))
    assert (grad.astype(np.float64) == 0).all()


@every_dtype
def test_weights_that_count_nothing(dtype):
    x, t = drawn((3, 10), 1, dtype)
    loss, grad = sx.cross_entropy_and_grad(x, t, class_weight=np.zeros(10))
    assert loss == 0
    assert (grad.astype(np.float64) == 0).all()


def test_ignore_index_has_no_meaning_for_probabilities():
    x, t = drawn((5, 10), 1, by_index=False)
    same(sx.cross_entropy(x, t, ignore_index=0), sx.cross_entropy(x, t))


def test_a_bad_row_is_bad_alone():
    x, t = (part.copy() for part in drawn((70, 10), 1))
    right = sx.cross_entropy_and_grad(x, t, reduction="none")
    x[[5, 20]], x[33] = [[NAN], [INF]], -INF
    bad = np.isin(np.arange(70), [5, 20, 33])
    for got, expected in zip(sx.cross_entropy_and_grad(x, t, reduction="none"), right, strict=True):
        assert np.isnan(got[bad]).all()
        same(got[~bad], expected[~bad])


# Inputs stay as they are --------------------------------------------------------------------------------------------


@every_dtype
@by_index_or_not
@every_setting
@pytest.mark.parametrize(("shape", "axis"), [((5, 10), 1), ((70, 10), 1), ((5, 300), 1), ((300, 70), 0)], ids=str)
def test_inputs_are_never_written_to(shape, axis, setting, by_index, dtype):
    options = setting.of(shape[axis])
    inputs = [*drawn(shape, axis, dtype, by_index), *([options["class_weight"]] if setting.weighted else [])]
    copies = [part.copy() for part in inputs]
    for part in inputs:
        part.flags.writeable = False
    sx.cross_entropy(inputs[0], inputs[1], axis=axis, **options)
    sx.cross_entropy_and_grad(inputs[0], inputs[1], axis=axis, **options)
    sx.cross_entropy_and_grad(inputs[0], inputs[1], axis=axis, out=np.empty(shape, dtype), **options)
    for f in (sx.softmax, sx.log_softmax, sx.logsumexp, sx.sample):
        f(inputs[0], axis=axis)
    for part, copy in zip(inputs, copies, strict=True):
        same(part, copy)


# More than 2³¹ elements ---------------------------------------------------------------------------------------------


def repeated(rows, classes, dtype):
    """One number in memory, seen rows × classes times."""
    return np.lib.stride_tricks.as_strided(np.zeros(1, dtype), (rows, classes), (0, 0), writeable=False)


def test_more_than_2_31_elements():
    many = repeated(2**23, 257, np.float32)
    assert many.size > 2**31
    assert_close(sx.cross_entropy(many, np.zeros(2**23, np.int64)), np.log(257), 2e-7)
