"""What the page's mathematics must compute, from definition.py: python -m web.vectors writes web/vectors.json."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from softxent import definition
from softxent.definition import Array

FILE = Path(__file__).parent / "vectors.json"

# scores, target, T: the lesson's, one class, ties, extremes, underflow, many classes, cold and hot
CASES: list[tuple[list[float], int, float]] = [
    ([1, 5, 3], 1, 1),
    ([1, 5, 3], 0, 1),
    ([1, 5, 3], 2, 0.05),
    ([1, 5, 3], 2, 20),
    ([7], 0, 1),
    ([2, 2, 2, 2], 3, 1),
    ([0, 20], 1, 1),
    ([0, -90], 0, 1),
    ([0, -700, 30.5], 2, 1),
    ([1e4, -1e4, 9999.5], 0, 1),
    ([101, 105, 103], 1, 1),
    ([-3.25, 0.1, 0.2, 0.30000000000000004, -1e-9], 4, 1.7),
    ([((7 * k) % 50) / 4 - 6 for k in range(50)], 17, 1),
]

HALVES = [
    0,
    1,
    -1,
    0.1,
    1 / 3,
    2049,
    2051,
    65504,
    65519.99,
    65520,
    1e9,
    6e-8,
    2.9e-8,
    3e-8,
    6.1e-5,
    6.2e-5,
    1023.9999,
    np.pi,
]
LEADS = [0, 0.5, 3, 10, 15, 16.5, 17, 20, 36, 40]


def vector(scores: list[float], target: int, T: float) -> dict[str, Any]:
    z = definition.scaled(scores, T)
    p = definition.softmax(scores, T)
    loss, gradient = definition.cross_entropy_and_grad([scores], [target], temperature=T)
    made: dict[str, Any] = {
        "lse": float(definition.logsumexp(z)),
        "p": p.tolist(),
        "log_p": definition.log_softmax(scores, T).tolist(),
        "loss": float(loss),
        "gradient": gradient[0].tolist(),
    }
    if len(scores) <= 5:
        made["jacobian"] = definition.softmax_jacobian(p).tolist()
        made["chain_rule"] = definition.chain_rule(p, target).tolist() if p[target] else None
    return {"scores": scores, "target": target, "T": T, **made}


def float32(lead: float) -> dict[str, float]:
    """The usual log-softmax of [0, lead], each step rounded to float32; NumPy's own exp and log are off by a bit."""
    exp = np.float32(np.exp(np.float64(-lead)))
    total = np.float32(1) + exp
    loss, gradient = np.float32(np.log(np.float64(total))), np.float32(1) / total - np.float32(1)
    return {"lead": lead, "loss": float(loss), "gradient": float(gradient)}


# Networks: units of each layer, activation, rows, steps
NETWORKS: list[tuple[tuple[int, ...], str, int, int]] = [
    ((2, 3, 3), "relu", 1, 5),
    ((2, 3, 3), "tanh", 1, 5),
    ((2, 3, 3), "logistic", 1, 5),
    ((2, 4), "tanh", 12, 40),
    ((2, 5, 3), "tanh", 12, 40),
]
ETA = 0.3
SIGMA = {
    "relu": (lambda a: np.maximum(a, 0), lambda h: (h > 0) * 1.0),
    "tanh": (np.tanh, lambda h: 1 - h * h),
    "logistic": (lambda a: 1 / (1 + np.exp(-a)), lambda h: h * (1 - h)),
}

Layers = list[tuple[Array, Array]]  # W, inputs × outputs, and b of each layer


def network(units: tuple[int, ...], activation: str, rows: int, steps: int) -> dict[str, Any]:
    rng = np.random.default_rng(len(units) * rows)
    layers: Layers = [(rng.uniform(-1, 1, shape), rng.uniform(-1, 1, shape[1])) for shape in pairwise(units)]
    X, target = rng.uniform(-2, 2, (rows, 2)), rng.integers(0, units[-1], rows)
    loss, gradient = loss_and_gradient(layers, activation, X, target)
    trained = [step(layers, activation, X, target)]
    for _ in range(steps - 1):
        trained.append(step(trained[-1], activation, X, target))
    return {
        "units": units, "activation": activation, "theta": flat(layers), "X": X.tolist(), "target": target.tolist(),
        "eta": ETA, "loss": float(f"{loss:.15g}"), "gradient": flat(gradient), "next": flat(trained[0]),
        "steps": steps, "trained": flat(trained[-1]),
    }  # fmt: skip


def loss_and_gradient(layers: Layers, activation: str, X: Array, target: Any) -> tuple[float, Layers]:
    """The mean loss by definition.py, and down from its p − y through h·W + b and the activation."""
    value, slope = SIGMA[activation]
    hidden = [X]
    for W, b in layers[:-1]:
        hidden.append(value(hidden[-1] @ W + b))
    loss, delta = definition.cross_entropy_and_grad(hidden[-1] @ layers[-1][0] + layers[-1][1], target)
    gradient: Layers = []
    for h, (W, _) in zip(reversed(hidden), reversed(layers), strict=True):
        gradient.insert(0, (h.T @ delta, delta.sum(axis=0)))
        delta = (delta @ W.T) * slope(h)
    return float(loss), gradient


def step(layers: Layers, activation: str, X: Array, target: Any) -> Layers:
    _, gradient = loss_and_gradient(layers, activation, X, target)
    return [(W - ETA * dW, b - ETA * db) for (W, b), (dW, db) in zip(layers, gradient, strict=True)]


def flat(layers: Layers) -> list[float]:
    """All weights, then all biases, in 15 digits: the last bits of a product of matrices are the processor's."""
    theta = [*(W for W, _ in layers), *(b for _, b in layers)]
    return [float(f"{value:.15g}") for part in theta for value in part.ravel()]


def vectors() -> dict[str, Any]:
    with np.errstate(over="ignore"):
        halves = [[x, float(np.float16(x))] for x in map(float, HALVES)]
    return {
        "rows": [vector(*case) for case in CASES],
        "float16": [[x, half if np.isfinite(half) else "Infinity"] for x, half in halves],
        "float32": [float32(lead) for lead in LEADS],
        "networks": [network(*case) for case in NETWORKS],
    }


def text() -> str:
    return (
        json.dumps(vectors(), separators=(",", ":"))
        .replace('{"scores"', '\n{"scores"')
        .replace('{"units"', '\n{"units"')
        + "\n"
    )


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
    print(FILE, FILE.stat().st_size, "bytes")
