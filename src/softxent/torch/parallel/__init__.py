"""The vocabulary split over ranks: softxent.torch's functions where each rank of a group holds a slice of the classes.

from softxent.torch import parallel
loss = parallel.cross_entropy(local_logits, target, group, vocab_start, vocab_total)
"""

from softxent.torch.parallel.costs import Cost, cost
from softxent.torch.parallel.functional import (
    cross_entropy,
    global_count,
    log_prob,
    sample,
    statistics,
)
from softxent.torch.parallel.layer import (
    linear_cross_entropy,
    linear_log_prob,
    linear_sample,
    linear_statistics,
)

__all__ = [
    "Cost",
    "cost",
    "cross_entropy",
    "global_count",
    "linear_cross_entropy",
    "linear_log_prob",
    "linear_sample",
    "linear_statistics",
    "log_prob",
    "sample",
    "statistics",
]
