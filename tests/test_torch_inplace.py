"""cross_entropy(…, inplace=True): forward computes the loss alone, backward writes the gradient over the logits.

The logits hold what they held until backward, and the gradient is rounded once, for the upstream gradient that came.
Where something else may still read the logits the result is right or an error, and never silently wrong.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

import softxent.torch as S
from softxent import definition

close = torch.testing.assert_close
X = 2 * torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
T = torch.tensor([1, 0, 4, 3, 2, -100])
P = torch.softmax(torch.randn(6, 5, generator=torch.Generator().manual_seed(1)), 1)
W = torch.arange(1.0, 6)
OPTIONS = [{}, {"reduction": "sum", "label_smoothing": 0.1}, {"reduction": "none"}, {"weight": W, "softcap": 3.0}]
every_option = pytest.mark.parametrize("options", OPTIONS, ids=lambda o: " ".join(o))


def plain(z, t, **options):
    return S.cross_entropy(z, t, **options)


def inplace(z, t, **options):
    return S.cross_entropy(z, t, inplace=True, **options)


def leaf(x=X):
    return x.clone().requires_grad_()


def gradients(work, loss_of):
    """Those of the leaves that `work` returns beside the loss."""
    loss, *leaves = work(loss_of)
    loss.sum().backward()
    return [x.grad for x in leaves]


# Forward ------------------------------------------------------------------------------------------------------------


@every_option
@pytest.mark.parametrize("target", [T, P], ids=["index", "probabilities"])
def test_forward_leaves_the_logits(target, options):
    z = leaf() * 1
    before, version = z.detach().clone(), z._version
    loss = inplace(z, target, **options)
    assert torch.equal(z.detach(), before)
    assert z._version == version
    assert torch.equal(loss, plain(z, target, **options))


def test_accuracy_after_the_loss():
    z = leaf() * 1
    expected = (z.argmax(1) == T).float().mean()
    loss = inplace(z, T)
    assert (z.argmax(1) == T).float().mean() == expected
    loss.backward()


def test_forward_without_backward_writes_nothing():
    z = leaf() * 1
    for _ in range(3):
        loss = inplace(z, T)
    close(loss, F.cross_entropy(X, T))
    loss.backward()
    assert not torch.equal(z.detach(), X)


# Backward -----------------------------------------------------------------------------------------------------------


@every_option
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("upstream", [1.0, 1024.0, -0.3, 2.0**-9, 0.0, torch.nan])
def test_bit_for_bit_as_without(upstream, dtype, options):
    """Whatever the upstream gradient, and in the memory of the logits."""
    results = []
    for loss_of in (plain, inplace):
        x = leaf(X.to(dtype))
        z = x * 1
        address = z.data_ptr()
        loss = loss_of(z, T, **options)
        loss.backward(torch.full_like(loss, upstream))
        results.append(x.grad)
    assert torch.equal(results[0].isnan(), results[1].isnan())
    assert torch.equal(results[0].nan_to_num(), results[1].nan_to_num())
    assert z.data_ptr() == address
    assert torch.equal(z.detach().nan_to_num(), x.grad.nan_to_num())


@pytest.mark.parametrize("scale", [2.0**10, 2.0**14])
def test_a_scaled_gradient_in_float16_is_rounded_once(scale):
    """Not rounded for an upstream gradient of 1, where most of it is subnormal, and then multiplied."""
    x = torch.randn(64, 300, generator=torch.Generator().manual_seed(2)).half().requires_grad_()
    t = torch.arange(64)
    (scale * inplace(x * 1, t)).backward()
    _, exact = definition.cross_entropy_and_grad(x.detach().numpy(), t.numpy())
    error = np.abs(x.grad.double().numpy() - scale * exact) / np.abs(scale * exact)
    assert error.max() <= 2.0**-10


def test_grad_scaler():
    """A gradient that was rounded to float16 once, after scaling."""
    results = []
    for loss_of in (inplace, lambda z, t: F.cross_entropy(z.double(), t)):
        x = leaf(torch.randn(64, 300, generator=torch.Generator().manual_seed(2)))
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**14)
        optimizer = torch.optim.SGD([x], 1.0)
        scaler.scale(loss_of(x.half(), torch.arange(64)).float()).backward()
        assert scaler._scale == 2.0**14
        scaler.step(optimizer)
        results.append(x.grad)
    close(*results, rtol=2.0**-10, atol=2.0**-38)


def test_only_what_was_asked_for_is_written():
    """The logits are left where their gradient is not wanted."""
    p, z = leaf(P), leaf() * 1
    (of_target,) = torch.autograd.grad(inplace(z, p), p)
    close(of_target, torch.autograd.grad(plain(z, p), p)[0])
    assert torch.equal(z.detach(), X)
    p, z = leaf(P), X.clone()
    inplace(z, p).backward()
    assert torch.equal(z, X)
    close(p.grad, of_target)


def test_only_its_own_part_of_a_view_is_written():
    x = leaf()
    h = x * 1
    inplace(h[:, 1:], (T - 1).clamp(-1), ignore_index=-1).backward()
    assert torch.equal(h[:, 0].detach(), X[:, 0])
    assert torch.equal(h[:, 1:].detach(), x.grad[:, 1:])


def test_no_rows():
    x = torch.empty(0, 5, requires_grad=True)
    loss = inplace(x * 1, torch.empty(0, dtype=torch.int64), empty="zero")
    loss.backward()
    assert loss == 0
    assert x.grad.shape == (0, 5)


# Gradients of the target --------------------------------------------------------------------------------------------


@every_option
def test_probabilities_that_require_grad_get_theirs(options):
    def work(loss_of):
        x, p = leaf(), leaf(P)
        return 3 * loss_of(x * 1, p, **options), x, p

    close(gradients(work, inplace), gradients(work, plain))


def test_probabilities_made_of_the_logits():
    def work(loss_of):
        x = leaf()
        z = x * 1
        return loss_of(z, torch.softmax(2 * z, 1)), x

    close(gradients(work, inplace), gradients(work, plain))


# Right, or refused --------------------------------------------------------------------------------------------------


def kept_by(produce):
    """Logits that their producer, or something beside the loss, reads again in backward."""

    def work(loss_of):
        x = leaf()
        return loss_of(produce(x), T), x

    return work


def beside(use, first):
    """Another consumer of the same logits."""

    def work(loss_of):
        x = leaf()
        z = x * 1
        if first:
            loss = loss_of(z, T)
            return loss + use(z, loss_of), x
        other = use(z, loss_of)
        return loss_of(z, T) + other, x

    return work


def checkpointed(use_reentrant, closure):
    def work(loss_of):
        x = leaf()
        z = x.exp() * 1
        if closure:
            return checkpoint(lambda one: loss_of(z, T) * one, leaf(torch.ones(())), use_reentrant=use_reentrant), x
        return checkpoint(lambda z: loss_of(z, T), z, use_reentrant=use_reentrant), x

    return work


def checkpointed_with_its_producer(use_reentrant):
    def work(loss_of):
        x = leaf()
        return checkpoint(lambda x: loss_of(x.exp().sigmoid() * 1, T), x, use_reentrant=use_reentrant), x

    return work


def with_target(make):
    def work(loss_of):
        x = leaf()
        z = x * 1
        return loss_of(z, make(z)), x

    return work


def with_weight(loss_of):
    x = leaf(X.abs())
    z = x * 1
    return loss_of(z, T, weight=z.detach()[0]), x


def in_float64(loss_of):
    """Class indices in the memory of the logits."""
    memory = torch.zeros(6, 6, dtype=torch.float64)
    memory[:, 0].view(torch.int64).copy_(T)
    x = leaf(memory)
    z = x * 1
    return loss_of(z[:, :5], z.detach()[:, 0].view(torch.int64)), x


def changed(name):
    """What backward reads was changed after forward: PyTorch's own error, or what it was."""

    def work(loss_of):
        x, tensors = leaf(), {"target": P.clone(), "weight": W.clone()}
        z = x * 1
        loss = loss_of(z, tensors["target"], weight=tensors["weight"])
        if loss_of is inplace:
            {"logits": z.detach(), **tensors}[name].mul_(3)
        return loss, x

    return work


