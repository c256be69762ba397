"""watch: each mistake is planted in a small training, and it alone is warned of, once; of a healthy one, nothing."""

import copy
import functools
import gc
import pickle
import re
import threading
import warnings
import weakref
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

import softxent as sx
import softxent.torch as S
from softxent.torch.watch.tally import Batch, Mean, Tally, sample
from tests.ranks import run_apart

ROWS, CLASSES, STEPS = 64, 5, 300
NAN, INF = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def _one_thread():
    """Of PyTorch's: the networks are small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def train(loss_fn, planted=lambda z, t, step: (z, t), steps=STEPS, seed=0):
    """The losses and the weights of a small network; `planted` changes logits and target before the loss."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Dropout(0.1), torch.nn.ReLU(), torch.nn.Linear(16, 5))
    optimizer, losses = torch.optim.SGD(model.parameters(), 0.1), []
    for step in range(1, steps + 1):
        x = torch.randn(ROWS, 8)
        t = (x[:, :CLASSES].argmax(1) + torch.randint(2, (ROWS,))) % CLASSES
        z, t = planted(model(x), t, step)
        loss = loss_fn(z, t)  # the line of the warnings
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return torch.stack(losses), [parameter.detach() for parameter in model.parameters()]


LINE = next(k for k, line in enumerate(Path(__file__).read_text("utf-8").splitlines(), 1) if "# the line of" in line)


def warned(f, *arguments, **options):
    """The texts of the warnings, all of them from a line of this file."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", S.TrainingWarning)
        f(*arguments, **options)
    assert all(w.category is S.TrainingWarning and w.filename == __file__ for w in caught), caught
    return [str(w.message) for w in caught]


def like(text):
    """A pattern of the text, in which … stands for anything."""
    return re.compile(re.escape(text).replace("…", ".*"))


# What is planted ------------------------------------------------------------------------------------------------------


def with_one(value, z, t, step):
    """One logit at step 57: of class 2, which is the target of all rows then if it is −inf."""
    if step != 57:
        return z, t
    here = torch.zeros_like(z, dtype=torch.bool)
    here[3, 2] = True
    return z.masked_fill(here, value), torch.full_like(t, 2) if value == -INF else t


PLANTED = {
    "probabilities": (
        lambda z, t, step: (z.softmax(1), t),
        "logits look like probabilities: at step 1 all rows lie in [0, 1] and sum to 1. The loss applies softmax "
        "itself, and applied twice it keeps the loss above log(1 + (V − 1)/e) = 0.9048 for 5 classes: "
        "leave out the softmax before it",
    ),
    "log-probabilities": (
        lambda z, t, step: (z.log_softmax(1), t),
        "logits look like log-probabilities: at step 10 log Σ exp(logits) of all rows is 0. The loss is right, since "
        "log_softmax leaves log-probabilities as they are, but twice it costs a pass over memory more: leave out the "
        "one before the loss",
    ),
    "rounded": (
        lambda z, t, step: (0.1 * z + min(step / 10, 25) * F.one_hot(t, CLASSES), t),
        "losses round to 0: at step … those of …% of the rows, and of 0% at first. In float32 log_softmax is exactly 0 "
        "once the target leads by enough; so is the target's gradient, and training stops (softmax collapse, Prieto et "
        "al., ICLR 2025). softxent.torch.cross_entropy keeps both",
    ),
    "drift": (
        lambda z, t, step: (z + step / 3, t),
        "logits drift: the mean of log Σ exp(logits) was … at first and is … at step …. z_loss=1e-4 of "
        "softxent.torch.cross_entropy, or more, holds it near 0 (PaLM, Chowdhery et al. 2022, section 5)",
    ),
    "drift to −∞": (
        lambda z, t, step: (z - step / 3, t),
        "logits drift: the mean of log Σ exp(logits) was … at first and is -… at step ….",
    ),
    "NaN": (
        functools.partial(with_one, NAN),
        "the loss is not finite at step 57: logits[3, 2] is nan",
    ),
    "+inf": (
        functools.partial(with_one, INF),
        "the loss is not finite at step 57: logits[3, 2] is inf",
    ),
    "−inf": (
        functools.partial(with_one, -INF),
        "the loss is not finite at step 57: logits[3, 2], where the target is, is -inf",
    ),
    "absent": (
        lambda z, t, step: (z, t % 3),
        "target never contains 2 classes of 5: 3, 4. Of 640 rows looked at in 10 steps none has one of them, and every "
        "other class occurs: check how labels are numbered and rows drawn",
    ),
    "one absent": (
        lambda z, t, step: (z, t.clamp(min=1)),
        "target never contains 1 class of 5: 0. Of 640 rows looked at in 10 steps none has it, and every other class "
        "occurs: check how labels are numbered and rows drawn",
    ),
    "ignored": (
        lambda z, t, step: (z, torch.full_like(t, -100) if step % 3 == 0 else t),
        "all of target is ignored in 3 of 10 steps: each row is -100, the ignore_index. Nothing is learnt from them, "
        "and the mean over nothing is NaN in PyTorch",
    ),
}

LOSSES = {
    "function": lambda **options: S.watch(functools.partial(F.cross_entropy, **options), every=10),
    "softxent's function": lambda **options: S.watch(functools.partial(S.cross_entropy, **options), every=10),
    "module": lambda **options: watched_module(torch.nn.CrossEntropyLoss(**options)),
    "softxent's module": lambda **options: watched_module(S.CrossEntropyLoss(**options)),
}


def watched_module(module):
    S.watch(module, every=10)
    return module


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", PLANTED)
def test_planted(name, loss):
    planted, text = PLANTED[name]
    options = {"reduction": "sum"} if name == "ignored" else {}  # the mean over nothing would be NaN, and all after it
    texts = warned(train, LOSSES[loss](**options), planted)
    if name == "rounded" and "softxent" in loss:
        assert texts == []
    else:
        assert len(texts) == 1
        assert like(text).match(texts[0])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", LOSSES)
def test_healthy(loss, seed):
    assert warned(train, LOSSES[loss](), steps=600, seed=seed) == []


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32),
    st.integers(1, 40),
    st.integers(1, 70),
    st.floats(0, 10),
    st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]),
    st.booleans(),
)
def test_random_calls_are_never_accused(seed, classes, rows, sigma, dtype, by_index):
    g = torch.Generator().manual_seed(seed)
    loss_fn = S.watch(F.cross_entropy, every=3)

    def calls():
        for _ in range(30):
            x = (sigma * torch.randn(rows, classes, generator=g)).to(dtype).requires_grad_()
            t = torch.randint(classes, (rows,), generator=g)
            loss_fn(x, t if by_index else F.one_hot(t, classes).to(dtype))

    assert warned(calls) == []


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_and_gradients_have_the_same_bits(loss):
    """Dropout is among the layers: the watch draws no random number of PyTorch's."""
    plain = {"function": F.cross_entropy, "module": torch.nn.CrossEntropyLoss()}.get(loss, S.cross_entropy)
    (losses, weights), (expected, expected_weights) = train(LOSSES[loss]()), train(plain)
    assert torch.equal(losses, expected)
    assert all(map(torch.equal, weights, expected_weights))


