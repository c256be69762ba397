"""python -m benchmarks.estimator: SoftmaxClassifier beside scikit-learn, trained until done; results/estimator.json.

A linear model is timed beside LogisticRegression with its defaults. Ours solves the same problem (α = 1 / (C·n)) with
the loosest tol of 1e-2, 5e-3, … that ends at an objective no worse than theirs by more than 1e-6 of it, and then with
its default tol, which goes on to a better one. A network is timed beside MLPClassifier for the same epochs and batch
size. All fits of a row run in turn, on the same arrays and threads.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine

RESULT = machine.RESULTS / "estimator.json"
WITHIN = 1e-6  # of the peer's objective
SEEDS = range(5)


@dataclass(frozen=True)
class Fit:
    """What is learnt, from which data (a function of this module), and how many times faster it has to be."""

    label: str
    data: str
    goal: float
    dtype: str = "float32"
    hidden: tuple[int, ...] = ()


FITS = [
    Fit("linear, 20000 × 784, 10 classes", "images", 3),
    Fit("linear, 20000 × 784, 10 classes, float64", "images", 3, "float64"),
    Fit("linear, 20000 × 64, 500 classes", "many_classes", 4),
    Fit("linear, sparse 50000 × 50000 at 0.2 %, 20 classes", "text", 2, "float64"),
    Fit("linear, digits, 1797 × 64, 10 classes", "digits", 1, "float64"),
    Fit("hidden layer of 256, 20000 × 784, 10 classes, 10 epochs", "images", 2, hidden=(256,)),
]
MEMORY = (200_000, 64, 2_000)  # rows, features, classes
MEMORY_GOAL = 200e6  # bytes beyond X and the parameters


# The data -----------------------------------------------------------------------------------------------------------


def images(rng: Any, rows: int = 20_000) -> tuple[Any, Any]:
    """scikit-learn's digits, enlarged to 28 × 28, moved by up to three pixels, with noise: as MNIST is made up."""
    import numpy as np
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    small, y = load_digits(return_X_y=True)
    large = np.stack([zoom(image, 3, order=1) for image in small.reshape(-1, 8, 8) / 16])
    index, shift = rng.integers(len(y), size=rows), rng.integers(5, size=(rows, 2))
    X = np.zeros((rows, 28, 28))
    for row, (k, (i, j)) in enumerate(zip(index, shift, strict=True)):
        X[row, i : i + 24, j : j + 24] = large[k]
    X += 0.1 * rng.standard_normal(X.shape) * (X > 0)
    return X.reshape(rows, 784).clip(0, 1), y[index]


def many_classes(rng: Any, rows: int = 20_000, features: int = 64, classes: int = 500) -> tuple[Any, Any]:
    """Labels drawn from a linear model of standard normal X."""
    import softxent as sx

    X = rng.standard_normal((rows, features))
    return X, sx.sample(X @ rng.standard_normal((features, classes)) / 2, rng=rng)


def text(rng: Any, rows: int = 50_000, features: int = 50_000, classes: int = 20) -> tuple[Any, Any]:
    """Rows of 100 words, drawn by Zipf's law, a third of them from the class's own order of words; tf-idf, length 1."""
    import numpy as np
    from scipy import sparse
    from sklearn.feature_extraction.text import TfidfTransformer

    words = 100 * features // 50_000 or 1
    share = 1 / np.arange(1, features + 1)
    ranks = rng.choice(features, size=(rows, words), p=share / share.sum())
    y = rng.integers(classes, size=rows)
    orders = np.stack([rng.permutation(features) for _ in range(classes)])
    own = rng.random((rows, words)) < 1 / 3
    columns = np.where(own, orders[y[:, None], ranks], ranks)
    counts = sparse.csr_array((np.ones(columns.size), columns.ravel(), np.arange(rows + 1) * words), (rows, features))
    counts.sum_duplicates()
    return TfidfTransformer().fit_transform(counts), y


def digits(rng: Any) -> tuple[Any, Any]:
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)


# The fits -----------------------------------------------------------------------------------------------------------


