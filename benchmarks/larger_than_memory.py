"""python -m benchmarks.larger_than_memory: `softxent train` on a table of ten times --memory; results and its page.

The same table is trained on in full, and a small one for what Python and the libraries take. Beside it, on the same
Parquet files, scikit-learn's SGDClassifier(loss="log_loss") by partial_fit behind a StandardScaler, itself fitted in a
pass of its own: epochs until its log-loss on the test rows falls by less than 1e-4, or EPOCHS.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import softxent as sx
from benchmarks import machine
from benchmarks.report import piped, replace_between

RESULT = machine.RESULTS / "larger_than_memory.json"
PAGE = Path(__file__).parents[1] / "docs" / "larger_than_memory.md"
PACKAGES = ("softxent", "numpy", "scikit-learn", "pandas", "pyarrow")
FEATURES, CLASSES, FILES, GROUP = 10, 5, 10, 100_000
MEMORY, QUICK = 100_000_000, 10_000_000  # bytes
TIMES = 10  # the table is as many times larger
EPOCHS, LESS = 10, 1e-4

TRAIN = """
import re, sys
from pathlib import Path
from softxent.app.cli import run
code = run(sys.argv[1:])
print(re.search("VmHWM:[^0-9]*([0-9]+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def write(folder: Path, rows: int) -> None:
    """Numbers of many scales, whose labels are drawn from a linear model."""
    W = np.random.default_rng(0).standard_normal((FEATURES, CLASSES))
    scale = 10.0 ** np.arange(-4, FEATURES - 4)
    folder.mkdir()
    for k in range(FILES):
        rng = np.random.default_rng(k + 1)
        X = rng.standard_normal((rows // FILES, FEATURES))
        columns = {f"x{j}": X[:, j] * scale[j] for j in range(FEATURES)}
        table = pa.table({**columns, "y": sx.sample(X @ W, rng=rng)})
        pq.write_table(table, folder / f"{k}.parquet", row_group_size=GROUP)


def trained(folder: Path, table: str, memory: int) -> dict[str, Any]:
    """Trains in a process of its own; returns its peak memory, seconds in all and in L-BFGS, and its scores."""
    words = ["train", table, "--target", "y", "--model", "linear", "--alpha", "1e-6", "--memory", str(memory)]
    start = time.perf_counter()
    command = [sys.executable, "-c", TRAIN, *words, "--out", "run", "--force"]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8")
    if done.returncode:
        raise SystemExit(done.stderr)
    metrics = json.loads((folder / "run" / "metrics.json").read_text("utf-8"))
    return {
        "peak": int(done.stdout.split()[-1]) * 1024,
        "seconds": time.perf_counter() - start,
        "rows": metrics["training"]["train_rows"],
        "iterations": metrics["training"]["epochs"],
        "log_loss": metrics["log_loss"],
    }


def sgd(folder: Path, test: tuple[Any, Any]) -> dict[str, Any]:
    """Trains scikit-learn's SGDClassifier on the same files."""
    from sklearn.linear_model import SGDClassifier
    from sklearn.metrics import log_loss
    from sklearn.preprocessing import StandardScaler

    start, scaler, model = time.perf_counter(), StandardScaler(), SGDClassifier(loss="log_loss", random_state=0)
    for X, _ in batches(folder):
        scaler.partial_fit(X)
    losses: list[float] = []
    while len(losses) < EPOCHS and (len(losses) < 2 or losses[-2] - losses[-1] >= LESS):
        for X, y in batches(folder):
            model.partial_fit(scaler.transform(X), y, classes=np.arange(CLASSES))
        losses.append(float(log_loss(test[1], model.predict_proba(scaler.transform(test[0])))))
    return {"seconds": time.perf_counter() - start, "epochs": len(losses), "log_loss": min(losses)}


def batches(folder: Path) -> Iterator[tuple[Any, Any]]:
    for file in sorted(folder.iterdir()):
        for batch in pq.ParquetFile(file).iter_batches(GROUP):
            columns = [column.to_numpy() for column in batch.columns]
            yield np.stack(columns[:-1], axis=1), columns[-1]


def measure(memory: int) -> dict[str, Any]:
    rows = TIMES * memory // (8 * (FEATURES + 1))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "big", rows)
        write(folder / "small", 100 * FILES)
        write(folder / "test", 10_000 * FILES)
        test = tuple(np.concatenate(parts) for parts in zip(*batches(folder / "test"), strict=True))
        base = trained(folder, "small", memory)["peak"]
        ours = trained(folder, "big", memory)
        found = {"memory": memory, "table": rows * 8 * (FEATURES + 1), "rows": rows, "base": base, "streamed": ours}
        found["sgd"] = sgd(folder / "big", test)
        if table_fits(found["table"]):
            found["in memory"] = trained(folder, "big", found["table"] + 1)
        return found


def table_fits(size: int) -> bool:
    """Whether the machine has ten times as much memory, which training in memory takes."""
    free = re.search(r"MemAvailable: *([0-9]+) kB", Path("/proc/meminfo").read_text())
    return bool(free) and int(free[1]) * 1024 > 10 * size


def table_of(found: dict[str, Any]) -> str:
    rows = [["", "time", "peak memory", "beyond a small table's", "passes", "log-loss"]]
    for name, label in (("streamed", f"`--memory {found['memory'] // 10**6}MB`"), ("in memory", "in memory")):
        if name in found:
            of = found[name]
            peak, beyond = (f"{size / 1e6:,.0f} MB" for size in (of["peak"], of["peak"] - found["base"]))
            passes, loss = f"{of['iterations']} iterations", f"{of['log_loss']:.4f}"
            rows.append([label, f"{of['seconds']:.0f} s", peak, beyond, passes, loss])
    of = found["sgd"]
    rows.append(["SGDClassifier", f"{of['seconds']:.0f} s", "", "", f"{of['epochs']} epochs", f"{of['log_loss']:.4f}"])
    title = f"{found['rows']:,} rows × {FEATURES} numbers, {found['table'] / 1e6:,.0f} MB, {CLASSES} classes:"
    return f"{title}\n\n{piped(rows)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition(";")[0])
    parser.add_argument("--quick", action="store_true", help="a small table, printed only")
    quick = parser.parse_args().quick
    found = measure(QUICK if quick else MEMORY)
    print(table_of(found))
    if not quick:
        provenance = machine.provenance(machine.cores(), PACKAGES)
        RESULT.write_text(json.dumps({**provenance, **found}, indent=1) + "\n", "utf-8")
        where = f"On {machine.cores()} cores of an {provenance['cpu']}"
        replace_between(PAGE, "streaming", f"{where}, {table_of(found)}")


if __name__ == "__main__":
    main()
