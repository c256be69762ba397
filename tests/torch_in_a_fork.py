"""Cases of tests/test_torch_crashes.py, each run in a fork of this process: python -m tests.torch_in_a_fork.

Reads {name: code} from stdin and writes {name: (exit code, what it printed)}. The names below are for the code.
"""

# ruff: noqa: F401

import json
import os
import signal
import sys
import tempfile
import warnings

import torch
import torch._decomp.decompositions_for_jvp
import torch._dynamo
import torch._subclasses.fake_tensor  # in each fork these imports would take seconds
import torch.distributed as dist
import torch.nn.functional as F
from torch.distributed._functional_collectives import AsyncCollectiveTensor
from torch.distributed.tensor import Replicate, Shard, distribute_tensor, init_device_mesh
from torch.testing import assert_close
from torch.utils._pytree import tree_map_only

import softxent as sx
import softxent.torch as S

warnings.simplefilter("ignore")
torch.set_num_threads(1)  # OpenMP's threads do not survive a fork
assert_close(torch.ones(1), torch.ones(1))  # imports what it needs

g = torch.Generator().manual_seed(0)
x, t, w = torch.randn(4, 5, generator=g), torch.tensor([1, 0, 3, 2]), torch.rand(5, generator=g) + 0.1
p = torch.softmax(torch.randn(4, 5, generator=g), 1)


# Tensors ------------------------------------------------------------------------------------------------------------


def freed(tensor):
    """As FSDP leaves a parameter."""
    tensor = tensor.clone()
    tensor.untyped_storage().resize_(0)
    return tensor


def fake(tensor):
    return torch._subclasses.fake_tensor.FakeTensorMode().from_tensor(tensor)


def arriving(tensor):
    """As torch.distributed's collectives return it, while it is on its way."""
    return AsyncCollectiveTensor(tensor)


def deep(*shape):
    return torch.zeros([1] * 70 + list(shape))


class Wrapper(torch.Tensor):
    """A tensor whose numbers are in another one."""

    @staticmethod
    def __new__(cls, inner):
        like = {"dtype": inner.dtype, "device": inner.device, "strides": inner.stride()}
        return torch.Tensor._make_wrapper_subclass(cls, inner.shape, requires_grad=inner.requires_grad, **like)

    def __init__(self, inner):
        self.inner = inner

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), options=None):
        arguments, options = inner((arguments, options or {}))
        return tree_map_only(torch.Tensor, cls, function(*arguments, **options))


def inner(result):
    return tree_map_only(Wrapper, lambda wrapper: wrapper.inner, result)


def distributed(tensor, placement):
    """Over one process: "R" is replicated, a number the axis that is sharded."""
    if not dist.is_initialized():
        dist.init_process_group("gloo", init_method=f"file://{tempfile.mktemp()}", rank=0, world_size=1)
    mesh = init_device_mesh("cpu", (1,))
    return distribute_tensor(tensor, mesh, [Replicate() if placement == "R" else Shard(placement)])


def whole(result):
    return result.full_tensor() if hasattr(result, "full_tensor") else result


# What came of it ----------------------------------------------------------------------------------------------------


def grad(f, x, *arguments, upstream=None, **options):
    x = x.detach().clone().requires_grad_()
    loss = f(x, *arguments, **options)
    loss.backward(torch.ones(loss.shape, device="cpu") if upstream is None else upstream)
    return x.grad


def same(got, expected, **tolerance):
    assert_close(got, expected, **tolerance)
    print("same")


def refused(f, *names):
    try:
        f()
    except (TypeError, ValueError, RuntimeError) as error:
        print("refused" if str(error).startswith(names) else f"refused, but says: {error}")
    else:
        print("not refused")


def ended(case):
    reader, writer = os.pipe()
    if not (child := os.fork()):
        signal.alarm(20)
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        try:
            exec(case, globals())
        except BaseException as error:
            print(f"{type(error).__name__}: {error}")
        sys.stdout.flush()
        os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as lines:
        printed = lines.read()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), printed.strip()


if __name__ == "__main__":
    print(json.dumps({name: ended(case) for name, case in json.load(sys.stdin).items()}))
