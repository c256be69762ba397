"""Random tables as people write them, kinds × marks × encodings × delimiters × packing: all are read rightly."""

import bz2
import csv
import gzip
import io
import lzma
from contextlib import suppress
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softxent.app.tables import open_file
from softxent.app.words import Mistake

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "gb18030"]
PACKED = {"": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
MARKS = ["", "NA", "None", "-", ".", "na", "missing", "?", "unknown", "N/A", "null", "未知"]
DATES = ["%Y-%m-%d", "%d %b %Y", "%b %d, %Y", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M %p", "%Y年%m月%d日", "%Y/%m/%d"]
WORDS = ["red", "green", "12-15", "3 of 4", "ü ö", "北京", "none of it", "A1", 'say "hi"', "x;y,z"]


def number_text(x, decimal, thousands, unit):
    text = f"{x:,.2f}".replace(",", "_").replace(".", decimal).replace("_", thousands)
    return f"{unit}{text}" if unit in ("$", "€") else f"{text}{unit}"


@st.composite
def numbers(draw, rows, decimal):
    thousands = draw(st.sampled_from(["", " ", "." if decimal == "," else ","]))
    unit = draw(st.sampled_from(["", "$", "€", "%", " kg", " m/s"]))
    values = draw(st.lists(st.integers(-(10**9), 10**9), min_size=rows, max_size=rows))
    values = [0.5, *(value / 100 for value in values[1:])]  # one that is not to be mistaken for thousands
    return "number", [number_text(x, decimal, thousands, unit) for x in values], values


@st.composite
def dates(draw, rows, decimal):
    format = draw(st.sampled_from(DATES))
    minutes = draw(st.lists(st.integers(0, 40 * 365 * 1440), min_size=rows, max_size=rows))
    values = [datetime(1985, 12, 31), *(datetime(1985, 1, 1) + timedelta(minutes=m) for m in minutes[1:])]
    return "date", [x.strftime(format) for x in values], [datetime.strptime(x.strftime(format), format) for x in values]


@st.composite
def times(draw, rows, decimal):
    minutes = draw(st.lists(st.integers(0, 1439), min_size=rows, max_size=rows))
    return "number", [f"{m // 60}:{m % 60:02d}" for m in minutes], [m / 60 for m in minutes]


@st.composite
def texts(draw, rows, decimal):
    values = draw(st.lists(st.sampled_from(WORDS), min_size=rows, max_size=rows))
    return "text", values, values


@st.composite
def tables(draw):
    """A header, the rows as text, and of each column its kind and its values, None where missing."""
    rows, decimal = draw(st.integers(20, 60)), draw(st.sampled_from([".", ","]))
    columns = []
    for _ in range(draw(st.integers(2, 5))):
        kind, written, values = draw(draw(st.sampled_from([numbers, dates, times, texts]))(rows, decimal))
        marks = draw(st.lists(st.sampled_from(MARKS if kind != "text" else ["", "NA", "?"]), min_size=1, max_size=3))
        missing = draw(st.lists(st.integers(1, rows - 1), max_size=rows // 3))
        stray = draw(st.booleans()) and kind != "text" and rows - len(missing) >= 41
        for index, row in enumerate(missing):
            written[row], values[row] = marks[index % len(marks)], None
        if stray:
            row = next(i for i in range(1, rows) if values[i] is not None)
            written[row], values[row] = "see notes", None
        columns.append((kind, written, values))
    return columns


def content(columns, delimiter):
    file = io.StringIO()
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerow([f"名 {i}" for i in range(len(columns))])
    writer.writerows(zip(*(written for _, written, _ in columns), strict=True))
    return file.getvalue()


@settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    columns=tables(),
    delimiter=st.sampled_from(",;\t|"),
    encoding=st.sampled_from(ENCODINGS),
    packed=st.sampled_from(sorted(PACKED)),
)
def test_every_value_of_every_table(tmp_path_factory, columns, delimiter, encoding, packed):
    path = tmp_path_factory.mktemp("t") / f"t.csv{packed}"
    path.write_bytes(PACKED[packed](content(columns, delimiter).encode(encoding)))
    rows = open_file(str(path)).read()
    found = rows.infer("", {})
    X = rows.features(found)
    for column, (kind, written, values) in zip(found, columns, strict=True):
        if column.kind == "constant":
            assert len(set(values)) == 1
            continue
        assert (column.kind, column.missing) == (kind, values.count(None)), written
        read = X[column.name]
        if kind == "text":
            assert read.astype("object").where(read.notna(), None).tolist() == values
        elif kind == "date":
            assert read.isna().tolist() == [value is None for value in values]
            assert read.dropna().tolist() == [pd.Timestamp(value) for value in values if value is not None]
        else:
            assert np.allclose(
                read, [np.nan if value is None else value for value in values], rtol=1e-14, equal_nan=True
            )


@settings(
    max_examples=100, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    data=st.one_of(st.binary(max_size=300), st.text('ab1,;\t\n" .{}[]:<', max_size=200).map(str.encode)),
    ending=st.sampled_from(["csv", "data", "json", "jsonl", "xlsx", "parquet", "svm", "npz", "csv.gz", "", "zip"]),
)
def test_any_bytes_are_a_table_or_a_mistake(tmp_path_factory, data, ending):
    path = tmp_path_factory.mktemp("t") / f"t.{ending}"
    path.write_bytes(data)
    with suppress(Mistake):
        rows = open_file(str(path)).read()
        rows.features(rows.infer("", {}))
        assert len(rows)
