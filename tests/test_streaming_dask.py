"""softxent train --dask: each part is read by a worker, to the model that one process finds."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

import softxent as sx
from tests.test_streaming import LINEAR, ROWS, SMALL, frame

distributed = pytest.importorskip("distributed")
WORDS = ("train", "parts/*.parquet", "--target", "kind", *LINEAR, "--drop", "filler,group", "--weight", "weight")


@pytest.fixture(scope="module")
def clusters():
    """Clusters of one worker and of two."""
    options = {"threads_per_worker": 1, "dashboard_address": ":0", "host": "127.0.0.1", "silence_logs": 50}
    with (
        distributed.LocalCluster(n_workers=1, **options) as one,
        distributed.LocalCluster(n_workers=2, **options) as two,
    ):
        yield {1: one, 2: two}


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    """Parts, one of them without a row that has a label."""
    monkeypatch.chdir(tmp_path)
    table = frame()
    table.loc[ROWS - 3000 :, "kind"] = None
    Path("parts").mkdir()
    for k, start in enumerate(range(0, ROWS, 3_000)):
        table.iloc[start : start + 3_000].to_parquet(f"parts/{k}.parquet")


def test_same_bits_for_any_number_of_workers(softxent, clusters):
    for workers, cluster in clusters.items():
        code, _, err = softxent(*WORDS, "--dask", cluster.scheduler_address, "--out", str(workers))
        assert code == 0, err
        assert f"note: Trained on {workers} workers: all " in err
    assert Path("1/model.skops").read_bytes() == Path("2/model.skops").read_bytes()
    for place in (SMALL, ("--dask", clusters[2].scheduler_address)):  # a sample to test with depends on --memory
        assert softxent(*WORDS, *place, "--test-size", "0", "--out", place[0])[0] == 0
    ours, alone = (sx.load(folder).pipeline[-1] for folder in ("--dask", "--memory"))
    np.testing.assert_allclose(ours.coef_, alone.coef_, rtol=0, atol=1e-9)


def test_a_worker_that_dies_changes_nothing(softxent, clusters, monkeypatch):
    from softxent.app.cli.screen import Screen

    address = clusters[2].scheduler_address
    assert softxent(*WORDS, "--dask", address, "--out", "undisturbed")[0] == 0
    killed = []

    def kill_one(screen, what, done):
        """In the middle of the last pass."""
        if not killed and done > 0.3 and what.phrase == "writing features":
            killed.append(next(iter(clusters[2].workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(Screen, "told", kill_one)
    assert softxent(*WORDS, "--dask", address, "--out", "killed")[0] == 0
    assert killed
    assert Path("killed/model.skops").read_bytes() == Path("undisturbed/model.skops").read_bytes()


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


def test_parts_of_other_columns_are_refused(softxent, clusters):
    frame().drop(columns="c").to_parquet("parts/z.parquet")
    code, _, err = softxent(*WORDS, "--dask", clusters[1].scheduler_address)
    assert (code, "'c'" in err) == (2, True)
