"""Each example runs, with warnings as errors, and prints what it promises."""

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch

EXAMPLES = Path(__file__).parent.parent / "examples"
ARGUMENTS = {  # small: the test is about running, not about time
    "beside_scipy.py": ["64", "100"],
    "softmax_collapse.py": ["--steps", "900"],
    "tiny_lm.py": ["--steps", "4"],
    "tiny_lm_parallel.py": ["--steps", "4"],
}
PROMISED = {
    "beside_scipy.py": ["64 × 100", "SciPy", "loss and gradient agree"],
    "saved_model.py": ["[0 1 2 3 4 5 6 7 8 9] predicted", "row 5: p_y = 0."],
    "softmax_collapse.py": ["softxent.torch", " 0.0%"],
    "tiny_lm.py": ["   0      8.3", "in chunks, by"],
    "tiny_lm_parallel.py": ["step   2 processes   1 process", "   0        8.3", "losses differ by "],
    "train_linear.py": ["step   0  loss 1.6094", "right: "],  # ln 5: nothing learnt yet
    "train_mlp_torch.py": ["    0  2.286961  2.286961", "right: "],
    "worked_example.py": ["0.015876 0.866813", "0.142932", "0.015876 -0.133187"],
}


def check(name, printed, complained):
    assert not complained
    for words in PROMISED[name]:
        assert words in printed


@pytest.mark.parametrize("name", sorted(PROMISED.keys() - {"tiny_lm_parallel.py"}))
def test_example(name, monkeypatch, capsys):
    """In this process, which has imported PyTorch already."""
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", [name, *ARGUMENTS.get(name, [])])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")
    torch.set_num_threads(threads)
    check(name, *capsys.readouterr())


def test_example_of_processes():
    name = "tiny_lm_parallel.py"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", str(EXAMPLES / name)]
    environment = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, *ARGUMENTS[name]], capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    check(name, done.stdout, done.stderr)


def test_every_example_is_run():
    assert {path.name for path in EXAMPLES.glob("*.py")} == PROMISED.keys()
