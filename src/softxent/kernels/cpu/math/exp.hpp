// exp, log and tanh on vectors, each to about one ULP of R. Polynomials are minimax, from mpmath.chebyfit.
#pragma once
#include <cmath>
#include <limits>

#include "math/vec.hpp"

namespace softxent::SOFTXENT_ISA {

// exp(z − m) without rounding z − m --------------------------------------------------------------------------------
//
// z − m rounds, and exp multiplies that error by |z − m|. But m only has to bring exp into range, so it is not
// subtracted: n = round(z / ln 2), exp(z) = 2^n · exp(z − n·ln 2), and what is stored is
//
//     E(z) = exp(z) · 2^(BIAS − N),    N = round(m / ln 2),
//
// exact but for the reduction of z itself; the constant factor of a row cancels in p_j = E_j / Σ E. Far from 0, where
// n·ln 2 would lose bits, z − m is exact for every z that counts, and `shift` = m is subtracted first.
//
// CUTOFF: how far below m E becomes 0; beyond the subnormals, since the gradient may be scaled up. HEADROOM: how far
// above m E still fits. EXACT: from here on z − m is exact for z > m − CUTOFF.

template <class R>
struct Exp;
template <>
struct Exp<float> {
    static constexpr float LOG2E = 1.44269504f, LN2_HI = 0x1.63p-1f, LN2_LO = -0x1.bd0106p-13f;  // n·LN2_HI is exact
    static constexpr float Q[] = {0.00139263256f, 0.00836329275f, 0.0416665538f, 0.166665763f, 0.5f};  // error 8e-9
    static constexpr float ROUND = 0x1.8p23f, CUTOFF = 130, HEADROOM = 27, EXACT = 512;
    static constexpr int MANTISSA = 23, EXPONENT = 127, BIAS = 64;
};
template <>
struct Exp<double> {
    static constexpr double LOG2E = 0x1.71547652b82fep0, LN2_HI = 0x1.62e42feep-1, LN2_LO = 0x1.a39ef35793c76p-33;
    static constexpr double Q[] = {2.5100569275813682631e-8, 2.762032742826823816e-7,  2.7557268072890098263e-6,
                                   2.4801520792572692843e-5, 1.9841269863303223296e-4, 1.3888888917538295848e-3,
                                   8.3333333333300117609e-3, 4.1666666666623476764e-2, 0.16666666666666667468,
                                   0.50000000000000010417};  // error 1.3e-17
    static constexpr double ROUND = 0x1.8p52, CUTOFF = 800, HEADROOM = 200, EXACT = 4096;
    static constexpr int MANTISSA = 52, EXPONENT = 1023, BIAS = 192;
};

// How a row (P = R), or each of a vector of rows (P = vec<R>), is brought into range around m, or what m was.
template <class R, class P>
struct Range {
    P at, shift, round, lowest, n;

