"""`import softxent.torch as F`: what torch.nn.functional accepts, with the same result, and the rest of its names."""

import contextlib
import inspect
import io
import subprocess
import sys
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck, gradgradcheck
from torch.func import functionalize, grad, hessian, jacrev, vmap
from torch.overrides import TorchFunctionMode

import softxent as sx
import softxent.torch as S

pytestmark = [  # PyTorch's own
    pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning"),
    pytest.mark.filterwarnings("ignore:There is a performance drop:UserWarning"),
]

close = torch.testing.assert_close
G = torch.Generator().manual_seed(0)
X = torch.randn(4, 5, generator=G)
T = torch.tensor([1, 0, 3, 2])
P = torch.softmax(torch.randn(4, 5, generator=G), 1)
W = torch.rand(5, generator=G) + 0.1
AOT = {"backend": "aot_eager", "fullgraph": True}


def loss_and_grad(f, x, *arguments, **options):
    x = x.detach().clone().requires_grad_()
    loss = f(x, *arguments, **options)
    loss.backward(torch.ones_like(loss))
    return loss.detach(), x.grad


def assert_as_pytorchs(work, **tolerance):
    close(work(S), work(F), equal_nan=True, **tolerance)


# What cross_entropy computes with -----------------------------------------------------------------------------------

NAN, INF = float("nan"), float("inf")
NEGATIVE = torch.tensor([1.0, -2.0, 3.0, 0.5, 1.0])
UNLEARN = P * torch.tensor([[1.0], [-1.0], [1.0], [-0.5]])
OPPOSITE = torch.tensor([[0.5, -0.5, 0.0, 0.0, 0.0]] * 4)  # sums to 0


def absent(value):
    """The weight of class 4, which does not occur."""
    return torch.cat([W[:4], torch.tensor([value])])


def one(value):
    p = P.clone()
    p[1, 2] = value
    return p


ACCEPTED = {
    "negative weight": ((T, NEGATIVE), {}),
    "negative weight, smoothed": ((T, NEGATIVE), {"label_smoothing": 0.1}),
    "negative weight of probabilities": ((P, NEGATIVE), {}),
    "negative probabilities": ((UNLEARN,), {}),
    "negative probabilities, smoothed": ((UNLEARN,), {"label_smoothing": 0.1}),
    "negative probabilities, weighted": ((UNLEARN, W), {}),
    "probabilities that sum to 0": ((OPPOSITE,), {}),
    "negative probabilities and weights": ((UNLEARN, NEGATIVE), {}),
    "probabilities above 1": ((3 * P,), {}),
    "no probability": ((0 * P,), {}),
    **{f"{value} as weight of a class that does not occur": ((T, absent(value)), {}) for value in (NAN, INF, -INF)},
    "a bool weight of probabilities": ((P, torch.tensor([True, False, True, True, True])), {}),
    "integer weights of probabilities": ((P, torch.tensor([1, 2, 0, 1, 1])), {}),
    "float64 weight and probabilities": ((P, W.double()), {}),
    "a number as label_smoothing": ((T,), {"label_smoothing": torch.tensor(0.1)}),
    "a number as ignore_index": ((T,), {"ignore_index": torch.tensor(3)}),
    "bool label_smoothing": ((T,), {"label_smoothing": True}),
    "a negative ignore_index of probabilities": ((P,), {"ignore_index": -1}),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name, reduction):
    arguments, options = ACCEPTED[name]
    assert_as_pytorchs(lambda M: loss_and_grad(M.cross_entropy, X, *arguments, reduction=reduction, **options))


