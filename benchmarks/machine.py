"""Where a result comes from: the processor, the versions, the day."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("softxent", "numpy", "torch", "jax", "jaxlib", "optax", "scipy", "ml_dtypes", "mpmath")
ON_GPU = ("softxent", "torch", "triton", "liger-kernel", "quack-kernels", "cut-cross-entropy")


def cores() -> int:
    """Those that this process may use, which is fewer than the machine's in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(threads: int) -> None:
    """The same number for everyone; call it before NumPy, PyTorch and JAX are imported, which read it then."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])  # all that XLA goes by
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # np.dot runs on threads of ours


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists() and (name := re.search(r"model name\s*: (.+)", info.read_text())):
        return name[1].strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return platform.processor() or platform.machine()


def slug(name: str) -> str:
    """The CPU's name as a file name: `amd-epyc-9r14`."""
    name = re.sub(r"\((R|TM|C)\)", "", name, flags=re.IGNORECASE).lower()
    return re.sub(r"[^a-z0-9.]+", "-", name.replace("processor", "")).strip("-.")


def provenance(threads: int, packages: tuple[str, ...] = PACKAGES) -> dict[str, Any]:
    versions = {}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            versions[package] = None
    return {
        "cpu": cpu(),
        "cores": cores(),
        "threads": threads,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": versions,
        "date": datetime.date.today().isoformat(),
    }


def save(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def newest() -> Path:
    """The newest complete speed result in benchmarks/results."""
    files = [p for p in RESULTS.glob("*.json") if "rows" in load(p)]
    if not files:
        raise SystemExit(f"no result in {RESULTS}: run `python -m benchmarks` first")
    return max(files, key=lambda p: (load(p)["date"], p.stat().st_mtime))
