// p_j = exp(z_j − m) / Σ_k exp(z_k − m)
#pragma once
#include "passes/segments.hpp"

namespace softxent::SOFTXENT_ISA {

template <class R>
void pass_over(WholeRow<R, Softmax>& row, Sum&) {
    row.keep_e();
    const auto sum = row.sum_up();
    const double factor = quotient<R>(Sum{1}, 1.0, sum.largest, sum.others);
    row.for_segments([&](i64, i64 begin, i64 end, Strip<R>& strip) {
        for_scaled_strips(row, begin, end, sum, factor,
                          [&](i64 j, int n, const R* e, R f) { write_product(row, j, n, e, f, strip); });
    });
}

}  // namespace softxent::SOFTXENT_ISA
