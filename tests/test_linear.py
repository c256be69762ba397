"""The last layer and its loss in chunks, of NumPy arrays: as definition.py has it, whichever way a call goes."""

import dataclasses
import re

import numpy as np
import pytest

import softxent as sx
from softxent import definition
from softxent.linear import across_classes, along_rows
from softxent.options import LossOptions
from tests.cases import BFLOAT16, FLOAT16, FLOAT32, FLOAT64, INF, NAN, PLAIN, SETTINGS, WIDE, computed_in
from tests.chunks import chunks_of

N, D, V = 37, 9, 53
WAYS = {  # rows × classes of a chunk: some more than fit, so that the last ones are parts
    "whole": (N, V),
    "along rows": (8, V),
    "across classes": (11, 16),
}


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    chunks_of(monkeypatch, *WAYS[request.param])
    return request.param


def layer(dtype=FLOAT32, scale=1.0, seed=0, rows=N, features=D, classes=V):
    rng = np.random.default_rng([seed, rows, features, classes])
    shapes = (rows, features), (classes, features), (classes,)
    return [(scale * rng.standard_normal(shape)).astype(dtype) for shape in shapes]


def targets(rows=N, classes=V, dtype=FLOAT32):
    rng = np.random.default_rng(rows)
    hard = rng.integers(classes, size=rows)
    soft = rng.dirichlet(np.ones(classes), size=rows).astype(dtype)
    soft[:, ::3] = 0
    return {
        "hard": hard,
        "ignored": np.where(np.arange(rows) % 3 == 0, -100, hard),
        "all ignored": np.full(rows, -100),
        "soft": soft,
    }


TARGETS = targets()


def defined(x, W, t, b, reduction="mean", **options):
    """What definition.py makes of the whole logits, and how far off products of this dtype may be: pairs of arrays."""
    eps = float(np.finfo(computed_in(np.result_type(x, W))).eps)
    x, W, b = (np.asarray(0 if a is None else a, np.float64) for a in (x, W, b))
    z = x @ W.T + b
    loss, G = definition.cross_entropy_and_grad(z, t, reduction=reduction, **options)
    T, lam, smooth = (options.get(k, v) for k, v in (("temperature", 1), ("z_loss", 0), ("label_smoothing", 0)))
    scaled = definition.scaled(z, T, options.get("softcap"))
    p, lse = definition.softmax(scaled), definition.logsumexp(scaled)[:, None]
    kept = np.ones((len(x), 1), bool) if t.ndim == 2 else (t != options.get("ignore_index", -100))[:, None]
    a = definition.target_weights(
        np.where(kept[:, 0], t, 0) if t.ndim == 1 else t, z.shape, options.get("class_weight"), smooth
    )
    A = a.sum(1, keepdims=True)
    each = kept * ((A + 2 * lam * abs(lse)) * p + a + 2 * lam * p)  # the terms of a row of G
    divisor = 1.0
    if reduction == "mean":
        counted = (
            kept
            if t.ndim == 2 or options.get("class_weight") is None
            else kept * options["class_weight"][np.where(kept[:, 0], t, 0)][:, None]
        )
        divisor = options.get("normalizer") or max(float(counted.sum()), 1e-30)
    # of a logit: its product's and its own; tanh's slope changes with it, too
    error = (
        4
        * eps
        * ((len(W.T) + 2) * (abs(x) @ abs(W.T) + abs(b)).max(1, keepdims=True) + abs(scaled).max(1, keepdims=True) * T)
        / T
    )
    slopes = 1 + error * T / (options.get("softcap") or INF)
    E = each / T * (error + 16 * eps) * slopes / divisor
    terms = each / T / divisor
    of_row = kept * (
        error * (A + 2 * lam * abs(lse)) + 8 * eps * (A * abs(lse - scaled.min(1, keepdims=True)) + lam * lse**2)
    )
    of_loss = of_row[:, 0] if reduction == "none" else of_row.sum() / divisor
    many = 4 * eps
    return [
        (loss, of_loss),
        (G @ W, E @ abs(W) + many * len(W) * terms @ abs(W)),
        (G.T @ x, E.T @ abs(x) + many * len(x) * terms.T @ abs(x)),
        (G.sum(0), E.sum(0) + many * len(x) * terms.sum(0)),
    ]


