"""What the page's mathematics must compute, from definition.py: python -m web.vectors writes web/vectors.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from softxent import definition

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

HALVES = [0, 1, -1, 0.1, 1 / 3, 2049, 2051, 65504, 65519.99, 65520, 1e9, 6e-8, 2.9e-8, 3e-8, 6.1e-5, 6.2e-5, 1023.9999, np.pi]
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
    """The usual log-softmax of [0, lead], each step rounded to float32: exp and log from float64, for NumPy's are off by a bit."""
    exp = np.float32(np.exp(np.float64(-lead)))
    total = np.float32(1) + exp
    loss, gradient = np.float32(np.log(np.float64(total))), np.float32(1) / total - np.float32(1)
    return {"lead": lead, "loss": float(loss), "gradient": float(gradient)}


def vectors() -> dict[str, Any]:
    with np.errstate(over="ignore"):
        halves = [[x, float(np.float16(x))] for x in map(float, HALVES)]
    return {
        "rows": [vector(*case) for case in CASES],
        "float16": [[x, half if np.isfinite(half) else "Infinity"] for x, half in halves],
        "float32": [float32(lead) for lead in LEADS],
    }


def text() -> str:
    return json.dumps(vectors(), separators=(",", ":")).replace('{"scores"', '\n{"scores"') + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
    print(FILE, FILE.stat().st_size, "bytes")