    static Range around(P at) {
        using C = Exp<R>;
        P size = at < 0 ? -at : at;
        P shift = size < C::EXACT ? at - at : at;
        P n = (at - shift) * C::LOG2E + C::ROUND - C::ROUND;
        return {at, shift, C::ROUND + (C::EXPONENT + C::BIAS) - n, at - C::CUTOFF, n};
    }
    // the same for each of a vector of numbers
    Range<R, vec<R>> broadcast() const {
        constexpr vec<R> zero{};
        return {zero + at, zero + shift, zero + round, zero + lowest, zero + n};
    }
};

// (exp(r) − 1 − r) / r²: of doubles even and odd powers apart, as many operations in a chain half as long; floats have a
// short one, and would lack the register
template <class R, class V>
inline V exp_tail(V r, V square) {
    constexpr auto& Q = Exp<R>::Q;
    constexpr int n = sizeof Q / sizeof(R), chains = sizeof(R) == 8 ? 2 : 1;
    const V step = chains == 2 ? square : r;
    V sums[2] = {V{} + Q[0], V{} + Q[1]};
    for (int k = chains; k < n; ++k) sums[k % chains] = sums[k % chains] * step + Q[k];
    return chains == 2 ? sums[n % 2] * r + sums[(n - 1) % 2] : sums[0];
}

// E(z) for a number or a vector; 0 where exp(z − m) is below the subnormals; NaN for NaN
template <class R, class P, class V>
inline V exp_in(const Range<R, P>& range, V z) {
    using C = Exp<R>;
    V y = z - range.shift;
    V t = y * C::LOG2E + range.round;  // n and its place among the exponents, in the low bits
    V n = t - range.round;
    V r_hi = n * -C::LN2_HI + y, r = n * -C::LN2_LO + r_hi, square = r * r;
    V s = square * exp_tail<R>(r, square) + r;
    if constexpr (sizeof(R) == 8) s += n * -C::LN2_LO + (r_hi - r);  // what r rounded away
    V power = std::bit_cast<V>(std::bit_cast<bits_of<V>>(t) << C::MANTISSA);
    return z < range.lowest ? V{} : s * power + power;
}

// E(z) of one number as a double, for a float exact to double precision
inline double exp_wide(const Range<double, double>& range, double z) { return exp_in(range, z); }
inline double exp_wide(const Range<float, float>& range, float z) {
    double r = (double(z) - range.shift) - range.n * 0x1.62e42fefa39efp-1;
    return exp_in(Range<double, double>::around(0), r) * 0x1p-128;  // from a BIAS of 192 to one of 64
}

// exp(x) for x ≤ 400
inline double exp(double x) { return exp_in(Range<double, double>::around(0), x) * 0x1p-192; }

inline double power_of_two(double n) {  // 0 below the normal numbers
    return n < -1022 ? 0 : std::bit_cast<double>(static_cast<std::int64_t>(n + 1023) << 52);
}

// 2^plus · E in range `to` / E in range `from`, a power of two unless z is far from 0
template <class R>
inline double conversion(const Range<R, R>& from, const Range<R, R>& to, double plus = 0) {
    using C = Exp<double>;
    double n = double(from.n) - double(to.n) + plus, shift = double(from.shift) - double(to.shift);
    if (shift == 0) return power_of_two(n);
    double a = shift + n * C::LN2_HI, r = a + n * C::LN2_LO, lost = n * C::LN2_LO - (r - a);
    return exp(r) * (1 + lost);
}

// log(1 + others / largest), largest > 0, others ≥ 0 ------------------------------------------------------------------------------
// 1 + others / largest = 2^k·(1 + f), 1 + f near 1; log(1 + f) = 2·atanh(s), s = f / (2 + f), where
// s·R(s²) = 2·atanh(s) − 2s.

template <class D>
inline D atanh_series(D w) {  // R, w = s²
    constexpr double C[] = {0.14630031364122860468, 0.15330617306743304885, 0.18182922513515941633,
                            0.22222210674238515246, 0.28571428628810995598, 0.39999999999893221763,
                            0.66666666666666699070};  // error 5e-18
    D r = D{} + C[0];
    for (int k = 1; k < 7; ++k) r = r * w + C[k];
    return r * w;
}

// Of doubles, log(1 + y + y_lo), with the error of the last addition: added in the order in which it rounds least,
// f − (f²/2 − s·(f²/2 + R)), with 1 + f in [√½, √2)
template <class D>
inline SumOf<D> log_with_error(D y, D y_lo) {
    using I = bits_of<D>;
    using C = Exp<double>;
    const D u = 1 + y;
    const I bits = std::bit_cast<I>(u), k = shift_right(bits - 0x3fe6a09e667f3bcd, 52);
    const D f = k == 0 ? y : std::bit_cast<D>(bits - (k << 52)) - 1;
    const D u_lo = (k == 0 ? D{} : y < 1 ? y - (u - 1) : 1 - (u - y)) + y_lo;
    const D s = f / (2 + f), half = 0.5 * f * f, n = std::bit_cast<D>(k + 0x4330000000000000) - 0x1p52;
    const D less = half - (s * (half + atanh_series(s * s)) + (n * C::LN2_LO + u_lo / u));
    const D rest = f - less, log = n * C::LN2_HI + rest;
    return {log, (n * C::LN2_HI - log) + rest + ((f - rest) - less)};
}

template <class R, class D>
inline D log_denominator(D largest, D others) {
    using I = bits_of<D>;
    using C = Exp<double>;
    if constexpr (sizeof(R) == 8) return log_with_error<D>(others / largest, D{}).hi;
    // one division: of all / 2^k − largest by all / 2^k + largest
    const D all = largest + others;
    const I ratio = shift_right(std::bit_cast<I>(all), 1) - shift_right(std::bit_cast<I>(largest), 1);
    const I k = shift_right(ratio + 0x0004000000000000, 51) & 0x3ff;  // of NaN any, without overflow
    const D scaled = std::bit_cast<D>(std::bit_cast<I>(all) - (k << 52)), n = std::bit_cast<D>(k + 0x4330000000000000) - 0x1p52;
    const D s = (k == 0 ? others : scaled - largest) / (scaled + largest), undefined = others - others;  // 0, or the row's NaN
    return (n * (C::LN2_HI + C::LN2_LO) + undefined) + (s * atanh_series(s * s) + 2 * s);
}

// lse = m + log Σ_j exp(z_j − m): the two may cancel, and of doubles the logarithm's own rounding would be seen
template <class R, class D>
inline D lse_of(D max, D largest, D others) {
    if constexpr (sizeof(R) == 4) return max + log_denominator<R>(largest, others);
    const D y = others / largest;
    const SumOf<D> log = log_with_error<D>(y, -lost(y, largest, others) / largest);
    SumOf<D> lse{max};
    lse.add(log.hi);
    return lse.hi + (lse.lo + log.lo);
}

// c·tanh(x / c) / T and its derivative -------------------------------------------------------------------------------
// With E = exp(2|u|) − 1: tanh|u| = E / (E + 2) and 1 − tanh² = 4(E + 1) / (E + 2)², neither of which cancels.
// −inf stays a mask, +inf and NaN stay errors of their row.

template <class R>
struct SoftCap;

// z and the slope of floats: double has digits enough to round z right but for one in 10^8 without error terms
template <>
struct SoftCap<float> {
    static constexpr double FAR = 300;  // from here on tanh is 1, and its slope 0 to a float
    double c, inverse_c, inverse_t;

