"""Derivatives of every kind: any upstream gradient, twice, forward, batched, in place, and those that are refused."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap

import softxent.torch as S

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # PyTorch's own

close = torch.testing.assert_close
G = torch.Generator().manual_seed(0)
X = 2 * torch.randn(5, 4, dtype=torch.float64, generator=G)
T = torch.tensor([1, 0, -100, 3, 2])
P = torch.softmax(torch.randn(5, 4, dtype=torch.float64, generator=G), 1)
W = torch.rand(4, dtype=torch.float64, generator=G) + 0.2
MANY = torch.randn(3, 5, 4, dtype=torch.float64, generator=G)

OPTIONS = [
    {},
    {"weight": W, "label_smoothing": 0.1},
    {"softcap": 3.0, "temperature": 0.7},
    {"weight": W, "z_loss": 0.1, "label_smoothing": 0.2, "softcap": 5.0, "temperature": 2.0},
    {"normalizer": 7.0},
]
PYTORCHS = [{}, {"reduction": "sum"}, {"weight": W, "label_smoothing": 0.1}]
every_reduction = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: " ".join(o))
every_pytorch_option = pytest.mark.parametrize("options", PYTORCHS, ids=lambda o: " ".join(o))
by_index_or_not = pytest.mark.parametrize("target", [T, P], ids=["index", "probabilities"])


def with_options(f, target, options):
    return lambda x, t=target: f(x, t, **options)


# Against finite differences -----------------------------------------------------------------------------------------


@every_reduction
@every_option
@by_index_or_not
def test_first_and_second_derivatives(target, options, reduction):
    """Backward, forward, backward over backward and forward over backward; of probabilities too."""
    if "normalizer" in options and reduction != "mean":
        options = {}
    f = with_options(S.cross_entropy, target, {**options, "reduction": reduction})
    x = X.clone().requires_grad_()
    inputs = (x, target.clone().requires_grad_()) if target is P else (x,)
    assert gradcheck(f, inputs, check_forward_ad=True)
    assert gradgradcheck(f, inputs, check_fwd_over_rev=True)


@pytest.mark.parametrize("f", [S.softmax, S.log_softmax, S.logsumexp])
@pytest.mark.parametrize("dim", [0, 1])
def test_derivatives_of_softmax(f, dim):
    x = X.clone().requires_grad_()
    assert gradcheck(lambda x: f(x, dim), (x,), check_forward_ad=True)
    assert gradgradcheck(lambda x: f(x, dim), (x,), check_fwd_over_rev=True)


# Against PyTorch ----------------------------------------------------------------------------------------------------


@by_index_or_not
@every_pytorch_option
def test_torch_func(target, options):
    ours, theirs = (with_options(f, target, options) for f in (S.cross_entropy, F.cross_entropy))
    for transform in (grad, jacrev, jacfwd, hessian, lambda f: jacrev(jacrev(f)), lambda f: jacrev(jacfwd(f))):
        close(transform(ours)(X), transform(theirs)(X))
    close(jvp(ours, (X,), (X.sin(),)), jvp(theirs, (X,), (X.sin(),)))
    close(vmap(ours)(MANY), vmap(theirs)(MANY))
    close(vmap(ours, in_dims=2)(MANY.movedim(0, 2)), vmap(theirs)(MANY))
    close(vmap(grad(ours))(MANY), vmap(grad(theirs))(MANY))
    close(vmap(hessian(ours))(MANY), vmap(hessian(theirs))(MANY))
    close(grad(lambda x: vmap(ours)(x).square().sum())(MANY), grad(lambda x: vmap(theirs)(x).square().sum())(MANY))


@by_index_or_not
def test_torch_func_of_losses(target):
    ours, theirs = (with_options(f, target, {"reduction": "none"}) for f in (S.cross_entropy, F.cross_entropy))
    for transform in (jacrev, jacfwd, vmap, lambda f: vmap(jacrev(f))):
        x = MANY if transform not in (jacrev, jacfwd) else X
        close(transform(ours)(x), transform(theirs)(x))


@every_pytorch_option
def test_per_sample_gradients(options):
    """vmap over rows and targets, where PyTorch's own has no rule for an ignored row."""
    got = vmap(grad(lambda x, t: S.cross_entropy(x, t, **options)))(X, T)
    for k in range(len(X)):
        close(got[k], grad(lambda x, k=k: S.cross_entropy(x, T[k], **options))(X[k]))
        x = X[k].clone().requires_grad_()
        S.cross_entropy(x, T[k], **options).backward()
        close(got[k], x.grad)


def test_vmap_of_the_mean_over_nothing():
    t = torch.stack([T, torch.full_like(T, -100)])
    x = X.expand(2, 5, 4)
    close(vmap(S.cross_entropy)(x, t), torch.stack([F.cross_entropy(X, T), torch.tensor(torch.nan)]), equal_nan=True)
    zero = vmap(lambda x, t: S.cross_entropy(x, t, empty="zero"))
    close(zero(x, t), torch.stack([F.cross_entropy(X, T), torch.tensor(0.0, dtype=torch.float64)]))
    assert not vmap(grad(lambda x, t: S.cross_entropy(x, t, empty="zero")))(x, t)[1].any()


