"""The phrases of the command, in English and Chinese side by side: one file a subject."""

from softxent.app.words import advice, choice, command, files, rows, splits, streaming, tables, training
from softxent.words import LANGUAGES, PHRASES, WIDTH, Mistake, Phrase, Words, language, say, say_from

__all__ = ["LANGUAGES", "PHRASES", "WIDTH", "Mistake", "Phrase", "Words", "language", "say", "say_from"]

SUBJECTS = (command, training, files, splits, streaming, tables, rows, advice, choice)
for subject in SUBJECTS:
    PHRASES.update(subject.PHRASES)
