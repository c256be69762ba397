"""What once was wrong without a word: beside PyTorch's results, or an error that says why not."""

import numpy as np
import pytest
import torch
import torch.autograd.forward_ad as forward_ad
import torch.nn.functional as F
from torch.func import grad, hessian, jacfwd, jacrev, jvp, linearize, vjp, vmap
from torch.fx.experimental.proxy_tensor import make_fx

import softxent as sx
import softxent.torch as S

pytestmark = [  # PyTorch's own
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Attempted to insert a get_attr Node:UserWarning"),
]

close = torch.testing.assert_close
G = torch.Generator().manual_seed(0)
X = torch.randn(4, 5, generator=G)
T = torch.tensor([1, 0, 3, 2])
SURE = 200 * F.one_hot(T, 5)  # added to logits: the target alone can be drawn
P = torch.softmax(torch.randn(4, 5, generator=G), 1)
W = torch.rand(5, generator=G) + 0.1
V = torch.randn(4, 5, generator=G)


def gradient(f, x, *arguments, upstream=None, **options):
    x = x.detach().clone().requires_grad_()
    loss = f(x, *arguments, **options)
    loss.backward(torch.ones_like(loss) if upstream is None else upstream)
    return x.grad


# Lazily negated and conjugated tensors ------------------------------------------------------------------------------


def negated(x):
    """The same numbers, which memory holds with the other sign."""
    lazy = torch._neg_view(-x)
    assert lazy.is_neg()
    return lazy


def imaginary(x):
    """The same numbers, as the imaginary part of a lazily conjugated tensor."""
    lazy = torch.complex(x, -x).conj().imag
    assert lazy.is_neg()
    return lazy


LAZY = {
    "logits": lambda f, of: f(of(X), T),
    "logits, backward": lambda f, of: gradient(lambda x: f(of(x), T), X),
    "probabilities": lambda f, of: f(X, of(P)),
    "probabilities and logits": lambda f, of: f(of(X), of(P)),
    "probabilities, of rows": lambda f, of: f(X, of(P), reduction="none"),
    "probabilities, backward": lambda f, of: gradient(f, X, of(P)),
    "probabilities, their own gradient": lambda f, of: gradient(lambda p: f(X, of(p)), P),
    "weight": lambda f, of: f(X, T, of(W)),
    "weight, backward": lambda f, of: gradient(f, X, T, of(W)),
    "weight and probabilities": lambda f, of: f(X, of(P), of(W)),
    "upstream gradient": lambda f, of: gradient(f, X, T, upstream=of(torch.tensor(-3.0))),
    "upstream gradient of rows": lambda f, of: gradient(f, X, T, reduction="none", upstream=of(W[:4])),
    "Hessian": lambda f, of: hessian(lambda x: f(x, of(P)))(X),
    "forward mode": lambda f, of: jvp(lambda x: f(of(x), of(P)), (X,), (V,)),
}


@pytest.mark.parametrize("of", [negated, imaginary])
@pytest.mark.parametrize("name", LAZY)
def test_lazily_negated(name, of):
    close(LAZY[name](S.cross_entropy, of), LAZY[name](F.cross_entropy, of))


LAZY_INDICES = {
    "cross_entropy": lambda t: S.cross_entropy(X, t),
    "sx.cross_entropy": lambda t: sx.cross_entropy(X, t),
    "cross_entropy_and_grad": lambda t: sx.cross_entropy_and_grad(X, t)[1],
    "cross_entropy, backward": lambda t: gradient(S.cross_entropy, X, t),
    "log_prob": lambda t: S.log_prob(X, t),
    "statistics": lambda t: S.statistics(X, t).rank,
}


@pytest.mark.parametrize("name", LAZY_INDICES)
def test_lazily_negated_class_indices(name):
    close(LAZY_INDICES[name](negated(T)), LAZY_INDICES[name](T))


# Numbers among the options ------------------------------------------------------------------------------------------

CHANGED = {
    "temperature": (2.0, 1.0),
    "softcap": (2.0, 3.0),
    "z_loss": (0.1, 0.2),
    "label_smoothing": (0.1, 0.2),
    "normalizer": (3.0, 4.0),
    "ignore_index": (2, 3),
}


@pytest.mark.parametrize("make", [torch.tensor, np.array], ids=["tensor", "array"])
@pytest.mark.parametrize("name", CHANGED)
@pytest.mark.parametrize("f", [S.cross_entropy, sx.cross_entropy], ids=["softxent.torch", "sx"])
def test_a_number_that_changes_in_place(f, name, make):
    """0-d tensors and arrays count for what they hold at each call."""
    before, after = CHANGED[name]
    option = make(before)
    for value in (before, after):
        option[...] = value
        close(f(X, T, **{name: option}), f(X, T, **{name: value}))
        close(gradient(f, X, T, **{name: option}), gradient(f, X, T, **{name: value}))


