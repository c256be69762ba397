"""A last layer on a GPU, or as on one in Triton's interpreter: beside the CPU's, without waiting, within its memory."""

import contextlib

import pytest
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves

import softxent as sx
import softxent.torch as S
from softxent import checks
from softxent.linear import Truncation, plan
from softxent.options import LossOptions
from softxent.torch import devices
from softxent.torch.calls import Call
from softxent.torch.checks import LAYERS
from softxent.torch.linear_layer import layer as layers
from softxent.torch.linear_layer import on_gpu, products, second
from tests.triton_kernels import DEVICE, cuda

pytestmark = pytest.mark.gpu
close = torch.testing.assert_close
N, D, V = 11, 4, 37


@pytest.fixture(autouse=True)
def way(request, monkeypatch):
    """Chunks of 8 rows or, of 16 bits, of all, in pieces of 3."""
    budget = 10**6 if getattr(request, "param", "chunks") == "whole" else 8 * 2 * V + 3 * 4 * V
    for name, value in {"ON_GPU": budget, "AT_ONCE": 3, "AT_ONCE_NUMBERS": 1, "TILE": 4, "OF_PRODUCT": 600}.items():
        monkeypatch.setattr(plan, name, value)
    monkeypatch.setattr(on_gpu, "OF_PRODUCT", 200)
    plan.remembered_plan.cache_clear()
    yield
    plan.remembered_plan.cache_clear()


both_ways = pytest.mark.parametrize("way", ["chunks", "whole"], indirect=True)


@contextlib.contextmanager
def like_a_gpu():
    """Lets tensors on the CPU go the way of those on a GPU, where there is none."""
    with pytest.MonkeyPatch.context() as patch:
        if DEVICE == "cpu":
            patch.setattr(devices, "cpu", cuda)
        yield


