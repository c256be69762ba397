"""`softxent predict`: the columns that are kept, the files that are written, and what a table lacks, all at once."""

import csv
import shutil
from pathlib import Path

import pyarrow.parquet
import pytest

SAVED = Path(__file__).parent / "data" / "saved_by_0.1"

# saved by another version of scikit-learn than the one that is installed
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.InconsistentVersionWarning")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SAVED, ".", dirs_exist_ok=True)
    head, *rows = Path("animals.csv").read_text("utf-8").splitlines()
    lines = [f'id,"name, first",{head}', *(f'{i:03},"Ann ""{i}""",{row}' for i, row in enumerate(rows))]
    Path("new.csv").write_text("\n".join(lines) + "\n", "utf-8")


def rows_of(text, delimiter=","):
    return list(csv.reader(text.splitlines(), delimiter=delimiter))


@pytest.mark.parametrize(
    ("words", "head", "first"),
    [
        ([], ["label"], ["dog"]),
        (["--keep", "id"], ["id", "label"], ["000", "dog"]),
        (["--keep", "id, weight"], ["id", "weight", "label"], ["000", "1.56", "dog"]),
        (["--keep", "name, first", "--keep", "id"], ["name, first", "id", "label"], ['Ann "0"', "000", "dog"]),
        (["--keep", "label"], ["label", "predicted(label)"], ["dog", "dog"]),
        (["--keep", "id", "--proba"], ["id", "label", "p(bird)", "p(dog)", "p(猫)"], None),
    ],
)
def test_keeps_columns(softxent, words, head, first):
    code, out, _ = softxent("predict", "run", "new.csv", *words)
    rows = rows_of(out)
    assert (code, rows[0], len(rows)) == (0, head, 61)
    assert first is None or rows[1] == first


def test_kept_columns_are_not_called_unused(softxent):
    notes = softxent("predict", "run", "new.csv", "--keep", "id", "--out", "p.csv")[2]
    assert notes == "note: 'new.csv' has columns that the model does not use: name, first\n"


@pytest.mark.parametrize(
    ("keep", "en", "zh"),
    [("idd", "'new.csv' has no column 'idd'; did you mean id?", "'new.csv' 没有 'idd' 这一列；是不是 id？")],
)
def test_kept_column_that_is_not_there(softxent, keep, en, zh):
    assert softxent("predict", "run", "new.csv", "--keep", keep) == (2, "", f"error: {en}\n")
    assert softxent("predict", "run", "new.csv", "--keep", keep, "--lang", "zh") == (2, "", f"错误：{zh}\n")


@pytest.mark.parametrize("file", ["p.parquet", "p.tsv", "p"])
def test_writes_the_same_to_every_kind_of_file(softxent, file):
    words = ("predict", "run", "new.csv", "--keep", "id", "--proba")
    expected = rows_of(softxent(*words)[1])
    assert softxent(*words, "--out", file)[0] == 0
    if file == "p.parquet":
        table = pyarrow.parquet.read_table(file)
        assert [str(kind) for kind in table.schema.types] == ["string", "string", "double", "double", "double"]
        found = [table.column_names, *map(list, zip(*(column.to_pylist() for column in table.columns), strict=True))]
        assert [[str(value) for value in row] for row in found] == expected
    else:
        assert rows_of(Path(file).read_text("utf-8"), "\t" if file == "p.tsv" else ",") == expected


def test_parquet_in_and_out_keeps_types_batch_by_batch(softxent):
    import pandas as pd

    frame = pd.concat([pd.read_csv("new.csv").assign(when=pd.Timestamp("2024-01-05"))] * 300)  # several batches
    frame["n"] = range(len(frame))
    frame.to_parquet("new.parquet", index=False)
    assert softxent("predict", "run", "new.parquet", "--keep", "n,when", "--out", "p.parquet")[0] == 0
    found = pd.read_parquet("p.parquet")
    assert found[["n", "when"]].equals(frame[["n", "when"]].reset_index(drop=True))
    assert list(found.columns) == ["n", "when", "label"]


def test_nothing_is_written_if_a_later_row_is_wrong(softxent):
    with open("new.csv", "a", encoding="utf-8") as file:
        file.write("1,b,heavy,white,1,dog\n" * 9000)
    for name in ("p.parquet", "p.csv"):
        assert softxent("predict", "run", "new.csv", "--out", name)[0] == 2
    assert not list(Path().glob("p.*"))


@pytest.mark.parametrize("name", ["p.xlsx", "p.csv.gz", "p.json"])
def test_ending_that_would_be_a_lie(softxent, name):
    en = f"error: --out is '{name}', but what is written can end in .csv, .tsv or .parquet\n"
    zh = f"错误：--out 是 '{name}'，但输出文件的扩展名只能是 .csv、.tsv 或 .parquet\n"
    assert softxent("predict", "run", "new.csv", "--out", name) == (2, "", en)
    assert softxent("predict", "run", "new.csv", "--out", name, "--lang", "zh") == (2, "", zh)


def test_all_missing_columns_are_named_at_once(softxent):
    Path("bad.csv").write_text("wieght,size\n1,2\n")
    en = "'bad.csv' has no columns 'weight' (wieght?), 'colour', which the model was trained with; its columns are "
    zh = "'bad.csv' 没有 'weight' (wieght?), 'colour' 这些列，而模型训练时用到了它们；它的列有：wieght, size"
    for words in (("predict", "run", "bad.csv"), ("evaluate", "run", "bad.csv")):
        assert softxent(*words) == (2, "", f"error: {en}wieght, size\n")
        assert softxent(*words, "--lang", "zh") == (2, "", f"错误：{zh}\n")


@pytest.mark.parametrize(
    ("values", "en", "zh"),
    [
        (["red"], "'red', which training did not have: it counts", "训练时没有的 'red'：当作"),
        (["red", "blue", "red"], "'blue', 'red', which training did not have: they count", "没有的 'blue', 'red'："),
        ("abcdefg", "'a', 'b', 'c', 'd', 'e', …, which training", "'a', 'b', 'c', 'd', 'e', …：当作"),
    ],
)
def test_unseen_values_are_named_at_once(softxent, values, en, zh):
    Path("new.csv").write_text("\n".join(["weight,colour,always", *(f"1,{value},1" for value in values)]))
    assert f"note: column 'colour' has {en}" in softxent("predict", "run", "new.csv")[2]
    assert zh in softxent("predict", "run", "new.csv", "--lang", "zh")[2]
