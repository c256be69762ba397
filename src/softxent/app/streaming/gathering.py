"""From a table larger than memory to a task and a split, whose training rows stay where they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.dealing import split_rows
from softxent.app.roles import Roles, time_column
from softxent.app.run import LabelledRows
from softxent.app.settings import Settings
from softxent.app.splits import Files, Split, nothing_to_test, parted, time_text
from softxent.app.streaming.held import Held
from softxent.app.streaming.parts import Part, numbered, parts_of
from softxent.app.streaming.places import Place
from softxent.app.streaming.reservoir import Picked
from softxent.app.streaming.stream import Stream
from softxent.app.streaming.survey import Question, Survey, first_of, firsts, joined, survey
from softxent.app.tables.kinds import Asked
from softxent.app.tables.rows import Rows, SomeRows, Source
from softxent.app.task import Task, check_classes
from softxent.app.words import Mistake, Phrase

Array = NDArray[Any]

SAMPLE = 64  # of the memory, each of two samples as Arrow has them
MOST, FEWEST = 100_000, 1000  # rows of a sample
HEADS = 16  # parts whose first rows tell what kind of times there are


def gather(
    source: Source,
    target: str,
    asked: Mapping[str, Asked],
    roles: Roles,
    settings: Settings,
    files: Files,
    place: Place,
) -> tuple[Task, Split]:
    """Goes over the table twice: returns what is held of it, and a split whose `stream` has the rows that train."""
    roles.check(source, target)
    parts = parts_of(source)
    watched = [name for name in source.names if name != target and (name not in asked or asked[name].kind != "drop")]
    first = head(parts) if roles.time else None
    time = time_column(first, roles.time) if first and roles.time else None
    most = most_rows(parts, place.memory)
    question = Question(target, roles, time, watched, most, settings.seed)
    found = joined(place.map(survey, parts, question))
    if not sum(found.rows):
        raise Mistake("no rows", got=repr(source.path))
    numbered(parts, found.rows, source)
    classes = np.array(sorted(map(int, found.counts)) if found.whole else sorted(found.counts))
    counts = np.array([found.counts[str(name)] for name in classes])
    check_classes(source, target, classes, counts)
    task, tests, held = Gathered(source, question, parts, classes, place).task(found, counts, asked, settings, files)
    if settings.test_size and not files.test and not tests.any():
        raise nothing_to_test(task)
    split = divided(task, settings, files, tests)
    stream = Stream(source, parts, question, held, task.columns, place)
    stream = stream if files.val else stream.without(split.val)
    own = [rows for rows, file in ((split.val, files.val), (split.test, files.test)) if file is None]
    stream.measure(split, own)
    split.notes.extend([place.note(stream.size, len(split.train)), *stream.notes])
    return task, replace(split, stream=stream, sides=sides(roles, split))


def head(parts: list[Part]) -> Rows | None:
    """Returns the first rows of some parts."""
    some = [parts[k] for k in np.unique(np.linspace(0, len(parts) - 1, HEADS).astype(int))]
    heads = [rows for rows in (next(part.batches(), None) for part in some) if rows is not None]
    return heads[0].joined(heads) if heads else None


def most_rows(parts: list[Part], memory: int) -> int:
    """Returns how many rows a sample may have, by the first ones of the table."""
    for part in parts:
        for rows in part.batches():
            return int(min(MOST, max(memory // SAMPLE * len(rows) // max(rows.table.nbytes, 1), FEWEST)))
    return MOST


def tested(found: Survey, settings: Settings, files: Files) -> Picked:
    """Returns the rows that test: the share that is asked for, or as many as are held."""
    rows, size = found.tested.picked(), sum(found.counts.values())
    want = 0 if files.test else round(settings.test_size * size)
    if not want:
        return rows.some(np.zeros(0, np.int64))
    if (rows.key[1:] == rows.key[:-1]).any():  # groups, or times, which stay whole
        ends = np.flatnonzero(np.diff(rows.key)) + 1
        ends = ends if len(rows) == size else np.append(ends, len(rows))
        return rows.some(np.arange(ends[np.abs(ends - want).argmin()] if len(ends) else 0))
    train = {(int(row.part[0]), int(row.row[0])) for row in firsts(found)}
    lowest = rows.some(np.arange(min(want, len(rows))))
    places = zip(lowest.part.tolist(), lowest.row.tolist(), strict=True)
    return lowest.some(np.flatnonzero([place not in train for place in places]))


def divided(task: Task, settings: Settings, files: Files, tests: NDArray[np.bool_]) -> Split:
    """Splits the rows that are held."""
    train, test = task.rows[np.flatnonzero(~tests)], task.rows[np.flatnonzero(tests)]
    trains, validates, _ = split_rows(train, 0, 0 if files.val else settings.val_size, settings.seed)
    return parted(task, settings, files, train[trains], train[validates], test)


def sides(roles: Roles, split: Split) -> list[Phrase]:
    """Says which groups, or times, test; of those that train a sample is at hand."""
    test = split.test
    if roles.group and test.group is not None:
        return [Phrase("groups that test", name=roles.group, test=len(np.unique(test.group)))]
    if roles.time and test.time is not None and len(test):
        return [Phrase("times that test", name=roles.time, first=time_text(test.time.min()))]
    return []


@dataclass(frozen=True)
class Gathered:
    """Makes of rows that are held what rows of a table in memory would be."""

    source: Source
    question: Question
    parts: list[Part]
    classes: Array
    place: Place

    def task(
        self, found: Survey, counts: Array, asked: Mapping[str, Asked], settings: Settings, files: Files
    ) -> tuple[Task, NDArray[np.bool_], Held]:
        """Returns the task, which of its rows test, and what does not train."""
        test = tested(found, settings, files)
        held = Held.of(self.labelled(test)[1])
        picked = Picked.joined([test, found.sample.picked(), *firsts(found)])
        rows, labelled = self.labelled(picked)
        tests = held.of_rows(labelled)
        lacking = set(map(str, labelled.y[tests])) - set(map(str, labelled.y[~tests]))
        if lacking:  # whose first rows test, with their groups or times, though others may train
            others = self.place.map(first_of, self.parts, self.question, held, lacking)
            rows, labelled = self.labelled(Picked.joined([picked, *(each for part in others for each in part)]))
            tests = held.of_rows(labelled)
        task = Task(self.source, self.question.target, [], labelled, self.classes, counts, [], self.question.roles)
        return task.described(rows, asked, self.left_out(found)), tests, held

    def labelled(self, picked: Picked) -> tuple[SomeRows, LabelledRows]:
        """Returns the rows in the order of the table, each once, and their labels and facts, without features."""
        starts = np.array([part.start for part in self.parts])
        numbers, index = np.unique(starts[picked.part] + picked.row, return_index=True)
        rows = SomeRows(Rows(self.source, picked.table), index)
        rows.numbers_in_file = numbers
        known = {str(name): index for index, name in enumerate(self.classes)}
        y = np.array([known[str(label)] for label in rows.labels(self.question.target)[0]], np.int64)
        return rows, LabelledRows(None, self.classes[y], numbers, **self.question.facts(rows))

    def left_out(self, found: Survey) -> list[Phrase]:
        notes = []
        for name, left in found.left_out.items():
            place = self.source.place(self.parts[left.part].start + left.row)
            notes.append(Phrase("no labels", rows=left.rows, target=repr(name), place=place))
        return notes
