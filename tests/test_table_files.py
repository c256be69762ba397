"""Files of every kind that is read, packed, piped, in folders, without a header; what cannot be read, by exact text."""

import bz2
import gzip
import io
import lzma
import os
import threading
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from softxent.app.tables import inputs, open_file, open_files
from softxent.app.words import Mistake

FRAME = pd.DataFrame(
    {
        "n": [1.5, None, -3.0, 4.0],
        "w": [3, 4, 5, 6],
        "text": ["x", "y, z", None, "ü"],
        "day": pd.to_datetime(["2024-01-05", "2023-12-31", "2024-02-01", None]),
    }
)
KINDS = {"n": "number", "w": "number", "text": "text", "day": "date"}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def zstandard(data):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


def zipped(data):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("inside.csv", data)
    return file.getvalue()


def written(how):
    with io.BytesIO() as file:
        how(file)
        return file.getvalue()


CONTENT = {
    "csv": FRAME.to_csv(index=False).encode(),
    "tsv": FRAME.to_csv(index=False, sep="\t").encode(),
    "parquet": written(lambda file: FRAME.to_parquet(file)),
    "feather": written(lambda file: FRAME.to_feather(file)),
    "xlsx": written(lambda file: FRAME.to_excel(file, index=False)),
    "jsonl": FRAME.assign(day=FRAME["day"].astype("str")).to_json(orient="records", lines=True).encode(),
    "json": FRAME.assign(day=FRAME["day"].astype("str")).to_json(orient="records", indent=1).encode(),
}
PACKED = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard,
    ".zip": zipped,
}


def write(name, data):
    os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
    with open(name, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return name


def check(source):
    rows = source.read()
    columns = rows.infer("", {})
    assert {column.name: column.kind for column in columns} == KINDS
    found = rows.features(columns)
    np.testing.assert_array_equal(found["n"], FRAME["n"])
    assert found["w"].tolist() == FRAME["w"].tolist()
    assert found["text"].astype("object").where(found["text"].notna(), None).tolist() == ["x", "y, z", None, "ü"]
    assert found["day"].astype("datetime64[us]").equals(FRAME["day"].astype("datetime64[us]"))


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("ending", CONTENT)
def test_every_kind_packed_or_not(ending, packed):
    if packed != ".zip" or ending == "csv":
        source = open_file(write(f"t.{ending}{packed}", PACKED[packed](CONTENT[ending])))
        assert source.stem == ("inside" if packed == ".zip" else "t")
        check(source)


@pytest.mark.parametrize("ending", CONTENT)
@pytest.mark.parametrize("name", ["t", "t.data", "t.unknown"])
def test_content_tells_where_the_ending_does_not(name, ending):
    check(open_file(write(name, CONTENT[ending])))


def test_packed_twice_and_under_another_name():
    check(open_file(write("t.csv", gzip.compress(bz2.compress(CONTENT["csv"])))))


@pytest.mark.parametrize("ending", ["csv", "parquet", "xlsx", "jsonl"])
def test_standard_input(monkeypatch, ending):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(CONTENT[ending]))))
    source = open_file("-")
    check(source)
    assert (source.path, source.stem, source.names_to_open) == ("stdin", "stdin", [])


def test_pipe_is_read_once():
    os.mkfifo("pipe")
    thread = threading.Thread(target=write, args=("pipe", CONTENT["csv"]))
    thread.start()
    check(open_file("pipe"))
    thread.join()


def test_temporary_copies_go_with_the_source():
    source = open_file(write("t.csv.gz", gzip.compress(CONTENT["csv"])))
    copy = source.file.path
    assert copy.is_file()
    del source
    assert not copy.exists()


# Several files ------------------------------------------------------------------------------------------------------


def test_several_files_are_one_table():
    write("d/a.csv", "n,t\n1,x\n2,y\n")
    write("d/b.tsv.gz", gzip.compress(b"t\tn\nz\t3\n"))
    write("d/.hidden.csv", "nothing")
    write("d/notes.md", "# notes")
    for source in (open_files(["d/a.csv", "d/b.tsv.gz"]), open_file("d"), open_file("d/")):
        rows = source.read()
        assert rows.table.to_pydict() == {"n": ["1", "2", "3"], "t": ["x", "y", "z"]}
        assert [source.place(row).say("en") for row in (1, 2)] == [
            "in line 3 of 'd/a.csv'",
            "in line 2 of 'd/b.tsv.gz'",
        ]
        assert source.place(2).say("zh") == "在第 2 行（'d/b.tsv.gz'）"
    assert open_file("d/").stem == "d"
    os.chdir("d")
    assert open_file(".").stem == "d"
    os.chdir("..")
    assert list(map(str, inputs(["d", "-", "none.csv"]))) == ["d/a.csv", "d/b.tsv.gz"]


