// The soft max: a class drawn with probability p, by inverting the cumulative sum of the row's E.
#pragma once
#include "passes/row.hpp"

namespace softxent::SOFTXENT_ISA {

// `sums` of the strips come from the first visit; only the strip that u·Σ E falls into is looked into, class by class.
template <class R>
void draw(const Row<R, Sample>& row, i64 i, const Partial<R>& mass, const double* sums, Strip<R>& strip) {
    const Sample& pass = row.pass;
    pass.index[i] = -1;
    if (mass.rest != mass.rest) return;

    const i64 strips = (pass.classes + STRIP - 1) / STRIP;
    double scale = 0, sum = 0;
    R last = -std::numeric_limits<R>::infinity();
    auto weight = [&](i64 k) {  // Σ E of strip k, in the row's range
        if (sums[k] == 0) return 0.0;
        if (row.at[k] != last)
            last = row.at[k], scale = conversion(Range<R, R>::around(last), mass.range);
        return sums[k] * scale;
    };
    for (i64 k = 0; k < strips; ++k) sum += weight(k);

    const double wanted = pass.uniform[i] * sum;
    double below = 0;  // Σ of the strips before `chosen`, the first whose end passes `wanted`
    i64 chosen = -1;
    for (i64 k = 0; k < strips; ++k)
        if (double w = weight(k); w > 0) {
            if (chosen >= 0) below += weight(chosen);
            chosen = k;
            if (below + w > wanted) break;
        }

    const i64 begin = chosen * STRIP;
    const int n = static_cast<int>(pass.classes - begin < STRIP ? pass.classes - begin : STRIP);
    const R* z = load(pass, row.logits, begin, n, strip);
    weight(chosen);
    auto range = Range<R, R>::around(row.at[chosen]);
    for_vectors(z, n, -std::numeric_limits<R>::infinity(),
                [&](vec<R> v, int j, int count) { write_count(strip.out + j, exp_in(range, v), count); });
    int drawn = -1;
    for (int j = 0; j < n; ++j)
        if (strip.out[j] > 0) {
            drawn = j;
            if ((below += double(strip.out[j]) * scale) > wanted) break;
        }
    pass.index[i] = begin + drawn;
    if (pass.log_prob) set_number(pass.log_prob, i, (double(z[drawn]) - mass.max) - log_denominator<R>(mass.top, mass.rest));
}

}  // namespace softxent::SOFTXENT_ISA
