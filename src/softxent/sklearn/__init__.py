"""softxent for scikit-learn: `SoftmaxClassifier`, softmax + cross-entropy on top of zero or more hidden layers."""

try:
    import scipy as _scipy  # noqa: F401
    import sklearn as _sklearn  # noqa: F401
except ModuleNotFoundError as missing:
    raise ModuleNotFoundError(
        f"softxent.sklearn needs {missing.name}: pip install '.[sklearn]' in a clone of softxent", name=missing.name
    ) from None

import sys as _sys

from softxent.sklearn import optimizers as _optimizers
from softxent.sklearn.classifier import SoftmaxClassifier
from softxent.sklearn.progress import Epoch

__all__ = ["SoftmaxClassifier", "Epoch"]

_sys.modules["softxent.sklearn.step"] = _optimizers  # the path of Adam and SGD in models that version 0.1 saved