def test_files_of_several_kinds_agree_on_types():
    FRAME.to_parquet("a.parquet")
    write("b.csv", CONTENT["csv"])
    rows = open_files(["a.parquet", "b.csv"]).read()
    columns = rows.infer("", {})
    assert {column.name: column.kind for column in columns} == KINDS
    np.testing.assert_array_equal(rows.features(columns)["n"], [*FRAME["n"], *FRAME["n"]])


def test_sparse_files_of_several_widths():
    write("a.svm", "1 0:1\n")
    write("b.svm", "2 3:1.5\n0 1:4\n")
    rows = open_files(["a.svm", "b.svm"]).read()
    assert rows.features(rows.infer("label", {})).toarray().tolist() == [[1, 0, 0, 0], [0, 0, 0, 1.5], [0, 4, 0, 0]]
    assert rows.labels("label")[0].tolist() == [1, 2, 0]


# Text ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "names", "rows"),
    [
        ("iris.data", "5.1,3.5,setosa\n4.9,3.0,setosa\n6.2,2.9,virginica\n", 3, 3),
        ("iris.csv", "5.1,3.5,setosa\n4.9,3.0,setosa\n6.2,2.9,virginica\n", 3, 3),
        ("car.data", "vhigh,2,small\nhigh,2,small\nvhigh,more,small\n", 3, 3),
        ("wine.data", "1,14.23,1.71\n2,13.2,1.78\n", 3, 2),
        ("glass.data", "1,1.52101,13.64\n2,1.51761,13.89\n3,1.51618,13.53\n", 3, 3),
        ("yeast.data", "A_YEAST  0.58  0.61  MIT\nB_YEAST  0.43  0.67  MIT\n", 4, 2),
        ("seeds.data", "15.26\t14.84\t\t1\n14.88\t14.57\t2\n", 3, 2),
        ("auto.data", '18.0   8   "chevrolet chevelle"\n15.0   ?   "buick skylark"\n', 3, 2),
        ("missing.data", "?,1.5,a\n2,2.5,a\n3,?,a\n", 3, 3),
    ],
)
def test_files_without_a_header(name, text, names, rows):
    source = open_file(write(name, text))
    assert source.names == [f"x{i}" for i in range(1, names + 1)]
    found = source.read()
    assert len(found) == rows
    assert found.table.column(0)[0].as_py() == text.split(maxsplit=1)[0].split(",")[0]
    assert source.place(rows - 1).values == {"line": rows}
    said = (
        f"the first line of '{name}' is data, not names: its columns are called x1 … x{names}",
        f"'{name}' 的第一行是数据，不是列名：各列依次叫 x1 … x{names}",
    )
    assert [(note.say("en"), note.say("zh")) for note in source.notes] == [said]
    assert [source.column("2"), source.column("x1")] == ["x2", "x1"]


@pytest.mark.parametrize(
    "text",
    [
        "country,2019,2020\nFrance,1.5,2\nSpain,3,4\n",
        "country,2019\nFrance,12\nSpain,13\n",
        "0,1,2\n1.5,2.5,3\n4,5,6\n",  # as pandas names columns that have no names
        "a,b\nx,y\nz,y\n",
        "id,name\n1,x\n2,y\n",
        "a b,c\n1,2\n",
        "a\n1\n2\n",
        "1 2 3,a\nx,1\n",
        "name,name 2\nname,1\n",
        "n,t\n1,x\nn,t\n2,y\n",  # two files, one behind the other
    ],
)
def test_headers_that_look_like_data(text):
    source = open_file(write("t.csv", text))
    assert source.names == [name.strip() for name in text.split("\n")[0].split(",")]
    assert source.notes == []


def test_ragged_without_header():
    with pytest.raises(Mistake) as raised:
        open_file(write("t.data", "1.5,2.5,a\n1.5,2.5,a\n3.5,b\n")).read()
    assert str(raised.value) == "'t.data' has 2 fields in line 3, but must have 3, as the first line"
    assert raised.value.say("zh") == "'t.data' 第 3 行有 2 个字段，应与第一行一样有 3 个"


# Workbooks and JSON -------------------------------------------------------------------------------------------------


