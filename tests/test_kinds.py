"""What a column is taken for, and what the user is told of it, in both languages."""

import math

import numpy as np
import pyarrow as pa
import pytest

from softxent.app.tables import open_file
from softxent.app.tables.columns import Column
from softxent.app.tables.kinds import Asked, infer, notes
from softxent.app.task import Task
from softxent.app.words import Mistake, Phrase

MANY = [str(i) for i in range(99)]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(values):
    return pa.chunked_array([pa.array(values, pa.string())])


def inferred(*values, prefer=".", asked=None):
    return infer("a", table(values), prefer, asked)


def told(column, rows=2, *, lang="en"):
    return [note.say(lang) for note in notes([column], rows, lambda row: Phrase("in line", line=row + 2))]


def write(name, *lines):
    with open(name, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return name


@pytest.mark.parametrize(
    ("values", "unit", "numbers"),
    [
        (["1,234", "12", "1,234,567.5"], "", [1234, 12, 1234567.5]),
        (["1.234,5", "12", "-3"], "", [1234.5, 12, -3]),
        (["1 234,5", "1\u00a0234", "1\u202f234"], "", [1234.5, 1234, 1234]),
        (["1'234.5", "2’000", "3"], "", [1234.5, 2000, 3]),
        (["1,23,456", "12,34,567.5"], "", [123456, 1234567.5]),
        (["$1,234.50", "$5", "-$3", "$-4", "($2)"], "$", [1234.5, 5, -3, -4, -2]),
        (["US$ 5", "US$ 6.5"], "US$", [5, 6.5]),
        (["12,50 €", "3 €", "1.000,00 €"], "€", [12.5, 3, 1000]),
        (["￥１，２００", "￥３５"], "￥", [1200, 35]),
        (["61.5%", "3 %", "100%"], "%", [61.5, 3, 100]),
        (["3750 g", "3800g", "4000"], "g", [3750, 3800, 4000]),
        (["5 kg/m3", "7.5 kg/m3"], "kg/m3", [5, 7.5]),
        (["30元", "25 元"], "元", [30, 25]),
        (["−5", "+4", "1e-3", "2E5", "5.", ".5"], "", [-5, 4, 0.001, 2e5, 5, 0.5]),
        (["007", "12.50"], "", [7, 12.5]),
        (["10:37", "1:30 pm", "12:05 am", "23:59:30", "75:30"], "", [10 + 37 / 60, 13.5, 5 / 60, 24 - 0.5 / 60, 75.5]),
    ],
)
def test_numbers_as_people_write_them(values, unit, numbers):
    column = inferred(*values)
    assert (column.kind, column.unit, column.missing) == ("number", unit, 0)
    assert np.allclose(column.read(table(values), ".").values.to_pylist(), numbers, rtol=1e-14)


@pytest.mark.parametrize(
    "mark",
    ["None", "-", ".", "na", "NA", "missing", "?", "unknown", "UNKNOWN", "n.a.", "--", "NULL", "#DIV/0!", "无", "未知"],
)
@pytest.mark.parametrize(
    "values", [["1", "2.5", "3"], ["$5", "$6"], ["05 Jan 2020", "13 Feb 2021"], ["10:37", "11:00"]]
)
def test_marks_of_missing_values(values, mark):
    alone, marked = inferred(*values), inferred(*values, mark, mark)
    assert (marked.kind, marked.format, marked.unit) == (alone.kind, alone.format, alone.unit)
    assert marked.missing == 2
    assert marked.marks == ({} if mark in ("NA", "?", "NULL") else {mark: 2})


@pytest.mark.parametrize(
    ("values", "kind", "missing"),
    [
        (["x", "y", "none"], "text", 0),  # an answer
        (["x", "y", "na", "."], "text", 2),
        (["none", "unknown"], "text", 0),
        ([*MANY, "x"], "number", 1),
        ([*MANY[:10], "x"], "text", 0),
        (["12A", "7B", "12C", "1"], "text", 0),
        (["12-15", "3-4"], "text", 0),
        (["5'11", "6'2"], "text", 0),
        (["8/10", "7/10"], "text", 0),
        (["1.2.3", "3.11.2"], "text", 0),
        (["1,2,3", "4,5"], "text", 0),
        (["192.168.0.1", "10.0.0.1"], "text", 0),
        (["Jan", "Feb"], "text", 0),
        (["12 g", "3 kg"], "text", 0),
        (["10:75", "11:80"], "text", 0),
    ],
)
def test_nearly_all_values_decide(values, kind, missing):
    column = inferred(*values)
    assert (column.kind, column.missing) == (kind, missing)


@pytest.mark.parametrize(
    ("values", "format"),
    [
        (["05 Jan 2020", "13 Feb 2021"], "%d %b %Y"),
        (["Jan 5, 2020", "feb 13, 2021"], "%b %d, %Y"),
        (["January 5, 2020", "March 13, 2021"], "%B %d, %Y"),
        (["05-JAN-20", "13-FEB-21"], "%d-%b-%y"),
        (["05.01.20", "31.12.21"], "%d.%m.%y"),
        (["2020-01", "2021-12"], "ISO 8601"),
        (["12/31/2020 1:30 PM", "1/5/2021 11:00 am"], "%m/%d/%Y %I:%M %p"),
        (["Sun, 05 Jan 2020 10:37:00 +0100", "Mon, 06 Jan 2020 10:37:00 +0000"], "%a, %d %b %Y %H:%M:%S %z"),
        (["2020年1月5日 10时37分", "2020年12月31日 0时5分"], "%Y年%m月%d日 %H时%M分"),
        (["10/Oct/2000:13:55:36 -0700", "11/Oct/2000:13:55:36 -0700"], "%d/%b/%Y:%H:%M:%S %z"),
    ],
)
def test_dates_as_people_write_them(values, format):
    column = inferred(*values)
    assert (column.kind, column.format, column.missing) == ("date", format, 0)
    assert inferred(*values * 20, "soon").marks == {"soon": 1}


@pytest.mark.parametrize(
    ("values", "prefer", "number", "en", "zh"),
    [
        (
            [*MANY, "unknown"],
            ".",
            math.nan,
            "column 'a': 99 of 100 values are numbers; 'unknown' in line 101 is taken as missing",
            "列 'a'：100 个值中有 99 个是数值；在第 101 行的 'unknown' 视为缺失",
        ),
        (
            [*MANY, "x", "-", "-", "y", "z"],
            ".",
            math.nan,
            "column 'a': 99 of 104 values are numbers; the other 5 ('-', 'x', 'y', …; the first in line 101) "
            "are taken as missing",
            "列 'a'：104 个值中有 99 个是数值；其余 5 个（'-', 'x', 'y', …，第一处在第 101 行）视为缺失",
        ),
        (
            ["$1,234", "$5,678"],
            ".",
            5678,
            "column 'a': its numbers fit two readings; '$1,234' is read as 1234, not as 1.234. "
            "If that is wrong: --column a=number:comma",
            "列 'a'：其中的数有两种读法；'$1,234' 读作 1234，而不是 1.234。如果不对，请加 --column a=number:comma",
        ),
        (
            ["1.234", "5.678"],
            ",",
            5678,
            "column 'a': its numbers fit two readings; '1.234' is read as 1234, not as 1.234. "
            "If that is wrong: --column a=number:point",
            "列 'a'：其中的数有两种读法；'1.234' 读作 1234，而不是 1.234。如果不对，请加 --column a=number:point",
        ),
        (
            ["01/02/2020", "03/04/2021"],
            ".",
            None,
            "column 'a': its dates fit two formats; they are read as %d/%m/%Y, not as %m/%d/%Y. "
            "If that is wrong: --column a=date:%m/%d/%Y",
            "列 'a'：其中的日期符合两种写法；按 %d/%m/%Y 读取，而不是 %m/%d/%Y。"
            "如果不对，请加 --column a=date:%m/%d/%Y",
        ),
        (
            ["12 g", "3 kg"],
            ".",
            None,
            "column 'a' has numbers written in several ways, as '12 g' and '3 kg': it counts as text. "
            "To have numbers, write all with one unit and one decimal mark",
            "列 'a' 中的数写法不一，例如 '12 g' 和 '3 kg'，因此当作文本。若要当作数值，请统一单位和小数点",
        ),
        (
            ["02134", "90210"],
            ".",
            90210,
            "column 'a' has numbers with zeros in front, as codes have: if they are codes, add --column a=category",
            "列 'a' 中的数前面带 0，像是编码：如果确实是编码，请加 --column a=category",
        ),
    ],
)
def test_what_the_user_is_told(values, prefer, number, en, zh):
    column = inferred(*values, prefer=prefer)
    assert (told(column, len(values)), told(column, len(values), lang="zh")) == ([en], [zh])
    if number is not None:
        last = column.read(table(values), prefer).values.to_pylist()[-1]
        assert last == number or (last is None and math.isnan(number))


def test_the_other_columns_of_a_file_settle_the_decimal_mark():
    for lines, values in (
        (["a;b", "1.234;0,5", "5.678;1,5"], [1234, 5678]),
        (["a,b", '"1,234",0.5', '"5,678",1.5'], [1234, 5678]),
        (["a;b", "1,234;0.5", "5,678;1.5"], [1234, 5678]),
        (["a,b", "1.234,x", "5.678,y"], [1.234, 5.678]),  # nobody writes thousands so where commas separate fields
    ):
        rows = open_file(write("t.csv", *lines)).read()
        columns = rows.infer("", {})
        assert told(columns[0]) == []
        assert rows.features(columns)["a"].tolist() == values


# As the user says ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "asked", "kind", "read"),
    [
        (["02134", "90210"], Asked("category"), "category", ["02134", "90210"]),
        (["a", "b"], Asked("text"), "text", ["a", "b"]),
        (["1.5", "x", "y"], Asked("number"), "number", [1.5, None, None]),
        (["1,234", "2,5"], Asked("number", "comma"), "number", [1.234, 2.5]),
        (["1.234", "5.678"], Asked("number", "comma"), "number", [1234, 5678]),
        (["01/02/2020", "03/04/2021"], Asked("date", "%m/%d/%Y"), "date", ["2020-01-02", "2021-03-04"]),
        (["20200105", "20211231"], Asked("date"), "date", ["2020-01-05", "2021-12-31"]),
        (["1999", "2001"], Asked("date"), "date", ["1999-01-01", "2001-01-01"]),
        (["a", "b"], Asked("drop"), "dropped", None),
    ],
)
def test_as_the_user_says(values, asked, kind, read):
    column = inferred(*values, asked=asked)
    assert (column.kind, column.asked) == (kind, True)
    if read:
        found = column.read(table(values), ".").values.to_pylist()
        assert [str(value.date()) if kind == "date" else value for value in found] == read


