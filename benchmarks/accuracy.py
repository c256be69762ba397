"""python -m benchmarks.accuracy: the largest error in ULP of what we return, and of what the peers return.

Logits are drawn from N(0, σ) and rounded to the dtype, and the exact result is that of the rounded ones; the target is
the argmax, the runner-up or random. The exact result is mpmath's, at 256 bits: enough, however small exp(−700) is
beside 1, because the others are summed apart from the largest, and all that is added up then has one sign.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.ulp import Exact, ulp_error

BITS = 256
SIGMAS = (1, 5, 20, 100)
ROWS_OF = {2: 200, 3: 200, 10: 100, 1000: 10, 50257: 2}  # classes → rows: mpmath takes about a second for 50257
DTYPES = ("float32", "float64")
TARGETS = ("argmax", "runner-up", "random")
QUANTITIES = ("loss", "target gradient", "other gradients", "softmax", "log_softmax", "lse")
TINY = ([0.0, 20.0], [0.0, 60.0], [0.0, -90.0])  # the target is the argmax

# The exact result ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExactRow:
    """One row's real numbers."""

    softmax: Exact
    log_softmax: Exact
    lse: Exact
    gap: list[Any]  # lse − z_j, the loss if j is the target
    one_minus_p: Callable[[int], Any]  # 1 − p_j, summed from the others


def exact_row(logits: np.ndarray) -> ExactRow:
    """Every term of a sum has the same sign: 1 − p is Σ of the others / S, log p_j is (z_j − m) − log1p(the others)."""
    import mpmath

    z = [mpmath.mpf(float(x)) for x in logits]
    top = int(np.argmax(logits))
    d = [x - z[top] for x in z]
    e = [mpmath.exp(x) for x in d]
    others = mpmath.fsum(e[:top] + e[top + 1 :])
    total, log_total = 1 + others, mpmath.log1p(others)
    gap = [log_total - x for x in d]
    return ExactRow(
        softmax=Exact.of([x / total for x in e]),
        log_softmax=Exact.of([-x for x in gap]),
        lse=Exact.of([z[top] + log_total]),
        gap=gap,
        one_minus_p=lambda j: (others if j == top else total - e[j]) / total,
    )


# Who is measured -----------------------------------------------------------------------------------------------------

Results = dict[str, np.ndarray]  # loss, grad, softmax, log_softmax, lse of rows × classes logits


def softxent_results(logits: np.ndarray, target: np.ndarray) -> Results:
    import softxent as sx

    loss, grad = sx.cross_entropy_and_grad(logits, target, reduction="none")
    softmax, log_softmax, lse = sx.softmax(logits), sx.log_softmax(logits), sx.logsumexp(logits)
    return {"loss": loss, "grad": grad, "softmax": softmax, "log_softmax": log_softmax, "lse": lse}


def torch_results(logits: np.ndarray, target: np.ndarray) -> Results:
    import torch

    x, t = torch.tensor(logits, requires_grad=True), torch.tensor(target)
    loss = torch.nn.functional.cross_entropy(x, t, reduction="none")
    loss.sum().backward()
    forward = {"softmax": x.softmax(-1), "log_softmax": x.log_softmax(-1), "lse": x.logsumexp(-1)}
    return {name: value.detach().numpy() for name, value in ({"loss": loss, "grad": x.grad} | forward).items()}


def jax_results(logits: np.ndarray, target: np.ndarray) -> Results:
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    x, loss_of = jax.numpy.asarray(logits), optax.softmax_cross_entropy_with_integer_labels
    grad = jax.grad(lambda x: loss_of(x, target).sum())(x)
    forward = {"softmax": jax.nn.softmax(x), "log_softmax": jax.nn.log_softmax(x), "lse": jax.nn.logsumexp(x, -1)}
    return {name: np.asarray(value) for name, value in ({"loss": loss_of(x, target), "grad": grad} | forward).items()}


def scipy_results(logits: np.ndarray, target: np.ndarray) -> Results:
    """SciPy has no loss: −log_softmax of the target, and softmax − one-hot, as one would write them."""
    from scipy.special import log_softmax, logsumexp, softmax

    p, log_p = softmax(logits, axis=-1), log_softmax(logits, axis=-1)
    row = np.arange(len(target))
    grad = p.copy()
    grad[row, target] -= 1
    lse = logsumexp(logits, axis=-1)
    return {"loss": -log_p[row, target], "grad": grad, "softmax": p, "log_softmax": log_p, "lse": lse}


MEASURED = {
    "softxent": (softxent_results, ("softxent",)),
    "PyTorch": (torch_results, ("torch",)),
    "JAX": (jax_results, ("jax", "optax")),
    "SciPy": (scipy_results, ("scipy",)),
}


# Errors --------------------------------------------------------------------------------------------------------------


