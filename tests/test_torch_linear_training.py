"""The last layer and its loss where they are used: models, mixed precision, checkpointing, several processes."""

import copy
import io
import math
import re

import pytest
import torch
import torch.nn.functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.checkpoint import checkpoint

import softxent as sx
import softxent.torch as S
from softxent.torch.linear_layer import products
from tests.ranks import run_apart
from tests.test_torch_training import example

close = torch.testing.assert_close
N, D, V = 40, 6, 2000
LEAST = 4 * 2**20 + 2**17  # of gradients: 4 MiB and chunks of some classes
BUDGETS = {"auto": "auto", "across classes": LEAST}


def random(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def layer(dtype=torch.float32):
    return random(N, D, dtype=dtype).requires_grad_(), random(V, D, dtype=dtype, seed=1).requires_grad_()


T = torch.randint(V, (N,), generator=torch.Generator().manual_seed(3))
T[::3] = -100
P = random(N, V, seed=4).softmax(1)

# No path makes rows × classes -----------------------------------------------------------------------------------------

PATHS = {
    "loss": lambda x, W, t, b: S.linear_cross_entropy(x.detach(), W.detach(), t, memory_budget=b),
    "mean": lambda x, W, t, b: S.linear_cross_entropy(x, W, t, memory_budget=b).backward(),
    "none": lambda x, W, t, b: S.linear_cross_entropy(x, W, t, reduction="none", memory_budget=b).sum().backward(),
    "ε": lambda x, W, t, b: S.linear_cross_entropy(x, W, t, label_smoothing=0.1, memory_budget=b).backward(),
    "retained": lambda x, W, t, b: torch.autograd.grad(
        S.linear_cross_entropy(x, W, t, memory_budget=b), (x, W), retain_graph=True
    ),
    "second": lambda x, W, t, b: sum(
        a.square().sum()
        for a in torch.autograd.grad(S.linear_cross_entropy(x, W, t, memory_budget=b), (x, W), create_graph=True)
    ).backward(),
    "log_prob": lambda x, W, t, b: S.linear_log_prob(x, W, t, memory_budget=b).sum().backward(),
    "statistics": lambda x, W, t, b: S.linear_statistics(x, W, t, memory_budget=b).entropy.sum().backward(),
    "sample": lambda x, W, t, b: S.linear_sample(x, W, top_p=0.9, memory_budget=b),
    "of arrays": lambda x, W, t, b: sx.linear_cross_entropy_and_grad(x, W, t, memory_budget=b),
    "vmap": lambda x, W, t, b: torch.func.vmap(lambda x: S.linear_cross_entropy(x, W.detach(), t, memory_budget=b))(
        torch.stack([x.detach()] * 2)
    ),
}


@pytest.mark.parametrize("path", PATHS)
def test_no_tensor_has_rows_times_classes_numbers(path):
    """By each allocation that PyTorch makes, with a budget of less than the logits."""
    x, W = random(25 * N, D).requires_grad_(), layer()[1]
    bits = 4 * len(x) * V
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as made:
        PATHS[path](x, W, T.repeat(25), 7 * 2**20)
    assert 0 < max(event.self_cpu_memory_usage for event in made.events()) < bits * 0.95


@pytest.mark.parametrize(("path", "budget"), [("second", 4_210_000), ("statistics", 4_210_000), ("sample", 1)])
def test_what_needs_rows_of_all_classes_says_the_least(path, budget):
    """And that least budget is enough."""
    x, W = layer()
    with pytest.raises(
        ValueError, match=rf"^memory_budget is {budget}, but this call holds at least \d+ bytes$"
    ) as error:
        PATHS[path](x, W, T, budget)
    PATHS[path](x, W, T, int(str(error.value).split()[-2]))


# Precision ------------------------------------------------------------------------------------------------------------


HALF_BUDGETS = {"auto": "auto", "across classes": 4 * 2**20 + 2**18}  # more than LEAST: weights are converted


@pytest.mark.parametrize("budget", HALF_BUDGETS.values(), ids=HALF_BUDGETS)
@pytest.mark.parametrize(
    ("dtype", "multiplied"), [(torch.bfloat16, False), (torch.bfloat16, True), (torch.float16, False)]
)
def test_16_bits(monkeypatch, dtype, multiplied, budget):
    """The gradients are those of float32, rounded once: within half an ULP of those of float64, and a bit.

    A processor that multiplies bfloat16 rounds both factors of a term, and what a chunk adds to a gradient, too.
    """
    monkeypatch.setattr(products, "multiplies_bfloat16", lambda: multiplied)
    x, W = layer(dtype)
    loss = S.linear_cross_entropy(x, W, T, memory_budget=budget)
    assert loss.dtype == dtype
    loss.backward(torch.tensor(3.0, dtype=dtype))
    wide = [a.detach().double().requires_grad_() for a in (x, W)]
    z = F.linear(*wide)
    z.retain_grad()
    expected = 3 * F.cross_entropy(z, T)
    expected.backward()
    close(loss.double(), expected / 3, rtol=torch.finfo(dtype).eps, atol=0)
    terms = z.grad.abs() @ wide[1].abs(), z.grad.abs().T @ wide[0].abs()
    half = torch.finfo(dtype).eps / 2
    # three roundings of a term, with the squares of them; and p moves by twice what z does, 2⁻¹⁷·|z| = half / 512·|z|
    roundings = 3.03 + float(z.detach().abs().max()) / 256 if multiplied else 0
    for a, e, of in zip((x, W), wide, terms, strict=True):
        assert a.grad.dtype == dtype
        assert ((a.grad - e.grad).abs() <= half * (1.02 * e.grad.abs() + roundings * of) + 6e-8).all()


@pytest.mark.parametrize("budget", HALF_BUDGETS.values(), ids=HALF_BUDGETS)
@pytest.mark.parametrize("multiplied", [False, True])
def test_logits_are_not_rounded_to_16_bits(monkeypatch, multiplied, budget):
    """Sums of 6 products in float32, and where bfloat16 is multiplied, 17 bits of these."""
    monkeypatch.setattr(products, "multiplies_bfloat16", lambda: multiplied)
    x, W = (a.detach() for a in layer(torch.bfloat16))
    losses = sx.linear_cross_entropy(x, W, T, reduction="none", memory_budget=budget)
    assert losses.dtype == torch.float32
    z, terms = F.linear(x.double(), W.double()), F.linear(x.abs().double(), W.abs().double())
    of_z = float(2**-17 * multiplied * z.abs().max() + D * 2**-24 * terms.max())
    close(losses.double(), F.cross_entropy(z, T, reduction="none"), rtol=2**-22, atol=2 * of_z)


@pytest.mark.parametrize("multiplied", [False, True])
def test_a_logit_beyond_all_numbers(monkeypatch, multiplied):
    """Of −inf it is a mask, also in 16 bits; of +inf or NaN the row is NaN."""
    monkeypatch.setattr(products, "multiplies_bfloat16", lambda: multiplied)
    W, t = torch.ones(700, 2, dtype=torch.bfloat16), torch.zeros(1, dtype=torch.int64)
    for wrong, expected in ((-torch.inf, math.log(699)), (torch.inf, torch.nan), (torch.nan, torch.nan)):
        W[650] = wrong
        loss = sx.linear_cross_entropy(torch.ones(1, 2, dtype=torch.bfloat16), W, t)
        close(loss, torch.tensor(expected), equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    """As PyTorch's linear: a product of 16 bits, a loss and gradients of float32."""
    x, W = layer()
    bias = random(V, seed=6).requires_grad_()
    results = []
    for f in (S.linear_cross_entropy, lambda x, W, t, linear_bias: F.cross_entropy(F.linear(x, W, linear_bias), t)):
        with torch.autocast("cpu", dtype):
            loss = f(x, W, T, linear_bias=bias)
        results.append([loss, *torch.autograd.grad(loss, (x, W, bias))])
    assert [a.dtype for a in results[0]] == [torch.float32] * 4
    close(*results, rtol=0.02, atol=0.002)


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_checkpointing(use_reentrant, reduction):
    grads = []
    for f in (lambda g, *a: checkpoint(g, *a, use_reentrant=use_reentrant), lambda g, *a: g(*a)):
        x, W = layer()
        f(lambda x, W: S.linear_cross_entropy(x.tanh(), W, T, reduction=reduction), x, W).sum().backward()
        grads.append([x.grad, W.grad])
    close(*grads)


# Gradients that are added up ------------------------------------------------------------------------------------------


def test_accumulation():
    x, W = layer()
    for _ in range(2):
        S.linear_cross_entropy(x, W, T).backward()
    expected = [a.detach().clone().requires_grad_() for a in (x, W)]
    S.cross_entropy(F.linear(*expected), T).backward()
    close([x.grad, W.grad], [2 * a.grad for a in expected])
    before = x.grad.clone()
    loss = S.linear_cross_entropy(x, W, T)
    loss.backward(retain_graph=True)
    loss.backward()
    close(x.grad, 2 * before, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize(
    "options", [{}, {"label_smoothing": 0.1, "z_loss": 0.01}, {"weight": random(V, seed=5).abs()}], ids=str
)
def test_micro_batches_of_different_token_counts_are_one_batch(options, budget):
    x, W = layer(torch.float64)
    weight = options.get("weight")
    options = options | ({} if weight is None else {"weight": weight.double()})
    kept = T[T >= 0]
    count = float(len(kept) if weight is None else weight.double()[kept].sum())
    whole = torch.autograd.grad(S.linear_cross_entropy(x, W, T, **options), (x, W))
    for part in (slice(0, 1), slice(1, 30), slice(30, 33), slice(33, N)):
        S.linear_cross_entropy(
            x[part], W, T[part], normalizer=count, memory_budget=BUDGETS[budget], **options
        ).backward()
    close([x.grad, W.grad], list(whole))
    x.grad = None
    S.linear_cross_entropy(x, W, T, normalizer=torch.tensor(count), **options).backward()
    close(x.grad, whole[0])


@pytest.mark.parametrize("budget", BUDGETS.values())
@pytest.mark.parametrize("empty", ["zero", "nan"])
def test_a_batch_of_ignored_rows_stays_connected(empty, budget):
    x, W = layer()
    loss = S.linear_cross_entropy(x, W, torch.full_like(T, -100), empty=empty, memory_budget=budget)
    assert loss.requires_grad
    assert loss.isnan() if empty == "nan" else loss == 0
    loss.backward()
    assert not x.grad.any()
    assert not W.grad.any()
    assert sx.linear_cross_entropy(x, W, torch.full_like(T, -100)) == 0


class Tied(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = torch.nn.Embedding(50, 8)
        self.loss = S.LinearCrossEntropyLoss(linear=self.embedding, reduction="sum")

    def forward(self, ids, t):
        return self.loss(self.embedding(ids).tanh(), t)


def a_rank(rank):
    model, whole = Tied(), Tied()
    parallel = torch.nn.parallel.DistributedDataParallel(model)
    ids, t = torch.arange(12).view(2, 6), torch.tensor([[1, 2, -100, 3, 4, 49], [-100] * 6])
    (parallel(ids[rank], t[rank]) * 2 / 5).backward()  # DDP takes the mean of two; 5 tokens are counted, none on rank 1
    (whole(ids, t) / 5).backward()
    close(model.embedding.weight.grad, whole.embedding.weight.grad)


def test_distributed_data_parallel_with_a_rank_without_tokens():
    run_apart(a_rank)


def test_a_language_model_has_the_same_curve():
    module = example("tiny_lm")
    ours, theirs = ([loss for loss, _ in module.train(f, 5)] for f in (module.in_chunks, module.plain))
    assert ours[-1] < ours[0]
    close(ours, theirs, rtol=1e-5, atol=1e-5)


beside_pytorch = pytest.mark.skipif(
    not hasattr(F, "linear_cross_entropy"), reason="this PyTorch has no linear_cross_entropy"
)

# The module -----------------------------------------------------------------------------------------------------------


def test_tied_embeddings():
    """The one weight is learnt from both ends."""
    grads = []
    for tied in (True, False):
        torch.manual_seed(0)
        embedding = torch.nn.Embedding(V, D)
        module = S.LinearCrossEntropyLoss(linear=embedding, softcap=30.0)
        h = embedding(T.clamp(0)).tanh()
        loss = module(h, T) if tied else S.cross_entropy(F.linear(h, embedding.weight), T, softcap=30.0)
        loss.backward()
        grads.append(embedding.weight.grad)
        assert [name for name, _ in module.named_parameters()] == ["linear.weight"]
    close(*grads)


@beside_pytorch
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("weight", [None, torch.arange(1.0, 12)])
def test_module_as_pytorchs(bias, weight):
    ours = S.LinearCrossEntropyLoss(D, 11, bias=bias, weight=weight, label_smoothing=0.1)
    assert list(ours.state_dict()) == ["linear.weight", *["linear.bias"] * bias] + ["weight"] * (
        weight is not None
    ) or (set(ours.state_dict()) == {"linear.weight", *["linear.bias"] * bias, *["weight"] * (weight is not None)})
    theirs = torch.nn.LinearCrossEntropyLoss(D, 11, bias=bias, weight=weight, label_smoothing=0.1)
    theirs.load_state_dict(ours.state_dict())
    x, t = random(N, D), T % 11
    close(ours(x, t), theirs(x, t))
    buffer = io.BytesIO()
    torch.save(ours, buffer)
    buffer.seek(0)
    again = S.LinearCrossEntropyLoss(D, 11, bias=bias, weight=weight, label_smoothing=0.1)
    again.load_state_dict(ours.state_dict())
    for copied in (copy.deepcopy(ours), torch.load(buffer, weights_only=False), again):
        assert repr(copied) == repr(ours)
        assert torch.equal(copied(x, t), ours(x, t))
    assert ours.double().linear.weight.dtype == torch.float64
    assert repr(ours).startswith("LinearCrossEntropyLoss(\n  label_smoothing=0.1\n  (linear): Linear(")


@beside_pytorch
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("outer", [(2,), (2, 3)])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weight", [None, torch.rand(7)])
def test_layers_of_several_dimensions(weight, soft, outer, reduction):
    """As PyTorch's linear_cross_entropy, and its gradients."""
    x, W, bias = random(N, D), random(7, *outer, D, seed=1), random(7, *outer, seed=2)
    t = torch.randint(7, (N, *outer), generator=torch.Generator().manual_seed(5))
    t[0] = -100
    if soft:
        t = random(N, 7, *outer, seed=5).softmax(1)
    results = []
    for f in (S.linear_cross_entropy, F.linear_cross_entropy):
        leaves = [a.clone().requires_grad_() for a in (x, W, bias)]
        loss = f(*leaves[:2], t, linear_bias=leaves[2], reduction=reduction, weight=weight, label_smoothing=0.1)
        results.append([loss, *torch.autograd.grad(loss.sum(), leaves)])
    close(*results)
    if not soft and weight is None:
        module = S.LinearCrossEntropyLoss(D, 7, out_features=outer, reduction=reduction)
        theirs = torch.nn.LinearCrossEntropyLoss(D, 7, out_features=outer, reduction=reduction)
        theirs.load_state_dict(module.state_dict())
        close(module(x, t), theirs(x, t))


@beside_pytorch
def test_pytorchs_options_are_accepted():
    x, W = layer()
    options = torch.nn.LinearCrossEntropyOptions()
    close(S.linear_cross_entropy(x, W, T, options=options), F.cross_entropy(F.linear(x, W), T))
    assert S.LinearCrossEntropyLoss(D, 5, options=options).options == S.LinearCrossEntropyLoss(D, 5).options


def test_the_same_numbers_from_any_number_of_threads():
    """PyTorch's products may differ, so these are of small integers."""
    x, W = random(300, D).round().requires_grad_(), random(V, D, seed=1).round().requires_grad_()
    t, threads, results = torch.arange(300), torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            loss = S.linear_cross_entropy(x, W, t, reduction="none")
            results.append(loss)
            assert torch.get_num_threads() == count
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


# What has no derivative, or is no argument, says so before it computes ------------------------------------------------


def second_of_target(x, W):
    t = P.clone().requires_grad_()
    (g,) = torch.autograd.grad(S.linear_cross_entropy(x, W, t), x, create_graph=True)
    g.sum().backward()


def third(x, W):
    (g,) = torch.autograd.grad(S.linear_cross_entropy(x, W, T), x, create_graph=True)
    (h,) = torch.autograd.grad(g.square().sum(), x, create_graph=True)
    h.sum().backward()


def twice_statistics(x, W):
    (g,) = torch.autograd.grad(S.linear_statistics(x, W, T).entropy.sum(), x, create_graph=True)
    g.square().sum().backward()


FIT = "but these must fit together: input (…, D), linear_weight (V, D), target (…) or (…, V), linear_bias (V,)"
ERRORS = {
    "linear(input)'s target": (
        lambda x, W: S.linear_cross_entropy(x, W, torch.full((N,), V)),
        ValueError,
        "target[0] is 2000, but linear(input) has 2000 classes (0 … 1999)",
    ),
    "sx's target": (
        lambda x, W: sx.linear_cross_entropy(x.view(4, 10, D), W, (T + 5).view(4, 10)),
        ValueError,
        "target[0, 0] is -95, but logits has 2000 classes (0 … 1999)",
    ),
    "shapes": (
        lambda x, W: S.linear_cross_entropy(x, W.T, T),
        ValueError,
        f"input has shape (40, 6), linear_weight has shape (6, 2000), target has shape (40,), {FIT}",
    ),
    "bias": (
        lambda x, W: S.linear_log_prob(x, W, T, linear_bias=W),
        ValueError,
        "input has shape (40, 6), linear_weight has shape (2000, 6), target has shape (40,), "
        f"linear_bias has shape (2000, 6), {FIT}",
    ),
    "dtype": (
        lambda x, W: S.linear_cross_entropy(x, W.long(), T),
        TypeError,
        "linear_weight is int64, but must be float16, bfloat16, float32 or float64",
    ),
    "no tensor": (
        lambda x, W: S.linear_cross_entropy(x, W.tolist(), T),
        TypeError,
        "linear_weight is list, but must be a tensor",
    ),
    "option": (
        lambda x, W: S.linear_cross_entropy(x, W, T, temprature=2),
        TypeError,
        "temprature is not an option; the options are ignore_index, label_smoothing, normalizer, reduction, softcap, "
        "temperature, z_loss",
    ),
    "weight": (
        lambda x, W: S.linear_cross_entropy(x, W, T, weight=torch.ones(3)),
        ValueError,
        "weight has shape (3,), but there are 2000 classes: expected (2000,)",
    ),
    "budget": (
        lambda x, W: S.linear_cross_entropy(x, W, T, memory_budget=9),
        ValueError,
        "memory_budget is 9, but this call holds at least 4201060 bytes",
    ),
    "module's option": (
        lambda x, W: S.LinearCrossEntropyLoss(D, V, temprature=2),
        TypeError,
        "temprature is not an option; the options are empty, ignore_index, label_smoothing, memory_budget, normalizer, "
        "reduction, softcap, temperature, z_loss",
    ),
    "module's sizes": (
        lambda x, W: S.LinearCrossEntropyLoss(D),
        TypeError,
        "in_features or num_classes is missing, but must be given unless linear is",
    ),
    "class weights beside indices": (
        lambda x, W: S.linear_cross_entropy(x, W, T, weight=torch.ones(V).requires_grad_()),
        ValueError,
        "weight requires grad, but cross_entropy has no derivative for it beside class indices; pass weight.detach()",
    ),
    "second of a target": (
        second_of_target,
        ValueError,
        "target requires grad, but linear_cross_entropy has no second derivative for it: call cross_entropy on logits",
    ),
    "third": (
        third,
        ValueError,
        "a last layer in chunks has no further derivatives; compute the logits, and call cross_entropy",
    ),
    "second of statistics": (
        twice_statistics,
        ValueError,
        "a last layer in chunks has no further derivatives; compute the logits, and call cross_entropy",
    ),
    "forward mode of statistics": (
        lambda x, W: torch.func.jvp(lambda x: S.linear_statistics(x, W.detach(), T).lse, (x.detach(),), (x.detach(),)),
        ValueError,
        "linear_statistics has a tangent, but a last layer in chunks has no forward mode for it: compute the logits",
    ),
    "forward mode of a target": (
        lambda x, W: torch.func.jvp(lambda t: S.linear_cross_entropy(x.detach(), W.detach(), t), (P,), (P,)),
        ValueError,
        "target has a tangent, but a last layer in chunks has no forward mode for it: compute the logits",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name):
    f, error, message = ERRORS[name]
    x, W = layer()
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        f(x, W)
    assert x.grad is None
    assert W.grad is None


def test_what_is_small_is_checked_too():
    """And keeps a derivative that chunks have: the normalizer's."""
    x, W = layer()
    t = torch.zeros(len(x), dtype=torch.int64)
    with pytest.raises(TypeError, match=r"^memory_budget is "):
        S.linear_cross_entropy(x, W, t, memory_budget="64 MB")
    count = torch.tensor(3.0, dtype=x.dtype, requires_grad=True)
    loss = S.linear_cross_entropy(x, W, t, normalizer=count)
    torch.testing.assert_close(torch.autograd.grad(loss, count)[0], -(loss / count).detach())