def assert_within(got, expected):
    for name, mine, (value, error) in zip(("loss", "inputs", "weight", "bias"), got, expected, strict=True):
        if mine is not None:
            assert np.shape(mine) == np.shape(value)
            off = np.abs(np.asarray(mine, np.float64) - value)
            assert (off <= error + 1e-300).all(), (
                f"{name} is off by {np.nanmax(off / (error + 1e-300)):.3g} of the bound"
            )


def both(x, W, t, b, **options):
    """The loss, and the gradients; the loss alone has the same bits where it goes the same way."""
    loss, grads = sx.linear_cross_entropy_and_grad(x, W, t, b, **options)
    np.testing.assert_array_equal(sx.linear_cross_entropy(x, W, t, b, **options), loss)
    return loss, *grads


# Equal to the definition ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_as_the_definition_has_it(setting, target, dtype, way):
    x, W, bias = layer(dtype, 1.5)
    t, options = TARGETS[target], setting.of(V)
    for b, reduction in ((None, "mean"), (bias, "sum"), (bias, "none")):
        given = {**options, "reduction": reduction}
        if reduction != "mean":
            given.pop("normalizer", None)
        got = both(x, W, t, b, **given)
        assert_within(got, defined(x, W, t, b, **given))
        if target == "all ignored":
            assert not any(np.any(a) for a in got if a is not None)


@pytest.mark.parametrize("target", TARGETS)
def test_chunks_of_one_logit(target, monkeypatch):
    chunks_of(monkeypatch, 1, 1)
    x, W, b = layer(FLOAT64, rows=5, classes=7)
    assert_within(both(x, W, t := targets(5, 7, FLOAT64)[target], b), defined(x, W, t, b))


@pytest.mark.parametrize(
    ("rows", "features", "classes"), [(0, 3, 5), (4, 3, 1), (4, 1, 5), (1, 1, 1), (3, 1, 17), (24, 5, 32)]
)
@pytest.mark.parametrize("target", TARGETS)
def test_sizes(rows, features, classes, target, way):
    x, W, b = layer(rows=rows, features=features, classes=classes)
    t = targets(rows, classes)[target]
    assert_within(both(x, W, t, b), defined(x, W, t, b))
    assert_within(
        both(x, W, t, b, reduction="none", label_smoothing=0.1),
        defined(x, W, t, b, reduction="none", label_smoothing=0.1),
    )


@pytest.mark.parametrize("leading", [(), (37,), (1, 37), (37, 1, 1), (0, 4), (2, 0)])
@pytest.mark.parametrize("target", ["hard", "soft"])
def test_any_leading_shape(leading, target, way):
    rows = int(np.prod(leading))
    x, W, b = layer(rows=rows)
    t = targets(rows)[target]
    flat = sx.linear_cross_entropy_and_grad(x, W, t, b, reduction="none")
    loss, (of_x, of_W, of_b) = sx.linear_cross_entropy_and_grad(
        x.reshape(*leading, D), W, t.reshape((*leading, *t.shape[1:])), b, reduction="none"
    )
    assert np.shape(loss) == leading
    assert of_x.shape == (*leading, D)
    np.testing.assert_array_equal(np.reshape(loss, rows), flat[0])
    np.testing.assert_array_equal(of_x.reshape(rows, D), flat[1][0])
    np.testing.assert_array_equal(of_W, flat[1][1])
    np.testing.assert_array_equal(of_b, flat[1][2])
    index = targets(rows)["hard"].reshape(leading)
    for column in (
        *sx.linear_statistics(x.reshape(*leading, D), W, index, b),
        sx.linear_sample(x.reshape(*leading, D), W, b),
    ):
        assert np.shape(column) == leading


