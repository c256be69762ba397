"""How the ranks of softxent.torch.parallel meet: errors, which all of them raise, collectives and bytes."""

from __future__ import annotations

import re
from contextlib import contextmanager

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import softxent.torch  # noqa: E402
from softxent.torch import parallel  # noqa: E402
from tests.ranks import Ranks  # noqa: E402


def rank_of(group):
    return torch.distributed.get_rank(group)


# Errors on every rank ------------------------------------------------------------------------------------------------


def disagreeing(group, call, of_ranks):
    """A call whose arguments differ from rank to rank."""
    given = {
        "rows": 4,
        "held": 5,
        "start": None,
        "total": None,
        "dtype": "float32",
        "target": 1,
        **of_ranks[rank_of(group)],
    }
    x = torch.zeros(given.pop("rows"), given.pop("held"), dtype=getattr(torch, given.pop("dtype")))
    target = torch.full(x.shape[:1], given.pop("target"))
    if x.dtype == torch.int64:
        target = target[:2]
    start, total, count = given.pop("start"), given.pop("total"), given.pop("count", None)
    if count is not None:
        target = target[:count]
    call = getattr(parallel, call)
    if call is parallel.sample:
        return call(x, group, start, total, **given)
    return call(x, target, group, start, total, **given)


DISAGREEMENTS = [
    ([{}, {"rows": 3}], "the shape of rows is [4] on rank 0, but [3] on rank 1"),
    ([{}, {"dtype": "float64"}], "the dtype is float32 on rank 0, but float64 on rank 1"),
    ([{"total": 10}, {"total": 11, "held": 6, "start": 5}], "vocab_total is 10 on rank 0, but 11 on rank 1"),
    ([{"label_smoothing": 0.1}, {"label_smoothing": 0.2}], "label_smoothing is 0.1 on rank 0, but 0.2 on rank 1"),
    ([{"softcap": 30.0}, {}], "softcap is 30.0 on rank 0, but None on rank 1"),
    ([{"reduction": "sum"}, {}], "reduction is sum on rank 0, but mean on rank 1"),
    (
        [{"z_loss": 0.1}, {"temperature": 2.0}],
        "temperature is 1.0 on rank 0, but 2.0 on rank 1; z_loss is 0.1 on rank 0, but 0.0 on rank 1",
    ),
    ([{}, {}, {"rows": 9}], "the shape of rows is [4] on rank 0, but [9] on rank 2"),
]  # fmt: skip


@pytest.mark.parametrize(("of_ranks", "differences"), DISAGREEMENTS, ids=lambda a: a if isinstance(a, str) else "")
def test_ranks_that_disagree(ranks, of_ranks, differences):
    found = ranks.errors(disagreeing, len(of_ranks), "cross_entropy", of_ranks)
    assert {kind for kind, _ in found} == {"InputError"}
    assert len(set(found)) == 1
    name = "'default_pg'" if len(of_ranks) == 4 else r"'\d+'"
    message = f"cross_entropy: {re.escape(differences)}: the ranks of group {name} of {len(of_ranks)} ranks must agree"
    assert re.fullmatch(message, found[0][1])


SLICES = [  # (first class, how many) of each rank, and the number of all
    ([(0, 5), (6, 4)], 10, "classes 5 … 5 of 10 belong to no rank", "rank 0 [0, 5), rank 1 [6, 10)"),
    ([(0, 5), (3, 5)], 10, "classes 3 … 4 of 10 belong to both rank 0 and rank 1", "rank 0 [0, 5), rank 1 [3, 8)"),
    ([(0, 5), (5, 5)], 12, "classes 10 … 11 of 12 belong to no rank", "rank 0 [0, 5), rank 1 [5, 10)"),
    ([(0, 0), (2, 0)], 3, "classes 0 … 2 of 3 belong to no rank", "rank 0 [0, 0), rank 1 [2, 2)"),
]


@pytest.mark.parametrize("call", ["cross_entropy", "statistics", "sample"])
@pytest.mark.parametrize(("slices", "total", "problem", "held"), SLICES, ids=str)
def test_slices_that_do_not_meet(ranks, call, slices, total, problem, held):
    of_ranks = [{"start": start, "held": count, "total": total} for start, count in slices]
    found = ranks.errors(disagreeing, 2, call, of_ranks)
    assert len(set(found)) == 1
    assert re.fullmatch(f"{call}: {problem} of group '\\d+' of 2 ranks: {re.escape(held)}", found[0][1])


