"""Which column of the table each feature of a fitted pipeline comes from, and what a feature is on average."""

from __future__ import annotations

from typing import Any

import numpy as np

MARK = "missingindicator_"  # scikit-learn's, in front of a feature's name
ROWS = 10_000  # to take the mean of; more change none of the digits that are shown


def owners(features: Any) -> list[str]:
    """Returns the column that each feature is made from; a sparse feature is its own."""
    names = [str(name) for name in features.get_feature_names_out()]
    made: dict[str, str] = {}
    for _, step, columns in getattr(features, "transformers_", ()):
        if step == "drop":
            continue
        encoder = step[0] if hasattr(step, "steps") else step
        outputs = getattr(encoder, "input_to_outputs_", None) or {column: [column] for column in columns}
        made |= {str(output): str(column) for column in outputs for output in outputs[column]}
    return [made.get(name) or made.get(name.removeprefix(MARK), name) for name in names]


def means(features: Any, X: Any) -> list[float]:
    """Returns the mean of each feature over the training rows; none of sparse ones, most of which are 0."""
    if not hasattr(X, "iloc"):
        return []
    some = X.iloc[np.linspace(0, len(X) - 1, min(len(X), ROWS)).astype(int)]
    return [float(mean) for mean in features.transform(some).astype(np.float64).mean(axis=0)]
