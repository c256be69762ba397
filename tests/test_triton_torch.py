"""softxent.torch and sx.* by way of the Triton kernels: autograd, options, errors; without waiting for the device."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.utils._python_dispatch import TorchDispatchMode

import softxent as sx
import softxent.torch as S
from softxent.torch import checks, devices, ops
from tests.triton_kernels import DEVICE, cuda

pytestmark = pytest.mark.gpu
close = torch.testing.assert_close


@pytest.fixture(autouse=True)
def _triton(monkeypatch):
    """Without a GPU the Triton kernels, in the interpreter, take the place of the CPU's."""
    if DEVICE == "cpu":
        monkeypatch.setattr(devices, "cpu", cuda)
        monkeypatch.setattr(ops, "kernels_for", lambda device: cuda)


def logits(*shape, dtype=torch.float32):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(DEVICE, dtype)


X, T = logits(6, 5), torch.tensor([1, 0, -100, 3, 2, 4], device=DEVICE)
OPTIONS = [
    {},
    {"label_smoothing": 0.1},
    {"reduction": "sum"},
    {"softcap": 3.0, "temperature": 0.7, "z_loss": 0.1},
    {"normalizer": 4.0},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("upstream", [1.0, -3.0, 0.25])
def test_loss_and_backward_as_on_the_cpu(options, upstream):
    x = X.clone().requires_grad_()
    loss = S.cross_entropy(x, T, **options)
    (upstream * loss).backward()
    expected, grad = sx.cross_entropy_and_grad(X.cpu().numpy(), T.cpu().numpy(), **options)
    np.testing.assert_allclose(loss.item(), expected, rtol=1e-6)
    np.testing.assert_allclose(x.grad.cpu(), upstream * grad, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("probabilities", [False, True])
def test_derivatives(options, probabilities):
    x = logits(2, 3, dtype=torch.float64).requires_grad_()
    t = logits(2, 3, dtype=torch.float64).softmax(1) if probabilities else T[:2]
    f = lambda x: S.cross_entropy(x, t, **options)  # noqa: E731
    assert gradcheck(f, (x,), fast_mode=True)
    assert gradgradcheck(f, (x,), fast_mode=True)


@pytest.mark.parametrize("f", [S.softmax, S.log_softmax, S.logsumexp])
def test_derivatives_of_softmax(f):
    x = logits(3, 4, dtype=torch.float64).requires_grad_()
    assert gradcheck(lambda x: f(x, 1), (x,), fast_mode=True)


def test_in_place():
    leaf = X.clone().requires_grad_()
    x = leaf * 1
    loss = S.cross_entropy(x, T, inplace=True)
    loss.backward()
    expected = X.clone().requires_grad_()
    torch.nn.functional.cross_entropy(expected, T).backward()
    close(leaf.grad, expected.grad)


def test_16_bits_under_autocast():
    with torch.autocast(DEVICE, torch.bfloat16):
        x = X.bfloat16().requires_grad_()
        loss = S.cross_entropy(x, T)
    assert loss.dtype == torch.float32
    loss.backward()
    assert x.grad.dtype == torch.bfloat16


def test_a_normalizer_on_the_device():
    x, count = X.clone().requires_grad_(), torch.tensor(4.0, device=DEVICE)
    loss = S.cross_entropy(x, T, normalizer=count)
    loss.backward()
    y = X.clone().requires_grad_()
    S.cross_entropy(y, T, normalizer=4.0).backward()
    close(x.grad, y.grad)


def test_statistics_and_samples_with_derivatives():
    x = X.clone().requires_grad_()
    s = S.statistics(x, T)
    (s.entropy.sum() + s.log_prob.sum() + s.lse.sum()).backward()
    index, log_prob = S.sample(x, generator=torch.Generator(DEVICE).manual_seed(0), return_log_prob=True)
    close(log_prob, torch.log_softmax(x, 1).gather(1, index[:, None])[:, 0])
    assert x.grad.isfinite().all()


def test_lists_go_where_the_logits_are():
    loss, grad = sx.cross_entropy_and_grad(X[:3], [1, 0, 2], class_weight=[1, 2, 3, 4, 5])
    assert loss.device.type == grad.device.type == DEVICE
    assert sx.sample(X, rng=0).device.type == DEVICE


# Nothing waits for the device -----------------------------------------------------------------------------------------


class NoWaiting(TorchDispatchMode):
    """Fails where a value of a tensor is asked for."""

    WAITS = ("_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique")

    def __torch_dispatch__(self, f, types, given=(), options=None):
        assert f.overloadpacket.__name__ not in self.WAITS, f
        return f(*given, **(options or {}))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("empty", ["nan", "zero"])
def test_nothing_waits(options, empty):
    x = X.clone().requires_grad_()
    with NoWaiting():
        loss = S.cross_entropy(x, T, weight=X[0].abs(), empty=empty, **options)
        loss.backward()
        S.statistics(x, T)
        S.sample(x)
        S.log_softmax(x, 1)
        cuda.loss(
            X, T, None, S.core.call_of(*S.core.arguments(1, options, torch.float32, empty, checks.ARRAYS)), X.clone()
        )


def test_the_search_for_waits_finds_them():
    with pytest.raises(AssertionError, match="_local_scalar_dense"), NoWaiting():
        X.sum().item()


# Bad input ----------------------------------------------------------------------------------------------------------


def test_targets_that_are_no_class():
    wrong = torch.tensor([1, 5, 0, 0, 0, 0], device=DEVICE)
    with pytest.raises(IndexError, match=r"target\[1\] is 5, but input has 5 classes"):
        S.cross_entropy(X, wrong, check_targets=True)
    if DEVICE == "cpu":  # on a GPU the device stops, and no other test could run
        with pytest.raises(Exception, match="target is no class"):
            S.cross_entropy(X, wrong)
        with pytest.raises(Exception, match="target must be finite"):
            sx.cross_entropy(X, -X)


@pytest.mark.parametrize("device", ["mps:0", "xpu:0"])
def test_devices_without_kernels(device, monkeypatch):
    class Tensor(torch.Tensor):
        is_cpu, is_meta, is_cuda = False, False, False
        layout = torch.strided

        @property
        def device(self):
            return torch.device(device)

    x = torch.zeros(2, 3).as_subclass(Tensor)
    kind = device.split(":")[0]
    with pytest.raises(TypeError, match=f"input is on {device}, but softxent has kernels for cpu and cuda only"):
        checks.tensor("input", x)
    with pytest.raises(RuntimeError, match=f"torch.nn.functional on {kind}"):
        checks.tensor("input", x)


def test_a_generator_of_another_device():
    class Given:
        device = torch.device("meta")

    with pytest.raises(TypeError, match=f"generator is on meta, but input is on {DEVICE}"):
        checks.generator_device(checks.PYTORCHS, Given(), X)


def test_without_triton_the_error_says_what_to_install(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'triton'", name="triton")

    monkeypatch.setattr(devices, "import_module", missing)
    devices.kernels_for.cache_clear()
    with pytest.raises(ModuleNotFoundError, match="pip install triton"):
        devices.kernels_for("cuda")