def test_graph_of_autograd_is_the_same():
    x = torch.randn(4, 3, requires_grad=True)
    loss = S.watch(F.cross_entropy)(x, torch.tensor([0, 1, 2, 0]))
    assert type(loss.grad_fn).__name__ == "NllLossBackward0"
    assert x._version == 0


# Which calls are looked at, and how -----------------------------------------------------------------------------------


def twice(loss_fn, *arguments, calls=2, **options):
    """Calls with what a softmax returned as logits."""
    for _ in range(calls):
        loss_fn(*arguments, **options)


P = torch.softmax(torch.randn(16, 4, generator=torch.Generator().manual_seed(0)), 1).requires_grad_()
T = torch.arange(16) % 4
X = torch.randn(3, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()


@pytest.mark.parametrize("value", [F.cross_entropy, torch.nn.CrossEntropyLoss()], ids=["function", "module"])
def test_undo(value):
    for end in ("undo", "with"):
        watching = S.watch(value)
        if end == "with":
            with watching as loss_fn:
                assert loss_fn is watching
        else:
            watching.undo()
            watching.undo()
        assert warned(twice, watching, P, T) == []
        assert torch.equal(watching(P, T), value(P, T))
    assert not getattr(value, "_forward_hooks", {})
    assert len(warned(twice, S.watch(value), P, T)) == 1


def test_at_the_line_of_the_call():
    with pytest.warns(S.TrainingWarning, match="probabilities") as caught:
        train(LOSSES["module"](), PLANTED["probabilities"][0], steps=1)
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, LINE)]


def test_as_an_error():
    loss_fn = S.watch(F.cross_entropy)
    with warnings.catch_warnings():
        warnings.simplefilter("error", S.TrainingWarning)
        with pytest.raises(S.TrainingWarning, match="look like probabilities"):
            loss_fn(P, T)
        loss_fn(P, T)  # said once