def with_hooks(loss_of):
    x = leaf()
    with torch.autograd.graph.save_on_cpu():
        loss = loss_of(x.exp(), T)
    return loss, x


class Keeps(torch.autograd.Function):
    """exp, returned as a view of what it keeps."""

    @staticmethod
    def forward(ctx, x):
        y = x.exp()
        ctx.save_for_backward(y)
        return y.view(-1).view_as(y)

    @staticmethod
    def backward(ctx, v):
        return v * ctx.saved_tensors[0]


WORK = {
    "exp": kept_by(torch.exp),
    "exp, a view": kept_by(lambda x: x.exp().view(-1).view(6, 5)),
    "exp, transposed": kept_by(lambda x: x.t().exp().t()),
    "exp, a slice": kept_by(lambda x: torch.cat([x, x], 1).exp()[:, 5:]),
    "sigmoid": kept_by(torch.sigmoid),
    "relu": kept_by(torch.relu),
    "softmax of softxent": kept_by(lambda x: S.softmax(x, 1)),
    "log_softmax of softxent": kept_by(lambda x: S.log_softmax(x, 1)),
    "a Function that keeps its output": kept_by(Keeps.apply),
    "exp with what it keeps on the CPU": with_hooks,
    **{
        f"{name} {'after' if first else 'before'} the loss": beside(use, first)
        for first in (True, False)
        for name, use in {
            "a square": lambda z, _: z.square().sum(),
            "an exp": lambda z, _: z.exp().sum(),
            "another in place": lambda z, loss_of: loss_of(z, T.flip(0)),
            "a loss that is not in place": lambda z, _: S.cross_entropy(z, T, reduction="sum"),
            "PyTorch's loss": lambda z, _: F.cross_entropy(z, T),
            "a view": lambda z, _: z.view(-1)[::2].square().sum(),
        }.items()
    },
    **{
        f"in a {'reentrant ' if reentrant else ''}checkpoint{', from a closure' if closure else ''}": checkpointed(
            reentrant, closure
        )
        for reentrant in (False, True)
        for closure in (False, True)
    },
    "in a checkpoint with its producer": checkpointed_with_its_producer(False),
    "in a reentrant checkpoint with its producer": checkpointed_with_its_producer(True),
    "the target is the logits": with_target(lambda z: z.detach().abs_()),
    "the target is the logits in another order": with_target(lambda z: z.detach().abs_().flip(0)),
    "the target is expanded from the logits": with_target(lambda z: z.detach().abs_()[:1].expand(6, 5)),
    "the target lies in the logits": in_float64,
    "the weight lies in the logits": with_weight,
    "the logits were changed": changed("logits"),
    "the target was changed": changed("target"),
    "the weight was changed": changed("weight"),
}  # fmt: skip


