"""Who is timed: ours, the peers, and the limits. One class each; a method is a piece of work, named as in `rows.WORK`.

Only what a method does is timed; restoring `data.logits`, and `fresh` after it, are not. A method returns its result,
which is freed after the clock has stopped; allocating it is timed, unless the name says "in place" or "into out".
"""

from __future__ import annotations

import importlib.util
import time
import timeit
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import softxent as sx
from benchmarks.rows import Row


class Data:
    """The arrays of one row. Whoever is timed finds the same `logits`, written anew just before."""

    def __init__(self, row: Row, threads: int, rng: np.random.Generator) -> None:
        self.axis, self.threads, self.rng, self.options = row.axis, threads, rng, row.options
        self.tight = row.tight or row.work == "one_call"
        self.pool = ThreadPoolExecutor(threads)
        dtype = _bfloat16() if row.dtype == "bfloat16" else np.dtype(row.dtype)
        steps = row.steps or (1,) * len(row.shape)
        whole = [n * abs(step) for n, step in zip(row.shape, steps, strict=True)]
        self.original = (3 * rng.standard_normal(whole, np.float32)).astype(dtype)
        self.memory, self.out = self.original.copy(), self.original.copy()
        self.logits = self.memory[tuple(slice(None, None, step) for step in steps)]
        classes = row.shape[row.axis]
        self.target = rng.integers(classes, size=np.delete(row.shape, row.axis))

    def restore(self) -> None:
        self.in_threads(np.copyto, _bytes(self.memory), _bytes(self.original))

    def seconds(self, contender: Contender, run: Callable[[], Any], calls: int) -> float:
        """Of a call. Nothing comes between tight calls: reading the clock would weigh beside a microsecond."""
        if self.tight:
            contender.fresh()
            return timeit.timeit(run, number=calls) / calls
        total = 0.0
        for _ in range(calls):
            self.restore()
            contender.fresh()
            start = time.perf_counter()
            result = run()
            total += time.perf_counter() - start
            del result
        return total / calls

    def close(self) -> None:
        self.pool.shutdown()

    def in_threads(self, function: Callable[..., Any], *arrays: np.ndarray) -> list[Any]:
        """function(*slices) on each thread, with its share of the flat arrays; NumPy releases the GIL."""
        edges = np.linspace(0, arrays[0].size, self.threads + 1).astype(int)
        shares = [[a[start:stop] for a in arrays] for start, stop in pairwise(edges)]
        return list(self.pool.map(lambda share: function(*share), shares))


def _bytes(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)


def _bfloat16() -> np.dtype:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


class Contender:
    needs: tuple[str, ...] = ()

    def __init__(self, data: Data) -> None:
        self.data = data

    def fresh(self) -> None:
        """What has to be made anew before each call, untimed."""

    @classmethod
    def missing(cls) -> list[str]:
        return [package for package in cls.needs if importlib.util.find_spec(package) is None]


# Ours --------------------------------------------------------------------------------------------------------------


class Softxent(Contender):
    """Each result is a new array."""

    def loss(self) -> Any:
        return sx.cross_entropy(self.data.logits, self.data.target, axis=self.data.axis)

    def softmax(self) -> Any:
        return sx.softmax(self.data.logits, axis=self.data.axis)

    def log_softmax(self) -> Any:
        return sx.log_softmax(self.data.logits, axis=self.data.axis)

    def sample(self) -> Any:
        return sx.sample(self.data.logits, axis=self.data.axis, rng=self.data.rng)

    def one_call(self) -> Any:
        return sx.cross_entropy(self.data.logits, self.data.target)

    def statistics(self) -> Any:
        return sx.statistics(self.data.logits, self.data.target, axis=self.data.axis)


class InPlace(Contender):
    """The gradient replaces the logits."""

    def loss_and_grad(self) -> Any:
        d = self.data
        return sx.cross_entropy_and_grad(d.logits, d.target, axis=d.axis, out=d.logits, **d.options)


