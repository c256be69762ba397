"""softxent: the last layer of a classifier, done exactly."""

from softxent.explain import explain
from softxent.functional import (
    cross_entropy,
    cross_entropy_and_grad,
    get_num_threads,
    log_prob,
    log_softmax,
    logsumexp,
    sample,
    set_num_threads,
    softmax,
    statistics,
)

__all__ = [
    "cross_entropy",
    "cross_entropy_and_grad",
    "explain",
    "get_num_threads",
    "log_prob",
    "log_softmax",
    "logsumexp",
    "sample",
    "set_num_threads",
    "softmax",
    "statistics",
]
