"""Tables larger than memory: trained on part by part, to the model that they give in memory."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import softxent as sx
from softxent.app.run import LabelledRows
from softxent.app.streaming.held import Held
from softxent.app.streaming.parts import Part, parts_of
from softxent.app.streaming.passes import Moments
from softxent.app.streaming.reservoir import Picked, Reservoir
from softxent.app.tables import open_file

SMALL = ("--memory", "1MB")
LINEAR = ("--model", "linear", "--alpha", "0.01")
ROWS = 24_000
RARE = 7  # the only row of a class, and of a category


def frame(rows=ROWS):
    """Numbers, some missing, a rare category, text, dates, labels that are missing, weights and groups."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((rows, 4))
    logits = X @ rng.standard_normal((4, 3)) * 2
    made = pd.DataFrame(X, columns=list("abcd"))
    made["a"] = made["a"] * 1e3 + 5e4
    made.loc[rng.random(rows) < 0.02, "b"] = np.nan
    made["place"] = rng.choice(["north", "south", "west"], rows, p=[0.5, 0.4, 0.1])
    logits[:, 1] += 2 * (made["place"] == "south")
    made.loc[rows // 2, "place"] = "nowhere"
    made["never"] = 1.5
    made["day"] = pd.Timestamp("2021-03-01") + pd.to_timedelta(np.arange(rows) // 100, unit="D")
    made["group"] = rng.integers(0, 300, rows).astype(str)
    made["weight"] = rng.random(rows).round(3)
    kind = np.array(["red", "green", "blue"], object)[(logits + rng.gumbel(size=logits.shape)).argmax(1)]
    kind[RARE], kind[::1000] = "violet", None
    made["kind"] = kind
    made["filler"] = [f"{k % 997:03d}-{k % 31}" for k in range(rows)]
    return made


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("tables"), frame()
    made.to_parquet(folder / "table.parquet", row_group_size=3_000)
    made.to_csv(folder / "table.csv", index=False)
    (folder / "parts").mkdir()
    for k, start in enumerate(range(0, len(made), 10_000)):
        made.iloc[start : start + 10_000].to_csv(folder / f"parts/{k}.csv", index=False)
    return folder


def trained(softxent, *words):
    code, out, err = softxent("train", *map(str, words), "--force")
    assert code == 0, err
    return out, err


@pytest.mark.parametrize(
    ("table", "options"),
    [
        ("table.parquet", ("--drop", "filler,group,weight")),
        ("table.csv", ("--weight", "weight", "--drop", "filler,group", "--class-weight", "balanced")),
        ("parts", ("--drop", "filler,group,weight,day")),
    ],
)
def test_linear_model_is_that_of_memory(softxent, files, table, options, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for out, memory in (("here", SMALL), ("all", ())):
        trained(
            softxent, files / table, "--target", "kind", *LINEAR, *options, "--test-size", "0", "--out", out, *memory
        )
    ours, all_rows = (sx.load(out) for out in ("here", "all"))
    assert ours.classes_.tolist() == all_rows.classes_.tolist() == ["blue", "green", "red", "violet"]
    mine, theirs = (model.pipeline[-1] for model in (ours, all_rows))
    np.testing.assert_allclose(mine.coef_, theirs.coef_, rtol=0, atol=1e-9)
    np.testing.assert_allclose(mine.intercept_, theirs.intercept_, rtol=0, atol=1e-9)
    columns = [
        [(c["name"], c["kind"], c["missing"], c["values"]) for c in schema(out)["columns"]] for out in ("here", "all")
    ]
    assert columns[0] == columns[1]
    assert schema("here")["counts"] == schema("all")["counts"]


def schema(folder):
    return json.loads(Path(folder, "schema.json").read_text("utf-8"))


def test_two_runs_give_the_same_model(softxent, files, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for out, threads in (("one", 1), ("two", 2)):
        monkeypatch.setattr("softxent.app.streaming.stored.get_num_threads", lambda threads=threads: threads)
        trained(softxent, files / "table.csv", "--target", "kind", *LINEAR, *SMALL, "--drop", "filler", "--out", out)
    assert Path("one/model.skops").read_bytes() == Path("two/model.skops").read_bytes()


def test_chooses_tests_and_reports(softxent, files, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    out, err = trained(softxent, files / "parts/*.csv", "--target", "kind", *SMALL, "--drop", "filler,group,weight")
    assert "runs/parts/report.html" in out
    assert "note: 24 rows have no 'kind' and are left out, the first in line 2" in err
    metrics = json.loads(Path("runs/parts/metrics.json").read_text("utf-8"))
    rows = metrics["training"]["train_rows"] + metrics["rows"]
    assert rows == ROWS - 24
    assert metrics["accuracy"] > 0.75 > metrics["baseline"]["accuracy"] + 0.2
    assert [each["chosen"] for each in metrics["training"]["choice"]["tried"]] == [True, False, False]
    assert f"The table is larger than --memory: all {metrics['training']['train_rows']} rows train" in err
    worst = re.search(r"--row (\d+)", out)[1]
    code, out, _ = softxent("explain", "--model", "runs/parts", "--data", str(files / "parts"), "--row", worst)
    assert code == 0


def test_network_learns_and_stops_early(softxent, files, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = ("--target", "kind", *SMALL, "--drop", "filler,group,weight,day", "--hidden", "16", "--lr", "0.01")
    out, _ = trained(softxent, files / "table.parquet", *words, "--epochs", "6", "--out", "run")
    assert "8 → 16 → 4" in out
    metrics = json.loads(Path("run/metrics.json").read_text("utf-8"))
    assert metrics["accuracy"] > 0.75
    assert len(sx.load("run").pipeline[-1].validation_loss_curve_) == 6


@pytest.mark.parametrize(
    ("option", "line"),
    [
        (("--group", "group"), "Groups of group: {test} to test on, all others to train on"),
        (("--time", "day"), "day: earlier than {first} to learn from, from {first} to test on"),
    ],
)
def test_groups_and_times_stay_together(softxent, files, option, line, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    words = ("--target", "kind", *SMALL, *LINEAR, "--drop", "filler,weight,place", *option)
    out, _ = trained(softxent, files / "table.parquet", *words, "--out", "run")
    metrics = json.loads(Path("run/metrics.json").read_text("utf-8"))
    table = frame()
    table = table[table["kind"].notna()]
    assert metrics["rows"] + metrics["training"]["train_rows"] == len(table)
    if option[0] == "--time":
        first = sorted(table["day"], reverse=True)[metrics["rows"] - 1]
        assert (table["day"] >= first).sum() == metrics["rows"]  # whole days, the latest
        assert line.format(first=str(first)[:10]) in out
    else:
        sizes = table.groupby("group").size()
        assert re.search(line.format(test=r"\d+"), out)
        assert 0 < metrics["rows"] < sizes.sum() / 5


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the most memory that was used")
def test_memory_is_bounded(tmp_path):
    """Beyond what a small table takes, one of two and a half times the bound takes no more than the bound."""
    rng, bound, rows = np.random.default_rng(0), 64_000_000, 1_830_000  # of 88 bytes: 161 MB
    X = pd.DataFrame(rng.standard_normal((rows // 6, 10)), columns=[f"x{k}" for k in range(10)])
    X["y"] = (X["x0"] + X["x1"] > rng.logistic(size=len(X))).astype(int)
    (tmp_path / "big").mkdir()
    for k in range(6):
        X.to_parquet(tmp_path / f"big/{k}.parquet", row_group_size=50_000)
    X.iloc[:2000].to_parquet(tmp_path / "small.parquet")
    peaks = [peak(tmp_path, name, "--memory", str(bound)) for name in ("small.parquet", "big")]
    assert peaks[1] - peaks[0] < bound, peaks


PEAK = """
import re, sys
from pathlib import Path
from softxent.app.cli import run
code = run(sys.argv[1:])
print(re.search("VmHWM: *[^0-9]*([0-9]+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def peak(folder, table, *words):
    command = [sys.executable, "-c", PEAK, "train", table, "--target", "y", *LINEAR, *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, encoding="utf-8", env={**os.environ, "LC_ALL": "C"})
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * 1024


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--memory", "1"), "--memory is '1', but must be a size of at least 1MB, e.g. 500MB or 2GB"),
        (("--memory", "many"), "--memory is 'many', but must be a size of at least 1MB, e.g. 500MB or 2GB"),
        (
            (*SMALL, "--cv", "5"),
            "--cv needs the whole table in memory, but '{path}' takes 0.0 GB, above --memory 0.0 GB",
        ),
        ((*SMALL, "--compare"), "--compare needs the whole table in memory, but '{path}' takes 0.0 GB"),
    ],
)
def test_refuses(softxent, files, words, message, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    path = files / "table.parquet"
    code, _, err = softxent("train", str(path), "--target", "kind", *words)
    assert (code, message.format(path=path) in err) == (2, True), err
    assert os.listdir() == []


def test_an_array_of_json_is_refused(softxent, files, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    frame(9_000).drop(columns="day").to_json("table.json", orient="records")
    code, _, err = softxent("train", "table.json", "--target", "kind", *SMALL)
    assert (code, "error: 'table.json' cannot be read part by part" in err) == (2, True)


def test_without_dask(softxent, files, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in sys.modules if name.startswith("softxent.dask")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "dask", None)
    code, _, err = softxent("train", str(files / "parts"), "--target", "kind", "--dask", "local")
    en = 'error: the command needs dask, which is not installed: pip install ".[cli,dask]" in a clone of softxent\n'
    assert (code, err) == (2, en)


def test_a_column_that_is_another_later_is_an_error(softxent, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("softxent.app.streaming.gathering.MOST", 500)
    table = frame().drop(columns=["filler", "day", "place"])
    table["c"] = table["c"].astype(object)
    table.loc[20_000:20_500, "c"] = "broken"
    table.to_csv("few.csv", index=False)
    _, err = trained(softxent, "few.csv", "--target", "kind", *SMALL, *LINEAR)
    assert "column 'c'" in err
    assert "('broken'; the first in line 2000" in err
    table.loc[0:5_000, "c"] = [f"w{k}" for k in range(5_001)]
    table.to_csv("many.csv", index=False)
    code, _, err = softxent("train", "many.csv", "--target", "kind", *SMALL, *LINEAR, "--column", "c=number")
    assert code == 2
    assert "column 'c' has 'w" in err


# the pieces -----------------------------------------------------------------------------------------------------------


def test_parts_cover_the_table(files, monkeypatch):
    monkeypatch.setattr("softxent.app.streaming.parts.ROWS", 10_000)
    for name, count in (("table.parquet", 2), ("table.csv", 1), ("parts", 3)):
        parts = parts_of(open_file(str(files / name)))
        assert len(parts) == count
        assert sum(len(rows) for part in parts for rows in part.batches()) == ROWS
    again = [rows.start for rows in parts[0].batches()]
    assert again == [rows.start for rows in parts[0].batches()]


def test_a_part_can_be_read_by_another_process(files):
    import pickle

    part = parts_of(open_file(str(files / "table.parquet")))[-1]
    copy = pickle.loads(pickle.dumps(part))
    assert isinstance(copy, Part)
    assert [rows.table for rows in copy.batches()] == [rows.table for rows in part.batches()]


def test_moments_are_those_of_all_rows():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 3)) * [1, 1e3, 1e-3] + [0, 1e6, 5]
    x[rng.random(x.shape) < 0.1] = np.nan
    x[:300, 2] = np.nan
    found = Moments.of(x[:300]).join(Moments.of(x[300:301])).join(Moments.of(x[301:]))
    np.testing.assert_array_equal(found.count, (~np.isnan(x)).sum(0))
    np.testing.assert_allclose(found.mean, np.nanmean(x, axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.squares / found.count, np.nanvar(x, axis=0), rtol=1e-9)


@pytest.mark.parametrize("ties", [1, 7])
def test_reservoir_holds_the_lowest_keys(ties):
    import pyarrow as pa

    rng = np.random.default_rng(0)
    key = rng.permutation(1000) // ties
    reservoir = Reservoir(100)
    for k in range(0, 1000, 90):
        part = slice(k, k + 90)
        table = pa.table({"key": key[part]})
        reservoir.offer(Picked(table, key[part].astype(float), np.zeros(len(key[part]), int), np.arange(1000)[part]))
    picked = reservoir.picked()
    below = 100 if ties == 1 else 100 // ties  # whole groups only
    assert picked.key.tolist() == sorted(key[key < below].tolist())
    assert picked.table["key"].to_pylist() == picked.key.tolist()


def test_held_rows():
    rows = LabelledRows(None, np.array(["a", "b"]), np.array([5, 3]), group=np.array(["g", "h"]))
    held = Held.of(rows).joined(Held.of(LabelledRows(None, np.array([]), np.array([]))))
    group = np.array(["g", "x", "h", "x"])
    assert held.mask(np.array([1, 3, 4, 6]), group, None).tolist() == [True, True, True, False]
    late = Held(np.array([0]), since=7).joined(Held(np.array([2]), since=5))
    assert late.mask(np.arange(4), None, np.array([0, 4, 0, 6])).tolist() == [True, False, True, True]