@by_index_or_not
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_gradient_for_each_row(target, dtype):
    """reduction="none" with a per-row upstream gradient, in the input's dtype."""
    upstream = torch.tensor([1.0, -2.0, 3.0, 0.0, 1e-3], dtype=dtype)
    results = []
    for f in (S.cross_entropy, F.cross_entropy):
        x = X.to(dtype).requires_grad_()
        t = target if target is T else target.to(dtype)
        f(x, t, reduction="none", label_smoothing=0.1).backward(upstream)
        results.append(x.grad)
    close(*results, **({} if dtype == torch.float32 else {"rtol": 0.05, "atol": 0.02}))


@by_index_or_not
def test_probabilities_and_logits_from_one_tensor(target):
    """Both of their gradients from one backward, as in distillation; with any upstream gradient."""
    results = []
    for f in (S.cross_entropy, F.cross_entropy):
        x = X.clone().requires_grad_()
        (3 * f(x, torch.softmax(x * 2, 1) if target is P else target)).backward()
        results.append(x.grad)
    close(*results)


@by_index_or_not
def test_hessian_vector_products(target):
    """diag(p) − p·pᵀ times v, of a mean."""
    v = X.cos()
    results = []
    for f in (S.cross_entropy, F.cross_entropy):
        x = X.clone().requires_grad_()
        (g,) = torch.autograd.grad(f(x, target), x, create_graph=True)
        results.append(torch.autograd.grad((g * v).sum(), x)[0])
    close(*results)


@pytest.mark.parametrize("factor", [0.0, -2.0, 1e-30, torch.nan])
def test_upstream_gradients_at_the_extremes(factor):
    results = []
    for f in (S.cross_entropy, F.cross_entropy):
        x = X.clone().requires_grad_()
        (factor * f(x, T, reduction="sum")).backward()
        results.append(x.grad[T >= 0])
    close(*results, equal_nan=True)


def test_an_infinite_upstream_gradient_is_seen():
    """By torch.amp.GradScaler, which skips the step."""
    x = X.clone().requires_grad_()
    (torch.inf * S.cross_entropy(x, T)).backward()
    assert not x.grad[T >= 0].isfinite().any()
    assert not x.grad[T < 0].any()


# The graph's memory -----------------------------------------------------------------------------------------------


