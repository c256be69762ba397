"""In the places where a loss is used: training, workers, several processes, checkpointing, mixed precision, files."""

import copy
import doctest
import importlib.util
import io
import multiprocessing
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset

import softxent as sx
import softxent.torch as S
from tests.ranks import run_apart

close = torch.testing.assert_close


@pytest.fixture(autouse=True)
def _one_thread():
    """Of PyTorch's: the networks are small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def mlp(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.ReLU(), torch.nn.Linear(32, 5))


def batch(rows=64, seed=1):
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(rows, 8, generator=g)
    return x, (x[:, :5].argmax(1) + torch.randint(2, (rows,), generator=g)) % 5


def losses(criterion, model, steps=50):
    optimizer = torch.optim.AdamW(model.parameters(), 0.01)
    x, t = batch()
    for _ in range(steps):
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        optimizer.step()
        yield loss.item()


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"weight": torch.arange(1.0, 6)}], ids=str)
def test_the_same_loss_curve(options):
    ours, theirs = (list(losses(m.CrossEntropyLoss(**options), mlp())) for m in (S, torch.nn))
    assert ours[-1] < ours[0] / 2
    close(ours, theirs, rtol=1e-3, atol=1e-4)
    close(ours[:3], theirs[:3], rtol=1e-6, atol=1e-6)


def test_the_same_loss_curve_in_place_and_by_micro_batches():
    plain = list(losses(S.cross_entropy, mlp()))
    in_place = list(losses(lambda x, t: S.cross_entropy(x, t, inplace=True), mlp()))
    assert in_place == plain

    def in_two(x, t):
        return sum(S.cross_entropy(a, b, normalizer=len(t)) for a, b in zip(x.chunk(2), t.chunk(2), strict=True))

    close(list(losses(in_two, mlp())), plain, rtol=1e-3, atol=1e-4)


# Processes and threads ------------------------------------------------------------------------------------------------


class Losses(Dataset):
    """Computed where the DataLoader's worker is, without autograd, whose threads PyTorch lets no fork use."""

    def __len__(self):
        return 6

    def __getitem__(self, k):
        x, t = torch.randn(40, 1000, generator=torch.Generator().manual_seed(k)), torch.full((40,), k)
        return sx.cross_entropy_and_grad(x, t)


@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_workers_forked_after_use():
    here = [Losses()[k] for k in range(6)]  # the kernel's threads are running
    there = list(DataLoader(Losses(), batch_size=None, num_workers=2, multiprocessing_context="fork"))
    close(there, here, rtol=0, atol=0)


def test_many_threads_at_once():
    x = torch.randn(200, 500)
    t = torch.randint(500, (200,))
    results = [None] * 8

    def work(k):
        leaf = x.clone().requires_grad_()
        S.cross_entropy(leaf, t).backward()
        results[k] = leaf.grad

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(grad, results[0]) for grad in results)


def a_rank(rank):
    torch.manual_seed(0)
    linear = torch.nn.Linear(8, 5)
    model = torch.nn.parallel.DistributedDataParallel(linear)
    x, t = torch.randn(6, 8), torch.tensor([0, 1, 2, -100, 3, 4])
    mine = slice(0, 2) if rank == 0 else slice(2, 6)  # 2 rows here and 3 there, and one that is ignored
    counted = torch.tensor(float((t[mine] >= 0).sum()))
    torch.distributed.all_reduce(counted)
    loss = S.cross_entropy(model(x[mine]), t[mine], normalizer=counted / 2)  # DDP takes the mean of two
    loss.backward()
    whole = torch.nn.Linear(8, 5)
    whole.load_state_dict(linear.state_dict())
    S.cross_entropy(whole(x), t).backward()
    close(linear.weight.grad, whole.weight.grad)


def test_distributed_data_parallel():
    """The gradient of two processes with unequal numbers of rows is that of one with all."""
    run_apart(a_rank)


