// log p_y, the entropy, lse, the first largest class and the target's rank, from one visit.
#pragma once
#include "passes/segments.hpp"

namespace softxent::SOFTXENT_ISA {

// Σ E_j·(m − z_j), the first class with z = m, and how many z exceed the target's
template <class R>
struct Beside<R, Statistics> {
    Sum below;
    i64 first = 0, above = 0;

    struct OfStrip {
        R max, z_y, lowest;
        StripSum<R> below = {};
        bits_of<vec<R>> above = {};

        vec<R> add(vec<R> z, vec<R> e, int, int, int k) {
            below.add(e * (z < lowest ? vec<R>{} : max - z), k);  // of a mask 0, not 0·∞
            above = count_if(above, z > z_y);
            return e;
        }
    };

    void raise(double by, double sum, R m, const R* z, i64 j) {
        below.add(by * sum);
        for (first = j; *z != m; ++z) ++first;
    }
    void rescale(const Range<R, R>& from, const Range<R, R>& to) { SOFTXENT_ISA::rescale(below, from, to); }

    void start_merge() { below = {}, above = 0; }
    void lower(double max, double to, double sum) {
        if (sum > 0) below.add((to - max) * sum);
    }
    void add(const Beside& segment) { below.add(segment.below), above += segment.above; }
};

template <class R, class F>
inline double with_beside(const Row<R, Statistics>& row, Beside<R, Statistics>& beside, R max, const Range<R, R>& range, i64,
                          int, Strip<R>&, F f) {
    typename Beside<R, Statistics>::OfStrip strip{max, row.z_y, range.lowest};
    const double part = f(strip);
    beside.below.add(strip.below.value());
    beside.above += reduce(strip.above, [](auto a, auto b) { return a + b; });
    return part;
}

// entropy = lse − Σ p_j·z_j = log Σ exp(z_j − m) + Σ p_j·(m − z_j), a sum of terms ≥ 0; below: Σ E_j·(m − z_j)
template <class R>
inline void set_statistics(const Statistics& pass, i64 i, const Sums<double>& row, double z_y, double below, i64 first,
                           i64 above) {
    const bool ignored = pass.target[i] == pass.ignore_index, defined = row.others == row.others;
    const i64 nan = defined ? -1 : first_nan<R>(pass, i);
    set_number(pass.log_prob, i, ignored ? 0 : (z_y - row.max) - row.log_denominator);
    set_number(pass.entropy, i, row.log_denominator + below / (row.largest + row.others));
    set_number(pass.lse, i, defined ? lse_of<R, double>(row.max, row.largest, row.others) : nan >= 0 ? row.others : row.max);
    pass.argmax[i] = nan < 0 ? first : nan;
    pass.rank[i] = ignored ? -1 : above;
}

template <class R>
void pass_over(WholeRow<R, Statistics>& row, Sum&) {
    const auto sum = row.sum_up();
    const double log_sum = log_denominator<R>(sum.largest, sum.others);
    set_statistics<R>(row.pass, row.i, {sum.max, sum.largest, sum.others, log_sum}, row.z_y, sum.beside.below.value(),
                      sum.beside.first, sum.beside.above);
}

}  // namespace softxent::SOFTXENT_ISA