TEMPERED = {
    "softmax": lambda T_: S.softmax(X, 1, temperature=T_),
    "log_softmax": lambda T_: S.log_softmax(X, 1, temperature=T_),
    "sx.softmax": lambda T_: sx.softmax(X, temperature=T_),
    "log_prob": lambda T_: S.log_prob(X, T, temperature=T_),
    "statistics": lambda T_: S.statistics(X, T, temperature=T_).entropy,
    "sample": lambda T_: S.sample(X, temperature=T_, return_log_prob=True, generator=G.manual_seed(5))[1],
}


@pytest.mark.parametrize("make", [torch.tensor, np.array], ids=["tensor", "array"])
@pytest.mark.parametrize("name", TEMPERED)
def test_a_temperature_that_changes_in_place(name, make):
    option = make(2.0)
    for value in (2.0, 0.5):
        option[...] = value
        close(TEMPERED[name](option), TEMPERED[name](value))


def assert_differentiable_or_refused(f, name, value):
    """An option that requires grad: its derivative, or an error that names it; never a loss without it."""
    option = torch.tensor(value, dtype=torch.float64, requires_grad=True)
    try:
        f(option).square().sum().backward()
    except (TypeError, ValueError, RuntimeError) as error:
        assert str(error).startswith(name), error  # noqa: PT017
        return
    step = 1e-4
    ends = [f(value + sign * step).square().sum().double() for sign in (-1, 1)]
    close(option.grad, (ends[1] - ends[0]) / (2 * step), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("x", [X.double(), X.double().requires_grad_()], ids=["logits", "logits that require grad"])
@pytest.mark.parametrize("name", [name for name in CHANGED if name != "ignore_index"])
@pytest.mark.parametrize("f", [S.cross_entropy, sx.cross_entropy], ids=["softxent.torch", "sx"])
def test_options_that_require_grad(f, name, x):
    assert_differentiable_or_refused(lambda option: f(x, T, **{name: option}), name, CHANGED[name][0])


@pytest.mark.parametrize("name", TEMPERED)
def test_temperatures_that_require_grad(name):
    assert_differentiable_or_refused(TEMPERED[name], "temperature", 2.0)


def test_loss_and_gradient_of_options_that_require_grad():
    """No graph hangs on either of the two, so a loss without it is what was asked for: an error, or no grad at all."""
    option = torch.tensor(2.0, requires_grad=True)
    try:
        loss, _ = sx.cross_entropy_and_grad(X, T, temperature=option)
    except (TypeError, ValueError, RuntimeError) as error:
        assert str(error).startswith("temperature"), error  # noqa: PT017
    else:
        assert not loss.requires_grad


@pytest.mark.parametrize("name", [name for name in CHANGED if name != "ignore_index"])
def test_options_that_require_grad_under_no_grad(name):
    value = CHANGED[name][0]
    with torch.no_grad():
        got = S.cross_entropy(X, T, **{name: torch.tensor(value, requires_grad=True)})
    close(got, S.cross_entropy(X, T, **{name: value}))


@pytest.mark.parametrize("name", TEMPERED)
def test_a_temperature_of_another_shape_is_refused(name):
    with pytest.raises((TypeError, ValueError, RuntimeError), match=r"^temperature is "):
        TEMPERED[name](torch.tensor([2.0, 1.0]))
    with pytest.raises((TypeError, ValueError, RuntimeError), match=r"^temperature is "):
        TEMPERED[name](torch.tensor([2.0]))


@pytest.mark.parametrize("make", [torch.tensor, np.array], ids=["tensor", "array"])
@pytest.mark.parametrize("name", [name for name in CHANGED if name != "ignore_index"])
def test_options_of_another_shape_are_refused(name, make):
    with pytest.raises((TypeError, ValueError, RuntimeError), match=f"^{name} is "):
        S.cross_entropy(X, T, **{name: make([CHANGED[name][0]] * 2)})


@pytest.mark.parametrize("value", [-2.0, [1.0, 2.0], float("nan"), float("inf")])
def test_a_bad_normalizer_of_a_graph_is_noticed(value):
    """Its value is known when the graph runs; the error is eager's."""
    torch._dynamo.reset()
    compiled = torch.compile(lambda n: S.cross_entropy(X, T, normalizer=n), backend="aot_eager")
    close(compiled(torch.tensor(2.0)), S.cross_entropy(X, T, normalizer=2.0))
    with pytest.raises(Exception, match="normalizer"):  # Dynamo wraps some errors
        compiled(torch.tensor(value))


@pytest.mark.parametrize("empty", ["nan", "zero"])
def test_a_normalizer_of_0_in_a_graph(empty):
    """As in eager mode: the mean over nothing."""
    torch._dynamo.reset()
    compiled = torch.compile(lambda n: S.cross_entropy(X, T, normalizer=n, empty=empty), backend="aot_eager")
    expected = torch.tensor({"nan": torch.nan, "zero": 0.0}[empty])
    close(compiled(torch.tensor(0.0)), expected, equal_nan=True)


# Forward mode, and functions that are traced ------------------------------------------------------------------------

FUNCTIONS = {
    "cross_entropy": (lambda x: S.cross_entropy(x, T), lambda x: F.cross_entropy(x, T)),
    "cross_entropy of rows": (
        lambda x: S.cross_entropy(x, T, reduction="none"),
        lambda x: F.cross_entropy(x, T, reduction="none"),
    ),
    "cross_entropy, weighted": (lambda x: S.cross_entropy(x, P, W), lambda x: F.cross_entropy(x, P, W)),
    "sx.cross_entropy": (lambda x: sx.cross_entropy(x, T), lambda x: F.cross_entropy(x, T)),
    "softmax": (lambda x: S.softmax(x, 1), lambda x: x.softmax(1)),
    "log_softmax": (lambda x: S.log_softmax(x, 1), lambda x: x.log_softmax(1)),
    "logsumexp": (lambda x: S.logsumexp(x, 1), lambda x: x.logsumexp(1)),
    "log_prob": (lambda x: S.log_prob(x, T), lambda x: -F.cross_entropy(x, T, reduction="none")),
    "entropy": (
        lambda x: S.statistics(x, T).entropy,
        lambda x: -(x.softmax(1) * x.log_softmax(1)).sum(1),
    ),
    "log_prob of a sample": (  # of the only index that can be drawn
        lambda x: S.sample(x + SURE, return_log_prob=True)[1],
        lambda x: (x + SURE).log_softmax(1).gather(1, T[:, None])[:, 0],
    ),
}
every_function = pytest.mark.parametrize("name", FUNCTIONS)


class Mine(torch.Tensor):
    pass


def squared(f):
    return lambda x: f(x).square().sum()


def tangent(f, x, v, seen=lambda x: x):
    with forward_ad.dual_level():
        return forward_ad.unpack_dual(f(seen(forward_ad.make_dual(x, v)))).tangent


@every_function
def test_forward_mode(name):
    ours, theirs = FUNCTIONS[name]
    close(tangent(ours, X, V), tangent(theirs, X, V), rtol=1e-4, atol=1e-5)
    close(jvp(ours, (X,), (V,)), jvp(theirs, (X,), (V,)), rtol=1e-4, atol=1e-5)


@every_function
def test_forward_mode_of_a_subclass(name):
    ours, theirs = FUNCTIONS[name]
    got = tangent(ours, X, V, lambda x: x.as_subclass(Mine))
    assert got is not None
    close(got.as_subclass(torch.Tensor), tangent(theirs, X, V), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "softmax", "entropy"])
