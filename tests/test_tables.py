"""Files that users have: what is found in them, in which encoding, and what is wrong with them, by exact text."""

import itertools

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from scipy import sparse

from softxent.app.tables import digits, open_file
from softxent.app.tables.columns import Column
from softxent.app.tables.kinds import Asked, infer
from softxent.app.tables.text import BLOCK
from softxent.app.words import Mistake


@pytest.fixture
def save(tmp_path, monkeypatch):
    """Writes a file, bytes or a list of lines, and returns its name."""
    monkeypatch.chdir(tmp_path)

    def write(name, content):
        data = content if isinstance(content, bytes) else "\n".join(content).encode()
        (tmp_path / name).write_bytes(data)
        return name

    return write


def column(name, *values, prefer=".", asked=None):
    """The kind of a column of text with these values."""
    return infer(name, pa.chunked_array([pa.array(values, pa.string())]), prefer, asked)


# What is found ------------------------------------------------------------------------------------------------------

CHINESE = ["姓名,年龄,城市", "张三,30,北京", "李四,25,上海"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030", "gbk"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_chinese_in_every_encoding(save, encoding, delimiter):
    source = open_file(save("t.csv", "\r\n".join(CHINESE).replace(",", delimiter).encode(encoding)))
    assert source.names == ["姓名", "年龄", "城市"]
    assert source.read().table.to_pydict() == {"姓名": ["张三", "李四"], "年龄": ["30", "25"], "城市": ["北京", "上海"]}


@pytest.mark.parametrize(
    ("encoding", "line"),
    [
        ("gb18030", "年龄,label"),  # two characters only
        ("cp1252", "größe,straße,café"),
        ("cp1251", "имя,возраст,город"),
        ("big5", "姓名,年齡,臺北市"),
        ("shift_jis", "名前,年齢,さくら"),
    ],
)
def test_encodings_without_a_mark(save, encoding, line):
    assert open_file(save("t.csv", f"{line}\n1,2,3\n".encode(encoding))).names == line.split(",")


@pytest.mark.parametrize(
    ("lines", "names", "rows"),
    [
        (["a;b", "1,5;2,5", "3,5;4,5"], ["a", "b"], [["1,5", "3,5"], ["2,5", "4,5"]]),
        (['"a,b";c', '"x,y";1'], ["a,b", "c"], [["x,y"], ["1"]]),
        (["a,b", '"two\nlines",1', '"say ""hi""",2'], ["a", "b"], [["two\nlines", 'say "hi"'], ["1", "2"]]),
        (["", "a,b", "", "1,2", ""], ["a", "b"], [["1"], ["2"]]),
        ([" a , b ", "1,2"], ["a", "b"], [["1"], ["2"]]),
        ([",b", "0,2"], ["column 0", "b"], [["0"], ["2"]]),  # as pandas saves an index
        (["a", "1", "2"], ["a"], [["1", "2"]]),
    ],
)
def test_text(save, lines, names, rows):
    source = open_file(save("t.csv", lines))
    assert source.names == names
    assert list(source.read().table.to_pydict().values()) == rows


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", " 2.5 ", "-3e4", "+0", ""], "number"),
        (["1", "NA", "?", "NaN", "null"], "number"),
        (["007", "008"], "number"),
        (["1", "x"], "text"),
        (["true", "false"], "text"),
        (["2024-01-05", "2023-12-31 23:59:00"], "date"),
        (["2024-01-05T10:00:00Z", "2024-01-05T10:00:00+08:00"], "date"),
        (["2024/1/5", "2023/12/31"], "date"),
        (["2024年1月5日", "2023年12月31日"], "date"),
        (["31.12.2023", "05.01.2024 09:30"], "text"),
        (["31/12/2023", "05/01/2024"], "date"),
        (["12/31/2023", "01/05/2024"], "date"),
        (["12/31/2023", "31/12/2023"], "text"),
        (["", "NA"], "empty"),
        (["a", "a"], "constant"),
        (["a", ""], "text"),  # there or not
    ],
)
def test_kinds(values, kind):
    assert column("a", *values).kind == kind


@pytest.mark.parametrize(
    ("values", "identifier"),
    [
        ([f"P{i}" for i in range(30)], True),
        ([str(i) for i in range(30)], True),
        ([f"{i}.5" for i in range(30)], False),
        ([f"a long text {i}" for i in range(30)], False),
        (["1", "2", "3"], False),
        (["1"] * 29 + ["2"], False),
    ],
)
def test_identifiers(values, identifier):
    assert column("a", *values).identifier is identifier


TYPED = {
    "i": pa.array([1, 2, None], pa.int8()),
    "f": pa.array([1.5, float("nan"), 2.5], pa.float32()),
    "s": pa.array(["x", " y ", ""], pa.large_string()),
    "c": pa.array(["x", "y", None]).dictionary_encode(),
    "b": pa.array([True, None, False]),
    "d": pa.array([0, 1, None], pa.date32()),
    "t": pa.array([0, 1, None], pa.timestamp("ns", "UTC")),
    "n": pa.nulls(3),
}


