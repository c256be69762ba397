"""A trace told in words: titles, formulas and tables, in English or Chinese, as plain text or HTML."""

from __future__ import annotations

import html
import math
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal, localcontext
from typing import NamedTuple

import numpy as np

from softxent.definition import Array
from softxent.explain import DRAWS, SEED, H, LayerGradients, Trace
from softxent.words import language, say

WIDTH = 80
CLASSES_SHOWN = 10
JACOBIAN_SHOWN = 5  # five columns of "[1.23e-300]" beside a name are 80 wide
LAYER_SHOWN = 4
NAME_SHOWN = 10


class Cell(NamedTuple):
    """One entry of a table; its role says how it is drawn: target, diagonal, total, or a bar of that share."""

    text: str
    role: str = ""
    share: float = 0.0


@dataclass(frozen=True)
class Step:
    title: str
    formula: str = ""
    head: tuple[str, ...] = ()
    rows: Sequence[Sequence[Cell]] = ()
    notes: Sequence[str] = ()


def story(trace: Trace, lang: str | None = None, *, article: bool = False) -> list[Step]:
    """The steps of a trace; `article` truncates numbers to three digits."""
    return _Story(trace, lang or language(), article).steps()


# Numbers ----------------------------------------------------------------------------------------------------------


def number(value: float, *, article: bool = False, tiny: int = 2) -> str:
    """Six decimals, rounded, or in article style three, truncated; powers of ten for what those cannot show.

    >>> number(0.86681333), number(-2.0611536e-9), number(-math.inf)
    ('0.866813', '−2.06e-09', '−∞')
    >>> number(0.86681333, article=True), number(-0.1331866, article=True), number(1.9999e-9, article=True)
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


def _truncated(value: float, decimals: int) -> Decimal:
    with localcontext(prec=400):  # digits of the largest float64
        return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), ROUND_DOWN)


def brief(value: float) -> str:
    """Scores as they were typed.

    >>> brief(5.0), brief(-0.25), brief(-math.inf)
    ('5', '−0.25', '−∞')
    """
    text = f"{value + 0.0:.6g}".replace("inf", "∞")
    return "−" + text[1:] if text.startswith("-") else text


def bar(share: float, width: int) -> str:
    """A bar in eighths of a character; what is not 0 can be seen.

    >>> bar(0.5, 4), bar(1e-9, 4), bar(0.0, 4)
    ('██', '▏', '')
    """
    if not share > 0:
        return ""
    eighths = max(round(share * width * 8), 1)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


# The story --------------------------------------------------------------------------------------------------------


class _Story:
    def __init__(self, trace: Trace, lang: str, article: bool) -> None:
        self.trace, self.lang, self.article = trace, lang, article
        self.warm = trace.temperature != 1
        self.s = "s" if self.warm else "z"  # without a temperature the scores are z
        self.shown = _most_probable(trace, CLASSES_SHOWN)

    def steps(self) -> list[Step]:
        layer = self.trace.layer
        first = [self.opening()] + ([self.layer(layer)] if layer else []) + [self.softmax()]
        if not self.trace.defined:
            return first
        chain = [self.sampling(), self.loss(), self.jacobian(), self.chain_rule(), self.check(), self.step()]
        return first + chain + ([self.layer_gradients(layer)] if layer else [])

    def say(self, phrase: str, **values: object) -> str:
        return say(self.lang, phrase, **values)

    def number(self, value: float, tiny: int = 2) -> str:
        return number(value, article=self.article, tiny=tiny)

    def numbers(self, values: Array) -> str:
        return "[" + ", ".join(self.number(values[i]) for i in self.shown) + "]"

    def name(self, i: int, width: int = NAME_SHOWN) -> Cell:
        y = self.trace.target
        return Cell(("▸ " if i == y else "  ") + _cut(self.trace.labels[i], width), "target" if i == y else "")

    def opening(self) -> Step:
        trace, named = self.trace, self.trace.labels[self.trace.target] != str(self.trace.target)
        title = self.say(
            "story of names" if named else "story", classes=len(trace.p), target=_cut(trace.labels[trace.target], 40)
        )
        hidden = len(trace.p) - len(self.shown)
        notes = [self.say("truncated")] if self.article else []
        notes += [self.say("classes hidden", hidden=hidden, classes=len(trace.p))] if hidden else []
        notes += [] if trace.target_given else [self.say("target assumed")]
        return Step(title, notes=notes)

    def layer(self, layer: LayerGradients) -> Step:
        classes, features = layer.W.shape
        return Step(
            self.say("layer"),
            f"{self.s} = W x + b",
            notes=[
                f"x = {_row(layer.x, brief)}",
                f"b = {_row(layer.b, brief)}",
                self.say("layer shape", classes=classes, features=features),
            ],
        )

    def softmax(self) -> Step:
        t = self.trace
        formula = ("z = s / T,  " if self.warm else "") + "p_j = exp(z_j − m) / Σ_k exp(z_k − m)"
        if self.warm:
            formula = f"T = {brief(t.temperature)},  " + formula
        head = [self.say("class"), self.say("score", s=self.s), *(["z = s / T"] if self.warm else [])]
        head += ["z − m", "exp(z − m)", "p", ""]
        rows = [
            [
                self.name(i),
                Cell(brief(t.scores[i])),
                *([Cell(brief(t.scaled[i]))] if self.warm else []),
                Cell(brief(t.shifted[i])),
                Cell(self.number(t.exp[i])),
                Cell(self.number(t.p[i]), "strong"),
                Cell("", "bar", float(t.p[i])),
            ]
            for i in self.shown
        ]
        if not t.defined:
            return Step(self.say("softmax"), formula, tuple(head), rows, [self.say("undefined")])
        blank = [Cell("")] * (len(head) - 5)
        total = [Cell("  Σ"), *blank, Cell(""), Cell(self.number(t.sum)), Cell(self.number(1.0)), Cell("")]
        rows.append([Cell(cell.text, "total") for cell in total])
        notes = [self.say("shift", m=brief(t.max))]
        notes += [self.say("masked")] if np.isneginf(t.scaled).any() else []
        notes += [f"p = {self.numbers(t.p)}"] if len(self.shown) <= 5 else []
        return Step(self.say("softmax"), formula, tuple(head), rows, notes)

    def sampling(self) -> Step:
        t = self.trace
        head = (*map(self.say, ("class", "hard max", "soft max", "draws")), "")
        rows = [
            [
                self.name(i),
                Cell(str(int(i == t.hard_max))),
                Cell(self.number(t.p[i]), "strong"),
                Cell(str(t.draws[i])),
                Cell("", "bar", t.draws[i] / DRAWS),
            ]
            for i in self.shown
        ]
        return Step(self.say("sampling"), "", head, rows, self.say("sampling note", draws=DRAWS, seed=SEED).split("\n"))

    def loss(self) -> Step:
        t = self.trace
        p_y = self.number(t.p[t.target])
        told = f"−ln p_y = −ln {p_y} = {self.number(t.loss, 6)} {self.say('nats')}"
        return Step(self.say("loss"), told, notes=[self.say("loss masked")] if t.loss == math.inf else [])

    def jacobian(self) -> Step:
        t, y = self.trace, self.trace.target
        shown = _most_probable(t, JACOBIAN_SHOWN)
        head = ("∂p_j/∂z_i", *(f"i = {_cut(t.labels[i], 6)}" for i in shown))

        def entry(j: int, i: int) -> Cell:
            value = self.number(t.jacobian[j, i])
            return Cell(f"[{value}]", "diagonal") if i == j else Cell(f"{value} ", "off")

        rows = [
            [
                Cell(("▸ " if j == y else "  ") + f"j = {_cut(t.labels[j], 6)}", "target" if j == y else ""),
                *(entry(j, i) for i in shown),
            ]
            for j in shown
        ]
        p, other = self.number(t.p[y]), next((i for i in shown if i != y), None)
        notes = [f"i = j   {p} × (1 − {p}) = {self.number(t.jacobian[y, y])}"]
        if other is not None:
            notes.append(f"i ≠ j   −{p} × {self.number(t.p[other])} = {self.number(t.jacobian[y, other])}")
        notes.append(self.say("jacobian marks"))
        if len(shown) < len(t.p):
            notes.append(self.say("jacobian hidden", shown=len(shown), classes=len(t.p)))
        return Step(self.say("jacobian"), self.say("jacobian formula"), head, rows, notes)

    def chain_rule(self) -> Step:
        t, y = self.trace, self.trace.target
        by = " · 1/T" if self.warm else ""
        formula = f"∂loss/∂{self.s}_i = ∂loss/∂p_y · ∂p_y/∂z_i{by} = −1/p_y · ∂p_y/∂z_i{by}"
        head = (self.say("class"), "∂p_y/∂z_i", "× (−1/p_y)", "p_i − y_i", *(["(p_i − y_i) / T"] if self.warm else []))
        rows = [
            [
                self.name(i),
                Cell(self.number(t.jacobian[y, i]), "diagonal" if i == y else "off"),
                Cell(self.number(t.chain_rule[i])),
                Cell(f"{self.number(t.p[i])} − {int(i == y)}", "" if self.warm else "strong"),
                *([Cell(self.number(t.gradient[i]), "strong")] if self.warm else []),
            ]
            for i in self.shown
        ]
        p_y = float(t.p[y])
        notes = [self.say("chain note", factor=self.number(-1 / p_y)) if p_y else self.say("chain by zero")]
        if len(self.shown) <= 5:
            notes.append(f"{self.say('gradient')} = {self.gradient()}")
        return Step(self.say("chain rule"), formula, head, rows, notes)

    def gradient(self) -> str:
        """In the article's way p_y − 1 is left as it is written: [0.015, 0.866 − 1, 0.117]."""
        t = self.trace
        if not self.article or self.warm:
            return self.numbers(t.gradient)
        return "[" + ", ".join(self.number(t.p[i]) + (" − 1" if i == t.target else "") for i in self.shown) + "]"

    def check(self) -> Step:
        t, s = self.trace, self.s
        apart = np.abs(t.finite_difference - t.gradient)
        head = (self.say("class"), f"∂loss/∂{s}_i", self.say("finite difference"), self.say("difference"))
        rows = [
            [
                self.name(i),
                Cell(self.number(t.gradient[i]), "strong"),
                Cell(self.number(t.finite_difference[i])),
                Cell(number(apart[i], tiny=1)),
            ]
            for i in self.shown
        ]
        h = f"{H * t.temperature:.6g}"
        known = apart[np.isfinite(apart)]
        notes = [
            self.say("largest difference", h=h, worst=number(known.max(), tiny=1))
            if len(known)
            else self.say("no check")
        ]
        if 0 < len(known) < len(apart):
            notes.append(self.say("unmoved", h=h))
        return Step(self.say("check"), f"(loss({s}_i + h) − loss({s}_i − h)) / 2h", head, rows, notes)

    def step(self) -> Step:
        t, s = self.trace, self.s
        head = (
            self.say("class"),
            self.say("score", s=s),
            self.say("score after", s=s),
            self.say("before"),
            self.say("after"),
            "",
        )
        rows = [
            [
                self.name(i),
                Cell(brief(t.scores[i])),
                Cell(self.number(t.scores_after[i])),
                Cell(self.number(t.p[i])),
                Cell(self.number(t.p_after[i]), "strong"),
                Cell("", "bar", float(t.p_after[i])),
            ]
            for i in self.shown
        ]
        before, after = self.number(t.loss, 6), self.number(t.loss_after, 6)
        fell = self.say("loss fell", before=before, after=after, fall=self.number(t.loss - t.loss_after))
        note = fell if t.loss_after < t.loss < math.inf else self.say("loss stayed", before=before, after=after)
        rate = f"η = T² = {brief(t.learning_rate)}" if self.warm else "η = 1"
        return Step(self.say("step"), f"{s} ← {s} − η · ∂loss/∂{s},  {rate}", head, rows, [note])

    def layer_gradients(self, layer: LayerGradients) -> Step:
        classes, features = layer.W.shape
        columns = range(min(features, LAYER_SHOWN))
        head = ("∂loss/∂W", *(f"x_{d}" for d in columns), "∂loss/∂b")
        rows = [
            [
                self.name(i),
                *(Cell(self.number(layer.grad_W[i, d])) for d in columns),
                Cell(self.number(layer.grad_b[i]), "strong"),
            ]
            for i in self.shown
        ]
        total = [Cell("∂loss/∂x"), *(Cell(self.number(layer.grad_x[d])) for d in columns), Cell("")]
        rows.append([Cell(cell.text, "total") for cell in total])
        hidden = len(columns) < features or len(self.shown) < classes
        size = {"rows": len(self.shown), "columns": len(columns), "classes": classes, "features": features}
        formula = "g = ∂loss/∂scores:  ∂loss/∂W = g xᵀ,  ∂loss/∂b = g,  ∂loss/∂x = Wᵀ g"
        notes = [self.say("layer hidden", **size)] if hidden else []
        return Step(self.say("layer gradients"), formula, head, rows, notes)