# Dtypes and memory ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["ignored", "soft"])
@pytest.mark.parametrize("dtype", [FLOAT16, BFLOAT16], ids=str)
def test_16_bits_are_computed_in_float32_and_rounded_once(dtype, target, way):
    x, W, b = layer(dtype)
    t = TARGETS[target]
    loss, grads = sx.linear_cross_entropy_and_grad(x, W, t, b)
    wide, expected = sx.linear_cross_entropy_and_grad(*(a.astype(FLOAT32) for a in (x, W)), t, b.astype(FLOAT32))
    assert loss.dtype == FLOAT32
    assert loss == wide
    for got, as_float32 in zip(grads, expected, strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, as_float32.astype(dtype))


@pytest.mark.parametrize(
    ("of_x", "of_W", "of_b", "of_loss"),
    [
        (FLOAT32, FLOAT64, FLOAT32, FLOAT64),
        (FLOAT64, FLOAT32, FLOAT32, FLOAT64),
        (FLOAT32, FLOAT32, FLOAT64, FLOAT64),
        (FLOAT16, FLOAT32, BFLOAT16, FLOAT32),
        (BFLOAT16, FLOAT16, FLOAT32, FLOAT32),
        (FLOAT16, FLOAT64, FLOAT16, FLOAT64),
    ],
    ids=str,
)
def test_mixed_dtypes(of_x, of_W, of_b, of_loss, way):
    given = [a.astype(dtype) for a, dtype in zip(layer(), (of_x, of_W, of_b), strict=True)]
    t = TARGETS["ignored"]
    loss, grads = sx.linear_cross_entropy_and_grad(*given[:2], t, given[2], softcap=3.0)
    x, W, b = (a.astype(of_loss) for a in given)
    assert loss.dtype == of_loss
    expected, of_wide = sx.linear_cross_entropy_and_grad(x, W, t, b, softcap=3.0)
    assert loss == expected
    for got, argument, wide in zip(grads, given, of_wide, strict=True):
        assert got.dtype == argument.dtype
        np.testing.assert_allclose(
            got.astype(FLOAT64), wide, rtol=np.finfo(np.float32).eps if got.dtype.itemsize > 2 else 2**-8, atol=1e-6
        )


def test_integers_and_lists(way):
    x, W = [[1, 2], [3, -1]], [[1, 0], [0, 2], [1, 1]]
    loss, (of_x, of_W, of_b) = sx.linear_cross_entropy_and_grad(x, W, [1, 0], [0, 1, 0])
    assert loss.dtype == of_x.dtype == of_W.dtype == of_b.dtype == FLOAT64
    assert_within((loss, of_x, of_W, of_b), defined(np.array(x), np.array(W), np.array([1, 0]), np.array([0, 1, 0])))


@pytest.mark.parametrize("target", ["ignored", "soft"])
def test_strided_and_read_only(target, way):
    x, W, b = layer()
    t = TARGETS[target]
    expected = both(x, W, t, b)
    wide_x, wide_W = np.zeros((2 * N, 3 * D), FLOAT32), np.zeros((D, 2 * V), FLOAT32)
    strided = wide_x[::2, ::-3], wide_W[:, ::2].T, np.repeat(t, 2, 0)[::2], np.repeat(b, 3)[::3]
    strided[0][...], strided[1][...] = x, W
    for given in (strided, [np.asfortranarray(a) for a in (x, W, t, b)], [memory_of(a) for a in (x, W, t, b)]):
        before = [a.copy() for a in given]
        for a in given:
            a.flags.writeable = False
        for got, plain in zip(both(*given), expected, strict=True):
            np.testing.assert_allclose(got, plain, rtol=2e-5, atol=1e-6)
        for a, old in zip(given, before, strict=True):
            np.testing.assert_array_equal(a, old)