@pytest.mark.parametrize("ending", ["parquet", "feather", "arrow", "arrows"])
def test_typed_columns(tmp_path, ending):
    table, path = pa.table(TYPED), tmp_path / f"t.{ending}"
    if ending == "parquet":
        pa.parquet.write_table(table, path)
    elif ending == "arrows":
        with pa.ipc.new_stream(path, table.schema) as stream:
            stream.write(table)
    else:
        pa.feather.write_feather(table, path)
    rows = open_file(str(path)).read()
    columns = rows.infer("", {})
    kinds = {
        "i": "number",
        "f": "number",
        "s": "text",
        "c": "text",
        "b": "text",
        "d": "date",
        "t": "date",
        "n": "empty",
    }
    assert {each.name: each.kind for each in columns} == kinds
    assert {each.missing for each in columns} == {1, 3}
    X = rows.features(columns)
    assert X.isna().sum().to_dict() == dict.fromkeys("ifscbdt", 1)
    assert (X["f"].dtype, X["i"].dtype) == (np.float32, np.float64)
    assert X["b"].tolist()[::2] == ["true", "false"]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["1", "10", "2"], [1, 10, 2]),
        (["01", "10"], ["01", "10"]),
        (["1.0", "2.0"], ["1.0", "2.0"]),
        ([" a ", "b"], ["a", "b"]),
        ([True, False], ["true", "false"]),
        ([1.0, 2.0], [1, 2]),
        ([1, 0], [1, 0]),
    ],
)
def test_labels_keep_their_names(values, labels):
    from softxent.app.tables.columns import labels as of

    found, missing = of(pa.chunked_array([pa.array(values)]))
    assert (found.tolist(), missing.any()) == (labels, False)


def test_labels_missing():
    from softxent.app.tables.columns import labels

    for values in (["a", "", None], [1, None, None], [0.0, float("nan"), None]):
        assert labels(pa.chunked_array([pa.array(values)]))[1].tolist() == [False, True, True]


def test_numpy_file(tmp_path):
    np.savez(tmp_path / "t.npz", X=np.arange(12, dtype=np.float32).reshape(2, 2, 3), y=np.array(["a", "b"]))
    source = open_file(str(tmp_path / "t.npz"))
    assert source.names == [*(f"X[{i}]" for i in range(6)), "y"]
    rows = source.read()
    X = rows.features(rows.infer("y", {}))
    assert X.to_numpy().tolist() == [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]]
    assert set(X.dtypes) == {np.dtype(np.float32)}


@pytest.mark.parametrize("first", [0, 1])
def test_svmlight(save, first):
    source = open_file(save("t.svm", [f"1 {first}:0.5 {first + 2}:1.5", f"-1 {first + 1}:2"]))
    rows = source.read()
    columns = rows.infer("label", {})
    X = rows.features(columns)
    assert sparse.issparse(X)
    assert X.toarray().tolist() == [[0] * first + [0.5, 0, 1.5], [0] * first + [0, 2, 0]]
    assert rows.labels("label")[0].tolist() == [1, -1]
    small = open_file(save("small.svm", [f"1 {first}:4"])).read()
    assert small.features(columns).shape == (1, first + 3)


def test_digits():
    rows = digits().read()
    assert len(rows) == 1797
    assert {each.kind for each in rows.infer("digit", {})} == {"number", "constant"}


def test_batches_are_the_whole(save):
    lines = ["n,text", *(f'{i},"row {i}, {"x" * 200}"' for i in range(30_000))]
    source = open_file(save("t.csv", "\n".join(lines).encode()))
    batches = list(source.batches())
    assert len(batches) > 1  # more than a BLOCK
    assert sum(map(len, lines)) > BLOCK
    assert [batch.start for batch in batches] == [0, *itertools.accumulate(map(len, batches[:-1]))]
    assert list(itertools.chain(*(batch.table["n"].to_pylist() for batch in batches))) == [*map(str, range(30_000))]


# What is wrong ------------------------------------------------------------------------------------------------------


def parquet(tmp_path, table):
    pa.parquet.write_table(pa.table(table), tmp_path / "t.parquet")
    return "t.parquet"


