"""Several files with the same columns, one after another, as one table."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from softxent.app.tables.rows import Rows, Source, listed
from softxent.app.words import Mistake, Phrase


class Several(Source):
    def __init__(self, parts: Sequence[Source], typed: Sequence[str]) -> None:
        again = all(part.file.again for part in parts)
        super().__init__(replace(parts[0].file, again=again))
        self.parts, self.typed = parts, typed
        self.path = typed[0] if len(typed) == 1 else listed([Path(name).name for name in typed], 3)
        self.names = parts[0].names
        for part in parts[1:]:
            self._check(part)
        self.starts: list[int] = []  # of those that were read
        self.decimal = parts[0].decimal
        self.notes = [note for part in parts for note in part.notes]
        self.about = ", ".join(dict.fromkeys(part.about for part in parts))

    @property
    def names_to_open(self) -> list[str]:
        return list(self.typed) if self.file.again else []

    @property
    def stem(self) -> str:
        if len(self.typed) > 1:
            return self.parts[0].stem
        path = Path(self.typed[0])
        return (path if path.exists() else path.parent).resolve().name  # a pattern's folder

    def column(self, name: str) -> str:
        return self.parts[0].column(name)

    def _check(self, part: Source) -> None:
        first = self.parts[0]
        lacking = [name for name in first.names if name not in part.names]
        extra = [name for name in part.names if name not in first.names]
        if lacking or extra or bool(first.names) != bool(part.names):
            phrase = "columns lacking" if lacking else "columns extra"
            columns = listed([repr(name) for name in lacking or extra])
            raise Mistake(phrase, got=repr(part.path), columns=columns, first=repr(first.path))

    def batches(self) -> Iterator[Rows]:
        start, self.starts = 0, []
        for part in self.parts:
            self.starts.append(start)
            for rows in part.batches():
                yield rows.moved(self, start)
                start += len(rows)

    def place(self, row: int) -> Phrase:
        index = bisect_right(self.starts, row) - 1
        part = self.parts[index]
        return Phrase("in file", place=part.place(row - self.starts[index]), name=repr(part.path))
