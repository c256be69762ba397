"""What the READMEs' examples need: a run of `softxent train penguins.csv --target species`, in an own folder."""

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def _runs_of_the_readme(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if not (isinstance(request.node, pytest.DoctestItem) and request.node.path.name.startswith("README")):
        yield
        return
    import shutil

    import palmerpenguins

    from softxent.app.cli import run

    folder = tmp_path_factory.mktemp("readme")
    shutil.copy(Path(palmerpenguins.__file__).parent / "data/penguins.csv", folder)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert run(["train", "penguins.csv", "--target", "species", "--json"]) == 0
        yield
