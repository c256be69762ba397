"""The types of results that are more than one array."""

from __future__ import annotations

from typing import Any, NamedTuple


class Statistics(NamedTuple):
    """A number of each kind for each row; the first three are float32 or, for float64 logits, float64.

    log_prob   log p_y, 0 where the target is ignore_index
    entropy    H = −Σ_j p_j·log p_j, in nats, summed as log Σ_j exp(z_j − m) + Σ_j p_j·(m − z_j), whose terms are ≥ 0
    lse        log Σ_j exp(z_j)
    argmax     the first class with the largest logit
    rank       the number of logits larger than the target's own: 0 for a right prediction, −1 if it is ignored
    """

    log_prob: Any
    entropy: Any
    lse: Any
    argmax: Any
    rank: Any
