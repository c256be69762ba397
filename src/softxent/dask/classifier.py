"""SoftmaxClassifier for dask: the parent's, whose rows may lie in partitions."""

from __future__ import annotations

from copy import copy
from typing import Any

import distributed
import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from softxent import sklearn
from softxent.dask import inspection, partitions, prediction, preparation
from softxent.dask.partitions import is_dask
from softxent.sklearn import inputs, parameters
from softxent.sklearn.callbacks import with_callbacks
from softxent.sklearn.classifier import takes_minibatches
from softxent.sklearn.progress import OnEpoch

Array = NDArray[Any]


class SoftmaxClassifier(sklearn.SoftmaxClassifier):
    """softxent.sklearn.SoftmaxClassifier, for dask arrays and dataframes too: the same parameters, the same model.

    Without hidden layers each worker sums the loss and its gradient over its partitions, and L-BFGS runs where fit was
    called. The sums are added up in the order of the partitions: the model has the same bits for any number of workers,
    and also if some die meanwhile. Networks are trained where fit was called, in mini-batches of the partitions that
    are fetched there in a random order, a few at a time.

    >>> import dask.array as da
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(300, 4)), rng.integers(0, 3, 300)
    >>> model = SoftmaxClassifier(alpha=0.1).fit(da.from_array(X, chunks=(100, 4)), da.from_array(y, chunks=100))
    >>> model.predict_proba(da.from_array(X, chunks=(100, 4)))
    dask.array<block, shape=(300, 3), dtype=float64, chunksize=(100, 3), chunktype=numpy.ndarray>
    """

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        on_epoch: OnEpoch = None,
        client: Any = None,
    ) -> SoftmaxClassifier:
        """Learns from X, rows × features, and y, a label a row.

        X              a dask array, of NumPy arrays or CSR matrices in any chunks, or a dask dataframe of numbers; of
                       other arrays the parent learns, in memory
        y              of dask, NumPy or pandas. Where neither X nor y know the lengths of their partitions they must
                       have the same number of them
        sample_weight  s, a number ≥ 0 a row, like y; or one for all
        X_val, y_val   a validation set, which is held in memory where fit was called. With early_stopping and without
                       X_val it is validation_fraction of each class, random rows of the partitions
        on_epoch       as in memory
        client         of the cluster that computes; None is dask's current client. X stays on its workers until fit
                       ends. Where there is no client either, dask's scheduler of this process computes the partitions
                       again each time that they are needed, so that few are in memory at a time: where there is room
                       for all, pass X.persist()
        """
        if not is_dask(X):
            in_memory("fit", y=y, sample_weight=sample_weight, X_val=X_val, y_val=y_val)
            return super().fit(X, y, sample_weight, X_val=X_val, y_val=y_val, on_epoch=on_epoch)
        if client is not None and not isinstance(client, distributed.Client):
            raise TypeError(f"client is {client!r}, but must be a distributed.Client or None")
        return self._fit_partitions(X, y, sample_weight, X_val, y_val, on_epoch, client or current_client())

    @with_callbacks  # type: ignore[untyped-decorator]
    def _fit_partitions(
        self, X: Any, y: Any, sample_weight: Any, X_val: Any, y_val: Any, on_epoch: OnEpoch, client: Any
    ) -> SoftmaxClassifier:
        parameters.check(self)
        if y is None:
            raise ValueError("SoftmaxClassifier requires y to be passed, but the target y is None")
        partitions.check_columns(self, "X", X, reset=True)
        given = partitions.given(client, X, y, sample_weight)
        found = inspection.first_pass(client, given, getattr(self, "feature_names_in_", None))
        self._name_classes(inputs.two_classes(inspection.classes_of(found)))
        rng = check_random_state(self.random_state)
        validation = self._validation("y_val", here(X_val, client), here(y_val, client))
        prepared = preparation.prepared(client, given, found, self.classes_)
        del given  # which lets the cluster forget it
        if self.early_stopping and validation is None:
            prepared, validation = preparation.hold_out(client, prepared, self.classes_, self.validation_fraction, rng)
        rows, w = preparation.weighted(client, prepared, self.class_weight, self.classes_)
        del prepared
        return self._train(rows, w, validation, rng, on_epoch)

    def fit_proba(self, X: Any, P: Any, *args: Any, **kwargs: Any) -> SoftmaxClassifier:
        """Learns from probabilities, in memory: see softxent.sklearn.SoftmaxClassifier."""
        in_memory("fit_proba", X=X, P=P)
        return super().fit_proba(X, P, *args, **kwargs)

    @available_if(takes_minibatches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, *args: Any, **kwargs: Any) -> SoftmaxClassifier:
        """Trains for one epoch on these rows, in memory: see softxent.sklearn.SoftmaxClassifier."""
        in_memory("partial_fit", X=X, y=y)
        return super().partial_fit(X, y, *args, **kwargs)

    # what it has learnt: of dask's collections lazily -----------------------------------------------------------------

    def decision_function(self, X: Any) -> Any:
        """Returns the logits; of a dask collection as a dask array, as all of these do."""
        return (
            self._lazily("decision_function", X, of_class=len(self.classes_) > 2)
            if is_dask(X)
            else super().decision_function(X)
        )

    def predict(self, X: Any) -> Any:
        """Returns the most probable class of each row."""
        return self._lazily("predict", X, of_class=False) if is_dask(X) else super().predict(X)

    def predict_proba(self, X: Any) -> Any:
        """Returns p, rows × classes."""
        return self._lazily("predict_proba", X) if is_dask(X) else super().predict_proba(X)

    def predict_log_proba(self, X: Any) -> Any:
        """Returns log p, in nats."""
        return self._lazily("predict_log_proba", X) if is_dask(X) else super().predict_log_proba(X)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Returns the accuracy; of a dask collection as a dask array without axes, which is computed when asked for."""
        if is_dask(X):
            return prediction.accuracy(self.predict(X), y, sample_weight)
        in_memory("score", y=y, sample_weight=sample_weight)
        return super().score(X, y, sample_weight)

    def _lazily(self, method: str, X: Any, of_class: bool = True) -> Any:
        check_is_fitted(self, "coefs_")
        partitions.check_columns(self, "X", X, reset=False)
        dtype = self.classes_.dtype
        if method != "predict":
            dtype = np.result_type(partitions.float_type(X), self.coefs_[0].dtype)
        return prediction.lazily(copy(self), method, X, (len(self.classes_),) if of_class else (), dtype)


def current_client() -> Any:
    try:
        return distributed.get_client()
    except ValueError:  # there is none
        return None


def here(a: Any, client: Any) -> Any:
    return a.compute(scheduler=client) if is_dask(a) else a


def in_memory(method: str, **arguments: Any) -> None:
    for name, a in arguments.items():
        if is_dask(a):
            raise TypeError(f"{name} is a dask {type(a).__name__}, but {method} needs it in memory here")