ALIKE = [  # the same mistake on every rank: said once
    ([{"target": 10}] * 2, "ClassIndexError", r"target\[0\] is 10, but the vocabulary has 10 classes (0 … 9)"),
    ([{"target": -1}] * 2, "ClassIndexError", r"target\[0\] is -1, but the vocabulary has 10 classes (0 … 9)"),
    ([{"temperature": 0.0}] * 2, "ValueError", "temperature is 0.0, but must be a finite number above 0"),
    ([{"dtype": "int64"}] * 2, "DTypeError", "input is int64, but must be float16, bfloat16, float32 or float64"),
    ([{"total": 0}] * 2, "ValueError", "vocab_total is 0, but must be a finite number above 0"),
    ([{"flavour": 1}] * 2, "TypeError", "flavour is not an option; the options are class_weight, ignore_index, "),
]


@pytest.mark.parametrize(("of_ranks", "kind", "message"), ALIKE, ids=lambda a: a if isinstance(a, str) else "")
def test_the_same_mistake_on_every_rank(ranks, of_ranks, kind, message):
    for of_kind, said in ranks.errors(disagreeing, 2, "cross_entropy", of_ranks):
        assert of_kind == kind
        assert said.startswith(message.replace("\\", ""))


def test_a_mistake_of_one_rank_is_raised_on_all(ranks):
    found = ranks.errors(disagreeing, 3, "cross_entropy", [{}, {"count": 2}, {}])
    assert len(set(found)) == 1
    said = "target has shape (2,), but input has shape (4, 5): class indices must have shape (4,), probabilities (4, 5)"
    assert found[0][0] == "InputError"
    assert re.fullmatch(f"group '\\d+' of 3 ranks: on rank 1 {re.escape(said)}", found[0][1])


def other_targets(group):
    t = torch.tensor([0, 1, -100 if rank_of(group) else 2])
    return parallel.linear_cross_entropy(torch.zeros(3, 2), torch.zeros(2, 2), t, group)


def test_layers_of_which_other_rows_are_ignored(ranks):
    found = ranks.errors(other_targets, 2)
    assert len(set(found)) == 1
    assert "linear_cross_entropy: the numbers to send are 9 on rank 0, but 6 on rank 1: " in found[0][1]


def after_errors(group):
    x = torch.arange(10.0).reshape(2, 5) + 5 * rank_of(group)
    return parallel.cross_entropy(x, torch.tensor([3, 9]), group).item()


def test_the_group_works_on_after_errors(ranks):
    alone = softxent.torch.cross_entropy(
        torch.cat([torch.arange(10.0).reshape(2, 5), torch.arange(10.0).reshape(2, 5) + 5], 1), torch.tensor([3, 9])
    )
    assert ranks.run(after_errors, 2) == [pytest.approx(alone.item(), rel=1e-6)] * 2


def without_peer(group):
    x = torch.zeros(2, 3)
    if rank_of(group) == 2:
        import os

        os._exit(0)
    return parallel.cross_entropy(x, torch.tensor([0, 8]), group)


def test_a_dead_peer_is_named():
    pool = Ranks(3, timeout=5)
    try:
        for pipe in pool.pipes:
            pipe.send((without_peer, 3, ()))
        for rank, pipe in enumerate(pool.pipes[:2]):
            assert pipe.poll(20)
            how, (kind, said, _) = pipe.recv()
            assert (how, kind) == ("raised", "RuntimeError")
            assert said.startswith(f"cross_entropy: group 'default_pg' of 3 ranks did not answer rank {rank}: ")
    finally:
        for process in pool.processes:
            process.kill()
        pool.folder.cleanup()


def outside(group):
    import torch.distributed as dist

    return parallel.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]), dist.GroupMember.NON_GROUP_MEMBER)


def test_a_group_that_this_rank_is_not_in(ranks):
    for kind, said in ranks.errors(outside, 2):
        assert kind == "DTypeError"
        assert said.startswith("group is ")


def test_without_torch_distributed():
    with pytest.raises(RuntimeError, match=r"^torch.distributed is not initialised: call torch.distributed.init"):
        parallel.cross_entropy(torch.zeros(2, 3), torch.tensor([0, 1]))


# Collectives ---------------------------------------------------------------------------------------------------------


@contextmanager
def counted():
    """The collectives that are called, and the bytes that this rank hands to each."""
    import torch.distributed as dist

    calls, originals = [], {name: getattr(dist, name) for name in ("all_gather", "all_reduce")}

    def all_gather(outputs, mine, **options):
        calls.append(("all_gather", mine.numel() * mine.element_size()))
        return originals["all_gather"](outputs, mine, **options)

    def all_reduce(mine, **options):
        calls.append(("all_reduce", mine.numel() * mine.element_size()))
        return originals["all_reduce"](mine, **options)

    dist.all_gather, dist.all_reduce = all_gather, all_reduce
    try:
        yield calls
    finally:
        for name, original in originals.items():
            setattr(dist, name, original)


