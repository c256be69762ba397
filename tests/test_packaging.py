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


def packages_after(code: str) -> set[str]:
    """The packages beside the standard library that Python has imported after running the code."""
    command = [sys.executable, "-c", f"{code}\nimport sys; print('\\n', *sys.modules)"]
    done = subprocess.run(command, capture_output=True, check=True, encoding="utf-8")
    names = {module.partition(".")[0] for module in done.stdout.splitlines()[-1].split()}
    return {name for name in names - set(sys.stdlib_module_names) if "cython" not in name}  # numpy.random's


NOTHING = packages_after("")  # what an environment's own start imports


@pytest.mark.parametrize(
    ("code", "packages"),
    [
        ("import softxent", {"softxent"}),
        ("import softxent; softxent.softmax([1.0, 2.0])", {"softxent", "numpy"}),
        ("import softxent; softxent.keep_memory(False)", {"softxent", "numpy"}),
        ("import softxent; print(softxent.explain([1, 2]))", {"softxent", "numpy"}),
        ("import softxent; print(softxent.diagnose([1, 2], 0, loss=1))", {"softxent", "numpy"}),
        ("from softxent.app.cli import main", {"softxent"}),
    ],
)
def test_import_costs_what_is_used(code: str, packages: set[str]) -> None:
    assert packages_after(code) - NOTHING == packages


@pytest.mark.parametrize("extra", ["cli", "dask", "onnx", "sklearn", "transformers", "bench", "test", "dev"])
def test_what_ci_installs_is_pinned(extra: str) -> None:
    pinned = re.findall(r"^([\w-]+)==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    wanted = PYPROJECT["project"]["dependencies"] + PYPROJECT["project"]["optional-dependencies"][extra]
    assert {re.split(r"[><=[]", name)[0].replace("_", "-") for name in wanted} <= set(pinned)


@pytest.mark.skipif(not OBJECTS or not shutil.which("nm"), reason="needs nm and the objects of an editable install")
@pytest.mark.parametrize("path", OBJECTS, ids=lambda path: path.relative_to(ROOT / "build").parts[2])
def test_instruction_sets_share_no_function(path: Path) -> None:
    # of a function that two objects define weakly the linker keeps one: a v2 machine would run v4's instructions
    isa = re.search(r"kernel_(\w+)\.dir", str(path))[1]
    symbols = subprocess.run(["nm", "-C", "--defined-only", path], capture_output=True, check=True, encoding="utf-8")
    own = re.compile(rf"::{isa}::|{len(isa)}{isa}")  # nm leaves some names mangled
    shared = [line for line in symbols.stdout.splitlines() if re.search(r" [WVu] ", line) and not own.search(line)]
    assert shared == []
