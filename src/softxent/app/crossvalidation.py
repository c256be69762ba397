"""Cross-validation: every row is predicted by a model that has not seen it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from softxent.app.run import log_proba
from softxent.app.selection import OnStep
from softxent.app.settings import Settings
from softxent.app.splits import Files, fold_splits
from softxent.app.task import Task
from softxent.app.training import fit, tested

if TYPE_CHECKING:
    from softxent.app.report import Evaluation
    from softxent.app.report.scores import Scores


def cross_validate(
    task: Task, settings: Settings, k: int, files: Files, on_epoch: Callable[[Any], None], on_step: OnStep
) -> tuple[Evaluation, list[Scores]]:
    """Returns the evaluation of all rows, each predicted by its fold's model, and the scores of each fold.

    The baseline of all rows predicts their own frequencies.
    """
    from softxent.app.report import Evaluation

    classes, scores, parts = list(map(str, task.classes)), [], []
    for split in fold_splits(task, settings, k, files):
        fitted = fit(split, settings, on_epoch, on_step)
        log_P = log_proba(fitted.model, split.test.X)
        facts = tested(split)
        scores.append(Evaluation.of(split.schema.classes, log_P=log_P, **facts).scores)
        wide = np.full((len(log_P), len(classes)), -np.inf, log_P.dtype)
        wide[:, np.searchsorted(task.classes, fitted.classifier.classes_)] = log_P
        parts.append((np.searchsorted(task.classes, split.test.y), wide, split.test.rows, split.test.weight))
    y, log_P, rows = (np.concatenate(of) for of in list(zip(*parts, strict=True))[:3])
    all_y = np.searchsorted(task.classes, task.rows.y)
    weights = task.rows.weight
    order = np.argsort(rows)
    pooled = Evaluation.of(
        classes,
        y[order],
        log_P=log_P[order],
        class_counts=np.bincount(all_y),
        rows=rows[order],
        weight=None if weights is None else np.concatenate([part[3] for part in parts])[order],
        frequency=() if weights is None else np.bincount(all_y, weights),
    )
    return pooled, scores
