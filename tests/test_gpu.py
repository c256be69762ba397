"""What only a GPU can show: graphs, streams, devices, more than 2³¹ elements, assertions on the device, memory checked.

Skipped where there is none; the numbers of the kernels are tested everywhere (test_triton*.py).
"""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.library import opcheck

import softxent as sx
import softxent.torch as S
from softxent.torch import ops

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]
close = torch.testing.assert_close


def logits(*shape, dtype=torch.float32, seed=0):
    return torch.randn(shape, device="cuda", generator=torch.Generator("cuda").manual_seed(seed)).to(dtype)


def targets(rows, classes):
    return torch.randint(classes, (rows,), device="cuda", generator=torch.Generator("cuda").manual_seed(1))


def on_the_cpu(x, t, **options):
    loss, grad = sx.cross_entropy_and_grad(x.cpu().numpy(), t.cpu().numpy(), **options)
    return torch.tensor(loss), torch.tensor(grad)


CALL = S.core.arguments(1, {}, torch.float32, "nan", S.core.PYTORCHS)


@pytest.mark.parametrize("shape", [(5, 3), (4, 1000), (2, 70_000)], ids=str)
def test_operators(shape):
    x, t = logits(*shape).requires_grad_(), targets(*shape)
    opcheck(ops.softmax, (x, 1, 1.0, "input"))
    opcheck(ops.cross_entropy, (x, t, None, *CALL))
    opcheck(ops.cross_entropy_grad, (x, t, None, torch.ones((), device="cuda"), *CALL))


@pytest.mark.parametrize("shape", [(8, 10), (16, 5000), (2, 200_000)], ids=str)
def test_compiled(shape):
    x, t = logits(*shape), targets(*shape)
    f = torch.compile(lambda x: S.cross_entropy(2 * x, t), fullgraph=True)
    ours, eager = x.clone().requires_grad_(), x.clone().requires_grad_()
    f(ours).backward()
    S.cross_entropy(2 * eager, t).backward()
    close(ours.grad, eager.grad)


@pytest.mark.parametrize("shape", [(8, 10), (16, 5000), (2, 200_000)], ids=str)
def test_a_graph_is_captured_and_replayed(shape):
    """Nothing waits for the device, or capturing would fail."""
    x, t = logits(*shape).requires_grad_(), targets(*shape)
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        S.cross_entropy(x, t).backward()  # compiles the kernels
        x.grad = None
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = S.cross_entropy(x, t)
        loss.backward()
        statistics = S.statistics(x.detach(), t)
    with torch.no_grad():
        x.copy_(logits(*shape, seed=7))
    x.grad.zero_()
    graph.replay()
    expected, grad = on_the_cpu(x.detach(), t)
    close(loss.detach().cpu(), expected.float(), rtol=1e-6, atol=0)
    close(x.grad.cpu(), grad, rtol=1e-5, atol=1e-9)
    close(statistics.lse, torch.logsumexp(x.detach(), 1))


def test_two_streams():
    x, t = logits(64, 40_000), targets(64, 40_000)
    expected = S.cross_entropy(x, t, reduction="none")
    streams, results = [torch.cuda.Stream() for _ in range(2)], []
    for stream in streams:
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            results += [S.cross_entropy(x, t, reduction="none") for _ in range(20)]
    torch.cuda.synchronize()
    for result in results:
        assert torch.equal(result, expected)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU")
def test_another_device_than_the_current_one():
    x, t = logits(5, 300).to("cuda:1"), targets(5, 300).to("cuda:1")
    assert torch.cuda.current_device() == 0
    close(S.cross_entropy(x, t).cpu(), S.cross_entropy(x.cpu(), t.cpu()))
    with pytest.raises(TypeError, match="target is on cuda:0, but input is on cuda:1"):
        S.cross_entropy(x, t.to("cuda:0"))


@pytest.mark.parametrize("shape", [(17_000, 131_072), (8, 300_000_000), (230_000_000, 10)], ids=str)
def test_more_than_2_to_the_31_elements(shape):
    rows, classes = shape
    free, _ = torch.cuda.mem_get_info()
    if 2 * rows * classes * 2 > 0.9 * free:
        pytest.skip("the GPU's memory is too small")
    x = torch.zeros(shape, dtype=torch.bfloat16, device="cuda")
    t = torch.full((rows,), classes - 1, device="cuda")
    x[-1, -1] = 3
    loss, grad = sx.cross_entropy_and_grad(x, t, out=x, reduction="none")
    assert grad is x
    close(loss[0].item(), float(np.log(classes)), rtol=1e-6, atol=0)
    p = np.exp(3) / (np.exp(3) + classes - 1)
    close(loss[-1].item(), float(-np.log(p)), rtol=1e-6, atol=0)
    close(x[-1, -1].item(), float(p - 1), rtol=2**-8, atol=0)
    close(x[0, 0].item(), 1 / classes, rtol=2**-8, atol=0)


def test_autocast():
    with torch.autocast("cuda", torch.bfloat16):
        x = torch.nn.functional.linear(logits(6, 8), logits(5, 8)).requires_grad_()
        loss = S.cross_entropy(x, targets(6, 5))
    assert (x.dtype, loss.dtype) == (torch.bfloat16, torch.float32)


# In a process of its own -------------------------------------------------------------------------------------------

WRONG = """
import torch, softxent.torch as S
S.cross_entropy(torch.zeros(2, 5, device="cuda"), torch.tensor([0, 5], device="cuda"))
torch.cuda.synchronize()
"""


def test_a_target_that_is_no_class_stops_the_device():
    done = subprocess.run([sys.executable, "-c", WRONG], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode != 0
    assert "target is no class" in done.stdout + done.stderr


SMALL_SET = """
import torch, softxent as sx, softxent.torch as S
for shape in ((5, 3), (4, 1000), (3, 999), (2, 70_001), (2, 21, 8, 9)):
    x = torch.randn(shape, device="cuda", requires_grad=True)
    t = torch.zeros(shape[:1] + shape[2:], dtype=torch.int64, device="cuda")
    for options in ({}, {"label_smoothing": 0.1}, {"softcap": 5.0}):
        S.cross_entropy(x, t, **options).backward()
    S.statistics(x, t, 1), S.sample(x.detach(), 1), S.softmax(x, 1)
torch.cuda.synchronize()
"""


@pytest.mark.skipif(shutil.which("compute-sanitizer") is None, reason="compute-sanitizer is not installed")
@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
def test_compute_sanitizer(tool):
    command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", sys.executable, "-c", SMALL_SET]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", cwd=Path(__file__).parents[1])
    assert done.returncode == 0, done.stdout[-3000:]