# Memory and precision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("way", "most"), [("softxent.torch", 1.1), ("softxent.torch, inplace=True", 0.1)])
def test_peak_memory(way, most):
    """Beyond the logits, in units of them, in a process of its own; PyTorch's own loss takes 3."""
    command = [sys.executable, "-m", "benchmarks.memory", "--rows", "1024", "--classes", "20000", "--way", way]
    root = Path(__file__).parents[1]
    peak, _ = subprocess.check_output(command, cwd=root, encoding="utf-8").split()
    assert float(peak) <= most


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_checkpointing(use_reentrant, reduction):
    x, t = batch()
    grads = []
    for f in (lambda g, x: checkpoint(g, x, use_reentrant=use_reentrant), lambda g, x: g(x)):
        model = mlp()
        f(lambda x, m=model: S.cross_entropy(m(x), t, reduction=reduction), x.requires_grad_()).sum().backward()
        grads.append([p.grad for p in model.parameters()])
    close(*grads)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_mixed_precision(dtype):
    x, t = batch()
    results = []
    for f in (S.cross_entropy, F.cross_entropy):
        model = mlp()
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        with torch.autocast("cpu", dtype):
            loss = f(model(x), t)
        assert loss.dtype == torch.float32
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        results.append([loss.detach(), *(p.detach() for p in model.parameters())])
    close(*results, rtol=0.02, atol=0.002)


def test_small_gradients_in_float16_survive_a_loss_scale():
    x = torch.zeros(4096, 64, dtype=torch.float16, requires_grad=True)
    (S.cross_entropy(x, torch.zeros(4096).long()) * 1024).backward()
    close(x.grad[0, 1].float(), torch.tensor(1024 / 64 / 4096), rtol=1e-3, atol=0)
    x.grad = None
    S.cross_entropy(x, torch.zeros(4096).long()).backward()
    assert x.grad[0, 1] < 2.0**-14  # alone, it is subnormal: digits are lost


# The module -----------------------------------------------------------------------------------------------------------


def test_module_as_pytorchs():
    plain = S.CrossEntropyLoss()
    assert repr(plain) == repr(torch.nn.CrossEntropyLoss()) == "CrossEntropyLoss()"
    assert isinstance(plain, torch.nn.CrossEntropyLoss)
    weighted = S.CrossEntropyLoss(torch.ones(5), label_smoothing=0.1, softcap=30.0, reduction="sum")
    assert repr(weighted) == "CrossEntropyLoss(reduction='sum', label_smoothing=0.1, softcap=30.0)"
    assert list(weighted.state_dict()) == ["weight"]
    assert weighted.double().weight.dtype == torch.float64


@pytest.mark.parametrize("again", ["torch.save", "pickle", "deepcopy", "state_dict"])
def test_module_in_a_file(again):
    module = S.CrossEntropyLoss(torch.arange(1.0, 6), ignore_index=2, z_loss=0.01, normalizer=9.0, empty="zero")
    buffer = io.BytesIO()
    match again:
        case "torch.save":
            torch.save(module, buffer)
            buffer.seek(0)
            copied = torch.load(buffer, weights_only=False)
        case "pickle":
            copied = pickle.loads(pickle.dumps(module))
        case "deepcopy":
            copied = copy.deepcopy(module)
        case "state_dict":
            copied = S.CrossEntropyLoss(torch.zeros(5), **module.options())
            copied.load_state_dict(module.state_dict())
    x, t = torch.randn(64, 5), batch()[1]
    assert repr(copied) == repr(module)
    assert torch.equal(copied(x, t), module(x, t))


# The examples -------------------------------------------------------------------------------------------------------


def example(name):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parents[1] / "examples" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_training_script_has_the_same_curve():
    train = example("train_mlp_torch").train
    ours, theirs = (train(f, epochs=2)[0] for f in (S.cross_entropy, F.cross_entropy))
    close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_softmax_collapse():
    """PyTorch's loss reads 0 for most samples and stalls above 1e-8; this one goes on."""
    module = example("softmax_collapse")
    theirs, ours = (list(module.train(f, 900)) for f in module.LOSSES.values())
    assert max(collapsed for *_, collapsed in theirs) > 0.5
    assert min(true for _, _, true, _ in theirs) > 1e-8
    assert ours[-1][2] < 1e-12
    assert all(loss == true and collapsed == 0 for _, loss, true, collapsed in ours)


def test_the_pages_examples():
    page = Path(__file__).parents[1] / "docs/torch.md"
    failed, tried = doctest.testfile(
        str(page), module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE, encoding="utf-8"
    )
    assert tried
    assert not failed
