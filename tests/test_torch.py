"""softxent.torch beside torch.nn.functional, in whose place it stands, and beside definition.py, which is right."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import softxent as sx
import softxent.torch as S
from softxent import definition
from tests.cases import (
    BFLOAT16,
    CASES,
    FLOAT32,
    FLOAT64,
    PLAIN,
    SETTINGS,
    VARIED,
    assert_close,
    definition_error,
)
from tests.test_kernel_paths import assert_as_defined

close = torch.testing.assert_close
REDUCTIONS = ("mean", "sum", "none")
by_index_or_not = pytest.mark.parametrize("by_index", [True, False], ids=["index", "probabilities"])


def tensor(array):
    array = np.ascontiguousarray(array)
    return (
        torch.from_numpy(array.view(np.int16)).view(torch.bfloat16) if array.dtype == BFLOAT16 else torch.tensor(array)
    )


def array(t):
    t = t.detach()
    return t.view(torch.int16).numpy().view(BFLOAT16) if t.dtype == torch.bfloat16 else t.numpy()


def pytorchs(options):
    """A Setting's options under PyTorch's names."""
    options = dict(options)
    if "class_weight" in options:
        options["weight"] = torch.tensor(options.pop("class_weight"))
    return options


def loss_and_grad(f, x, t, upstream=None, **options):
    x = x.detach().clone().requires_grad_()
    loss = f(x, t, **options)
    loss.backward(torch.ones_like(loss) if upstream is None else upstream)
    return loss.detach(), x.grad


def drawn(*shape, dtype=torch.float32, axis=1, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = (3 * torch.randn(shape, generator=g)).to(dtype)
    t = torch.randint(shape[axis], shape[:axis] + shape[axis + 1 :], generator=g)
    return x, t, torch.softmax(torch.randn(shape, generator=g), axis)


# As definition.py has it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case", "dtype"), [pytest.param(c, d, id=f"{c}, {d}") for c in CASES for d in c.dtypes if c.classes < 40000]
)
def test_every_case(case, dtype):
    """Bit for bit as NumPy's, which are held against mpmath; float64 is the definition's own."""
    x, t = case.logits_as(dtype), case.target()
    losses, grad = loss_and_grad(sx.cross_entropy, tensor(x), tensor(t), reduction="none")
    expected, expected_grad = sx.cross_entropy_and_grad(x, t, reduction="none")
    np.testing.assert_array_equal(array(losses), expected)
    np.testing.assert_array_equal(array(grad).astype(np.float64), expected_grad.astype(np.float64))
    if dtype != FLOAT64:
        assert_as_defined(array(losses), array(grad), x, t)
        assert_close(array(S.softmax(tensor(x), -1)), definition.softmax(x), definition_error(dtype, case.classes))


@pytest.mark.parametrize(
    ("case", "setting", "dtype"),
    [pytest.param(c, s, FLOAT32, id=f"{c}, {s}") for c in VARIED for s in SETTINGS if FLOAT32 in c.dtypes],
)
@by_index_or_not
def test_options(case, setting, dtype, by_index):
    """The gradient of the sum, or of the mean by a normalizer, in one pass with the loss."""
    options = {"reduction": "mean" if "normalizer" in setting.options else "sum", **setting.of(case.classes)}
    each = {name: value for name, value in options.items() if name != "normalizer"} | {"reduction": "none"}
    x, t = case.logits_as(dtype), case.target() if by_index else case.probabilities().astype(dtype)
    losses = S.cross_entropy(tensor(x), tensor(t), **pytorchs(each))
    _, grad = loss_and_grad(S.cross_entropy, tensor(x), tensor(t), **pytorchs(options))
    assert_as_defined(array(losses), array(grad), x, t, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_any_upstream_gradient_is_rounded_once(dtype, reduction):
    """Not computed for 1, rounded, and multiplied: in float16 that would lose what a loss is scaled for."""
    x, t, _ = drawn(6, 300, dtype=dtype)
    options = {"reduction": reduction, "label_smoothing": 0.1}
    exact = definition.cross_entropy_and_grad(x.double().numpy(), t.numpy(), **options)[1]
    for upstream in (2.0**-9, 1.0, -3.0, 65536.0 / 1024):
        _, grad = loss_and_grad(S.cross_entropy, x, t, torch.tensor(upstream, dtype=dtype), **options)
        eps = definition_error(np.dtype(array(grad).dtype), 300)
        assert_close(array(grad), exact * upstream, eps, abs(upstream) * np.abs(exact).max() * 0.1)


# As PyTorch has it ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [c for c in CASES if FLOAT32 in c.dtypes and c.classes < 40000], ids=str)
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"weighted": True}], ids=str)
def test_every_case_as_pytorch_within_its_error(case, options):
    """PyTorch in float64, whose z − lse is off by an ULP of z."""
    x, t = tensor(case.logits_as(FLOAT32)), tensor(case.target())
    options = dict(options)
    if options.pop("weighted", False):
        options["weight"] = torch.arange(case.classes, dtype=torch.float32) % 3 + 0.5
    theirs = {**options, "weight": options["weight"].double()} if "weight" in options else options
    losses, grad = loss_and_grad(S.cross_entropy, x, t, reduction="none", **options)
    expected, expected_grad = loss_and_grad(F.cross_entropy, x.double(), t, reduction="none", **theirs)
    known = expected.isfinite()  # else the target is a mask, whose gradient here is 0; or PyTorch's 0·inf is NaN
    assert "label_smoothing" in options or losses[~known].isfinite().sum() == 0
    losses, grad, expected, expected_grad = losses[known], grad[known], expected[known], expected_grad[known]
    size, cancels = float(x.nan_to_num(0, 0, 0).abs().max()), options.get("label_smoothing", 0) / case.classes
    close(losses.double(), expected.float().double(), rtol=1e-6, atol=3e-15 * size + 1e-15)
    close(grad.double(), expected_grad, rtol=1e-5, atol=3e-15 * (1 + size) + 1e-6 * cancels)


SHAPES = [(5,), (1, 1), (7, 5), (300, 10), (64, 100), (2, 6, 4), (3, 5, 2, 4), (2, 21, 3, 4, 2), (0, 5), (2, 3, 0)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@by_index_or_not
def test_shapes(shape, reduction, by_index):
    x, t, p = drawn(*shape, axis=min(1, len(shape) - 1))
    w = torch.rand(shape[min(1, len(shape) - 1)]) + 0.1
    for options in ({}, {"weight": w, "label_smoothing": 0.2}):
        got = loss_and_grad(S.cross_entropy, x, t if by_index else p, reduction=reduction, **options)
        expected = loss_and_grad(F.cross_entropy, x, t if by_index else p, reduction=reduction, **options)
        close(got[0], expected[0], rtol=1e-5, atol=1e-6, equal_nan=True)
        close(got[1], expected[1], rtol=1e-4, atol=1e-6, equal_nan=True)


LAYOUTS = {
    "transposed": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "every other": lambda x: torch.stack([x, x], -1)[..., 0],
    "reversed rows": lambda x: x.flip(0),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "expanded": lambda x: x[:1].expand(3, *x.shape[1:]),
    "one number, expanded": lambda x: x[:1, :1, :1, :1].expand(3, 6, 4, 5),
    "negative": lambda x: torch.imag(torch.conj(torch.complex(x, -x))),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout):
    base, t, _ = drawn(3, 6, 4, 5)
    results = []
    for f in (S.cross_entropy, F.cross_entropy):
        leaf = base.clone().requires_grad_()
        loss = f(LAYOUTS[layout](leaf), t, label_smoothing=0.1)
        loss.backward()
        results.append((loss.detach(), leaf.grad))
    close(*results, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16, torch.uint32, torch.uint64]
)
def test_any_integers_are_class_indices(dtype):
    x, t, _ = drawn(40, 7)
    assert torch.equal(S.cross_entropy(x, t.to(dtype)), S.cross_entropy(x, t))
    assert torch.equal(S.cross_entropy(x, t[:, None].to(dtype).expand(40, 3)[:, 1]), S.cross_entropy(x, t))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("target_dtype", [None, torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("autocast", [False, True])
def test_dtypes(dtype, target_dtype, reduction, autocast):
    """Of the loss and of the gradient, under autocast too."""
    x, t, p = drawn(6, 5, dtype=dtype)
    target = t if target_dtype is None else p.to(target_dtype)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        got, expected = (loss_and_grad(f, x, target, reduction=reduction) for f in (S.cross_entropy, F.cross_entropy))
    assert [part.dtype for part in got] == [part.dtype for part in expected]
    close(got, expected, rtol=2e-2, atol=2e-2)


def test_losses_of_array_functions_are_float32_or_wider():
    x, t, _ = drawn(6, 5, dtype=torch.bfloat16)
    assert sx.cross_entropy(x, t).dtype == torch.float32
    assert sx.cross_entropy(x, t, reduction="none").dtype == torch.float32
    assert sx.cross_entropy(x.double(), t).dtype == torch.float64


NOTHING = {
    "no row": ((0, 5), torch.empty(0, dtype=torch.int64), {}),
    "all ignored": ((3, 5), torch.full((3,), -100), {}),
    "all ignored, smoothed": ((3, 5), torch.full((3,), 7), {"ignore_index": 7, "label_smoothing": 0.1}),
    "weights 0": ((3, 5), torch.tensor([1, 2, 1]), {"weight": torch.tensor([1.0, 0, 0, 1, 1])}),
    "no row of probabilities": ((0, 5), torch.empty(0, 5), {}),
}


@pytest.mark.parametrize("name", NOTHING)
def test_the_mean_over_nothing(name):
    shape, t, options = NOTHING[name]
    loss, grad = loss_and_grad(S.cross_entropy, torch.randn(shape), t, **options)
    assert loss.isnan()
    assert F.cross_entropy(torch.randn(shape), t, **options).isnan()
    assert not grad.any()
    loss, grad = loss_and_grad(S.cross_entropy, torch.randn(shape), t, empty="zero", **options)
    assert loss == 0
    assert not grad.any()
    for reduction in ("sum", "none"):
        assert not S.cross_entropy(torch.randn(shape), t, reduction=reduction, **options).any()


def test_normalizer_may_be_a_tensor():
    x, t, _ = drawn(6, 5)
    close(S.cross_entropy(x, t, normalizer=torch.tensor(24)), F.cross_entropy(x, t, reduction="sum") / 24)
    assert S.cross_entropy(x[:0], t[:0], normalizer=8) == 0


def test_ignored_rows_whatever_they_hold():
    x, t, _ = drawn(4, 5)
    x[1], t[1] = torch.nan, -100
    for reduction in REDUCTIONS:
        loss, grad = loss_and_grad(S.cross_entropy, x, t, reduction=reduction, label_smoothing=0.1, z_loss=0.01)
        assert not loss.isnan().any()
        assert not grad[1].any()
        assert not grad.isnan().any()


# Where float32 rounds to zero -------------------------------------------------------------------------------------


def test_exact_where_pytorch_rounds_to_zero():
    x, t = torch.tensor([[0.0, 20.0]]), torch.tensor([1])
    loss, grad = loss_and_grad(F.cross_entropy, x, t)
    assert loss == grad[0, 1] == 0
    loss, grad = loss_and_grad(S.cross_entropy, x, t)
    tiny = np.log1p(np.exp(-20.0))
    close(loss, torch.tensor(tiny, dtype=torch.float32), rtol=4e-7, atol=0)
    close(grad, torch.tensor([[tiny, -tiny]], dtype=torch.float32), rtol=4e-7, atol=0)


# softmax, log_softmax, logsumexp, sample, log_prob --------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, 2, -1, -3])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax(name, dim):
    x, *_ = drawn(3, 4, 5)
    close(getattr(S, name)(x, dim), getattr(torch, name)(x, dim))
    close(getattr(S, name)(x, dim, temperature=0.5), getattr(torch, name)(2 * x, dim))
    close(getattr(S, name)(x, dim, dtype=torch.float64), getattr(torch, name)(x, dim, torch.float64))
    close(getattr(sx, name)(x, dim), getattr(torch, name)(x, dim))
    assert getattr(S, name)(x.bfloat16(), dim).dtype == torch.bfloat16


@pytest.mark.parametrize("dim", [0, -1, (0, 2), (2, 0, 1), (-1, 1)])
@pytest.mark.parametrize("keepdim", [False, True])
def test_logsumexp(dim, keepdim):
    x = drawn(3, 4, 5)[0].requires_grad_()
    got, expected = S.logsumexp(x, dim, keepdim), torch.logsumexp(x, dim, keepdim)
    close(got, expected)
    close(*(torch.autograd.grad(lse.sum(), x) for lse in (got, expected)))


@pytest.mark.parametrize("axis", [None, (0, 2), (2, 0), 1])
@pytest.mark.parametrize("f", [sx.softmax, sx.log_softmax, sx.logsumexp])
def test_axes_as_numpys(f, axis):
    x, *_ = drawn(3, 4, 5, dtype=torch.float64)
    np.testing.assert_array_equal(f(x, axis).numpy(), f(x.numpy(), axis))


def test_sample_draws_with_probability_p():
    logits = torch.tensor([[0.0, 1.0, 2.0]]).expand(30000, 3)
    drawn = S.sample(logits, generator=torch.Generator().manual_seed(0))
    share = torch.bincount(drawn, minlength=3) / len(drawn)
    close(share, torch.softmax(logits[0], 0), rtol=0, atol=0.01)  # three standard deviations


def test_sample_repeats_with_its_generator():
    x, *_ = drawn(50, 9)
    first, again = (S.sample(x, generator=torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(first, sx.sample(x, rng=7))
    torch.manual_seed(3)
    first = S.sample(x, 0)
    torch.manual_seed(3)
    assert torch.equal(first, S.sample(x, dim=0))


def test_log_prob_of_what_was_drawn_has_a_gradient():
    x = drawn(50, 9)[0].requires_grad_()
    index, log_prob = S.sample(x, return_log_prob=True)
    expected = torch.log_softmax(x, 1).gather(1, index[:, None])[:, 0]
    close(log_prob, expected)
    close(*(torch.autograd.grad(lp.sum(), x) for lp in (log_prob, expected)))
    with torch.no_grad():
        index, log_prob = S.sample(x, return_log_prob=True, temperature=2.0)
        close(log_prob, torch.log_softmax(x / 2, 1).gather(1, index[:, None])[:, 0])


def test_log_prob_as_categorical():
    x, *_ = drawn(4, 6, 9)
    t = torch.randint(9, (4, 6))
    close(S.log_prob(x, t), torch.distributions.Categorical(logits=x).log_prob(t))
    close(
        S.log_prob(x.movedim(-1, 0), t, 0, temperature=2.0), torch.distributions.Categorical(logits=x / 2).log_prob(t)
    )
    t[0, 0] = -100
    assert S.log_prob(x, t)[0, 0] == 0


# The functions of all array libraries -------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_array_functions_as_numpys_bit_for_bit(setting, axis):
    x = np.random.default_rng(0).normal(0, 4, (6, 5, 7)).astype(np.float32)
    t = np.random.default_rng(1).integers(x.shape[axis], size=np.delete(x.shape, axis))
    options = {"axis": axis, **setting.of(x.shape[axis])}
    loss, grad = sx.cross_entropy_and_grad(x, t, **options)
    got_loss, got_grad = sx.cross_entropy_and_grad(torch.tensor(x), torch.tensor(t), **options)
    assert got_loss.item() == loss
    np.testing.assert_array_equal(got_grad.numpy(), grad)
    leaf = torch.tensor(x, requires_grad=True)
    sx.cross_entropy(leaf, torch.tensor(t), **options).backward()
    np.testing.assert_array_equal(leaf.grad.numpy(), grad)


def test_out_is_written_to():
    x, t, _ = drawn(6, 5)
    expected = sx.cross_entropy_and_grad(x, t)
    out = torch.empty_like(x)
    loss, grad = sx.cross_entropy_and_grad(x, t, out=out)
    assert grad is out
    close((loss, grad), expected)
    loss, grad = sx.cross_entropy_and_grad(x, t.tolist(), out=x)
    assert grad is x
    close((loss, grad), expected)


def test_parameters_and_subclasses_of_tensor():
    class Mine(torch.Tensor):
        pass

    x, t, _ = drawn(6, 5)
    close(sx.cross_entropy(torch.nn.Parameter(x), t), sx.cross_entropy(x, t))
    mine = sx.cross_entropy(x.as_subclass(Mine), t)
    assert type(mine) is Mine
    close(mine.as_subclass(torch.Tensor), sx.cross_entropy(x, t))


def test_inputs_are_not_written_to():
    x, t, p = drawn(6, 5)
    before = x.clone(), t.clone(), p.clone()
    for target in (t, p):
        loss_and_grad(S.cross_entropy, x, target, torch.tensor(3.0))
    assert all(map(torch.equal, (x, t, p), before))


# PyTorch's documented examples ----------------------------------------------------------------------------------------


def test_documented_example_of_class_indices():
    torch.manual_seed(0)
    loss = S.CrossEntropyLoss()
    input = torch.randn(3, 5, requires_grad=True)
    target = torch.empty(3, dtype=torch.long).random_(5)
    output = loss(input, target)
    output.backward()
    close(output, torch.nn.CrossEntropyLoss()(input, target))


def test_documented_example_of_class_probabilities():
    torch.manual_seed(0)
    input = torch.randn(3, 5, requires_grad=True)
    target = torch.randn(3, 5).softmax(dim=1)
    output = S.CrossEntropyLoss()(input, target)
    output.backward()
    close(output, torch.nn.CrossEntropyLoss()(input, target))


def test_plain_is_the_default():
    """softxent.torch's own options, at their defaults, change nothing."""
    x, t, _ = drawn(6, 5)
    own = {"temperature": 1, "softcap": None, "z_loss": 0, "normalizer": None, "empty": "nan", "inplace": False}
    assert torch.equal(S.cross_entropy(x, t, **own), S.cross_entropy(x, t, **PLAIN.options))
    close(
        S.cross_entropy(x, t, None, None, -100, None, "sum", 0.1),
        F.cross_entropy(x, t, None, None, -100, None, "sum", 0.1),
    )
    assert sx.cross_entropy(x.numpy(), t.numpy()).dtype == FLOAT32
    assert sx.cross_entropy(x.double().numpy(), t.numpy()).dtype == FLOAT64
