"""Every phrase is there once, in both languages, with the same values."""

import string

import pytest

from softxent.app.words import command, files, training
from softxent.explain import words as story
from softxent.words import PHRASES


def test_no_phrase_is_there_twice():
    assert len(PHRASES) == sum(len(subject.PHRASES) for subject in (story, command, training, files))


@pytest.mark.parametrize("phrase", PHRASES)
def test_both_languages_take_the_same_values(phrase):
    en, zh = ({field for _, field, _, _ in string.Formatter().parse(text) if field} for text in PHRASES[phrase])
    assert en == zh
