"""log p_y, the entropy, lse, the first largest class and the target's rank, from one read of the logits."""

import triton
import triton.language as tl

from softxent.kernels.triton.blocks import class_of_rows, place_of_rows, rows_of_program, target_logit
from softxent.kernels.triton.math import exp_of_largest, float_of, log1p, reciprocal
from softxent.kernels.triton.parts import sums_of_rows
from softxent.kernels.triton.rows import STATISTICS, defined, sum_up
from softxent.kernels.triton.softmax import lse_of


@triton.jit(do_not_specialize=["ignore_index", "temperature"], debug=True)
def statistics_kernel(
    x_ptr, t_ptr, sums_ptr, log_prob_ptr, entropy_ptr, lse_ptr, argmax_ptr, rank_ptr, rows, classes, inner,
    x_outer, x_inner, x_class, t_outer, t_inner, ignore_index, temperature,
    TEMPERATURE: tl.constexpr,
    WIDE: tl.constexpr, ALIGNED: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, STRIPS: tl.constexpr,
    FULL: tl.constexpr, ONE_BLOCK: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """ROWS rows a program, in parts one; strides as cross_entropy_kernel's."""
    temperature = float_of(temperature)
    i, is_row = rows_of_program(rows, ROWS)
    x_at, t_at = place_of_rows(i, inner, x_outer, x_inner, ALIGNED), place_of_rows(i, inner, t_outer, t_inner, 1)
    y, counted = class_of_rows(t_ptr, t_at, is_row, classes, ignore_index)
    x_y, z_y = target_logit(x_ptr, x_at, x_class, y, counted, temperature, 1.0, TEMPERATURE, False, WIDE)
    if PARTS == 1:
        m, others, gap, mass, first, above, zs, es = sum_up(
            x_ptr, x_at, x_class, None, None, 0, None, z_y, is_row, 0, classes, classes,
            0.0, temperature, 1.0,
            STATISTICS, False, False, TEMPERATURE, False, False,
            WIDE, ALIGNED, ROWS, BLOCK, STRIPS, FULL, ONE_BLOCK,
        )  # fmt: skip
    else:
        m, others, gap, mass, first, above = sums_of_rows(sums_ptr, i, is_row, STATISTICS, WIDE)
    others = defined(m, others)
    largest = exp_of_largest(m)
    log_denominator = log1p(others * reciprocal(largest, WIDE), WIDE)
    m = m.to(tl.float64)
    log_prob = (z_y.to(tl.float64) - m) - log_denominator
    tl.store(log_prob_ptr + i, tl.where(counted, log_prob, 0.0), mask=is_row)
    tl.store(entropy_ptr + i, log_denominator + gap / (largest + others), mask=is_row)
    tl.store(lse_ptr + i, lse_of(m, log_denominator), mask=is_row)
    tl.store(argmax_ptr + i, first.to(tl.int64), mask=is_row)
    tl.store(rank_ptr + i, tl.where(counted, above.to(tl.int64), -1), mask=is_row)