NOT_FINITE = {
    f"{value} as {name}": arguments
    for value in (NAN, INF, -INF)
    for name, arguments in {
        "a probability": ((one(value),), {}),
        "weight of a class that occurs": ((torch.tensor([4, 0, 3, 2]), absent(value)), {}),
        "weight of a class that does not, smoothed": ((T, absent(value)), {"label_smoothing": 0.1}),
        "weight of probabilities": ((P, absent(value)), {}),
    }.items()
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", NOT_FINITE)
def test_accepted_though_not_finite(name, reduction):
    """Loss and gradient are finite where PyTorch's are, and the same there; elsewhere inf may be NaN."""
    arguments, options = NOT_FINITE[name]
    (loss, of_x), (expected, expected_of_x) = (
        loss_and_grad(M.cross_entropy, X, *arguments, reduction=reduction, **options) for M in (S, F)
    )
    assert torch.equal(loss.isfinite(), expected.isfinite())
    close(loss[loss.isfinite()], expected[expected.isfinite()])
    finite = expected_of_x.isfinite()
    assert torch.equal(of_x.isfinite(), finite)
    close(of_x[finite], expected_of_x[finite])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["negative weight", "negative probabilities", "negative probabilities and weights"])
def test_accepted_in_other_dtypes(name, dtype):
    arguments = [a.to(dtype) if a.is_floating_point() else a for a in ACCEPTED[name][0]]
    tolerance = {} if dtype == torch.float64 else {"rtol": 0.05, "atol": 0.03}
    assert_as_pytorchs(lambda M: loss_and_grad(M.cross_entropy, X.to(dtype), *arguments), **tolerance)


@pytest.mark.parametrize("classes", [3, 40, 60, 300, 5000])
@pytest.mark.parametrize("layout", ["last", "axis 1"])
def test_negative_numbers_in_every_pass_of_the_kernel(layout, classes):
    """Along rows and across them, within 4 ULP of the largest term of a row."""
    shape = (6, classes) if layout == "last" else (2, classes, 3)
    g = torch.Generator().manual_seed(classes)
    x, t = torch.randn(shape, generator=g), torch.randn(shape, generator=g)
    w, y = torch.randn(classes, generator=g), torch.randint(classes, (shape[0], *shape[2:]), generator=g)
    for arguments in ((t,), (t, w), (y, w)):
        wide = [a.double() if a.is_floating_point() else a for a in arguments]
        (loss, of_x), (exact, exact_of_x) = (
            loss_and_grad(f, logits, *rest, reduction="sum")
            for f, logits, rest in ((S.cross_entropy, x, arguments), (F.cross_entropy, x.double(), wide))
        )
        close(loss.double(), exact, rtol=1e-5, atol=1e-6 * classes)
        close(
            of_x.double(), exact_of_x, rtol=1e-5, atol=4 * 2.0**-23 * float(max(1, *(a.abs().max() for a in wide)) ** 2)
        )


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2}, {"weight": W}, {"ignore_index": 1}], ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_one_row_whose_target_has_an_axis(reduction, options):
    """(C,) and (1,), which PyTorch's forward accepts; its backward does not, and here it is that of the row."""
    row, target = X[0], T[:1]
    try:
        expected = F.cross_entropy(row, target, reduction=reduction, **options)
    except RuntimeError:  # smoothed, without a reduction
        pytest.skip("PyTorch refuses it")
    got, of_x = loss_and_grad(S.cross_entropy, row, target, reduction=reduction, **options)
    close(got, expected, equal_nan=True)
    close(of_x, loss_and_grad(F.cross_entropy, X[:1], target, reduction=reduction, **options)[1][0], equal_nan=True)


DEPRECATED = [(a, b) for a in (None, True, False) for b in (None, True, False) if (a, b) != (None, None)]


@pytest.mark.parametrize(("size_average", "reduce"), DEPRECATED)
@pytest.mark.parametrize("t", [T, P], ids=["index", "probabilities"])
def test_size_average_and_reduce(t, size_average, reduce):
    """They override `reduction`, with PyTorch's warning, which points at the caller."""
    results = []
    for M in (S, F):
        with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
            results.append(M.cross_entropy(X, t, size_average=size_average, reduce=reduce, reduction="sum"))
        with pytest.warns(UserWarning, match="size_average and reduce args will be deprecated"):
            results.append(M.cross_entropy(X, t, None, size_average, -100, reduce))
    close(results[:2], results[2:])