def test_numbers_of_typed_files_as_categories():
    values = pa.chunked_array([pa.array([2134.0, None, 2.5])])
    column = infer("a", values, ".", Asked("category"))
    assert column.read(values, ".").values.to_pylist() == ["2134", None, "2.5"]


@pytest.mark.parametrize(
    ("options", "en", "zh"),
    [
        (
            ["--column", "n=numeric"],
            "--column is 'n=numeric', but must be NAME=KIND, as in n=category; the kinds are number, category, text, "
            "date, drop",
            "--column 是 'n=numeric'，应写成 列名=类型，例如 n=category；类型有 number, category, text, date, drop",
        ),
        (
            ["--column", "n=date:%Q"],
            "--column is 'n=date:%Q', but must be NAME=KIND, as in n=category; the kinds are number, category, text, "
            "date, drop",
            "--column 是 'n=date:%Q'，应写成 列名=类型，例如 n=category；类型有 number, category, text, date, drop",
        ),
        (
            ["--column", "m=text"],
            "'t.csv' has no column 'm'; its columns are n, a=b, c, y",
            "'t.csv' 没有 'm' 这一列；它的列有：n, a=b, c, y",
        ),
        (
            ["--column", "y=text"],
            "--column is 'y=text', but 'y' is the target, whose values are its classes as they are written",
            "--column 是 'y=text'，但 'y' 是目标列，它的每个不同的值就是一类",
        ),
        (
            ["--drop", "n", "--column", "n=text"],
            "--column or --drop say two different things of 'n', but must say one",
            "--column 或 --drop 对列 'n' 的说法前后不一，只能有一种",
        ),
        (
            ["--column", "a=b, c=number"],
            "--column says that 'a=b, c' is a number, but none of its values is: the first is 'x'",
            "--column 说 'a=b, c' 是数值，但没有一个值是：第一个值是 'x'",
        ),
    ],
)
def test_mistakes_in_what_the_user_says(softxent, options, en, zh):
    write("t.csv", 'n,"a=b, c",y', *["1,x,p", "2,y,q"] * 5)
    assert softxent("train", "t.csv", "--target", "y", *options) == (2, "", f"error: {en}\n")
    assert softxent("train", "t.csv", "--target", "y", *options, "--lang", "zh") == (2, "", f"错误：{zh}\n")