def _most_probable(trace: Trace, most: int) -> list[int]:
    """The target, the hard max and the most probable classes, `most` in all, in their own order."""
    p = np.nan_to_num(trace.p, nan=0.0)
    p[[trace.hard_max, trace.target]] = (2, 3) if trace.target != trace.hard_max else (3, 3)
    return sorted(np.argsort(-p, kind="stable")[:most].tolist())


def _row(values: Array, shown: Callable[[float], str]) -> str:
    return "[" + ", ".join(map(shown, values[:5])) + (", …]" if len(values) > 5 else "]")


# As plain text ----------------------------------------------------------------------------------------------------


def as_text(steps: Sequence[Step], paint: Callable[[str, str], str] = lambda text, role: text) -> str:
    """The story in 80 columns; `paint(text, role)` may add colour, and nothing depends on it."""
    blocks = []
    for index, step in enumerate(steps):
        lines = [paint(f"{index}  {step.title}" if index else step.title, "title")]
        lines += ["   " + paint(step.formula, "formula")] if step.formula else []
        lines += [""] * bool(step.rows) + list(_table(step, paint)) + [""] * bool(step.rows and step.notes)
        lines += ["   " + paint(note, "note") for note in step.notes]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks) + "\n"


def _table(step: Step, paint: Callable[[str, str], str]) -> list[str]:
    if not step.rows:
        return []
    head = [Cell(text, "head") for text in step.head]
    widths = [max(_width(row[column].text) for row in [head, *step.rows]) for column in range(len(head))]
    left = min(24, WIDTH - 3 - sum(widths) - 2 * len(widths))  # what is left for a bar

    def drawn(column: int, cell: Cell) -> str:
        if cell.role == "bar":
            return paint(bar(cell.share, max(left, 1)), "bar") if cell.share > 0 else ""
        space = " " * (widths[column] - _width(cell.text))
        painted = paint(cell.text, cell.role) if cell.text else ""
        return painted + space if column == 0 else space + painted

    return [("   " + "  ".join(drawn(*pair) for pair in enumerate(row))).rstrip() for row in [head, *step.rows]]