def memory_of(a):
    """At an odd address."""
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    raw[...] = a
    return raw


# Rows of their own ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", [PLAIN, SETTINGS[3], SETTINGS[8], SETTINGS[-1]], ids=str)
@pytest.mark.parametrize("target", ["hard", "ignored", "soft"])
def test_a_bias_masks_classes(target, setting, way):
    """As without these classes; their own gradients are 0."""
    x, W, b = layer(FLOAT64)
    t, mask = TARGETS[target].copy(), np.arange(V) % 7 == 2
    if t.ndim == 2:
        t[:, mask] = 0
    else:
        t[np.isin(t, np.flatnonzero(mask))] = 0
    options = {k: v for k, v in setting.of(V).items() if k != "label_smoothing"}
    loss, of_x, of_W, of_b = both(x, W, t, np.where(mask, -INF, b), **options)
    assert_within((loss, of_x, of_W, of_b), masked_definition(x, W, t, b, mask, options))
    assert not of_W[mask].any()
    assert not of_b[mask].any()


def masked_definition(x, W, t, b, mask, options):
    kept = np.flatnonzero(~mask)
    fewer = np.where(t == -100, -100, np.searchsorted(kept, t)) if t.ndim == 1 else t[:, kept]
    w = options.get("class_weight")
    pairs = defined(x, W[kept], fewer, b[kept], **options | ({} if w is None else {"class_weight": w[kept]}))
    spread = [(np.zeros((V, *a.shape[1:])), np.zeros((V, *a.shape[1:]))) for a, _ in pairs[2:]]
    for to, found in zip(spread, pairs[2:], strict=True):
        for whole, part in zip(to, found, strict=True):
            whole[kept] = part
    return [*pairs[:2], *spread]


def test_a_masked_target_has_no_chance(way):
    x, W, b = layer()
    t = TARGETS["hard"]
    b[t[3]] = -INF
    loss = sx.linear_cross_entropy(x, W, t, b, reduction="none")
    assert (np.isinf(loss) == (t == t[3])).all()
    assert (sx.linear_log_prob(x, W, t, b) == -loss).all()


@pytest.mark.parametrize("value", [NAN, INF, -INF, 3e38])
@pytest.mark.parametrize("target", ["hard", "ignored", "soft"])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1, "z_loss": 0.1}, {"softcap": 5.0}], ids=str)
def test_what_is_not_finite_stays_in_its_row(options, target, value, way):
    x, W, b = layer()
    t, bad = TARGETS[target], 4
    expected, (of_others, _, _) = sx.linear_cross_entropy_and_grad(x, W, t, b, reduction="none", **options)
    x[bad] = value
    loss, (of_x, _, _) = sx.linear_cross_entropy_and_grad(x, W, t, b, reduction="none", **options)
    for got, before in ((loss, expected), (of_x, of_others)):
        np.testing.assert_allclose(np.delete(got, bad, 0), np.delete(before, bad, 0), rtol=2e-5, atol=1e-6)
    if np.isnan(value):
        assert np.isnan(loss[bad])
    s, i = sx.linear_statistics(x, W, TARGETS["hard"], b), np.delete(np.arange(N), bad)
    assert np.isfinite([column[i] for column in s]).all()


@pytest.mark.parametrize("target", ["hard", "ignored"])
def test_ignored_rows_may_hold_anything(target, way):
    x, W, b = layer()
    t = TARGETS["ignored"]
    expected = both(x, W, t, b)
    x[t == -100] = NAN
    for got, before in zip(both(x, W, t, b), expected, strict=True):
        np.testing.assert_array_equal(got, before)


