"""Loss and gradient of one batch, timed beside the same computation in SciPy; rows and classes may be given."""

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
from scipy import special

import softxent as sx

rows, classes = map(int, sys.argv[1:3] or (4096, 10000))
rng = np.random.default_rng()
logits = 4 * rng.standard_normal((rows, classes), dtype=np.float32)
target = rng.integers(classes, size=rows)
out = np.empty_like(logits)


def with_softxent() -> tuple[np.floating, np.ndarray]:
    return sx.cross_entropy_and_grad(logits, target)


def with_softxent_into_out() -> tuple[np.floating, np.ndarray]:
    return sx.cross_entropy_and_grad(logits, target, out=out)


def with_scipy() -> tuple[np.floating, np.ndarray]:
    every_row = np.arange(rows)
    log_p = special.log_softmax(logits, axis=-1)
    grad = np.exp(log_p)
    grad[every_row, target] -= 1
    grad /= rows
    return -log_p[every_row, target].mean(), grad


def seconds(compute: Callable[[], object]) -> float:
    start = time.perf_counter()
    compute()
    return time.perf_counter() - start


(loss, grad), (scipy_loss, scipy_grad) = with_softxent(), with_scipy()  # the first calls are not timed
np.testing.assert_allclose(loss, scipy_loss, rtol=1e-5)
np.testing.assert_allclose(grad, scipy_grad, rtol=1e-4, atol=1e-6 / rows)
del grad, scipy_grad

contenders = (with_softxent, with_softxent_into_out, with_scipy)
times = [[seconds(compute) for compute in contenders] for _ in range(5)]  # in turn: all meet the same disturbances
ours, into_out, theirs = (statistics.median(column) for column in zip(*times, strict=True))
print(f"loss and gradient of {rows} × {classes} float32 logits, median of {len(times)}:")
print(f"  SciPy                   {1e3 * theirs:8.1f} ms")
print(f"  softxent                {1e3 * ours:8.1f} ms   {theirs / ours:5.1f} × as fast; loss and gradient agree")
print(f"  softxent into an array  {1e3 * into_out:8.1f} ms   {theirs / into_out:5.1f} × as fast")