def saved_by(f):
    """The storages that a graph keeps, in bytes, by their address."""
    saved = {}

    def pack(x):
        saved[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
        return x

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        f()
    return saved


def test_what_a_graph_keeps():
    """The logits, the target, and at most one array more: the gradient itself."""
    x, t = torch.randn(64, 1000, requires_grad=True), torch.randint(1000, (64,))
    inputs = {tensor.untyped_storage().data_ptr() for tensor in (x, t)}
    none = saved_by(lambda: S.cross_entropy(x, t, reduction="none"))
    assert set(none) <= inputs
    mean = saved_by(lambda: S.cross_entropy(x, t))  # under hooks, as of a checkpoint, no gradient is made ahead
    assert set(mean) <= inputs
    loss = S.cross_entropy(x, t)
    assert loss.grad_fn.grad.untyped_storage().nbytes() == x.untyped_storage().nbytes()
    loss.backward(retain_graph=True)
    assert loss.grad_fn.grad is None
    with torch.no_grad():
        assert not saved_by(lambda: S.cross_entropy(x, t))


def test_inputs_without_gradients_cost_none():
    x, t = X.clone(), T
    assert not S.cross_entropy(x, t).requires_grad
    p = P.clone().requires_grad_()
    S.cross_entropy(x, p).backward()
    assert x.grad is None
    with torch.inference_mode():
        loss = S.cross_entropy(X.clone(), t)
    close(loss, F.cross_entropy(x, t))


def test_backward_twice():
    x = X.clone().requires_grad_()
    loss = S.cross_entropy(x, T)
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    expected = first.clone()
    first.zero_()  # it is the caller's
    (second,) = torch.autograd.grad(loss, x, retain_graph=True)
    close(second, expected)
    second.mul_(7)
    close(torch.autograd.grad(2 * loss, x)[0], 2 * expected)


def test_a_gradient_adds_up():
    x = X.clone().requires_grad_()
    for _ in range(2):
        (S.cross_entropy(x, T) + 3 * S.cross_entropy(x.exp(), T, label_smoothing=0.1)).backward()
    y = X.clone().requires_grad_()
    for _ in range(2):
        (F.cross_entropy(y, T) + 3 * F.cross_entropy(y.exp(), T, label_smoothing=0.1)).backward()
    close(x.grad, y.grad)


def test_logits_changed_before_backward_are_noticed():
    x = X.clone().requires_grad_()
    logits = x * 1
    loss = S.cross_entropy(logits, T, reduction="none").sum()
    logits.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


# In place -----------------------------------------------------------------------------------------------------------


@every_reduction
@every_option
@pytest.mark.parametrize("factor", [1.0, -0.5])
def test_in_place(reduction, options, factor):
    if "normalizer" in options and reduction != "mean":
        options = {}
    results = []
    for inplace in (False, True):
        inputs, weight = X.clone(), torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        weight.requires_grad_()
        logits = torch.nn.functional.linear(inputs @ torch.eye(4, 6, dtype=torch.float64), weight)
        logits.retain_grad()
        address = logits.data_ptr()
        loss = S.cross_entropy(logits, T, reduction=reduction, inplace=inplace, **options)
        (factor * loss).sum().backward()
        results.append((loss.detach(), weight.grad))
        assert logits.data_ptr() == address
        assert torch.equal(logits.detach(), logits.grad) == inplace
    close(*results)


def test_in_place_is_refused_where_autograd_still_needs_the_logits():
    x = X.clone().requires_grad_()
    for f in (torch.exp, torch.sigmoid, lambda x: torch.log_softmax(x, 1)):
        loss = S.cross_entropy(f(x), T, inplace=True)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


LEAF = "input is (a view of) a leaf that requires grad, but inplace=True overwrites it"
OVERLAPPING = "input overlaps itself, but must hold each number in memory of its own"
SPENT = (
    "the logits hold the gradient since cross_entropy(…, inplace=True), so that backward runs once, "
    "and is not differentiable; pass inplace=False"
)


def refused(text):
    return pytest.raises(RuntimeError, match=f"^{re.escape(text)}$")


def test_in_place_is_refused_for_leaves():
    x = X.clone().requires_grad_()
    for leaf in (x, x[1:], x.view(-1).view(5, 4)):
        with refused(LEAF):
            S.cross_entropy(leaf, T[: len(leaf)], inplace=True)
    with refused(OVERLAPPING):
        S.cross_entropy((x[:1] * 1).expand(5, 4), T, inplace=True)
    assert torch.equal(x.detach(), X)


def test_in_place_backward_runs_once():
    x = X.clone().requires_grad_()
    loss = S.cross_entropy(x * 1, T, inplace=True)
    loss.backward(retain_graph=True)
    with refused(SPENT):
        loss.backward()
    with refused(SPENT):
        torch.autograd.grad(S.cross_entropy(x * 1, T, inplace=True), x, create_graph=True)


def test_in_place_without_a_gradient_writes_nothing():
    x = X.clone()
    S.cross_entropy(x, T, inplace=True)
    with torch.no_grad():
        S.cross_entropy(x.requires_grad_(), T, inplace=True)
    assert torch.equal(x.detach(), X)


# Refused ----------------------------------------------------------------------------------------------------------


@by_index_or_not
def test_forward_over_forward(target):
    """Once and twice; PyTorch alone would leave out the outer derivative of a Function."""
    for ours, theirs in (
        (
            lambda x: S.cross_entropy(x, target, label_smoothing=0.1),
            lambda x: F.cross_entropy(x, target, label_smoothing=0.1),
        ),
        (lambda x: S.softmax(x, 1).square().sum(), lambda x: F.softmax(x, 1).square().sum()),
        (lambda x: S.log_softmax(x, 1).square().sum(), lambda x: F.log_softmax(x, 1).square().sum()),
        (lambda x: S.logsumexp(x).square().sum(), lambda x: torch.logsumexp(x, -1).square().sum()),
    ):
        close(jacfwd(jacfwd(ours))(X), jacfwd(jacfwd(theirs))(X))
        close(jacfwd(jacrev(jacfwd(ours)))(X), jacfwd(jacrev(jacfwd(theirs)))(X))


def test_weights_have_no_derivative():
    text = "weight requires grad, but cross_entropy has no derivative for it beside class indices; pass weight.detach()"
    with refused(text):
        S.cross_entropy(X, T, W.clone().requires_grad_())
    with pytest.raises(RuntimeError, match="not differentiable with respect to argument 'weight'"):
        F.cross_entropy(X, T, W.clone().requires_grad_())


@by_index_or_not
def test_vmap_over_weights(target):
    """And what each weight gets as gradient of the logits."""
    weights = torch.stack([W, W.flip(0)])

    def both(f):
        def of(w):
            return f(X, target, w), grad(lambda x: f(x, target, w, reduction="sum"))(X)

        return of

    losses, grads = vmap(both(S.cross_entropy))(weights)
    for k, w in enumerate(weights):
        close((losses[k], grads[k]), both(F.cross_entropy)(w))


def test_in_place_is_refused_in_torch_func():
    with refused("inplace is True, but must be False in torch.compile, torch.func and for subclasses of Tensor"):
        grad(lambda x: S.cross_entropy(x, T, inplace=True))(X)
