// The soft max: a class drawn with probability p, by inverting the cumulative sum of the row's E.
#pragma once
#include "passes/segments.hpp"

namespace softxent::SOFTXENT_ISA {

// Σ E of each strip, in the row's range
template <class R>
struct StripWeights {
    const WholeRow<R, Sample>& row;
    const Partial<R, Sample>& sum;
    double scale = 0;
    R last = -std::numeric_limits<R>::infinity();

    double operator()(i64 k) {
        if (row.sums[k] == 0) return 0;
        if (row.at[k] != last) last = row.at[k], scale = conversion(Range<R, R>::around(last), sum.range);
        return row.sums[k] * scale;
    }
};

// The sums of the strips come from the first visit; only the strip that u·Σ E falls into is looked into, class by class.
template <class R>
void pass_over(WholeRow<R, Sample>& row, Sum&) {
    const Sample& pass = row.pass;
    const auto sum = row.sum_up();
    pass.index[row.i] = -1;
    if (!sum.defined()) return;

    StripWeights<R> weight{row, sum};
    const i64 strips = (pass.classes + STRIP - 1) / STRIP;
    double total = 0;
    for (i64 k = 0; k < strips; ++k) total += weight(k);

    const double until = pass.uniform[row.i] * total;
    double below = 0;  // Σ of the strips before `chosen`, the first whose end passes `until`
    i64 chosen = -1;
    for (i64 k = 0; k < strips; ++k)
        if (double w = weight(k); w > 0) {
            if (chosen >= 0) below += weight(chosen);
            chosen = k;
            if (below + w > until) break;
        }

    Strip<R>& strip = *static_cast<Strip<R>*>(scratch(tile_slot, sizeof(Strip<R>)));
    const i64 begin = chosen * STRIP;
    const int n = static_cast<int>(pass.classes - begin < STRIP ? pass.classes - begin : STRIP);
    const R* z = row.load(begin, n, strip);
    weight(chosen);
    const auto range = Range<R, R>::around(row.at[chosen]);
    for_vectors(z, n, -std::numeric_limits<R>::infinity(),
                [&](vec<R> v, int j, int count) { write_count(strip.out + j, exp_in(range, v), count); });
    int drawn = -1;
    for (int j = 0; j < n; ++j)
        if (strip.out[j] > 0) {
            drawn = j;
            if ((below += double(strip.out[j]) * weight.scale) > until) break;
        }
    pass.index[row.i] = begin + drawn;
    if (pass.log_prob)
        set_number(pass.log_prob, row.i, (double(z[drawn]) - sum.max) - log_denominator<R>(sum.largest, sum.others));
}

}  // namespace softxent::SOFTXENT_ISA
