"""scikit-learn's own callbacks, which it has from 1.9 on."""

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version

from softxent.sklearn import SoftmaxClassifier
from softxent.sklearn.callbacks import with_callbacks

X, Y = load_iris(return_X_y=True)
BOTH = pytest.mark.parametrize("hidden", [(), (6,)], ids=["linear", "hidden"])


class Recorder:
    """Notes what it is told, and stops at the third epoch."""

    def __init__(self):
        self.events, self.accuracy = [], []

    def setup(self, estimator, context):
        self.events.append("setup")

    def teardown(self, estimator, context):
        self.events.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.events.append(f"begin {context.task_name} {context.task_id}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.events.append(f"end {context.task_name} {context.task_id}")
        self.accuracy.append(fitted_estimator.score(X, y))
        return context.task_name == "epoch" and context.task_id == 2


@BOTH
def test_a_callback_is_told_of_each_epoch_and_stops(hidden):
    recorder = Recorder()
    model = SoftmaxClassifier(hidden, random_state=0, learning_rate_init=0.1).set_callbacks(recorder)
    names = np.array(["a", "b", "c"])[Y]
    model.fit(X, names)
    epochs = [f"{event} epoch {k}" for k in range(3) for event in ("begin", "end")]
    assert recorder.events == ["setup", "begin fit 0", *epochs, "end fit 0", "teardown"]
    assert model.n_iter_ == 3
    assert recorder.accuracy[-1] == recorder.accuracy[-2] == model.score(X, names)


@BOTH
def test_epochs_that_begin_also_end(hidden):
    recorder = Recorder()
    recorder.on_fit_task_end = lambda estimator, context: recorder.events.append(
        f"end {context.task_name} {context.task_id}"
    )
    SoftmaxClassifier(hidden, tol=0.1, learning_rate_init=0.1).set_callbacks(recorder).fit(X, Y)
    begun, ended = ({e[len(w) :] for e in recorder.events if e.startswith(w)} for w in ("begin ", "end "))
    assert begun == ended


def test_scikit_learns_own_callbacks(capsys):
    from sklearn.callback import ProgressBar, ScoringMonitor

    monitor = ScoringMonitor(scoring="accuracy")
    model = SoftmaxClassifier((6,), learning_rate_init=0.1, max_iter=7, tol=0, random_state=0).set_callbacks(monitor)
    steps = make_pipeline(model).set_callbacks(ProgressBar())
    with pytest.warns(ConvergenceWarning):
        steps.fit(X, Y)
    scores = [row["accuracy"] for row in monitor.get_logs(select="most_recent").data if row["task_name"] == "epoch"]
    assert len(scores) == 7
    assert scores[-1] == model.score(X, Y)
    assert "SoftmaxClassifier" in capsys.readouterr().out


def test_without_callbacks_a_method_is_itself():
    assert hasattr(SoftmaxClassifier, "set_callbacks") == (parse_version(sklearn.__version__) >= parse_version("1.9"))
    assert with_callbacks(lambda self, x: x + 1)(object(), 1) == 2
