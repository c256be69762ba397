"""Explains a prediction for one row: what pushed it, its scores as `explain` does, and the gradient of each feature.

With δ = p − y at the top, as in softxent.sklearn.network:  ∂loss/∂h_{k−1} = δ·W_kᵀ,  δ ← ∂loss/∂h_{k−1} ∘ σ'(a_{k−1})
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from softxent.app.contributions import Contribution, Contributions, input_gradients, integrated_gradients
from softxent.app.features import dense, transformed
from softxent.app.owners import owners
from softxent.app.run import Run
from softxent.app.tables import Rows
from softxent.explain import Layer, Trace, explain

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Prediction:
    """h_0 … h_K of one row, and ∂loss/∂h_0 … ∂loss/∂h_K; h_0 is the features."""

    data: str
    row: int
    label: str | None  # in the file
    columns: dict[str, object]  # in the file
    features: tuple[str, ...]
    hidden: tuple[Array, ...]
    gradients: tuple[Array, ...]
    contributions: Contributions
    trace: Trace

    def to_dict(self) -> dict[str, Any]:
        names = ("feature", "value", "gradient")
        entries = zip(self.features, self.hidden[0].tolist(), self.gradients[0].tolist(), strict=True)
        pushed = self.contributions.to_dict()
        for entry in pushed["columns"]:
            entry["value"] = json_value(entry["value"])
        return {
            "data": self.data,
            "row": self.row,
            "label": self.label,
            "contributions": pushed,
            "columns": {name: json_value(value) for name, value in self.columns.items()},
            "features": [dict(zip(names, entry, strict=True)) for entry in entries],
            **self.trace.to_dict(),
        }

    @classmethod
    def of(cls, run: Run, rows: Rows, target: str | None, *, data: str, temperature: float = 1.0) -> Self:
        """Explains the prediction for one row (a `Rows` of length 1); the target is by default the row's label."""
        from softxent.sklearn.network import Network

        X = rows.features(run.schema.columns)
        made, classifier = run.model[:-1], run.model[-1]
        x = dense(transformed(made, X)).astype(np.float64)
        network = Network.of(classifier.coefs_, classifier.intercepts_, classifier.activation, np.float64)
        hidden, _ = network.forward(x)
        label = _label(run, rows)
        top = Layer(hidden[-1][0], network.parameters.weights[-1].T, network.parameters.biases[-1])
        trace = explain(top, label if target is None else target, temperature=temperature, labels=run.schema.classes)
        gradients = input_gradients(network, hidden, trace.gradient[None])
        columns = dict(X.iloc[0]) if hasattr(X, "iloc") else {}
        return cls(
            data,
            rows.start,
            label,
            columns,
            tuple(map(str, made.get_feature_names_out())),
            tuple(h[0] for h in hidden),
            tuple(gradient[0] for gradient in reversed(gradients)),
            _contributions(run, network, x, trace, columns),
            trace,
        )


def _contributions(run: Run, network: Any, x: Array, trace: Trace, columns: dict[str, object]) -> Contributions:
    a, b = np.argsort(-trace.scores, kind="stable")[:2].tolist()
    mean = np.asarray(run.schema.means or np.zeros(x.shape[1]))
    pushed = integrated_gradients(network, x[0], mean, a, b) / trace.temperature
    names, of = owners(run.model[0]), dict[str, float]()
    for name, contribution in zip(names, pushed.tolist(), strict=True):
        of[name] = of.get(name, 0.0) + contribution
    values = columns or dict(zip(names, x[0].tolist(), strict=True))
    log_odds = float(trace.scaled[a] - trace.scaled[b])
    return Contributions(
        predicted=trace.labels[a],
        against=trace.labels[b],
        log_odds=log_odds,
        average_row=log_odds - sum(of.values()),
        method="integrated gradients" if network.hidden else "coefficients",
        columns=tuple(
            Contribution(name, _plain(values.get(name)), contribution)
            for name, contribution in sorted(of.items(), key=lambda entry: -abs(entry[1]))
        ),
    )


def _label(run: Run, rows: Rows) -> str | None:
    if rows.source.names and run.schema.target not in rows.source.names:
        return None
    index = int(run.schema.class_indices(rows)[0])
    return run.schema.classes[index] if index >= 0 else None


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def json_value(value: Any) -> Any:
    """Returns a value as JSON has it; a missing one is None."""
    if value is None or value != value:
        return None
    plain = _plain(value)
    return plain if isinstance(plain, str | int | float) else str(plain)
