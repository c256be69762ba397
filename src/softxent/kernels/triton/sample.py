"""The soft max: a class drawn with probability p, by inverting the cumulative sum of the row's terms."""

import triton
import triton.language as tl

from softxent.kernels.triton.blocks import multiple_of, place_of_rows, rows_of_program, scaled, target_logit
from softxent.kernels.triton.math import (
    add_pairs,
    exp_in,
    exp_of,
    exp_of_largest,
    float_of,
    log1p,
    range_around,
    two_sum,
)
from softxent.kernels.triton.parts import combine, weights_of_parts
from softxent.kernels.triton.rows import NOTHING, defined, sum_up


@triton.jit
def drawn(weight, until, j, WIDTH: tl.constexpr):
    """The first j where the sum of the weights up to it passes `until`, or the last whose weight is not 0.

    And the sum of those before it.
    """
    sums = tl.cumsum(weight, 1)
    last = tl.max(tl.where(weight > 0, j, -1), 1)
    choice = tl.min(tl.where((sums > until[:, None]) & (weight > 0), j, WIDTH), 1)
    choice = tl.minimum(choice, last)
    return choice, tl.sum(tl.where(j < choice[:, None], weight, 0.0), 1)


@triton.jit
def drawn_of_strips(es, until, ROWS: tl.constexpr, LANES: tl.constexpr, STRIPS: tl.constexpr):
    """The same of a row's strips, one after the other."""
    rest = until.to(es[0].dtype)
    rest_lo = (until - rest.to(tl.float64)).to(rest.dtype)
    of_strip, strip, last = until, tl.zeros([ROWS], tl.int32), tl.zeros([ROWS], tl.int32)
    for k in tl.static_range(STRIPS):
        weight, weight_lo = tl.reduce((es[k], tl.zeros_like(es[k])), 1, add_pairs)
        last = tl.where(weight > 0, k, last)
        rest, lost = two_sum(rest, -weight)
        rest_lo += lost - weight_lo
        behind = rest + rest_lo >= 0
        strip = tl.where(behind, k + 1, strip)
        of_strip = tl.where(behind, rest.to(tl.float64) + rest_lo.to(tl.float64), of_strip)
    of_strip = tl.where(strip > last, float("inf"), of_strip)  # rounding left nothing to fall on: the last class
    strip = tl.minimum(strip, last)
    e = es[0]
    for k in tl.static_range(1, STRIPS):
        e = tl.where((strip == k)[:, None], es[k], e)
    lane, before = drawn(e.to(tl.float64), of_strip, tl.arange(0, LANES)[None, :], LANES)
    return strip * LANES + lane


@triton.jit(do_not_specialize=["temperature"])
def sample_of_block_kernel(
    x_ptr, uniform_ptr, index_ptr, log_prob_ptr, rows, classes, inner, x_outer, x_inner, x_class, temperature,
    TEMPERATURE: tl.constexpr, WIDE: tl.constexpr, ALIGNED: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
    STRIPS: tl.constexpr, FULL: tl.constexpr,
):  # fmt: skip
    """ROWS whole rows a program; −1 for a row without probabilities."""
    temperature = float_of(temperature)
    i, is_row = rows_of_program(rows, ROWS)
    x_at = place_of_rows(i, inner, x_outer, x_inner, ALIGNED)
    m, others, gap, mass, first, above, zs, es = sum_up(
        x_ptr, x_at, x_class, None, None, 0, None, None, is_row, 0, classes, classes,
        0.0, temperature, 1.0,
        NOTHING, False, False, TEMPERATURE, False, False,
        WIDE, ALIGNED, ROWS, BLOCK, STRIPS, FULL, True,
    )  # fmt: skip
    others = defined(m, others)
    largest = exp_of_largest(m)
    until = tl.load(uniform_ptr + i, mask=is_row, other=0.0) * (largest + others)
    choice = drawn_of_strips(es, until, ROWS, BLOCK // STRIPS, STRIPS)
    store_drawn(
        x_ptr, x_at, x_class, index_ptr, log_prob_ptr, i, is_row, choice, m.to(tl.float64), others / largest,
        temperature, TEMPERATURE, WIDE,
    )  # fmt: skip


@triton.jit
def store_drawn(
    x_ptr, x_at, x_class, index_ptr, log_prob_ptr, i, is_row, choice, m, ratio, temperature,
    TEMPERATURE: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """The classes and their log-probabilities; of a row whose others / E(m) is NaN −1, and that."""
    has_softmax = ratio == ratio
    # read again, for z not to fill registers until the class is known
    x_choice, z_choice = target_logit(
        x_ptr, x_at, x_class, choice, is_row & has_softmax, temperature, 1.0, TEMPERATURE, False, WIDE
    )
    tl.store(index_ptr + i, tl.where(has_softmax, choice, -1).to(tl.int64), mask=is_row)
    log_prob = (z_choice.to(tl.float64) - m) - log1p(ratio, WIDE)
    tl.store(log_prob_ptr + i, tl.where(has_softmax, log_prob, ratio), mask=is_row)


@triton.jit(do_not_specialize=["temperature"])
def sample_kernel(
    x_ptr, sums_ptr, uniform_ptr, index_ptr, log_prob_ptr, rows, classes, inner, width, x_outer, x_inner, x_class,
    temperature,
    TEMPERATURE: tl.constexpr, WIDE: tl.constexpr, ALIGNED: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr,
    PARTS: tl.constexpr, WIDTH: tl.constexpr,
):  # fmt: skip
    """ROWS rows a program. Only the part that u·Σ falls into is read again; −1 for a row without probabilities."""
    temperature = float_of(temperature)
    i, is_row = rows_of_program(rows, ROWS)
    wide_m, ratio, gap, mass, first, above = combine(sums_ptr, i, rows, NOTHING, PARTS, WIDTH)
    at, m_k, m, weight = weights_of_parts(sums_ptr, i, rows, PARTS, WIDTH)
    k = tl.arange(0, WIDTH)[None, :]
    weight *= 1 + tl.load(at + 1, mask=is_row[:, None] & (k < PARTS), other=0.0)
    weight = tl.where(weight < 1e-30, 0.0, weight)  # no uniform number falls there, where E may be 0 of every class
    until = tl.load(uniform_ptr + i, mask=is_row, other=0.0) * tl.sum(weight, 1)
    part, below = drawn(weight, until, k, WIDTH)

    m = wide_m.to(WIDE)
    ratio = defined(m, ratio)
    shift, round, lowest, n = range_around(m)
    largest = exp_of(m, shift, round, lowest, n)
    begin = part * width
    end = multiple_of(tl.minimum(begin + width, classes), ALIGNED)
    x_at = place_of_rows(i, inner, x_outer, x_inner, ALIGNED)
    lanes = tl.arange(0, BLOCK)[None, :]
    j = begin[:, None] + lanes
    mask = is_row[:, None] & (begin[:, None] >= 0) & (j < end[:, None])
    x = tl.load(x_ptr + (x_at[:, None] + j.to(tl.int64) * x_class), mask=mask, other=float("-inf")).to(WIDE)
    z = scaled(x, temperature, 1.0, TEMPERATURE, False)
    e = exp_in(z - shift[:, None], round[:, None], lowest[:, None]).to(tl.float64)
    choice, before = drawn(e, (until - below) * largest, lanes, BLOCK)
    store_drawn(
        x_ptr, x_at, x_class, index_ptr, log_prob_ptr, i, is_row, begin + choice, wide_m, ratio,
        temperature, TEMPERATURE, WIDE,
    )  # fmt: skip
