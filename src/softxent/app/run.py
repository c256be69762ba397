"""A run: the folder that `softxent train` saves, with the model, its schema, its metrics and the report.

model.skops     the fitted pipeline; skops holds no code, and a type that is not listed here is refused
schema.json     the target, its classes, and what each column of the data is
metrics.json    how good the model is on the test rows
report.html     the same to look at
explorer.html   the page that its links open
report.json     what report.html shows, for `softxent report` to show it again
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from softxent.app import model_file
from softxent.app.explore import PAGE
from softxent.app.outputs import open_saved, settle, whole_folder
from softxent.app.roles import Roles
from softxent.app.tables.columns import Column
from softxent.app.tables.rows import Rows, Source, closest, listed
from softxent.app.words import Mistake, Phrase

if TYPE_CHECKING:
    from softxent.app.report import Content

FORMAT = 1  # of the folder; a higher one was made by a newer softxent
MODEL, SCHEMA, METRICS, REPORT, EXPLORER, CONTENT = FILES = (
    "model.skops", "schema.json", "metrics.json", "report.html", "explorer.html", "report.json"
)  # fmt: skip


def files(folder: str) -> list[Path]:
    """Returns the paths of a run's files."""
    return [Path(folder, name) for name in FILES]


# Beyond the types of NumPy, SciPy and scikit-learn that skops trusts by itself
TRUSTED = frozenset(
    {"numpy.dtype", "softxent.sklearn.classifier.SoftmaxClassifier"}
    | {
        f"skrub.{name}"
        for name in (
            "_apply_to_each_col.ApplyToEachCol",
            "_check_input.CheckInputDataFrame",
            "_clean_categories.CleanCategories",
            "_clean_null_strings.CleanNullStrings",
            "_dataframe._common.is_any_date",
            "_dataframe._common.is_categorical",
            "_dataframe._common.is_numeric",
            "_datetime_encoder.DatetimeEncoder",
            "_drop_uninformative.DropUninformative",
            "_duration_to_float.DurationToFloat",
            "_string_encoder.StringEncoder",
            "_table_vectorizer.PassThrough",
            "_table_vectorizer.ShortReprDict",
            "_table_vectorizer.TableVectorizer",
            "_table_vectorizer._created_by_predicate",
            "_to_datetime.ToDatetime",
            "_to_float.ToFloat",
            "_to_str.ToStr",
            "selectors._base.All",
            "selectors._base.And",
            "selectors._base.Cols",
            "selectors._base.Filter",
            "selectors._base.Sub",
            "selectors._selectors._cardinality_below",
        )
    }
)


@dataclass(frozen=True)
class LabelledRows:
    """Rows that have a label: X, a DataFrame or CSR; y, the label of each; rows, their numbers in the file.

    `weight`, `group` and `time` are those of each row, None where the user named no such column.
    """

    X: Any
    y: NDArray[Any]
    rows: NDArray[np.int64]
    weight: Any = None
    group: Any = None
    time: Any = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: Any) -> LabelledRows:
        X = self.X.iloc[index] if hasattr(self.X, "iloc") else self.X[index]
        others = (None if of is None else of[index] for of in (self.weight, self.group, self.time))
        return LabelledRows(X, self.y[index], self.rows[index], *others)


