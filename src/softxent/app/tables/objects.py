"""Columns of Python values, as workbooks and JSON have them: one type each, or text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

import pyarrow as pa


def array_of(values: Iterable[Any]) -> pa.Array:
    """Returns numbers, booleans or timestamps if all values are such, lists if any is nested, or text."""
    found = [None if value is None or value != value else value for value in values]  # NaN is missing
    kinds = {_kind(value) for value in found if value is not None}
    if "nested" in kinds:
        return pa.array([None if value is None else [str(value)] for value in found])
    if kinds == {"date"}:
        return pa.array([value and _moment(value) for value in found], pa.timestamp("us"))
    if kinds == {"bool"}:
        return pa.array(found, pa.bool_())
    if kinds == {"number"}:
        return pa.array([value if value is None else float(value) for value in found], pa.float64())
    return pa.array([None if value is None else _text(value) for value in found], pa.string())


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, date):
        return "date"
    return "nested" if isinstance(value, dict | list) else "text"


def _moment(value: date) -> datetime:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else datetime.combine(value, time())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**53:
        return str(int(value))
    if isinstance(value, date):
        return _moment(value).isoformat(" ").removesuffix(" 00:00:00")
    if isinstance(value, timedelta):
        minutes, seconds = divmod(int(value.total_seconds()), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
    return str(value)
