"""Who is timed on a GPU: ours and PyTorch as on the CPU, on tensors; the peers that are there alone; and the limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.contenders import (
    Contender,
    CopyTorch,
    Field,
    InPlace,
    PyTorch,
    Softxent,
    SoftxentTorch,
    SumTorch,
    TorchCompile,
)
from benchmarks.rows import Row

FLUSH = 2**28  # bytes written before each call, more than any cache holds
AHEAD = 2_000_000  # cycles, about a millisecond, that the device waits while the host launches a call's kernels


class Tensors:
    """The tensors of one row, which all contenders find alike, and nothing of them in the caches."""

    def __init__(self, row: Row, device: str, seed: int) -> None:
        import torch

        self.torch, self.device, self.axis, self.options = torch, device, row.axis, row.options
        self.threads, self.tight, self.rng = torch.get_num_threads(), row.tight, None
        self.generator = torch.Generator(device).manual_seed(seed)
        self.flush = torch.empty(FLUSH if device == "cuda" else 1, dtype=torch.int8, device=device)
        dtype = getattr(torch, row.dtype)
        if row.work.startswith("layer"):
            n, d, v = row.shape
            self.inputs = self.normal((n, d), dtype)
            self.weight = self.normal((v, d), dtype, d**-0.5)
            self.target = self.indices(v, (n,))
            self.arrays = (self.inputs, self.weight)
        else:
            self.original = self.normal(row.shape, dtype, 3)
            self.logits, self.out = self.original.clone(), self.torch.empty_like(self.original)
            axis = row.axis % len(row.shape)
            self.target = self.indices(row.shape[axis], row.shape[:axis] + row.shape[axis + 1 :])
            self.arrays = (self.logits,)

    def normal(self, shape: tuple[int, ...], dtype: Any, scale: float = 1.0) -> Any:
        return self.torch.empty(shape, dtype=dtype, device=self.device).normal_(0, scale, generator=self.generator)

    def indices(self, below: int, shape: tuple[int, ...]) -> Any:
        return self.torch.randint(below, shape, device=self.device, generator=self.generator)

    def restore(self) -> None:
        if hasattr(self, "original"):
            self.logits.copy_(self.original)
        self.flush.zero_()

    def close(self) -> None:
        self.wait()

    def wait(self) -> None:
        if self.device == "cuda":
            self.torch.cuda.synchronize()

    def seconds(self, contender: Contender, run: Callable[[], Any], calls: int) -> float:
        """Of a call, by the device's clock; of tight calls by the host's, which waits for nothing in between."""
        if self.tight or self.device != "cuda":
            contender.fresh()
            self.wait()
            start = time.perf_counter()
            for _ in range(calls):
                run()
            total = time.perf_counter() - start
            self.wait()
            return total / calls
        cuda, total = self.torch.cuda, 0.0
        for _ in range(calls):
            self.restore()
            contender.fresh()
            begin, end = (cuda.Event(enable_timing=True) for _ in range(2))
            cuda._sleep(AHEAD)
            begin.record()
            result = run()
            end.record()
            end.synchronize()
            total += begin.elapsed_time(end) / 1e3
            del result
        return total / calls

    def peak(self, contender: Contender, run: Callable[[], Any]) -> int | None:
        """Bytes that a call takes beyond what is there before it."""
        if self.device != "cuda":
            return None
        self.restore()
        contender.fresh()
        self.wait()
        self.torch.cuda.reset_peak_memory_stats()
        before = self.torch.cuda.memory_allocated()
        result = run()
        self.wait()
        del result
        return int(self.torch.cuda.max_memory_allocated() - before)


def rows_of(x: Any, axis: int) -> Any:
    """rows × classes, copied where the class axis is not last, for peers that take nothing else."""
    return x.movedim(axis, -1).reshape(-1, x.shape[axis])


# Of a last layer ------------------------------------------------------------------------------------------------------


class Layer(Contender):
    """loss(inputs, weight, target), its backward, and what else a last layer is asked for."""

    needs = ("torch",)

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.leaves = [x.detach().requires_grad_() for x in data.arrays]

    def fresh(self) -> None:
        for leaf in self.leaves:
            leaf.grad = None

    def loss_of(self, inputs: Any, weight: Any, target: Any) -> Any:
        raise NotImplementedError

    def layer(self) -> Any:
        loss = self.loss_of(*self.leaves, self.data.target)
        loss.backward()
        return loss.detach()


class OurLayer(Layer):
    def loss_of(self, inputs: Any, weight: Any, target: Any) -> Any:
        import softxent.torch as S

        return S.linear_cross_entropy(inputs, weight, target)

    def layer_log_prob(self) -> Any:
        import softxent.torch as S

        found = S.linear_statistics(*self.leaves, self.data.target)
        (found.log_prob + found.entropy).mean().backward()

    def layer_sample(self) -> Any:
        import softxent.torch as S

        return S.linear_sample(*self.data.arrays)


class EagerLayer(Layer):
    """The logits, then the loss."""

    def loss_of(self, inputs: Any, weight: Any, target: Any) -> Any:
        F = self.data.torch.nn.functional
        return F.cross_entropy(F.linear(inputs, weight), target)

    def layer_log_prob(self) -> Any:
        F = self.data.torch.nn.functional
        log_p = F.linear(*self.leaves).float().log_softmax(-1)
        log_prob, entropy = log_p.gather(1, self.data.target[:, None])[:, 0], -(log_p.exp() * log_p).sum(-1)
        (log_prob + entropy).mean().backward()

    def layer_sample(self) -> Any:
        F = self.data.torch.nn.functional
        return self.data.torch.multinomial(F.linear(*self.data.arrays).float().softmax(-1), 1)


class CompiledLayer(EagerLayer):
    def __init__(self, data: Any) -> None:
        super().__init__(data)
        self.data.torch._dynamo.reset()
        self.loss_of = self.data.torch.compile(super().loss_of, dynamic=False)  # type: ignore[method-assign]


class ChunkedLayer(Layer):
    """PyTorch's own chunks."""

    def loss_of(self, inputs: Any, weight: Any, target: Any) -> Any:
        nn = self.data.torch.nn
        return nn.functional.linear_cross_entropy(inputs, weight, target, options=nn.LinearCrossEntropyOptions())