def test_a_module_stays_itself():
    module = torch.nn.CrossEntropyLoss(torch.ones(4))
    with S.watch(module):
        assert repr(module) == "CrossEntropyLoss()"
        assert list(module.state_dict()) == ["weight"]


def test_calls_without_gradients_are_not_watched():
    loss_fn = S.watch(F.cross_entropy)
    with torch.no_grad():
        assert warned(twice, loss_fn, P, T) == []
    assert warned(twice, loss_fn, P.detach(), T) == []


def test_arguments_by_name():
    assert len(warned(twice, S.watch(F.cross_entropy), target=T, input=P)) == 1
    assert len(warned(twice, S.watch(sx.cross_entropy), target=T, logits=P)) == 1
    assert len(warned(twice, S.watch(torch.nn.CrossEntropyLoss()), P, target=T)) == 1


@pytest.mark.parametrize(
    ("loss_fn", "dim", "shape", "target"),
    [
        (F.cross_entropy, None, (8, 4, 3), (8, 3)),
        (F.cross_entropy, None, (2, 4, 3, 5), (2, 3, 5)),
        (F.cross_entropy, None, (2, 4, 3, 5), (2, 4, 3, 5)),
        (F.cross_entropy, -2, (8, 4, 3), (8, 3)),
        (F.cross_entropy, None, (4,), ()),
        (S.cross_entropy, None, (4,), (1,)),
        (F.cross_entropy, None, (4,), (4,)),
        (sx.cross_entropy, -1, (2, 6, 4), (2, 6)),
    ],
)
def test_class_axis(loss_fn, dim, shape, target):
    """Any; of one row it takes eight calls to be certain."""
    axis = -1 if dim == -1 or len(shape) == 1 else 1
    x = torch.softmax(torch.randn(shape), axis).requires_grad_()
    t = torch.randint(4, target) if target != shape else torch.softmax(torch.randn(shape), axis)
    texts = warned(twice, S.watch(loss_fn, dim=dim, every=1), x, t, calls=8)
    assert len(texts) == 1
    assert "probabilities" in texts[0]


