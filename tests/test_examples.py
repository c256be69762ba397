"""Each example runs as a user would run it, with warnings as errors, and prints what it promises."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
ARGUMENTS = {"beside_scipy.py": ["64", "100"]}  # small: the test is about running, not about time
PROMISED = {
    "beside_scipy.py": ["64 × 100", "SciPy", "loss and gradient agree"],
    "train_linear.py": ["step   0  loss 1.6094", "right: "],  # ln 5: nothing learnt yet
    "worked_example.py": ["0.015876 0.866813", "0.142932", "0.015876 -0.133187"],
}


@pytest.mark.parametrize("name", sorted(path.name for path in EXAMPLES.glob("*.py")))
def test_example(name: str) -> None:
    command = [sys.executable, "-X", "utf8", "-W", "error", str(EXAMPLES / name), *ARGUMENTS.get(name, [])]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    for words in PROMISED[name]:
        assert words in done.stdout