def test_columns_are_what_the_user_says_in_the_model_too(softxent):
    rng = np.random.default_rng(0)
    lines = [f"{zip_:05d},word{i % 3},{i},{'pq'[zip_ % 2]}" for i, zip_ in enumerate(rng.integers(100, 160, 200))]
    write("t.csv", 'zip,"a=b, c",id,y', *lines)
    options = ["--column", "zip=category", "--column", "a=b, c=text", "--drop", "id"]
    code, out, err = softxent("train", "t.csv", "--target", "y", *options, "--out", "run")
    assert code == 0, err
    squeezed = [" ".join(line.split()) for line in out.split("\n")]
    assert [line for line in squeezed if "0 or 1 for each of" in line] == ["zip category 0 or 1 for each of 59 values"]
    assert "a=b, c text 30 numbers (TF-IDF, SVD)" in squeezed
    assert "id dropped left out: --drop" in squeezed
    write("new.csv", 'zip,"a=b, c"', "00100,word1", "00101,word2", "00099,word1")
    code, out, err = softxent("predict", "run", "new.csv")
    assert (code, out.split()) == (0, ["y", "p", "q", out.split()[3]])
    assert "column 'zip' has '00099'" in err


# In prediction ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "en", "zh"),
    [
        (
            ["1", "unknown"],
            "column 'a' has 'unknown' in line 3, which is no number: taken as missing",
            "列 'a' 在第 3 行的值 'unknown' 不是数值，视为缺失",
        ),
        (
            [*MANY, "x", "y"],
            "column 'a' has 2 values that are no number, the first 'x' in line 101: taken as missing",
            "列 'a' 有 2 个值不是数值，第一处是在第 101 行的 'x'，都视为缺失",
        ),
        (["1", "NA", "k.A."], None, None),  # seen in training
        (["1", "2.500"], None, None),
    ],
)
def test_a_few_new_marks_are_told(values, en, zh):
    source = open_file(write("t.csv", "a,b", *(f"{value},1" for value in values)))
    source.read().features([Column("a", "number", marks={"k.A.": 1}, asked="k.A." in values)])
    assert [note.say("en") for note in source.reading_notes()] == ([en] if en else [])
    assert [note.say("zh") for note in source.reading_notes()] == ([zh] if zh else [])


