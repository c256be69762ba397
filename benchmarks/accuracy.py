"""python -m benchmarks.accuracy: the largest error in ULP of what we return, and of what the peers return.

Logits are drawn from N(0, σ) and rounded to the dtype, and the exact result is that of the rounded ones; the target is
the argmax, the runner-up or random. Then rows are searched for on which we are as wrong as can be: see search.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine, reference, search
from benchmarks.reference import QUANTITIES

SIGMAS = (1, 5, 20, 100)
ROWS_OF = {2: 20000, 3: 20000, 10: 10000, 100: 1000, 1000: 200, 50257: 4}  # classes → rows
DTYPES = ("float32", "float64")
TARGETS = ("argmax", "runner-up", "random")
TINY = ([0.0, 20.0], [0.0, 60.0], [0.0, -90.0])  # the target is the argmax

# Who is measured -----------------------------------------------------------------------------------------------------

Results = dict[str, np.ndarray]  # loss, grad, softmax, log_softmax, lse of rows × classes logits


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
    "softxent": (search.results, ("softxent",)),
    "PyTorch": (torch_results, ("torch",)),
    "JAX": (jax_results, ("jax", "optax")),
    "SciPy": (scipy_results, ("scipy",)),
}


# Errors --------------------------------------------------------------------------------------------------------------


def targets_of(logits: np.ndarray, rng: np.random.Generator) -> dict[str, np.ndarray]:
    order = np.argsort(logits, axis=-1)
    random = rng.integers(logits.shape[1], size=len(logits))
    return dict(zip(TARGETS, (order[:, -1], order[:, -2], random), strict=True))


def measure(quick: bool, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One entry for each dtype, V, σ, target and library, with its largest errors."""
    from rich.progress import track

    present = installed()
    found = []
    sizes = {2: 20, 10: 10, 1000: 1} if quick else ROWS_OF
    cases = [(dtype, classes, sigma) for dtype in DTYPES for classes in sizes for sigma in SIGMAS]
    for dtype, classes, sigma in track(cases, "Measuring", transient=True):
        logits = (sigma * rng.standard_normal((sizes[classes], classes))).astype(dtype)
        for chosen, target in targets_of(logits, rng).items():
            exact = reference.results(logits, target)
            for name in present:
                worst = reference.errors(MEASURED[name][0](logits, target), exact, target)
                case = {"dtype": dtype, "classes": classes, "sigma": sigma, "target": chosen, "library": name}
                found.append(case | {quantity: _digits(error.max()) for quantity, error in worst.items()})
    return found


def tiny() -> list[dict[str, Any]]:
    """Loss and target gradient where 1 + O rounds to 1: the same number, −O, but for the sign, to 20 digits."""
    found = []
    for scores in TINY:
        logits, target = np.array([scores], np.float32), np.array([np.argmax(scores)])
        exact = {name: np.float64(value) for name, value in reference.results(logits, target).items()}
        everyone = {"exact": exact} | {name: MEASURED[name][0](logits, target) for name in installed()}
        for name, results in everyone.items():
            loss, gradient = float(results["loss"][0]), float(results["grad"][0, target[0]])
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
    for dtype in DTYPES if result["errors"] else ():
        for name in MEASURED:
            cases = [case for case in result["errors"] if case["dtype"] == dtype and case["library"] == name]
            worst = [max((float(case[quantity]) for case in cases), default=None) for quantity in QUANTITIES]
            lines.append([dtype, name, *("not installed" if error is None else _short(error) for error in worst)])
    return lines + [[dtype, "softxent, searched", *map(_short, worst)] for dtype, worst in searched(result).items()]


def searched(result: dict[str, Any]) -> dict[str, list[float]]:
    """dtype → the largest error of each quantity that the search found without options, wherever the classes lie."""
    found: dict[str, list[float]] = {}
    for case in result["searched"]:
        if case["options"] == search.PLAIN:
            worst = found.setdefault(case["dtype"], [0.0] * len(QUANTITIES))
            i = QUANTITIES.index(case["quantity"])
            worst[i] = max(worst[i], float(case["error"]))
    return found


def _short(error: float) -> str:
    return f"{error:.2f}" if error < 100 else f"{error:.1e}"


def show(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    if not console.is_terminal:
        console = Console(width=160)
    grid = Table("dtype", "library", *QUANTITIES, title="Largest error in ULP")
    for line in worst_lines(result):
        grid.add_row(*line, end_section=line[1] == list(MEASURED)[-1])
    console.print(grid)
    show_searched(console, result["searched"])

    grid = Table("logits", "library", "loss", "target gradient", title="Tiny losses, float32, the target is the argmax")
    for case in result["tiny"]:
        values = (f"{case['loss']:.9g}", f"{case['gradient']:.9g}")
        grid.add_row(str(case["logits"]), case["library"], *values, end_section=case["library"] == installed()[-1])
    console.print(grid)


def show_searched(console: Any, found: list[dict[str, Any]]) -> None:
    """A line for each way and option: the largest error, and on which instruction set and how many classes."""
    from rich.table import Table

    grid = Table("dtype", "class axis", "options", *QUANTITIES, title="Largest error in ULP that was searched for")
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for case in found:
        cell = f"{_short(float(case['error']))} ({case['isa']}, {case['classes']})"
        cells.setdefault((case["dtype"], case["axis"], case["options"]), {})[case["quantity"]] = cell
    for way, line in cells.items():
        grid.add_row(*way, *(line.get(quantity, "–") for quantity in QUANTITIES))
    console.print(grid)


def write_pages(result: dict[str, Any]) -> list[Path]:
    from benchmarks.report import READMES, piped, replace_between

    table = piped([["dtype", "library", *QUANTITIES], *worst_lines(result)])
    return [path for path in READMES.values() if replace_between(path, "accuracy", table)]


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few rows, no large V, short climbs; not saved")
    parser.add_argument("--search", action="store_true", help="the search only; not saved")
    parser.add_argument("--steps", type=int, default=search.STEPS, help="of each climb (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="of the logits (default: fresh ones)")
    parser.add_argument("--output", type=Path, help="the result (default: results/accuracy.json)")
    parser.add_argument("--readme", action="store_true", help="measure nothing: write the READMEs' table from a result")
    args = parser.parse_args(argv)
    path = args.output or machine.RESULTS / "accuracy.json"
    if args.readme:
        print(*write_pages(machine.load(path)), sep="\n")
        return

    seed = args.seed if args.seed is not None else int(np.random.SeedSequence().entropy % 2**32)
    rng = np.random.default_rng(seed)
    found = {"errors": [] if args.search else measure(args.quick, rng), "tiny": tiny()}
    found["searched"] = search.worst(rng, 20 if args.quick else args.steps)
    result = {**machine.provenance(machine.cores()), "seed": seed, **found}
    show(result)
    complete = not (args.quick or args.search)
    if args.output or complete:
        machine.save(path, result)
        print(path)
    if complete and not args.output:
        print(*write_pages(result), sep="\n")


if __name__ == "__main__":
    main()
