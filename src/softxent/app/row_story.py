"""The explanation of a row in words, as steps of a story: what pushed the prediction comes first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from softxent.app.prediction import Prediction, json_value
from softxent.app.words import language, say
from softxent.explain.render import Cell, Step, cut
from softxent.explain.story import brief, decimals, probabilities, story

COLUMNS_SHOWN = 12
FEATURES_SHOWN = 12
PUSHES_SHOWN = 8
NAME = 32


def steps(prediction: Prediction, lang: str | None = None, *, article: bool = False) -> list[Step]:
    """Returns the steps of the story: what pushed it, the row, then its scores, then the way back to its features."""
    teller = _Teller(prediction, lang or language(), article)
    first, *others = story(prediction.trace, teller.lang, article=article)
    notes = [*first.notes, *teller.opening()]
    row = [teller.row()] if prediction.columns else []
    layers = [teller.layers()] if len(prediction.hidden) > 1 else []
    return [replace(first, notes=notes), teller.pushes(), *row, *others, *layers, teller.features()]


class _Teller:
    def __init__(self, prediction: Prediction, lang: str, article: bool) -> None:
        self.prediction, self.lang, self.article = prediction, lang, article

    def say(self, phrase: str, **values: object) -> str:
        return say(self.lang, phrase, **values)

    def decimals(self, value: float) -> str:
        return decimals(value, article=self.article)

    def opening(self) -> list[str]:
        told, trace = self.prediction, self.prediction.trace
        p = probabilities(trace.p, article=self.article)[trace.hard_max]
        notes = [self.say("row story", row=told.row, name=told.data)]
        notes.append(self.say("row predicted", predicted=cut(trace.labels[trace.hard_max], 40), p=p))
        if told.label is not None:
            notes.append(self.say("row label", label=cut(told.label, 40)))
        phrase = "hidden layers" if len(told.hidden) > 1 else "features are x"
        return [*notes, self.say(phrase, units=len(told.hidden[-1]), features=len(told.features))]

    def pushes(self) -> Step:
        pushed = self.prediction.contributions
        a, b = cut(pushed.predicted, 24), cut(pushed.against, 24)
        shown, hidden = pushed.columns[:PUSHES_SHOWN], pushed.columns[PUSHES_SHOWN:]
        most = max((abs(each.contribution) for each in shown), default=0) or 1
        rows = [self.push(cut(each.column, NAME), value_text(each.value), each.contribution, most) for each in shown]
        if hidden:
            others = self.say("other columns", count=len(hidden))
            rows.append(self.push(others, "", sum(each.contribution for each in hidden), most))
        rows.append(self.push(self.say("average row"), "", pushed.average_row, most))
        total = ("  Σ", "", self.signed(pushed.log_odds), "")
        rows.append([Cell(text, "total") for text in total])
        head = (self.say("column"), self.say("value"), self.say("pushes by"), "")
        notes = self.say(pushed.method).split("\n")
        return Step(self.say("what pushed"), f"ln(p_a / p_b) = z_a − z_b,  a = {a},  b = {b}", head, rows, notes)

    def push(self, name: str, value: str, contribution: float, most: float) -> Sequence[Cell]:
        share = min(abs(contribution) / most, 1.0)
        return [Cell(name), Cell(value), Cell(self.signed(contribution), "strong"), Cell("", "bar", share)]

    def signed(self, value: float) -> str:
        return ("+" if value > 0 else "") + self.decimals(value)

    def row(self) -> Step:
        columns = self.prediction.columns
        names = list(columns)
        rows = [[Cell(cut(name, NAME)), Cell(value_text(columns[name]))] for name in names[:COLUMNS_SHOWN]]
        hidden = len(names) > len(rows)
        notes = [self.say("columns hidden", shown=COLUMNS_SHOWN, columns=len(names))] if hidden else []
        return Step(self.say("the row"), "", (self.say("column"), self.say("value")), rows, notes)

    def layers(self) -> Step:
        told = self.prediction
        head = (self.say("layer of units"), self.say("units"), self.say("active"), "max |∂loss/∂h|")
        rows: list[Sequence[Cell]] = []
        for k in reversed(range(1, len(told.hidden))):
            h, grad = told.hidden[k], told.gradients[k]
            active, most = int((h > 0).sum()), self.decimals(abs(grad).max())
            cells = (self.say("hidden layer", k=k), str(len(h)), str(active), most)
            rows.append([Cell(text) for text in cells])
        formula = "∂loss/∂h_k−1 = δ·W_kᵀ,  δ ← ∂loss/∂h_k−1 ∘ σ′(a_k−1)"
        return Step(self.say("through layers"), formula, head, rows)

    def features(self) -> Step:
        told = self.prediction
        x, grad = told.hidden[0], told.gradients[0]
        largest = np.argsort(-abs(grad), kind="stable")[:FEATURES_SHOWN]
        most = abs(grad).max(initial=0)
        rows = [
            [
                Cell(cut(told.features[i], NAME)),
                Cell(self.decimals(x[i])),
                Cell(self.decimals(grad[i]), "strong"),
                Cell("", "bar", float(abs(grad[i]) / most) if most else 0.0),
            ]
            for i in largest
        ]
        hidden = {"shown": len(rows), "features": len(x)}
        notes = [self.say("features hidden", **hidden)] if len(rows) < len(x) else []
        return Step(self.say("each feature"), "", (self.say("feature"), "x", "∂loss/∂x", ""), rows, notes)


def value_text(value: Any) -> str:
    plain = json_value(value)
    return "–" if plain is None else brief(plain) if isinstance(plain, float | int) else cut(plain, 36)