def targets_of(logits: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    order = np.argsort(logits, axis=-1)
    random = rng.integers(logits.shape[1], size=len(logits))
    return dict(zip(TARGETS, (order[:, -1], order[:, -2], random), strict=True))


def errors(results: Results, logits: np.ndarray, target: np.ndarray, rows: list[ExactRow]) -> dict[str, float]:
    """The largest error of each quantity over the rows; lse in ULP of max(|m|, |lse|)."""
    worst = dict.fromkeys(QUANTITIES, 0.0)
    for i, (y, exact) in enumerate(zip(target, rows, strict=True)):
        others = np.arange(logits.shape[1]) != y
        p = Exact(*(part[others] for part in exact.softmax))
        got = {name: value[i] for name, value in results.items()}
        found = {
            "loss": ulp_error(got["loss"][None], Exact.of([exact.gap[y]])),
            "target gradient": ulp_error(got["grad"][y, None], Exact.of([-exact.one_minus_p(y)])),
            "other gradients": ulp_error(got["grad"][others], p),
            "softmax": ulp_error(got["softmax"], exact.softmax),
            "log_softmax": ulp_error(got["log_softmax"], exact.log_softmax),
            "lse": ulp_error(got["lse"][None], exact.lse, beside=logits[i].max()),
        }
        worst = {name: max(worst[name], float(found[name].max())) for name in QUANTITIES}
    return worst


def measure(quick: bool, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One entry for each dtype, V, σ, target and library, with its largest errors."""
    import mpmath
    from rich.progress import track

    present = installed()
    found = []
    sizes = {2: 20, 10: 10, 1000: 1} if quick else ROWS_OF
    cases = [(dtype, classes, sigma) for dtype in DTYPES for classes in sizes for sigma in SIGMAS]
    for dtype, classes, sigma in track(cases, "Measuring", transient=True):
        logits = (sigma * rng.standard_normal((sizes[classes], classes))).astype(dtype)
        with mpmath.workprec(BITS):
            rows = [exact_row(row) for row in logits]
            for chosen, target in targets_of(logits, rng).items():
                for name in present:
                    worst = errors(MEASURED[name][0](logits, target), logits, target, rows)
                    case = {"dtype": dtype, "classes": classes, "sigma": sigma, "target": chosen, "library": name}
                    found.append(case | {quantity: _digits(error) for quantity, error in worst.items()})
    return found


def tiny() -> list[dict[str, Any]]:
    """Loss and target gradient where 1 + O rounds to 1: the same number, −O, but for the sign, to 20 digits."""
    import mpmath

    found = []
    for scores in TINY:
        target = int(np.argmax(scores))
        with mpmath.workprec(BITS):
            exact = exact_row(np.array(scores))
            loss, gradient = float(exact.gap[target]), float(-exact.one_minus_p(target))
        found.append({"logits": scores, "library": "exact", "loss": loss, "gradient": gradient})
        for name in installed():
            results = MEASURED[name][0](np.array([scores], np.float32), np.array([target]))
            loss, gradient = float(results["loss"][0]), float(results["grad"][0, target])
            found.append({"logits": scores, "library": name, "loss": loss, "gradient": gradient})
    return found


def installed() -> list[str]:
    from importlib.util import find_spec

    return [name for name, (_, packages) in MEASURED.items() if all(find_spec(package) for package in packages)]


def _digits(x: float) -> float | str:
    return float(f"{x:.4g}") if np.isfinite(x) else "inf"  # json has no infinity


# Tables --------------------------------------------------------------------------------------------------------------


def worst_lines(result: dict[str, Any]) -> list[list[str]]:
    """A line for each dtype and library: its largest error over all V, σ and targets."""
    lines = []
    for dtype in DTYPES:
        for name in MEASURED:
            cases = [case for case in result["errors"] if case["dtype"] == dtype and case["library"] == name]
            worst = [max((float(case[quantity]) for case in cases), default=None) for quantity in QUANTITIES]
            lines.append([dtype, name, *("not installed" if error is None else _short(error) for error in worst)])
    return lines


def _short(error: float) -> str:
    return f"{error:.2f}" if error < 100 else f"{error:.1e}"


def show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    grid = Table("dtype", "library", *QUANTITIES, title="Largest error in ULP")
    for line in worst_lines(result):
        grid.add_row(*line, end_section=line[1] == list(MEASURED)[-1])
    console.print(grid)

    grid = Table("logits", "library", "loss", "target gradient", title="Tiny losses, float32, the target is the argmax")
    for case in result["tiny"]:
        values = (f"{case['loss']:.9g}", f"{case['gradient']:.9g}")
        grid.add_row(str(case["logits"]), case["library"], *values, end_section=case["library"] == installed()[-1])
    console.print(grid)


def markdown(result: dict[str, Any]) -> str:
    lines = [["dtype", "library", *QUANTITIES], ["---", "---"] + ["--:"] * len(QUANTITIES), *worst_lines(result)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, no large V; not saved")
    parser.add_argument("--seed", type=int, default=None, help="of the logits (default: fresh ones)")
    parser.add_argument("--output", type=Path, help="the result (default: results/accuracy.json)")
    parser.add_argument("--readme", action="store_true", help="measure nothing: write the READMEs' table from a result")
    args = parser.parse_args(argv)
    path = args.output or machine.RESULTS / "accuracy.json"
    if args.readme:
        from benchmarks.report import READMES, replace_between

        print(*(p for p in READMES.values() if replace_between(p, "accuracy", markdown(machine.load(path)))), sep="\n")
        return

    seed = args.seed if args.seed is not None else int(np.random.SeedSequence().entropy % 2**32)
    found = measure(args.quick, np.random.default_rng(seed))
    result = {**machine.provenance(machine.cores()), "seed": seed, "bits": BITS, "errors": found, "tiny": tiny()}
    show(result)
    if args.output or not args.quick:
        machine.save(path, result)
        print(path)


if __name__ == "__main__":
    main()
