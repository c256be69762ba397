"""How a row's classes are summed up, a block (blocks.py) at a time.

Of each row the largest logit m is kept apart from the others: `others` is Σ_j E(z_j) without that of one largest, so
that log(1 + tiny) stays tiny and p − 1 is −(the others). It is what is left of Σ E when E(m) is taken away again: both
are known with their rounding errors, which are no larger than the sum of the others, so that nothing cancels.

Every lane's sum begins with E(m), its base: no term is larger, so that three additions find what one rounds away
(add_above), and a sum that began higher would round away digits of E(m) too, beside which those of the others drown.
"""

import triton
import triton.language as tl

from softxent.kernels.triton.blocks import all_scaled, classes_of, logits, multiple_of, target_weights
from softxent.kernels.triton.math import (
    HEADROOM32,
    HEADROOM64,
    add_above,
    add_pairs,
    conversion,
    exp_for_16_bits,
    exp_in,
    range_around,
    sum_of_pairs,
    two_sum,
)

NOTHING, TARGET, STATISTICS = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)  # what is summed up beside E
LAST = tl.constexpr(2147483647)  # beyond every class


@triton.jit
def larger(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def largest_of(zs, STRIPS: tl.constexpr):
    """Of each row, NaN if there is one."""
    best = zs[0]
    for k in tl.static_range(1, STRIPS):
        best = larger(best, zs[k])
    return tl.reduce(best, 1, larger)


@triton.jit
def all_moved(zs, shift, STRIPS: tl.constexpr):
    ys = ()
    for k in tl.static_range(STRIPS):
        ys += (zs[k] - shift[:, None],)
    return ys


@triton.jit
def moved(zs, shift, ROWS: tl.constexpr, STRIPS: tl.constexpr):
    """z − shift, which is 0 in most rows."""
    if ROWS > 1:
        ys = all_moved(zs, shift, STRIPS)
    else:
        ys = zs
        if tl.max((shift != 0).to(tl.int32), 0) > 0:
            ys = all_moved(zs, shift, STRIPS)
    return ys


@triton.jit
def defined(m, others):
    """`others`, or NaN for a row without softmax: all −inf, or with +inf or NaN."""
    return others + (m - m).to(tl.float64)


@triton.jit
def first_largest(zs, m, start, BLOCK: tl.constexpr, STRIPS: tl.constexpr):
    """Where each lane's first z = m or NaN stands; LAST if it has none."""
    LANES: tl.constexpr = BLOCK // STRIPS
    strip = tl.full(zs[0].shape, -1, tl.int32)
    for k in tl.static_range(STRIPS):
        z = zs[STRIPS - 1 - k]
        strip = tl.where((z == m[:, None]) | (z != z), STRIPS - 1 - k, strip)
    return tl.where(strip < 0, LAST, start + strip * LANES + tl.arange(0, LANES)[None, :])


@triton.jit
def products(a, m, z):
    """a·(m − z), halved and doubled so that m − z does not overflow; of a mask ∞, and where a is 0 always 0."""
    below = tl.where(z == float("-inf"), float("inf"), 0.5 * m - 0.5 * z)  # also while m is −∞ itself
    return tl.where(a == 0, 0.0, (2 * a) * below)


@triton.jit
def rescaled(s, s_lo, factor):
    """A pair times a float64, in the pair's own dtype."""
    hi = factor.to(s.dtype)
    lo = (factor - hi.to(tl.float64)).to(s.dtype)
    product = s * hi
    return product, tl.fma(s, hi, -product) + (s_lo * hi + s * lo)


@triton.jit
def without(s, s_lo, base):
    """A pair less what its sum began with (as add_above, for it is the smaller)."""
    rest = s - base[:, None]
    return rest, s_lo + ((s - rest) - base[:, None])


@triton.jit
def rebased(s, s_lo, by):
    """A pair and a number more of each row: what sums begin with, so that no term of theirs is larger."""
    s, lost = two_sum(s, by[:, None])
    return s, s_lo + lost


@triton.jit
def add_block(
    zs, m, shift, round, lowest, total, total_lo, gap, gap_lo, mass, mass_lo, first, above,
    t_ptr, t_at, t_class, weight_ptr, z_y, is_row, start, end, classes, smoothing,
    BESIDE: tl.constexpr, PROBABILITIES: tl.constexpr, WEIGHTED: tl.constexpr, CHECKED: tl.constexpr,
    WIDE: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, STRIPS: tl.constexpr, FULL: tl.constexpr,
):  # fmt: skip
    """The sums of each lane with a block more; and its E."""
    es, pair = (), gap
    ys = moved(zs, shift, ROWS, STRIPS)
    for k in tl.static_range(STRIPS):
        z = zs[k]
        e = exp_in(ys[k], round[:, None], lowest[:, None])
        es += (e,)
        total, total_lo = add_above(total, total_lo, e)
        if BESIDE == TARGET:
            j, is_class = classes_of(start, k, end, BLOCK, STRIPS, FULL)
            at, mask = t_at[:, None] + j.to(tl.int64) * t_class, is_row[:, None] & is_class
            a = target_weights(
                t_ptr, weight_ptr, at, j, mask, classes, smoothing, PROBABILITIES, WEIGHTED, CHECKED, WIDE
            )
            mass, lost = two_sum(mass, a)
            mass_lo += lost
            gap, lost = two_sum(gap, products(a, m[:, None], z))
            gap_lo += tl.where(gap < float("inf"), lost, 0.0)
        elif BESIDE == STATISTICS:
            below = (m - shift)[:, None] - tl.maximum(ys[k], lowest[:, None])
            pair = e * below if k % 2 == 0 else tl.fma(e, below, pair)  # where one adds up two, nothing is large
            if k % 2 == 1 or k == STRIPS - 1:
                gap, gap_lo = add_above(gap, gap_lo, pair)
            above += tl.where(z > z_y[:, None], 1.0, 0.0)
    if BESIDE == STATISTICS:
        first = tl.minimum(first, first_largest(zs, m, start, BLOCK, STRIPS))
    return es, total, total_lo, gap, gap_lo, mass, mass_lo, first, above


@triton.jit
def sum_in_turn(
    x_ptr, x_at, x_class, t_ptr, t_at, t_class, weight_ptr, z_y, is_row, begin, end, classes,
    smoothing, temperature, softcap,
    BESIDE: tl.constexpr, PROBABILITIES: tl.constexpr, WEIGHTED: tl.constexpr, TEMPERATURE: tl.constexpr,
    SOFTCAP: tl.constexpr, CHECKED: tl.constexpr, WIDE: tl.constexpr, ROWS: tl.constexpr,
    BLOCK: tl.constexpr, STRIPS: tl.constexpr, FULL: tl.constexpr,
):  # fmt: skip
    """Each lane's sums of several blocks: m, the range that they are in, E(m) in it, and they."""
    HEADROOM: tl.constexpr = HEADROOM32 if WIDE == tl.float32 else HEADROOM64
    zeros, nothing = tl.zeros([ROWS, BLOCK // STRIPS], WIDE), float("-inf")
    total, total_lo, gap, gap_lo, mass, mass_lo = zeros, zeros, zeros, zeros, zeros, zeros
    first, above = tl.full(zeros.shape, LAST, tl.int32), tl.zeros(zeros.shape, tl.float32)
    m = tl.full([ROWS], nothing, WIDE)
    at, base = m, tl.zeros([ROWS], WIDE)
    shift, round, lowest, n = range_around(at)
    for start in range(begin, end, BLOCK):
        xs = logits(x_ptr, x_at, x_class, is_row, start, end, WIDE, BLOCK, STRIPS, FULL)
        zs = all_scaled(xs, temperature, softcap, TEMPERATURE, SOFTCAP, STRIPS)
        last = m
        m = larger(m, largest_of(zs, STRIPS))
        risen = (m > last) | ((m != m) & (last == last))
        if tl.max(risen.to(tl.int32), 0) > 0:
            total, total_lo = without(total, total_lo, base)
            by = tl.where(last > nothing, m - last, 0.0)[:, None]
            if BESIDE == TARGET:
                gap, lost = two_sum(gap, tl.where(mass == 0, 0.0, mass * by))
                gap_lo += lost
            elif BESIDE == STATISTICS:
                gap, gap_lo = without(gap, gap_lo, base)
                gap, lost = two_sum(gap, tl.where(total == 0, 0.0, total * by))
                gap_lo += lost
                first = tl.where(risen[:, None], LAST, first)
            at = tl.where((m <= at + HEADROOM) & (at > nothing), at, m)
            to_shift, round, lowest, to_n = range_around(at)
            factor = tl.where(last > nothing, conversion(shift, n, to_shift, to_n), 1.0)[:, None]
            shift, n = to_shift, to_n
            base = exp_in(m - shift, round, lowest)
            total, total_lo = rescaled(total, total_lo, factor)
            total, total_lo = rebased(total, total_lo, base)
            if BESIDE == STATISTICS:
                gap, gap_lo = rescaled(gap, gap_lo, factor)
                gap, gap_lo = rebased(gap, gap_lo, base)
        es, total, total_lo, gap, gap_lo, mass, mass_lo, first, above = add_block(
            zs, m, shift, round, lowest, total, total_lo, gap, gap_lo, mass, mass_lo, first, above,
            t_ptr, t_at, t_class, weight_ptr, z_y, is_row, start, end, classes, smoothing,
            BESIDE, PROBABILITIES, WEIGHTED, CHECKED, WIDE, ROWS, BLOCK, STRIPS, FULL,
        )  # fmt: skip
    return m, shift, n, base, total, total_lo, gap, gap_lo, mass, mass_lo, first, above


@triton.jit
def sum_of_block(
    x_ptr, x_at, x_class, t_ptr, t_at, t_class, weight_ptr, z_y, is_row, begin, end, classes,
    smoothing, temperature, softcap,
    BESIDE: tl.constexpr, PROBABILITIES: tl.constexpr, WEIGHTED: tl.constexpr, TEMPERATURE: tl.constexpr,
    SOFTCAP: tl.constexpr, CHECKED: tl.constexpr, WIDE: tl.constexpr, ROWS: tl.constexpr,
    BLOCK: tl.constexpr, STRIPS: tl.constexpr, FULL: tl.constexpr,
):  # fmt: skip
    """The same of a single block, and its z and E."""
    zeros = tl.zeros([ROWS, BLOCK // STRIPS], WIDE)
    first, above = tl.full(zeros.shape, LAST, tl.int32), tl.zeros(zeros.shape, tl.float32)
    xs = logits(x_ptr, x_at, x_class, is_row, begin, end, WIDE, BLOCK, STRIPS, FULL)
    zs = all_scaled(xs, temperature, softcap, TEMPERATURE, SOFTCAP, STRIPS)
    m = largest_of(zs, STRIPS)
    shift, round, lowest, n = range_around(m)
    base = exp_in(m - shift, round, lowest)
    total = zeros + base[:, None]
    gap = total if BESIDE == STATISTICS else zeros
    es, total, total_lo, gap, gap_lo, mass, mass_lo, first, above = add_block(
        zs, m, shift, round, lowest, total, zeros, gap, zeros, zeros, zeros, first, above,
        t_ptr, t_at, t_class, weight_ptr, z_y, is_row, begin, end, classes, smoothing,
        BESIDE, PROBABILITIES, WEIGHTED, CHECKED, WIDE, ROWS, BLOCK, STRIPS, FULL,
    )  # fmt: skip
    return m, shift, n, base, total, total_lo, gap, gap_lo, mass, mass_lo, first, above, zs, es


@triton.jit
def sum_up(
    x_ptr, x_at, x_class, t_ptr, t_at, t_class, weight_ptr, z_y, is_row, begin, end, classes,
    smoothing, temperature, softcap,
    BESIDE: tl.constexpr, PROBABILITIES: tl.constexpr, WEIGHTED: tl.constexpr, TEMPERATURE: tl.constexpr,
    SOFTCAP: tl.constexpr, CHECKED: tl.constexpr, WIDE: tl.constexpr, ALIGNED: tl.constexpr, ROWS: tl.constexpr,
    BLOCK: tl.constexpr, STRIPS: tl.constexpr, FULL: tl.constexpr, ONE_BLOCK: tl.constexpr,
):  # fmt: skip
    """Classes begin … end − 1 of each row: m, others in the range around m, and beside them

    TARGET       gap = Σ a_j·(m − z_j) and mass = Σ a_j, in float64
    STATISTICS   gap = Σ E_j·(m − z_j), the first class with z = m or NaN, and how many z exceed z_y

    At last the strips' z and E, if they are a single block.
    """
    end = multiple_of(end, ALIGNED)
    if ONE_BLOCK:
        m, shift, n, base, total, total_lo, gap, gap_lo, mass, mass_lo, first, above, zs, es = sum_of_block(
            x_ptr, x_at, x_class, t_ptr, t_at, t_class, weight_ptr, z_y, is_row, begin, end, classes,
            smoothing, temperature, softcap,
            BESIDE, PROBABILITIES, WEIGHTED, TEMPERATURE, SOFTCAP, CHECKED, WIDE, ROWS, BLOCK, STRIPS, FULL,
        )  # fmt: skip
    else:
        m, shift, n, base, total, total_lo, gap, gap_lo, mass, mass_lo, first, above = sum_in_turn(
            x_ptr, x_at, x_class, t_ptr, t_at, t_class, weight_ptr, z_y, is_row, begin, end, classes,
            smoothing, temperature, softcap,
            BESIDE, PROBABILITIES, WEIGHTED, TEMPERATURE, SOFTCAP, CHECKED, WIDE, ROWS, BLOCK, STRIPS, FULL,
        )  # fmt: skip
        zs, es = (), ()
    total, total_lo = tl.reduce(without(total, total_lo, base), 1, add_pairs)
    others = (total.to(tl.float64) - base.to(tl.float64)) + total_lo.to(tl.float64)
    wide_gap, wide_mass = others * 0, others * 0
    if BESIDE == TARGET:
        wide_gap, wide_mass = sum_of_pairs(gap, gap_lo), sum_of_pairs(mass, mass_lo)
    elif BESIDE == STATISTICS:
        gap, gap_lo = without(gap, gap_lo, base)
        wide_gap = sum_of_pairs(gap, gap_lo)
    if not ONE_BLOCK:
        to_shift, round, lowest, to_n = range_around(m)
        factor = tl.where(m > float("-inf"), conversion(shift, n, to_shift, to_n), 1.0)
        others *= factor
        if BESIDE == STATISTICS:
            wide_gap *= factor
    return m, others, wide_gap, wide_mass, tl.min(first, 1), tl.sum(above.to(tl.int32), 1), zs, es


@triton.jit
def times(es, factor, ROWS: tl.constexpr, STRIPS: tl.constexpr):
    """E·factor, which is 1 in most rows."""
    if ROWS > 1:
        scaled_es = all_times(es, factor, STRIPS)
    else:
        scaled_es = es
        if tl.max((factor != 1).to(tl.int32), 0) > 0:
            scaled_es = all_times(es, factor, STRIPS)
    return scaled_es


@triton.jit
def all_times(es, factor, STRIPS: tl.constexpr):
    scaled_es = ()
    for k in tl.static_range(STRIPS):
        scaled_es += (es[k] * factor[:, None],)
    return scaled_es


@triton.jit
def read_again(
    x_ptr, x_at, x_class, is_row, start, end, m, largest, shift, round, lowest, temperature, softcap,
    TEMPERATURE: tl.constexpr, SOFTCAP: tl.constexpr, OF_16_BITS: tl.constexpr, WIDE: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr, STRIPS: tl.constexpr, FULL: tl.constexpr,
):  # fmt: skip
    """x, z and E of a block of rows whose sums are known, for the last time."""
    xs = logits(x_ptr, x_at, x_class, is_row, start, end, WIDE, BLOCK, STRIPS, FULL, "evict_first")
    zs = all_scaled(xs, temperature, softcap, TEMPERATURE, SOFTCAP, STRIPS)
    es = ()
    if OF_16_BITS:
        for k in tl.static_range(STRIPS):
            es += (exp_for_16_bits(zs[k], m, largest),)
    else:
        ys = moved(zs, shift, ROWS, STRIPS)
        for k in tl.static_range(STRIPS):
            es += (exp_in(ys[k], round[:, None], lowest[:, None]),)
    return xs, zs, es
