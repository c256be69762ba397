"""What people write where they have no value."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# Missing in every column, labels too: what Arrow and pandas read so, and the ? of the UCI repository
EVERYWHERE = pa.array(["", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "-nan", "NULL", "null", "<NA>", "NaT"])
# The same in any case, and a point alone as SAS has it: missing in every feature
IN_FEATURES = pa.array(["na", "n/a", "#n/a", "n.a.", "nan", "-nan", "null", "(null)", "<na>", "nat", ".", "\\n"])
# Missing among numbers and dates only; elsewhere it may be an answer, like the category `none`
AMONG_NUMBERS = pa.concat_arrays(
    [
        IN_FEATURES,
        pa.array(["-", "--", "---", "–", "—", "−", "..", "...", "…", "_", "??", "???", "*", "**", "/", "n.a", "n/d"]),
        pa.array(["none", "nil", "nd", "missing", "unknown", "unk", "undefined", "not available", "not applicable"]),
        pa.array(["not known", "not recorded", "no data", "tbd", "tba", "blank", "#value!", "#ref!", "#div/0!"]),
        pa.array(
            ["#num!", "#name?", "#null!", "无", "缺失", "未知", "不详", "暂无", "空", "缺", "未填", "没有", "无数据"]
        ),
    ]
)


def without_missing(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Returns the texts without blanks around them, null where nothing but a mark of a missing value is written."""
    trimmed = pc.utf8_trim_whitespace(text)
    return null_where(pc.is_in(trimmed, EVERYWHERE), trimmed)


def without_marks(text: pa.ChunkedArray, marks: pa.Array) -> pa.ChunkedArray:
    """Does the same with the marks given, in any case."""
    return null_where(pc.is_in(pc.utf8_lower(text), marks), text)


def null_where(condition: pa.ChunkedArray, values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.if_else(condition, pa.scalar(None, values.type), values)
