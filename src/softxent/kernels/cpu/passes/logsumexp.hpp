// lse = m + log Σ_j exp(z_j − m)
#pragma once
#include "passes/segments.hpp"

namespace softxent::SOFTXENT_ISA {

// lse of a row that has no softmax: −inf if all is masked, +inf, or NaN
template <class R>
double undefined_lse(const Pass& pass, i64 i, double max) {
    return first_nan<R>(pass, i) < 0 ? max : std::numeric_limits<double>::quiet_NaN();
}

template <class R>
void pass_over(WholeRow<R, LogSumExp>& row, Sum&) {
    const auto sum = row.sum_up();
    set_number(row.pass.lse, row.i,
               sum.defined() ? lse_of<R, double>(sum.max, sum.largest, sum.others)
                             : undefined_lse<R>(row.pass, row.i, sum.max));
}

}  // namespace softxent::SOFTXENT_ISA
