"""Shows the steps of a story, each a title, a formula, a table and notes, as text in 80 columns or as HTML."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from softxent.words import WIDTH


class Cell(NamedTuple):
    """An entry of a table; its role (target, diagonal, total, bar …) says how it looks; a bar's length is its share."""

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


# Plain text ---------------------------------------------------------------------------------------------------------


def as_text(steps: Sequence[Step], paint: Callable[[str, str], str] = lambda text, role: text) -> str:
    """Returns the story in 80 columns; `paint(text, role)` may add colours, but nothing depends on them."""
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
    widths = [max(width(row[column].text) for row in [head, *step.rows]) for column in range(len(head))]
    left = min(24, WIDTH - 3 - sum(widths) - 2 * len(widths))  # what is left for a bar

    def drawn(column: int, cell: Cell) -> str:
        if cell.role == "bar":
            return paint(bar(cell.share, max(left, 1)), "bar") if cell.share > 0 else ""
        space = " " * (widths[column] - width(cell.text))
        painted = paint(cell.text, cell.role) if cell.text else ""
        return painted + space if column == 0 else space + painted

    return [("   " + "  ".join(drawn(*pair) for pair in enumerate(row))).rstrip() for row in [head, *step.rows]]


def width(text: str) -> int:
    """Counts columns on a terminal: a Chinese character takes two, a combining accent none."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def cut(text: str, most: int) -> str:
    """Shortens the text to `most` columns; a shortened one ends in ….

    >>> cut("automobile", 8), cut("小汽车", 4)
    ('automob…', '小…')
    """
    text = "".join(c if c.isprintable() else "�" for c in text)
    if width(text) <= most:
        return text
    while width(text) > most - 1:
        text = text[:-1]
    return text + "…"


def bar(share: float, width: int) -> str:
    """Draws a bar in eighths of a character; a share above 0 is always visible.

    >>> bar(0.5, 4), bar(1e-9, 4), bar(0.0, 4)
    ('██', '▏', '')
    """
    if not share > 0:
        return ""
    eighths = max(round(share * width * 8), 1)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


# HTML ---------------------------------------------------------------------------------------------------------------

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
    """Returns the story as one self-contained `<div>`, readable on light and dark pages."""
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
