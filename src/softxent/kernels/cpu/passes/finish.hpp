// What is known of a row once it has been summed up, and the loss and the gradient's factors that follow from it.
// D: a double, for one row, or a vector of doubles, for as many rows.
#pragma once
#include "math/convert.hpp"
#include "math/exp.hpp"

namespace softxent::SOFTXENT_ISA {

// A row once it has been summed up: m, the denominator Σ_j exp(z_j − m) as E(m) beside the sum of the other E, and its
// logarithm. NaN is in `others` where the row has no softmax.
template <class D>
struct Sums {
    D max, largest, others, log_denominator;
};

// The target of a row, if it is a class index: z_y, E(z_y) and its class weight
template <class D>
struct HardTarget {
    D z, e, weight;
};

// What a soft target adds: Σ_j a_j·(m − z_j), but for a hard target's own (1 − ε)·w_y, and for a distribution A = Σ_j a_j
template <class D>
struct SoftTarget {
    D gap, weight;
};

// ε / V, the share of label smoothing that every class gets
inline double smoothing(const CrossEntropy& pass) { return pass.options.label_smoothing / double(pass.classes); }

// What m − z_j is taken from while nothing but masks has been seen
inline double finite(double max) { return max < -std::numeric_limits<double>::max() ? 0 : max; }

// Whether the a_j differ from 0 for other classes than the target's
inline bool is_soft(const CrossEntropy& pass) { return pass.probabilities || pass.options.label_smoothing; }

inline double number_of(const Column& column, i64 i) {
    const char* data = column.data + i * column.stride * bytes_of(column.dtype);
    switch (column.dtype) {
        case DType::f64: return read<double>(data);
        case DType::f32: return read<float>(data);
        case DType::f16: return from_f16(read<std::uint16_t>(data));
        case DType::bf16: return from_bf16(read<std::uint16_t>(data));
    }
    __builtin_unreachable();
}
inline void set_number(const Column& column, i64 i, double value) {
    char* data = column.data + i * column.stride * bytes_of(column.dtype);
    switch (column.dtype) {
        case DType::f64: return write(data, value);
        case DType::f32: return write(data, float(value));
        case DType::f16: return write(data, to_f16(float(value)));
        case DType::bf16: return write(data, to_bf16(float(value)));
    }
}

// What the gradient of row i's loss is divided by, with T where it is the same for all classes
inline double gradient_divisor(const CrossEntropy& pass, i64 i) {
    const double counted = pass.divisor != 0 ? pass.divisor : std::numeric_limits<double>::infinity();
    const double divisor = pass.softcap ? counted : counted * pass.temperature;
    return pass.upstream ? divisor / number_of(pass.upstream, i) : divisor;
}

// a / (b·(c + d)), for double rounded about once
template <class R, class D>
inline D quotient(const SumOf<D>& a, D b, D c, D d) {
    if constexpr (sizeof(R) == 4) return a.hi * (1 / ((c + d) * b));
    SumOf<D> sum{c};
    sum.add(d);
    D product = sum.hi * b, lo = lost(sum.hi, b, product) + sum.lo * b;
    D q = a.hi / product, back = q * product, more = ((a.hi - back) - lost(q, product, back) + a.lo - q * lo) / product;
    return more == more ? q + more : q;  // an infinite divisor: 0
}

template <class D>
struct Finished {
    D loss, factor, target_grad;  // the gradient is factor·E_j − a_j / divisor, and target_grad at the target
};

// divisor: the row's gradient_divisor; plain: a class index without weights, label smoothing or z-loss
template <class R, class D, bool plain = false>
inline Finished<D> finish(const CrossEntropy& pass, D divisor, const Sums<D>& row, const HardTarget<D>& hard,
                          const SoftTarget<D>& soft) {
    const double each = plain ? 0 : smoothing(pass), z_loss = plain ? 0 : pass.options.z_loss;
    const D weight = plain ? D{} + 1 : hard.weight * (1 - pass.options.label_smoothing);
    const D zero_or_nan = row.others - row.others;
    D loss = zero_or_nan, lse_grad{};
    SumOf<D> total{!plain && pass.probabilities ? soft.weight : weight};  // A + 2λ·lse
    if (each > 0 && !pass.probabilities) total.add(D{} + each * pass.weight_sum);
    if (z_loss > 0) {
        SumOf<D> lse{row.max};
        lse.add(row.log_denominator);
        loss += z_loss * (lse.hi * lse.hi), lse_grad = 2 * z_loss * lse.hi;
        total.add(lse_grad);
        total.lo += lost(D{} + 2 * z_loss, lse.hi, lse_grad) + 2 * z_loss * lse.lo;
    }
    const D factor = quotient<R>(total, divisor, row.largest, row.others);
    if (!plain && pass.probabilities) return {loss + soft.gap + soft.weight * row.log_denominator, factor, D{}};

    if (each > 0) loss += soft.gap + each * pass.weight_sum * row.log_denominator;
    loss += weight != 0 ? weight * ((row.max - hard.z) + row.log_denominator) : D{};

    // A' p_y − a_y = B·p_y − a_y·(1 − p_y), where 1 − p_y comes from the other classes
    const D others = hard.z >= row.max ? row.others : (row.largest + row.others) - hard.e;
    const D a_y = plain ? weight : weight + hard.weight * each, b = (each > 0 ? each * (pass.weight_sum - hard.weight) : D{}) + lse_grad;
    D less = D{} + 1;  // E·a_y may overflow where p·a_y does not
    if constexpr (sizeof(R) == 8 && !plain) {
        const D size = (a_y < 0 ? -a_y : a_y) + (b < 0 ? -b : b);
        less = size > 0x1p500 ? D{} + 0x1p-256 : less;
    }
    const SumOf<D> difference{plain ? -others : (b * less) * hard.e - (a_y * less) * others};
    const D quotient_y = quotient<R>(difference, divisor, row.largest, row.others);
    const D target_grad = sizeof(R) == 4 || plain ? quotient_y : quotient_y / less;
    constexpr double lowest = -std::numeric_limits<double>::max();
    return {loss, factor, hard.z < lowest ? zero_or_nan : target_grad};  // of a mask 0
}

// z = c·tanh(x / c) / T, in place, and with a softcap ∂z/∂x, unless slope is null
template <class R, class S>
inline void scale_logits(const Pass& pass, R* z, S* slope, i64 n) {
    if (pass.softcap) {
        const SoftCap<R> cap{pass.softcap, pass.temperature};
        for (i64 k = 0; k < n; k += lanes<double>) {  // z and slope end on a whole vector
            f64v capped, s;
            cap(widen(z + k), capped, s);
            narrow(z + k, capped);
            if (slope) narrow(slope + k, s);
        }
    } else if constexpr (sizeof(R) == 4) {  // in double, rounded once: 1 / T itself may round
        const double inverse = 1 / pass.temperature;
        for (i64 k = 0; k < n; k += lanes<double>) narrow(z + k, widen(z + k) * inverse);
    } else {
        for (i64 k = 0; k < n; k += lanes<double>) narrow(z + k, widen(z + k) / pass.temperature);
    }
}

// a_j = w_j·((1 − ε)·t_j + ε / V), of one row or a vector of rows; t is not looked at if the target is an index
template <class R>
struct TargetWeights {
    const double keep, each;
    const R* weight;

    explicit TargetWeights(const CrossEntropy& pass)
        : keep(pass.probabilities ? 1 - pass.options.label_smoothing : 0), each(smoothing(pass)),
          weight(static_cast<const R*>(pass.weight)) {}

    template <class D>
    D operator()(D t, i64 j) const {
        const D q = keep > 0 ? keep * t + each : D{} + each;
        return weight ? q * double(weight[j]) : q;
    }
};

// Where row i of an array begins, if there is one
inline i64 offset(const Array& a, const Pass& pass, i64 i) {
    if (!a) return 0;
    i64 result = 0;
    for (int d = pass.dims - 1; d > 0; --d) {
        result += i % pass.shape[d] * a.stride[d];
        i /= pass.shape[d];
    }
    return result + i * a.stride[0];
}

}  // namespace softxent::SOFTXENT_ISA