@pytest.mark.parametrize("shape", [(3,), (3, 4), (5, 3), (2, 3, 7), (2, 3, 4, 5), (100, 3), (2, 3, 40, 50)])
def test_samples_are_of_the_same_rows(shape):
    """Of logits and target; and all rows have their turn."""
    rows = shape[:1] + shape[2:] if len(shape) > 1 else ()
    number = torch.arange(torch.Size(rows).numel()).reshape(rows)
    x = number.unsqueeze(min(1, len(shape) - 1)).expand(shape)
    seen = []
    for turn in range(1, 1 + -(-number.numel() // 16)):
        of_x, of_t = sample(x, min(1, len(shape) - 1), 16, turn), sample(number.reshape(-1), None, 16, turn)
        assert of_x.shape == (len(of_t), 3 if len(shape) == 1 else shape[1])
        assert torch.equal(of_x, of_t[:, None].expand_as(of_x))
        assert 1 <= len(of_t) <= 16
        seen += of_t.tolist()
    assert sorted(seen) == number.reshape(-1).tolist()


def test_between_looks_the_device_is_not_waited_for():
    """On `meta`, to read a number is an error."""
    x, t = torch.zeros(9, 4, device="meta"), torch.zeros(9, dtype=torch.int64, device="meta")
    tally = Tally(x.device)
    tally.steps = 1
    for target, by_index in ((t, True), (x, False)):
        for _ in range(9):
            assert tally.see(Batch(x, target, 1, by_index, x.sum(), -100), 100, set()) == {}


def test_classes_of_another_number_are_counted_anew():
    """As where a loss has two heads."""
    loss_fn = S.watch(F.cross_entropy, every=10)

    def calls():
        for k in range(1000):
            loss_fn(torch.randn(64, 5 + k % 2, requires_grad=True), torch.randint(4, (64,)))

    assert warned(calls) == []


def test_a_rare_class_is_not_called_absent():
    """While others are about as rare, as in the vocabulary of a language."""
    often = 1 / torch.arange(1, 101).double() ** 2
    loss_fn = S.watch(F.cross_entropy, every=10)

    def calls():
        for _ in range(300):
            loss_fn(torch.randn(64, 100, requires_grad=True), torch.multinomial(often, 64, replacement=True))

    assert warned(calls) == []


def test_an_ignored_class_is_not_called_absent():
    loss_fn = S.watch(functools.partial(F.cross_entropy, ignore_index=0), every=10)
    assert warned(train, loss_fn, lambda z, t, step: (z, t), steps=50) == []


def test_a_bias_set_to_log_probabilities_is_no_mistake():
    """At the first step the logits are log-probabilities then."""
    loss_fn, bias = S.watch(F.cross_entropy, every=10), torch.log_softmax(torch.randn(5), 0)
    assert warned(train, loss_fn, lambda z, t, step: (bias + (step > 1) * z, t), steps=50) == []


def test_masked_rows_whose_loss_is_0_are_not_rounded():
    """All other logits are −inf."""

    def masked(z, t, step):
        return z.masked_fill(F.one_hot(t, CLASSES) == 0 if step > 20 else F.one_hot(t, CLASSES) == 2, -INF), t

    assert warned(train, S.watch(F.cross_entropy, every=10), masked) == []


def test_a_loss_that_calls_softxents_rounds_nothing():
    planted, _ = PLANTED["rounded"]
    assert warned(train, S.watch(lambda z, t: S.cross_entropy(z, t) / 4 + 0, every=10), planted) == []
    assert len(warned(train, S.watch(lambda z, t: F.cross_entropy(z, t) / 4 + 0, every=10), planted)) == 1


def test_mean_of_few_rows_waits_for_more():
    mean = Mean()
    for total in (0, 8, 8):
        mean.add(total, 32)
    assert (mean.first, mean.now) == (0.125, 0.125)
    mean.add(56, 32)
    assert (mean.first, mean.now) == (0.125, 0.5625)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    model, loss_fn = torch.nn.Linear(8, 5), S.watch(F.cross_entropy, every=10)

    def calls(last):
        for _ in range(30):
            with torch.autocast("cpu", dtype):
                loss_fn(last(model(torch.randn(64, 8))), torch.randint(5, (64,)))

    assert warned(calls, lambda z: z) == []
    assert len(warned(calls, lambda z: z.softmax(-1).to(dtype))) == 1


# Graphs, processes, threads, copies -----------------------------------------------------------------------------------


@pytest.fixture
def _fresh():
    torch._dynamo.reset()


INDUCTOR = (Path(torch.__file__).parent / "include/torch/csrc/inductor").exists()  # what it compiles with


@pytest.mark.usefixtures("_fresh")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")  # PyTorch's own
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")  # PyTorch's own
@pytest.mark.parametrize(
    ("loss", "backend"),
    [*((loss, "aot_eager") for loss in LOSSES), *([("module", "inductor")] if INDUCTOR else [])],
)
def test_compiled_without_a_graph_break(loss, backend):
    """The loss among what is compiled: each run of the graph is seen, nothing else changes."""
    planted, text = PLANTED["log-probabilities"]
    loss_fn = LOSSES[loss]()
    compiled = torch.compile(lambda z, t: loss_fn(z + 0, t), fullgraph=True, backend=backend)
    (only,) = warned(train, compiled, planted, steps=30)
    assert like(text).match(only)
    losses, _ = train(compiled, steps=30)
    torch.testing.assert_close(losses, train(F.cross_entropy, steps=30)[0])


@pytest.mark.usefixtures("_fresh")
def test_of_a_compiled_loss():
    for loss_fn in (
        torch.compile(F.cross_entropy, backend="aot_eager"),
        torch.compile(S.CrossEntropyLoss(), backend="aot_eager"),
    ):
        assert len(warned(twice, S.watch(loss_fn), P, T)) == 1


@pytest.mark.usefixtures("_fresh")
def test_undo_of_what_is_compiled():
    watching = S.watch(F.cross_entropy)
    compiled = torch.compile(watching, fullgraph=True, backend="aot_eager")
    compiled(X, T[:3])
    watching.undo()
    assert warned(twice, compiled, P, T) == []


def test_transforms_are_not_looked_into():
    loss_fn = S.watch(F.cross_entropy)
    grad = torch.func.grad(lambda x: loss_fn(x, T))(P.detach())
    torch.testing.assert_close(grad, torch.func.grad(lambda x: F.cross_entropy(x, T))(P.detach()))


class WithLoss(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.loss = torch.nn.Linear(8, 4), torch.nn.CrossEntropyLoss()

    def forward(self, x, t, twice):
        z = self.linear(x)
        return self.loss(z.softmax(1) if twice else z, t)


def a_rank(rank):
    torch.manual_seed(rank)
    model = torch.nn.parallel.DistributedDataParallel(WithLoss())
    S.watch(model.module.loss, every=2)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(8):
            model(torch.randn(16, 8), torch.randint(4, (16,)), twice=rank == 1).backward()
    assert [w.category for w in caught] == [S.TrainingWarning] * rank, [str(w.message) for w in caught]


def test_distributed_data_parallel():
    """Each process has a watch of its own."""
    run_apart(a_rank)


def test_threads():
    loss_fn = S.watch(F.cross_entropy, every=2)

    def calls():
        threads = [threading.Thread(target=twice, args=(loss_fn, P, T), kwargs={"calls": 50}) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        calls()
    assert len(caught) == 1
    (tally,) = loss_fn.tallies.values()
    assert tally.steps == 400
    assert tally.counts[1:-1].tolist() == [1600] * 4


@pytest.mark.parametrize("again", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["deepcopy", "pickle"])
def test_copies(again):
    """A copy has a watch of its own, which has seen as much."""
    module = torch.nn.CrossEntropyLoss()
    watching = S.watch(module)
    assert warned(twice, again(watching), P, T) == warned(twice, again(module), P, T) != []
    assert warned(twice, module, P, T) != []
    assert warned(twice, again(module), P, T) == []
    assert torch.equal(again(S.watch(F.cross_entropy))(X, T[:3]), F.cross_entropy(X, T[:3]))


@pytest.mark.parametrize("make", [torch.nn.CrossEntropyLoss, lambda: lambda z, t: F.cross_entropy(z, t)])
def test_a_watched_loss_can_be_deleted(make):
    value = make()
    watching = S.watch(value)
    watching(X, T[:3])
    gone = [weakref.ref(value), weakref.ref(watching)]
    del value, watching
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_nothing_of_a_call_is_kept():
    watching = S.watch(F.cross_entropy, every=1)
    x = torch.randn(16, 4, requires_grad=True)
    gone = weakref.ref(x)
    watching(x, T).backward()
    del x
    gc.collect()
    assert gone() is None


# Bad arguments --------------------------------------------------------------------------------------------------------

WATCHED = torch.nn.CrossEntropyLoss()
S.watch(WATCHED)


@pytest.mark.parametrize(
    ("f", "kind", "text"),
    [
        (
            lambda: S.watch(3),
            TypeError,
            "loss_fn is 3, but must be a function (logits, target, …) or a torch.nn.Module",
        ),
        (lambda: S.watch(torch.nn.NLLLoss()), TypeError, "loss_fn is NLLLoss, but must be a loss that takes logits"),
        (
            lambda: S.watch(S.linear_cross_entropy),
            TypeError,
            "loss_fn is linear_cross_entropy, but must be a loss that takes logits",
        ),
        (lambda: S.watch(WATCHED), ValueError, "loss_fn is watched already: call undo() of its watch first"),
        (
            lambda: S.watch(S.watch(F.cross_entropy)),
            ValueError,
            "loss_fn is watched already: call undo() of its watch first",
        ),
        (lambda: S.watch(F.cross_entropy, every=0), ValueError, "every is 0, but must be at least 1"),
        (lambda: S.watch(F.cross_entropy, every=1.5), TypeError, "every is 1.5, but must be an integer"),
        (lambda: S.watch(F.cross_entropy, dim="C"), TypeError, "dim is 'C', but must be an integer"),
        (
            lambda: S.watch(F.cross_entropy, dim=2)(X, torch.tensor([0, 1, 2])),
            IndexError,
            "dim is 2, but input has 2 axes (-2 … 1)",
        ),
        (
            lambda: S.watch(sx.cross_entropy)(X[None], torch.tensor([[0, 1, 2]])),
            ValueError,
            "target has shape (1, 3), but input has shape (1, 3, 4): class indices must have shape (1, 4), "
            "probabilities (1, 3, 4); say with dim= of watch where the classes are",
        ),
        (
            lambda: S.watch(lambda z, t: 0.5)(X, torch.tensor([0, 1, 2])),
            TypeError,
            "the result of loss_fn is float, but a watched loss must have a tensor there",
        ),
        (
            lambda: S.watch(lambda z, *rest: z.sum())(X),
            TypeError,
            "target is NoneType, but a watched loss must have a tensor there",
        ),
    ],
)
def test_errors(f, kind, text):
    with pytest.raises(kind, match=f"^{re.escape(text)}$"):
        f()