@pytest.mark.parametrize("gap", [20.0, 60.0, 88.0])
def test_a_winners_tiny_loss_and_gradient_are_exact(gap, way):
    """Products that are exact: the target's logit is `gap`, the others' are 0."""
    x, W = np.full((N, 2), [gap, 1], FLOAT32), np.zeros((V, 2), FLOAT32)
    W[5, 0] = 1
    t = np.full(N, 5)
    loss, of_x, of_W, _ = both(x, W, t, None, reduction="none")
    O = (V - 1) * np.exp(-gap)  # noqa: E741, the others
    np.testing.assert_allclose(loss, np.log1p(O), rtol=4 * 2.0**-23, atol=4 * 2.0**-149)
    np.testing.assert_allclose(of_x[:, 0], -O / (1 + O), rtol=4 * 2.0**-23, atol=4 * 2.0**-149)
    np.testing.assert_allclose(of_W[5], -N * O / (1 + O) * x[0], rtol=8 * 2.0**-23, atol=N * 8 * 2.0**-149 * gap)
    log_p = sx.linear_log_prob(x, W, t)
    np.testing.assert_array_equal(log_p, -loss)


# The size of a chunk --------------------------------------------------------------------------------------------------


def test_losses_do_not_depend_on_the_chunks(monkeypatch):
    """Bitwise where products are exact: small integers."""
    rng = np.random.default_rng(0)
    x, W, b = (rng.integers(-3, 4, shape).astype(FLOAT32) for shape in ((N, D), (V, D), (V,)))
    t = TARGETS["ignored"]
    expected = None
    for rows in (1, 5, 8, N):
        chunks_of(monkeypatch, rows, V)
        got = sx.linear_cross_entropy(x, W, t, b, reduction="none", softcap=9.0)
        expected = got if expected is None else expected
        np.testing.assert_array_equal(got, expected)
    for rows, classes in ((1, 16), (11, 7), (N, 40)):
        chunks_of(monkeypatch, rows, classes)
        np.testing.assert_array_max_ulp(
            sx.linear_cross_entropy(x, W, t, b, reduction="none"), along(x, W, t, b, monkeypatch), 4
        )


def along(x, W, t, b, monkeypatch):
    with monkeypatch.context() as m:
        chunks_of(m, N, V)
        return sx.linear_cross_entropy(x, W, t, b, reduction="none")


def test_the_budget_chooses_the_way(monkeypatch):
    """The same to rounding from the least budget there is to one that holds everything."""
    ways = []
    for module in (along_rows, across_classes):
        name, real = module.__name__.rpartition(".")[2], module.loss_and_gradients
        monkeypatch.setattr(
            module, "loss_and_gradients", lambda *a, n=name, f=real: (ways.append((n, a[1].chunk)), f(*a))[1]
        )
    x, W, b = layer(rows=300, classes=3000)
    t = targets(300, 3000)["ignored"]
    expected = defined(x, W, t, b)
    with pytest.raises(ValueError, match=r"memory_budget is 9, but this call holds at least (\d+) bytes") as error:
        sx.linear_cross_entropy_and_grad(x, W, t, b, memory_budget=9)
    least = int(str(error.value).split()[-2])
    for budget in (least, least + 2**17, 2**20 * 5, 2**20 * 6, 2**20 * 7, 2**23, "auto"):
        loss, grads = sx.linear_cross_entropy_and_grad(x, W, t, b, memory_budget=budget)
        assert_within((loss, *grads), expected)
    assert ways[0] == ("along_rows", (1, 3000))
    assert ways[-1] == ("along_rows", (200, 3000))
    assert sum(name == "across_classes" for name, _ in ways) > 1
    assert len(set(ways)) > 4
    with pytest.raises(ValueError, match=f"memory_budget is {least - 1}, but this call holds at least {least} bytes"):
        sx.linear_cross_entropy_and_grad(x, W, t, b, memory_budget=least - 1)


@pytest.mark.parametrize("softcap", [0.5, 2.0])
def test_the_slope_of_a_softcap_does_not_cancel(softcap, way):
    """1 − tanh²(20 / c) is far below an ULP of 1."""
    x, W = np.array([[20, 1]], FLOAT32), np.zeros((V, 2), FLOAT32)
    W[7:9, 0] = 1
    _, of_x, *_ = both(x, W, np.array([7]), None, softcap=softcap)
    expected = definition.cross_entropy_and_grad(x @ W.T, np.array([7]), softcap=softcap)[1].sum(0)[7:9].sum()
    np.testing.assert_allclose(of_x[0, 0], expected, rtol=1e-5)