def assert_right_or_refused(work):
    expected = gradients(work, plain)
    try:
        got = gradients(work, inplace)
    except RuntimeError:
        return
    close(got, expected)


@pytest.mark.parametrize("name", WORK)
def test_right_or_refused(name):
    assert_right_or_refused(WORK[name])


COMPILED = {
    "exp": lambda x: x.exp(),
    "exp, a view": lambda x: x.exp().view(-1).view(6, 5),
    "exp, transposed": lambda x: x.t().exp().t(),
    "exp, a slice": lambda x: torch.cat([x, x], 1).exp()[:, 5:],
    "sigmoid": lambda x: x.sigmoid(),
    "sigmoid, a view": lambda x: x.sigmoid().unsqueeze(0).squeeze(0),
    "the input, a view": lambda x: x.view(-1).view(6, 5),
}


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_producers(name):
    """A graph keeps tensors whose version PyTorch does not compare, if what it returns is a view of them."""
    torch._dynamo.reset()
    compiled = torch.compile(COMPILED[name], backend="aot_eager")
    assert_right_or_refused(kept_by(compiled))


# Refused in forward, with nothing written -----------------------------------------------------------------------------

LEAF = r"input is \(a view of\) a leaf that requires grad, but inplace=True overwrites it"
ALIASES = {
    "itself": lambda x: x,
    "Identity": torch.nn.Identity(),
    "contiguous": lambda x: x.contiguous(),
    "to": lambda x: x.to(x.dtype),
    "a view": lambda x: x.view(5, 6).view(6, 5),
    "transposed twice": lambda x: x.t().t(),
    "unsqueezed": lambda x: x.unsqueeze(0).squeeze(0),
    "rows": lambda x: x[:],
    "Dropout that is off": torch.nn.Dropout().eval(),
    "a view made under no_grad": lambda x: torch.no_grad()(lambda: x.view(6, 5))().requires_grad_(),
    "detached": lambda x: x.detach().requires_grad_(),
    "a Parameter": torch.nn.Parameter,
}


