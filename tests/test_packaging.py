"""What is installed: the marker of types, one version, an import that costs NumPy only, kernels that stay apart."""

import importlib.metadata
import importlib.resources
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OBJECTS = sorted((ROOT / "build").glob("cp*/CMakeFiles/kernel_*.dir/**/*.o"))


def test_types_ship() -> None:
    assert importlib.resources.files("softxent").joinpath("py.typed").is_file()


def test_one_version() -> None:
    assert importlib.metadata.version("softxent") == PYPROJECT["project"]["version"]


def test_import_costs_numpy_only() -> None:
    command = "import numpy, sys; before = set(sys.modules); import softxent; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, check=True, encoding="utf-8")
    imported = {module.partition(".")[0] for module in done.stdout.split()}
    assert not imported - {"numpy", "softxent"} - set(sys.stdlib_module_names)


@pytest.mark.parametrize("extra", ["cli", "sklearn", "bench", "test", "dev"])
def test_what_ci_installs_is_pinned(extra: str) -> None:
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    wanted = PYPROJECT["project"]["dependencies"] + PYPROJECT["project"]["optional-dependencies"][extra]
    assert {re.split(r"[><=]", name)[0].replace("_", "-") for name in wanted} <= set(pinned)


@pytest.mark.skipif(not OBJECTS or not shutil.which("nm"), reason="needs nm and the objects of an editable install")
@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.relative_to(ROOT / "build").parts[2])
def test_instruction_sets_share_no_function(path: Path) -> None:
    # of a function that two objects define weakly the linker keeps one: a v2 machine would run v4's instructions
    isa = re.search(r"kernel_(\w+)\.dir", str(path))[1]
    symbols = subprocess.run(["nm", "-C", "--defined-only", path], capture_output=True, check=True, encoding="utf-8")
    shared = [line for line in symbols.stdout.splitlines() if re.search(r" [WVu] ", line) and f"::{isa}::" not in line]
    assert shared == []