def linear(fit: Fit, X: Any, y: Any, rounds: int) -> dict[str, Any]:
    from sklearn.linear_model import LogisticRegression

    from softxent.sklearn import SoftmaxClassifier

    def theirs() -> Any:
        return LogisticRegression().fit(X, y)

    def ours(tol: float) -> Any:
        return SoftmaxClassifier(alpha=1 / len(y), tol=tol, max_iter=1000).fit(X, y)

    peer = theirs()
    reach = objective(X, y, peer.coef_, peer.intercept_)
    tol = 1e-2
    while True:
        model = ours(tol)
        reached = objective(X, y, model.coef_, model.intercept_)
        if reached <= reach * (1 + WITHIN):
            break
        tol /= 2
    default = ours(1e-4)
    seconds = in_turn({"ours": lambda: ours(tol), "default tol": lambda: ours(1e-4), "peer": theirs}, rounds)
    return {
        **result(fit, seconds),
        "peer": "LogisticRegression",
        "tol": tol,
        "iterations": {"ours": model.n_iter_, "default tol": default.n_iter_, "peer": int(peer.n_iter_[0])},
        "objective": {
            "ours": reached,
            "default tol": objective(X, y, default.coef_, default.intercept_),
            "peer": reach,
        },
    }


def objective(X: Any, y: Any, coef: Any, intercept: Any) -> float:
    """1/n·Σ loss_i + 1/(2n)·‖W‖² in float64, whoever found W."""
    import numpy as np

    import softxent as sx

    W, total = coef.astype(np.float64), 0.0
    for start in range(0, len(y), 4096):
        x = X[start : start + 4096].astype(np.float64)
        total += sx.cross_entropy(np.asarray(x @ W.T) + intercept, y[start : start + 4096], reduction="sum")
    return float(total + (W**2).sum() / 2) / len(y)


def network(fit: Fit, X: Any, y: Any, rounds: int) -> dict[str, Any]:
    from sklearn.model_selection import train_test_split
    from sklearn.neural_network import MLPClassifier

    from softxent.sklearn import SoftmaxClassifier

    X, X_test, y, y_test = train_test_split(X, y, test_size=0.1, random_state=0)
    same = {"hidden_layer_sizes": fit.hidden, "batch_size": 200, "max_iter": 10, "n_iter_no_change": 10}

    def ours(seed: int = 0) -> Any:
        return SoftmaxClassifier(**same, alpha=1e-4 / 200, random_state=seed).fit(X, y)

    def theirs(seed: int = 0) -> Any:
        return MLPClassifier(**same, alpha=1e-4, random_state=seed).fit(X, y)

    ours(), theirs()
    seconds = in_turn({"ours": ours, "peer": theirs}, rounds)
    accuracy = {
        name: [f(seed).score(X_test, y_test) for seed in SEEDS] for name, f in (("ours", ours), ("peer", theirs))
    }
    return {**result(fit, seconds), "peer": "MLPClassifier", "accuracy": accuracy}


