"""A run as an ONNX model: the columns of the table in, by name, and the label and the probabilities out.

What comes in is what `softxent` has once it has read a table: numbers as float64, NaN where missing; dates as int64
microseconds since 1970, the smallest int64 where missing; categories and text as strings, "" where missing.
`softxent.load(run).onnx_inputs(X)` makes these.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import numpy as np

from softxent.app.exporting import columns
from softxent.app.exporting.graph import MICROSOFT, Graph
from softxent.app.features import dense
from softxent.app.run import Run

__all__ = ["MICROSOFT", "converted", "inputs"]

ACTIVATIONS = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid"}


def converted(run: Run) -> tuple[Any, set[str]]:
    """Returns the ONNX model, and the domains of the operators that it has beyond ONNX's own."""
    graph = Graph()
    x = _features(graph, run)
    classifier = run.model[-1]
    layers = list(zip(classifier.coefs_, classifier.intercepts_, strict=True))
    for k, (W, b) in enumerate(layers):
        x = graph.add("Add", graph.add("MatMul", x, graph.constant(W, np.float64)), graph.constant(b, np.float64))
        x = graph.add(ACTIVATIONS[classifier.activation], x) if k < len(layers) - 1 else x
    labels = run.labels
    kind = "int64" if labels.dtype.kind == "i" else "string"
    best = graph.add("ArgMax", x, axis=1, keepdims=0)
    graph.output(graph.add("Gather", graph.constant(labels), best), "label", kind)
    graph.output(graph.add("Softmax", x, axis=1), "probabilities", "double", len(labels))
    metadata = {"target": run.schema.target, "classes": "\n".join(run.schema.classes), "data": run.schema.data}
    return graph.model("softxent", metadata, version("softxent")), set(graph.domains) - {"", "ai.onnx.ml"}


def _features(graph: Graph, run: Run) -> str:
    made = run.model[0]
    if not hasattr(made, "transformers_"):  # of sparse rows
        X = graph.input("X", "double", len(made.scale_))
        return graph.add("Div", X, graph.constant(made.scale_, np.float64))
    blocks = []
    for name, step, names in made.transformers_:
        if name == "number":
            blocks.append(columns.numbers(graph, list(names), list(names), step))
        elif name == "date":
            blocks.append(columns.dates(graph, list(names), step))
        elif name == "text":
            blocks += [_words(graph, column, step.all_processing_steps_[column]) for column in names]
    order = [str(name) for name in made.get_feature_names_out()]
    return columns.ordered(graph, [block for block in blocks if block.names], order).tensor


def _words(graph: Graph, column: str, steps: Any) -> columns.Block:
    for step in steps:
        if hasattr(step, "categories_"):
            return columns.category(graph, column, step)
        if hasattr(step, "vectorizer_"):
            return columns.text(graph, column, step)
    graph.input(column, "string")  # dropped by the pipeline: nothing is made of it
    return columns.Block("", [])


def inputs(run: Run, X: Any) -> dict[str, Any]:
    """Returns what the ONNX model takes for rows as the pipeline takes them."""
    if not hasattr(X, "iloc"):
        return {"X": dense(X).astype(np.float64)}
    kinds = {column.name: column.kind for column in run.schema.columns}
    found = {}
    for name in X.columns:
        if kinds[name] == "number":
            found[name] = X[name].to_numpy(np.float64)
        elif kinds[name] == "date":
            found[name] = X[name].to_numpy("datetime64[us]").astype(np.int64)
        else:
            found[name] = X[name].astype(object).where(X[name].notna(), "").to_numpy(object)
    return found