@pytest.mark.parametrize("way", [tangent, lambda f, x, v: jvp(f, (x,), (v,))[1]], ids=["dual numbers", "jvp"])
def test_forward_mode_of_a_compiled_function(way, name):
    """Its tangent, or an error; a tangent of 0 or none is neither."""
    torch._dynamo.reset()
    ours, theirs = FUNCTIONS[name]
    try:
        got = way(torch.compile(ours, backend="aot_eager"), X, V)
    except (RuntimeError, NotImplementedError):
        return
    assert got is not None
    close(got, way(theirs, X, V), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "softmax", "logsumexp"])
@pytest.mark.parametrize("transform", [jacfwd, lambda f: lambda x: jvp(f, (x,), (V,))[1]], ids=["jacfwd", "jvp"])
def test_compiled_forward_mode(transform, name):
    """The same where the transform is compiled with it."""
    torch._dynamo.reset()
    ours, theirs = FUNCTIONS[name]
    try:
        got = torch.compile(transform(ours), backend="aot_eager")(X)
    except (RuntimeError, NotImplementedError):
        return
    close(got, transform(theirs)(X), rtol=1e-4, atol=1e-5)


@every_function
def test_linearize(name):
    ours, theirs = FUNCTIONS[name]
    (got, got_jvp), (expected, expected_jvp) = linearize(ours, X), linearize(theirs, X)
    close(got, expected, rtol=1e-4, atol=1e-5)
    close(got_jvp(V), expected_jvp(V), rtol=1e-4, atol=1e-5)


