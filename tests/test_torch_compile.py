"""torch.compile without a graph break, torch.export, and what PyTorch checks of a registered operator."""

from pathlib import Path

import pytest
import torch
from torch.library import opcheck

import softxent as sx
import softxent.torch as S
from softxent.torch import ops

close = torch.testing.assert_close
X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
T = torch.tensor([1, 0, -100, 3, 2])
P = torch.softmax(torch.randn(5, 4, generator=torch.Generator().manual_seed(1)), 1)


def leaf(x=X):
    return x.clone().requires_grad_()


def arguments(**options):
    defaults = {"axis": 1, "ignore_index": -100, "label_smoothing": 0.1, "temperature": 1.5, "softcap": None}
    defaults |= {"z_loss": 0.0, "reduction": "mean", "normalizer": None, "dtype": torch.float32, "empty": "nan"}
    defaults |= {"name": "input"}
    return tuple((defaults | options).values())


ONE = torch.tensor(1.0)
OPERATORS = {
    "cross_entropy, index": (ops.cross_entropy, (leaf(), T, None, *arguments())),
    "cross_entropy, probabilities": (ops.cross_entropy, (leaf(), leaf(P), torch.ones(4), *arguments(softcap=3.0))),
    "cross_entropy, none": (ops.cross_entropy, (leaf(), T, None, *arguments(reduction="none", z_loss=0.1))),
    "cross_entropy, bfloat16": (ops.cross_entropy, (leaf(X.bfloat16()), T, None, *arguments(dtype=torch.bfloat16))),
    "cross_entropy_grad": (ops.cross_entropy_grad, (leaf(), T, None, leaf(ONE), *arguments(normalizer=3.0))),
    "softmax": (ops.softmax, (leaf(), 1, 2.0, "input")),
    "log_softmax": (ops.log_softmax, (leaf(), 0, 1.0, "input")),
    "softmax, bfloat16": (ops.softmax, (leaf(X.bfloat16()), 1, 1.0, "input")),
    "logsumexp": (ops.logsumexp, (leaf(), 1, "input")),
    "statistics": (ops.statistics, (leaf(), T, *arguments(label_smoothing=0.0, reduction="none"))),
    "sample": (ops.sample, (X, 1, 1.0, torch.rand(5, dtype=torch.float64), "input")),
    "no rows": (ops.cross_entropy, (leaf(X[:0]), T[:0], None, *arguments(empty="zero"))),
}


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # opcheck's own, in 2.14
@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    operator, example = OPERATORS[name]
    assert set(opcheck(operator, example).values()) == {"SUCCESS"}


# What a user compiles; f(x, target, a number that may change from call to call) -------------------------------------

FUNCTIONS = {
    "cross_entropy": lambda x, t, eps: S.cross_entropy(x, t, label_smoothing=eps, z_loss=1e-3),
    "none": lambda x, t, eps: (S.cross_entropy(x, t, reduction="none", softcap=3.0) * (eps + 1)).sum(),
    "weights": lambda x, t, eps: S.cross_entropy(x, t, torch.ones(x.shape[1]), temperature=eps + 1),
    "module": lambda x, t, eps: S.CrossEntropyLoss(reduction="sum")(x * eps, t),
    "softmax": lambda x, t, eps: (S.softmax(x, -1).square() + S.log_softmax(x, 0)).sum() + S.logsumexp(x, (0, 1)),
    "sx.cross_entropy": lambda x, t, eps: sx.cross_entropy(x, t, label_smoothing=eps, class_weight=[1, 2, 3, 4]),
    "sx.softmax": lambda x, t, eps: (sx.softmax(x, 0).square() + sx.log_softmax(x)).sum() + sx.logsumexp(x, (0, 1)),
    "sx.statistics": lambda x, t, eps: sx.statistics(x, t).entropy.sum() + sx.log_prob(x, t, temperature=eps + 1).sum(),
    "statistics": lambda x, t, eps: sum(part.sum() for part in S.statistics(x, t)[:3]) + S.log_prob(x, t).sum(),
}


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()