@pytest.mark.parametrize(
    ("name", "content", "en", "zh"),
    [
        ("t.csv", b"", "'t.csv' is empty", "'t.csv' 是空文件"),
        ("t.csv", b"\n \n", "'t.csv' is empty", "'t.csv' 是空文件"),
        ("t.csv", b";\n", "'t.csv' is empty", "'t.csv' 是空文件"),
        ("t.csv", b"a,b\n", "'t.csv' has no rows below its header", "'t.csv' 除表头外没有任何行"),
        (
            "t.csv",
            b"a,b\n1,2\n3,4,5\n",
            "'t.csv' has 3 fields in line 3, but must have 2, as the header",
            "'t.csv' 第 3 行有 3 个字段，应与表头一样有 2 个",
        ),
        (
            "t.csv",
            b'a,b\n"two\nlines",2\n\n3\n',
            "'t.csv' has 1 fields in line 5, but must have 2, as the header",
            "'t.csv' 第 5 行有 1 个字段，应与表头一样有 2 个",
        ),
        (
            "t.csv",
            b"a,b,a\n1,2,3\n",
            "'t.csv' has two columns 'a', but each must have a name of its own",
            "'t.csv' 有两列都叫 'a'，列名不能重复",
        ),
        (
            "t.parquet",
            b"a,b\n1,2\n",
            "'t.parquet' is text, not the Parquet that its ending says",
            "'t.parquet' 是文本，不是扩展名所说的 Parquet",
        ),
        (
            "t.csv",
            b"PAR1\x15\x04",
            "'t.csv' is Parquet, not the CSV that its ending says: rename it to end in .parquet",
            "'t.csv' 其实是 Parquet，不是扩展名所说的 CSV：请把扩展名改为 .parquet",
        ),
        (
            "t.csv",
            b"\xd0\xcf\x11\xe0\xa1\xb1",
            "'t.csv' is a workbook of the old Excel (.xls): save it as .xlsx or CSV",
            "'t.csv' 是旧版 Excel 工作簿（.xls）：请另存为 .xlsx 或 CSV",
        ),
        (
            "t.csv",
            b"\x7fELF\0\0",
            "'t.csv' is not the CSV that its ending says",
            "'t.csv' 不是扩展名所说的 CSV",
        ),
    ],
)
def test_mistakes_in_files(save, name, content, en, zh):
    with pytest.raises(Mistake) as raised:
        open_file(save(name, content)).read()
    assert (raised.value.say("en"), raised.value.say("zh")) == (en, zh)


@pytest.mark.parametrize(
    ("name", "content", "beginning"),
    [
        ("t.parquet", b"PAR1 cut short", "'t.parquet' cannot be read: "),
        ("t.arrow", b"ARROW1 cut short", "'t.arrow' cannot be read: "),
        ("t.npz", b"PK\x03\x04 cut short", "'t.npz' cannot be read: "),
        ("t.svm", b"a b c\n", "'t.svm' cannot be read: "),
        ("t.csv", b"a,b\n" + b"1,2\n" * (1 << 18) + b"\xff\xfe,2\n", "'t.csv' cannot be read: "),
    ],
)
def test_damaged_files(save, name, content, beginning):
    with pytest.raises(Mistake) as raised:
        open_file(save(name, content)).read()
    assert str(raised.value).startswith(beginning)
    assert "\n" not in str(raised.value)


def test_no_such_file():
    with pytest.raises(Mistake, match=r"^there is no file 'nowhere\.csv'$"):
        open_file("nowhere.csv")


def test_arrays_of_different_lengths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("t.npz", X=np.ones((3, 2)), y=np.ones(4))
    expected = "'t.npz' must have arrays with a row an example, all of one length, but has X (3, 2), y (4,)"
    with pytest.raises(Mistake) as raised:
        open_file("t.npz")
    assert str(raised.value) == expected


def test_column_of_lists(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = open_file(parquet(tmp_path, {"a": [[1], [2]], "y": [0, 1]})).read()
    with pytest.raises(
        Mistake, match=r"^column 'a' is list<.*>, but must be numbers, text, booleans or dates; leave it"
    ):
        rows.infer("y", {})
    assert [each.kind for each in rows.infer("y", {"a": Asked("drop")})] == ["dropped"]


@pytest.mark.parametrize(
    ("kind", "format", "bad", "en"),
    [
        ("number", "", "abc", "column 'a' has 'abc' in line 5, but must have a number, as in training"),
        (
            "number",
            "",
            "inf",
            "column 'a' has inf in line 5, but must have numbers in ±1e100; leave the field empty if it is",
        ),
        (
            "date",
            "%Y/%m/%d",
            "5.1.2024",
            "column 'a' has '5.1.2024' in line 5, but must have a date written %Y/%m/%d, as",
        ),
    ],
)
def test_wrong_values_are_placed(save, kind, format, bad, en):
    good = {"number": "1", "date": "2024/1/5"}[kind]
    rows = open_file(save("t.csv", ["a,b", f'{good},"two', 'lines"', f",{good}", f"{bad},2", f"{good},2"])).read()
    with pytest.raises(Mistake) as raised:
        rows.features([Column("a", kind, format=format)])
    assert str(raised.value).startswith(en)


def test_wrong_value_of_a_typed_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = open_file(parquet(tmp_path, {"a": ["1", "2", "x"]})).read()
    with pytest.raises(Mistake) as raised:
        rows.features([Column("a", "number")])
    expected = "column 'a' has 'x' in row 2 (counted from 0), but must have a number, as in training"
    assert str(raised.value) == expected


def test_features_are_what_pandas_reads(save):
    lines = ["n,d,t", "1.5,2024-01-05,x", "NA,,", "-2,2023-12-31,y"]
    rows = open_file(save("t.csv", lines)).read()
    expected = pd.read_csv("t.csv", parse_dates=["d"])
    found = rows.features(rows.infer("", {})).astype({"t": "str"})
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
