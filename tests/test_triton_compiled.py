"""The Triton kernels as they are compiled for a GPU, which need not be there."""

import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")


def check(*arguments):
    """python -m benchmarks.gpu_check, in a process whose Triton does not interpret."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "benchmarks.gpu_check", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, encoding="utf-8")


@pytest.mark.parametrize("chip", ["sm_90", "gfx942"])  # warps of 32 and of 64 threads
def test_the_main_cases(chip):
    done = check("--quick", "--chips", chip)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("0 faults\n")


@pytest.mark.parametrize(
    ("case", "changed", "fault"),
    [
        ("loss + gradient, 8192 × 8192, bfloat16", "num_warps=1", "spills of registers to memory"),
        ("loss + gradient, 65536 × 1000, float32", "ALIGNED=1", "stores of less than 128 bits"),
        ("softmax, 8192 × 8192, float32", "enable_fp_fusion=1", "the compiler may contract a·b + c"),
        ("softmax, 8192 × 8192, float32", "enable_fp_fusion=1", "are fused where the source does not ask for it: "),
    ],
)
def test_faults_are_found(case, changed, fault):
    done = check("--chips", "sm_90", "--cases", case, "--set", changed)
    assert done.returncode == 1, done.stdout + done.stderr
    assert fault in done.stdout
