"""python -m benchmarks.tables: `softxent train` beside scikit-learn on real tables; results/tables.json, docs/train.md.

The tables are those that packages carry. Each is split five times into training and test rows as `train` does it; all
models get the same features, fitted on the same training rows. Ours chooses its model as `train` does without options.
Of scikit-learn: LogisticRegressionCV by log-loss, MLPClassifier with early stopping, and
HistGradientBoostingClassifier. An advantage is noise where it is within two standard errors over the splits.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine

RESULT = machine.RESULTS / "tables.json"
SPLITS = range(5)
OURS = "softxent"
NOISE = 2  # standard errors

Read = Callable[[], Any]


@dataclass(frozen=True)
class Table:
    """A table of a package: how it is read, the column to predict, and those that would give it away or number rows."""

    name: str
    read: Read
    target: str
    drop: Sequence[str] = ()


def toy(name: str) -> Read:
    def read() -> Any:
        from sklearn import datasets

        data = getattr(datasets, f"load_{name}")(as_frame=True)
        return data.frame.assign(target=np.asarray(data.target_names)[data.target])

    return read


def penguins(file: str = "penguins") -> Read:
    def read() -> Any:
        import palmerpenguins
        import pandas as pd

        return pd.read_csv(Path(palmerpenguins.__file__).parent / "data" / f"{file}.csv")

    return read


def vega(name: str) -> Read:
    def read() -> Any:
        from vega_datasets import local_data

        return local_data(name)

    return read


def survey(name: str) -> Read:
    def read() -> Any:
        from statsmodels import datasets

        return getattr(datasets, name).load_pandas().data

    return read


def affairs() -> Any:
    table = survey("fair")()
    return table.assign(affairs=np.where(table["affairs"] > 0, "yes", "no"))


TABLES = [
    Table("iris", toy("iris"), "target"),
    Table("wine", toy("wine"), "target"),
    Table("breast cancer", toy("breast_cancer"), "target"),
    Table("digits", toy("digits"), "target"),
    Table("penguins", penguins(), "species"),
    Table("penguins, sex", penguins(), "sex"),
    Table("penguins, raw, island", penguins("penguins-raw"), "Island", ["Individual ID"]),
    Table("cars, origin", vega("cars"), "Origin"),
    Table("barley, site", vega("barley"), "site"),
    Table("airports, country", vega("airports"), "country", ["iata"]),
    Table("Seattle's weather", vega("seattle-weather"), "weather"),
    Table("stocks", vega("stocks"), "symbol"),
    Table("Iowa's electricity", vega("iowa-electricity"), "source"),
    Table("anes96, party", survey("anes96"), "PID"),
    Table("anes96, vote", survey("anes96"), "vote"),
    Table("fair, affairs", affairs, "affairs"),
    Table("fair, marriage", survey("fair"), "rate_marriage"),
    Table("mode of travel", survey("modechoice"), "choice", ["individual"]),
    Table("grunfeld, firm", survey("grunfeld"), "firm"),
    Table("spector, grade", survey("spector"), "GRADE"),
]

# The models -----------------------------------------------------------------------------------------------------------


def on_split(table: Table, frame: Any, seed: int) -> dict[str, dict[str, float]]:
    """Returns log-loss, accuracy and seconds of each model on the test rows of one split."""
    from softxent.app.comparison import PEERS, fit_peer
    from softxent.app.settings import Settings
    from softxent.app.splits import split
    from softxent.app.tables import open_file
    from softxent.app.tables.kinds import Asked
    from softxent.app.task import Task
    from softxent.app.training import fit

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "table.csv")
        frame.to_csv(path, index=False)
        task = Task.of(open_file(str(path)), table.target, dict.fromkeys(table.drop, Asked("drop")))
    settings = Settings(seed=seed)
    parts = split(task, settings)
    fitted = fit(parts, settings, lambda epoch: None)
    found = {OURS: scores(fitted.model, parts.test, fitted.seconds)}
    found[OURS]["hidden"] = sum(fitted.units[1:-1])
    for name in PEERS:
        model, seconds = fit_peer(name, parts, seed)
        found[name] = scores(model, parts.test, seconds)
    return found


def scores(model: Any, test: Any, seconds: float) -> dict[str, float]:
    from softxent.app.comparison import row_losses

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        losses, right = row_losses(model, test)
    return {"log_loss": float(losses.mean()), "accuracy": float(right.mean()), "seconds": seconds}


# The page's table -----------------------------------------------------------------------------------------------------


def better(ours: Sequence[float], theirs: Sequence[float]) -> int:
    """Returns 1 if ours is lower over the splits by more than noise, −1 if theirs is, 0 if neither.

    >>> better([0.1, 0.2, 0.3], [0.3, 0.4, 0.6]), better([0.1, 0.2, 0.3], [0.2, 0.1, 0.3])
    (1, 0)
    """
    gain = np.subtract(theirs, ours)
    error = NOISE * gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    return 0 if abs(gain.mean()) <= error else int(np.sign(gain.mean()))


def of(row: dict[str, Any], name: str, what: str) -> list[float]:
    return [split[name][what] for split in row["splits"]]


def markdown(found: dict[str, Any]) -> str:
    from benchmarks.report import piped

    names = [OURS, *found["peers"]]
    lines = [["log-loss (accuracy)", "rows", *names]]
    for row in found["tables"]:
        cells = []
        for name in names:
            text = f"{np.mean(of(row, name, 'log_loss')):.3f} ({np.mean(of(row, name, 'accuracy')):.3f})"
            sign = 0 if name == OURS else better(of(row, OURS, "log_loss"), of(row, name, "log_loss"))
            cells.append({-1: f"**{text}**", 0: text, 1: f"{text} ▾"}[sign])
        lines.append([row["table"], str(row["rows"]), *cells])
    return f"{piped(lines)}\n\n{caption(found)}"


def caption(found: dict[str, Any]) -> str:
    versions = ", ".join(
        f"{name} {version}" for name, version in found["versions"].items() if name in NAMED and version
    )
    counts, total = [], len(found["tables"])
    for name in found["peers"]:
        signs = [better(of(row, OURS, "log_loss"), of(row, name, "log_loss")) for row in found["tables"]]
        counts.append(f"{name}: ours lower on {signs.count(1)} of {total}, higher on {signs.count(-1)}")
    seconds = {
        name: [t for row in found["tables"] for t in of(row, name, "seconds")] for name in [OURS, *found["peers"]]
    }
    ratios = ", ".join(f"{name} {sum(seconds[name]) / sum(seconds[OURS]):.2g}" for name in found["peers"])
    return (
        f"Mean of {found['splits']} splits; {versions}, {found['date']}. ▾: worse than ours, **bold**: better, "
        f"by more than {NOISE} standard errors of the paired difference; else a tie. {'; '.join(counts)}. "
        f"Time of all fits over ours, which tries three models in folds: {ratios}."
    )


NAMED = ("softxent", "scikit-learn")


def write_pages(found: dict[str, Any]) -> list[Any]:
    from benchmarks.report import ROOT, replace_between

    pages = [ROOT / "docs" / "train.md", ROOT / "docs" / "train.zh.md"]
    return [page for page in pages if page.exists() and replace_between(page, "tables", markdown(found))]


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", metavar="WORDS", help="only tables whose name has these words; not saved")
    parser.add_argument("--splits", type=int, default=len(SPLITS), help="fewer are not saved")
    parser.add_argument("--readme", action="store_true", help="no training: the page's table from the last result")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    args = arguments(argv)
    if args.readme:
        print(*write_pages(machine.load(RESULT)), sep="\n")
        return
    from threadpoolctl import threadpool_limits

    from softxent.app.comparison import PEERS

    threadpool_limits(1)  # everybody has one thread
    rows = []
    for table in TABLES:
        if args.only in table.name:
            frame, started = table.read(), time.perf_counter()
            splits = [on_split(table, frame, seed) for seed in range(args.splits)]
            rows.append({"table": table.name, "rows": len(frame), "splits": splits})
            line = {name: round(float(np.mean(of(rows[-1], name, "log_loss"))), 4) for name in splits[0]}
            print(table.name, line, f"{time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)
    found = {**machine.provenance(1), "splits": args.splits, "peers": list(PEERS), "tables": rows}
    print(markdown(found))
    if not args.only and args.splits == len(SPLITS):
        machine.save(RESULT, found)
        print(RESULT, *write_pages(found), sep="\n")


if __name__ == "__main__":
    main()