def test_sheets():
    with pd.ExcelWriter("t.xlsx") as book:
        FRAME.to_excel(book, sheet_name="first", index=False)
        pd.DataFrame({"a": [1, 2]}).to_excel(book, sheet_name="other b", index=False, startrow=3, startcol=1)
    source = open_file("t.xlsx")
    check(source)
    assert [note.say("en") for note in source.notes] == [
        "'t.xlsx' has 2 sheets (first, other b): the first, 'first', is read. For another: 't.xlsx:other b'"
    ]
    assert source.notes[0].say("zh") == (
        "'t.xlsx' 有 2 个工作表（first, other b）：读取第一个 'first'。要读别的，请写 't.xlsx:other b'"
    )
    assert list(map(str, inputs(["t.xlsx:first"]))) == ["t.xlsx"]
    source = open_file("t.xlsx:first")
    check(source)
    assert (source.notes, source.place(2).say("en"), source.place(2).say("zh")) == (
        [],
        "in row 4 of the sheet",
        "在工作表第 4 行",
    )
    with pytest.raises(Mistake, match=r"^'t\.xlsx' has no sheet 'none': its sheets are first, other b$"):
        open_file("t.xlsx:none")


def test_cells_of_a_workbook():
    cells = {"mixed": [1, "unknown", 2.5], "flag": [True, None, False], "day": [pd.Timestamp("2024-01-05"), "?", None]}
    pd.DataFrame(cells).to_excel("t.xlsx", index=False)
    rows = open_file("t.xlsx").read()
    assert rows.table.to_pydict() == {
        "mixed": ["1", "unknown", "2.5"],
        "flag": [True, None, False],
        "day": ["2024-01-05", "?", None],
    }
    assert [column.kind for column in rows.infer("", {})] == ["number", "text", "date"]


def test_records_may_lack_fields():
    write("t.jsonl", '{"a": 1, "b": "x"}\n\n{"a": "unknown", "c": true}\n{"a": 12345678901.5, "c": [1]}\n')
    source = open_file("t.jsonl")
    table = source.read().table
    assert table.column_names == ["a", "b", "c"]
    assert table["a"].to_pylist() == ["1", "unknown", "12345678901.5"]
    assert table["b"].to_pylist() == ["x", None, None]
    assert source.place(1).say("en") == "in line 3"
    with pytest.raises(Mistake, match=r"^column 'c' is list<"):
        source.read().infer("", {})


# What is wrong ------------------------------------------------------------------------------------------------------

KNOWN = (
    ".csv .tsv .tab .txt .parquet .pq .arrow .feather .ipc .arrows .xlsx .xlsm .jsonl .ndjson .json .npz .svmlight "
    ".libsvm .svm"
)


@pytest.mark.parametrize(
    ("name", "content", "en", "zh"),
    [
        (
            "t.docx",
            b"\0\1\2",
            f"'t.docx' is no table that can be read: expected {KNOWN}, any of them packed (.gz .bz2 .xz .zst .zip), "
            "or text whose lines all have as many fields",
            f"'t.docx' 不是能读取的表：应为 {KNOWN}，都可以是压缩过的（.gz .bz2 .xz .zst .zip），"
            "或各行字段数相同的文本",
        ),
        (
            "t.dta",
            b"\0\1\2",
            f"'t.dta' is no table that can be read: expected {KNOWN}, any of them packed (.gz .bz2 .xz .zst .zip). "
            "To convert it in Python: pandas.read_stata('t.dta').to_parquet('t.parquet')",
            f"'t.dta' 不是能读取的表：应为 {KNOWN}，都可以是压缩过的（.gz .bz2 .xz .zst .zip）。"
            "可以用 Python 转换：pandas.read_stata('t.dta').to_parquet('t.parquet')",
        ),
        (
            "t.csv",
            b"<!DOCTYPE html>\n<html>",
            "'t.csv' is a web page, no table: perhaps the download failed; fetch the file itself",
            "'t.csv' 是网页，不是表：可能下载出了错，请下载数据文件本身",
        ),
        (
            "d/readme.md",
            b"x",
            f"the folder 'd' has no tables: expected files {KNOWN}",
            f"目录 'd' 里没有表：应有 {KNOWN} 文件",
        ),
        (
            "t.jsonl",
            b'{"a": 1}\n{"a": 2\n',
            "'t.jsonl' cannot be read: there is no JSON object in line 2",
            "'t.jsonl' 无法读取：在第 2 行没有 JSON 对象",
        ),
        ("t.csv.gz", gzip.compress(b""), "'t.csv.gz' is empty", "'t.csv.gz' 是空文件"),
        (
            "t.zip",
            zipped(b"a\n1\n") + b"",
            None,
            None,
        ),
    ],
)
def test_mistakes(name, content, en, zh):
    write(name, content)
    if en is None:
        assert len(open_file(name).read()) == 1
        return
    with pytest.raises(Mistake) as raised:
        open_file(name.rpartition("/")[0] or name).read()
    assert (raised.value.say("en"), raised.value.say("zh")) == (en, zh)


