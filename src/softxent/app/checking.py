"""Tries a function of the user's on batches of random logits: ordinary ones, and some that overflow exp."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softxent.app.words import Mistake, Phrase
from softxent.diagnosis import Diagnosis, diagnosis_of
from softxent.diagnosis.case import Case


@dataclass(frozen=True)
class Batch:
    rows: int
    classes: int
    dtype: str
    about: float
    size: float

    @property
    def phrase(self) -> Phrase:
        return Phrase("batch", **asdict(self))

    def draw(self, axis: int, ignore_index: int | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """The same each time; every third row is ignored if that is asked for."""
        rng = np.random.default_rng([self.rows, self.classes])
        logits = (self.about + self.size * rng.standard_normal((self.rows, self.classes))).astype(self.dtype)
        target = rng.integers(self.classes, size=self.rows)
        if ignore_index is not None:
            target[::3] = ignore_index
        return np.ascontiguousarray(np.moveaxis(logits, -1, axis)), target


BATCHES = (
    Batch(5, 4, "float32", 0, 1),  # more rows than classes, fewer, and neither number twice: N and V are told apart
    Batch(3, 7, "float64", 0, 3),
    Batch(8, 11, "float32", 0, 10),
    Batch(6, 9, "float32", 200, 3),  # exp overflows beyond 88
    Batch(2, 5, "float64", 2000, 3),  # and beyond 709
    Batch(4, 10, "float32", 0, 100),  # p rounds to 0
)


def function_of(name: str) -> tuple[Callable[..., Any], bool]:
    """The function that MODULE:FUNCTION names, in this folder or installed, and whether its module uses PyTorch."""
    module_name, _, path = name.partition(":")
    sys.path.insert(0, "")
    try:
        module = import_module(module_name)
    except Exception as error:  # whatever the user's module raises
        raise Mistake("check module", got=repr(name), why=Phrase("no module", error=shown(error))) from None
    finally:
        sys.path.remove("")
    function = getattr(module, path, None)
    if not callable(function):
        raise Mistake("check module", got=repr(name), why=Phrase("no function", name=repr(path)))
    return function, uses_torch(module)


def uses_torch(module: ModuleType) -> bool:
    homes = (getattr(value, "__module__", None) or getattr(value, "__name__", "") for value in vars(module).values())
    return any(str(home).startswith(("torch", "softxent.torch")) for home in homes)


def diagnoses(name: str, axis: int, options: dict[str, Any]) -> Iterator[tuple[Batch, Diagnosis]]:
    """One of each batch."""
    function, tensors = function_of(name)
    as_given = sys.modules["torch"].from_numpy if tensors else np.asarray
    for batch in BATCHES:
        logits, target = batch.draw(axis, options.get("ignore_index"))

        def tried(logits: Any, target: Any, batch: Batch = batch) -> Any:
            try:
                return function(logits, target)
            except Exception as error:  # whatever the user's function raises
                raise Mistake("check raised", got=name, error=shown(error), batch=batch.phrase) from None

        with np.errstate(all="ignore"):
            case = case_of(as_given(logits), as_given(target), tried, None, axis, options)
        yield batch, diagnosis_of(case)


def case_of(logits: Any, target: Any, loss: Any, grad: Any, axis: int, options: dict[str, Any]) -> Case:
    """As Case.of, whose errors are the user's."""
    try:
        return Case.of(logits, target, loss, grad, axis, options)
    except Mistake:
        raise
    except (TypeError, ValueError) as error:
        raise Mistake("check input", error=str(error)) from None


def shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
