"""The last layer and its loss in chunks, of tensors: autograd, graphs and training, beside the loss of whole logits."""

import pytest
import torch
import torch.nn.functional as F
from torch import func
from torch._subclasses import FakeTensorMode
from torch.library import opcheck
from torch.profiler import ProfilerActivity, profile

import softxent as sx
import softxent.torch as S
import softxent.torch.linear_layer.functional
import softxent.torch.linear_layer.layer
from softxent.linear.plan import AUTO, SMALL
from softxent.torch.linear_layer import ops
from tests.chunks import chunks_of

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # PyTorch's own

close = torch.testing.assert_close
N, D, V = 13, 5, 37
WAYS = {"along rows": (4, V), "across classes": (5, 8), "at once": None}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch):
    torch._dynamo.reset()
    monkeypatch.setattr(softxent.torch.linear_layer.functional, "SMALL", 0)


@pytest.fixture(params=WAYS)
def way(request, monkeypatch, _fresh):
    if WAYS[request.param] is None:
        monkeypatch.setattr(softxent.torch.linear_layer.functional, "SMALL", SMALL)
    else:
        plan = chunks_of(monkeypatch, *WAYS[request.param])
        monkeypatch.setattr(softxent.torch.linear_layer.layer, "linear_plan", plan)
    return request.param


