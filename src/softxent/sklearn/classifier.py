"""SoftmaxClassifier: scikit-learn's conventions around the solvers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from softxent.functional import log_softmax, softmax
from softxent.sklearn import inputs, parameters, solvers
from softxent.sklearn.callbacks import CallbackSupportMixin, with_callbacks
from softxent.sklearn.examples import Examples, hold_out, weighing, weighted
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import Network, Parameters
from softxent.sklearn.progress import OnEpoch, Progress, fitted
from softxent.sklearn.sums import InMemory, TrainingRows

Array = NDArray[Any]


def takes_minibatches(estimator: Any) -> bool:
    if estimator.solver == "lbfgs":
        raise AttributeError("partial_fit needs solver 'auto', 'adam' or 'sgd': L-BFGS goes through all rows at once")
    return True


class SoftmaxClassifier(CallbackSupportMixin, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """p = softmax(h·W + b), h the last hidden layer or X itself; minimizes 1/Σs·Σ_i s_i·loss_i + α/2·Σ‖W‖².

    hidden_layer_sizes   () for multinomial logistic regression; (64, 32) for two hidden layers
    activation           of the hidden layers: "relu", "tanh" or "logistic"
    alpha                α ≥ 0, the penalty on the weights, not on b. LogisticRegression's C is 1 / (α·Σs) for three or
                         more classes. For two it is 2 / (α·Σs): its one vector of coefficients is w_1 − w_0 of ours
    solver               "lbfgs", to the optimum, without hidden layers; "adam" or "sgd", in mini-batches;
                         "auto": "lbfgs" without hidden layers, "adam" with
    learning_rate_init   η of Adam and SGD
    momentum             of SGD
    batch_size           rows in a mini-batch; "auto": min(200, rows)
    max_iter             epochs, of L-BFGS iterations, at most
    tol                  L-BFGS stops when no entry of the gradient is larger, X's columns standardised; Adam and SGD
                         when the loss has not fallen by more in n_iter_no_change epochs
    n_iter_no_change     see tol and early_stopping
    class_weight         w: a dict from class to weight, or "balanced": Σs / (classes · Σs of the class)
    label_smoothing      ε in [0, 1]
    early_stopping       stop when the validation loss has not fallen by tol in n_iter_no_change epochs, and keep the
                         parameters of the epoch where it was lowest
    validation_fraction  of the rows, held out for early_stopping if fit is given no X_val
    warm_start           fit goes on from the parameters that the last fit found
    random_state         of the initial weights, the order of the rows and the validation set
    verbose              1 prints a line an epoch

    After fit: classes_, n_features_in_, feature_names_in_, n_iter_ (epochs), loss_curve_ (the objective after each),
    coefs_ and intercepts_ (W, inputs × outputs, and b of each layer); without hidden layers also coef_, classes ×
    features, and intercept_; with a validation set validation_scores_ (accuracy) and validation_loss_curve_.

    float32 and float64 are computed in as given; sparse X (CSR) is never made dense.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = SoftmaxClassifier(alpha=0.01).fit(X, y)
    >>> model.predict_proba(X[:1]).round(2), model.score(X, y) > 0.95
    (array([[0.98, 0.02, 0.  ]]), True)
    """

    classes_: Array

    def __init__(
        self,
        hidden_layer_sizes: Any = (),
        activation: str = "relu",
        *,
        alpha: float = 1e-4,
        solver: str = "auto",
        learning_rate_init: float = 1e-3,
        momentum: float = 0.9,
        batch_size: int | str = "auto",
        max_iter: int = 200,
        tol: float = 1e-4,
        n_iter_no_change: int = 10,
        class_weight: Any = None,
        label_smoothing: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.alpha = alpha
        self.solver = solver
        self.learning_rate_init = learning_rate_init
        self.momentum = momentum
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # fit --------------------------------------------------------------------------------------------------------------

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        on_epoch: OnEpoch = None,
    ) -> SoftmaxClassifier:
        """Learns from X, rows × features, and y, a label a row.

        sample_weight  s, a number ≥ 0 a row
        X_val, y_val   a validation set: its loss and accuracy are taken after each epoch
        on_epoch       a function that is called with an Epoch after each epoch (of L-BFGS: iteration); returning True
                       stops. Epoch has number, of, loss, validation_loss and validation_score

        Ctrl-C stops too: with a validation set the best epoch's parameters are kept, without one the last ones.
        """
        parameters.check(self)
        X = inputs.features(self, "X", X, reset=True)
        classes, index = np.unique(inputs.labels("y", y, "X", X.shape[0]), return_inverse=True)
        self._name_classes(inputs.two_classes(classes))
        given = Examples(X, index.astype(np.int64, copy=False), inputs.row_weights(sample_weight, X.shape[0]))
        return self._fit(given, self._validation("y_val", X_val, y_val), on_epoch)

    @with_callbacks  # type: ignore[untyped-decorator]
    def fit_proba(
        self,
        X: Any,
        P: Any,
        sample_weight: Any = None,
        *,
        classes: Any = None,
        X_val: Any = None,
        P_val: Any = None,
        on_epoch: OnEpoch = None,
    ) -> SoftmaxClassifier:
        """Learns from P, rows × classes, a probability for each class: soft labels, votes, another model's output.

        classes  the names of P's columns, in order; by default those of a DataFrame, or 0, 1, …; the rest as in fit
        """
        parameters.check(self)
        X = inputs.features(self, "X", X, reset=True)
        names = np.asarray(inputs.column_names(P) if classes is None else classes)
        P_val = inputs.in_order_of(P, P_val)
        P = inputs.probabilities("P", P, X.shape[0])
        sorted_names, order = np.unique(names, return_index=True)
        if names.shape != P.shape[1:] or len(order) < len(names):
            raise ValueError(f"classes is {names.tolist()}, but must name each of P's {P.shape[1]} columns once")
        self._name_classes(sorted_names)
        if P_val is not None:
            P_val = inputs.probabilities("P_val", P_val, len(P_val), P.shape[1])[:, order]
        given = Examples(X, P[:, order].astype(X.dtype), inputs.row_weights(sample_weight, X.shape[0]))
        return self._fit(given, self._validation("P_val", X_val, P_val), on_epoch)

    @available_if(takes_minibatches)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> SoftmaxClassifier:
        """Trains for one epoch on these rows, in mini-batches, starting from the parameters of the last call.

        classes        all classes that will ever come; needed at the first call
        sample_weight  s, as in fit; here a row of weight 2 counts as two also beside the rows of other calls
        """
        parameters.check(self)
        first = not hasattr(self, "coefs_")
        if first and classes is None:
            raise ValueError("classes is None, but the first call of partial_fit must name all classes")
        if isinstance(self.class_weight, str):
            raise ValueError("class_weight is 'balanced', but partial_fit sees no class counts: pass a dict of weights")
        if classes is not None and not first and not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(f"classes is {list(classes)}, but an earlier call had {inputs.class_list(self.classes_)}")
        X = inputs.features(self, "X", X, reset=first)
        if first:
            self.classes_ = inputs.two_classes(np.unique(classes))
        index = inputs.class_indices("y", inputs.labels("y", y, "X", X.shape[0]), self.classes_)
        weight = inputs.row_weights(sample_weight, X.shape[0])
        given = Examples(X, index, None if weight is None else weight.astype(X.dtype))
        loss = Loss(inputs.class_weights(self.class_weight, self.classes_, np.ones(0)), self.label_smoothing)
        network = self._network(given.X, warm=not first)
        if not hasattr(self, "_optimizer"):  # the first call, or the first after fit
            self._optimizer, self._rng = solvers.new_optimizer(self, network), check_random_state(self.random_state)
        if first:
            network.parameters.draw(self._rng)
            self.loss_curve_, self.n_iter_ = [], 0
        self.loss_curve_.append(solvers.epoch(self, network, InMemory(given), loss, self._optimizer, self._rng))
        self.n_iter_ += 1
        self._keep(network, network.parameters.flat)
        return self

    def _fit(self, given: Examples, validation: Examples | None, on_epoch: OnEpoch) -> SoftmaxClassifier:
        rng = check_random_state(self.random_state)
        if self.early_stopping and validation is None:
            given, validation = hold_out(given, self.classes_, self.validation_fraction, rng)
        given, w = weighted(given, self.class_weight, self.classes_)
        return self._train(InMemory(given), w, validation, rng, on_epoch)

    def _fit_rows(
        self, rows: TrainingRows, counts: Array, validation: Examples | None, on_epoch: OnEpoch
    ) -> SoftmaxClassifier:
        """Learns from rows that need not be in memory; `counts` has Σ_i s_i of each class of `classes_`."""
        w, factor = weighing(self.class_weight, self.classes_, counts, len(rows))
        if factor != 1:  # of the rows' weights, which are not at hand
            w = np.full(len(counts), factor)
        return self._train(rows, w, validation, check_random_state(self.random_state), on_epoch)

    def _train(
        self,
        rows: TrainingRows,
        class_weight: Array | None,
        validation: Examples | None,
        rng: np.random.RandomState,
        on_epoch: OnEpoch,
    ) -> SoftmaxClassifier:
        loss = Loss(class_weight, self.label_smoothing)
        network = self._network(rows.sample.X, warm=self.warm_start)
        if not (self.warm_start and hasattr(self, "coefs_")):
            network.parameters.draw(rng)
        self.__dict__.pop("_optimizer", None)  # partial_fit's, of other parameters
        progress = Progress(self, network, rows, validation, on_epoch)
        try:
            words = solvers.solve(self, network, rows, loss, rng, progress)
            if words:
                warnings.warn(words, ConvergenceWarning, stacklevel=5)
        except KeyboardInterrupt:
            warnings.warn("Training interrupted by user.", stacklevel=5)
            progress.stopped = "interrupt"
        keep_best = progress.best is not None and (self.early_stopping or progress.stopped == "interrupt")
        self._keep(network, progress.best if keep_best else network.parameters.flat)
        self.loss_curve_, self.n_iter_ = progress.loss_curve, len(progress.loss_curve)
        if validation is not None:
            self.validation_loss_curve_ = progress.validation_loss_curve
            self.validation_scores_ = progress.validation_scores
        progress.close()
        return self

    def _name_classes(self, classes: Array) -> None:
        if self.warm_start and hasattr(self, "coefs_") and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start goes on with the classes {inputs.class_list(self.classes_)}, but they are now "
                f"{inputs.class_list(classes)}: set it to False, or pass examples of the same classes"
            )
        self.classes_ = classes

    def _validation(self, name: str, X: Any, target: Any) -> Examples | None:
        """Returns the validation set: X_val with y_val or P_val."""
        if X is None and target is None:
            return None
        if X is None or target is None:
            raise ValueError(f"X_val and {name} must be given together, but {'X_val' if X is None else name} is None")
        X = inputs.features(self, "X_val", X, reset=False)
        if name == "P_val":
            return Examples(X, inputs.probabilities(name, target, X.shape[0], len(self.classes_)).astype(X.dtype))
        return Examples(X, inputs.class_indices(name, inputs.labels(name, target, "X_val", X.shape[0]), self.classes_))

    # what it has learnt -----------------------------------------------------------------------------------------------

    def _network(self, X: Any, warm: bool) -> Network:
        """Returns a network whose parameters are 0, or if `warm` those of the last fit."""
        units = [X.shape[1], *map(int, parameters.hidden_units(self.hidden_layer_sizes)), len(self.classes_)]
        network = Network(Parameters(units, X.dtype), self.activation)
        if warm and hasattr(self, "coefs_"):
            shapes = [W.shape for W in self.coefs_]
            if shapes != [W.shape for W in network.parameters.weights]:
                raise ValueError(f"warm_start found weights of shapes {shapes}, but the layers are now {units}")
            network.parameters.set(self.coefs_, self.intercepts_)
        return network

    def _keep(self, network: Network, flat: Any) -> None:
        for name, value in fitted(flat, network).items():
            setattr(self, name, value)

    @property
    def coef_(self) -> Array:
        """Without hidden layers: W transposed, classes × features."""
        return self._only_layer("coef_", self.coefs_)[0].T

    @property
    def intercept_(self) -> Array:
        """Without hidden layers: b, one number a class."""
        return self._only_layer("intercept_", self.intercepts_)[0]

    def _only_layer(self, name: str, layers: list[Array]) -> list[Array]:
        if len(layers) > 1:
            raise AttributeError(f"{name} is there without hidden layers only; with them see coefs_ and intercepts_")
        return layers

    def _logits(self, X: Any) -> Iterator[Array]:
        check_is_fitted(self, "coefs_")
        X = inputs.features(self, "X", X, reset=False)
        dtype = np.result_type(X.dtype, self.coefs_[0].dtype)
        return Network.of(self.coefs_, self.intercepts_, self.activation, dtype).logits(X)

    def decision_function(self, X: Any) -> Array:
        """Returns the logits, rows × classes; of two classes their difference, a number a row, as scikit-learn does."""
        logits = np.concatenate(list(self._logits(X)))
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict(self, X: Any) -> Array:
        """Returns the most probable class of each row."""
        index = np.concatenate([logits.argmax(axis=1) for logits in self._logits(X)])
        return self.classes_[index]

    def predict_proba(self, X: Any) -> Array:
        """Returns p, rows × classes."""
        return np.concatenate([softmax(logits) for logits in self._logits(X)])

    def predict_log_proba(self, X: Any) -> Array:
        """Returns log p, in nats; finite where p itself would round to 0."""
        return np.concatenate([log_softmax(logits) for logits in self._logits(X)])

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restores a saved state; version 0.1 called partial_fit's optimizer `_step`."""
        super().__setstate__({"_optimizer" if name == "_step" else name: value for name, value in state.items()})

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
