"""exp(z − m) without rounding z − m, and sums that keep what they round away, on blocks of float32 or float64.

Elements are computed in their own dtype; what there is one of a row, such as a logarithm, is computed in float64.
The kernels are compiled with contraction off (launch.py): a fused a·b + c would round otherwise than the two operations
whose error two_sum returns. Where fusing is wanted, tl.fma says so, and fma64 where a constant of float64 is in it.
"""

import triton
import triton.language as tl

# E(z) = exp(z) · 2^(BIAS − N), N = round(m / ln 2), as in ../cpu/math/exp.hpp: m is not subtracted, it brings exp into
# range. Where n·ln 2 would lose bits, |m| ≥ EXACT, z − m is exact for every z that counts, and m is subtracted first.
# ZERO: what N brings to the exponent's place; where n is as far below, E is 0, which is beyond the subnormals, since a
# gradient may be scaled up. HEADROOM: how far above m E still fits.
LOG2E = tl.constexpr(1.4426950408889634)
ROUND32, HEADROOM32, EXACT32, ZERO32 = map(tl.constexpr, (1.5 * 2.0**23, 27.0, 512.0, 127 + 64))
ROUND64, HEADROOM64, EXACT64, ZERO64 = map(tl.constexpr, (1.5 * 2.0**52, 200.0, 4096.0, 1023 + 192))
LN2 = tl.constexpr(0.6931471805599453)
HALF_TO_64 = tl.constexpr(2.0**-64)  # what was 2^64 times as much stayed normal where the result is not
SQRT_HALF = tl.constexpr(0x3FE6A09E667F3BCD)  # as float64's bits
LN2_HI32, LN2_LO32 = tl.constexpr(0.693359375), tl.constexpr(-0.00021219444170128554)  # n·LN2_HI is exact
LN2_HI64, LN2_LO64 = tl.constexpr(0.6931471803691238), tl.constexpr(1.9082149292705877e-10)


@triton.jit
def two_sum(a, b):
    """a + b, and what that rounded away (Knuth, The Art of Computer Programming 2, 4.2.2, theorem B)."""
    total = a + b
    of_b = total - a
    return total, (a - (total - of_b)) + (b - of_b)


@triton.jit
def add_above(total, lo, e):
    """total + lo + e for 0 ≤ e ≤ total, or a little more (Dekker's sum of two numbers in order)."""
    larger = total + e
    return larger, lo + (e - (larger - total))


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
    """What E takes: what is subtracted of z, the number that rounds to n, what z − shift is at least, and N."""
    at = tl.where(m == float("-inf"), 0.0, m)  # of nothing but masks
    if m.dtype == tl.float32:
        shift = tl.where(tl.abs(at) < EXACT32, at * 0, at)
        n = ((at - shift) * LOG2E + ROUND32) - ROUND32
        return shift, -n + (ROUND32 + ZERO32), (n - ZERO32) * LN2, n
    else:
        shift = tl.where(tl.abs(at) < EXACT64, at * 0, at)
        n = ((at - shift) * LOG2E + ROUND64) - ROUND64
        return shift, -n + (ROUND64 + ZERO64), (n - ZERO64) * LN2, n


@triton.jit
def series32(r):
    """(exp(r) − 1 − r) / r² for |r| ≤ ln 2 / 2, minimax by mpmath.chebyfit: error 8e-9."""
    q = tl.fma(r, 0.00139263256, 0.00836329275)
    q = tl.fma(q, r, 0.0416665538)
    q = tl.fma(q, r, 0.166665763)
    return tl.fma(q, r, 0.5)


@triton.jit
def fma64(a, b, c: tl.constexpr):
    """a·b + c; tl.fma by itself takes a constant as float32."""
    return tl.fma(a, b, tl.full([], c, tl.float64))


@triton.jit
def series64(r):
    """The same; error 1.3e-17."""
    q = fma64(r, tl.full([], 2.5100569275813682631e-8, tl.float64), 2.762032742826823816e-7)
    q = fma64(q, r, 2.7557268072890098263e-6)
    q = fma64(q, r, 2.4801520792572692843e-5)
    q = fma64(q, r, 1.9841269863303223296e-4)
    q = fma64(q, r, 1.3888888917538295848e-3)
    q = fma64(q, r, 8.3333333333300117609e-3)
    q = fma64(q, r, 4.1666666666623476764e-2)
    q = fma64(q, r, 0.16666666666666667468)
    return fma64(q, r, 0.50000000000000010417)


@triton.jit
def parts_of_exp(y, round):
    """s and 2^N·2^n of exp(y) = 2^n·(1 + s), |s| < 1/2, in float64; `round` brings N to the exponent's place."""
    t = tl.fma(y, tl.full([], LOG2E, tl.float64), round)
    n = t - round
    r_hi = tl.fma(n, tl.full([], -LN2_HI64, tl.float64), y)  # n·LN2_HI is exact, and so is the difference
    lo = tl.full([], -LN2_LO64, tl.float64)
    r = tl.fma(n, lo, r_hi)
    s = tl.fma(r * r, series64(r), r) + tl.fma(n, lo, r_hi - r)  # and what r rounded away
    return s, (t.to(tl.int64, bitcast=True) << 52).to(tl.float64, bitcast=True)


