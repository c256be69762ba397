"""Dataclasses, named tuples and arrays as JSON and back, by the types of their fields: report.json."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Sequence
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

INFINITE = {math.inf: "inf", -math.inf: "-inf"}  # JSON has neither of them, nor NaN


def encoded(value: Any) -> Any:
    """Returns what JSON can hold; what it has no way to write becomes text.

    >>> encoded({"loss": np.array([0.5, np.inf, np.nan]), "rows": np.int64(3)})
    {'loss': [0.5, 'inf', 'nan'], 'rows': 3}
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else INFINITE.get(value, "nan")
    if dataclasses.is_dataclass(value):
        return {field.name: encoded(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {name: encoded(each) for name, each in value.items()}
    if isinstance(value, Sequence):
        return [encoded(each) for each in value]
    return str(value)


def decoded(kind: Any, value: Any) -> Any:
    """Returns the value of that type which was encoded.

    >>> decoded(tuple[float, ...], [0.5, "inf"]), decoded(int | None, None), decoded(dict[str, float], {"a": 1})
    ((0.5, inf), None, {'a': 1.0})
    """
    if kind is Any:
        return value
    origin, inner = get_origin(kind), get_args(kind)
    if origin is types.UnionType:
        return None if value is None else decoded(next(each for each in inner if each is not type(None)), value)
    if origin is np.ndarray:
        return np.array(value, get_args(inner[1])[0])  # "inf" too
    if origin is dict:
        return {name: decoded(inner[1], each) for name, each in value.items()}
    if origin is tuple and inner[-1] is not Ellipsis:
        return tuple(decoded(each, part) for each, part in zip(inner, value, strict=True))
    if origin in (tuple, list):
        return origin(decoded(inner[0], each) for each in value)
    if dataclasses.is_dataclass(kind):
        return kind(**_fields(kind, value))  # type: ignore[operator]
    if hasattr(kind, "_fields"):
        return kind(*_fields(kind, dict(zip(kind._fields, value, strict=False))).values())
    return kind(value)


def _fields(kind: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Decodes the fields that were saved; one that is newer than the file keeps its default."""
    hints = get_type_hints(kind)
    return {name: decoded(hints[name], each) for name, each in values.items() if name in hints}