def test_more_are_an_error():
    source = open_file(write("t.csv", "a,b", *(f"{value},1" for value in [*MANY, *["x"] * 6])))
    with pytest.raises(Mistake) as raised:
        source.read().features([Column("a", "number")])
    assert str(raised.value) == "column 'a' has 'x' in line 101, but must have a number, as in training"


def test_one_row_is_read_as_its_file_is():
    source = open_file(write("t.csv", "a,b", *(f"{value},1" for value in [*MANY, "x"])))
    assert math.isnan(source.row(99).features([Column("a", "number")])["a"][0])
    assert [note.say("en") for note in source.reading_notes()] == [
        "column 'a' has 'x' in line 101, which is no number: taken as missing"
    ]
    source.unread.clear()
    assert source.row(98).features([Column("a", "number")])["a"].tolist() == [98]
    assert source.reading_notes() == []


def test_units_and_decimal_marks_may_differ_from_training():
    column = inferred("61.5%", "70.25%")
    for written in (["1,5 %", "2,25%"], ["1.5", "2.25"]):
        assert column.read(table(written), ".").values.to_pylist() == [1.5, 2.25]
    assert column.read(table(["3 kg"]), ".").values.to_pylist() == [None]


def test_what_was_taken_for_missing_is_in_the_schema(softxent):
    import json

    write("t.csv", "price,y", *(f"${i}.5,{'pq'[i % 2]}" for i in range(60)), "unknown,p")
    code, out, err = softxent("train", "t.csv", "--target", "y", "--out", "run")
    assert code == 0
    note = "note: column 'price': 60 of 61 values are numbers; 'unknown' in line 62 is taken as missing\n"
    assert note in err
    assert "price   number ($)        1  standardised; missing: the mean, marked" in out
    with open("run/schema.json", encoding="utf-8") as file:
        (price,) = json.load(file)["columns"]
    assert (price["marks"], price["first_mark"], price["unit"], price["missing"]) == ({"unknown": 1}, 60, "$", 1)


def test_rows_without_a_label_do_not_count(tmp_path):
    (tmp_path / "t.csv").write_text("a,y\n,\nnobody,\n" + "1,p\n2,q\nunknown,p\n3,q\n" * 8, "utf-8")
    task = Task.of(open_file(str(tmp_path / "t.csv")), "y", {})
    assert [(each.kind, each.missing, each.distinct) for each in task.columns] == [("number", 8, 3)]
    assert (
        task.notes[0].say("en")
        == "column 'a': 24 of 32 values are numbers; the other 8 ('unknown'; the first in line 6) are taken as missing"
    )