def _width(text: str) -> int:
    """Columns on a terminal: a Chinese character takes two, an accent that joins its letter none."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def _cut(text: str, width: int) -> str:
    text = "".join(c if c.isprintable() else "�" for c in text)
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[:-1]
    return text + "…"


# As HTML ----------------------------------------------------------------------------------------------------------

STYLE = """
.softxent { max-width: 46rem; font: 14px/1.5 system-ui, sans-serif; }
.softxent h3 { margin: 0 0 .2rem; font-size: 1.15em; }
.softxent h4 { margin: 1.4rem 0 .2rem; font-size: 1em; }
.softxent h4 b { display: inline-block; min-width: 1.5em; margin-right: .5em; border-radius: 1em; text-align: center;
  color: #fff; background: #3867d6; }
.softxent code { font: 13px/1.6 ui-monospace, monospace; background: none; color: inherit; opacity: .8; }
.softxent table { margin: .4rem 0; border-collapse: collapse; font-variant-numeric: tabular-nums; }
.softxent th, .softxent td { padding: .15em .7em; border: 0; text-align: right; background: none; white-space: pre; }
.softxent th { font-weight: 500; opacity: .65; border-bottom: 1px solid rgba(128, 128, 128, .5); }
.softxent th:first-child, .softxent td:first-child, .softxent .bar { text-align: left; }
.softxent .bar { width: 12rem; }
.softxent .bar i { display: block; height: .8em; min-width: 1px; border-radius: 2px; background: #3867d6; }
.softxent .target, .softxent .strong { font-weight: 700; }
.softxent .diagonal { background: rgba(250, 160, 30, .25); font-weight: 700; }
.softxent .total { border-top: 1px solid rgba(128, 128, 128, .5); opacity: .75; }
.softxent p { margin: .2rem 0; }
"""


def as_html(steps: Sequence[Step]) -> str:
    """The story as one `<div>` that needs nothing from outside; readable on light and dark pages."""
    return f'<div class="softxent"><style>{STYLE}</style>' + "".join(map(_html_step, enumerate(steps))) + "</div>"


def _html_step(numbered: tuple[int, Step]) -> str:
    index, step = numbered
    title = html.escape(step.title)
    parts = [f"<h4><b>{index}</b>{title}</h4>" if index else f"<h3>{title}</h3>"]
    parts += [f"<code>{html.escape(step.formula)}</code>"] if step.formula else []
    if step.rows:
        head = "".join(f"<th>{html.escape(text)}</th>" for text in step.head)
        rows = "".join("<tr>" + "".join(map(_html_cell, row)) + "</tr>" for row in step.rows)
        parts.append(f"<table><tr>{head}</tr>{rows}</table>")
    parts += [f"<p>{html.escape(note)}</p>" for note in step.notes]
    return "".join(parts)


def _html_cell(cell: Cell) -> str:
    if cell.role == "bar":
        mark = f'<i style="width: {100 * cell.share:.3f}%"></i>' if cell.share > 0 else ""
        return f'<td class="bar">{mark}</td>'
    return (
        f'<td class="{cell.role}">{html.escape(cell.text)}</td>' if cell.role else f"<td>{html.escape(cell.text)}</td>"
    )
