"""The pipeline that turns the columns of a table into numbers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from softxent.app.tables.columns import Column


def feature_pipeline(columns: Sequence[Column], seed: int) -> Any:
    """Returns the pipeline that turns columns into numbers, not yet fitted; `seed` is that of text's SVD.

    skrub's TableVectorizer gets the columns that are no numbers: fitted, it holds every step of each of its columns
    several times over, 26 MB for 64 of numbers.
    """
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MaxAbsScaler, StandardScaler

    if columns[0].kind == "sparse":
        return MaxAbsScaler()
    of = {kind: [column.name for column in columns if column.kind == kind] for kind in ("number", "date")}
    texts = [column for column in columns if column.kind in ("category", "text")]
    of["text"] = [column.name for column in texts if not column.asked]
    asked = {kind: [each.name for each in texts if each.asked and each.kind == kind] for kind in ("category", "text")}
    scaled = (StandardScaler(), SimpleImputer(add_indicator=True, keep_empty_features=True))
    parts = [("number", make_pipeline(*scaled), of["number"])]
    if of["date"] or texts:
        from skrub import StringEncoder, TableVectorizer

        encoder = StringEncoder(random_state=seed)
        parts.append(("date", make_pipeline(TableVectorizer(), *scaled), of["date"]))
        parts.append(("text", TableVectorizer(high_cardinality=encoder), of["text"]))
        parts.append(("categories as asked", TableVectorizer(cardinality_threshold=sys.maxsize), asked["category"]))
        parts.append(
            ("texts as asked", TableVectorizer(cardinality_threshold=0, high_cardinality=encoder), asked["text"])
        )
    return ColumnTransformer([part for part in parts if part[2]], verbose_feature_names_out=False)


def fitted_features(columns: Sequence[Column], X: Any, seed: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of columns whose values are all in other rows
        return feature_pipeline(columns, seed).fit(X)


def transformed(features: Any, X: Any) -> Any:
    """Returns the features of rows; of a category that training did not have, all are 0."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of such categories: the command says it in its own words
        return features.transform(X)


def dense(x: Any) -> Any:
    """Returns features as an array, sparse ones too."""
    return x.toarray() if hasattr(x, "toarray") else np.asarray(x)


def fit_features(columns: Sequence[Column], X: Any, seed: int) -> Any:
    """Fits the pipeline; columns of text that TableVectorizer takes for categories get that kind, and their values."""
    made = fitted_features(columns, X, seed)
    for column in [column for column in columns if column.kind in ("category", "text")]:
        if column.asked:
            is_category = column.kind == "category"
        else:
            is_category = made.named_transformers_["text"].column_to_kind_[column.name] == "low_cardinality"
        column.kind = "category" if is_category else "text"
        column.values = sorted(X[column.name].dropna().unique().tolist()) if is_category else []
    return made
