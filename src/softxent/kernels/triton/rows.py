"""How a row's classes are read and summed up, a block of rows × classes at a time.

Of each row the largest logit m is kept apart from the others: `others` is Σ_j E(z_j) without that of one largest, so
that log(1 + tiny) stays tiny and p − 1 is −(the others). It is what is left of Σ E when E(m) is taken away again: both
are known with their rounding errors, which are no larger than the sum of the others, so that nothing cancels.
"""

import triton
import triton.language as tl

from softxent.kernels.triton.math import (
    HEADROOM32,
    HEADROOM64,
    add_pairs,
    capped_in_double,
    conversion,
    exp_in,
    range_around,
    sum_of_pairs,
    two_sum,
)

NOTHING, TARGET, STATISTICS = tl.constexpr(0), tl.constexpr(1), tl.constexpr(2)  # what is summed up beside E
LAST = tl.constexpr(2147483647)  # beyond every class


@triton.jit
def place_of_rows(i, inner, outer_stride, inner_stride, ALIGNED: tl.constexpr):
    """Where rows begin, a multiple of ALIGNED: row i is (i // inner, i % inner)."""
    return tl.multiple_of((i // inner) * outer_stride + (i % inner) * inner_stride, [ALIGNED])


@triton.jit
def logits(x_ptr, x_at, x_class, j, mask, WIDE: tl.constexpr):
    """Classes j of rows that begin at x_at; −inf where there is none."""
    return tl.load(x_ptr + (x_at[:, None] + j.to(tl.int64) * x_class), mask=mask, other=float("-inf")).to(WIDE)


@triton.jit
def scaled(x, temperature, softcap, TEMPERATURE: tl.constexpr, SOFTCAP: tl.constexpr):
    """z = c·tanh(x / c) / T, rounded once."""
    if SOFTCAP:
        capped = capped_in_double(x.to(tl.float64), softcap)[0] / temperature
        z = tl.where(tl.abs(x) < float("inf"), capped.to(x.dtype), x)  # −inf stays a mask, NaN stays NaN
    elif TEMPERATURE:
        z = (x.to(tl.float64) / temperature).to(x.dtype)
    else:
        z = x
    return z


@triton.jit
def target_weights(
    t_ptr, weight_ptr, at, j, mask, classes, smoothing,
    PROBABILITIES: tl.constexpr, WEIGHTED: tl.constexpr, CHECKED: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """a_j = w_j·((1 − ε)·t_j + ε / V), but for (1 − ε)·w_y of a class index."""
    if PROBABILITIES:
        t = tl.load(t_ptr + at, mask=mask, other=0.0).to(tl.float64)
        if CHECKED:
            tl.device_assert((t >= 0) & (t < float("inf")), "target must be finite numbers, 0 or more", mask=mask)
        a = (1 - smoothing) * t + smoothing / classes
        if WEIGHTED:
            a *= tl.load(weight_ptr + j, mask=mask, other=0.0).to(tl.float64)
        a = a.to(WIDE)
    else:
        a = (smoothing / classes).to(WIDE)
        if WEIGHTED:
            a *= tl.load(weight_ptr + j, mask=mask, other=0.0)
    return tl.where(mask, a, 0.0)


@triton.jit
def target_logit(
    x_ptr, x_at, x_class, y, counted, temperature, softcap, TEMPERATURE: tl.constexpr, SOFTCAP: tl.constexpr,
    WIDE: tl.constexpr
):  # fmt: skip
    z_y = tl.load(x_ptr + (x_at + y * x_class), mask=counted, other=0.0).to(WIDE)
    return scaled(z_y, temperature, softcap, TEMPERATURE, SOFTCAP)


@triton.jit
def class_of_rows(t_ptr, t_at, is_row, classes, ignore_index):
    """The target of each row, and whether it counts; one that is no class stops the program."""
    y = tl.load(t_ptr + t_at, mask=is_row, other=0).to(tl.int64)
    is_class = (y >= 0) & (y < classes)
    tl.device_assert(is_class | (y == ignore_index), "target is no class, nor ignore_index", mask=is_row)
    return y, is_row & is_class & (y != ignore_index)


@triton.jit
def larger(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def defined(m, others):
    """`others`, or NaN for a row without softmax: all −inf, or with +inf or NaN."""
    return others + (m - m).to(tl.float64)


@triton.jit
def first_where(found, j):
    return tl.min(tl.where(found, j, LAST), 1)


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
def sum_up(
    x_ptr, x_at, x_class, t_ptr, t_at, t_class, weight_ptr, z_y, is_row, begin, end, classes,
    smoothing, temperature, softcap,
    BESIDE: tl.constexpr, PROBABILITIES: tl.constexpr, WEIGHTED: tl.constexpr, TEMPERATURE: tl.constexpr,
    SOFTCAP: tl.constexpr, CHECKED: tl.constexpr, WIDE: tl.constexpr, ALIGNED: tl.constexpr, ROWS: tl.constexpr,
    BLOCK: tl.constexpr, ONE_BLOCK: tl.constexpr,
):  # fmt: skip
    """Classes begin … end − 1 of each row: m, others in the range around m, and beside them

    TARGET       gap = Σ a_j·(m − z_j) and mass = Σ a_j, in float64
    STATISTICS   gap = Σ E_j·(m − z_j), the first class with z = m or NaN, and how many z exceed z_y

    At last z and E, for what is computed from a single block.
    """
    lanes = tl.arange(0, BLOCK)[None, :]
    end = (end // ALIGNED) * ALIGNED  # no other number, but one that loads without a mask within can be known for
    zeros = tl.zeros([ROWS, BLOCK], WIDE)
    gap, gap_lo, mass, mass_lo = zeros, zeros, zeros, zeros
    first, above = tl.full([ROWS], LAST, tl.int32), tl.full([ROWS], 0, tl.int32)
    if ONE_BLOCK:
        j = begin + lanes
        mask = is_row[:, None] & (j < end)
        x = logits(x_ptr, x_at, x_class, j, mask, WIDE)
        z = scaled(x, temperature, softcap, TEMPERATURE, SOFTCAP)
        m = tl.reduce(z, 1, larger)
        shift, round, lowest, n = range_around(m)
        e = exp_in(z, shift[:, None], round[:, None], lowest[:, None])
        total, total_lo = e, zeros
        if BESIDE == TARGET:
            at = t_at[:, None] + j.to(tl.int64) * t_class
            mass = target_weights(
                t_ptr, weight_ptr, at, j, mask, classes, smoothing, PROBABILITIES, WEIGHTED, CHECKED, WIDE
            )
            gap = products(mass, m[:, None], z)
        elif BESIDE == STATISTICS:
            gap = products(e, m[:, None], z)
            first = first_where((z == m[:, None]) | (z != z), j)
            above = tl.sum((z > z_y[:, None]).to(tl.int32), 1)
    else:
        m = tl.full([ROWS], float("-inf"), WIDE)
        at = m
        shift, round, lowest, n = range_around(at)
        total, total_lo = zeros, zeros
        if BLOCK == 1:  # a thread has whole rows: the first visit finds m, the second has it from the cache
            for c in range(begin, end):
                x_c = logits(x_ptr, x_at, x_class, c + lanes, is_row[:, None], WIDE)
                m = larger(m, tl.reduce(scaled(x_c, temperature, softcap, TEMPERATURE, SOFTCAP), 1, larger))
            shift, round, lowest, n = range_around(m)
        for start in range(begin, end, BLOCK):
            j = start + lanes
            mask = is_row[:, None] & (j < end)
            x = logits(x_ptr, x_at, x_class, j, mask, WIDE)
            z = scaled(x, temperature, softcap, TEMPERATURE, SOFTCAP)
            last = m
            if BLOCK > 1:
                m = larger(m, tl.reduce(z, 1, larger))
                if tl.max((m > last).to(tl.int32), 0) > 0:
                    if WIDE == tl.float32:
                        fits = (m <= at + HEADROOM32) & (at > float("-inf"))
                    else:
                        fits = (m <= at + HEADROOM64) & (at > float("-inf"))
                    by = tl.where(last > float("-inf"), m - last, 0.0)[:, None]
                    if BESIDE == TARGET:
                        gap, lost = two_sum(gap, tl.where(mass == 0, 0.0, mass * by))
                        gap_lo += lost
                    elif BESIDE == STATISTICS:
                        gap, lost = two_sum(gap, tl.where(total == 0, 0.0, total * by))
                        gap_lo += lost
                    at = tl.where(fits, at, m)
                    to_shift, round, lowest, to_n = range_around(at)
                    factor = tl.where(last > float("-inf"), conversion(shift, n, to_shift, to_n), 1.0)[:, None]
                    shift, n = to_shift, to_n
                    total, total_lo = rescaled(total, total_lo, factor)
                    if BESIDE == STATISTICS:
                        gap, gap_lo = rescaled(gap, gap_lo, factor)
            e = exp_in(z, shift[:, None], round[:, None], lowest[:, None])
            total, lost = two_sum(total, e)
            total_lo += lost
            if BESIDE == TARGET:
                t_place = t_at[:, None] + j.to(tl.int64) * t_class
                a = target_weights(
                    t_ptr, weight_ptr, t_place, j, mask, classes, smoothing, PROBABILITIES, WEIGHTED, CHECKED, WIDE
                )
                mass, lost = two_sum(mass, a)
                mass_lo += lost
                gap, lost = two_sum(gap, products(a, m[:, None], z))
                gap_lo += tl.where(gap < float("inf"), lost, 0.0)
            elif BESIDE == STATISTICS:
                gap, lost = two_sum(gap, products(e, m[:, None], z))
                gap_lo += lost
                here = first_where((z == m[:, None]) | (z != z), j)
                first = tl.where((m > last) | ((m != m) & (last == last)), here, tl.minimum(first, here))
                above += tl.sum((z > z_y[:, None]).to(tl.int32), 1)
        z, e = zeros, zeros  # the compiler knows no name that only a loop defines

    total, lo = tl.reduce((total, total_lo), 1, add_pairs)
    others = (total.to(tl.float64) - exp_in(m, shift, round, lowest).to(tl.float64)) + lo.to(tl.float64)
    wide_gap, wide_mass = others * 0, others * 0
    if BESIDE != NOTHING:
        wide_gap = sum_of_pairs(gap, gap_lo)
    if BESIDE == TARGET:
        wide_mass = sum_of_pairs(mass, mass_lo)
    if not ONE_BLOCK and BLOCK > 1:
        to_shift, round, lowest, to_n = range_around(m)
        factor = tl.where(m > float("-inf"), conversion(shift, n, to_shift, to_n), 1.0)
        others *= factor
        if BESIDE == STATISTICS:
            wide_gap *= factor
    return m, others, wide_gap, wide_mass, first, above, z, e
