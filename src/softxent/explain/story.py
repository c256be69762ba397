"""A trace told in words, in English or Chinese: each step with its formula, its numbers and what they say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import Any

import numpy as np

from softxent.definition import Array
from softxent.explain.render import Cell, Step, cut
from softxent.explain.trace import DRAWS, SEED, H, LayerGradients, Trace
from softxent.words import language, say

CLASSES_SHOWN = 10
JACOBIAN_SHOWN = 5  # five columns of "[1.23e-300]" beside a name fill 80
LAYER_SHOWN = 4
VECTOR_SHOWN = 5
NAME_SHOWN = 10


def story(trace: Trace, lang: str | None = None, *, article: bool = False) -> list[Step]:
    """Returns the steps of a trace, told in words; `article` truncates numbers to three digits."""
    return _Story(trace, lang or language(), article).steps()


# Numbers ------------------------------------------------------------------------------------------------------------


def decimals(value: float, *, article: bool = False, tiny: int = 2) -> str:
    """Writes a number with six decimals, rounded, or three, truncated (article); with a power of ten where those fail.

    >>> decimals(0.86681333), decimals(-2.0611536e-9), decimals(-math.inf)
    ('0.866813', '−2.06e-09', '−∞')
    >>> decimals(0.86681333, article=True), decimals(-0.1331866, article=True), decimals(1.9999e-9, article=True)
    ('0.866', '−0.133', '1.99e-09')
    """
    if not math.isfinite(value):
        text = str(value).replace("inf", "∞")
    elif article and (value == 0 or 1e-3 <= abs(value) < 1e6):
        text = str(_truncated(value, 3) + 0)
    elif article:
        text = f"{float(_truncated(value, 2 - math.floor(math.log10(abs(value))))):.2e}"
    elif value == 0 or 1e-4 <= abs(value) < 1e6:
        text = f"{value + 0.0:.6f}"  # −0 + 0 = 0
    else:
        text = f"{value:.{tiny}e}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def probabilities(p: Array, *, article: bool = False) -> list[str]:
    """Writes probabilities as `decimals` does, but one close to 1 with as many digits as 1 − p needs.

    >>> probabilities(np.array([0.25, 0.75])), probabilities(np.array([8.014e-08, 1 - 8.014e-08]))
    (['0.250000', '0.750000'], ['8.01e-08', '0.9999999199'])
    >>> probabilities(np.array([1.0, 2.0611536e-17])), probabilities(np.array([1.0, 0.0]))
    (['(1 − 2.06e-17)', '2.06e-17'], ['1.000000', '0.000000'])
    """
    texts = [decimals(value, article=article) for value in p]
    for j in np.flatnonzero(p > 0.5)[:1].tolist():
        rest = float(np.delete(p, j).sum())  # 1 − p_j would cancel
        if 0 < rest < 1e-13:
            texts[j] = f"(1 − {decimals(rest, article=article)})"
        elif 0 < rest < (1e-3 if article else 1e-4):
            digits = 2 - math.floor(math.log10(rest))
            texts[j] = str(_truncated(p[j], digits)) if article else f"{p[j]:.{digits}f}"
    return texts


def _truncated(value: float, decimals: int) -> Decimal:
    with localcontext(prec=400):  # digits of the largest float64
        return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), ROUND_DOWN)


def brief(value: float, *, article: bool = False) -> str:
    """Writes a number as short as a user would type it, truncated where that takes more than three decimals (article).

    >>> brief(5.0), brief(-0.25), brief(-math.inf), brief(-0.25, article=True), brief(11.3979, article=True)
    ('5', '−0.25', '−∞', '−0.25', '11.397')
    """
    text = f"{value + 0.0:.6g}".replace("inf", "∞")
    if article and (len(text.partition(".")[2]) > 3 or "e-" in text):
        return decimals(value, article=True)
    return "−" + text[1:] if text.startswith("-") else text


def told_apart(one: float, other: float, write: Callable[[float], str] = brief) -> tuple[str, str]:
    """Writes two numbers with as many digits as tell them apart.

    >>> told_apart(0.25, 0.5), told_apart(1.00000001, 1.0)
    (('0.25', '0.5'), ('1.00000001', '1'))
    """
    if write(one) != write(other) or one == other:
        return write(one), write(other)
    digits = next((k for k in range(7, 17) if f"{one:.{k}g}" != f"{other:.{k}g}"), 17)
    return f"{one:.{digits}g}".replace("-", "−", 1), f"{other:.{digits}g}".replace("-", "−", 1)


# The story ----------------------------------------------------------------------------------------------------------


class _Story:
    def __init__(self, trace: Trace, lang: str, article: bool) -> None:
        self.trace, self.lang, self.article = trace, lang, article
        self.tempered = trace.temperature != 1
        self.s = "s" if self.tempered else "z"  # without a temperature the scores are z
        self.shown = _most_probable(trace, CLASSES_SHOWN)
        self.p = probabilities(trace.p, article=article)

    def steps(self) -> list[Step]:
        layer = self.trace.layer
        first = [self.opening(), *([self.layer(layer)] if layer else []), self.softmax()]
        if not self.trace.defined:
            return first
        then = [self.sampling(), self.loss(), self.jacobian(), self.chain_rule(), self.check(), self.step()]
        return [*first, *then, *([self.layer_gradients(layer)] if layer else [])]

    def opening(self) -> Step:
        t = self.trace
        name, classes = t.labels[t.target], len(t.p)
        notes = [self.say("truncated")] if self.article else []
        if len(self.shown) < classes:
            notes.append(self.say("classes hidden", hidden=classes - len(self.shown), classes=classes))
        if not t.target_given:
            notes.append(self.say("target assumed"))
        phrase = "story" if name == str(t.target) else "story of names"
        return Step(self.say(phrase, classes=classes, target=cut(name, 40)), notes=notes)

    def layer(self, layer: LayerGradients) -> Step:
        classes, features = layer.W.shape
        notes = [f"x = {_vector(layer.x, self.brief)}", f"b = {_vector(layer.b, self.brief)}"]
        notes.append(self.say("layer shape", classes=classes, features=features))
        return Step(self.say("layer"), f"{self.s} = W x + b", notes=notes)

    def softmax(self) -> Step:
        t = self.trace
        formula = "p_j = exp(z_j − m) / Σ_k exp(z_k − m)"
        columns = [
            (self.say("score", s=self.s), t.scores, "score"),
            ("z − m", t.shifted, "score"),
            ("exp(z − m)", t.exp, ""),
            ("p", self.p, "strong"),
            ("", t.p, "bar"),
        ]
        if self.tempered:
            formula = f"T = {brief(t.temperature)},  z = s / T,  {formula}"
            columns.insert(1, ("z = s / T", t.scaled, "score"))
        head, rows = self.table(*columns)
        if not t.defined:
            return Step(self.say("softmax"), formula, head, rows, [self.say("undefined")])
        blank = [""] * (len(columns) - 3)
        rows.append([Cell(text, "total") for text in ("  Σ", *blank, self.decimals(t.sum), self.decimals(1.0), "")])
        notes = [self.say("shift", m=self.brief(t.max))]
        notes += [self.say("masked")] if np.isneginf(t.scaled).any() else []
        notes += [f"p = [{', '.join(self.p)}]"] if len(t.p) <= VECTOR_SHOWN else []
        return Step(self.say("softmax"), formula, head, rows, notes)

    def sampling(self) -> Step:
        t = self.trace
        drawn = np.array(t.draws)
        head, rows = self.table(
            (self.say("hard max"), [str(int(i == t.hard_max)) for i in range(len(t.p))], ""),
            (self.say("soft max"), self.p, "strong"),
            (self.say("draws"), list(map(str, t.draws)), ""),
            ("", drawn / DRAWS, "bar"),
        )
        notes = self.say("sampling note", draws=DRAWS, seed=SEED).split("\n")
        return Step(self.say("sampling"), "", head, rows, notes)

    def loss(self) -> Step:
        t = self.trace
        formula = f"−ln p_y = −ln {self.p[t.target]} = {self.decimals(t.loss, 6)} {self.say('nats')}"
        return Step(self.say("loss"), formula, notes=[self.say("loss masked")] if t.loss == math.inf else [])

    def jacobian(self) -> Step:
        t, y = self.trace, self.trace.target
        shown = _most_probable(t, JACOBIAN_SHOWN)
        names = {i: cut(t.labels[i], 6) for i in shown}

        def entry(j: int, i: int) -> Cell:
            value = self.decimals(t.jacobian[j, i])
            return Cell(f"[{value}]", "diagonal") if i == j else Cell(f"{value} ")

        head = ("∂p_j/∂z_i", *(f"i = {names[i]}" for i in shown))
        rows = [[self.mark(j, f"j = {names[j]}"), *(entry(j, i) for i in shown)] for j in shown]
        p_y = self.p[y]
        notes = [f"i = j   {p_y} × (1 − {p_y}) = {self.decimals(t.jacobian[y, y])}"]
        for i in [i for i in shown if i != y][:1]:
            notes.append(f"i ≠ j   −{p_y} × {self.p[i]} = {self.decimals(t.jacobian[y, i])}")
        notes.append(self.say("jacobian marks"))
        if len(shown) < len(t.p):
            notes.append(self.say("jacobian hidden", shown=len(shown), classes=len(t.p)))
        return Step(self.say("jacobian"), self.say("jacobian formula"), head, rows, notes)

    def chain_rule(self) -> Step:
        t, y = self.trace, self.trace.target
        by = " · 1/T" if self.tempered else ""
        formula = f"∂loss/∂{self.s}_i = ∂loss/∂p_y · ∂p_y/∂z_i{by} = −1/p_y · ∂p_y/∂z_i{by}"
        columns = [
            ("∂p_y/∂z_i", t.jacobian[y], ""),
            ("× (−1/p_y)", t.chain_rule, ""),
            ("p_i − y_i", [f"{p} − {int(i == y)}" for i, p in enumerate(self.p)], "strong"),
        ]
        if self.tempered:
            columns.append(("(p_i − y_i) / T", t.gradient, "strong"))
        head, rows = self.table(*columns)
        p_y = float(t.p[y])
        notes = [self.say("chain note", factor=self.decimals(-1 / p_y)) if p_y else self.say("chain by zero")]
        notes += [f"{self.say('gradient')} = {self.gradient()}"] if len(t.p) <= VECTOR_SHOWN else []
        return Step(self.say("chain rule"), formula, head, rows, notes)

    def gradient(self) -> str:
        """Writes the gradient; in article style p_y − 1 stays a difference: [0.015, 0.866 − 1, 0.117]."""
        t = self.trace
        if not self.article or self.tempered:
            return _vector(t.gradient, self.decimals)
        return "[" + ", ".join(p + " − 1" * (i == t.target) for i, p in enumerate(self.p)) + "]"

    def check(self) -> Step:
        t, s = self.trace, self.s
        apart = np.abs(t.finite_difference - t.gradient)
        head, rows = self.table(
            (f"∂loss/∂{s}_i", t.gradient, "strong"),
            (self.say("finite difference"), t.finite_difference, ""),
            (self.say("difference"), [decimals(value, tiny=1) for value in apart], ""),
        )
        h, known = brief(H * t.temperature), apart[np.isfinite(apart)]
        worst = decimals(max(known, default=0.0), tiny=1)
        notes = [self.say("largest difference", h=h, worst=worst) if len(known) else self.say("no check")]
        notes += [self.say("unmoved", h=h)] if 0 < len(known) < len(apart) else []
        return Step(self.say("check"), f"(loss({s}_i + h) − loss({s}_i − h)) / 2h", head, rows, notes)

    def step(self) -> Step:
        t, s = self.trace, self.s
        head, rows = self.table(
            (self.say("score", s=s), t.scores, "score"),
            (self.say("score after", s=s), t.scores_after, ""),
            (self.say("before"), self.p, ""),
            (self.say("after"), probabilities(t.p_after, article=self.article), "strong"),
            ("", t.p_after, "bar"),
        )
        phrase = "loss fell" if t.loss_after < t.loss < math.inf else "loss stayed"
        before, after = told_apart(t.loss, t.loss_after, lambda loss: self.decimals(loss, 6))
        values = {"before": before, "after": after}
        note = self.say(phrase, **values, fall=self.decimals(t.loss - t.loss_after))
        rate = f"η = T² = {brief(t.learning_rate)}" if self.tempered else "η = 1"
        return Step(self.say("step"), f"{s} ← {s} − η · ∂loss/∂{s},  {rate}", head, rows, [note])

    def layer_gradients(self, layer: LayerGradients) -> Step:
        classes, features = layer.W.shape
        columns = min(features, LAYER_SHOWN)
        _, rows = self.table(*(("", layer.grad_W[:, d], "") for d in range(columns)), ("", layer.grad_b, "strong"))
        last = ("∂loss/∂x", *(self.decimals(value) for value in layer.grad_x[:columns]), "")
        rows.append([Cell(text, "total") for text in last])
        head = ("∂loss/∂W", *(f"x_{d}" for d in range(columns)), "∂loss/∂b")
        size = {"rows": len(self.shown), "columns": columns, "classes": classes, "features": features}
        notes = [self.say("layer hidden", **size)] if (len(self.shown), columns) < (classes, features) else []
        formula = f"g = ∂loss/∂{self.s}:  ∂loss/∂W = g xᵀ,  ∂loss/∂b = g,  ∂loss/∂x = Wᵀ g"
        return Step(self.say("layer gradients"), formula, head, rows, notes)

    # What the steps are made of

    def say(self, phrase: str, **values: object) -> str:
        return say(self.lang, phrase, **values)

    def decimals(self, value: float, tiny: int = 2) -> str:
        return decimals(value, article=self.article, tiny=tiny)

    def brief(self, value: float) -> str:
        return brief(value, article=self.article)

    def mark(self, i: int, name: str) -> Cell:
        return Cell("▸ " + name, "target") if i == self.trace.target else Cell("  " + name)

    def table(self, *columns: tuple[str, Any, str]) -> tuple[tuple[str, ...], list[Sequence[Cell]]]:
        """Returns head and rows of a table with a row for each class; a column is (head, values, role)."""
        head = (self.say("class"), *(title for title, _, _ in columns))
        rows: list[Sequence[Cell]] = [
            [
                self.mark(i, cut(self.trace.labels[i], NAME_SHOWN)),
                *(self.cell(values[i], role) for _, values, role in columns),
            ]
            for i in self.shown
        ]
        return head, rows

    def cell(self, value: Any, role: str) -> Cell:
        if role == "bar":
            return Cell("", role, float(value))
        if isinstance(value, str):
            return Cell(value, role)
        return Cell(self.brief(value) if role == "score" else self.decimals(value), role)


def _most_probable(trace: Trace, most: int) -> list[int]:
    """Picks the target, the hard max and the most probable classes, `most` in all, in ascending order."""
    rank = np.nan_to_num(-trace.p)
    rank[trace.hard_max] = -2
    rank[trace.target] = -3
    return sorted(rank.argsort(kind="stable")[:most].tolist())


def _vector(values: Array, write: Callable[[float], str]) -> str:
    return "[" + ", ".join(map(write, values[:VECTOR_SHOWN])) + (", …]" if len(values) > VECTOR_SHOWN else "]")