def in_turn(runs: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run, A B, B A, A B, …"""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(rounds):
        for name in list(runs)[:: 1 if i % 2 == 0 else -1]:
            start = time.perf_counter()
            runs[name]()
            seconds[name].append(time.perf_counter() - start)
    return seconds


def result(fit: Fit, seconds: dict[str, list[float]]) -> dict[str, Any]:
    import numpy as np

    median = {name: float(np.median(s)) for name, s in seconds.items()}
    ratio = median["peer"] / median["ours"]
    return {
        "fit": fit.label,
        "seconds": seconds,
        "median": median,
        "ratio": ratio,
        "goal": fit.goal,
        "met": ratio >= fit.goal,
    }


# Memory and the command: in processes of their own ----------------------------------------------------------------


def peak_memory() -> int:
    """The largest resident set of this process in bytes; of Linux's counts the one that starts anew with a program."""
    if Path("/proc/self/status").exists():
        status = Path("/proc/self/status").read_text()
        return 1024 * int(status.split("VmHWM:")[1].split()[0])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes


MEMORY_CODE = """
import sys, warnings
import numpy as np
from benchmarks.estimator import peak_memory
from softxent.sklearn import SoftmaxClassifier
rows, features, classes = map(int, sys.argv[1:])
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
X, y = rng.standard_normal((rows, features), np.float32), rng.integers(classes, size=rows)
before = peak_memory()
SoftmaxClassifier(max_iter=12, tol=0).fit(X, y)  # more than L-BFGS keeps in its history
print(before, peak_memory())
"""


def memory(quick: bool) -> dict[str, Any]:
    """How much a fit adds to the largest resident set of its process, less the parameters; X is there before."""
    shape = [n // 10 if quick else n for n in MEMORY]
    command = [sys.executable, "-c", MEMORY_CODE, *map(str, shape)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    beyond = after - before - 4 * (shape[1] + 1) * shape[2]
    return {"shape": shape, "before": before, "after": after, "beyond": beyond, "met": beyond <= MEMORY_GOAL}


# The table ----------------------------------------------------------------------------------------------------------


HEAD = ["training", "ours", "scikit-learn", "ratio", "its iterations, or accuracy", "ours", "ours, default tol"]


def table(found: dict[str, Any]) -> list[list[str]]:
    from benchmarks.report import duration

    lines = []
    for fit in found["fits"]:
        median = fit["median"]
        ratio = f"{fit['ratio']:.3g} × (≥ {fit['goal']:g}" + (")" if fit["met"] else ", missed)")
        line = [fit["fit"], duration(median["ours"]), f"{fit['peer']} {duration(median['peer'])}"]
        line.append(ratio if fit["met"] else f"**{ratio}**")
        if "accuracy" in fit:
            lines.append([*line, spread(fit["accuracy"]["peer"]), spread(fit["accuracy"]["ours"]), ""])
        else:
            steps = fit["iterations"]
            default = f"{steps['default tol']}: {duration(median['default tol'])}"
            lines.append([*line, f"{steps['peer']}", f"{steps['ours']}", default])
    m = found["memory"]
    beyond = f"{m['beyond'] / 1e6:.0f} MB (≤ {MEMORY_GOAL / 1e6:.0f}" + (")" if m["met"] else ", missed)")
    rows, features, classes = m["shape"]
    label = f"peak memory that fit adds to X and W, {rows} × {features}, {classes} classes"
    return [*lines, [label, beyond, "", "", "", "", ""]]


def spread(values: list[float]) -> str:
    return f"{sum(values) / len(values):.4f} ({min(values):.4f} – {max(values):.4f})"


def markdown(found: dict[str, Any]) -> str:
    from benchmarks.report import caption

    rows = [HEAD, ["---"] + ["--:"] * (len(HEAD) - 1), *table(found)]
    note = (
        " Median of interleaved fits; in brackets the goal. Ratio: their time over ours, at an objective as low as "
        "theirs to 1e-6, or lower; the default tol goes on to a lower one. Accuracy: mean and range of five seeds."
    )
    return "\n".join(["| " + " | ".join(row) + " |" for row in rows] + ["", caption(found) + note])


def write_pages(found: dict[str, Any]) -> list[Any]:
    from benchmarks.report import READMES, ROOT, replace_between

    pages = [ROOT / "docs" / "estimator.md", *READMES.values()]
    return [page for page in pages if replace_between(page, "estimator", markdown(found))]


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.estimator", description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one round; not saved")
    parser.add_argument("--only", default="", metavar="WORDS", help="only fits whose label has these words; not saved")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=machine.cores(), help="for everyone (default: all cores)")
    parser.add_argument("--readme", action="store_true", help="no timing: the pages' table from the last result")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    if args.readme:
        print(*write_pages(machine.load(RESULT)), sep="\n")
        return
    machine.use_threads(args.threads)
    os.environ["OPENBLAS_NUM_THREADS"] = str(args.threads)  # as a user has it

    import numpy as np

    import softxent

    softxent.set_num_threads(args.threads)
    warnings.simplefilter("ignore")  # LogisticRegression's defaults may end before it has converged
    fits = []
    for fit in FITS:
        if args.only not in fit.label:
            continue
        make = globals()[fit.data]
        rng = np.random.default_rng(0)
        X, y = make(rng) if fit.data == "digits" or not args.quick else make(rng, 2000)
        run = network if fit.hidden else linear
        y = np.unique(y, return_inverse=True)[1]  # some classes may have no example
        fits.append(run(fit, X.astype(fit.dtype), y, 1 if args.quick else args.rounds))
        print(fits[-1], file=sys.stderr)
    found = {**machine.provenance(args.threads), "fits": fits, "memory": memory(args.quick)}
    print(markdown(found))
    if not args.quick and not args.only:
        machine.save(RESULT, found)
        print(RESULT, *write_pages(found), sep="\n")


if __name__ == "__main__":
    main()
