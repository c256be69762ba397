"""softxent.load(folder): a model that `softxent train` saved, for use in Python."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.features import transformed
from softxent.app.prediction import Prediction
from softxent.app.run import Run, Unseen
from softxent.app.tables.memory import Frame, Matrix
from softxent.app.tables.rows import Source
from softxent.app.words import Mistake


def load(folder: str | os.PathLike[str]) -> Model:
    """Returns the model of a run folder, as `softxent train` saved it.

    Nothing in the folder is executed: a file with other types than our models have is refused. Errors: ValueError, in
    words, for a folder that is no run, is damaged, or was made by a newer version. It needs what the command needs.

    >>> model = softxent.load("runs/penguins")  # doctest: +SKIP
    >>> model.classes_  # doctest: +SKIP
    array(['Adelie', 'Chinstrap', 'Gentoo'], dtype='<U9')
    """
    return Model(Run.load(os.fspath(folder)))


class Explanation(Prediction):
    """A Prediction that prints as its story, and is shown as one in a notebook."""

    def __str__(self) -> str:
        from softxent.app.row_story import steps
        from softxent.explain.render import as_text

        return as_text(steps(self))

    def _repr_html_(self) -> str:
        from softxent.app.row_story import steps
        from softxent.explain.render import as_html

        return as_html(steps(self))


class Model:
    """A trained classifier; X is rows with the columns of the training table, by name and in any order.

    X may be a DataFrame of pandas or polars, a pyarrow.Table, a dict of columns, or a list of rows: dicts, or lists of
    values in the order of `columns`. Of a model of svmlight rows it is a SciPy sparse matrix or an array. Values are
    read as in a file: text as numbers or dates where training had these, and None, NaN or "" as missing.

    classes_   the labels, as in the table: int or str
    columns    the columns that the model reads
    pipeline   the fitted scikit-learn pipeline
    target     the column that it predicts
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.pipeline = run.model
        self.classes_ = run.labels
        self.target = run.schema.target
        self.columns = [column.name for column in run.schema.columns if column.used]

    def __repr__(self) -> str:
        schema = self._run.schema
        return f"<softxent model of {self.target!r} with {len(self.classes_)} classes, trained on {schema.data}>"

    def predict(self, X: Any) -> NDArray[Any]:
        """Returns the most probable class of each row."""
        return np.asarray(self.classes_[self.predict_log_proba(X).argmax(axis=1)])

    def predict_proba(self, X: Any) -> NDArray[Any]:
        """Returns p, rows × classes, in the order of `classes_`."""
        return np.asarray(np.exp(self.predict_log_proba(X)))

    def predict_log_proba(self, X: Any) -> NDArray[Any]:
        """Returns log p in nats; finite where p itself would round to 0. Warns of values that training did not have."""
        source, unseen = self._source("X", X), Unseen()
        parts = [self._run.log_proba(rows, unseen) for rows in source.batches()]
        for note in [*source.reading_notes(), *unseen.notes]:
            warnings.warn(str(note.say("en")), stacklevel=2)
        return np.concatenate(parts) if parts else np.empty((0, len(self.classes_)))

    def explain(self, row: Any, target: Any = None, *, temperature: float = 1.0) -> Explanation:
        """Explains the prediction for one row, as `softxent explain --model` does: print it, or show it in a notebook.

        row      a dict, a list of values, or a table of one row
        target   the class to explain, by default the row's label, or else the predicted class

        `.contributions` says how much each column adds to the log-odds; `.to_dict()` has every number.
        """
        values = isinstance(row, list | tuple | np.ndarray) and np.ndim(row[0] if len(row) else ()) == 0
        source = self._source("row", [row] if values and not isinstance(row[0], dict) else row)
        rows = source.read()
        if len(rows) != 1:
            raise Mistake("one row", got=len(rows))
        name = None if target is None else str(target)
        return Explanation.of(self._run, rows, name, data=source.path, temperature=temperature)

    def features(self, X: Any) -> Any:
        """Returns the features that the classifier sees, rows × features, as `pipeline[:-1]` makes them."""
        return transformed(self.pipeline[:-1], self._source("X", X).read().features(self._run.schema.columns))

    def onnx_inputs(self, X: Any) -> dict[str, Any]:
        """Returns what the model that `softxent export` writes takes for these rows: an array for each column."""
        from softxent.app.exporting import inputs

        return inputs(self._run, self._source("X", X).read().features(self._run.schema.columns))

    def _source(self, name: str, X: Any) -> Source:
        schema = self._run.schema
        if schema.columns[0].kind == "sparse":
            return Matrix(name, X)
        source = Frame(name, X, self.columns)
        schema.check(source)
        return source
