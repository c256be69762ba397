"""A long row in parts: each program sums up one, and one of the row combines them, in their order."""

import triton
import triton.language as tl

from softxent.kernels.triton.blocks import class_of_rows, place_of_rows, rows_of_program, target_logit
from softxent.kernels.triton.math import exp_of_largest, float_of, two_sum
from softxent.kernels.triton.rows import LAST, NOTHING, STATISTICS, larger, sum_up

# Of a part, or a row: m, others / E(m), gap (of STATISTICS / E(m)), mass, first, above; in float64, exact for classes
FIELDS = tl.constexpr(6)


@triton.jit(do_not_specialize=["ignore_index", "smoothing", "temperature", "softcap"], debug=True)
def sums_kernel(
    x_ptr, t_ptr, weight_ptr, sums_ptr, rows, classes, inner, width,
    x_outer, x_inner, x_class, t_outer, t_inner, t_class, ignore_index, smoothing, temperature, softcap,
    BESIDE: tl.constexpr, PROBABILITIES: tl.constexpr, WEIGHTED: tl.constexpr, TEMPERATURE: tl.constexpr,
    SOFTCAP: tl.constexpr, CHECKED: tl.constexpr, WIDE: tl.constexpr, ALIGNED: tl.constexpr, ROWS: tl.constexpr,
    BLOCK: tl.constexpr, STRIPS: tl.constexpr, FULL: tl.constexpr, ONE_BLOCK: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """Part program_id(1), `width` classes, of ROWS rows."""
    smoothing, temperature, softcap = float_of(smoothing), float_of(temperature), float_of(softcap)
    i, is_row = rows_of_program(rows, ROWS)
    part = tl.program_id(1)
    x_at, t_at = place_of_rows(i, inner, x_outer, x_inner, ALIGNED), place_of_rows(i, inner, t_outer, t_inner, 1)
    begin = part * width
    end = tl.minimum(begin + width, classes)
    z_y = tl.zeros([ROWS], WIDE)
    if BESIDE == STATISTICS:
        y, counted = class_of_rows(t_ptr, t_at, is_row, classes, ignore_index)
        x_y, z_y = target_logit(x_ptr, x_at, x_class, y, counted, temperature, softcap, TEMPERATURE, SOFTCAP, WIDE)
    m, others, gap, mass, first, above, zs, es = sum_up(
        x_ptr, x_at, x_class, t_ptr, t_at, t_class, weight_ptr, z_y, is_row, begin, end, classes,
        smoothing, temperature, softcap,
        BESIDE, PROBABILITIES, WEIGHTED, TEMPERATURE, SOFTCAP, CHECKED,
        WIDE, ALIGNED, ROWS, BLOCK, STRIPS, FULL, ONE_BLOCK,
    )  # fmt: skip
    largest = exp_of_largest(m)
    ratio = tl.where(others == 0, others, others / largest)
    if BESIDE == STATISTICS:
        gap = tl.where(gap == 0, gap, gap / largest)
    at = sums_ptr + (i * PARTS + part) * FIELDS
    store_fields(at, is_row, m, ratio, gap, mass, first, above)


@triton.jit
def weights_of_parts(sums_ptr, i, rows, PARTS: tl.constexpr, WIDTH: tl.constexpr):
    """Of rows i: where the parts' sums stand, m_k, m and exp(m_k − m), 0 of what is no part, or nothing but masks."""
    k = tl.arange(0, WIDTH)[None, :]
    at = sums_ptr + (i[:, None] * PARTS + k) * FIELDS
    is_part = (i[:, None] < rows) & (k < PARTS)
    m_k = tl.load(at, mask=is_part, other=float("-inf"))
    m = tl.reduce(m_k, 1, larger)
    d, lost = two_sum(m_k, -m[:, None])
    weight = tl.exp(d) * (1 + tl.where(tl.abs(d) < 1000, lost, 0.0))
    return at, m_k, m, tl.where(m_k == float("-inf"), 0.0, weight)


@triton.jit
def combine(sums_ptr, i, rows, BESIDE: tl.constexpr, PARTS: tl.constexpr, WIDTH: tl.constexpr):
    """A row's fields, from those of its parts; WIDTH is a power of two and at least PARTS."""
    at, m_k, m, weight = weights_of_parts(sums_ptr, i, rows, PARTS, WIDTH)
    k = tl.arange(0, WIDTH)[None, :]
    is_part = (i[:, None] < rows) & (k < PARTS)
    ratio_k = tl.load(at + 1, mask=is_part, other=0.0)
    of_m = tl.min(tl.where(m_k == m[:, None], k, WIDTH), 1)  # the part whose largest term stays apart
    ratio = tl.sum(tl.where(k == of_m[:, None], ratio_k, weight * (1 + ratio_k)), 1)
    gap, mass, first, above = ratio * 0, ratio * 0, ratio * 0, ratio * 0
    if BESIDE != NOTHING:
        gap_k = tl.load(at + 2, mask=is_part, other=0.0)
        below = tl.where(m_k > float("-inf"), m[:, None] - m_k, 0.0)
        if BESIDE == STATISTICS:
            gap = tl.sum(tl.where(weight == 0, 0.0, weight * (gap_k + (1 + ratio_k) * below)), 1)
            first_k = tl.load(at + 4, mask=is_part, other=0.0)
            first = tl.min(tl.where((m_k == m[:, None]) | (m_k != m_k), first_k, LAST), 1)
            above = tl.sum(tl.load(at + 5, mask=is_part, other=0.0), 1)
        else:
            mass_k = tl.load(at + 3, mask=is_part, other=0.0)
            gap = tl.sum(gap_k + tl.where(mass_k == 0, 0.0, mass_k * below), 1)
            mass = tl.sum(mass_k, 1)
    return m, ratio, gap, mass, first, above


@triton.jit
def store_fields(at, mask, m, ratio, gap, mass, first, above):
    tl.store(at, m.to(tl.float64), mask=mask)
    tl.store(at + 1, ratio, mask=mask)
    tl.store(at + 2, gap, mask=mask)
    tl.store(at + 3, mass, mask=mask)
    tl.store(at + 4, first.to(tl.float64), mask=mask)
    tl.store(at + 5, above.to(tl.float64), mask=mask)


@triton.jit
def combine_kernel(sums_ptr, of_rows_ptr, rows, BESIDE: tl.constexpr, PARTS: tl.constexpr, WIDTH: tl.constexpr):
    """A row a program, which leaves its fields for the programs of its parts."""
    i = tl.program_id(0).to(tl.int64) + tl.arange(0, 1)
    m, ratio, gap, mass, first, above = combine(sums_ptr, i, rows, BESIDE, PARTS, WIDTH)
    store_fields(of_rows_ptr + i * FIELDS, i < rows, m, ratio, gap, mass, first, above)


@triton.jit
def sums_of_rows(of_rows_ptr, i, is_row, BESIDE: tl.constexpr, WIDE: tl.constexpr):
    """What sum_up returns of whole rows, but for z and E."""
    at = of_rows_ptr + i * FIELDS
    m = tl.load(at, mask=is_row, other=0.0).to(WIDE)
    largest = exp_of_largest(m)
    others = tl.load(at + 1, mask=is_row, other=0.0) * largest
    gap = tl.load(at + 2, mask=is_row, other=0.0)
    if BESIDE == STATISTICS:
        gap *= largest
    mass = tl.load(at + 3, mask=is_row, other=0.0)
    first, above = tl.load(at + 4, mask=is_row, other=0.0), tl.load(at + 5, mask=is_row, other=0.0)
    return m, others, gap, mass, first.to(tl.int64), above.to(tl.int64)
