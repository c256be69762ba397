"""python -m benchmarks.dask: SoftmaxClassifier on dask, on no worker, one and two; results/dask.json and its page.

An evaluation is that of the loss and its gradient over all rows: in one process on one thread, and on workers of one
thread each. A fit is ours to its default tolerance, on two workers; scikit-learn's SGDClassifier goes over the same
partitions, fetched one by one, until its log-loss is within one percent of ours or it has seen all rows EPOCHS times;
dask-ml's LogisticRegression, where it is installed, learns two of the classes.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import statistics
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")  # before NumPy reads them; workers inherit them

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, futures_of, wait
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss

import softxent as sx
from benchmarks import machine
from benchmarks.report import piped, replace_between
from softxent.dask import SoftmaxClassifier
from softxent.dask.cluster import placed, tasks
from softxent.dask.rows import DaskRows, sample_of
from softxent.sklearn.examples import Examples, concatenated
from softxent.sklearn.loss import Loss
from softxent.sklearn.sums import InMemory

RESULT = machine.RESULTS / "dask.json"
PAGE = Path(__file__).parents[1] / "docs" / "larger_than_memory.md"
PACKAGES = ("softxent", "numpy", "scikit-learn", "dask", "distributed", "dask-ml")
FEATURES, CLASSES, PARTITIONS = 100, 10, 32
ROWS, QUICK = 65_536, 1_024  # of a partition
GOAL = 0.85  # of linear
TIMES, EPOCHS = 7, 3


def part(k: int, rows: int) -> Examples:
    """Rows whose labels are drawn from a linear model."""
    W = np.random.default_rng(0).standard_normal((FEATURES, CLASSES)).astype(np.float32) / 5
    rng = np.random.default_rng(k + 1)
    x = rng.standard_normal((rows, FEATURES), np.float32)
    return Examples(x, sx.sample(x @ W, rng=rng))


def features_and_labels(rows: int) -> tuple[da.Array, da.Array]:
    chunks = ((rows,) * PARTITIONS, (FEATURES,))
    X = da.map_blocks(lambda block_info: part(where(block_info), rows).X, chunks=chunks, dtype=np.float32)
    y = da.map_blocks(lambda block_info: part(where(block_info), rows).target, chunks=chunks[:1], dtype=np.int64)
    return X, y


def where(block_info: Any) -> int:
    return int(block_info[None]["chunk-location"][0])


def cluster(workers: int) -> LocalCluster:
    options = {"threads_per_worker": 1, "processes": True, "host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    return LocalCluster(n_workers=workers, **options)


# An evaluation --------------------------------------------------------------------------------------------------------


def evaluations(rows: int) -> dict[str, dict[str, Any]]:
    """The median of each, which are timed in turn after an untimed one, and the bytes of one between workers."""
    with ExitStack() as stack:
        given = concatenated([part(k, rows) for k in range(PARTITIONS)])
        run = {f"process, {n}": in_process(stack, given, n) for n in (1, 2)}
        clients = {f"workers, {n}": client_of(stack, n) for n in (1, 2)}
        run |= {name: on_workers(stack, client, rows) for name, client in clients.items()}
        taken: dict[str, list[float]] = {name: [] for name in run}
        for _ in range(TIMES + 1):
            for name, evaluate in run.items():
                start = time.perf_counter()
                evaluate()
                taken[name].append(time.perf_counter() - start)
        found: dict[str, dict[str, Any]] = {
            name: {"seconds": statistics.median(each[1:])} for name, each in taken.items()
        }
        for name, client in clients.items():
            before = received(client)
            run[name]()
            found[name]["bytes"] = received(client) - before
        return found


def parameters() -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((FEATURES, CLASSES), np.float32), np.zeros(CLASSES, np.float32)


def in_process(stack: ExitStack, given: Examples, threads: int) -> Callable[[], Any]:
    sx.set_num_threads(threads)
    evaluate = stack.enter_context(InMemory(given).sums(Loss(), *parameters()))

    def run() -> Any:
        sx.set_num_threads(threads)
        return evaluate()

    return run


def client_of(stack: ExitStack, workers: int) -> Client:
    return stack.enter_context(Client(stack.enter_context(cluster(workers))))


def on_workers(stack: ExitStack, client: Client, rows: int) -> Callable[[], Any]:
    parts = placed(client, tasks("part", part, [(k, rows) for k in range(PARTITIONS)]))
    counts = [rows] * PARTITIONS
    return stack.enter_context(
        DaskRows(client, parts, counts, sample_of(client, parts, counts)).sums(Loss(), *parameters())
    )


def received(client: Client) -> int:
    """Bytes that workers have had from workers."""
    found = client.run(lambda dask_worker: sum(each["total"] for each in dask_worker.transfer_incoming_log))
    return int(sum(found.values()))


# A fit ----------------------------------------------------------------------------------------------------------------


def fits(rows: int) -> list[dict[str, Any]]:
    with cluster(2) as there, Client(there) as client:
        X, y = client.persist(features_and_labels(rows))
        wait([X, y])
        client.run(importlib.import_module, "softxent.dask")
        found = [fit(f"ours, {CLASSES} classes", SoftmaxClassifier(), X, y)]
        found.append(sgd(client, X, y, found[0]["log_loss"]))
        if importlib.util.find_spec("dask_ml"):
            two = (y > CLASSES // 2 - 1).astype(np.int64)
            found.append(fit("ours, 2 classes", SoftmaxClassifier(), X, two))
            found.append(dask_ml(X, two))
        return found


def fit(name: str, model: Any, X: da.Array, y: da.Array) -> dict[str, Any]:
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    taken = time.perf_counter() - start
    passes = int(np.max(model.n_iter_)) if hasattr(model, "n_iter_") else None
    return {"name": name, "seconds": taken, "passes": passes, "log_loss": loss_of(model, X, y)}


def loss_of(model: Any, X: da.Array, y: da.Array) -> float:
    p = model.predict_proba(X)
    return float(log_loss(np.asarray(y), np.asarray(p)))


def sgd(client: Client, X: da.Array, y: da.Array, goal: float) -> dict[str, Any]:
    """Epochs over the partitions, whose time counts but not that of the log-loss after each."""
    model, taken, classes = SGDClassifier(loss="log_loss", random_state=0), 0.0, np.arange(CLASSES)
    parts = list(zip(futures_of(X), futures_of(y), strict=True))
    for epoch in range(1, EPOCHS + 1):
        start = time.perf_counter()
        for k in np.random.default_rng(epoch).permutation(PARTITIONS).tolist():
            model.partial_fit(*client.gather(list(parts[k])), classes=classes)
        taken += time.perf_counter() - start
        loss = float(np.mean([loss_of(model, *client.gather(list(both))) for both in parts]))
        if loss <= 1.01 * goal:
            break
    return {"name": "SGDClassifier, partial_fit", "seconds": taken, "passes": epoch, "log_loss": loss}


def dask_ml(X: da.Array, y: da.Array) -> dict[str, Any]:
    from dask_ml.linear_model import LogisticRegression

    try:
        return fit("dask-ml's LogisticRegression, 2 classes", LogisticRegression(solver="lbfgs"), X, y)
    except Exception as error:
        return {"name": "dask-ml's LogisticRegression, 2 classes", "failed": f"{type(error).__name__}: {error}"}


# The tables -----------------------------------------------------------------------------------------------------------


def tables(result: dict[str, Any]) -> str:
    of = result["evaluation"]
    rows = result["rows_of_a_partition"] * PARTITIONS
    one = of["process, 1"]["seconds"]
    head = [
        f"{rows:,} rows × {FEATURES}, {CLASSES} classes, float32",
        "rows a second",
        "of linear",
        "bytes between workers",
    ]
    body = []
    for name, there in of.items():
        where, count = name.split(", ")
        threads = int(count)
        what = f"one process, {threads} thread{'s' * (threads > 1)}"
        if where == "workers":
            what = f"{threads} worker{'s' * (threads > 1)} of one thread"
        ratio = one / there["seconds"] / threads
        text = "" if there["seconds"] == one else f"{ratio:.2f}" + ("" if ratio >= GOAL else f" (goal {GOAL})")
        body.append([what, f"{rows / there['seconds']:,.0f}", text, f"{there['bytes']:,}" if "bytes" in there else ""])
    fits = [[f["name"], *columns(f)] for f in result["fits"]]
    second = piped([[f"fit to {rows:,} rows, on 2 workers", "seconds", "passes over the rows", "log-loss"], *fits])
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items() if version)
    return (
        f"{result['cpu']}, {result['cores']} cores, {result['date']}: {versions}.\n\n{piped([head, *body])}\n\n{second}"
    )


def columns(fit: dict[str, Any]) -> list[str]:
    if "failed" in fit:
        return ["failed", fit["failed"], ""]
    return [f"{fit['seconds']:.1f}", str(fit["passes"] or ""), f"{fit['log_loss']:.4f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows, printed only")
    quick = parser.parse_args().quick
    rows = QUICK if quick else ROWS
    result = machine.provenance(1, PACKAGES) | {
        "rows_of_a_partition": rows,
        "evaluation": evaluations(rows),
        "fits": fits(rows),
    }
    print(tables(result))
    if not quick:
        machine.save(RESULT, result)
        replace_between(PAGE, "dask", tables(result))


if __name__ == "__main__":
    main()
