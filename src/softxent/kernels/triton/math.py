"""exp(z − m) without rounding z − m, and sums that keep what they round away, on blocks of float32 or float64.

Elements are computed in their own dtype; what there is one of a row, such as a logarithm, is computed in float64.
The kernels are compiled with contraction off (launch.py): a fused a·b + c would round otherwise than the two operations
whose error two_sum returns. Where fusing is wanted, tl.fma says so; it takes constants as float32, so that float64 code
multiplies and adds.
"""

import triton
import triton.language as tl

# E(z) = exp(z) · 2^(BIAS − N), N = round(m / ln 2), as in ../cpu/math/exp.hpp: m is not subtracted, it brings exp into
# range. Where n·ln 2 would lose bits, |m| ≥ EXACT, z − m is exact for every z that counts, and m is subtracted first.
# CUTOFF: how far below m E becomes 0, beyond the subnormals, since a gradient may be scaled up. HEADROOM: how far above
# m E still fits.
LOG2E = tl.constexpr(1.4426950408889634)
ROUND32, CUTOFF32, HEADROOM32, EXACT32, BIAS32 = map(tl.constexpr, (1.5 * 2.0**23, 130.0, 27.0, 512.0, 64))
ROUND64, CUTOFF64, HEADROOM64, EXACT64, BIAS64 = map(tl.constexpr, (1.5 * 2.0**52, 800.0, 200.0, 4096.0, 192))
LN2 = tl.constexpr(0.6931471805599453)
LN2_HI32, LN2_LO32 = tl.constexpr(0.693359375), tl.constexpr(-0.00021219444170128554)  # n·LN2_HI is exact
LN2_HI64, LN2_LO64 = tl.constexpr(0.6931471803691238), tl.constexpr(1.9082149292705877e-10)


@triton.jit
def two_sum(a, b):
    """a + b, and what that rounded away (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


@triton.jit
def add_pairs(a, a_lo, b, b_lo):
    """(a + a_lo) + (b + b_lo), as a number and what it lacks: what tl.reduce adds up a row with."""
    total, lo = two_sum(a, b)
    return total, lo + (a_lo + b_lo)


@triton.jit
def sum_of_pairs(a, a_lo):
    """Of each row, in float64."""
    total, lo = tl.reduce((a, a_lo), 1, add_pairs)
    return total.to(tl.float64) + tl.where(tl.abs(total) < float("inf"), lo, 0.0).to(tl.float64)  # of inf it is NaN


@triton.jit
def range_around(m):
    """What E takes: what is subtracted of z, the number that rounds to n, the lowest z whose E is not 0, and N."""
    at = tl.where(m == float("-inf"), 0.0, m)  # of nothing but masks
    if m.dtype == tl.float32:
        shift = tl.where(tl.abs(at) < EXACT32, at * 0, at)
        n = ((at - shift) * LOG2E + ROUND32) - ROUND32
        return shift, -n + (ROUND32 + (127 + BIAS32)), at - CUTOFF32, n
    else:
        shift = tl.where(tl.abs(at) < EXACT64, at * 0, at)
        n = ((at - shift) * LOG2E + ROUND64) - ROUND64
        return shift, -n + (ROUND64 + (1023 + BIAS64)), at - CUTOFF64, n


@triton.jit
def exp_in(z, shift, round, lowest):
    """E(z), NaN for NaN. exp(r) = 1 + r + r²·(…), minimax by mpmath.chebyfit; error 8e-9·r², in float64 1.3e-17·r²."""
    y = z - shift
    if z.dtype == tl.float32:
        t = tl.fma(y, LOG2E, round)  # n and its place among the exponents, in the low bits
        n = t - round
        r = tl.fma(n, -LN2_LO32, tl.fma(n, -LN2_HI32, y))
        q = tl.fma(r, 0.00139263256, 0.00836329275)
        q = tl.fma(q, r, 0.0416665538)
        q = tl.fma(q, r, 0.166665763)
        q = tl.fma(q, r, 0.5)
        s = tl.fma(r * r, q, r)
        power = (t.to(tl.int32, bitcast=True) << 23).to(tl.float32, bitcast=True)
        e = tl.fma(s, power, power)
    else:
        t = y * LOG2E + round
        n = t - round
        r_hi = n * -LN2_HI64 + y  # n·LN2_HI is exact, and so is the difference
        r = n * -LN2_LO64 + r_hi
        q = r * 2.5100569275813682631e-8 + 2.762032742826823816e-7
        q = q * r + 2.7557268072890098263e-6
        q = q * r + 2.4801520792572692843e-5
        q = q * r + 1.9841269863303223296e-4
        q = q * r + 1.3888888917538295848e-3
        q = q * r + 8.3333333333300117609e-3
        q = q * r + 4.1666666666623476764e-2
        q = q * r + 0.16666666666666667468
        q = q * r + 0.50000000000000010417
        s = (r * r) * q + r
        s += n * -LN2_LO64 + (r_hi - r)  # what r rounded away
        power = (t.to(tl.int64, bitcast=True) << 52).to(tl.float64, bitcast=True)
        e = s * power + power
    return tl.where(z < lowest, 0.0, e)


@triton.jit
def exp_wide(z, shift, round, lowest, n):
    """E(z) of what there is one of a row, in float64; for float32 exact to that."""
    if z.dtype == tl.float32:
        r = (z.to(tl.float64) - shift.to(tl.float64)) - n.to(tl.float64) * LN2
        e = tl.where(z < lowest, 0.0, tl.exp(r) * 18446744073709551616.0)  # 2^BIAS32
    else:
        e = exp_in(z, shift, round, lowest)
    return e


@triton.jit
def exp_of_largest(m):
    """E(m) in the range around m, in float64."""
    shift, round, lowest, n = range_around(m)
    return exp_wide(m, shift, round, lowest, n)


@triton.jit
def conversion(from_shift, from_n, to_shift, to_n):
    """E in one range / E in another, in float64: a power of two, unless z is far from 0."""
    shift = from_shift.to(tl.float64) - to_shift.to(tl.float64)
    n = from_n.to(tl.float64) - to_n.to(tl.float64)
    a = shift + n * LN2_HI64
    r = a + n * LN2_LO64
    lost = n * LN2_LO64 - (r - a)
    return tl.where(shift == 0, tl.exp2(n), tl.exp(r) * (1 + lost))


@triton.jit
def float_of(bits):
    """A float64 that was passed as an integer, since Triton passes a float as float32."""
    return bits.to(tl.int64).to(tl.float64, bitcast=True)


@triton.jit
def log1p(y):
    """Of float64."""
    u = 1 + y
    return tl.where(u == 1, y, tl.log(u) + (y - (u - 1)) / u)


@triton.jit
def capped_in_double(x, softcap):
    """c·tanh(x / c) and its derivative, with e = exp(−2·|x / c|): (1 − e) / (1 + e) and 4e / (1 + e)²."""
    u = tl.abs(x) / softcap
    e = tl.exp(-2 * u)
    tanh = tl.where(u < 0.125, tanh_series(u), (1 - e) / (1 + e))
    return tl.where(x < 0, -softcap, softcap) * tanh, 4 * e / ((1 + e) * (1 + e))


@triton.jit
def tanh_series(u):
    """tanh(u) for u < 1/8, by Lambert's continued fraction: error 1e-18 of it."""
    w = u * u
    return u / (1 + w / (3 + w / (5 + w / (7 + w / (9 + w / (11 + w / 13))))))