@triton.jit
def exp_and_expm1(y):
    """exp(y) and exp(y) − 1 of float64, y ≤ 0 or little more: 2^n·s + (2^n − 1) does not cancel."""
    s, power = parts_of_exp(tl.maximum(y, -750.0), tl.full([], ROUND64 + (1023 + 64), tl.float64))
    of_one = power * HALF_TO_64
    return tl.fma(s, power, power) * HALF_TO_64, tl.fma(s, of_one, of_one - 1)


@triton.jit
def power_of_2(n):
    """2^n in float64 of a whole number ≤ 0 or little more."""
    t = tl.maximum(n, -1086.0) + (ROUND64 + (1023 + 64))
    return (t.to(tl.int64, bitcast=True) << 52).to(tl.float64, bitcast=True) * HALF_TO_64


@triton.jit
def exp_in(y, round, lowest):
    """E(z) = (1 + r + r²·(…))·2^… of y = z − shift; anything for NaN, for m is NaN then."""
    if y.dtype == tl.float32:
        y = tl.maximum(y, lowest)
        t = tl.fma(y, LOG2E, round)  # n and its place among the exponents, in the low bits
        n = t - round
        r = tl.fma(n, -LN2_LO32, tl.fma(n, -LN2_HI32, y))
        s = tl.fma(r * r, series32(r), r)
        power = (t.to(tl.int32, bitcast=True) << 23).to(tl.float32, bitcast=True)
        return tl.fma(s, power, power)
    else:
        s, power = parts_of_exp(y, round)
        return tl.where(y < lowest, 0.0, tl.fma(s, power, power))


@triton.jit
def exp_for_16_bits(z, m, largest):
    """E(z) for a result of 16 bits: to about 2^-17 of it, in three instructions; log2 E(m) is near 64."""
    return tl.exp2(tl.fma(z - m[:, None], LOG2E, tl.log2(largest.to(tl.float32))[:, None]))


@triton.jit
def exp_of(m, shift, round, lowest, n):
    """E(m) around m itself, in float64; of float32 to 2^-28 of it."""
    if m.dtype == tl.float32:
        r = (m.to(tl.float64) - shift.to(tl.float64)) - n.to(tl.float64) * LN2
        q = series32(r.to(tl.float32)).to(tl.float64)
        return tl.where(m == float("-inf"), 0.0, (1 + (r + (r * r) * q)) * 18446744073709551616.0)  # 2^64
    else:
        return exp_in(m - shift, round, lowest)


@triton.jit
def exp_of_largest(m):
    """E(m) in the range around m, in float64."""
    shift, round, lowest, n = range_around(m)
    return exp_of(m, shift, round, lowest, n)


@triton.jit
def conversion(from_shift, from_n, to_shift, to_n):
    """E in one range / E in another, in float64: a power of two, unless z is far from 0."""
    shift = from_shift.to(tl.float64) - to_shift.to(tl.float64)
    n = to_n.to(tl.float64) - from_n.to(tl.float64)
    a = shift + n * -LN2_HI64
    r = a + n * -LN2_LO64
    lost = n * -LN2_LO64 - (r - a)
    return tl.where(shift == 0, power_of_2(-n), exp_and_expm1(r)[0] * (1 + lost))


@triton.jit
def float_of(bits):
    """A float64 that was passed as an integer, since Triton passes a float as float32."""
    return bits.to(tl.int64).to(tl.float64, bitcast=True)


@triton.jit
def reciprocal(x, WIDE: tl.constexpr):
    """1 / x in float64; for float32, of a normal one of those, to 2^-44 of it by a step of Newton's."""
    if WIDE == tl.float32:
        guess = (1 / x.to(tl.float32)).to(tl.float64)
        return guess * (2 - x * guess)
    else:
        return 1 / x


@triton.jit
def divided(x, by, WIDE: tl.constexpr):
    """x / by in float64, of a number by that all elements share; for float32 to 2^-52 of it."""
    if WIDE == tl.float32:
        return x * (1 / by)
    else:
        return x / by


@triton.jit
def log1p(y, WIDE: tl.constexpr):
    """Of float64, y ≥ 0; for float32 to 2^-28 of it: 2^k·(1 + d) = 1 + y, log(1 + d) = 2·artanh(d / (2 + d))."""
    u = 1 + y
    if WIDE == tl.float32:
        k = (u.to(tl.int64, bitcast=True) - SQRT_HALF) >> 52
        d = tl.where(k == 0, y, u * ((1023 - k) << 52).to(tl.float64, bitcast=True) - 1)  # of NaN NaN
        s = d * reciprocal(2 + d, WIDE)
        w = (s * s).to(tl.float32)
        q = tl.fma(tl.fma(tl.fma(w, 2 / 9, 2 / 7), w, 2 / 5), w, 2 / 3)
        return k.to(tl.float64) * LN2 + (2 * s + s * (w * q).to(tl.float64))
    else:
        return tl.where(u == 1, y, tl.log(u) + (y - (u - 1)) / u)


@triton.jit
def capped_in_double(x, softcap, WIDE: tl.constexpr):
    """c·tanh(x / c) and its derivative, with e = exp(−2·|x / c|): (1 − e) / (1 + e) and 4e / (1 + e)²."""
    e, less_one = exp_and_expm1(tl.abs(x) * (-2 / softcap))
    inverse = reciprocal(1 + e, WIDE)
    tanh = less_one * inverse
    return softcap * tl.where(x < 0, tanh, -tanh), 4 * e * (inverse * inverse)
