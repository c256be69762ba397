"""A model that `softxent train` saved, used from Python: python examples/saved_model.py"""

import contextlib
import tempfile

from sklearn.datasets import load_digits

import softxent as sx
from softxent.app import cli

with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    assert cli.run(["train", "--model", "linear"]) == 0  # softxent train --model linear
    model = sx.load("runs/digits")

digits = load_digits(as_frame=True)
print(model.predict(digits.data)[:10], "predicted")
print(digits.target.to_numpy()[:10], "labels")

why = model.explain(digits.data.iloc[[5]], target=5)
most = why.contributions.columns[0].column
print(f"row 5: p_y = {why.trace.p[5]:.4f}; for {why.contributions.predicted} speaks {most} most")