# Statistics -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize("options", [{}, {"temperature": 0.7}, {"softcap": 3.0, "temperature": 2.0}], ids=str)
@pytest.mark.parametrize("target", ["hard", "ignored", "all ignored"])
def test_statistics_of_the_logits(target, options, dtype, way):
    x, W, b = layer(dtype)
    t = TARGETS[target]
    got = sx.linear_statistics(x, W, t, b, **options)
    z = definition.scaled(
        x.astype(FLOAT64) @ W.T.astype(FLOAT64) + b, options.get("temperature", 1), options.get("softcap")
    )
    expected = sx.statistics(z, t)
    assert [column.dtype for column in got] == [dtype] * 3 + [np.int64] * 2
    for ours, exact in zip(got[:3], expected[:3], strict=True):
        np.testing.assert_allclose(ours, exact, rtol=0, atol=200 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(got.argmax, expected.argmax)
    np.testing.assert_array_equal(got.rank, expected.rank)
    log_p = sx.linear_log_prob(x, W, t, b, **options)
    np.testing.assert_allclose(log_p, expected.log_prob, rtol=0, atol=200 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(log_p, -sx.linear_cross_entropy(x, W, t, b, reduction="none", **options))


def test_statistics_of_rows_without_probabilities(way):
    """As sx.statistics has them."""
    x, W, b = layer(FLOAT64)
    x[3], x[4], x[5, 0] = NAN, 0, INF
    W[:, 0] = 1  # so that a row's +inf is every logit's
    t = TARGETS["hard"]
    for bias in (b, np.where(np.arange(V) % 5 == 1, -INF, b), np.full(V, -INF)):
        with np.errstate(invalid="ignore"):
            expected = sx.statistics(x @ W.T + bias, t)
        got = sx.linear_statistics(x, W, t, bias)
        for ours, exact in zip(got[:3], expected[:3], strict=True):
            np.testing.assert_allclose(ours, exact, rtol=1e-10, atol=1e-12)
        defined = np.isfinite(expected.lse)
        for ours, exact in zip(got[3:], expected[3:], strict=True):
            np.testing.assert_array_equal(ours[defined], exact[defined])


# Samples --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"softcap": 1.0}], ids=str)
def test_frequencies(options, way, monkeypatch):
    """χ² of 20,000 draws from one row, within 6 standard deviations of its degrees of freedom."""
    x, W, b = layer(FLOAT64, 0.6)
    draws, p = (
        20_000,
        definition.softmax(definition.scaled(x[:1] @ W.T + b, options.get("temperature", 1), options.get("softcap"))),
    )
    chunks_of(monkeypatch, 5000, {"across classes": 16}.get(way, V))
    index = sx.linear_sample(np.repeat(x[:1], draws, 0), W, b, rng=7, **options)
    found = np.bincount(index, minlength=V)
    chi_square = ((found - draws * p) ** 2 / (draws * p)).sum()
    assert abs(chi_square - (V - 1)) < 6 * np.sqrt(2 * (V - 1))


@pytest.mark.parametrize("dtype", [*WIDE, FLOAT16, BFLOAT16], ids=str)
@pytest.mark.parametrize("options", [{}, {"temperature": 0.7, "softcap": 3.0}], ids=str)
def test_log_prob_of_a_sample_has_the_bits_of_linear_log_prob(options, dtype, way):
    x, W, b = layer(dtype)
    for bias in (None, b, np.where(np.arange(V) % 4 == 1, -INF, b).astype(dtype)):
        index, log_p = sx.linear_sample(x, W, bias, rng=3, return_log_prob=True, **options)
        assert log_p.dtype == computed_in(dtype)
        np.testing.assert_array_equal(log_p, sx.linear_log_prob(x, W, index, bias, **options))
        if bias is not None:
            assert np.isfinite(bias[index].astype(FLOAT64)).all()


def test_a_seed_draws_the_same_again(way):
    x, W, b = layer()
    first = sx.linear_sample(x, W, b, rng=1)
    np.testing.assert_array_equal(sx.linear_sample(x, W, b, rng=1), first)
    rng = np.random.default_rng(1)
    np.testing.assert_array_equal(sx.linear_sample(x, W, b, rng=rng), first)
    assert (sx.linear_sample(x, W, b, rng=rng) != first).any()


def allowed(z, top_k=None, top_p=None, min_p=None):
    """Which classes may be drawn, the obvious way."""
    order = np.argsort(-z)
    keep = order[: top_k or V]
    if top_p is not None:
        p = np.exp(z[keep] - z[keep].max())
        keep = keep[np.cumsum(p / p.sum()) - p / p.sum() < top_p]
    return {j for j in keep if min_p is None or np.exp(z[j] - z.max()) >= min_p}


@pytest.mark.parametrize(
    "cut",
    [
        {"top_k": 1},
        {"top_k": 4},
        {"top_k": 1000},
        {"top_p": 0.3},
        {"top_p": 1.0},
        {"min_p": 0.2},
        {"min_p": 1.0},
        {"top_k": 7, "top_p": 0.6},
        {"top_k": 7, "top_p": 0.8, "min_p": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("options", [{}, {"temperature": 2.0, "softcap": 4.0}], ids=str)
def test_truncated(cut, options, way):
    """Every class that may be drawn is, with its share of what is left, and no other."""
    x, W, b = layer(FLOAT64, 0.7)
    z = definition.scaled(x[0] @ W.T + b, options.get("temperature", 1), options.get("softcap"))
    index, log_p = sx.linear_sample(np.repeat(x[:1], 4000, 0), W, b, rng=5, return_log_prob=True, **cut, **options)
    kept = allowed(z, **cut)
    assert set(index) <= kept
    p = definition.softmax(z[None])[0]
    np.testing.assert_allclose(log_p, np.log(p[index]), rtol=1e-10)  # among all classes
    share = np.array([p[j] if j in kept else 0 for j in range(V)])
    share /= share.sum()
    off = np.bincount(index, minlength=V) - 4000 * share
    assert (np.abs(off) <= 6 * np.sqrt(4000 * share) + 1e-9).all()


# Errors ---------------------------------------------------------------------------------------------------------------


def wrong(message, error=ValueError, x=(4, 3), W=(5, 3), t=(4,), b=None, f=sx.linear_cross_entropy_and_grad, **options):
    def made(shape):
        return np.zeros(shape) if isinstance(shape, tuple) else shape

    target = np.zeros(t, int) if isinstance(t, tuple) else t
    with pytest.raises(error) as raised:
        f(made(x), made(W), target, None if b is None else made(b), **options)
    assert str(raised.value) == message


FIT = "but these must fit together: inputs (…, D), weight (V, D), target (…) or (…, V), bias (V,)"


@pytest.mark.parametrize(
    ("given", "shapes"),
    [
        ({"W": (5, 2)}, "inputs has shape (4, 3), weight has shape (5, 2), target has shape (4,)"),
        ({"W": (3,)}, "inputs has shape (4, 3), weight has shape (3,), target has shape (4,)"),
        ({"W": (0, 3)}, "inputs has shape (4, 3), weight has shape (0, 3), target has shape (4,)"),
        ({"x": ()}, "inputs has shape (), weight has shape (5, 3), target has shape (4,)"),
        ({"x": (4, 0), "W": (5, 0)}, "inputs has shape (4, 0), weight has shape (5, 0), target has shape (4,)"),
        ({"t": (3,)}, "inputs has shape (4, 3), weight has shape (5, 3), target has shape (3,)"),
        ({"t": (4, 6)}, "inputs has shape (4, 3), weight has shape (5, 3), target has shape (4, 6)"),
        ({"b": (4,)}, "inputs has shape (4, 3), weight has shape (5, 3), target has shape (4,), bias has shape (4,)"),
        ({"x": (2, 4, 3)}, "inputs has shape (2, 4, 3), weight has shape (5, 3), target has shape (4,)"),
    ],
    ids=str,
)
def test_shapes_that_do_not_fit_are_all_named(given, shapes):
    wrong(f"{shapes}, {FIT}", **given)


OPTIONS = [field.name for field in dataclasses.fields(LossOptions)]
HARD = np.array([0, 4, -100, 7])


@pytest.mark.parametrize(
    ("message", "error", "given"),
    [
        ("target[3] is 7, but logits has 5 classes (0 … 4)", ValueError, {"t": HARD}),
        (
            "target[1, 0] is -2, but logits has 5 classes (0 … 4)",
            ValueError,
            {"x": (2, 1, 3), "t": np.array([[0], [-2]])},
        ),
        ("target is -1, but logits has 5 classes (0 … 4)", ValueError, {"x": (3,), "t": np.array(-1)}),
        (
            "class_weight has shape (4,), but logits has 5 classes: expected (5,)",
            ValueError,
            {"class_weight": np.ones(4)},
        ),
        ("temperature is 0, but must be a finite number above 0", ValueError, {"temperature": 0}),
        ("memory_budget is 1.5, but must be an integer", TypeError, {"memory_budget": 1.5}),
        ("memory_budget is 'much', but must be an integer", TypeError, {"memory_budget": "much"}),
        (
            "weight is complex128, but must be float16, bfloat16, float32, float64 or integers",
            TypeError,
            {"W": np.ones((5, 3), complex)},
        ),
        (
            "bias is object, but must be float16, bfloat16, float32, float64 or integers",
            TypeError,
            {"b": np.array([None] * 5)},
        ),
        (
            "target is float64, but must be integers (class indices) or, in logits' shape, probabilities",
            TypeError,
            {"t": np.ones(4)},
        ),
        (
            "target[0, 1] is -1.0, but probabilities must be finite and at least 0",
            ValueError,
            {"t": np.eye(5)[:4] - np.eye(5, k=1)[:4]},
        ),
        (
            f"temprature is not an option; the options are {', '.join(sorted(OPTIONS))}",
            TypeError,
            {"temprature": 1},
        ),
        ("memory_budget is 5, but this call holds at least 4194744 bytes", ValueError, {"memory_budget": 5}),
    ],
    ids=str,
)
def test_values(message, error, given):
    wrong(message, error, **given)


@pytest.mark.parametrize("where", [0, 30, 35])
def test_a_target_out_of_range_is_found_before_anything_is_computed(where, way, monkeypatch):
    x, W, b = layer()
    t = TARGETS["ignored"].copy()
    t[where] = V
    monkeypatch.setattr(np, "matmul", None)
    for f in (sx.linear_cross_entropy, sx.linear_cross_entropy_and_grad, sx.linear_log_prob, sx.linear_statistics):
        wrong(f"target[{where}] is 53, but logits has 53 classes (0 … 52)", x=x, W=W, t=t, b=b, f=f)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        ("top_k is 0, but must be at least 1", {"top_k": 0}),
        ("top_p is 0, but must be above 0", {"top_p": 0}),
        ("top_p is 1.5, but must be a finite number between 0 and 1", {"top_p": 1.5}),
        ("min_p is nan, but must be a finite number between 0 and 1", {"min_p": NAN}),
        ("logits[1, 2] has no probabilities to draw from: it is all −inf, or has +inf or NaN", {}),
    ],
)
def test_what_cannot_be_drawn(message, options, way):
    x, W, _ = layer(rows=6)
    x[5] = NAN
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        sx.linear_sample(x.reshape(2, 3, D), W, **options)