def random(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def arguments(dtype, bias=True):
    found = [random(N, D, dtype=dtype), random(V, D, dtype=dtype, seed=1)]
    return [*found, random(V, dtype=dtype, seed=2)] if bias else found


HARD = torch.randint(V, (N,), generator=torch.Generator().manual_seed(3))
TARGETS = {
    "hard": HARD,
    "ignored": torch.where(torch.arange(N) % 3 == 0, -100, HARD),
    "soft": random(N, V, seed=4).softmax(1),
}
WEIGHT = random(V, seed=5).abs()
OPTIONS = {
    "no option": {},
    "ε": {"label_smoothing": 0.1},
    "w": {"weight": WEIGHT},
    "c, T": {"softcap": 2.0, "temperature": 0.7},
    "λ": {"z_loss": 0.1},
    "everything": {"label_smoothing": 0.2, "weight": WEIGHT, "softcap": 3.0, "temperature": 1.5, "z_loss": 0.01},
}


def moved(a, device, dtype=None):
    return a.to(device, dtype if a.is_floating_point() else None).clone() if isinstance(a, torch.Tensor) else a


def step(device, given, target, upstream=None, dtype=None, **options):
    """The loss and the gradients of upstream · loss."""
    leaves = [moved(a, device, dtype).requires_grad_() for a in given]
    options = {name: moved(a, device, dtype) for name, a in options.items()}
    bias = leaves[2] if len(leaves) > 2 else None
    target = moved(target, device, dtype)
    loss = S.linear_cross_entropy(*leaves[:2], target, linear_bias=bias, **options)
    if upstream is None:
        upstream = random(*loss.shape, dtype=torch.float64, seed=8)
    return [loss.detach(), *torch.autograd.grad(loss, leaves, moved(upstream, device, loss.dtype))]


def beside_float64(given, target, upstream=None, **options):
    """On a GPU, and on the CPU in float64."""
    with like_a_gpu():
        got = step(DEVICE, given, target, upstream, **options)
    return [a.cpu() for a in got], step("cpu", given, target, upstream, torch.float64, **options)


def assert_close(got, expected, eps):
    """Relative to the largest number of each: the rounding of products."""
    for a, e in zip(got, expected, strict=True):
        close(a.double(), e, rtol=4 * eps, atol=4 * eps * float(e.abs().max()), equal_nan=True)


# Loss and gradients ---------------------------------------------------------------------------------------------------

CASES = [
    (options, target, ["mean", "sum", "none"][(k + n) % 3])
    for k, options in enumerate(OPTIONS)
    for n, target in enumerate(TARGETS)
]


@pytest.mark.parametrize(("options", "target", "reduction"), CASES)
def test_gradients(options, target, reduction):
    given = {**OPTIONS[options], "reduction": reduction}
    assert_close(*beside_float64(arguments(torch.float32), TARGETS[target], **given), 1e-6)


@both_ways
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_dtypes(dtype, reduction):
    got, expected = beside_float64(arguments(dtype), TARGETS["ignored"], reduction=reduction, z_loss=0.1)
    assert {a.dtype for a in got} == {dtype}
    assert_close(got, expected, torch.finfo(dtype).eps)


def test_no_bias_and_any_leading_shape():
    x, W = arguments(torch.bfloat16, bias=False)
    with like_a_gpu():
        got = step(DEVICE, (x[:8].reshape(2, 4, D), W), HARD[:8].reshape(2, 4), torch.tensor(1.0))
    expected = step("cpu", (x[:8], W), HARD[:8], torch.tensor(1.0), torch.float64)
    assert_close([got[0].cpu(), got[1].cpu().reshape(8, D), got[2].cpu()], expected, torch.finfo(torch.bfloat16).eps)


@both_ways
@pytest.mark.parametrize("frozen", [(0,), (1,), (0, 1)])
def test_what_is_frozen(frozen):
    x, W, b = arguments(torch.bfloat16)
    results = []
    for device, way in ((DEVICE, like_a_gpu()), ("cpu", contextlib.nullcontext())):
        leaves = [moved(a, device).requires_grad_(k not in frozen) for k, a in enumerate((x, W, b))]
        with way:
            S.linear_cross_entropy(*leaves[:2], moved(HARD, device), linear_bias=leaves[2]).backward()
        results.append([a.grad.cpu() for k, a in enumerate(leaves) if k not in frozen])
    assert_close(results[0], [a.double() for a in results[1]], torch.finfo(torch.bfloat16).eps)


def test_mixed_dtypes():
    x, W = random(N, D, dtype=torch.bfloat16), random(V, D, seed=1)
    got, expected = beside_float64((x, W), HARD, torch.tensor(1.0))
    assert [a.dtype for a in got] == [torch.float32, torch.bfloat16, torch.float32]
    assert_close(got, expected, torch.finfo(torch.bfloat16).eps)


def test_autocast():
    x, W = (moved(a, DEVICE).requires_grad_() for a in arguments(torch.float32, bias=False))
    with like_a_gpu(), torch.autocast(DEVICE, torch.bfloat16):
        loss = S.linear_cross_entropy(x, W, HARD.to(DEVICE))
    loss.backward()
    assert [a.dtype for a in (loss, x.grad, W.grad)] == [torch.float32] * 3
    expected = step("cpu", [a.detach().bfloat16() for a in (x, W)], HARD, torch.tensor(1.0), torch.float64)
    assert_close([a.cpu().detach() for a in (loss, x.grad, W.grad)], expected, torch.finfo(torch.bfloat16).eps)


@both_ways
def test_gradients_smaller_than_float16_are_rounded_after_the_upstream_gradient():
    """As GradScaler's 65536: 0 where they were rounded before."""
    given = arguments(torch.float16)
    got, expected = beside_float64(given, HARD, torch.tensor(65504.0), normalizer=1e7)
    assert got[2].count_nonzero() == V * D
    for a, e in zip(got[1:], expected[1:], strict=True):
        close(a.double(), e, rtol=0.02, atol=float(e.abs().max()) / 500)


@both_ways
def test_the_upstream_gradient_costs_no_rounding():
    """The gradients for 3 are those for 1, in float32, times 3: with a weight of 1 a row and class alone, ±1, …, ±3."""
    x, W = torch.eye(4, dtype=torch.bfloat16), torch.zeros(2, 4, dtype=torch.bfloat16)
    with like_a_gpu():
        got = step(DEVICE, (x, W), torch.tensor([0, 0, 1, 1]), torch.tensor(3.0), reduction="sum")
    assert got[2].tolist() == [[-1.5, -1.5, 1.5, 1.5], [1.5, 1.5, -1.5, -1.5]]


def test_pytorch_that_adds_no_product_of_16_bits_to_float32(monkeypatch):
    monkeypatch.setattr(on_gpu, "ADDS", False)
    got, expected = beside_float64(arguments(torch.bfloat16), HARD)
    assert_close(got, expected, torch.finfo(torch.bfloat16).eps)


def test_retained_and_scaled():
    leaves = [moved(a, DEVICE).requires_grad_() for a in arguments(torch.float32)]
    with like_a_gpu():
        loss = S.linear_cross_entropy(*leaves[:2], HARD.to(DEVICE), linear_bias=leaves[2])
        (2 * loss).backward(retain_graph=True)
        first = [a.grad.clone() for a in leaves]
        (2 * loss).backward()
    close([a.grad for a in leaves], [2 * a for a in first])


@pytest.mark.parametrize("empty", ["zero", "nan"])
def test_nothing_counted(empty):
    given = [moved(a, DEVICE).requires_grad_() for a in arguments(torch.float32, bias=False)]
    with like_a_gpu():
        loss = S.linear_cross_entropy(*given, torch.full((N,), -100, device=DEVICE), empty=empty)
        loss.backward()
    assert loss.isnan() if empty == "nan" else loss == 0
    assert not any(a.grad.any() for a in given)


@pytest.mark.parametrize("normalizer", [7.0, torch.tensor(7.0), torch.tensor(0.0)])
def test_normalizer(normalizer):
    given = arguments(torch.float32)
    got, expected = beside_float64(given, TARGETS["ignored"], torch.tensor(2.0), normalizer=normalizer, empty="zero")
    assert_close(got, expected, 1e-6)


def test_derivatives_of_probabilities():
    results = []
    for device, way in ((DEVICE, like_a_gpu()), ("cpu", contextlib.nullcontext())):
        x, W, b = (moved(a, device) for a in arguments(torch.float32))
        leaves = [moved(a, device).requires_grad_() for a in (TARGETS["soft"], WEIGHT)]
        with way:
            loss = S.linear_cross_entropy(x, W, leaves[0], linear_bias=b, weight=leaves[1], label_smoothing=0.1)
            results.append([a.cpu() for a in (loss.detach(), *torch.autograd.grad(loss, leaves))])
    close(*results)


def test_second_derivatives():
    results = []
    for device, way in ((DEVICE, like_a_gpu()), ("cpu", contextlib.nullcontext())):
        leaves = [moved(a, device).requires_grad_() for a in arguments(torch.float64)]
        with way:
            loss = S.linear_cross_entropy(*leaves[:2], moved(TARGETS["ignored"], device), linear_bias=leaves[2])
            grads = torch.autograd.grad(loss, leaves, create_graph=True)
            results.append([a.cpu() for a in torch.autograd.grad(sum(a.square().sum() for a in grads), leaves)])
    close(*results)


@both_ways
def test_of_arrays_and_modules():
    x, W, b = arguments(torch.bfloat16)
    t, given = TARGETS["ignored"], [moved(a, DEVICE) for a in (x, W)]
    expected = step("cpu", (x, W, b), t, torch.tensor(1.0), torch.float64)
    with like_a_gpu():
        loss, grads = sx.linear_cross_entropy_and_grad(*given, t.to(DEVICE), b.to(DEVICE))
        assert_close([a.cpu() for a in (loss, *grads)], expected, torch.finfo(torch.bfloat16).eps)
        total, _ = sx.linear_cross_entropy_and_grad(*given, t.to(DEVICE), b.to(DEVICE), reduction="sum")
        close(total.cpu(), sx.linear_cross_entropy(*given, t.to(DEVICE), b.to(DEVICE), reduction="none").sum().cpu())
        module = S.LinearCrossEntropyLoss(D, V, device=DEVICE, dtype=torch.bfloat16)
        module(given[0], t.to(DEVICE)).backward()
    assert module.linear.weight.grad.any()


# A number a row -------------------------------------------------------------------------------------------------------


@both_ways
@pytest.mark.parametrize("options", [{}, {"softcap": 2.0, "temperature": 0.7}, {"temperature": 3.0}], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_statistics_and_their_gradients(options, dtype):
    results = []
    u = random(3, N, dtype=torch.float64, seed=9)
    for device, way, wide in ((DEVICE, like_a_gpu(), dtype), ("cpu", contextlib.nullcontext(), torch.float64)):
        leaves = [moved(a, device, wide).requires_grad_() for a in arguments(dtype)]
        t = moved(TARGETS["ignored"], device)
        with way:
            found = S.linear_statistics(*leaves[:2], t, linear_bias=leaves[2], **options)
            upstream = [moved(a, device, column.dtype) for a, column in zip(u, found, strict=False)]
            grads = torch.autograd.grad(found[:3], leaves, upstream)
            log_p = S.linear_log_prob(*leaves[:2], t, linear_bias=leaves[2], **options)
        results.append([a.detach().cpu() for a in (*found, log_p, *grads)])
    for a, e in zip(results[0][3:5], results[1][3:5], strict=True):
        assert torch.equal(a, e)
    floats = [[*found[:3], found[5]] for found in results]
    assert_close(*floats, 1e-6)
    assert_close(results[0][6:], results[1][6:], max(1e-6, torch.finfo(dtype).eps))


CUTS = {"all": {}, "top_k": {"top_k": 3}, "top_p": {"top_p": 0.7}, "min_p": {"min_p": 0.2}}


@pytest.mark.parametrize("options", [{}, {"softcap": 2.0, "temperature": 0.7}], ids=str)
@pytest.mark.parametrize("cut", CUTS)
def test_sample(cut, options):
    """By the same uniform numbers as the CPU."""
    u, results = torch.rand(N, dtype=torch.float64, generator=torch.Generator().manual_seed(0)), []
    call = Call(1, LossOptions(reduction="none", ignore_index=-1, **options), torch.float32, "nan", LAYERS)
    truncation = Truncation(*checks.truncation(*({"top_k": None, "top_p": None, "min_p": None} | CUTS[cut]).values()))
    for device, way in ((DEVICE, like_a_gpu()), ("cpu", contextlib.nullcontext())):
        with way:
            given = tuple(moved(a, device) for a in arguments(torch.float32))
            results.append([a.cpu() for a in layers.sample(given, moved(u, device), truncation, -1, call)])
    close(*results)
    with like_a_gpu():
        x, W, b = (moved(a, DEVICE) for a in arguments(torch.float32))
        index, log_p = S.linear_sample(x, W, linear_bias=b, return_log_prob=True, **options, **CUTS[cut])
        close(log_p, S.linear_log_prob(x, W, index, linear_bias=b, **options))


def test_masked_classes_and_a_softcap():
    x, W, b = arguments(torch.float32)
    b[5:30] = -torch.inf
    got, expected = beside_float64((x, W, b), torch.where(HARD < 30, 1, HARD), torch.tensor(1.0), softcap=2.0)
    assert_close(got, expected, 1e-6)
    with like_a_gpu():
        x, W, b = (moved(a, DEVICE) for a in (x, W, b))
        index = S.linear_sample(x.repeat(20, 1), W, linear_bias=b, softcap=2.0)
    assert not ((index >= 5) & (index < 30)).any()


@pytest.mark.skipif(DEVICE == "cuda", reason="a failed assertion on a GPU ends its process's use of it")
def test_assertions_on_the_device():
    x, W = arguments(torch.float32, bias=False)
    with like_a_gpu():
        with pytest.raises(RuntimeError, match="without probabilities"):
            S.linear_sample(x * torch.nan, W)
        with pytest.raises(Exception, match="target is no class"):
            S.linear_cross_entropy(x, W, torch.full((N,), V))
        with pytest.raises(Exception, match="target is no class"):
            S.linear_statistics(x, W, torch.full((N,), -1))


# Nothing waits --------------------------------------------------------------------------------------------------------

ASKING = ("item", "tolist", "nonzero", "__bool__", "__int__", "__float__", "__index__", "is_nonzero", "equal", "cpu")
SYNCS = {f"aten::{name}" for name in ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select")}


@pytest.fixture
def no_waiting(monkeypatch):
    """Fails where a number of a tensor is asked for, outside of the interpreter."""
    originals = {name: getattr(torch.Tensor, name) for name in ASKING}
    launch = cuda.launch

    def refused(*_, **__):
        raise AssertionError("waits for the device")

    def allowed(*given, **named):
        with pytest.MonkeyPatch.context() as patch, _disable_current_modes():
            for name, method in originals.items():
                patch.setattr(torch.Tensor, name, method)
            launch(*given, **named)

    monkeypatch.setattr(cuda, "launch", allowed)
    for name in ASKING:
        monkeypatch.setattr(torch.Tensor, name, refused)


class NoSync(TorchDispatchMode):
    def __torch_dispatch__(self, f, types, given=(), named=None):
        name = f._schema.name
        masks = name in ("aten::index", "aten::index_put_") and any(
            a is not None and a.dtype == torch.bool for a in given[1]
        )
        waits = masks or name in SYNCS
        assert not waits, f"{name} waits for the device"
        return f(*given, **(named or {}))


PUBLIC = {
    "mean": lambda x, W, b, t: S.linear_cross_entropy(x, W, t, linear_bias=b, weight=WEIGHT.to(x)).backward(),
    "none": lambda x, W, b, t: (
        S.linear_cross_entropy(x, W, t, linear_bias=b, reduction="none", softcap=2.0).sum().backward()
    ),
    "loss": lambda x, W, b, t: S.linear_cross_entropy(x.detach(), W.detach(), t, label_smoothing=0.1),
    "normalizer": lambda x, W, b, t: S.linear_cross_entropy(x, W, t, normalizer=t.new_tensor(3.0)).backward(),
    "sx": lambda x, W, b, t: sx.linear_cross_entropy_and_grad(x, W, t, b),
    "log_prob": lambda x, W, b, t: S.linear_log_prob(x, W, t, linear_bias=b).sum().backward(),
    "statistics": lambda x, W, b, t: sum(a.sum() for a in S.linear_statistics(x, W, t, softcap=2.0)[:3]).backward(),
    "second": lambda x, W, b, t: sum(
        a.square().sum() for a in torch.autograd.grad(S.linear_cross_entropy(x, W, t), (x, W), create_graph=True)
    ).backward(),
    "sample": lambda x, W, b, t: S.linear_sample(x, W, linear_bias=b, top_k=9, top_p=0.9, min_p=0.01, softcap=2.0),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", PUBLIC)
def test_nothing_is_asked_of_a_tensor(name, dtype, no_waiting):
    given = [moved(a, DEVICE).requires_grad_() for a in arguments(dtype)]
    t = TARGETS["ignored"].to(DEVICE)
    with like_a_gpu():
        PUBLIC[name](*given, t)


def call(**options):
    return Call(1, LossOptions(**options), torch.float32, "nan", LAYERS)


ONE = torch.tensor(1.5)
INNER = {
    "ahead": lambda g: layers.loss_ahead(g, [True] * 3, -1, call())[1](ONE.to(g[0])),
    "gradients": lambda g: layers.gradients(g, ONE.to(g[0]), [True] * 3, -1, call()),
    "of rows": lambda g: layers.gradients(g, g[0][:, 0], [True] * 3, -1, call(reduction="none")),
    "of arrays": lambda g: layers.loss_and_gradients(g, -1, call()),
    "loss": lambda g: layers.loss(g, -1, call(reduction="none")),
    "statistics": lambda g: layers.statistics(g, -1, call(reduction="none", softcap=2.0)),
    "statistics_gradients": lambda g: second.statistics_gradients(
        g, [g[0][:, 0]] * 3, [True] * 3, -1, call(reduction="none")
    ),
    "sample": lambda g: layers.sample(
        g[:3], g[0][:, 0].double().sigmoid(), Truncation(9, 0.9, 0.01), -1, call(reduction="none", ignore_index=-1)
    ),
}


@both_ways
@pytest.mark.parametrize("name", INNER)
def test_no_operation_waits(name, no_waiting):
    x, W, b = (moved(a, DEVICE) for a in arguments(torch.bfloat16))
    t, w = TARGETS["ignored"].to(DEVICE), None if name in ("statistics", "statistics_gradients") else WEIGHT.to(DEVICE)
    with like_a_gpu(), NoSync():
        INNER[name]((x, W, b, t, w))


needs_gpu = pytest.mark.skipif(DEVICE == "cpu", reason="needs a GPU")


@needs_gpu
@pytest.mark.parametrize("name", PUBLIC)
def test_pytorch_finds_nothing_that_waits(name):
    given = [moved(a, DEVICE).requires_grad_() for a in arguments(torch.bfloat16)]
    t = TARGETS["ignored"].to(DEVICE)
    PUBLIC[name](*given, t)  # compiles
    torch.cuda.set_sync_debug_mode("error")
    try:
        PUBLIC[name](*given, t)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# Memory ---------------------------------------------------------------------------------------------------------------


class Peak(TorchDispatchMode):
    """The most bytes of tensors at a time that were made here."""

    def __init__(self, *given):
        super().__init__()
        self.known = {a.untyped_storage()._cdata for a in given}
        self.held, self.most = {}, 0

    def __torch_dispatch__(self, f, types, given=(), named=None):
        results = f(*given, **(named or {}))
        for a in tree_leaves(results):
            if isinstance(a, torch.Tensor) and a.untyped_storage()._cdata not in self.known:
                storage = a.untyped_storage()
                self.held[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.held = {k: (ref, size) for k, (ref, size) in self.held.items() if not ref.expired()}
        self.most = max(self.most, sum(size for _, size in self.held.values()))
        return results


def measured(monkeypatch, f, rows, features, classes, dtype):
    """Bytes beyond arguments and results, by tensors without numbers; and what the kernels and products are given."""
    monkeypatch.undo()  # of the chunks of other tests
    plan.remembered_plan.cache_clear()
    for module in (layers, products):
        monkeypatch.setattr(module, "waits", lambda _: False)
    monkeypatch.setattr(products, "kernels_of", lambda _: cuda)
    monkeypatch.setattr(cuda, "launch", lambda *_, **__: None)
    shapes = []
    monkeypatch.setattr(on_gpu, "wide_product", lambda a, b, out: shapes.append((*a.shape, b.shape[1])))
    monkeypatch.setattr(on_gpu, "add_wide_product", lambda a, b, to: shapes.append((*a.shape, b.shape[1])))
    x, W = (torch.empty(n, features, dtype=dtype, device="meta") for n in (rows, classes))
    t = torch.zeros(rows, dtype=torch.int64, device="meta")
    with Peak(x, W, t) as peak:
        results = f((x, W, None, t, None))
    return peak.most - sum(a.nbytes for a in tree_leaves(results) if a is not None), shapes


WORK = {
    "loss and gradients": lambda g: layers.loss_ahead(g, [True, True, False], -1, call())[1](g[0].new_ones(())),
    "gradients": lambda g: layers.gradients(g, g[0].new_ones(()), [True, True, False], -1, call()),
    "loss": lambda g: layers.loss(g, -1, call()),
    "statistics": lambda g: layers.statistics(g, -1, call(reduction="none")),
}
LAYER = (8192, 4096, 131072)


@pytest.mark.parametrize("work", WORK)
def test_memory_of_a_large_layer(work, monkeypatch):
    held, shapes = measured(monkeypatch, WORK[work], *LAYER, torch.bfloat16)
    of_gradients = "gradients" in work
    found = sx.linear_plan(*LAYER, cast=True, gradients=of_gradients, on_gpu=True)
    assert held <= found.bytes + 2**20
    assert held <= 2.2e9
    rows, features, classes = LAYER
    assert min(m for m, k, n in shapes if n == classes) >= 256  # x·Wᵀ at full speed
    if of_gradients:
        assert sum(m * k * n for m, k, n in shapes) == 3 * rows * features * classes
        assert {k for m, k, n in shapes if n == features} == {rows, classes}  # whole sums, so that none is read again
        assert min(m for m, k, n in shapes if n == features) == 2048


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", [(8192, 3584, 256000), (16384, 4096, 131072), (4096, 768, 50257), (300, 64, 10**6)])
def test_memory_is_that_of_the_plan(shape, dtype, monkeypatch):
    held, shapes = measured(monkeypatch, WORK["loss and gradients"], *shape, dtype)
    cast = dtype == torch.bfloat16
    assert held <= sx.linear_plan(*shape, cast=cast, on_gpu=True).bytes + 2**20
    assert not cast or sum(m * k * n for m, k, n in shapes) == 3 * shape[0] * shape[1] * shape[2]


@pytest.mark.parametrize("cast", [False, True])
def test_a_budget_is_kept_and_its_least_named(cast):
    with pytest.raises(ValueError, match=r"^memory_budget is 5, but this call holds at least \d+ bytes$") as error:
        sx.linear_plan(*LAYER, cast=cast, memory_budget=5, on_gpu=True)
    least = int(str(error.value).split()[-2])
    for budget in (least, least + 2**20, 4 * least):
        assert sx.linear_plan(*LAYER, cast=cast, memory_budget=budget, on_gpu=True).bytes <= budget


@needs_gpu
@pytest.mark.parametrize("rows", [2048, 8192])  # G of all rows, and of chunks
def test_memory_on_a_gpu(rows, monkeypatch):
    monkeypatch.undo()
    plan.remembered_plan.cache_clear()
    x, W = (torch.randn(n, 1024, dtype=torch.bfloat16, device=DEVICE).requires_grad_() for n in (rows, 128000))
    t = torch.randint(128000, (rows,), device=DEVICE)
    for _ in range(2):  # cuBLAS keeps its room
        x.grad = W.grad = None
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        S.linear_cross_entropy(x, W, t).backward()
        held = torch.cuda.max_memory_allocated() - before - x.nbytes - W.nbytes
    assert held <= sx.linear_plan(rows, 1024, 128000, cast=True, on_gpu=True).bytes + 2**22
