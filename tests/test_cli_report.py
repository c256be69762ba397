"""`softxent report`: a report again from what its run saved, and what an older run lacks."""

import shutil
from pathlib import Path

import pytest

from tests.report_cases import contents

OLDER = Path(__file__).parent / "data/saved_by_0.1/run"


@pytest.fixture
def run_folder(tmp_path):
    """A run with what the report shows, of a report of the wine's."""
    folder = tmp_path / "wine"
    shutil.copytree(OLDER, folder)
    contents("wine").save(folder / "report.json")
    return folder


@pytest.mark.parametrize(("lang", "code", "look"), [("en", "en", "Look at "), ("zh", "zh-CN", "请看 ")])
def test_writes_the_report_again(softxent, run_folder, lang, code, look):
    page = run_folder / "report.html"
    assert softxent("report", str(run_folder), "--lang", lang) == (0, f"{look}{page}\n", "")
    assert f'<html lang="{code}">' in page.read_text("utf-8")
    assert "explorer.html#" in page.read_text("utf-8")


def test_links_lead_only_to_the_file_beside_it(softxent, run_folder, tmp_path):
    assert softxent("report", str(run_folder), "--out", str(tmp_path / "r.html"))[0] == 0
    assert "explorer.html" not in (tmp_path / "r.html").read_text("utf-8")
    assert not (run_folder / "report.html").exists()


@pytest.mark.parametrize(
    ("content", "en", "zh"),
    [
        (
            None,
            "error: {run} was saved by softxent 0.1.0, which kept nothing to make a report of: train on animals.csv "
            "again, or look at its report.html\n",
            "错误：{run} 由 softxent 0.1.0 保存，没有存下重写报告所需的内容：请用 animals.csv 重新训练，"
            "或看原有的 report.html\n",
        ),
        (
            "{",
            "error: {run} is damaged: its report.json cannot be read; train again for a new one\n",
            "错误：{run} 已损坏：其中的 report.json 无法读取；重新训练可得到新的\n",
        ),
        (
            '{"name": "wine.csv"}',
            "error: {run} is damaged: its report.json cannot be read; train again for a new one\n",
            "错误：{run} 已损坏：其中的 report.json 无法读取；重新训练可得到新的\n",
        ),
    ],
)
def test_mistakes(softxent, run_folder, content, en, zh):
    path = run_folder / "report.json"
    path.unlink()
    if content:
        path.write_text(content)
    for lang, message in (("en", en), ("zh", zh)):
        assert softxent("report", str(run_folder), "--lang", lang) == (2, "", message.format(run=repr(str(run_folder))))
    assert not (run_folder / "report.html").exists()


def test_does_not_replace_what_it_reads(softxent, run_folder):
    model = run_folder / "model.skops"
    before = model.read_bytes()
    code, _, err = softxent("report", str(run_folder), "--out", str(model))
    assert (code, err) == (
        2,
        f"error: --out is {str(model)!r}, but must not be a file that is read ({str(model)!r})\n",
    )
    assert model.read_bytes() == before