class IntoOut(Contender):
    """The gradient is written into an array that exists already."""

    def loss_and_grad(self) -> Any:
        d = self.data
        return sx.cross_entropy_and_grad(d.logits, d.target, axis=d.axis, out=d.out)


# Peers -------------------------------------------------------------------------------------------------------------


def tensor(array: Any) -> Any:
    """A PyTorch tensor on the same memory, bfloat16 too; a tensor as it is."""
    import torch

    if isinstance(array, torch.Tensor):
        return array.detach()
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


class PyTorch(Contender):
    """As it is typed: forward, and backward through autograd into a new x.grad. The class axis is 1 or last of two."""

    needs = ("torch",)

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        import torch

        self.torch = torch
        torch.set_num_threads(data.threads)
        self.x, self.t = tensor(data.logits), tensor(data.target)
        self.leaf = tensor(data.logits).requires_grad_()
        self.cross_entropy = torch.nn.functional.cross_entropy

    def fresh(self) -> None:
        self.leaf.grad = None

    def loss_and_grad(self) -> Any:
        loss = self.cross_entropy(self.leaf, self.t)
        loss.backward()
        return loss.detach()

    def loss(self) -> Any:
        return self.cross_entropy(self.x, self.t)

    one_call = loss

    def softmax(self) -> Any:
        return self.torch.softmax(self.x, self.data.axis)

    def log_softmax(self) -> Any:
        return self.torch.log_softmax(self.x, self.data.axis)

    def sample(self) -> Any:
        return self.torch.multinomial(self.torch.softmax(self.x, -1), 1)

    def autograd(self) -> Any:
        self.leaf.grad = None
        loss = self.cross_entropy(self.leaf, self.t)
        loss.backward()
        return loss.detach()

    def scaled(self) -> Any:
        self.leaf.grad = None
        loss = self.cross_entropy(self.leaf, self.t)
        (loss / 4).backward()
        return loss.detach()

    def statistics(self) -> Any:
        log_p = self.torch.log_softmax(self.x, -1)
        log_prob = log_p.gather(-1, self.t[:, None])
        entropy = -(log_p.exp() * log_p).sum(-1)
        return log_prob, entropy, self.x.logsumexp(-1), self.x.argmax(-1), (log_p > log_prob).sum(-1)


class SoftxentTorch(PyTorch):
    """One import replaced."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        import softxent.torch

        self.cross_entropy = softxent.torch.cross_entropy


class TorchCompile(PyTorch):
    """torch.compile of the same function, for exactly this shape."""

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.torch._dynamo.reset()  # each row a first compilation: no dynamic shapes, no recompilation limit
        self.cross_entropy = self.torch.compile(self.cross_entropy, dynamic=False)

    softmax = log_softmax = sample = one_call = statistics = None  # type: ignore[assignment]


class JAX(Contender):
    """jit of optax's loss (value_and_grad of its mean), waited for."""

    needs = ("jax", "optax")

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        import jax
        import optax

        def mean_loss(logits: Any, target: Any) -> Any:
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, target, axis=data.axis)
            return losses.astype("float32").mean()

        self.jax = jax
        self.jitted = {
            "loss_and_grad": jax.jit(jax.value_and_grad(mean_loss)),
            "loss": jax.jit(mean_loss),
            "softmax": jax.jit(lambda x: jax.nn.softmax(x, data.axis)),
            "log_softmax": jax.jit(lambda x: jax.nn.log_softmax(x, data.axis)),
            "sample": jax.jit(lambda key, x: jax.random.categorical(key, x)),
        }
        self.t = jax.device_put(data.target)
        self.key = jax.random.key(0)

    def fresh(self) -> None:
        self.x = self.jax.block_until_ready(self.jax.device_put(self.data.logits))  # as fresh in cache as ours
        self.key = self.jax.block_until_ready(self.jax.random.split(self.key, 1)[0])

    def _run(self, work: str, *arguments: Any) -> Any:
        return self.jax.block_until_ready(self.jitted[work](*arguments))

    def loss_and_grad(self) -> Any:
        return self._run("loss_and_grad", self.x, self.t)

    def loss(self) -> Any:
        return self._run("loss", self.x, self.t)

    one_call = loss

    def softmax(self) -> Any:
        return self._run("softmax", self.x)

    def log_softmax(self) -> Any:
        return self._run("log_softmax", self.x)

    def sample(self) -> Any:
        return self._run("sample", self.key, self.x)


