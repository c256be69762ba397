// log p_j = (z_j − m) − log Σ_k exp(z_k − m), a sum of two terms ≤ 0
#pragma once
#include "passes/segments.hpp"

namespace softxent::SOFTXENT_ISA {

template <class R>
void pass_over(WholeRow<R, LogSoftmax>& row, Sum&) {
    const auto sum = row.sum_up();
    const R max = sum.max, log_sum = R(log_denominator<R>(sum.largest, sum.others));
    row.for_segments([&](i64, i64 begin, i64 end, Strip<R>& strip) {
        for_strips(begin, end, [&](i64 j, int n) {
            const R* z = row.load(j, n, strip);
            R* out = results(row, j, strip);
            for_vectors(z, n, R(0), [&](vec<R> v, int k, int count) { write_count(out + k, (v - max) - log_sum, count); });
            convert_results(row, j, n, out);
        });
    });
}

}  // namespace softxent::SOFTXENT_ISA
