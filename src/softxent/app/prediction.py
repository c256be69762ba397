"""Explains a model's prediction for one row: its scores, as `explain` does, and the gradient of each feature.

With δ = p − y at the top, as in softxent.sklearn.network:  ∂loss/∂h_{k−1} = δ·W_kᵀ,  δ ← ∂loss/∂h_{k−1} ∘ σ'(a_{k−1})
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.run import Run
from softxent.app.tables import Rows
from softxent.app.words import say
from softxent.explain import Layer, Trace, explain
from softxent.explain.render import Cell, Step, cut
from softxent.explain.story import brief, decimals, story

Array = NDArray[np.float64]

COLUMNS_SHOWN = 12
FEATURES_SHOWN = 12
NAME = 32


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
    trace: Trace

    def to_dict(self) -> dict[str, Any]:
        names = ("feature", "value", "gradient")
        entries = zip(self.features, self.hidden[0].tolist(), self.gradients[0].tolist(), strict=True)
        return {
            "data": self.data,
            "row": self.row,
            "label": self.label,
            "columns": {name: _json_value(value) for name, value in self.columns.items()},
            "features": [dict(zip(names, entry, strict=True)) for entry in entries],
            **self.trace.to_dict(),
        }


def explain_row(run: Run, rows: Rows, target: str | None, *, data: str, temperature: float = 1.0) -> Prediction:
    """Explains the prediction for one row (a `Rows` of length 1); the target is by default the row's label."""
    from softxent.sklearn.network import Network

    X = rows.features(run.schema.columns)
    made, classifier = run.model[:-1], run.model[-1]
    x = made.transform(X)
    x = np.asarray(x.toarray() if hasattr(x, "toarray") else x, np.float64)
    network = Network.of(classifier.coefs_, classifier.intercepts_, classifier.activation, np.float64)
    hidden, _ = network.forward(x)
    label = _label(run, rows)
    top = Layer(hidden[-1][0], network.parameters.weights[-1].T, network.parameters.biases[-1])
    trace = explain(top, label if target is None else target, temperature=temperature, labels=run.schema.classes)

    gradients, delta = [], trace.gradient[None]
    for k in reversed(range(len(hidden))):
        grad = delta @ network.parameters.weights[k].T
        gradients.append(grad[0])
        delta = grad.copy()
        if k:
            network.through(hidden[k], delta)
    return Prediction(
        data,
        rows.start,
        label,
        dict(X.iloc[0]) if hasattr(X, "iloc") else {},
        tuple(map(str, made.get_feature_names_out())),
        tuple(h[0] for h in hidden),
        tuple(reversed(gradients)),
        trace,
    )


def _label(run: Run, rows: Rows) -> str | None:
    if rows.source.names and run.schema.target not in rows.source.names:
        return None
    index = int(run.schema.class_indices(rows)[0])
    return run.schema.classes[index] if index >= 0 else None


def _json_value(value: Any) -> Any:
    """Returns a value as JSON has it; a missing one is None."""
    if value is None or value != value:
        return None
    return value.item() if isinstance(value, np.generic) else value if isinstance(value, str) else str(value)


# In words -----------------------------------------------------------------------------------------------------------


def steps(prediction: Prediction, lang: str, *, article: bool = False) -> list[Step]:
    """Returns the steps of the story: first the row, then its scores, then the way back to its features."""
    first, *others = story(prediction.trace, lang, article=article)
    notes = [*first.notes, *_opening(prediction, lang)]
    row = [_columns(prediction, lang)] if prediction.columns else []
    layers = [_layers(prediction, lang)] if len(prediction.hidden) > 1 else []
    return [replace(first, notes=notes), *row, *others, *layers, _features(prediction, lang)]


def _opening(prediction: Prediction, lang: str) -> list[str]:
    trace, features = prediction.trace, len(prediction.features)
    predicted = trace.labels[trace.hard_max]
    notes = [say(lang, "row story", row=prediction.row, name=prediction.data)]
    notes.append(say(lang, "row predicted", predicted=cut(predicted, 40), p=decimals(trace.p[trace.hard_max])))
    if prediction.label is not None:
        notes.append(say(lang, "row label", label=cut(prediction.label, 40)))
    units = len(prediction.hidden[-1])
    phrase = "hidden layers" if len(prediction.hidden) > 1 else "features are x"
    return [*notes, say(lang, phrase, units=units, features=features)]


def _columns(prediction: Prediction, lang: str) -> Step:
    names = list(prediction.columns)
    rows = [[Cell(cut(name, NAME)), Cell(_value_text(prediction.columns[name]))] for name in names[:COLUMNS_SHOWN]]
    notes = [say(lang, "columns hidden", shown=COLUMNS_SHOWN, columns=len(names))] if len(names) > len(rows) else []
    return Step(say(lang, "the row"), "", (say(lang, "column"), say(lang, "value")), rows, notes)


def _value_text(value: Any) -> str:
    plain = _json_value(value)
    return "–" if plain is None else brief(plain) if isinstance(plain, float | int) else cut(plain, 36)


def _layers(prediction: Prediction, lang: str) -> Step:
    head = (say(lang, "layer of units"), say(lang, "units"), say(lang, "active"), "max |∂loss/∂h|")
    rows: list[Sequence[Cell]] = []
    for k in reversed(range(1, len(prediction.hidden))):
        h, grad = prediction.hidden[k], prediction.gradients[k]
        cells = (say(lang, "hidden layer", k=k), str(len(h)), str(int((h > 0).sum())), decimals(abs(grad).max()))
        rows.append([Cell(text) for text in cells])
    return Step(say(lang, "through layers"), "∂loss/∂h_k−1 = δ·W_kᵀ,  δ ← ∂loss/∂h_k−1 ∘ σ′(a_k−1)", head, rows)


def _features(prediction: Prediction, lang: str) -> Step:
    x, grad = prediction.hidden[0], prediction.gradients[0]
    largest = np.argsort(-abs(grad), kind="stable")[:FEATURES_SHOWN]
    most = abs(grad).max(initial=0)
    rows = [
        [
            Cell(cut(prediction.features[i], NAME)),
            Cell(decimals(x[i])),
            Cell(decimals(grad[i]), "strong"),
            Cell("", "bar", float(abs(grad[i]) / most) if most else 0.0),
        ]
        for i in largest
    ]
    hidden = {"shown": len(rows), "features": len(x)}
    notes = [say(lang, "features hidden", **hidden)] if len(rows) < len(x) else []
    return Step(say(lang, "each feature"), "", (say(lang, "feature"), "x", "∂loss/∂x", ""), rows, notes)
