"""SoftmaxClassifier as scikit-learn sees it: its own checks, and the tools around an estimator."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from softxent.sklearn import SoftmaxClassifier

CONFIGURATIONS = [
    SoftmaxClassifier(),
    SoftmaxClassifier(label_smoothing=0.1, warm_start=True),
    SoftmaxClassifier((8,)),
    SoftmaxClassifier((8, 4), activation="tanh", label_smoothing=0.1),
    SoftmaxClassifier((8,), activation="logistic", solver="sgd", learning_rate_init=0.1),
    SoftmaxClassifier(solver="sgd"),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning", "ignore::FutureWarning")
@parametrize_with_checks(CONFIGURATIONS)
def test_scikit_learn_check(estimator, check):
    check(estimator)
