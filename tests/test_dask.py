"""softxent.dask: the model of softxent.sklearn, whichever way the rows are split, on no worker, one, two or three."""

from __future__ import annotations

import doctest
import os
import pickle
import subprocess
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone

da = pytest.importorskip("dask.array")

import dask.dataframe as dd  # noqa: E402
import skops.io  # noqa: E402
from dask import delayed  # noqa: E402
from distributed import Client, LocalCluster  # noqa: E402

from softxent import sklearn  # noqa: E402
from softxent.dask import SoftmaxClassifier  # noqa: E402
from softxent.dask.cluster import edges, fetched, placed, tasks  # noqa: E402
from softxent.dask.rows import DaskRows, sample_of  # noqa: E402
from softxent.sklearn.examples import Examples  # noqa: E402
from softxent.sklearn.loss import Loss  # noqa: E402
from softxent.sklearn.sums import InMemory  # noqa: E402

RNG = np.random.default_rng(0)
ROWS, FEATURES, CLASSES = 500, 4, 3
X = RNG.normal(size=(ROWS, FEATURES)) * [1, 10, 0.1, 2] + [0, 5, 1, 0]
Y = (X @ RNG.normal(size=(FEATURES, CLASSES)) + RNG.gumbel(size=(ROWS, CLASSES))).argmax(axis=1)
S = RNG.integers(0, 4, ROWS).astype(float)
NAMES = np.array(["no", "perhaps", "yes"])[Y]
FRAME = pd.DataFrame(X, columns=["a", "b", "c", "d"])
DX, DY = da.from_array(X, chunks=(120, 3)), da.from_array(Y, chunks=130)


@pytest.fixture(scope="module")
def client():
    """A client of two workers, of one thread each."""
    where = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "host": "127.0.0.1"}
    cluster = LocalCluster(**where, dashboard_address="127.0.0.1:0")
    with Client(cluster, set_as_default=False) as client:
        yield client
    with suppress(
        TimeoutError
    ):  # on a busy machine a process that was killed is there for longer than distributed waits
        cluster.close()


def workers(client, count):
    """Waits until there are so many workers."""
    client.cluster.scale(count)
    client.wait_for_workers(count, timeout=120)
    while len(client.nthreads()) > count:
        time.sleep(0.05)


def bits(model):
    return b"".join(a.tobytes() for a in [*model.coefs_, *model.intercepts_])


def assert_same_model(model, other, rtol=1e-8):
    assert model.classes_.dtype == other.classes_.dtype
    assert model.classes_.tolist() == other.classes_.tolist()
    assert model.n_features_in_ == other.n_features_in_
    for name in ("coefs_", "intercepts_"):
        for mine, others in zip(getattr(model, name), getattr(other, name), strict=True):
            assert mine.dtype == others.dtype
            np.testing.assert_allclose(mine, others, rtol=rtol, atol=rtol)


# The same model as in memory ------------------------------------------------------------------------------------------

