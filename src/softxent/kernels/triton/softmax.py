"""softmax, log_softmax and logsumexp."""

import triton
import triton.language as tl

from softxent.kernels.triton.blocks import classes_of, multiple_of, place_of_rows, places_of, rows_of_program
from softxent.kernels.triton.math import exp_of, float_of, log1p, range_around, reciprocal, two_sum
from softxent.kernels.triton.parts import sums_of_rows
from softxent.kernels.triton.rows import NOTHING, defined, read_again, sum_up

SOFTMAX, LOG_SOFTMAX, LOGSUMEXP = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)


@triton.jit
def lse_of(m, log_denominator):
    """m + log Σ_j exp(z_j − m); m itself where it is not finite."""
    return tl.where(tl.abs(m) < float("inf"), m + log_denominator, m)


@triton.jit(do_not_specialize=["temperature"])
def softmax_kernel(
    x_ptr, out_ptr, sums_ptr, rows, classes, inner, width, x_outer, x_inner, x_class, out_outer, out_inner, out_class,
    temperature,
    WORK: tl.constexpr, TEMPERATURE: tl.constexpr,
    WIDE: tl.constexpr, ALIGNED: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, STRIPS: tl.constexpr,
    FULL: tl.constexpr, ONE_BLOCK: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Programs, parts and strides as cross_entropy_kernel's."""
    AGAIN: tl.constexpr = PARTS > 1 or not ONE_BLOCK
    EVICT: tl.constexpr = "evict_first" if AGAIN else ""
    OF_16_BITS: tl.constexpr = out_ptr.dtype.element_ty.primitive_bitwidth == 16
    temperature = float_of(temperature)
    i, is_row = rows_of_program(rows, ROWS)
    x_at = place_of_rows(i, inner, x_outer, x_inner, ALIGNED)
    begin, end = 0, classes
    if PARTS == 1:
        m, others, gap, mass, first, above, zs, es = sum_up(
            x_ptr, x_at, x_class, None, None, 0, None, None, is_row, begin, end, classes,
            0.0, temperature, 1.0,
            NOTHING, False, False, TEMPERATURE, False, False,
            WIDE, ALIGNED, ROWS, BLOCK, STRIPS, FULL, ONE_BLOCK,
        )  # fmt: skip
    else:
        m, others, gap, mass, first, above = sums_of_rows(sums_ptr, i, is_row, NOTHING, WIDE)
        begin = tl.program_id(1) * width
        end = tl.minimum(begin + width, classes)
    others = defined(m, others)
    shift, round, lowest, n = range_around(m)
    largest = exp_of(m, shift, round, lowest, n)
    log_denominator = log1p(others * reciprocal(largest, WIDE), WIDE)
    if WORK == LOGSUMEXP:
        tl.store(out_ptr + i, lse_of(m.to(tl.float64), log_denominator).to(WIDE), mask=is_row)
    else:
        out_at = place_of_rows(i, inner, out_outer, out_inner, ALIGNED)
        factor = (1 / (largest + others)).to(WIDE)[:, None]
        hi = log_denominator.to(WIDE)
        lo = (log_denominator - hi.to(tl.float64)).to(WIDE)[:, None]
        end = multiple_of(end, ALIGNED)
        last = begin if ONE_BLOCK else begin + (end - begin - 1) // BLOCK * BLOCK
        for back in range(0, BLOCK if ONE_BLOCK else end - begin, BLOCK):
            start = last - back  # what was read last is read again first, from the cache
            place, step = places_of(out_ptr, out_at, out_class, start, BLOCK, STRIPS)
            if AGAIN:
                x_of, z_of, e_of = read_again(
                    x_ptr, x_at, x_class, is_row, start, end, m, largest, shift, round, lowest, temperature, 1.0,
                    TEMPERATURE, False, OF_16_BITS, WIDE, ROWS, BLOCK, STRIPS, FULL,
                )  # fmt: skip
            else:
                z_of, e_of = zs, es
            for k in tl.static_range(STRIPS):
                if WORK == SOFTMAX:
                    result = e_of[k] * factor
                else:
                    # (z − m) − log Σ, two terms ≤ 0, rounded about once
                    d, d_lo = two_sum(z_of[k], -m[:, None])
                    result, lost = two_sum(d, -hi[:, None])
                    result += tl.where(result > float("-inf"), lost + (d_lo - lo), 0.0)
                j, is_class = classes_of(start, k, end, BLOCK, STRIPS, FULL)
                to_store = is_row[:, None] if FULL else is_row[:, None] & is_class
                tl.store(place + k * step, result, mask=to_store, eviction_policy=EVICT)
