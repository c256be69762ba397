"""The end of an epoch, the same for every solver: curves, validation, callbacks, and whether to stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Network
from softxent.sklearn.sums import InMemory, TrainingRows

Array = NDArray[Any]


class Epoch(NamedTuple):
    """The state after an epoch (of L-BFGS: an iteration), which fit passes to `on_epoch`.

    number            1, 2, …
    of                max_iter
    loss              the objective on the training set
    validation_loss   mean −ln p_y on the validation set, None without one
    validation_score  accuracy on it
    """

    number: int
    of: int
    loss: float
    validation_loss: float | None = None
    validation_score: float | None = None

    def __str__(self) -> str:
        line = f"epoch {self.number}: loss {self.loss:.4f}"
        if self.validation_loss is not None:
            line += f", validation loss {self.validation_loss:.4f}, accuracy {self.validation_score:.4f}"
        return line


class Progress:
    """Keeps the curves of a fit; `stopped` says why it ended, None if max_iter was reached."""

    def __init__(
        self, estimator: Any, network: Network, training: TrainingRows, validation: Examples | None, on_epoch: OnEpoch
    ) -> None:
        self.estimator, self.network, self.training, self.validation = estimator, network, training, validation
        self.on_epoch = on_epoch
        self.loss_curve: list[float] = []
        self.validation_loss_curve: list[float] = []
        self.validation_scores: list[float] = []
        self.best: Array | None = None
        self.stopped: str | None = None
        self.context: Any = None
        self.task: Any = None
        if hasattr(estimator, "_skl_callbacks"):
            self.context = estimator._init_callback_context(max_subtasks=estimator.max_iter)
            self.context.call_on_fit_task_begin(**self.callback_arguments())
            self.begin()

    def begin(self) -> None:
        """Tells scikit-learn's callbacks that an epoch begins."""
        if self.context is not None and len(self.loss_curve) < self.estimator.max_iter:
            self.task = self.context.subcontext(task_name="epoch")
            self.task.call_on_fit_task_begin(**self.callback_arguments())

    def __call__(self, loss: float) -> bool:
        """Records an epoch; returns True if it was the last one."""
        self.loss_curve.append(loss)
        self.validate()
        epoch = Epoch(
            len(self.loss_curve),
            self.estimator.max_iter,
            loss,
            self.validation_loss_curve[-1] if self.validation else None,
            self.validation_scores[-1] if self.validation else None,
        )
        if self.estimator.verbose:
            print(epoch)
        if self.on_epoch is not None and self.on_epoch(epoch):
            self.stopped = "on_epoch"
        if self.task is not None:
            if self.task.call_on_fit_task_end(**self.callback_arguments()):
                self.stopped = "callback"
            self.task = None
        if self.estimator.early_stopping and self.stalled(self.validation_loss_curve):
            self.stopped = "validation"
        if self.stopped is None:
            self.begin()
        return self.stopped is not None

    def validate(self) -> None:
        if self.validation is None:
            return
        loss, score = loss_and_accuracy(self.network, self.validation)
        if loss < min(self.validation_loss_curve, default=np.inf):
            self.best = self.network.parameters.flat.copy()
        self.validation_loss_curve.append(loss)
        self.validation_scores.append(score)

    def stalled(self, curve: list[float]) -> bool:
        """Whether none of the last n_iter_no_change epochs was better by tol than the best before them."""
        patience = self.estimator.n_iter_no_change
        return len(curve) > patience and min(curve[-patience:]) > min(curve[:-patience]) - self.estimator.tol

    def callback_arguments(self) -> dict[str, Any]:
        """Returns what scikit-learn's callbacks may ask for, built lazily where it costs something."""
        given = self.training.examples if isinstance(self.training, InMemory) else self.training.sample
        target, weight = given.target, given.weight
        return {
            "estimator": self.estimator,
            "X": given.X,
            "y": (lambda: self.estimator.classes_[target]) if target.ndim == 1 else target,
            "metadata": None if weight is None else {"sample_weight": weight},
            "reconstruction_attributes": lambda: fitted(self.network.parameters.flat, self.network),
        }

    def close(self) -> None:
        if self.task is not None:
            self.task.call_on_fit_task_end(estimator=self.estimator)
        if self.context is not None:
            self.context.call_on_fit_task_end(**self.callback_arguments())


OnEpoch = Callable[[Epoch], object] | None


def fitted(flat: Array, network: Network) -> dict[str, list[Array]]:
    """Returns the estimator's attributes for these parameters."""
    copy = network.parameters.like()
    copy.flat[...] = flat
    return {"coefs_": copy.weights, "intercepts_": copy.biases}


def loss_and_accuracy(network: Network, examples: Examples) -> tuple[float, float]:
    """Returns mean −ln p_y and accuracy (of probability targets, how often the most probable class is the same)."""
    loss, right, row = 0.0, 0, 0
    target = examples.target if examples.target.ndim == 1 else examples.target.argmax(axis=1)
    for logits in network.logits(examples.X):
        rows = slice(row, row := row + len(logits))
        right += int((logits.argmax(axis=1) == target[rows]).sum())
        loss += Loss().and_delta(logits, examples[rows])
    return loss / row, right / row