@pytest.mark.parametrize("name", ALIASES)
def test_leaves_are_refused(name):
    x = leaf()
    with pytest.raises(RuntimeError, match=f"^{LEAF}$"):
        inplace(ALIASES[name](x), T)
    assert torch.equal(x.detach(), X)


OVERLAPPING = {
    "unfold": lambda x: x.view(-1).unfold(0, 5, 1)[:6],
    "unfold, transposed": lambda x: x.view(-1).unfold(0, 6, 1)[:5].t(),
    "as_strided": lambda x: torch.as_strided(x, (6, 5), (3, 1)),
    "a diagonal band": lambda x: torch.as_strided(x, (6, 5), (1, 1)),
    "expanded": lambda x: x[:1].expand(6, 5),
}


@pytest.mark.parametrize("name", OVERLAPPING)
def test_overlapping_logits_are_refused(name):
    h = leaf() * 1
    with pytest.raises(RuntimeError, match=r"^input .*memory of its own"):
        inplace(OVERLAPPING[name](h), T)
    assert torch.equal(h.detach(), X)


def test_gaps_and_reversed_strides_are_no_overlap():
    for view in (lambda x: x[:, ::2], lambda x: x[::3], lambda x: x.t()[:, :5], lambda x: x.view(2, 15)[:, 3:8]):
        grads = []
        for loss_of in (plain, inplace):
            x = leaf()
            z = view(x * 1)
            loss_of(z, torch.zeros(len(z), dtype=torch.int64)).backward()
            grads.append(x.grad)
        assert torch.equal(*grads)


# The gradient is its own ----------------------------------------------------------------------------------------------


SUMS = {
    "p + q": lambda p, q: p + q,
    "p - q": lambda p, q: p - q,
    "p + q, a view": lambda p, q: (p + q).view(6, 5),
    "p + 1": lambda p, q: p + 1 + 0 * q,
    "torch.add": lambda p, q: torch.add(p, q),
    "the sum in place": lambda p, q: (p * 1).add_(q),
}


@pytest.mark.parametrize("name", SUMS)
def test_gradients_of_leaves_share_no_memory(name):
    """With the logits or each other: what is added to one later, or a write to the logits, would show in the others."""
    p, q = leaf(), leaf(P)
    z = SUMS[name](p, q)
    try:
        inplace(z, T).backward()
    except RuntimeError:
        return
    addresses = {x.untyped_storage().data_ptr() for x in (z, p.grad, q.grad)}
    assert len(addresses) == 3


def test_gradients_that_add_up_over_two_calls():
    p = leaf()
    for _ in range(2):
        inplace(p + 1, T).backward()
    expected = leaf()
    for _ in range(2):
        plain(expected + 1, T).backward()
    assert torch.equal(p.grad, expected.grad)