def test_elementwise_mean():
    """PyTorch's old name of the mean."""
    results = []
    for M in (S, F):
        with pytest.warns(UserWarning, match="elementwise_mean' is deprecated"):
            results.append(M.cross_entropy(X, T, reduction="elementwise_mean"))
    close(*results)


@pytest.mark.parametrize("ignore_index", [0, 3, 100])
def test_ignore_index_of_probabilities_is_refused(ignore_index):
    for module in (S, F):
        with pytest.raises(RuntimeError, match="ignore_index"):
            module.cross_entropy(X, P, ignore_index=ignore_index)
    for loss in (S.CrossEntropyLoss(ignore_index=ignore_index), torch.nn.CrossEntropyLoss(ignore_index=ignore_index)):
        with pytest.raises(RuntimeError, match="ignore_index"):
            loss(X, P)


@pytest.mark.parametrize("make", [float, torch.tensor])
@pytest.mark.parametrize("empty", ["nan", "zero"])
def test_a_normalizer_of_0_follows_empty(empty, make):
    """It counts nothing: micro-batches, or ranks, of which all rows are ignored."""
    loss, of_x = loss_and_grad(S.cross_entropy, X, torch.full((4,), -100), normalizer=make(0.0), empty=empty)
    close(loss, torch.tensor({"nan": NAN, "zero": 0.0}[empty]), equal_nan=True)
    assert not of_x.any()
    close(S.cross_entropy(X[:0], T[:0], normalizer=make(0.0), empty=empty), loss, equal_nan=True)


# Weights that require grad ------------------------------------------------------------------------------------------


def leaf(x):
    return x.clone().requires_grad_()