def collectives(group, call, rows, classes, options):
    part = classes // torch.distributed.get_world_size(group)
    x = torch.randn(rows, part, requires_grad=True)
    t = torch.randint(classes, (rows,), generator=torch.Generator().manual_seed(0))
    if options.pop("probabilities", False):
        t = torch.full((rows, part), 1 / classes)
    if options.pop("weighted", False):
        options["weight"] = torch.ones(part)
    layer = torch.randn(part, 6, requires_grad=True), torch.randn(rows, 6, requires_grad=True)
    f = getattr(parallel, call)

    def once():
        if call == "linear_sample":
            f(layer[1], layer[0], group)
        elif call.startswith("linear"):
            found = f(layer[1], layer[0], t, group, **options)
            (found.entropy if call == "linear_statistics" else found).sum().backward()
        elif call == "sample":
            f(x.detach(), group)
        else:
            found = f(x, t, group, **options)
            (found.entropy if call == "statistics" else found).sum().backward()

    parallel.cross_entropy(x[:1].detach(), torch.tensor([0]), group)  # its frames become small,
    once()  # and grow to the size of this call
    with counted() as calls:
        once()
    return calls


CALLS = [
    ("cross_entropy", {}, 1),
    ("cross_entropy", {"weighted": True, "label_smoothing": 0.1, "z_loss": 0.1}, 1),
    ("cross_entropy", {"probabilities": True}, 1),
    ("log_prob", {}, 1),
    ("statistics", {}, 2),
    ("sample", {}, 2),
    ("linear_cross_entropy", {}, 2),
    ("linear_log_prob", {}, 2),
    ("linear_statistics", {}, 3),
    ("linear_sample", {}, 2),
]


@pytest.mark.parametrize(("call", "options", "most"), CALLS, ids=str)
@pytest.mark.parametrize("count", [2, 3, 4])
def test_collectives_and_bytes_are_those_of_cost(ranks, count, call, options, most):
    calls = ranks.run(collectives, count, call, 50, 240, dict(options))
    assert all(of_rank == calls[0] for of_rank in calls)
    assert len(calls[0]) == most
    cost = parallel.cost(
        50, 240, count, features=6, call=call, weighted=options.get("weighted", False),
        soft="label_smoothing" in options or options.get("probabilities", False),
        by_index="probabilities" not in options,
    )  # fmt: skip
    handed = {"all_gather": 0, "all_reduce": 0}
    for name, size in calls[0]:
        handed[name] += size
    assert cost.collectives == most
    assert cost.gathered == handed["all_gather"]
    assert cost.summed == handed["all_reduce"]


def test_bytes_do_not_depend_on_classes(ranks):
    few, many = (ranks.run(collectives, 2, "cross_entropy", 50, classes, {})[0] for classes in (10, 5000))
    assert few == many


def growing(group):
    """Calls of different sizes: what each takes."""
    found = []
    for rows in (3, 3, 40, 20, 40, 2, 2):
        x = torch.full((rows, 4), 1.0)
        with counted() as calls:
            loss = parallel.cross_entropy(x, torch.zeros(rows, dtype=torch.int64), group)
        found.append((len(calls), round(loss.item(), 5)))
    return found


def test_frames_follow_the_calls(ranks):
    for found in ranks.run(growing, 4):
        assert [loss for _, loss in found] == [round(np.log(16), 5)] * 7
        assert max(count for count, _ in found) == 2
        assert [count for count, _ in found][1:] == [1, 2, 1, 1, 1, 1]


def ignored(group):
    x = torch.randn(4, 3, requires_grad=True)
    loss = parallel.cross_entropy(x, torch.full((4,), -100), group)
    none = parallel.cross_entropy(x[:0], torch.zeros(0, dtype=torch.int64), group)
    (loss + none).backward()
    return loss.item(), none.item(), x.grad.abs().max().item()


def test_rows_that_are_all_ignored_and_no_rows(ranks):
    assert ranks.run(ignored, 3) == [(0.0, 0.0, 0.0)] * 3


def padded(group):
    """10 classes on 3 ranks of 4 columns: two of the last rank's are padding."""
    rank = rank_of(group)
    x = torch.arange(12.0).repeat(2, 1)[:, 4 * rank : 4 * rank + 4].clone().requires_grad_()
    loss = parallel.cross_entropy(x, torch.tensor([9, 3]), group, vocab_total=10, label_smoothing=0.1)
    loss.backward()
    return loss.item(), x.grad.numpy()


def test_padding_takes_no_part(ranks):
    found = ranks.run(padded, 3)
    x = torch.arange(10.0).repeat(2, 1).requires_grad_()
    loss = softxent.torch.cross_entropy(x, torch.tensor([9, 3]), label_smoothing=0.1)
    loss.backward()
    assert [of for of, _ in found] == [pytest.approx(loss.item(), rel=1e-6)] * 3
    grad = np.hstack([g for _, g in found])
    np.testing.assert_allclose(grad[:, :10], x.grad.numpy(), 1e-6, 1e-8)
    assert not grad[:, 10:].any()