@every_function
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx(name, mode):
    """What was traced computes the function of other numbers, and of other shapes if they are symbolic."""
    ours, theirs = FUNCTIONS[name]
    traced = make_fx(ours, tracing_mode=mode, _allow_non_fake_inputs=True)(X)
    close(traced(2 * X), theirs(2 * X), rtol=1e-4, atol=1e-5)


@every_function
def test_make_fx_of_gradients(name):
    ours, theirs = map(squared, FUNCTIONS[name])
    traced = make_fx(grad(ours))(X)
    close(traced(2 * X), grad(theirs)(2 * X), rtol=1e-4, atol=1e-5)


def test_make_fx_of_loss_and_gradient():
    traced = make_fx(lambda x: sx.cross_entropy_and_grad(x, T))(X)
    close(traced(2 * X), sx.cross_entropy_and_grad(2 * X, T))


@every_function
@pytest.mark.parametrize("transform", [grad, jacrev, jacfwd, hessian])
def test_transforms(name, transform):
    ours, theirs = FUNCTIONS[name]
    if transform is grad:
        ours, theirs = map(squared, FUNCTIONS[name])
    randomness = {"randomness": "different"} if transform is jacfwd else {}
    if transform is hessian and "sample" in name:
        transform, randomness = (lambda f, **_: jacrev(jacrev(f))), {}  # hessian has no `randomness`
    close(transform(ours, **randomness)(X), transform(theirs)(X), rtol=1e-4, atol=1e-4)


@every_function
def test_vmap(name):
    ours, theirs = FUNCTIONS[name]
    x = torch.stack([X, V, P])
    close(vmap(ours, randomness="different")(x), vmap(theirs)(x), rtol=1e-4, atol=1e-5)


@every_function
def test_vjp_called_outside(name):
    ours, theirs = FUNCTIONS[name]
    upstream = torch.ones_like(theirs(X))
    close(vjp(ours, X)[1](3 * upstream)[0], vjp(theirs, X)[1](3 * upstream)[0], rtol=1e-4, atol=1e-5)


def test_vmap_of_loss_and_gradient():
    losses, grads = vmap(lambda x: sx.cross_entropy_and_grad(x, T))(torch.stack([X, V]))
    for k, x in enumerate((X, V)):
        close((losses[k], grads[k]), sx.cross_entropy_and_grad(x, T))


def test_vmap_of_samples_draws_for_each():
    logits = torch.zeros(50, 20, 8)
    different = vmap(S.sample, randomness="different")(logits)
    assert not torch.equal(different[0], different[1])
    same = vmap(S.sample, randomness="same")(logits)
    assert torch.equal(same[0], same[1])
    with pytest.raises(RuntimeError, match="randomness"):
        vmap(S.sample)(logits)


# 16-bit softmax, backward -------------------------------------------------------------------------------------------

ULP = {torch.float16: 2.0**-10, torch.bfloat16: 2.0**-7}
SUBNORMAL = {torch.float16: 2.0**-24, torch.bfloat16: 2.0**-133}


def assert_rounded_once(got, exact, terms):
    """Within 1 ULP of got's dtype, relative to the larger of the two terms that it is the difference of."""
    error = (got.double() - exact).abs()
    bound = torch.maximum(ULP[got.dtype] * torch.maximum(exact.abs(), terms), torch.tensor(SUBNORMAL[got.dtype]))
    assert got.isfinite().all()
    assert (error <= bound).all(), (error / bound).max()


