"""The GPU's benchmark, on the CPU: that each row runs, and that the pages show nothing which was not measured."""

import json

import pytest

pytest.importorskip("torch")

from benchmarks import gpu
from benchmarks.gpu_rows import rows

TINY = ["--device", "cpu", "--tiny", "--output"]


def run(tmp_path, pattern):
    gpu.main([*TINY, str(tmp_path / "result.json"), "--rows", pattern])
    return json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["gpu"]


@pytest.mark.parametrize(
    "row", ["*4096 × 131072, bfloat16", "*class axis 1", "softmax, 262144 × 512", "sample*", "*8 × 10", "last layer*"]
)
def test_rows_run(tmp_path, row):
    for found in run(tmp_path, row):
        assert {"softxent", "in place", "softxent.torch"} & found["timings"].keys()
        assert all(error in ("", None) for error in found["errors"].values() if isinstance(error, str))


def test_errors_are_of_the_exact_result(tmp_path):
    (found,) = run(tmp_path, "loss + gradient, 65536 × 1000")
    assert max(found["errors"]["in place"].values()) < 4
    assert found["errors"]["PyTorch"]["grad"] > 1e3  # p_y − 1 where the target wins


def test_peers_that_fail_are_shown(tmp_path, monkeypatch):
    from benchmarks.contenders import PyTorch

    def fail(self):
        raise RuntimeError("no kernel image")

    monkeypatch.setattr(PyTorch, "softmax", fail)
    (found,) = run(tmp_path, "softmax, 262144 × 512")
    row = next(row for row in rows() if row.label == "softmax, 262144 × 512")
    assert "PyTorch: failed: RuntimeError: no kernel image" in gpu.line(row, found, "en")[-1]


def test_what_was_not_measured_says_so():
    for lang, words in gpu.NOT_YET.items():
        lines = gpu.table(None, lang)[1:]
        assert len(lines) == len(rows())
        assert all(line[1] == words for line in lines)


def test_the_pages_show_the_newest_result():
    for page, lang, short in gpu.pages():
        assert gpu.text(gpu.newest(), lang, short) in page.read_text(encoding="utf-8")