@dataclass
class Schema:
    """The data that a model was trained on; `classes` names the model's classes_, in their order."""

    data: str
    target: str
    classes: list[str]
    columns: list[Column]
    path: str = ""  # of the data, from the folder of the run; empty: not known, or no file
    means: list[float] = field(default_factory=list)  # of the features, in training; none of sparse ones
    counts: list[int] = field(default_factory=list)  # training rows of each class
    frequency: list[float] = field(default_factory=list)  # of each class by weight, if training rows have weights
    roles: Roles = Roles()
    softxent: str = version("softxent")
    format: int = FORMAT

    @classmethod
    def read(cls, stream: BinaryIO, folder: str) -> Schema:
        content = json.load(stream)
        if content["format"] > FORMAT:
            made_by, ours = content["softxent"], version("softxent")
            raise Mistake("newer run", got=repr(folder), version=made_by, ours=ours)
        roles = Roles(**content.get("roles", {}))
        return cls(**content | {"columns": [Column(**column) for column in content["columns"]], "roles": roles})

    def data_from(self, folder: str) -> str:
        """Returns the path of the data as the user would type it here, or its name."""
        return os.path.relpath(Path(os.path.realpath(folder), self.path)) if self.path else self.data

    def is_of(self, source: Source, target: str, folder: str) -> bool:
        """Whether a model of this table and target is what the folder holds."""
        path = relative(source.path, folder)
        same = self.path == path if self.path and path else self.data == Path(source.path).name and source.file.again
        return same and self.target == target

    def check(self, source: Source) -> list[str]:
        """Raises if a column that the model needs is missing; returns the names of those that it does not need."""
        needed = [column.name for column in self.columns if column.used and column.kind != "sparse"]
        missing = [name for name in needed if name not in source.names]
        if len(missing) == 1:
            source.require(missing[0], "column missing")
        if missing:
            near = {name: closest(name, source.names)[:1] for name in missing}
            shown = listed([f"{name!r} ({near[name][0]}?)" if near[name] else repr(name) for name in missing])
            columns = listed(source.names)
            raise Mistake("columns missing", got=repr(source.path), missing=shown, columns=columns)
        known = {column.name for column in self.columns} | {self.target}
        return [name for name in source.names if name not in known]

    def labelled_rows(self, source: Source, classes: Any) -> LabelledRows:
        """Reads the rows of a file that have a label; `classes` are the labels as the model has them."""
        self.check(source)
        source.require(self.target) if source.names else None
        rows = source.read()
        index = self.class_indices(rows)
        group = self.roles.group if self.roles.group in source.names else None
        facts = Roles(group, None, self.roles.weight).read(rows)
        labelled = LabelledRows(rows.features(self.columns), classes[index], np.arange(len(index)), **facts)
        return labelled[np.flatnonzero(index >= 0)]

    def weights(self, rows: Rows) -> NDArray[np.float64]:
        """Returns the weight of each row: 1 if training had none."""
        return Roles(weight=self.roles.weight).read(rows).get("weight", np.ones(len(rows)))

    def class_indices(self, rows: Rows) -> NDArray[np.int64]:
        """Returns the index of each row's class, −1 where it has no label."""
        y, missing = rows.labels(self.target)
        known = {name: index for index, name in enumerate(self.classes)}
        index = np.array([known.get(str(label), -1) for label in y], np.int64)
        unknown = np.flatnonzero((index < 0) & ~missing)
        if len(unknown):
            raise Mistake(
                "unknown label",
                target=repr(self.target),
                name=repr(str(y[unknown[0]])),
                place=rows.place(int(unknown[0])),
                got=repr(rows.source.path),
                classes=listed(self.classes),
            )
        return np.where(missing, -1, index)


class Unseen(dict[str, list[str]]):
    """The first values of each column of categories that training did not have."""

    SHOWN = 5

    def add(self, X: Any, columns: Sequence[Column]) -> None:
        for column in columns:
            known = self.get(column.name, [])
            if column.kind == "category" and len(known) <= self.SHOWN:
                values = X[column.name].dropna().unique()
                strange = sorted({str(value) for value in values} - {*column.values, *known})
                if strange:
                    self[column.name] = [*known, *strange][: self.SHOWN + 1]

    @property
    def notes(self) -> list[Phrase]:
        return [
            Phrase(
                "unseen value" if len(values) == 1 else "unseen values",
                column=repr(name),
                got=", ".join(map(repr, values[: self.SHOWN])) + (", …" if len(values) > self.SHOWN else ""),
            )
            for name, values in self.items()
        ]


