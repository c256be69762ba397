"""The pipeline that turns the columns of a table into numbers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from softxent.app.tables.columns import Column


def feature_pipeline(columns: Sequence[Column]) -> Any:
    """Returns the pipeline that turns columns into numbers, not yet fitted.

    skrub's TableVectorizer gets the columns that are no numbers: fitted, it holds every step of each of its columns
    several times over, 26 MB for 64 of numbers.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler

    if columns[0].kind == "sparse":
        return MaxAbsScaler()
    of = {kind: [column.name for column in columns if column.kind == kind] for kind in ("number", "date", "text")}
    scaled = (StandardScaler(), SimpleImputer(add_indicator=True, keep_empty_features=True))
    parts = [("number", make_pipeline(*scaled), of["number"])]
    if of["date"] or of["text"]:
        from skrub import TableVectorizer

        parts.append(("date", make_pipeline(TableVectorizer(), *scaled), of["date"]))
        parts.append(("text", TableVectorizer(), of["text"]))
    return ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)


def fit_features(columns: Sequence[Column], X: Any) -> Any:
    """Fits the pipeline; columns of text that TableVectorizer takes for categories get that kind, and their values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of columns whose values are all in other rows
        made = feature_pipeline(columns).fit(X)
    for column in [column for column in columns if column.kind == "text"]:
        if made.named_transformers_["text"].column_to_kind_[column.name] == "low_cardinality":
            column.kind = "category"
            column.values = sorted(X[column.name].dropna().unique().tolist())
    return made