@pytest.mark.parametrize("packed", [".gz", ".bz2", ".xz", ".zst"])
def test_packed_files_cut_short(packed):
    name = write(f"t.csv{packed}", PACKED[packed](os.urandom(5000))[:3000])
    with pytest.raises(Mistake, match=rf"^'t\.csv\{packed}' cannot be read: \w"):
        open_file(name).read()


@pytest.mark.parametrize("ending", ["xlsx", "json", "jsonl"])
def test_files_cut_short(ending):
    with pytest.raises(Mistake, match=rf"^'t\.{ending}' cannot be read: \w"):
        open_file(write(f"t.{ending}", CONTENT[ending][:-40])).read()


@pytest.mark.parametrize(
    ("second", "en", "zh"),
    [
        (
            "n\n1\n",
            "'b.csv' has no 't', but 'a.csv' has: files that are read as one table must have the same columns",
            "'b.csv' 没有 't'，而 'a.csv' 有：作为一张表读取的各个文件，列必须相同",
        ),
        (
            "n,t,u\n1,x,2\n",
            "'b.csv' has 'u', but 'a.csv' has not: files that are read as one table must have the same columns",
            "'b.csv' 有 'u'，而 'a.csv' 没有：作为一张表读取的各个文件，列必须相同",
        ),
    ],
)
def test_columns_that_differ(second, en, zh):
    write("a.csv", "n,t\n1,x\n")
    write("b.csv", second)
    with pytest.raises(Mistake) as raised:
        open_files(["a.csv", "b.csv"])
    assert (raised.value.say("en"), raised.value.say("zh")) == (en, zh)


@pytest.mark.parametrize(
    ("error", "en", "zh"),
    [
        (
            PermissionError(13, "Permission denied"),
            "'t.csv' cannot be opened: you have no permission to read it",
            "'t.csv' 无法打开：没有读取权限",
        ),
        (FileNotFoundError(2, "No such file"), "there is no file 't.csv'", "没有文件 't.csv'"),
        (
            IsADirectoryError(21, "Is a directory"),
            "'t.csv' is a folder, but must be a file",
            "'t.csv' 是目录，应为文件",
        ),
        (OSError(5, "Input/output error"), "'t.csv' cannot be read: Input/output error", None),
    ],
)
def test_errors_of_the_environment(monkeypatch, softxent, error, en, zh):
    write("t.csv", CONTENT["csv"])
    original = io.open

    def fail(file, *args, **options):
        if str(file) == "t.csv":
            raise error
        return original(file, *args, **options)

    monkeypatch.setattr("builtins.open", fail)
    assert softxent("train", "t.csv", "--target", "text") == (2, "", f"error: {en}\n")
    if zh:
        assert softxent("train", "t.csv", "--target", "text", "--lang", "zh") == (2, "", f"错误：{zh}\n")


def test_a_file_that_vanishes_while_it_is_read():
    source = open_file(write("t.csv", CONTENT["csv"]))
    os.unlink("t.csv")
    with pytest.raises(Mistake, match=r"^there is no file 't\.csv'$"):
        source.read()


# The command ---------------------------------------------------------------------------------------------------------


def test_all_commands_read_them(softxent, monkeypatch):
    rng = np.random.default_rng(0)
    y = rng.choice(["a", "b"], 60)
    data = pd.DataFrame({"n": rng.normal(size=60) + 3 * (y == "a"), "y": y})
    data[:30].to_csv("1.csv.gz", index=False, header=False)
    data[30:].to_csv("2.data", index=False, header=False)
    code, out, err = softxent("train", "1.csv.gz", "2.data", "--target", "2", "--out", "run")
    assert (code, "error" in err) == (0, False)
    assert "the first line of '2.data' is data, not names: its columns are called x1 … x2" in err
    assert "explain --model run --data 1.csv.gz --data 2.data --row " in out
    row = out.split()[-1]
    assert softxent("explain", "--model", "run", "--data", "1.csv.gz", "--data", "2.data", "--row", row)[0] == 0
    assert softxent("evaluate", "run", "1.csv.gz", "2.data")[0] == 0
    alone = softxent("predict", "run", "1.csv.gz")[1] + softxent("predict", "run", "2.data")[1].partition("\n")[2]
    assert softxent("predict", "run", "1.csv.gz", "2.data")[1] == alone
    with open("1.csv.gz", encoding="latin-1") as stream:
        monkeypatch.setattr("sys.stdin", stream)
        code, out, _ = softxent("train", "-", "--target", "x2")
    assert (code, "explain --model" in out) == (0, False)
    assert os.path.isfile("runs/stdin/model.skops")
