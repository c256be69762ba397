"""What follows from a row's sums: the loss and the gradient's factors, in float64, of one number a row."""

import triton
import triton.language as tl

from softxent.kernels.triton.math import log1p, reciprocal


@triton.jit
def finish(
    m, largest, others, z_y, e_y, w_y, gap, soft_weight, weight_sum, share, smoothing, z_loss, classes,
    PROBABILITIES: tl.constexpr, SMOOTHING: tl.constexpr, Z_LOSS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The loss, and ∂loss/∂z_j = factor·E_j − share·a_j but at the target, where it comes third.

    largest, others    E(m) and Σ_j E_j without one of it; NaN where the row has no softmax
    z_y, e_y, w_y      of a class index: its logit, E(z_y) and class weight
    gap, soft_weight   Σ a_j·(m − z_j) and Σ a_j of soft targets, but for a hard target's own (1 − ε)·w_y
    weight_sum         Σ w_j of all classes
    """
    denominator = largest + others
    log_denominator = log1p(others * reciprocal(largest, WIDE), WIDE)
    zero_or_nan = others - others
    weight = w_y * (1 - smoothing)
    each = smoothing / classes
    loss = zero_or_nan
    total = weight
    if PROBABILITIES:
        total = soft_weight
    elif SMOOTHING:
        total += each * weight_sum
    lse_grad = zero_or_nan
    if Z_LOSS:
        lse = m + log_denominator
        loss += z_loss * lse * lse
        lse_grad += 2 * z_loss * lse
        total += lse_grad
    inverse = reciprocal(denominator, WIDE) * share
    factor = total * inverse
    if PROBABILITIES:
        loss += gap + soft_weight * log_denominator
        target_grad = zero_or_nan
    else:
        if SMOOTHING:
            loss += gap + each * weight_sum * log_denominator
        loss += tl.where(weight != 0, weight * ((m - z_y) + log_denominator), 0.0)
        # A'·p_y − a_y = B·p_y − a_y·(1 − p_y), where 1 − p_y comes from the other classes
        others_than_y = tl.where(z_y >= m, others, denominator - e_y)
        a_y, b = weight, lse_grad
        if SMOOTHING:
            a_y += w_y * each
            b += each * (weight_sum - w_y)
        target_grad = (b * e_y - a_y * others_than_y) * inverse
        target_grad = tl.where(z_y == float("-inf"), zero_or_nan, target_grad)  # of a mask 0
    return loss, factor, target_grad
