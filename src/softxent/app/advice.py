"""Notes for the user: a column that gives the answer away, rows that train and test, a target that is a quantity, a
model that has learned nothing. Each is a Phrase, and computed in bounded time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.run import LabelledRows, log_proba
from softxent.app.tables.columns import Column
from softxent.app.tables.rows import listed, row_hashes
from softxent.app.words import Phrase

if TYPE_CHECKING:
    from softxent.app.report import Evaluation

SAMPLE = 4000  # rows that a column is judged by
BINS, BIN_ROWS = 64, 16  # of a number, in the first look at it: bins at most, and rows in each
PROMISING = 0.9  # accuracy by bins from which a number gets a closer look: a threshold falls within a bin
DECISIVE = 0.99  # accuracy of one column alone that no honest one of scikit-learn's and vega_datasets' tables reaches
LEAST = 20  # rows that such an accuracy is taken from
CELLS = 2 * 10**7  # of a table whose rows are compared
MANY = 20  # classes; a target of more numbers than this is a quantity, if they are no codes
LEARNT = 0.99  # of the loss of class frequencies: a model that is no better has learned nothing
CODE_ROWS = 5  # rows that each of the codes 0, 1, 2 … has

Array = NDArray[Any]


# The table ----------------------------------------------------------------------------------------------------------


def single_examples(classes: Array, counts: Array) -> list[Phrase]:
    """Says which classes have one example: in one note, however many they are."""
    names = [repr(str(name)) for name in classes[counts == 1]]
    if len(names) < 2:
        return [Phrase("single example", name=name) for name in names]
    return [Phrase("single examples", classes=len(names), names=listed(names))]


def identifiers(columns: Sequence[Column]) -> list[Phrase]:
    """Says which columns differ in every row: in one note, however many they are."""
    names = [column.name for column in columns if column.identifier]
    if len(names) < 2:
        return [Phrase("identifier", name=name) for name in names]
    return [Phrase("identifiers", names=listed(names), drop=",".join(names))]


def is_quantity(classes: Array, counts: Array) -> bool:
    """Whether the classes are many numbers that are not the codes 0, 1, 2 … or 1, 2, 3 …, with several rows each."""
    if len(classes) <= MANY:
        return False
    try:
        numbers = np.sort(classes.astype(np.float64))
    except ValueError:
        return False
    codes = numbers[0] in (0, 1) and (np.diff(numbers) == 1).all() and counts.min() >= CODE_ROWS
    return not codes


# A split ------------------------------------------------------------------------------------------------------------


def leaks(train: LabelledRows, target: str) -> list[Phrase]:
    """Names the columns that tell the class in nearly all training rows, each alone."""
    if not hasattr(train.X, "columns"):  # sparse
        return []
    rows = train[np.linspace(0, len(train) - 1, min(len(train), SAMPLE)).astype(int)]
    classes, y = np.unique(rows.y, return_inverse=True)
    same, decisive = [], {}
    for name in rows.X.columns:
        codes, values = coded(rows.X[name])
        if len(np.unique(codes)) == len(classes) == len(np.unique(np.stack([codes, y]), axis=1).T):
            same.append(name)
        elif (share := accuracy_alone(codes, values, y)) is not None:
            decisive[name] = share
    notes = [Phrase("same as target", name=repr(name), target=repr(target), drop=name) for name in same]
    notes += [
        Phrase("decisive alone", name=repr(name), target=repr(target), share=f"{share:.1%}", drop=name)
        for name, share in decisive.items()
    ]
    if len(notes) > 3:
        names = [*same, *decisive]
        return [Phrase("many leaks", columns=len(names), names=listed(names), target=repr(target))]
    return notes


def coded(values: Any) -> tuple[Array, Array | None]:
    """Returns a code for each value, of many numbers that of a bin, and the numbers themselves; −1 is missing."""
    if values.dtype.name == "category":
        return values.cat.codes.to_numpy(), None
    missing = values.isna().to_numpy()
    numbers = values.to_numpy().astype("datetime64[us]") if values.dtype.kind == "M" else values.to_numpy()
    numbers = np.where(missing, 0, numbers.astype(np.float64))
    edges = np.unique(numbers)
    bins = min(BINS, max(len(numbers) // BIN_ROWS, 2))
    if len(edges) > bins:
        edges = np.unique(np.quantile(numbers, np.linspace(0, 1, bins + 1)[1:-1]))
    return np.where(missing, -1, np.searchsorted(edges, numbers)), np.stack([numbers, missing], axis=1)


def accuracy_alone(codes: Array, values: Array | None, y: Array) -> float | None:
    """Returns how often the column alone tells the class, in rows that did not teach it, if nearly always.

    A value that only the rows have that it is tested on tells nothing: else an identifier would tell all.
    """
    learn, test = slice(0, None, 2), slice(1, None, 2)
    counts = np.zeros((int(codes.max()) + 2, int(y.max()) + 1), np.int64)
    np.add.at(counts, (codes[learn] + 1, y[learn]), 1)
    told = np.where(counts.any(axis=1), counts.argmax(axis=1), -1)
    accuracy = float((told[codes[test] + 1] == y[test]).mean()) if len(y) > 1 else 0.0
    if len(y) // 2 < LEAST or accuracy < PROMISING:
        return None
    if values is not None:
        from sklearn.tree import DecisionTreeClassifier

        tree = DecisionTreeClassifier(max_leaf_nodes=2 * counts.shape[1], random_state=0).fit(values[learn], y[learn])
        accuracy = max(accuracy, float(tree.score(values[test], y[test])))
    guessed = np.bincount(y[test]).max() / len(y[test])
    return accuracy if accuracy >= DECISIVE and 1 - accuracy <= (1 - guessed) / 10 else None


def duplicates(train: LabelledRows, test: LabelledRows, columns: Sequence[Column]) -> list[Phrase]:
    """Counts the test rows that are equal to a training row in every column and the label.

    Where all columns have few values, rows are equal by chance, and nothing is said.
    """
    if not len(test) or not hasattr(train.X, "columns") or (len(train) + len(test)) * train.X.shape[1] > CELLS:
        return []
    possible = sum(np.log10(max(column.distinct, 1)) for column in columns if column.used)
    if possible < 3 + np.log10(len(train)):
        return []
    hashes = (row_hashes(rows.X.assign(**{"\0label": rows.y})) for rows in (test, train))
    same = int(np.isin(next(hashes), next(hashes)).sum())
    return [Phrase("duplicates", rows=same, of=len(test))] if same else []


# A model ------------------------------------------------------------------------------------------------------------


def of_fit(train: LabelledRows, model: Any, lr: float | None) -> list[Phrase]:
    """Says so if the model knows no more of the rows that trained it than how frequent each class is."""
    rows = train[np.linspace(0, len(train) - 1, min(len(train), SAMPLE)).astype(int)]
    log_p, y = log_proba(model, rows.X), np.searchsorted(model.classes_, rows.y)
    weight = row_weights(rows, y, model[-1])
    counts = np.bincount(y, weight)
    share = counts[counts > 0] / counts.sum()
    loss = float(np.average(-log_p[np.arange(len(y)), y].astype(np.float64), weights=weight))
    baseline = float(-(share * np.log(share)).sum())
    if loss < LEARNT * baseline:
        return []
    right, guess = np.average(log_p.argmax(axis=1) == y, weights=weight), share.max()
    what = Phrase("probabilities worth nothing" if right > guess else "knows nothing")
    remedy = Phrase("no remedy") if lr is None else Phrase("lower lr", lr=f"{lr:g}")
    told = {"loss": f"{loss:.4g}", "baseline": f"{baseline:.4g}", "right": f"{right:.1%}", "guess": f"{guess:.1%}"}
    return [Phrase("learned nothing", what=what, remedy=remedy, **told)]


def row_weights(rows: LabelledRows, y: Array, classifier: Any) -> Array:
    """Returns how much each row counts in the loss that was minimised."""
    weight = np.ones(len(y)) if rows.weight is None else rows.weight
    if classifier.class_weight == "balanced":
        return np.asarray(weight / np.bincount(y, weight)[y])
    of_class = classifier.class_weight or {}
    return np.asarray(weight * np.array([of_class.get(name, 1.0) for name in classifier.classes_])[y])


def of_scores(evaluation: Evaluation) -> list[Phrase]:
    """Says so if the probabilities are worth no more than the class frequencies."""
    ours, theirs = evaluation.scores.log_loss, evaluation.baseline.log_loss
    return [] if ours < theirs else [Phrase("not below baseline", loss=f"{ours:.4f}", baseline=f"{theirs:.4f}")]