PARTS = [ROWS * k // 5 for k in range(6)]


def frame(divisions=True):
    parts = dd.from_pandas(FRAME, npartitions=5)
    return parts if divisions else parts.clear_divisions()


def unknown(a, width=()):
    """The array in five partitions whose lengths dask does not know, the third of them empty."""
    pieces = [a[:100], a[100:200], a[200:200], a[200:450], a[450:]]
    return da.concatenate(
        [da.from_delayed(delayed(piece), (np.nan, *width), a.dtype) for piece in pieces], allow_unknown_chunksizes=True
    )


GIVEN = {
    "arrays": (DX, DY),
    "y in memory": (DX, Y),
    "one partition": (da.from_array(X, chunks=-1), DY),
    "partitions of one row": (da.from_array(X[:20], chunks=(1, 4)), Y[:20]),
    "text": (DX, da.from_array(NAMES, chunks=200)),
    "two classes": (DX, da.from_array(Y > 0, chunks=200)),
    "frame": (frame(), dd.from_pandas(pd.Series(Y), npartitions=5)),
    "frame and series in other partitions": (frame(), dd.from_pandas(pd.Series(Y), npartitions=3)),
    "frame and array": (frame(), DY),
    "frame and pandas": (frame(divisions=False), pd.Series(Y)),
    "unknown divisions": (frame(divisions=False), dd.from_pandas(pd.Series(Y), npartitions=5).clear_divisions()),
    "unknown lengths": (unknown(X, (FEATURES,)), unknown(Y)),
    "sparse": (DX.map_blocks(sparse.csr_matrix), DY),
    "float32": (DX.astype(np.float32), DY),
    "integers": (DX.astype(int), DY),
}


@pytest.mark.parametrize("name", GIVEN)
def test_same_model_as_in_memory(name):
    x, y = GIVEN[name]
    model = SoftmaxClassifier(alpha=0.1, tol=1e-8).fit(x, y)
    there = x.compute(), y.compute() if hasattr(y, "compute") else y
    expected = sklearn.SoftmaxClassifier(alpha=0.1, tol=1e-8).fit(*there)
    assert_same_model(model, expected, 1e-3 if name == "float32" else 1e-8)
    assert getattr(model, "feature_names_in_", np.empty(0)).tolist() == (
        list("abcd") if "frame" in name or "div" in name else []
    )
    np.testing.assert_allclose(model.loss_curve_[-1], expected.loss_curve_[-1], rtol=1e-6)


OPTIONS = {
    "no weights": (None, {"class_weight": "balanced"}),
    "NumPy": (S, {"class_weight": {0: 2.0, 1: 0.5, 2: 0.1}}),
    "dask": (da.from_array(S, chunks=99), {"class_weight": "balanced"}),
    "one": (2.5, {"label_smoothing": 0.1}),
    "again": (S, {"max_iter": 3, "warm_start": True}),
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.filterwarnings("ignore:max_iter=3")
def test_same_options_as_in_memory(name):
    weight, options = OPTIONS[name]
    model = SoftmaxClassifier(alpha=0.1, tol=1e-8, **options)
    expected = sklearn.SoftmaxClassifier(alpha=0.1, tol=1e-8, **options)
    for _ in range(1 + ("warm_start" in options)):
        model.fit(DX, DY, weight)
        expected.fit(X, Y, weight.compute() if hasattr(weight, "compute") else weight)
    assert_same_model(model, expected)


def test_rows_are_those_of_memory():
    # more than a sample takes: every third row stands for all
    x = np.arange(10000.0)[:, None]
    parts = [Examples(x[a:b], np.zeros(b - a, int)) for a, b in [(0, 1), (1, 2000), (2000, 2000), (2000, 10000)]]
    given = tasks("part", lambda part: part, [(part,) for part in parts])
    sample = sample_of(None, given, [len(part) for part in parts])
    assert (sample.X == InMemory(Examples(x, x)).sample.X).all()
    assert len(DaskRows(None, given, [len(part) for part in parts], sample)) == 10000


# The same bits on any cluster -----------------------------------------------------------------------------------------


def test_same_bits_for_any_number_of_workers(client):
    model = SoftmaxClassifier(alpha=0.1)
    x, y = da.from_array(X, chunks=(75, 4)), da.from_array(Y, chunks=75)
    here = bits(model.fit(x, y))
    for count in (3, 1):
        workers(client, count)
        assert bits(model.fit(x, y, client=client)) == here, f"{count} workers"
        assert len(client.nthreads()) == count
    workers(client, 2)


def test_a_worker_that_dies_changes_no_bit(client):
    pids = client.run(os.getpid)

    def kill(epoch):
        if epoch.number == 3:
            os.kill(pids[max(pids)], 9)

    model = SoftmaxClassifier(alpha=0.1)
    x, y = da.from_array(X, chunks=(75, 4)), da.from_array(NAMES, chunks=75)
    here = bits(model.fit(x, y, S))
    assert bits(model.fit(x, y, S, client=client, on_epoch=kill)) == here
    assert model.n_iter_ > 3
    workers(client, 2)
    assert client.run(os.getpid) != pids


def test_nothing_stays_in_the_cluster(client):
    SoftmaxClassifier(early_stopping=True, random_state=0).fit(DX, DY, S, client=client)
    for _ in range(100):  # the scheduler hears of it a little later
        if not (left := client.run_on_scheduler(lambda dask_scheduler: list(dask_scheduler.tasks))):
            break
        time.sleep(0.05)
    assert left == []


def received(client):
    """Bytes that workers have had from workers."""
    return sum(
        client.run(lambda dask_worker: sum(each["total"] for each in dask_worker.transfer_incoming_log)).values()
    )


@pytest.mark.parametrize("sums", [2, 3])
def test_bytes_of_an_evaluation(client, sums):
    # of two workers one sends the parameters to the other, which sends its sums. Of 12 partitions each has 6, but those
    # from 4 to 7 are added up before the others: one more sum goes
    parts, (rows, features, classes) = {2: 16, 3: 12}[sums], (40, 200, 50)
    x, t = RNG.normal(size=(parts, rows, features)), RNG.integers(0, classes, (parts, rows))
    given = placed(client, tasks("part", Examples, zip(x, t, strict=True)))
    counts = [rows] * parts
    W, b = RNG.normal(size=(features, classes)), np.zeros(classes)
    with DaskRows(client, given, counts, sample_of(client, given, counts)).sums(Loss(), W, b) as evaluate:
        found = [received(client)]
        for _ in range(5):
            evaluate()
            found.append(received(client))
    # dask may give a task of a busy worker to another, which costs more once
    assert W.nbytes * sums < min(np.diff(found)) < 1.05 * W.nbytes * sums
    with InMemory(Examples(np.concatenate(x), np.concatenate(t))).sums(Loss(), W, b) as evaluate_here:
        np.testing.assert_allclose(evaluate().grad_W, evaluate_here().grad_W, atol=1e-9)


@pytest.mark.parametrize(
    ("parts", "threads", "expected"),
    [
        (16, [1, 1], [8, 16]),
        (13, [1, 1], [6, 13]),
        (64, [1, 3], [16, 64]),
        (100, [1, 1, 1], [32, 68, 100]),
        (1, [1, 1], [0, 1]),
    ],
)
def test_placement(parts, threads, expected):
    assert edges(parts, threads) == expected


# Networks, validation sets, what scikit-learn's tools need -----------------------------------------------------------


def test_network(client, monkeypatch):
    monkeypatch.setattr("softxent.dask.rows.GROUP", 200 * FEATURES * 8)  # bytes, of 200 rows
    model = SoftmaxClassifier((8,), learning_rate_init=0.01, max_iter=20, tol=0, random_state=0)
    with pytest.warns(match="max_iter=20"):
        here = bits(model.fit(DX / [1, 10, 0.1, 2], DY, S))
    assert model.score(X / [1, 10, 0.1, 2], Y) > 0.8
    assert model.n_iter_ == 20
    with pytest.warns(match="max_iter=20"):
        assert bits(model.fit(DX / [1, 10, 0.1, 2], DY, S, client=client)) == here


def test_groups_are_of_a_few_partitions():
    x = np.arange(40.0)[:, None]
    given = tasks("part", Examples, [(x[k : k + 4], np.zeros(4, int)) for k in range(0, 40, 4)])
    rows = DaskRows(None, given, [4] * 10, sample_of(None, given, [4] * 10))
    (all_of_them,) = rows.groups(np.random.RandomState(0))
    assert sorted(all_of_them.X.ravel()) == x.ravel().tolist()
    assert all_of_them.X.ravel().tolist() != x.ravel().tolist()


def test_early_stopping(client):
    model = SoftmaxClassifier(alpha=0.1, early_stopping=True, n_iter_no_change=3, random_state=0, tol=0)
    here = bits(model.fit(DX, DY, S))
    assert len(model.validation_loss_curve_) == model.n_iter_
    assert model.validation_scores_[-1] > 0.7
    assert bits(model.fit(DX, DY, S, client=client)) == here


def test_held_out_rows_are_a_fraction_of_each_class(monkeypatch):
    from softxent.dask import preparation

    found = []
    model = SoftmaxClassifier(early_stopping=True, random_state=0, validation_fraction=0.25)
    model._train = lambda *given: found.append(given)
    monkeypatch.setattr(preparation, "weighted", lambda client, given, *_: (given, None))
    model.fit(DX, DY)
    (prepared, _, validation, *_), counts = found[-1], np.bincount(Y)
    assert np.bincount(validation.target).tolist() == np.ceil(counts / 4).tolist()
    kept = fetched(None, prepared.parts)
    both = np.concatenate([validation.X, *(part.X for part in kept)])
    assert [len(part) for part in kept] == list(prepared.rows)
    assert sorted(both.tolist()) == sorted(X.tolist())


def test_validation_set_and_on_epoch():
    model, epochs = SoftmaxClassifier(random_state=0), []
    model.fit(DX, DY, X_val=DX[:100], y_val=DY[:100], on_epoch=lambda epoch: epochs.append(epoch) or epoch.number == 4)
    assert [epoch.number for epoch in epochs] == [1, 2, 3, 4]
    expected = sklearn.SoftmaxClassifier(random_state=0)
    expected.fit(X, Y, X_val=X[:100], y_val=Y[:100], on_epoch=lambda epoch: epoch.number == 4)
    np.testing.assert_allclose(model.validation_loss_curve_, expected.validation_loss_curve_)


def test_what_scikit_learn_needs():
    model = SoftmaxClassifier(alpha=0.1).fit(DX, DY)
    assert clone(model).get_params() == sklearn.SoftmaxClassifier(alpha=0.1).get_params()
    for other in (pickle.loads(pickle.dumps(model)), reloaded(model)):
        assert_same_model(other, model)
        assert (other.predict(X) == model.predict(DX).compute()).all()
    assert model.coef_.shape == (CLASSES, FEATURES)
    assert not hasattr(SoftmaxClassifier(solver="lbfgs"), "partial_fit")
    in_memory = SoftmaxClassifier(alpha=0.1).fit(X, Y)
    assert bits(in_memory) == bits(sklearn.SoftmaxClassifier(alpha=0.1).fit(X, Y))
    assert SoftmaxClassifier(random_state=0).partial_fit(X, Y, classes=[0, 1, 2]).n_iter_ == 1


def reloaded(model):
    data = skops.io.dumps(model)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


# Lazy predictions -----------------------------------------------------------------------------------------------------


@cache
def fitted(name):
    return SoftmaxClassifier(alpha=0.1).fit(*GIVEN[name])


METHODS = ["predict", "predict_proba", "predict_log_proba", "decision_function"]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["arrays", "text", "two classes", "float32", "sparse", "frame", "unknown lengths"])
def test_lazy_predictions(name, method):
    x, model = GIVEN[name][0], fitted(name)
    found, expected = getattr(model, method)(x), getattr(model, method)(x.compute())
    assert isinstance(found, da.Array)
    assert found.dtype == expected.dtype
    assert (found.ndim, found._meta.dtype) == (expected.ndim, expected.dtype)
    if name not in ("frame", "unknown lengths"):
        assert found.chunks[0] == x.chunks[0]
        assert found.shape == expected.shape
    computed = found.compute()
    assert computed.dtype == expected.dtype
    if method == "predict":
        assert (computed == expected).all()
    else:
        np.testing.assert_allclose(computed, expected, rtol=1e-5 if name == "float32" else 1e-12)


@pytest.mark.parametrize("name", ["arrays", "y in memory", "text", "frame", "frame and series in other partitions"])
def test_lazy_score(name, client):
    (x, y), model = GIVEN[name], fitted(name)
    if name == "frame and series in other partitions":
        y = GIVEN["frame"][1]
    score = model.score(x, y)
    assert (score.shape, score.dtype) == ((), np.float64)
    there = x.compute(), y.compute() if hasattr(y, "compute") else y
    assert float(score) == pytest.approx(model.score(*there), rel=1e-12)
    weighted = model.score(DX, Y if name != "text" else NAMES, S) if "frame" not in name else None
    if weighted is not None:
        assert float(weighted) == pytest.approx(model.score(X, NAMES if name == "text" else Y, S), rel=1e-12)
    if name == "arrays":
        assert client.compute(score).result() == float(score)


def test_predictions_outlive_another_fit():
    model = SoftmaxClassifier(alpha=0.1).fit(DX, DY)
    lazy, now = model.predict_proba(DX), model.predict_proba(X)
    model.set_params(alpha=10).fit(DX, DY)
    np.testing.assert_allclose(lazy.compute(), now, rtol=1e-12)


# Bad input ------------------------------------------------------------------------------------------------------------


def with_value(row, column, value):
    x = X.copy()
    x[row, column] = value
    return x


def with_label(row, label):
    y = Y.astype(float if isinstance(label, float) else object)
    y[row] = label
    return y


def partitions(*parts):
    return dd.from_map(lambda part: part, list(parts), meta=parts[0].iloc[:0])


def series(*parts):
    return dd.from_map(lambda part: pd.Series(part), [list(part) for part in parts], meta=pd.Series([], dtype=object))


A, B = FRAME.iloc[:10], FRAME.iloc[10:20]
MISSING = "fill in what is missing, for example with make_pipeline(SimpleImputer(), SoftmaxClassifier())"

BAD = {
    "X[250, 1], row 10 of partition 2, is NaN, but must be finite: " + MISSING: (
        da.from_array(with_value(250, 1, np.nan), chunks=(120, 4)), DY),
    "X[110, 'c'], row 10 of partition 1, is inf, but must be finite: replace or clip it": (
        dd.from_pandas(pd.DataFrame(with_value(110, 2, np.inf), columns=list("abcd")), npartitions=5), DY),
    "X has the columns ['a', 'b', 'c', 'd'], but its partition 1 has ['b', 'a', 'c', 'd']": (
        partitions(A, B[["b", "a", "c", "d"]]), Y[:20]),
    "X has 4 columns, but its partition 1 has 3": (
        da.concatenate([da.from_delayed(delayed(a), (10, 4), float) for a in (X[:10], X[:10, :3])]), Y[:20]),
    "X, partition 1: could not convert string to float: 'x'": (
        partitions(A.astype(object), B.astype(object).assign(b="x")), Y[:20]),
    "X has shape (500,), but must be rows × features": (DX[:, 0], DY),
    "X has 0 rows, but a classifier needs examples of at least two classes": (DX[:0], DY[:0]),
    "SoftmaxClassifier requires y to be passed, but the target y is None": (DX, None),
    "y has 499 labels, but X has 500 rows": (DX, DY[:-1]),
    "y has 500 labels, but X has 490 rows": (DX[:490], Y),
    "y has shape (500, 2), but must have one dimension": (DX, da.stack([DY, DY], axis=1)),
    "y has 5 partitions, of unknown lengths, but X has 2": (DX.rechunk((250, 4)), unknown(Y)),
    "y has 9 labels in partition 1, but X has 10 rows there": (partitions(A, B), series(Y[:10], Y[:9])),
    "y[130], row 10 of partition 1, is None, but every row must have a label: drop the row, or give it one": (
        DX, with_label(130, None)),
    "y, partition 4: Unknown label type: continuous. Maybe you are trying to fit a classifier, which expects discrete "
    "classes on a regression target with continuous values.": (DX, with_label(499, 0.5)),
    "y has the label 0 in partition 0, but '1' in partition 1: expected all text or all numbers": (
        partitions(A, B), series([0, 1] * 5, ["1", "2"] * 5)),
    "y has one class, 1, but a classifier needs examples of at least two classes": (DX, np.ones(ROWS, int)),
    "sample_weight[499], row 19 of partition 4, is -1.0, but must be a finite number at least 0": (
        DX, DY, with_value(499, 0, -1.0)[:, 0] ** 2 * np.where(np.arange(ROWS) < 499, 1, -1)),
    "sample_weight has 3 weights, but X has 500 rows": (DX, DY, [1, 2, 3]),
    "sample_weight is zero for every row, but must be above 0 for some": (DX, DY, da.zeros(ROWS)),
    "class_weight times sample_weight is zero for every row, but must be above 0 for some": (
        DX, DY, None, {"class_weight": {0: 0, 1: 0, 2: 0}}),
    "class 2 has 1 example, but early_stopping needs 2 of each class, to learn from one and validate with the other: "
    "add examples, drop the class, or pass X_val and y_val": (DX, np.r_[2, Y[1:] % 2], None, {"early_stopping": True}),
    "alpha is -1, but must be a finite number at least 0": (DX, DY, None, {"alpha": -1}),
}  # fmt: skip


@pytest.mark.parametrize("message", BAD)
def test_bad_input(message):
    *given, options = [*BAD[message], {}] if not isinstance(BAD[message][-1], dict) else BAD[message]
    with pytest.raises(ValueError) as error:  # noqa: PT011
        SoftmaxClassifier(**options).fit(*given)
    assert str(error.value) == message


WRONG_TYPE = {
    "client is 'tcp://127.0.0.1:1', but must be a distributed.Client or None": (
        "fit", (DX, DY), {"client": "tcp://127.0.0.1:1"}),
    "y is a dask Array, but fit needs it in memory here": ("fit", (X, DY), {}),
    "y is a dask DelayedLeaf, but must be an array or series, of NumPy, pandas or dask": ("fit", (DX, delayed(Y)), {}),
    "X is a dask DelayedLeaf, but must be a dask array or dataframe": ("fit", (delayed(X), DY), {}),
    "X is a dask Array, but partial_fit needs it in memory here": ("partial_fit", (DX, DY), {}),
    "P is a dask Array, but fit_proba needs it in memory here": ("fit_proba", (X, DX), {}),
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG_TYPE)
def test_wrong_type(message):
    method, given, options = WRONG_TYPE[message]
    with pytest.raises(TypeError) as error:
        getattr(SoftmaxClassifier(), method)(*given, **options)
    assert str(error.value) == message


def test_bad_predictions():
    model = SoftmaxClassifier().fit(*GIVEN["frame"])
    with pytest.raises(ValueError, match="The feature names should match those that were passed during fit"):
        model.predict(GIVEN["frame"][0][["b", "a", "c", "d"]])
    with pytest.raises(ValueError, match="X has 3 features, but SoftmaxClassifier is expecting 4 features as input"):
        SoftmaxClassifier().fit(DX, DY).predict(DX[:, :3])
    with pytest.raises(ValueError, match="y is in memory, but the lengths of X's partitions are unknown: pass y as a"):
        model.score(GIVEN["frame"][0], Y)
    with pytest.raises(ValueError, match="y has 499 labels, but X has 500 rows"):
        SoftmaxClassifier().fit(DX, DY).score(DX, Y[1:])


@pytest.mark.parametrize("package", ["dask", "distributed", "sklearn"])
def test_missing_package(package):
    code = f"import sys; sys.modules[{package!r}] = None; import softxent.dask"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert f"softxent.dask needs {package}: pip install '.[dask]' in a clone of softxent" in done.stderr


def test_no_workers():
    where = {"processes": False, "threads_per_worker": 2, "dashboard_address": "127.0.0.1:0"}
    with LocalCluster(n_workers=0, **where) as cluster, Client(cluster, set_as_default=False) as client:
        with pytest.raises(
            ValueError, match="client has no workers, but fit places partitions on them: start some, or"
        ):
            SoftmaxClassifier().fit(DX, DY, client=client)
        cluster.scale(1)  # in this process, in which tasks and fit are on threads
        client.wait_for_workers(1, timeout=120)
        assert bits(SoftmaxClassifier(alpha=0.1).fit(DX, DY, client=client)) == bits(
            SoftmaxClassifier(alpha=0.1).fit(DX, DY)
        )


def test_scheduler_that_is_not_there():
    # what distributed says; softxent has no addresses of its own
    with pytest.raises(OSError, match=r"Timed out trying to connect to tcp://127.0.0.1:1 after 0.3 s"):
        Client("tcp://127.0.0.1:1", timeout="0.3s")


def test_examples_of_the_page():
    path = Path(__file__).parents[1] / "docs/larger_than_memory.md"
    failed, tried = doctest.testfile(str(path), module_relative=False, encoding="utf-8")
    assert not failed
    assert tried
