"""Imports go one way, without a circle, and each package is imported in one room.

They are read from the source: those inside functions and those for types count too, and so does a string that names a
module of ours, which is what importlib is given.
"""

import ast
import graphlib
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src"

# A room, which is a file or a folder of softxent, imports from itself and from the rooms on lines below its own
STOREYS = [
    "softxent __main__",  # softxent is its __init__.py
    "app",
    "dask diagnosis",
    "sklearn explain transformers",
    "last_layer",
    "functional",
    "numpy torch jax",
    "derivatives memory linear",
    "options",
    "checks results words kernels definition",
]

# Where a package may be imported; NumPy and the standard library may be everywhere
PACKAGES = {
    "torch": ["torch", "transformers"],
    "transformers": ["transformers"],
    "triton": ["kernels.triton", "torch.devices"],
    "jax": ["jax"],
    "dask": ["dask"],
    "distributed": ["dask"],
    "scipy": ["dask", "sklearn"],
    "threadpoolctl": ["sklearn"],
    "sklearn": ["dask", "sklearn", "app"],
    "charset_normalizer": ["app.tables"],
    "openpyxl": ["app.tables"],
    "pandas": ["app.tables"],
    "pyarrow": ["app.tables", "app.streaming"],
    "jinja2": ["app.report"],
    "rich": ["app.cli"],
    "typer": ["app.cli"],
    "onnx": ["app.exporting"],
    "skops": ["app.model_file", "app.run"],
    "skrub": ["app.features"],
}

USERS_OF_DEFINITION = {"explain"}  # and the tests

FILES = {
    ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(SOURCE.rglob("*.py"))
}
COMPILED = {"softxent.kernels._cpu"}
MODULES = FILES.keys() | COMPILED


def imports(module):
    """The modules that a module imports; `from a import b` imports a.b if that is a module of ours, and a if not."""
    found = set()
    for node in ast.walk(ast.parse(FILES[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
        elif isinstance(node, ast.Constant) and node.value in MODULES - {"softxent"}:
            found.add(node.value)
    return found - {module}


IMPORTS = {module: imports(module) for module in FILES}
OURS = {module: found & MODULES for module, found in IMPORTS.items()}


def room(module):
    return module.split(".")[1] if "." in module else module


def storey(module):
    at = [index for index, line in enumerate(STOREYS) if room(module) in line.split()]
    assert at, f"{module} is in no line of STOREYS: say where it stands"
    return at[0]


@pytest.mark.parametrize("module", FILES)
def test_imports_go_down(module):
    wrong = {m for m in OURS[module] if room(m) != room(module) and storey(m) <= storey(module)}
    assert not wrong, f"{module} imports {wrong}, which does not lie below it"


def test_no_circle():
    graphlib.TopologicalSorter(OURS).prepare()  # CycleError names the circle


@pytest.mark.parametrize("module", FILES)
def test_packages_stay_in_their_room(module):
    others = {name.partition(".")[0] for name in IMPORTS[module]} - sys.stdlib_module_names - {"softxent", "numpy"}
    for package in others:
        rooms = PACKAGES.get(package, [])
        assert any(f"{module}.".startswith(f"softxent.{room}.") for room in rooms), f"{package} belongs to {rooms}"


def test_definition_is_the_oracle_and_nothing_else():
    users = {room(module) for module, found in OURS.items() if "softxent.definition" in found}
    assert users == USERS_OF_DEFINITION
