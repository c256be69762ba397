"""Reports of real classifiers: 2 to 100 classes, one image a row, hostile names, both languages."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn import datasets
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from softxent.app.report import Content, Evaluation, TreatedColumn, shown, write
from softxent.app.words import Words

SCRIPT = "<script>document.title = 'hacked'</script>"
CURVES: dict[str, Any] = {
    "train_loss": [2.3, 0.9, 0.4, 0.09, 0.05],
    "val_loss": [2.2, 1.0, 0.5, 0.2, 0.3],
    "val_accuracy": [0.2, 0.71, 0.9, 0.96, 0.95],
    "kept": 4,
}


class Case(NamedTuple):
    lang: str
    classes: list[str]
    features: list[str]
    X: Any
    y: Any
    curves: dict[str, Any] = CURVES
    more: dict[str, object] = {}  # noqa: RUF012  features of all rows


def _hundred() -> Case:
    rng = np.random.default_rng(0)
    X, W = rng.normal(size=(1500, 8)), rng.normal(size=(100, 8))
    y = np.append((X @ W.T)[300:].argmax(axis=1), np.repeat(np.arange(100), 3))
    return Case("en", [f"class {k}" for k in range(100)], [f"x{k}" for k in range(8)], X, y)


def _hostile() -> Case:
    rng = np.random.default_rng(0)
    names = [
        SCRIPT,
        "Supercalifragilisticexpialidocious_disease_of_the_left_ventricle",
        "一个名字很长的类别",
        "C & A",
        "",
    ]
    more = {"review": 9 * f"{SCRIPT} 很长 ", "day": np.datetime64("2026-01-31"), "size": None}
    features = [SCRIPT, "a" * 200, '"><img src=x onerror="document.title=1">', "d"]
    return Case("en", names, features, rng.normal(size=(300, 4)), rng.integers(0, 5, 300), {"train_loss": [1.6]}, more)


def _bundled(lang: str, data: Any, classes: Sequence[object] = (), curves: dict[str, Any] = CURVES) -> Case:
    names = [str(name) for name in classes or data.target_names.tolist()]
    return Case(lang, names, list(data.feature_names), data.data, data.target, curves)


CASES = {
    "digits": _bundled("en", datasets.load_digits()),
    "wine": _bundled("zh", datasets.load_wine(), ["巴罗洛", "格里尼奥利诺", "巴贝拉"]),
    "breast_cancer": _bundled("zh", datasets.load_breast_cancer(), ["恶性", "良性"], curves={}),
    "hundred": _hundred(),
    "hostile": _hostile(),
}


def evaluated(case: Case) -> Evaluation:
    """Every third row is a test row."""
    test = np.arange(len(case.y)) % 3 == 0
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=300, tol=1e-3))
    model.fit(case.X[~test], case.y[~test])
    log_P = model.predict_log_proba(case.X[test])
    counts = np.bincount(case.y[~test], minlength=len(case.classes))
    return Evaluation.of(case.classes, case.y[test], log_P=log_P, class_counts=counts, rows=np.flatnonzero(test))


@cache
def contents(name: str) -> Content:
    case = CASES[name]
    evaluation = evaluated(case)
    scaled = Words("number", "数值"), Words("standardised", "标准化")
    return Content(
        name=f"{name}.csv",
        target=SCRIPT if name == "hostile" else "target",
        date="2026-01-31",
        evaluation=evaluation,
        notes=[Words(f"column {SCRIPT} is odd", f"列 {SCRIPT} 有些奇怪")] if name == "hostile" else [],
        examples=shown([dict(zip(case.features, case.X[e.row], strict=True)) | case.more for e in evaluation.worst]),
        columns=[TreatedColumn(feature, *scaled) for feature in case.features],
        facts=[(Words("model", "模型"), Words.of(f"{len(case.features)} → {len(case.classes)}"))],
        command=f"softxent train {name}.csv --target target",
        **case.curves,
    )


def written(folder: Path, name: str) -> Path:
    path = folder / f"{name}.html"
    write(path, contents(name), CASES[name].lang)
    return path