    SoftCap(double softcap, double temperature) : c(softcap), inverse_c(1 / softcap), inverse_t(1 / temperature) {}

    void operator()(f64v x, f64v& z, f64v& slope) const {
        using C = Exp<double>;
        constexpr std::int64_t SIGN = std::numeric_limits<std::int64_t>::min();
        const f64v size = std::bit_cast<f64v>(std::bit_cast<i64v>(x * (2 * inverse_c)) & ~SIGN);
        const f64v y = size < FAR ? size : f64v{} + FAR;
        const f64v t = y * C::LOG2E + (C::ROUND + C::EXPONENT), n = t - (C::ROUND + C::EXPONENT);
        const f64v r = n * -C::LN2_LO + (n * -C::LN2_HI + y), square = r * r;
        const f64v s = square * exp_tail<double>(r, square) + r;
        const f64v power = std::bit_cast<f64v>(std::bit_cast<i64v>(t) << C::MANTISSA);
        const f64v e = power * s + (power - 1), q = 1 / (e + 2), tanh = e * q;
        const f64v scaled = std::bit_cast<f64v>(std::bit_cast<i64v>(c * tanh * inverse_t) | (std::bit_cast<i64v>(x) & SIGN));
        z = x - x == 0 ? scaled : x;
        slope = (4 * inverse_t) * (q * (q + tanh));
    }
};

// Of doubles x / c, exp and both quotients carry their rounding error (…_lo), so that z is rounded once
template <>
struct SoftCap<double> {
    double c, temperature;

    void operator()(f64v x, f64v& z, f64v& slope) const {
        using C = Exp<double>;
        const f64v cap = f64v{} + c;
        f64v u = x / c, back = u * cap, u_lo = u - u == 0 ? ((x - back) - lost(u, cap, back)) / c : f64v{};
        f64v negative = x < 0 ? f64v{} - 2 : f64v{} + 2;
        f64v y = u * negative, y_lo = u_lo * negative;
        f64v far = exp_in(Range<double, double>::around(0), -y) * 0x1p-192 * (1 - y_lo);  // E would overflow: exp(−2|u|)
        y_lo = y > 300 ? f64v{} : y_lo;
        f64v near = y > 300 ? f64v{} + 300 : y;

        f64v t = near * C::LOG2E + (C::ROUND + C::EXPONENT), n = t - (C::ROUND + C::EXPONENT);
        f64v r_hi = n * -C::LN2_HI + near, small = n * C::LN2_LO, r = r_hi - small, r_lo = (r_hi - r) - small + y_lo;
        f64v power = std::bit_cast<f64v>(std::bit_cast<i64v>(t) << C::MANTISSA);
        f64v square = r * r, half = 0.5 * square, half_lo = 0.5 * lost(r, r, square);
        f64v cubic = square * (exp_tail<double>(r, square) - 0.5), p = half + cubic, p_lo = (half - p) + cubic + half_lo;
        f64v s = r + p, s_lo = (r - s) + p + p_lo + r_lo * (1 + s);

        f64v a = power - 1, b = power * s, e = a + b, e_lo = ((a - (e - (e - a))) + (b - (e - a))) + power * s_lo;
        f64v d = e + 2, d_lo = (e - (d - (d - e))) + (2 - (d - e)) + e_lo;
        f64v tanh = e / d, whole = tanh * d, tanh_lo = ((e - whole) - lost(tanh, d, whole) + e_lo - tanh * d_lo) / d;
        f64v capped = c * tanh, capped_lo = lost(cap, tanh, capped) + c * tanh_lo;
        f64v heat = f64v{} + temperature, quotient = capped / heat, times = quotient * heat;
        quotient += ((capped - times) - lost(quotient, heat, times) + capped_lo) / heat;

        z = x - x == 0 ? (x < 0 ? -quotient : quotient) : x;
        slope = 4 / d * ((1 + e) / d) / temperature;
        slope += slope * (e_lo / (1 + e) - 2 * d_lo / d);
        slope = y > 300 ? 4 * far / temperature : slope;
    }
};

}  // namespace softxent::SOFTXENT_ISA