@pytest.mark.parametrize(("name", "dynamic"), [*((name, None) for name in FUNCTIONS), ("cross_entropy", True)])
def test_compiled_without_a_graph_break(name, dynamic):
    f = FUNCTIONS[name]
    compiled = torch.compile(f, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for rows, eps in ((5, 0.0), (5, 0.1), (7, 0.2), (9, 0.2)):
        x, t = torch.randn(rows, 4), torch.randint(4, (rows,))
        ours, expected = leaf(x), leaf(x)
        loss, eager = compiled(ours, t, eps), f(expected, t, eps)
        loss.backward()
        eager.backward()
        close(loss, eager)
        close(ours.grad, expected.grad)


@pytest.mark.parametrize("where", ["new", "out", "in place", "a leaf in place"])
def test_loss_and_gradient_compiled(where):
    def f(x, t, out):
        return sx.cross_entropy_and_grad(x, t, z_loss=0.1, out=out)

    x, given = X.clone().requires_grad_(where == "a leaf in place"), torch.full_like(X, 7)
    out = {"new": None, "out": given}.get(where, x)
    loss, grad = torch.compile(f, fullgraph=True, backend="aot_eager")(x, T, out)
    expected_loss, expected = f(X.clone(), T, None)
    close(loss, expected_loss)
    close(grad.detach(), expected)
    if out is not None:
        assert grad is out
    assert grad.grad_fn is None
    assert not loss.requires_grad


HEADERS = Path(torch.__file__).parent / "include/torch/csrc/inductor"


@pytest.mark.skipif(not HEADERS.exists(), reason="this PyTorch comes without the headers that it compiles with")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # PyTorch's own
def test_compiled_by_inductor():
    linear = torch.nn.Linear(6, 4)
    x = torch.randn(5, 6)
    step = torch.compile(lambda x: S.cross_entropy(linear(x).relu(), T), fullgraph=True)
    grads = []
    for f in (step, lambda x: S.cross_entropy(linear(x).relu(), T)):
        linear.zero_grad()
        f(x).backward()
        grads.append(linear.weight.grad)
    close(*grads)


@pytest.mark.parametrize("target", [T, P], ids=["index", "probabilities"])
def test_gradients_of_targets_when_compiled(target):
    grads = []
    for f in (torch.compile(S.cross_entropy, fullgraph=True, backend="aot_eager"), S.cross_entropy):
        x, p = leaf(), leaf(P)
        f(x, p if target is P else T, label_smoothing=0.1).backward()
        grads.append((x.grad, p.grad))
    close(*grads)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("count", [torch.tensor(7), torch.tensor(7.0, dtype=torch.float64)])
def test_normalizer_that_a_graph_computes(count, dtype):
    def f(x, n):
        return S.cross_entropy(x, T, label_smoothing=0.1, normalizer=n * 2)

    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    ours, expected = leaf(X.to(dtype)), leaf(X.to(dtype))
    loss, eager = compiled(ours, count), f(expected, count)
    loss.backward()
    eager.backward()
    close(loss, eager)
    close(ours.grad, expected.grad)


def test_autocast_when_compiled():
    f = torch.compile(S.cross_entropy, fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", torch.bfloat16):
        assert f(X.bfloat16(), T).dtype == torch.float32
    assert f(X.bfloat16(), T).dtype == torch.bfloat16


def test_sampling_when_compiled():
    f = torch.compile(lambda x: S.sample(x, return_log_prob=True), fullgraph=True, backend="aot_eager")
    index, log_prob = f(X)
    close(log_prob, S.log_prob(X, index))


@pytest.mark.parametrize(
    ("f", "name"), [(S.cross_entropy, "input"), (sx.cross_entropy, "logits"), (sx.statistics, "logits")]
)
def test_bad_targets_are_refused_when_compiled(f, name):
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    with pytest.raises(IndexError, match=rf"^target\[1\] is 4, but {name} has 4 classes \(0 … 3\)$"):
        compiled(X[:2], torch.tensor([0, 4]))


def test_in_place_is_refused_when_compiled():
    f = torch.compile(lambda x: S.cross_entropy(x * 1, T, inplace=True), backend="aot_eager", fullgraph=True)
    with pytest.raises(Exception, match=r"inplace is True, but must be False in torch\.compile"):
        f(leaf())


# torch.export -------------------------------------------------------------------------------------------------------


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.loss = torch.nn.Linear(4, 3), S.CrossEntropyLoss(torch.tensor([1.0, 2.0, 3.0]))

    def forward(self, x, t):
        logits = self.linear(x)
        return self.loss(logits, t), S.softmax(logits, -1)


@pytest.mark.parametrize("strict", [False, True])
def test_exported_with_any_number_of_rows(strict):
    rows = torch.export.Dim("rows")
    model = Model()
    t = torch.tensor([0, 1, 2, 0, 1])
    program = torch.export.export(model, (X, t), dynamic_shapes=({0: rows}, {0: rows}), strict=strict)
    names = [str(node.target) for node in program.graph.nodes]
    assert "softxent.cross_entropy.default" in names
    for n in (2, 5):
        close(program.module()(X[:n], t[:n]), model(X[:n], t[:n]))
