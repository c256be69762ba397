"""Every phrase is there once, in both languages, with the same values, and something says it."""

import ast
import re
import string
from pathlib import Path

import pytest

from softxent.app.words import advice, choice, command, files, report, rows, splits, streaming, tables, training
from softxent.diagnosis import words as diagnosis
from softxent.explain import words as story
from softxent.words import PHRASES

SOURCE = Path(__file__).parents[1] / "src/softxent"


def test_no_phrase_is_there_twice():
    subjects = (story, diagnosis, command, training, files, rows, splits, streaming, tables, advice, choice)
    assert len(PHRASES) == sum(len(subject.PHRASES) for subject in subjects)


@pytest.mark.parametrize("texts", [*PHRASES.values(), *report.PHRASES.values()])
def test_both_languages_take_the_same_values(texts):
    en, zh = ({field for _, field, _, _ in string.Formatter().parse(text) if field} for text in texts)
    assert en == zh
    assert all(texts)


def test_report_repeats_no_phrase_of_the_command():
    assert not report.PHRASES.items() & PHRASES.items()


def strings():
    """What is written between quotes in the source, as patterns: anything may stand for a value in an f-string."""
    for path in SOURCE.rglob("*.py"):
        if "words" not in path.parts and path.name != "words.py":
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    yield "".join(
                        re.escape(part.value) if isinstance(part, ast.Constant) else ".+" for part in node.values
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield re.escape(node.value)
    for path in SOURCE.glob("**/templates/*.html"):
        page = path.read_text("utf-8")
        for text in re.findall('"([^"]*)"', page) + re.findall("'([^']*)'", page):
            yield (".+" if text.startswith(" ") else "") + re.escape(text)  # phrase ~ " means"


STRINGS = [re.compile(text) for text in {*strings()} if ".+" not in text or re.search("[a-z]{4}", text)]


@pytest.mark.parametrize("phrase", [*PHRASES, *report.PHRASES])
def test_every_phrase_is_said(phrase):
    assert any(text.fullmatch(phrase) for text in STRINGS)