@pytest.mark.parametrize("classes", [10, 1000, 50257])
@pytest.mark.parametrize("kind", ["uniform", "random", "peaked"])
@pytest.mark.parametrize("upstream", ["ones", "random", "one hot"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_gradients_of_16_bit_softmax(dtype, upstream, kind, classes):
    """Computed in float32: Σ v_j over 50257 classes is not exact in 16 bits, nor is p = exp of a rounded log p."""
    g = torch.Generator().manual_seed(classes)
    x = {"uniform": 0.0, "random": 1.0, "peaked": 8.0}[kind] * torch.randn(2, classes, generator=g)
    x, v = x.to(dtype), torch.ones(2, classes)
    if upstream == "random":
        v = torch.randn(2, classes, generator=g)
    elif upstream == "one hot":
        v = F.one_hot(torch.tensor([0, classes - 1]), classes).float()
    v = v.to(dtype)
    p, wide = x.double().softmax(1), v.double()
    of_softmax, of_log = (gradient(f, x, 1, upstream=v) for f in (S.softmax, S.log_softmax))
    mean = (p * wide).sum(1, keepdim=True)
    assert_rounded_once(of_softmax, p * (wide - mean), p * torch.maximum(wide.abs(), (p * wide.abs()).sum(1, True)))
    total = p * wide.sum(1, keepdim=True)
    assert_rounded_once(of_log, wide - total, torch.maximum(wide.abs(), total.abs()))


# Memory that is used twice ------------------------------------------------------------------------------------------

OVERLAPPING = {
    "unfold": lambda x: x.unfold(0, 5, 1)[:4],
    "unfold, transposed": lambda x: x.unfold(0, 4, 1)[:5].t(),
    "as_strided": lambda x: torch.as_strided(x, (4, 5), (2, 1)),
    "expanded": lambda x: x[:5].expand(4, 5),
}


@pytest.mark.parametrize("name", OVERLAPPING)
@pytest.mark.parametrize("own", [False, True], ids=["out is the logits", "out is another"])
def test_out_that_overlaps_itself(name, own):
    memory = torch.arange(20.0)
    x = OVERLAPPING[name](memory)
    with pytest.raises((ValueError, RuntimeError), match=r"^(out|logits) "):
        sx.cross_entropy_and_grad(X if own else x, T, out=x)
    assert torch.equal(memory, torch.arange(20.0))


def test_out_without_overlap_is_written():
    memory = torch.zeros(4, 12)
    expected = sx.cross_entropy_and_grad(X, T)
    for out in (memory[:, ::2][:, :5], memory[:, 3:8], torch.zeros(5, 4).t(), torch.zeros(8, 5)[::2]):
        close(sx.cross_entropy_and_grad(X, T, out=out), expected)


OTHERS = {
    "class_weight": lambda out: {"class_weight": out[1]},
    "class_weight, partly": lambda out: {"class_weight": out.view(-1)[3:8]},
    "class_weight, its stride": lambda out: {"class_weight": out.view(-1)[::4]},
    "target": lambda out: {"target": out.view(4, 5)},
    "class indices": lambda out: {"target": out.view(torch.int32)[:, 0]},
}


@pytest.mark.parametrize("name", OTHERS)
def test_out_that_overlaps_another_argument(name):
    out = torch.full((4, 5), 1.0)
    if name == "class indices":
        out.view(torch.int32).fill_(1)
    before = out.clone()
    with pytest.raises((ValueError, RuntimeError), match=r"^out shares "):
        sx.cross_entropy_and_grad(X, **({"target": T} | OTHERS[name](out)), out=out)
    assert torch.equal(out, before)


# Logits that change after the loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"reduction": "sum"}, {"label_smoothing": 0.1}, {"weight": W}], ids=str)
@pytest.mark.parametrize("target", [T, P], ids=["index", "probabilities"])
def test_logits_clamped_after_the_loss(target, options):
    """Of an upstream gradient of 1 the gradient is known by then, as PyTorch's is."""

    def clamped(f):
        x = X.clone().requires_grad_()
        logits = x * 1
        loss = f(logits, target, **options)
        with torch.no_grad():
            logits.clamp_(-0.5, 0.5)
        loss.backward()
        return x.grad

    close(clamped(S.cross_entropy), clamped(F.cross_entropy))


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_logits_clamped_before_a_scaled_backward(reduction):
    """Right, or PyTorch's error about an in-place operation."""
    x = X.clone().requires_grad_()
    logits = x * 1
    loss = S.cross_entropy(logits, T, reduction=reduction)
    with torch.no_grad():
        logits.clamp_(-0.5, 0.5)
    try:
        (3 * loss).sum().backward()
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)  # noqa: PT017
    else:
        close(x.grad, 3 * gradient(F.cross_entropy, X, T, reduction=reduction))


# No rows --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize(
    "target", [torch.empty(0, dtype=torch.int64), torch.empty(0, 5)], ids=["index", "probabilities"]
)
@pytest.mark.parametrize("options", [{}, {"empty": "zero"}, {"reduction": "sum"}, {"normalizer": 3.0}], ids=str)
def test_no_rows_compiled_as_in_eager_mode(options, target, dtype):
    torch._dynamo.reset()
    x = torch.empty(0, 5, dtype=dtype)

    def both(f):
        leaf = x.clone().requires_grad_()
        loss = f(leaf, target, **options)
        loss.backward()
        return loss.detach(), leaf.grad

    compiled = torch.compile(S.cross_entropy, backend="aot_eager", fullgraph=True)
    close(both(compiled), both(S.cross_entropy), equal_nan=True)