@dataclass
class Run:
    model: Any  # a Pipeline: features, then classifier
    schema: Schema

    @classmethod
    def load(cls, folder: str) -> Run:
        with ExitStack() as files:
            try:
                schema, model = (files.enter_context(open_saved(Path(folder), name)) for name in (SCHEMA, MODEL))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                raise Mistake("no run", got=repr(folder)) from None
            except OSError as error:
                raise unreadable(error, folder) from None
            return cls._read(folder, schema, model)

    @classmethod
    def _read(cls, folder: str, schema: BinaryIO, model: BinaryIO) -> Run:
        try:
            return cls(schema=Schema.read(schema, folder), model=_load_model(model, Path(folder) / MODEL))
        except Mistake:
            raise
        except Exception as error:  # JSON, zipfile, skops and what they call each have their own for a damaged file
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # zipfile seeks to nowhere
                raise unreadable(error, folder) from None
            what = f"{type(error).__name__}: {' '.join(str(error).split())}"
            raise Mistake("damaged run", got=repr(folder), why=what) from None

    @property
    def labels(self) -> NDArray[Any]:
        """The model's classes: int where the table's labels are, else str."""
        return np.asarray(self.model.classes_)

    def log_proba(self, rows: Rows, unseen: Unseen) -> NDArray[Any]:
        """Returns log p, rows × classes; `unseen` gets the values of categories that training did not have."""
        X = rows.features(self.schema.columns)
        unseen.add(X, self.schema.columns)
        return log_proba(self.model, X)

    def save(self, folder: str, metrics: dict[str, Any], write_report: Callable[[Path], None]) -> None:
        """Writes all files or none: if one cannot be written, what was there before is left as it was."""
        path = Path(os.path.realpath(folder))
        try:
            with whole_folder(path) as new:
                model_file.dump(self.model, new / MODEL)
                for name, content in ((SCHEMA, asdict(self.schema)), (METRICS, metrics)):
                    (new / name).write_text(json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False), "utf-8")
                write_report(new / REPORT)
                shutil.copyfile(PAGE, new / EXPLORER)
        except OSError as error:
            raise Mistake("not saved", got=repr(folder), why=error.strerror or error) from None
        try:
            settle(path)
        except OSError as error:  # the run is saved all the same, in .saved
            raise Mistake("cannot write", got=repr(error.filename), why=error.strerror) from None


def unreadable(error: OSError, folder: str) -> Mistake:
    return Mistake("unreadable file", got=repr(error.filename or folder), why=error.strerror or error)


def relative(file: str, folder: str) -> str:
    """Returns the path of a file as the folder sees it, which stays true where both are moved; empty for no file."""
    return os.path.relpath(os.path.realpath(file), os.path.realpath(folder)) if os.path.exists(file) else ""


def saved_content(folder: str) -> Content:
    """Reads what the report of a run shows; a run of softxent 0.1 lacks it."""
    from softxent.app.report import Content

    path = Path(folder)
    try:
        with open_saved(path, SCHEMA) as stream:
            schema = Schema.read(stream, folder)
    except (FileNotFoundError, NotADirectoryError):
        raise Mistake("no run", got=repr(folder)) from None
    except OSError as error:
        raise unreadable(error, folder) from None
    try:
        with open_saved(path, CONTENT) as stream:
            return Content.read(stream)
    except FileNotFoundError:
        raise Mistake("no content", got=repr(folder), version=schema.softxent, data=schema.data) from None
    except OSError as error:
        raise unreadable(error, folder) from None
    except (ValueError, KeyError, TypeError):
        raise Mistake("damaged content", got=repr(folder), file=CONTENT) from None


def log_proba(model: Any, X: Any) -> NDArray[Any]:
    """Returns log p, rows × classes: the same bits with any number of threads."""
    from softxent.sklearn.threads import one_blas_thread

    with warnings.catch_warnings(), one_blas_thread():
        warnings.simplefilter("ignore")  # scikit-learn's, of values that training did not have
        return model.predict_log_proba(X)


def _load_model(stream: BinaryIO, path: Path) -> Any:
    import skops.io

    refused = untrusted(skops.io.get_untrusted_types(file=stream))
    if refused:
        raise Mistake("untrusted run", got=repr(str(path)), types=", ".join(refused))
    return skops.io.load(stream, trusted=sorted(TRUSTED))


def untrusted(types: Sequence[str]) -> list[str]:
    return sorted(set(types) - TRUSTED)
