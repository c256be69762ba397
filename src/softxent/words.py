"""Says a phrase in English or Chinese. The phrases themselves are in explain/words.py and app/words/."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from html import escape
from typing import Any, NamedTuple

LANGUAGES = ("en", "zh")
WIDTH = 80  # columns of a terminal: all output fits in
PHRASES: dict[str, tuple[str, str]] = {}  # explain/words.py and app/words/ add theirs


def language(environment: Mapping[str, str] = os.environ) -> str:
    """Returns `zh` or `en`: the first of LC_ALL, LC_MESSAGES and LANG that is set decides, as in POSIX.

    >>> language({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}), language({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"})
    ('zh', 'en')
    """
    names = [environment.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG")]
    return "zh" if next(filter(None, names), "").startswith("zh") else "en"


def say(lang: str, phrase: str, **values: object) -> str:
    """Returns the phrase in that language, with its values filled in."""
    return say_from(PHRASES, lang, phrase, **values)


def say_from(phrases: Mapping[str, tuple[str, str]], lang: str, phrase: str, /, **values: object) -> str:
    """Does the same with another table of phrases: the report has its own.

    >>> say_from({"rows": ("{count} rows", "{count} 行")}, "zh", "rows", count=40)
    '40 行'
    """
    return phrases[phrase][LANGUAGES.index(lang)].format(**values)


class Phrase:
    """A phrase and its values, put into words once the language is known; a value may be a Phrase itself."""

    def __init__(self, phrase: str, **values: object) -> None:
        self.phrase, self.values = phrase, values

    def say(self, lang: str) -> str:
        values = {
            name: value.say(lang) if isinstance(value, Phrase | Words) else value for name, value in self.values.items()
        }
        return say(lang, self.phrase, **values)


class Words(NamedTuple):
    """A text in each language, of LANGUAGES; a template shows both, of which a reader sees one."""

    en: str
    zh: str

    @classmethod
    def of(cls, text: object) -> Words:
        """Returns a Phrase or Words in each language; anything else says the same in all."""
        if isinstance(text, Phrase | Words):
            return cls(*(text.say(lang) for lang in LANGUAGES))
        return cls(str(text), str(text))

    def say(self, lang: str) -> str:
        return self[LANGUAGES.index(lang)]

    def __html__(self) -> str:
        """Returns an element a language: style.css hides all but one, and a screen reader pronounces each as it is.

        >>> Words("rows", "行").__html__(), Words("F1", "F1").__html__()
        ('<span lang="en">rows</span><span lang="zh-CN">行</span>', 'F1')
        """
        if self.en == self.zh:
            return escape(self.en)
        return f'<span lang="en">{escape(self.en)}</span><span lang="zh-CN">{escape(self.zh)}</span>'


class Mistake(Phrase, ValueError):
    """An error that the user can mend: Python shows it in English, the command in the user's language.

    >>> import softxent.explain.words  # where this phrase is
    >>> Mistake("target range", got=7, classes=3, last=2)
    Mistake('target is 7, but scores has 3 classes (0 … 2)')
    """

    def __init__(self, phrase: str, **values: object) -> None:
        Phrase.__init__(self, phrase, **values)
        ValueError.__init__(self, self.say("en"))

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(type(self), self.phrase, **self.values), ()  # an exception is copied by its text
