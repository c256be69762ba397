"""The rows of the benchmark: what is computed, on which array, and what ours has to reach. To add one, add an entry."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

WORK = {
    "loss_and_grad": "loss + gradient",
    "loss": "loss only",
    "softmax": "softmax",
    "log_softmax": "log_softmax",
    "sample": "sample",
    "one_call": "one Python call",
    "autograd": "forward + backward",
    "scaled": "forward + backward of loss / 4",
    "statistics": "log_prob, entropy, lse, argmax, rank",
    "layer": "last layer, loss + gradients",
    "layer_log_prob": "last layer, log_prob + entropy + gradients",
    "layer_sample": "last layer, sample",
}


@dataclass(frozen=True)
class Row:
    """`work` is the method that each contender runs; None stands for a ratio that is reported and has no goal."""

    work: str
    shape: tuple[int, ...]
    ours: dict[str, dict[str, float | None]]  # ours → limit → at most this many times the limit
    peers: dict[str, float | None]  # peer → at least this many times as long as ours
    axis: int = -1
    dtype: str = "float32"
    steps: tuple[int, ...] = ()  # of each axis of logits in memory: −1 is reversed, 2 every other one
    options: dict[str, Any] = field(default_factory=dict)  # of our own functions
    tight: bool = False  # call after call on the same arrays, with nothing between

    @property
    def label(self) -> str:
        size = " × ".join(f"{n:,}" if n >= 1_000_000 else str(n) for n in self.shape)
        axis = "" if self.axis == -1 else f", class axis {self.axis}"
        dtype = "" if self.dtype == "float32" else f", {self.dtype}"
        return f"{WORK[self.work]}, {size}{axis}{dtype}"

    def shrunk(self, elements: int) -> Row:
        """The same row with its first axes cut until it has about `elements` elements; the class axis is cut last."""
        shape = list(self.shape)
        order = [i for i in range(len(shape)) if i != self.axis % len(shape)] + [self.axis % len(shape)]
        for i in order:
            excess = max(1, -(-math.prod(shape) // elements))
            shape[i] = max(1, shape[i] // excess)
        return replace(self, shape=tuple(shape))


# The goals are for two cores.
COMPILED = {"torch.compile": 4, "JAX": 4}
REPORTED = {"torch.compile": None, "JAX": None}
BOTH = {"in place": {"copy": 1.25}, "into out": {"copy": 1.35}}
THROUGH_AUTOGRAD = {"softxent.torch": {"copy that allocates": None}}
SCALED = {"softxent.torch": {"unscaled": 1.5}}
FORWARD = {"softxent": {"copy": 1.6, "copy that allocates": 1.6}}

ROWS = [
    Row("loss_and_grad", (16384, 1000), BOTH, {"PyTorch": 8, **COMPILED}),
    Row("loss_and_grad", (1024, 50257), BOTH, {"PyTorch": 8, **COMPILED}),
    Row("loss_and_grad", (512, 131072), BOTH, {"PyTorch": 8, **COMPILED}),
    Row("loss_and_grad", (4096, 1000), {"in place": {"copy": 2.1}}, {"PyTorch": 4, **REPORTED}),
    Row("loss_and_grad", (1_000_000, 10), {"in place": {"copy": 3}}, {"PyTorch": 15, **REPORTED}),
    Row("loss_and_grad", (8, 21, 256, 256), {"in place": {"copy": 2.5}}, {"PyTorch": 8, **REPORTED}, axis=1),
    Row("loss_and_grad", (1, 131072), {"in place": {"copy": 2}}, {"PyTorch": 5, **REPORTED}),
    Row("loss", (1024, 50257), {"softxent": {"read-only sum": 2}}, {"PyTorch": 5, **REPORTED, "SciPy": None}),
    Row("softmax", (1024, 50257), FORWARD, {"PyTorch": None, "JAX": None, "SciPy": 6}),
    Row("log_softmax", (1024, 50257), FORWARD, {"PyTorch": None, "JAX": None, "SciPy": 6}),
    Row("one_call", (1, 3), {"softxent": {"3 µs": 1}}, {"PyTorch": None, "JAX": None, "SciPy": None}),
    Row(
        "sample", (64, 131072), {"softxent": {"our loss only": 2, "read-only sum": None}}, {"PyTorch": 30, "JAX": None}
    ),
    Row("loss_and_grad", (512, 50257), {"in place": {"copy": 2}}, {"PyTorch": 10, **REPORTED}, dtype="bfloat16"),
    Row("loss_and_grad", (512, 50257), {"in place": {"copy": 2}}, {"PyTorch": 10, **REPORTED}, dtype="float16"),
    Row("autograd", (1024, 50257), THROUGH_AUTOGRAD, {"PyTorch": 5, "torch.compile": 3}),
    Row("autograd", (512, 131072), THROUGH_AUTOGRAD, {"PyTorch": 5, "torch.compile": 3}),
    Row("autograd", (4096, 1000), THROUGH_AUTOGRAD, {"PyTorch": 3, "torch.compile": 2}),
    Row("autograd", (1_000_000, 10), THROUGH_AUTOGRAD, {"PyTorch": 10, "torch.compile": 3}),
    Row("autograd", (8, 21, 256, 256), THROUGH_AUTOGRAD, {"PyTorch": 5, "torch.compile": 2}, axis=1),
    Row("autograd", (512, 50257), THROUGH_AUTOGRAD, {"PyTorch": 8, "torch.compile": 3}, dtype="bfloat16"),
    Row("scaled", (1024, 50257), SCALED, {"PyTorch": None}),
    Row("scaled", (4096, 1000), SCALED, {"PyTorch": None}),
    Row("scaled", (1_000_000, 10), SCALED, {"PyTorch": None}),
    Row("statistics", (1024, 50257), {"softxent": {"our loss only": 1.3}}, {"PyTorch": None}),
]