class SciPy(Contender):
    """scipy.special, which uses one thread; its one Python call is softmax."""

    needs = ("scipy",)

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        import scipy.special

        self.special = scipy.special

    def loss(self) -> Any:
        d = self.data
        lse = self.special.logsumexp(d.logits, axis=d.axis)
        return (lse - np.take_along_axis(d.logits, d.target[..., None], d.axis)[..., 0]).mean()

    def softmax(self) -> Any:
        return self.special.softmax(self.data.logits, axis=self.data.axis)

    def log_softmax(self) -> Any:
        return self.special.log_softmax(self.data.logits, axis=self.data.axis)

    def one_call(self) -> Any:
        return self.special.softmax(self.data.logits, axis=-1)


# Limits: what the machine can do at all; the fastest of a limit's ways is the limit ----------------------------------


class Copy(Contender):
    """A plain copy of the logits on all threads, which NumPy hands to memcpy."""

    def copy(self) -> Any:
        self.data.in_threads(np.copyto, _bytes(self.data.out), _bytes(self.data.logits))

    def copy_that_allocates(self) -> Any:
        result = np.empty_like(self.data.logits)
        self.data.in_threads(np.copyto, _bytes(result), _bytes(self.data.logits))
        return result


class CopyOneThread(Contender):
    """The same on the calling thread: the fastest where the array is small, or one core saturates the memory."""

    def copy(self) -> Any:
        np.copyto(_bytes(self.data.out), _bytes(self.data.logits))

    def copy_that_allocates(self) -> Any:
        return _bytes(self.data.logits).copy()


class CopyTorch(Contender):
    needs = ("torch",)

    def __init__(self, data: Data) -> None:
        super().__init__(data)
        self.logits, self.out = tensor(data.logits), tensor(data.out)

    def copy(self) -> Any:
        return self.out.copy_(self.logits)

    def copy_that_allocates(self) -> Any:
        return self.logits.clone()


class Sum(Contender):
    """The logits read once, on all threads."""

    def read_only_sum(self) -> Any:
        return sum(self.data.in_threads(np.sum, self.data.logits.reshape(-1)))


class SumOfSquares(Contender):
    """np.dot(x, x), a fused multiply-add a number: as fast as memory delivers, also where np.sum is not."""

    def read_only_sum(self) -> Any:
        return sum(self.data.in_threads(lambda x: np.dot(x, x), self.data.logits.reshape(-1)))


class SumTorch(CopyTorch):
    def read_only_sum(self) -> Any:
        return self.logits.sum()


OURS = {"softxent": Softxent, "in place": InPlace, "into out": IntoOut, "softxent.torch": SoftxentTorch}
PEERS = {"PyTorch": PyTorch, "torch.compile": TorchCompile, "JAX": JAX, "SciPy": SciPy}
LIMITS = {  # limit → the method, and its ways; or a time in seconds
    "copy": ("copy", {"memcpy": Copy, "memcpy on 1 thread": CopyOneThread, "torch copy_": CopyTorch}),
    "copy that allocates": (
        "copy_that_allocates",
        {"new memcpy": Copy, "new memcpy on 1 thread": CopyOneThread, "torch clone": CopyTorch},
    ),
    "read-only sum": ("read_only_sum", {"np.sum": Sum, "np.dot(x, x)": SumOfSquares, "torch.sum": SumTorch}),
    "our loss only": ("loss", {"softxent loss": Softxent}),
    "unscaled": ("autograd", {"softxent.torch unscaled": SoftxentTorch}),
    "3 µs": 3e-6,
}


class Field(NamedTuple):
    """Who may compete: name → class, and limit → its ways."""

    ours: dict[str, type[Contender]]
    peers: dict[str, type[Contender]]
    limits: dict[str, Any]


ON_CPU = Field(OURS, PEERS, LIMITS)
