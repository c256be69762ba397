"""What a function returns when one array is not enough."""

from __future__ import annotations

from typing import Any, NamedTuple


class Statistics(NamedTuple):
    """Of each row, from one pass over memory; the first three are float32 or, for float64 logits, float64.

    log_prob   log p_y, 0 where the target is ignore_index
    entropy    H = −Σ_j p_j·log p_j, in nats, summed as log Σ_j exp(z_j − m) + Σ_j p_j·(m − z_j), all terms ≥ 0
    lse        log Σ_j exp(z_j)
    argmax     the first class with the largest logit
    rank       of the target: how many logits are larger than its own, 0 for a right prediction; −1 if ignored
    """

    log_prob: Any
    entropy: Any
    lse: Any
    argmax: Any
    rank: Any