class LigerLayer(Layer):
    needs = ("liger_kernel",)

    def loss_of(self, inputs: Any, weight: Any, target: Any) -> Any:
        from liger_kernel.transformers.functional import liger_fused_linear_cross_entropy

        return liger_fused_linear_cross_entropy(inputs, weight, target)


class QuackLayer(Layer):
    needs = ("quack",)

    def loss_of(self, inputs: Any, weight: Any, target: Any) -> Any:
        from quack.linear_cross_entropy import chunked_linear_cross_entropy

        return chunked_linear_cross_entropy(inputs, weight, target)


class CCELayer(Layer):
    needs = ("cut_cross_entropy",)

    def loss_of(self, inputs: Any, weight: Any, target: Any) -> Any:
        from cut_cross_entropy import linear_cross_entropy

        return linear_cross_entropy(inputs, weight, target)


# Of logits ------------------------------------------------------------------------------------------------------------


class Liger(PyTorch):
    """Its gradient replaces the logits in the forward pass."""

    needs = ("liger_kernel",)
    log_softmax = sample = statistics = None  # type: ignore[assignment]

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        from liger_kernel.transformers.functional import liger_cross_entropy

        self.cross_entropy = lambda x, t: liger_cross_entropy(rows_of(x, data.axis), t.reshape(-1))

    def softmax(self) -> Any:
        from liger_kernel.transformers.softmax import LigerSoftmax

        return LigerSoftmax()(self.x)


class Quack(PyTorch):
    needs = ("quack",)
    log_softmax = sample = statistics = None  # type: ignore[assignment]

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        from quack.cross_entropy import cross_entropy

        self.cross_entropy = lambda x, t: cross_entropy(rows_of(x, data.axis), t.reshape(-1), inplace_backward=True)

    def softmax(self) -> Any:
        from quack.softmax import softmax

        return softmax(self.x)


# Limits ---------------------------------------------------------------------------------------------------------------


class Largest(SumTorch):
    """Another way to read the logits once."""

    def read_only_sum(self) -> Any:
        return self.logits.amax()


class Products(Contender):
    """What a last layer has to multiply, in the dtype of its inputs, with all of the logits in memory."""

    def __init__(self, data: Any) -> None:
        super().__init__(data)
        x, w = data.arrays
        self.mm = data.torch.mm
        self.z, self.to_x, self.to_w = x.new_empty(len(x), len(w)), data.torch.empty_like(x), data.torch.empty_like(w)

    def forward(self) -> None:
        x, w = self.data.arrays
        self.mm(x, w.t(), out=self.z)

    def gradients(self) -> None:
        x, w = self.data.arrays
        self.mm(self.z, w, out=self.to_x)
        self.mm(self.z.t(), x, out=self.to_w)

    def three_products(self) -> None:
        self.forward()
        self.gradients()

    def four_products(self) -> None:
        self.forward()
        self.three_products()


LAYERS: dict[str, type[Contender]] = {
    "PyTorch": EagerLayer, "torch.compile": CompiledLayer, "PyTorch's chunks": ChunkedLayer,
    "Liger": LigerLayer, "QuACK": QuackLayer, "CCE": CCELayer,
}  # fmt: skip
ON_GPU = Field(
    ours={"softxent": Softxent, "in place": InPlace, "softxent.torch": SoftxentTorch},
    peers={"PyTorch": PyTorch, "torch.compile": TorchCompile, "Liger": Liger, "QuACK": Quack},
    limits={
        "copy": ("copy", {"torch copy_": CopyTorch}),
        "one read": ("read_only_sum", {"torch.sum": SumTorch, "torch.amax": Largest}),
        "PyTorch's call": ("autograd", {"PyTorch's call": PyTorch}),
    },
)
LAYERS_ON_GPU = Field(
    ours={"softxent.torch": OurLayer},
    peers=LAYERS,
    limits={
        "three products": ("three_products", {"torch.mm, three": Products}),
        "four products": ("four_products", {"torch.mm, four": Products}),
        "one product": ("forward", {"torch.mm": Products}),
    },
)
