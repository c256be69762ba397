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

constexpr int BLOCK = 64;  // of a strip: one scan class by class, of 1000, took half as long as the first visit

// The first k at whose end the sum of the weights passes `until`, or the last that is not 0; `below`: their sum before k
template <class I, class F>
inline I first_beyond(I count, double until, double& below, F&& weight) {
    I chosen = -1;
    double of_chosen = 0;
    for (I k = 0; k < count; ++k)
        if (const double w = weight(k); w > 0) {
            below += of_chosen, chosen = k, of_chosen = w;
            if (below + w > until) break;
        }
    return chosen;
}

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
    double below = 0;  // Σ E of what lies before the choice
    const i64 chosen = first_beyond(strips, until, below, weight);

    Strip<R>& strip = *static_cast<Strip<R>*>(scratch(tile_slot, sizeof(Strip<R>)));
    const i64 begin = chosen * STRIP;
    const int n = static_cast<int>(pass.classes - begin < STRIP ? pass.classes - begin : STRIP);
    const R* z = row.load(begin, n, strip);
    weight(chosen);
    const auto range = Range<R, R>::around(row.at[chosen]);
    for_vectors(z, n, -std::numeric_limits<R>::infinity(),
                [&](vec<R> v, int j, int count) { write_count(strip.out + j, exp_in(range, v), count); });
    // likewise the block of the strip, and the class of the block
    double sums[STRIP / BLOCK];
    const int blocks = (n + BLOCK - 1) / BLOCK;
    for (int b = 0; b < blocks; ++b) {
        StripSum<R> block;
        for_vectors(strip.out + b * BLOCK, n - b * BLOCK < BLOCK ? n - b * BLOCK : BLOCK, R(0),
                    [&](vec<R> v, int, int) { block.add(v, ALONE); });
        sums[b] = block.value() * weight.scale;
    }
    const int block = first_beyond(blocks, until, below, [&](int b) { return sums[b]; });
    const int end = (block + 1) * BLOCK < n ? (block + 1) * BLOCK : n, from = block * BLOCK;
    const int drawn = from + first_beyond(end - from, until, below, [&](int k) { return strip.out[from + k] * weight.scale; });
    pass.index[row.i] = begin + drawn;
    if (pass.log_prob)
        set_number(pass.log_prob, row.i, (double(z[drawn]) - sum.max) - log_denominator<R>(sum.largest, sum.others));
}

}  // namespace softxent::SOFTXENT_ISA
