"""The report of a training or an evaluation: its numbers, what it shows of them, and the page."""

from softxent.app.report.content import Content, TreatedColumn
from softxent.app.report.evaluation import Evaluation
from softxent.app.report.examples import shown
from softxent.app.report.page import merged, write

__all__ = ["Content", "Evaluation", "TreatedColumn", "merged", "shown", "write"]
