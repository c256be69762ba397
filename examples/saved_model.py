"""A model that `softxent train` saved, used from Python: python examples/saved_model.py"""

import contextlib
import tempfile
from pathlib import Path

from softxent.app import cli
from softxent.app.prediction import explain_row
from softxent.app.run import Run
from softxent.app.tables import digits

with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    assert cli.run(["train", "--hidden", "0"]) == 0  # softxent train --hidden 0
    run = Run.load(str(Path("runs", "digits")))

rows = digits().read()
print(run.model.predict(rows.features(run.schema.columns))[:10], "predicted")
print(rows.labels("digit")[0][:10], "labels")

why = explain_row(run, rows.row(5), None, data="digits")
largest = abs(why.gradients[0]).argmax()
print(f"row 5: p_y = {why.trace.p[why.trace.target]:.4f}, the steepest pixel is {why.features[largest]}")
