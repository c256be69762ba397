"""The rows of the GPU's benchmark and what ours has to reach there: the goals are of an H200, and hold on any."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.rows import Row

LOSSES = dict.fromkeys(("PyTorch", "torch.compile", "Liger", "QuACK"))
SOFTMAXES = dict.fromkeys(("PyTorch", "Liger", "QuACK"))
READERS = dict.fromkeys(("PyTorch", "torch.compile", "QuACK"))
LAYERS = dict.fromkeys(("PyTorch", "torch.compile", "PyTorch's chunks", "Liger", "QuACK", "CCE"))
DTYPES = ("float32", "bfloat16")
ELEMENTS = 2**27


@dataclass(frozen=True)
class GPURow(Row):
    memory: float | None = None  # bytes beyond inputs and gradients, at most

    @property
    def is_layer(self) -> bool:
        return self.work.startswith("layer")

    def cut(self, elements: int) -> Row:
        """A small row of the same kind; of a layer each side is cut."""
        return replace(self, shape=(8, 16, 32)) if self.is_layer else self.shrunk(elements)


def rows() -> list[GPURow]:
    found = []
    for at_most, shapes in (
        (1.1, [(8192, 32000), (4096, 131072), (16384, 50257)]),
        (1.25, [(65536, 1000), (4_000_000, 10), (64, 21, 512, 512)]),
    ):
        for dtype in DTYPES:
            for shape in shapes:
                axis = 1 if len(shape) > 2 else -1
                found.append(GPURow("loss_and_grad", shape, {"in place": {"copy": at_most}}, LOSSES, axis, dtype))
    for work in ("softmax", "log_softmax"):
        for dtype in DTYPES:
            for classes in (512, 4096, 32768, 262144):
                shape = (ELEMENTS // classes, classes)
                found.append(GPURow(work, shape, {"softxent": {"copy": 1.12}}, SOFTMAXES, dtype=dtype))
    for dtype in DTYPES:
        for work, at_most in (("loss", 1.15), ("statistics", 1.2)):
            found.append(GPURow(work, (4096, 131072), {"softxent": {"one read": at_most}}, READERS, dtype=dtype))
    only = {"PyTorch": None}
    return [
        *found,
        GPURow("sample", (4096, 131072), {"softxent": {"one read": 1.3}}, only),
        GPURow("autograd", (8, 10), beside("PyTorch's call", 1.2), only, tight=True),
        GPURow("layer", (8192, 4096, 131072), beside("three products", 1.13), LAYERS, dtype="bfloat16", memory=2.2e9),
        GPURow("layer_log_prob", (8192, 4096, 151936), beside("four products", 1.15), only, dtype="bfloat16"),
        GPURow("layer_sample", (256, 4096, 131072), beside("one product", 1.15), only, dtype="bfloat16"),
    ]


def beside(limit: str, at_most: float) -> dict[str, dict[str, float | None]]:
    return {"softxent.torch": {limit: at_most}}
