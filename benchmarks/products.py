"""python -m benchmarks.products: how fast the three products of a last layer are, by the rows in a chunk.

Multiply-adds a second, relative to the fastest number of rows of the same product: what LEAST_ROWS and MOST_ROWS follow
from.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from softxent.linear.layer import Library

ROWS = (32, 64, 128, 256, 512, 1024)


def libraries() -> dict[str, Library]:
    import torch

    from softxent.numpy import linear as of_numpy
    from softxent.torch.linear_layer import products as of_torch

    x = torch.empty(1)
    return {
        "NumPy": of_numpy.Products(np.dtype(np.float32)),
        "PyTorch": of_torch.Products(x, torch.float32, torch.float32),
    }


def speeds(library: Any, features: int, classes: int, rounds: int = 5) -> dict[str, list[float]]:
    """Of x·Wᵀ, G·W and the sum of Gᵀ·x, for each number of rows."""
    found: dict[str, list[float]] = {"x·Wᵀ": [], "G·W": [], "+= Gᵀ·x": []}
    W, total = library.empty(classes, features), library.empty(classes, features)
    W[...] = total[...] = 1
    for rows in ROWS:
        x, z = library.empty(rows, features), library.empty(rows, classes)
        x[...] = z[...] = 1

        def run(work: Callable[[], Any], rows: int = rows) -> float:
            times = []
            for _ in range(rounds):
                start = time.perf_counter()
                work()
                times.append(time.perf_counter() - start)
            return rows * features * classes / min(times)

        found["x·Wᵀ"].append(run(lambda x=x, z=z: library.product(x, W.T, z)))
        found["G·W"].append(run(lambda z=z: library.times(z, W)))
        found["+= Gᵀ·x"].append(run(lambda x=x, z=z: library.add_product(z.T, x, total, False)))
    return found


def main() -> None:
    print("| library, D × V | product |", " | ".join(f"{rows} rows" for rows in ROWS), "| G/s |")
    print("|---|---|" + "---:|" * (len(ROWS) + 1))
    for name, library in libraries().items():
        for features, classes in ((768, 50257), (512, 32000)):
            for product, found in speeds(library, features, classes).items():
                best = max(found)
                cells = " | ".join(f"{speed / best:.2f}" for speed in found)
                print(f"| {name}, {features} × {classes} | {product} | {cells} | {best / 1e9:.0f} |")


if __name__ == "__main__":
    main()
