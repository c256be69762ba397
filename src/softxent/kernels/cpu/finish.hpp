// What is known of a row once it has been summed up, and the loss and the gradient's factors that follow from it.
// D: a double, for one row, or a vector of doubles, for as many rows.
#pragma once
#include "exp.hpp"

namespace softxent::SOFTXENT_ISA {

// Of a row, or of a segment of it, in its range: m, E(m), Σ E over all the others, and A for a given distribution
template <class R>
struct Mass {
    Range<R, R> range;
    R max;
    double top, rest, weight;
};

// ε / V, the share of label smoothing that every class gets
inline double smoothing(const Job& job) { return job.label_smoothing / double(job.classes); }

// do the a_j differ from 0 for other classes than the target's?
inline bool spread(const Job& job) { return job.probabilities || job.label_smoothing; }

// ∂loss_i/∂loss, with 1/T where it is the same for all classes
inline double gradient_scale(const Job& job) {
    return job.softcap ? job.grad_scale : job.grad_scale / job.temperature;
}

template <class D>
struct Finished {
    D loss, factor, target_grad;  // the gradient is factor·E_j − a_j·gradient_scale, and target_grad at the target
};

// top: E(m); rest: Σ of the other E; log_s: log Σ exp(z_j − m); e_y: E(z_y)
// gap: Σ_j a_j·(m − z_j), without the target's own (1 − ε)·w_y if that is an index; weight: A, if it is a distribution
template <class D>
inline Finished<D> finish(const Job& job, D max, D top, D rest, D log_s, D z_y, D e_y, D w_y, D gap, D weight) {
    D lse = max + log_s, g = D{} + gradient_scale(job), sum = top + rest;
    D lse_grad = 2 * job.z_loss * lse, lse_loss = job.z_loss > 0 ? job.z_loss * (lse * lse) : D{};
    if (job.probabilities) return {gap + weight * log_s + lse_loss, g * (weight + lse_grad) / sum, D{}};

    double each = smoothing(job);
    D hard = w_y * (1 - job.label_smoothing), a_y = hard + w_y * each;
    D loss = (hard > 0 ? hard * ((max - z_y) + log_s) : D{}) + lse_loss;
    if (each > 0) loss += gap + each * job.weight_sum * log_s;

    // A' p_y − a_y = B·p_y − a_y·(1 − p_y), where 1 − p_y comes from the other classes
    D others = z_y >= max ? rest : sum - e_y;
    D b = each * (job.weight_sum - w_y) + lse_grad;
    D target_grad = g * (b * e_y - a_y * others) / sum;
    constexpr double lowest = -std::numeric_limits<double>::max();
    target_grad = z_y < lowest ? sum - sum : target_grad;  // a mask: 0, or the row's NaN
    return {loss, g * (hard + each * job.weight_sum + lse_grad) / sum, target_grad};
}

// z = c·tanh(x / c) / T, in place, and with a softcap ∂z/∂x
template <class R>
inline void scale_logits(const Job& job, R* z, R* slope, i64 n) {
    if (job.softcap) {
        for (i64 k = 0; k < n; k += lanes<double>) {  // z and slope end on a whole vector
            f64v capped, s;
            soft_cap(widen(z + k), job.softcap, job.temperature, capped, s);
            narrow(z + k, capped);
            narrow(slope + k, s);
        }
    } else if constexpr (sizeof(R) == 4) {  // a double quotient, rounded once: 1 / T may round
        double inverse = 1 / job.temperature;
        for (i64 k = 0; k < n; k += lanes<double>) narrow(z + k, widen(z + k) * inverse);
    } else {
        for (i64 k = 0; k < n; ++k) z[k] /= job.temperature;
    }
}

// a_j = w_j·((1 − ε)·t_j + ε / V) of n classes from j on, t being in `a` already, or 0 there for an index
template <class R>
inline void weigh(const Job& job, i64 j, i64 n, R* a) {
    R keep = R(1 - job.label_smoothing), each = R(smoothing(job));
    if (job.probabilities)
        for (i64 k = 0; k < n; ++k) a[k] = keep * a[k] + each;
    else
        for (i64 k = 0; k < n; ++k) a[k] = each;
    if (const R* w = static_cast<const R*>(job.weight))
        for (i64 k = 0; k < n; ++k) a[k] *= w[j + k];
}

inline void set_result(const Job& job, i64 i, double value) {
    if (job.logits.dtype == DType::f64)
        static_cast<double*>(job.result)[i] = value;
    else
        static_cast<float*>(job.result)[i] = static_cast<float>(value);
}

// Where row i of an array begins
inline i64 offset(const Array& a, const Job& job, i64 i) {
    i64 result = 0;
    for (int d = job.dims - 1; d > 0; --d) {
        result += i % job.shape[d] * a.stride[d];
        i /= job.shape[d];
    }
    return result + i * a.stride[0];
}

}  // namespace softxent::SOFTXENT_ISA
