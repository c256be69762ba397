"""softxent.torch.parallel within what PyTorch has: DTensor, torch.compile, checkpoints, DDP and FSDP."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import softxent.torch as S  # noqa: E402
from softxent.torch import parallel  # noqa: E402


def data(rows=6, classes=11, features=5):
    g = torch.Generator().manual_seed(0)
    target = torch.randint(classes, (rows,), generator=g)
    target[1] = -100
    x, W, bias = (torch.randn(*shape, generator=g) for shape in ((rows, features), (classes, features), (classes,)))
    return 3 * torch.randn(rows, classes, generator=g), target, x, W, bias, torch.rand(classes, generator=g) + 0.1


MESHES = {}


def mesh_of(shape):
    from torch.distributed.device_mesh import init_device_mesh

    if shape in MESHES:  # groups are made once: all processes count them
        return MESHES[shape]
    return MESHES.setdefault(
        shape, init_device_mesh("cpu", shape, mesh_dim_names=("rows", "classes")[2 - len(shape) :])
    )


def of_dtensors(group, shape, row_axis, options):
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = mesh_of(shape)
    over_rows = [row_axis if row_axis is None else Shard(row_axis)] if len(shape) == 2 else []
    over_rows = [Replicate() if a is None else a for a in over_rows]
    logits, target, x, W, bias, weight = data()
    options = dict(options)
    if options.pop("weighted", False):
        options["weight"] = distribute_tensor(weight, mesh, [Replicate()] * len(shape))
    z = distribute_tensor(logits, mesh, [*over_rows, Shard(1)]).requires_grad_()
    t = distribute_tensor(target, mesh, [*over_rows, Replicate()])
    loss = parallel.cross_entropy(z, t, **options)
    of_loss = loss.full_tensor()
    of_loss.sum().backward()
    x = distribute_tensor(x, mesh, [*over_rows, Replicate()]).requires_grad_()
    W = distribute_tensor(W, mesh, [*[Replicate()] * len(over_rows), Shard(0)]).requires_grad_()
    b = distribute_tensor(bias, mesh, [*[Replicate()] * len(over_rows), Shard(0)]).requires_grad_()
    of_layer = parallel.linear_cross_entropy(x, W, t, linear_bias=b, **options).full_tensor()
    of_layer.sum().backward()
    assert z.grad.placements == z.placements
    assert W.grad.placements == W.placements
    found = of_loss, z.grad, of_layer, x.grad, W.grad, b.grad
    return [(a.full_tensor() if hasattr(a, "full_tensor") else a).detach().numpy() for a in found]


def alone(options):
    logits, target, x, W, bias, weight = data()
    options = dict(options)
    if options.pop("weighted", False):
        options["weight"] = weight
    z, x, W, b = (a.requires_grad_() for a in (logits, x, W, bias))
    of_loss = S.cross_entropy(z, target, **options)
    of_layer = S.linear_cross_entropy(x, W, target, linear_bias=b, **options)
    (of_loss.sum() + of_layer.sum()).backward()
    return [a.detach().numpy() for a in (of_loss, z.grad, of_layer, x.grad, W.grad, b.grad)]


OF_DTENSORS = [
    {"reduction": "none"},
    {"reduction": "sum", "label_smoothing": 0.1},
    {"weighted": True, "z_loss": 0.01},
    {"normalizer": 3.0, "softcap": 5.0},
]


@pytest.mark.parametrize("options", OF_DTENSORS, ids=str)
@pytest.mark.parametrize(("shape", "row_axis"), [((4,), None), ((2, 2), None), ((2, 2), 0)], ids=str)
def test_dtensors(ranks, shape, row_axis, options):
    found = ranks.run(of_dtensors, int(np.prod(shape)), shape, row_axis, options)
    for of_rank in found:
        for got, expected in zip(of_rank, alone(options), strict=True):
            np.testing.assert_allclose(got, expected, 2e-5, 1e-6)


def of_other_dtensors(group):
    """Sequence parallelism; probabilities; statistics and samples."""
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    mesh = mesh_of((2, 2))
    logits, target, x, W, _, _ = data()
    both = [Shard(0), Shard(0)]
    x = distribute_tensor(x, mesh, both).requires_grad_()
    W = distribute_tensor(W, mesh, [Replicate(), Shard(0)]).requires_grad_()
    t = distribute_tensor(target, mesh, both)
    loss = parallel.linear_cross_entropy(x, W, t).full_tensor()
    loss.backward()
    assert x.grad.placements == tuple(both)
    z = distribute_tensor(logits, mesh, [Shard(0), Shard(1)])
    p = distribute_tensor(logits.softmax(1), mesh, [Shard(0), Shard(1)])
    s = parallel.statistics(z, target)  # a plain tensor counts as replicated
    index, log_p = parallel.sample(z, return_log_prob=True)
    found = loss, x.grad, W.grad, parallel.cross_entropy(z, p), *s, log_p - parallel.log_prob(z, index)
    return [(a.full_tensor() if hasattr(a, "full_tensor") else a).detach().numpy() for a in found]


def test_sequences_and_rows_of_dtensors(ranks):
    logits, target, x, W, _, _ = data()
    x.requires_grad_(), W.requires_grad_()
    loss = S.linear_cross_entropy(x, W, target)
    loss.backward()
    s = S.statistics(logits, target)
    expected = loss, x.grad, W.grad, S.cross_entropy(logits, logits.softmax(1)), *s, torch.zeros(6)
    for of_rank in ranks.run(of_other_dtensors, 4):
        for got, alone in zip(of_rank, expected, strict=True):
            np.testing.assert_allclose(got, alone.detach().numpy(), 2e-5, 1e-6)


def wrong_dtensors(group, placements):
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    kinds = {"R": Replicate(), "S0": Shard(0), "S1": Shard(1)}
    z = distribute_tensor(torch.zeros(4, 8), mesh_of((2, 2)), [kinds[k] for k in placements])
    return parallel.cross_entropy(z, torch.zeros(4, dtype=torch.int64))


@pytest.mark.parametrize(
    ("placements", "problem"),
    [
        (["S0", "R"], "but one must be Shard(1), of its classes; whole classes are for softxent.torch's functions"),
        (["S1", "S1"], "but its classes must be split over one dimension of the mesh; redistribute it, or flatten"),
    ],
)
def test_dtensors_that_do_not_split_classes(ranks, placements, problem):
    for kind, said in ranks.errors(wrong_dtensors, 4, placements):
        assert kind == "InputError"
        assert problem in said


# torch.compile, checkpoints, DDP and FSDP -----------------------------------------------------------------------------


def slice_of(a, group, axis=0):
    rank, size = torch.distributed.get_rank(group), torch.distributed.get_world_size(group)
    each = -(-a.shape[axis] // size)
    return a.narrow(axis, min(a.shape[axis], rank * each), max(0, min(each, a.shape[axis] - rank * each))).clone()


def through(group, how):
    """The loss and its gradients, of logits and of a layer."""
    logits, target, x, W, _, _ = data()

    def of_both(z, h, W):
        s = parallel.statistics(2 * z, target, group, vocab_total=11)
        loss = parallel.cross_entropy(2 * z, target, group, vocab_total=11)
        layer = parallel.linear_cross_entropy(h.tanh(), W, target, group, vocab_total=11, label_smoothing=0.1)
        return loss + s.entropy.sum() + layer

    given = slice_of(logits, group, 1), x, slice_of(W, group)
    for a in given:
        a.requires_grad_()
    if how == "compile":
        loss = torch.compile(of_both, fullgraph=True, backend="aot_eager")(*given)
    elif how == "checkpoint":
        loss = torch.utils.checkpoint.checkpoint(of_both, *given, use_reentrant=False)
    else:
        loss = of_both(*given)
    loss.backward()
    return [a.detach().numpy() for a in (loss, *(a.grad for a in given))]


@pytest.mark.parametrize("how", ["compile", "checkpoint"])
def test_the_same_bits_through(ranks, how):
    for direct, other in zip(ranks.run(through, 2, ""), ranks.run(through, 2, how), strict=True):
        for a, b in zip(direct, other, strict=True):
            np.testing.assert_array_equal(a, b)


class Model(torch.nn.Module):
    """A layer whose classes are split over a group, behind one that is not."""

    def __init__(self, group):
        super().__init__()
        torch.manual_seed(0)
        self.group, self.hidden = group, torch.nn.Linear(5, 5)
        self.weight = torch.nn.Parameter(slice_of(data()[3], group))

    def forward(self, x, t, count):
        h = torch.tanh(self.hidden(x))
        return parallel.linear_cross_entropy(h, self.weight, t, self.group, vocab_total=11, normalizer=count)


def in_data_parallel(group, how):
    """Two pairs of ranks have other rows; the ranks of a pair have other classes."""
    import torch.distributed as dist

    mesh = mesh_of((2, 2))
    of_rows, of_classes = mesh.get_group("rows"), mesh.get_group("classes")
    _, target, x, _, _, _ = data()
    part = slice(0, 4) if mesh.get_local_rank("rows") == 0 else slice(4, 6)
    model = Model(of_classes)
    count = parallel.global_count(target[part], of_rows)
    if how == "DDP":
        wrapped = torch.nn.parallel.DistributedDataParallel(model, process_group=of_rows)
    else:
        from torch.distributed.fsdp import fully_shard

        wrapped = fully_shard(model, mesh=mesh["rows"])
    loss = wrapped(x[part], target[part], count)
    (loss * 2).backward()  # the mean over the two pairs is the sum, halved
    total = loss.detach().clone()
    dist.all_reduce(total, group=of_rows)
    found = [model.hidden.weight.grad, model.weight.grad]
    return [a.full_tensor().numpy() if hasattr(a, "full_tensor") else a.numpy() for a in [total, *found]]


@pytest.mark.parametrize("how", ["DDP", "FSDP"])
def test_data_parallel_around(ranks, how):
    found = ranks.run(in_data_parallel, 4, how)
    _, target, x, W, _, _ = data()
    torch.manual_seed(0)
    hidden, W = torch.nn.Linear(5, 5), W.requires_grad_()
    loss = S.linear_cross_entropy(torch.tanh(hidden(x)), W, target)
    loss.backward()
    for k, (total, of_hidden, of_weight) in enumerate(found):
        np.testing.assert_allclose(total, loss.item(), 1e-5)
        np.testing.assert_allclose(of_hidden, hidden.weight.grad.numpy(), 2e-5, 1e-6)
        np.testing.assert_allclose(of_weight, W.grad[6 * (k % 2) :][:6].numpy(), 2e-5, 1e-6)


def twice(group):
    x = torch.randn(4, 3, requires_grad=True)
    loss = parallel.cross_entropy(x, torch.zeros(4, dtype=torch.int64), group)
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    grad.sum().backward()


def test_second_derivatives_are_an_error(ranks):
    for kind, said in ranks.errors(twice, 2):
        assert kind == "InputError"
        assert said.startswith("softxent.torch.parallel has first derivatives only")


def of_probabilities(group):
    logits, _, _, _, _, weight = data()
    part = lambda a, axis: slice_of(a, group, axis).requires_grad_()  # noqa: E731
    z, p, w = part(logits, 1), part(logits.softmax(1), 1), part(weight, 0)
    loss = parallel.cross_entropy(z, p, group, vocab_total=11, weight=w, label_smoothing=0.2)
    loss.backward()
    return [a.numpy() for a in (z.grad, p.grad, w.grad)]


def test_gradients_of_probabilities_and_weights(ranks):
    found = ranks.run(of_probabilities, 3)
    logits, _, _, _, _, weight = data()
    z, p, w = (a.detach().requires_grad_() for a in (logits, logits.softmax(1), weight))
    S.cross_entropy(z, p, w, label_smoothing=0.2).backward()
    for of_all, expected in zip(zip(*found, strict=True), (z, p, w), strict=True):
        got = np.concatenate(of_all, axis=-1)
        np.testing.assert_allclose(got, expected.grad.numpy(), 2e-6, 1e-7)


def test_the_pages_table():
    page = Path(__file__).parents[1] / "docs/parallel.md"
    failed, tried = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert tried
    assert not failed