def random(*shape, dtype=torch.float64, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def layer(dtype=torch.float64, rows=N, features=D, classes=V):
    shapes = (rows, features), (classes, features), (classes,)
    return [random(*shape, dtype=dtype, seed=k).requires_grad_() for k, shape in enumerate(shapes)]


HARD = torch.randint(V, (N,), generator=torch.Generator().manual_seed(3))
TARGETS = {
    "hard": HARD,
    "ignored": torch.where(torch.arange(N) % 3 == 0, -100, HARD),
    "soft": random(N, V, seed=4).softmax(1),
}
T = TARGETS["ignored"]
WEIGHT = random(V, seed=5).abs()
OPTIONS = {
    "no option": {},
    "ε": {"label_smoothing": 0.1},
    "w": {"weight": WEIGHT},
    "c, T": {"softcap": 2.0, "temperature": 0.7},
    "λ": {"z_loss": 0.1},
    "everything": {"label_smoothing": 0.2, "weight": WEIGHT, "softcap": 3.0, "temperature": 1.5, "z_loss": 0.01},
}


def ours(x, W, b, t=T, **options):
    return S.linear_cross_entropy(x, W, t, linear_bias=b, **options)


def plain(x, W, b, t=T, **options):
    return S.cross_entropy(F.linear(x, W, b), t, **options)


def upstream_of(loss, seed=8):
    return random(*loss.shape, dtype=loss.dtype, seed=seed)


# First and second derivatives -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("options", OPTIONS)
def test_gradients(options, target, reduction, way):
    """With a scalar or a per-row upstream gradient, retained, and once more."""
    x, W, b = leaves = layer()
    t, given = TARGETS[target].clone(), {**OPTIONS[options], "reduction": reduction}
    if target == "soft":
        leaves = [*leaves, t.requires_grad_()]
        if "weight" in given:
            leaves.append(given.setdefault("weight", WEIGHT).clone().requires_grad_())
            given["weight"] = leaves[-1]
    loss, expected = ours(x, W, b, t, **given), plain(x, W, b, t, **given)
    close(loss, expected)
    for seed in (8, 9):
        upstream = upstream_of(loss, seed)
        got = torch.autograd.grad(loss, leaves, upstream, retain_graph=True)
        close(got, torch.autograd.grad(expected, leaves, upstream, retain_graph=True))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("options", OPTIONS)
def test_second_derivatives(options, target, reduction, way):
    results = []
    for f in (ours, plain):
        leaves = layer()
        loss = f(*leaves, TARGETS[target], reduction=reduction, **OPTIONS[options])
        upstream = upstream_of(loss).requires_grad_()
        grads = torch.autograd.grad(loss, leaves, upstream, create_graph=True)
        change = sum((a * random(*a.shape, seed=7)).sum() for a in grads)
        results.append([*grads, *torch.autograd.grad(change, [*leaves, upstream])])
    close(*results)


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_gradcheck(reduction, way):
    def f(x, W, b):
        return ours(x, W, b, t, reduction=reduction, softcap=2.0, z_loss=0.1)

    small, t = layer(rows=3, features=2, classes=10), torch.tensor([9, -100, 4])
    assert torch.autograd.gradcheck(f, small, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(f, small)
    assert torch.autograd.gradcheck(lambda *a: S.linear_statistics(*a[:2], t, linear_bias=a[2])[:3], small)


def test_the_loss_times_minus_one(way):
    leaves = layer()
    close(torch.autograd.grad(-ours(*leaves), leaves), [-a for a in torch.autograd.grad(ours(*leaves), leaves)])


@pytest.mark.parametrize("frozen", [(0,), (1,), (2,), (0, 2), (1, 2), (0, 1)])
def test_no_product_for_what_is_frozen(frozen, monkeypatch):
    """One product makes the logits, one each gradient that is wanted."""
    chunks_of(monkeypatch, N, V)
    leaves = [a.requires_grad_(k not in frozen) for k, a in enumerate(layer())]
    with profile(activities=[ProfilerActivity.CPU]) as made:
        ours(*leaves).backward()
    products = sum(event.name in ("aten::mm", "aten::addmm_", "aten::addmm") for event in made.events())
    assert products == 1 + sum(k not in frozen for k in (0, 1))
    expected = [a.detach().clone().requires_grad_(a.requires_grad) for a in leaves]
    plain(*expected).backward()
    for a, e in zip(leaves, expected, strict=True):
        assert (a.grad is None) == (e.grad is None)
        if a.grad is not None:
            close(a.grad, e.grad)


# torch.func -----------------------------------------------------------------------------------------------------------

FEW = {"ignored": torch.tensor([10, -100, 3, 8]), "soft": random(4, 11, seed=4).softmax(1)}
TRANSFORMS = {
    "grad": lambda f, a: func.grad(f, argnums=(0, 1, 2))(*a),
    "grad of grad": lambda f, a: func.grad(lambda *b: func.grad(f, 1)(*b).square().sum(), argnums=(0, 1, 2))(*a),
    "jvp": lambda f, a: func.jvp(f, a, tuple(upstream_of(x) for x in a)),
    "jvp of grad": lambda f, a: func.jvp(func.grad(f, argnums=(0, 1)), a, tuple(upstream_of(x) for x in a)),
    "jacrev": lambda f, a: func.jacrev(f, argnums=(0, 2))(*a),
    "jacfwd": lambda f, a: func.jacfwd(f)(*a),
    "hessian": lambda f, a: func.hessian(f, argnums=2)(*a),
    "vmap": lambda f, a: func.vmap(f, (0, None, None))(torch.stack([a[0], -a[0]]), *a[1:]),
    "vmap of grad": lambda f, a: func.vmap(func.grad(f, argnums=(0, 1)), (None, 0, None))(
        a[0], torch.stack([a[1], -a[1]]), a[2]
    ),
    "grad of vmap": lambda f, a: func.grad(lambda x: func.vmap(f, (0, None, None))(x, *a[1:]).sum())(
        torch.stack([a[0]] * 2)
    ),
}


@pytest.mark.parametrize("target", ["ignored", "soft"])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms(transform, target, way):
    leaves = tuple(a.detach() for a in layer(rows=4, features=2, classes=11))
    close(*(TRANSFORMS[transform](lambda *a, f=f: f(*a, FEW[target], z_loss=0.1), leaves) for f in (ours, plain)))


def test_vmap_over_targets(way):
    x, W, b = (a.detach() for a in layer(rows=4, features=2, classes=11))
    t = torch.stack([FEW["ignored"], torch.arange(4)])
    close(*(func.vmap(lambda t, f=f: f(x, W, b, t, label_smoothing=0.1))(t) for f in (ours, plain)))


@pytest.mark.parametrize("of", ["log_prob", "statistics"])
def test_transforms_of_numbers_a_row(of, way):
    leaves = tuple(a.detach() for a in layer(rows=4, features=2, classes=11))

    def number(x, W, b):
        if of == "log_prob":
            return S.linear_log_prob(x, W, FEW["ignored"], linear_bias=b, softcap=2.0)
        return S.linear_statistics(x, W, FEW["ignored"], linear_bias=b, softcap=2.0).entropy

    def expected(x, W, b):
        z = 2 * torch.tanh(F.linear(x, W, b) / 2)
        return S.log_prob(z, FEW["ignored"]) if of == "log_prob" else S.statistics(z, FEW["ignored"]).entropy

    for transform in (lambda f: func.jacrev(f, argnums=(0, 1, 2))(*leaves), lambda f: func.vjp(f, *leaves)[1](X1[:4])):
        close(transform(number), transform(expected))


X1 = random(N, seed=11)

# Graphs ---------------------------------------------------------------------------------------------------------------

CALL = (1, -100, 0.1, 1.5, None, 0.01, "mean", None, torch.float64, "nan", "linear(input)")
NONE = (*CALL[:6], "none", *CALL[7:])
EACH = (1, -100, 0.0, 1.0, None, 0.0, "none", None, torch.float64, "nan", "linear(input)")
ONE, NEEDS = torch.tensor(1.0, dtype=torch.float64), [True, True, True]
OPERATORS = {
    "loss": lambda x, W, b: (ops.loss, (x, W, b, T, None, AUTO, *CALL)),
    "loss, none": lambda x, W, b: (ops.loss, (x, W, None, T, WEIGHT, 10**7, *NONE)),
    "loss, soft": lambda x, W, b: (ops.loss, (x, W, b, TARGETS["soft"], None, AUTO, *CALL)),
    "gradients": lambda x, W, b: (ops.gradients, (x, W, b, T, None, ONE, NEEDS, AUTO, *CALL)),
    "gradients, some": lambda x, W, b: (
        ops.gradients, (x, W, None, T, None, X1, [False, True, False], AUTO, *NONE)
    ),
    "masses": lambda x, W, b: (
        ops.masses, (x.detach(), W.detach(), None, TARGETS["soft"], WEIGHT, ONE, [True, True], AUTO, *CALL)
    ),
    "second": lambda x, W, b: (
        ops.second, (*map(torch.detach, (x, W, b)), T, None, ONE, x.detach(), None, b.detach(), AUTO, *CALL)
    ),
    "statistics": lambda x, W, b: (ops.statistics, (x, W, b, T, None, AUTO, *EACH)),
    "statistics_gradients": lambda x, W, b: (
        ops.statistics_gradients, (*map(torch.detach, (x, W, b)), T, None, [X1, X1, X1], NEEDS, AUTO, *EACH)
    ),
    "sample": lambda x, W, b: (
        ops.sample, (*map(torch.detach, (x, W, b)), X1.sigmoid(), 3, 0.9, None, AUTO, *EACH)
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # opcheck's own, in 2.14
@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    operator, example = OPERATORS[name](*layer())
    assert set(opcheck(operator, example).values()) == {"SUCCESS"}


FUNCTIONS = {
    "mean": lambda x, W, b, t, eps: ours(x, W, b, t, label_smoothing=eps, z_loss=1e-3),
    "none": lambda x, W, b, t, eps: (ours(x, W, b, t, reduction="none", softcap=3.0) * (eps + 1)).sum(),
    "weights": lambda x, W, b, t, eps: ours(x, W, None, t, weight=WEIGHT, temperature=eps + 1, memory_budget=10**7),
    "sx": lambda x, W, b, t, eps: sx.linear_cross_entropy(x, W, t, b, label_smoothing=eps),
    "log_prob": lambda x, W, b, t, eps: S.linear_log_prob(x, W, t, linear_bias=b, temperature=eps + 1).mean(),
    "statistics": lambda x, W, b, t, eps: sum(a.sum() for a in S.linear_statistics(x, W, t, linear_bias=b)[:3]) * eps,
    "sx.linear_statistics": lambda x, W, b, t, eps: sx.linear_statistics(x, W, t, b).entropy.sum(),
    "sampled": lambda x, W, b, t, eps: S.linear_sample(x, W, linear_bias=b, top_k=1, return_log_prob=True)[1].sum(),
}


@pytest.mark.parametrize(
    ("name", "dynamic"),
    [*((name, None) for name in FUNCTIONS), ("mean", True)],
)
def test_compiled_without_a_graph_break(name, dynamic):
    f = FUNCTIONS[name]
    compiled = torch.compile(f, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for rows, eps in ((5, 0.0), (5, 0.1), (7, 0.2), (9, 0.2)):
        t = HARD[:rows].clone()
        t[2] = -100
        got, expected = layer(rows=rows), layer(rows=rows)
        loss, eager = compiled(*got, t, eps), f(*expected, t, eps)
        loss.backward()
        eager.backward()
        close(loss, eager)
        for a, e in zip(got, expected, strict=True):
            assert (a.grad is None) == (e.grad is None)
            if a.grad is not None:
                close(a.grad, e.grad)


class Model(torch.nn.Module):
    def forward(self, x, W, b):
        return ours(x, W, b, T[: x.shape[0]]), S.linear_log_prob(x, W, HARD[: x.shape[0]])


@pytest.mark.parametrize("strict", [False, True])
def test_exported(strict):
    leaves = tuple(a.detach() for a in layer())
    exported = torch.export.export(Model(), leaves, strict=strict).module()
    close(exported(*leaves), Model()(*leaves))


@pytest.mark.parametrize("device", ["meta", "fake"])
def test_without_numbers(device):
    with FakeTensorMode() if device == "fake" else torch.device("meta"):
        x, W, t = (
            torch.empty(2, 7, D, requires_grad=True),
            torch.empty(V, D, requires_grad=True),
            torch.zeros(2, 7).long(),
        )
        loss = S.linear_cross_entropy(x, W, t, reduction="none")
        assert loss.shape == (2, 7)
        loss.sum().backward()
        assert (x.grad.shape, W.grad.shape) == (x.shape, W.shape)
        assert S.linear_cross_entropy(x, W, t).shape == ()
        assert [a.shape for a in S.linear_statistics(x, W, t)] == [(2, 7)] * 5
