"""softxent train --dask: each part is read by a worker, to the model that one process finds."""

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

import softxent as sx
from tests.test_streaming import LINEAR, ROWS, SMALL, frame

distributed = pytest.importorskip("distributed")
WORDS = ("train", "parts/*.parquet", "--target", "kind", *LINEAR, "--drop", "filler,group", "--weight", "weight")


@pytest.fixture(scope="module")
def cluster():
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "host": "127.0.0.1", "silence_logs": 50}
    with distributed.LocalCluster(n_workers=1, **options) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Parts, one of them without a row that has a label."""
    folder, table = tmp_path_factory.mktemp("tables"), frame()
    table.loc[ROWS - 3000 :, "kind"] = None
    for k, start in enumerate(range(0, ROWS, 3_000)):
        table.iloc[start : start + 3_000].to_parquet(folder / f"{k}.parquet")
    return folder


@pytest.fixture(autouse=True)
def folder(monkeypatch, tables, tmp_path):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tables, "parts")


def trained(softxent, *words):
    code, _, err = softxent(*WORDS, *words)
    assert code == 0, err
    return err


def test_same_bits_for_any_number_of_workers_and_if_one_dies(softxent, cluster, monkeypatch):
    dask = ("--dask", cluster.scheduler_address)
    err = trained(softxent, *dask, "--out", "one")
    assert "note: Trained on 1 workers: all " in err
    cluster.scale(2)
    cluster.wait_for_workers(2)
    err = trained(softxent, *dask, "--out", "two")
    assert "note: Trained on 2 workers: all " in err
    killed = []

    def kill_one(screen, what, done):
        """In the middle of the last pass."""
        if not killed and done > 0.3 and what.phrase == "writing features":
            killed.append(next(iter(cluster.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    with monkeypatch.context() as patched:
        patched.setattr("softxent.app.cli.screen.Screen.told", kill_one)
        trained(softxent, *dask, "--out", "killed")
    assert killed
    models = {Path(out, "model.skops").read_bytes() for out in ("one", "two", "killed")}
    assert len(models) == 1


def test_model_of_one_process(softxent, cluster):
    for place in (SMALL, ("--dask", cluster.scheduler_address)):  # a sample to test with depends on --memory
        trained(softxent, *place, "--test-size", "0", "--out", place[0])
    ours, alone = (sx.load(folder).pipeline[-1] for folder in ("--dask", "--memory"))
    np.testing.assert_allclose(ours.coef_, alone.coef_, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--dask", "127.0.0.1:1"), "error: No Dask scheduler answers at '127.0.0.1:1': "),
        (
            ("--dask", "nowhere"),
            "error: No Dask scheduler answers at 'nowhere': missing port number in address 'nowhere'",
        ),
        (
            ("--dask", "local", "--cv", "5"),
            "error: --cv needs the whole table in memory, so it cannot be used with --dask",
        ),
    ],
)
def test_refuses(softxent, words, message, monkeypatch):
    monkeypatch.setattr("softxent.app.streaming.cluster.PATIENCE", 1)
    code, _, err = softxent(*WORDS, *words)
    assert (code, err[: len(message)]) == (2, message)
    assert os.listdir() == ["parts"]


def test_parts_of_other_columns_are_refused(softxent, cluster):
    frame().drop(columns="c").to_parquet("parts/z.parquet")
    code, _, err = softxent(*WORDS, "--dask", cluster.scheduler_address)
    assert (code, "'c'" in err) == (2, True)