@pytest.mark.parametrize("t", [T, P], ids=["index", "probabilities"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_weight_that_requires_grad_without_a_graph(mode, t):
    with mode():
        assert_as_pytorchs(lambda M: M.cross_entropy(X, t, leaf(W)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_the_gradient_of_a_weight_of_probabilities(reduction, smoothing):
    def work(M):
        x, p, w = leaf(X), leaf(P), leaf(W)
        loss = M.cross_entropy(x, p, w, label_smoothing=smoothing, reduction=reduction)
        (3 * loss).sum().backward()
        return loss.detach(), x.grad, p.grad, w.grad

    assert_as_pytorchs(work)


def test_the_gradient_of_a_weight_alone():
    assert_as_pytorchs(lambda M: loss_and_grad(lambda w: M.cross_entropy(X, P, w), W))
    assert_as_pytorchs(lambda M: grad(lambda w: M.cross_entropy(X, P, w))(W))
    assert_as_pytorchs(lambda M: vmap(lambda w: M.cross_entropy(X, P, w))(torch.stack([W, 2 * W])))


# Batches of gradients -----------------------------------------------------------------------------------------------

MANY = torch.randn(3, 4, 5, generator=G)
BATCHED = {
    "cross_entropy": lambda M, x: M.cross_entropy(x, T),
    "cross_entropy, sum": lambda M, x: M.cross_entropy(x, T, reduction="sum"),
    "cross_entropy, weighted": lambda M, x: M.cross_entropy(x, T, W, label_smoothing=0.1),
    "cross_entropy of rows": lambda M, x: M.cross_entropy(x, T, reduction="none"),
    "cross_entropy, probabilities": lambda M, x: M.cross_entropy(x, P),
    "softmax": lambda M, x: M.softmax(x, 1),
    "log_softmax": lambda M, x: M.log_softmax(x, 1),
}


@pytest.mark.parametrize(
    ("compiled", "name"),
    [(compiled, name) for compiled in (False, True) for name in BATCHED if not (compiled and "rows" in name)],
)  # losses a row of a compiled function: see docs/torch.md
def test_is_grads_batched(compiled, name):
    def work(M):
        torch._dynamo.reset()
        f = lambda x: BATCHED[name](M, x)  # noqa: E731
        x = leaf(X)
        y = (torch.compile(f, **AOT) if compiled and M is S else f)(x)
        upstream = MANY.sum((1, 2)) if y.ndim == 0 else MANY[..., 0] if y.ndim == 1 else MANY
        return torch.autograd.grad(y, x, upstream, is_grads_batched=True)

    assert_as_pytorchs(work)


CHECKED = {
    "cross_entropy": lambda x, p: S.cross_entropy(x, T),
    "cross_entropy, every option": lambda x, p: S.cross_entropy(
        x, T, W.double(), label_smoothing=0.1, softcap=3.0, temperature=0.7, z_loss=0.1, normalizer=3.0
    ),
    "cross_entropy of rows": lambda x, p: S.cross_entropy(x, T, reduction="none"),
    "cross_entropy, probabilities": lambda x, p: S.cross_entropy(x, p),
    "cross_entropy of rows of probabilities": lambda x, p: S.cross_entropy(x, p, reduction="none"),
    "softmax": lambda x, p: S.softmax(x, 1),
    "log_softmax": lambda x, p: S.log_softmax(x, 1),
    "logsumexp": lambda x, p: S.logsumexp(x, 1),
    "statistics": lambda x, p: S.statistics(x, T)[:3],
    "log_prob": lambda x, p: S.log_prob(x, T),
    "sx.cross_entropy": lambda x, p: sx.cross_entropy(x, T),
}


@pytest.mark.parametrize("name", CHECKED)
def test_gradcheck_of_batches(name):
    inputs = leaf(X.double()), leaf(P.double())
    assert gradcheck(CHECKED[name], inputs, check_batched_grad=True)
    assert gradgradcheck(CHECKED[name], inputs, check_batched_grad=True)


def test_vectorized_jacobians():
    jacobian = torch.autograd.functional.jacobian
    for name in ("cross_entropy of rows", "softmax"):
        assert_as_pytorchs(lambda M, n=name: jacobian(lambda x: BATCHED[n](M, x), X, vectorize=True))
    assert_as_pytorchs(lambda M: torch.autograd.functional.hessian(lambda x: M.cross_entropy(x, T), X, vectorize=True))


# softmax without dim, and its other arguments -------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (5,), (4, 5), (2, 3, 4), (2, 3, 4, 5)], ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("given", [(), (None,)], ids=["no dim", "None"])
def test_softmax_without_dim(given, name, shape):
    """PyTorch's implicit rule: axis 0 of 0, 1 and 3 axes, else axis 1; with its warning, at the caller's line."""
    x = torch.randn(shape)
    results = []
    for M in (S, F):
        with pytest.warns(UserWarning, match=f"Implicit dimension choice for {name} has been deprecated") as caught:
            results.append(getattr(M, name)(x, *given))
        assert caught[0].filename == __file__
    close(*results)


SOFTMAX = {
    "_stacklevel by position": lambda f: f(X, 1, 3),
    "dtype by position": lambda f: f(X, 1, 3, torch.float64),
    "every keyword": lambda f: f(input=X, dim=1, _stacklevel=5, dtype=torch.float64),
    "integers": lambda f: f(torch.arange(5), 0, dtype=torch.float32),
    "bools": lambda f: f(X > 0, 1, dtype=torch.float32),
    "a number": lambda f: f(torch.tensor(3.0), 0),
    "a number, from the end": lambda f: f(torch.tensor(3.0), -1),
    "no class": lambda f: f(torch.empty(3, 0), 1),
    "no row and no class": lambda f: f(torch.empty(0, 0), 1),
    "no class along axis 0": lambda f: f(torch.empty(0, 3), 0),
    "half to float": lambda f: f(X.half(), 1, dtype=torch.float32),
}


@pytest.mark.parametrize("name", SOFTMAX)
@pytest.mark.parametrize("f", ["softmax", "log_softmax"])
def test_softmax_as_pytorchs(f, name):
    assert_as_pytorchs(lambda M: SOFTMAX[name](getattr(M, f)))


def test_softmax_backward_through_dtype():
    for f in ("softmax", "log_softmax"):
        assert_as_pytorchs(lambda M, f=f: loss_and_grad(getattr(M, f), X, 1, dtype=torch.float64))


@pytest.mark.parametrize("name", ["cross_entropy", "softmax", "log_softmax"])
def test_signatures_begin_as_pytorchs(name):
    ours, theirs = (list(inspect.signature(getattr(M, name)).parameters.values()) for M in (S, F))
    for mine, its in zip(ours, theirs, strict=False):
        assert (mine.name, mine.kind, mine.default) == (its.name, its.kind, its.default)
    assert len(ours) >= len(theirs)
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in ours[len(theirs) :])


# The rest of torch.nn.functional ------------------------------------------------------------------------------------


def test_every_other_name_is_pytorchs():
    for name in (
        "relu",
        "linear",
        "gelu",
        "mse_loss",
        "nll_loss",
        "one_hot",
        "dropout",
        "scaled_dot_product_attention",
    ):
        assert getattr(S, name) is getattr(F, name)
    public = {name for name in dir(F) if not name.startswith("_")}
    assert public <= set(dir(S))
    assert all(hasattr(S, name) for name in public)
    assert {"cross_entropy", "softmax", "log_softmax"} <= set(dir(S))
    assert S.cross_entropy is not F.cross_entropy


def test_a_name_that_nobody_has():
    with pytest.raises(AttributeError, match=r"^module 'softxent.torch' has no attribute 'nonsense'$"):
        S.nonsense  # noqa: B018
    assert not hasattr(S, "__wrapped__")


def test_star_import_brings_no_more_than_our_own():
    names = {}
    exec("from softxent.torch import *", names)
    assert "relu" not in names
    assert "cross_entropy" in names


def test_an_ordinary_file():
    """With the one line replaced."""
    code = """
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.fc = torch.nn.Conv2d(1, 4, 3), torch.nn.Linear(4 * 13 * 13, 10)
    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        x = F.dropout(x.flatten(1), 0.0, training=self.training)
        return F.log_softmax(self.fc(x), dim=1)
torch.manual_seed(0)
net = Net()
loss = F.nll_loss(net(torch.randn(2, 1, 28, 28)), torch.tensor([3, 1]))
loss = loss + F.cross_entropy(torch.ones(2, 3), torch.ones(2).long())
loss.backward()
result = [loss.detach(), net.fc.weight.grad]
"""
    results = []
    for M in (S, F):
        names = {"torch": torch, "F": M}
        exec(code, names)
        results.append(names["result"])
    close(*results)


# Modules, graphs and tracing ----------------------------------------------------------------------------------------

GRAPHS = {
    "cross_entropy": lambda x: S.cross_entropy(2 * x, T),
    "cross_entropy of rows": lambda x: S.cross_entropy(2 * x, T, reduction="none", z_loss=0.1),
    "softmax": lambda x: S.softmax(2 * x, 1),
    "log_softmax": lambda x: S.log_softmax(2 * x, 1, temperature=2.0),
    "logsumexp": lambda x: S.logsumexp(2 * x, 1),
    "log_prob": lambda x: S.log_prob(2 * x, T),
    "statistics": lambda x: S.statistics(2 * x, T).entropy,
    "sample": lambda x: S.sample(1e3 * F.one_hot(x.argmax(1), 5).float()),
    "sx.cross_entropy": lambda x: sx.cross_entropy(2 * x, T),
    "sx.softmax": lambda x: sx.softmax(2 * x),
    "sx.logsumexp": lambda x: sx.logsumexp(2 * x, axis=(0, 1)),
    "sx.cross_entropy_and_grad": lambda x: sx.cross_entropy_and_grad(2 * x, T)[1],
}
every_graph = pytest.mark.parametrize("name", GRAPHS)
OTHER = torch.randn(4, 5, generator=G)


@pytest.mark.parametrize("name", [name for name in GRAPHS if not name.startswith("sx.")])  # those take no proxies
def test_fx_symbolic_trace(name):
    """A call of ours is a node, as a call of torch.nn.functional's is."""
    traced = torch.fx.symbolic_trace(GRAPHS[name])
    close(traced(OTHER), GRAPHS[name](OTHER))


@pytest.mark.parametrize("loss", [S.CrossEntropyLoss(), S.CrossEntropyLoss(W, softcap=3.0)], ids=repr)
def test_fx_symbolic_trace_of_a_module(loss):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.loss = torch.nn.Linear(5, 5), loss

        def forward(self, x, t):
            return self.loss(self.linear(x), t)

    model = Model()
    close(torch.fx.symbolic_trace(model)(OTHER, T), model(OTHER, T))


@every_graph
def test_jit_trace(name):
    traced = torch.jit.trace(GRAPHS[name], (X,))
    close(traced(OTHER), GRAPHS[name](OTHER))


@pytest.mark.parametrize("name", ["cross_entropy", "softmax", "logsumexp", "statistics"])
def test_jit_trace_of_what_requires_grad(name):
    results = []
    for f in (torch.jit.trace(GRAPHS[name], (leaf(X),)), GRAPHS[name]):
        x = leaf(OTHER)
        f(x).square().sum().backward()
        results.append(x.grad)
    close(*results)


@pytest.mark.parametrize("name", ["cross_entropy", "softmax", "sample"])
def test_a_jit_trace_in_a_file(name):
    file = io.BytesIO()
    torch.jit.save(torch.jit.trace(GRAPHS[name], (X,)), file)
    file.seek(0)
    close(torch.jit.load(file)(OTHER), GRAPHS[name](OTHER))


@pytest.mark.parametrize("name", [name for name in GRAPHS if name not in ("sample", "sx.cross_entropy_and_grad")])
def test_functionalize(name):
    """The two others are in test_torch_crashes.py."""
    close(functionalize(GRAPHS[name])(OTHER), GRAPHS[name](OTHER))


def test_functionalized_gradients():
    for transform in (grad, jacrev, hessian):
        f = transform(GRAPHS["cross_entropy"])
        close(functionalize(f)(OTHER), f(OTHER))


# __torch_function__ -------------------------------------------------------------------------------------------------


class Duck:
    """No tensor, but it has an opinion on functions."""

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), options=None):
        return function, arguments, options or {}


DUCK = Duck()
CALLS = {
    "cross_entropy": (lambda: S.cross_entropy(DUCK, T, label_smoothing=0.1), S.cross_entropy),
    "cross_entropy, target": (lambda: S.cross_entropy(X, DUCK, softcap=3.0), S.cross_entropy),
    "cross_entropy, weight": (lambda: S.cross_entropy(X, T, DUCK), S.cross_entropy),
    "softmax": (lambda: S.softmax(DUCK, 1, temperature=2.0), S.softmax),
    "log_softmax": (lambda: S.log_softmax(DUCK, 1), S.log_softmax),
    "logsumexp": (lambda: S.logsumexp(DUCK, 1), S.logsumexp),
    "sample": (lambda: S.sample(DUCK), S.sample),
    "log_prob": (lambda: S.log_prob(X, DUCK), S.log_prob),
    "statistics": (lambda: S.statistics(DUCK, T), S.statistics),
}


@pytest.mark.parametrize("name", CALLS)
def test_torch_function(name):
    """Given the function and its arguments, own options included."""
    call, f = CALLS[name]
    function, arguments, options = call()
    assert function is f
    assert any(a is DUCK for a in [*arguments, *options.values()])
    for option, value in {"label_smoothing": 0.1, "softcap": 3.0, "temperature": 2.0}.items():
        if option in inspect.signature(f).parameters and option in inspect.getsource(call):
            assert options.get(option, None) == value or value in arguments


class Seen(TorchFunctionMode):
    def __init__(self):
        super().__init__()
        self.functions = []

    def __torch_function__(self, function, types, arguments=(), options=None):
        self.functions.append(function)
        return function(*arguments, **(options or {}))


def test_torch_function_modes():
    """See our functions whole, as they see torch.nn.functional's."""
    for f, arguments in ((S.cross_entropy, (X, T)), (S.softmax, (X, 1)), (S.logsumexp, (X, 1)), (S.sample, (X,))):
        with Seen() as seen:
            result = f(*arguments)
        assert seen.functions[0] is f
        if f is not S.sample:
            close(result, f(*arguments))


def test_torch_function_of_a_subclass():
    class Logged(torch.Tensor):
        names = []  # noqa: RUF012

        @classmethod
        def __torch_function__(cls, function, types, arguments=(), options=None):
            cls.names.append(getattr(function, "__name__", ""))
            return super().__torch_function__(function, types, arguments, options or {})

    for work in (
        lambda M: M.cross_entropy(X.as_subclass(Logged), T),
        lambda M: M.cross_entropy(X, P.as_subclass(Logged)),
        lambda M: M.cross_entropy(X, T, W.as_subclass(Logged)),
        lambda M: M.softmax(X.as_subclass(Logged), 1),
    ):
        results = []
        for M in (S, F):
            Logged.names.clear()
            results.append(work(M))
            assert Logged.names[0] in ("cross_entropy", "softmax")
            assert type(results[-1]) is Logged
        close(*(r.as_subclass(torch.Tensor) for r in results))


# Meta tensors -------------------------------------------------------------------------------------------------------

META = {
    "cross_entropy": lambda M, x, t, p, w: M.cross_entropy(x, t),
    "cross_entropy of rows": lambda M, x, t, p, w: M.cross_entropy(x, t, w, reduction="none"),
    "cross_entropy, probabilities": lambda M, x, t, p, w: M.cross_entropy(x, p, w, label_smoothing=0.1),
    "cross_entropy, backward": lambda M, x, t, p, w: loss_and_grad(M.cross_entropy, x, t)[1],
    "cross_entropy of rows, backward": lambda M, x, t, p, w: loss_and_grad(M.cross_entropy, x, p, reduction="none")[1],
    "softmax": lambda M, x, t, p, w: M.softmax(x, 1),
    "softmax to float64": lambda M, x, t, p, w: M.softmax(x, 1, dtype=torch.float64),
    "softmax, backward": lambda M, x, t, p, w: loss_and_grad(M.softmax, x, 1)[1],
    "log_softmax": lambda M, x, t, p, w: M.log_softmax(x, 0),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", META)
def test_meta_tensors(name, dtype):
    """Shapes, dtypes and strides, without numbers."""
    tensors = [a.to("meta", dtype if a.is_floating_point() else a.dtype) for a in (X, T, P, W)]
    got, expected = (META[name](M, *tensors) for M in (S, F))
    assert (got.shape, got.dtype, got.device, got.stride()) == (
        expected.shape,
        expected.dtype,
        expected.device,
        expected.stride(),
    )


def test_meta_tensors_of_our_own_functions():
    x, t = X.to("meta"), T.to("meta")
    assert S.logsumexp(x, 1).shape == S.log_prob(x, t).shape == S.sample(x).shape == (4,)
    assert S.statistics(x, t).rank.dtype == torch.int64
    assert sx.cross_entropy(x, t).device.type == "meta"
    loss, of_x = sx.cross_entropy_and_grad(x, t)
    assert (loss.shape, of_x.shape, of_x.device.type) == ((), (4, 5), "meta")


def test_meta_and_other_tensors_do_not_mix():
    for M in (S, F):
        for arguments in ((X.to("meta"), T), (X, T.to("meta")), (X, T, W.to("meta"))):
            with pytest.raises(RuntimeError, match="meta"):
                M.cross_entropy(*arguments)


# Compiled -----------------------------------------------------------------------------------------------------------

TRANSFORMED = {
    "grad": lambda M: grad(lambda x: M.cross_entropy(x, T)),
    "gradients of samples": lambda M: lambda x: vmap(grad(lambda x, t: M.cross_entropy(x, t)))(x, T),
    "hessian": lambda M: hessian(lambda x: M.cross_entropy(x, T)),
    "jacrev": lambda M: jacrev(lambda x: M.softmax(x, 1)),
    "vmap": lambda M: vmap(lambda x: M.log_softmax(x, 0)),
}


@pytest.mark.parametrize("name", TRANSFORMED)
def test_compiled_transforms(name):
    torch._dynamo.reset()
    close(torch.compile(TRANSFORMED[name](S), **AOT)(X), TRANSFORMED[name](F)(X), rtol=1e-4, atol=1e-5)


COMPILED = {
    "sample": lambda x: S.sample(1e3 * F.one_hot(x.argmax(1), 5).float()),
    "sample with log_prob": lambda x: S.sample(1e3 * F.one_hot(x.argmax(1), 5).float(), return_log_prob=True),
    "statistics": lambda x: tuple(S.statistics(x, x.argmin(1))),
    "every option": lambda x: S.cross_entropy(x, x.argmin(1), W, label_smoothing=0.1, softcap=3.0, z_loss=0.1),
}


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_at_a_second_batch_size(name):
    torch._dynamo.reset()
    compiled = torch.compile(COMPILED[name], **AOT)
    for rows in (3, 5, 9):
        x = torch.randn(rows, 5)
        close(compiled(x), COMPILED[name](x))


@pytest.mark.parametrize("strict", [False, True])
def test_sampling_exported_with_any_number_of_rows(strict):
    class Model(torch.nn.Module):
        def forward(self, x):
            return S.sample(x, return_log_prob=True)

    rows = torch.export.Dim("rows")
    program = torch.export.export(Model(), (X,), dynamic_shapes=({0: rows},), strict=strict)
    for n in (2, 9):
        x = torch.randn(n, 5)
        index, log_prob = program.module()(x)
        close(log_prob, S.log_prob(x, index))


def test_exported_draws_differ_from_call_to_call():
    class Model(torch.nn.Module):
        def forward(self, x):
            return S.sample(x)

    draw = torch.export.export(Model(), (torch.zeros(100, 8),)).module()
    assert not torch.equal(draw(torch.zeros(100, 8)), draw(torch.zeros(100, 8)))


@contextlib.contextmanager
def default_dtype(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_another_default_dtype(dtype):
    """It is not that of any result here."""
    with default_dtype(dtype):
        for work in (
            lambda M: loss_and_grad(M.cross_entropy, X, T),
            lambda M: loss_and_grad(M.cross_entropy, X, P, W, reduction="none"),
            lambda M: loss_and_grad(M.softmax, X, 1),
            lambda M: grad(lambda x: M.cross_entropy(x, T))(X),
            lambda M: torch.func.jvp(lambda x: M.cross_entropy(x, T), (X,), (X,)),
            lambda M: hessian(lambda x: M.cross_entropy(x, T))(X),
        ):
            assert_as_pytorchs(work)


# Threads ------------------------------------------------------------------------------------------------------------


THREADS = """
import os, torch, softxent, softxent.torch as S
torch.set_num_threads(1)
softxent.set_num_threads(4)
x, t = torch.ones(3000, 1000), torch.zeros(3000).long()
for function, *arguments in ((S.softmax, x, 1), (S.cross_entropy, x, t), (S.logsumexp, x, 1), (S.statistics, x, t)):
    if not (child := os.fork()):  # which has no thread but this one
        before = len(os.listdir("/proc/self/task"))
        function(*arguments)
        none = len(os.listdir("/proc/self/task")) - before
        torch.set_num_threads(3)
        function(*arguments)
        print(none, len(os.listdir("/proc/self/task")) - before, flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts threads where Linux lists them")
def test_pytorchs_number_of_threads_bounds_ours():
    """As in a DataLoader's worker, which has one: no thread is started for a large tensor."""
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, encoding="utf-8", check=True)
    started = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert len(started) == 4
    assert all(none == 0 and 1 <= some <= 2 for none, some in started), started


def test_warnings_are_pytorchs_alone():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        S.cross_entropy(leaf(X), T).backward()
        S.CrossEntropyLoss()(X, T)
        S.softmax(X, 1)
