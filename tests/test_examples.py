"""Each example runs as a user would run it, with warnings as errors, and prints what it promises."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
ARGUMENTS = {  # small: the test is about running, not about time
    "beside_scipy.py": ["64", "100"],
    "softmax_collapse.py": ["--steps", "900"],
    "tiny_lm.py": ["--steps", "4"],
    "tiny_lm_parallel.py": ["--steps", "4"],
}
PROCESSES = {"tiny_lm_parallel.py": 2}
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


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_example(name: str) -> None:
    command = [sys.executable, "-X", "utf8", "-W", "error", str(EXAMPLES / name), *ARGUMENTS.get(name, [])]
    environment = dict(os.environ)
    if count := PROCESSES.get(name):
        command[3:5] = ["-m", "torch.distributed.run", "--nproc-per-node", str(count)]
        environment |= {"PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, encoding="utf-8", env=environment)
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    for words in PROMISED[name]:
        assert words in done.stdout
