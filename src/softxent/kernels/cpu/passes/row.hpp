// Along a row: one pass over memory.
//
// The row is visited in strips that stay in L1: load, find the largest, write E = exp(z)·2^… and add it up, the
// denominator of softmax. Where a strip raises the maximum so far that E would overflow, what was added up is rescaled, as
// in online softmax. When the row is done, a second visit, to cache, turns E into the result: E·f for softmax.
#pragma once
#include <type_traits>

#include "passes/strip.hpp"
#include "threads.hpp"

namespace softxent::SOFTXENT_ISA {

constexpr i64 SEGMENT = 32768;  // where a row may be split over threads; sums are combined in this order, always

template <class P>
constexpr bool is_cross_entropy = std::is_same_v<P, CrossEntropy>;

// Where a pass writes a number for each logit, or nullptr
template <class P>
inline const Array* out_of(const P& pass) {
    if constexpr (requires { pass.out; })
        return pass.out ? &pass.out : nullptr;
    else
        return nullptr;
}

// What a pass adds up of a segment beside E; specialised for those that add up anything
template <class R, class P>
struct Beside {
    // the maximum rises by `by` to m, z_j of the strip at j; `sum`: Σ E of the strips before
    void raise(double by, double sum, R m, const R* z, i64 j) { (void)by, (void)sum, (void)m, (void)z, (void)j; }
    void rescale(const Range<R, R>&, const Range<R, R>&) {}
};

// Of a row, or of a segment of it, in its range: m, E(m), Σ E over all the others
template <class R, class P>
struct Partial {
    Range<R, R> range;
    R max;
    double largest, others;
    Beside<R, P> beside;

    double denominator() const { return largest + others; }
    bool defined() const { return others == others; }
};

// A row, and where its E go: into `out` where that holds R
template <class R, class P>
struct Row {
    const P& pass;
    i64 logits, out = 0, probabilities = 0;  // offsets of the row's first element
    R* e = nullptr;         // E of the row, or null if only the sums are wanted
    R* slope = nullptr;     // ∂z/∂x of the row, if a gradient is wanted with a softcap
    R* at = nullptr;        // for each strip, the Range::at that its E are relative to
    double* sums = nullptr; // for each strip, Σ E, for sampling
    double divisor = 1;     // of its gradient
    R z_y = 0;              // the target's, if that is an index
    double slope_y = 1;

    const R* load(i64 j, int n, Strip<R>& strip) const {
        return SOFTXENT_ISA::load(pass, logits, j, n, strip, slope ? slope + j : nullptr);
    }
};

// Calls f with what is added up of the strip at j beside E, and takes it in; specialised as Beside is
template <class R, class P, class F>
inline double with_beside(const Row<R, P>&, Beside<R, P>&, R, const Range<R, R>&, i64, int, Strip<R>&, F f) {
    NothingBeside nothing;
    return f(nothing);
}

// A sum of E into another range: in two steps where those are far apart, for the E may be large and the factor underflow
template <class R>
inline void rescale(Sum& sum, const Range<R, R>& from, const Range<R, R>& to) {
    if (sum.value() == 0) return;
    const bool far = to.at - from.at > 350;
    if (far) sum.scale(0x1p-480);
    sum.scale(conversion(from, to, far ? 480 : 0));
}

// The first visit, to classes begin … end of a row
template <class R, class P>
Partial<R, P> sum_up(const Row<R, P>& row, i64 begin, i64 end, Strip<R>& strip) {
    const P& pass = row.pass;
    constexpr R none = -std::numeric_limits<R>::infinity();
    const Array* out = out_of(pass);
    const bool in_place = out && out->data == pass.logits.data;
    Range<R, R> range = Range<R, R>::around(0);
    R max = none, limit = none;
    Sum sum;  // of E, one of the largest kept apart
    Beside<R, P> beside{};
    for_strips(begin, end, [&](i64 j, int n) {
        const Ahead ahead(pass.logits, row.logits + j, in_place ? nullptr : out, row.out + j);
        const R* z = row.load(j, n, strip);
        const R largest_z = largest(z, n);
        const bool raised = largest_z > max;
        if (raised) {
            if (largest_z > limit) {  // E would overflow
                const auto next = Range<R, R>::around(largest_z);
                rescale(sum, range, next), beside.rescale(range, next);
                range = next, limit = largest_z + Exp<R>::HEADROOM;
            }
            if (max > none) sum.add(exp_wide(range, max));
            beside.raise(max > none ? double(largest_z) - max : 0, sum.value(), largest_z, z, j);
            max = largest_z;
        }
        R* e = row.e ? row.e + j : nullptr;
        const double part = with_beside(row, beside, max, range, j, n, strip, [&](auto& more) {
            if (raised)
                return e ? exp_strip<true, true>(z, n, range, max, e, ahead, more)
                         : exp_strip<true, false>(z, n, range, max, e, ahead, more);
            return e ? exp_strip<false, true>(z, n, range, max, e, ahead, more)
                     : exp_strip<false, false>(z, n, range, max, e, ahead, more);
        });
        sum.add(part);
        row.at[j / STRIP] = range.at;
        if (row.sums) row.sums[j / STRIP] = raised ? part + exp_wide(range, max) : part;
    });
    return {range, max, max > none ? exp_wide(range, max) : 0, sum.value(), beside};
}

// The segments of a row, in order, in the range of the first with the largest
template <class R, class P>
inline Partial<R, P> merge(const Partial<R, P>* parts, i64 segments) {
    i64 first = 0;
    for (i64 k = 1; k < segments; ++k)
        if (parts[k].max > parts[first].max) first = k;
    Partial<R, P> row = parts[first];
    if (segments > 1) {
        Sum others;
        if constexpr (requires { row.beside.start_merge(); }) row.beside.start_merge();
        for (i64 k = 0; k < segments; ++k) {
            Sum part;
            part.add(parts[k].others);
            if (k != first) part.add(parts[k].largest);
            if constexpr (requires { row.beside.start_merge(); }) {
                Beside<R, P> beside = parts[k].beside;
                beside.lower(parts[k].max, row.max, part.value());
                beside.rescale(parts[k].range, row.range);
                row.beside.add(beside);
            }
            rescale(part, parts[k].range, row.range);
            others.add(part);
        }
        row.others = others.value();
    }
    const bool defined = row.max - row.max == 0;  // not all masked, no +inf
    if (!defined) row.others = std::numeric_limits<double>::quiet_NaN();
    return row;
}

// E·first·f = factor·E·conversion; `first` is needed only where one factor would underflow, or overflow so that a mask had
// 0·∞
template <class R>
struct Factor {
    R first = 1, f;

    template <class P>
    Factor(R at, const Partial<R, P>& row, double factor) {
        if (at > row.max) at = row.range.at;  // a strip of masks, E = 0
        const auto range = Range<R, R>::around(at);
        double both = factor * conversion(range, row.range);
        if constexpr (sizeof(R) == 4) {
            const double size = std::fabs(both), part = size < 0x1p-120 ? 0x1p-120 : 0x1p127;
            if (size < 0x1p-120 || size > 0x1p127) {  // beyond 2^254 every E, from 2^−123 on, is ∞
                first = R(size / part < 0x1p127 ? size / part : 0x1p127);
                both = both < 0 ? -part : part;
            }
        } else if (row.range.at - at > 350) {
            first = conversion(range, row.range, 480), both = factor * 0x1p-480;
        }
        f = R(both);
    }
};

// The second visit: f(j, n, E of the strip, what to multiply it by)
template <class R, class P, class F>
void for_scaled_strips(const Row<R, P>& row, i64 begin, i64 end, const Partial<R, P>& sum, double factor, F f) {
    R last = sum.range.at;
    Factor<R> scale(last, sum, factor);
    for_strips(begin, end, [&](i64 j, int n) {
        R* e = row.e + j;
        if (row.at[j / STRIP] != last) scale = Factor<R>(last = row.at[j / STRIP], sum, factor);
        if (scale.first != 1)
            for (int k = 0; k < n; ++k) e[k] = e[k] < 0 ? e[k] : e[k] * scale.first;
        f(j, n, e, scale.f);
    });
}

template <class P>
inline bool is_direct(const P& pass, DType dtype) {
    return pass.out.dtype == dtype && pass.out.class_stride == 1;
}

// Where the results of the strip at j go first: `out` where that holds R
template <class R, class P>
inline R* results(const Row<R, P>& row, i64 j, Strip<R>& strip) {
    return is_direct(row.pass, native<R>) ? at<R>(row.pass.out, row.out + j) : strip.out;
}
// … and then, times f, from there to `out`
template <class R, class P>
inline void convert_results(const Row<R, P>& row, i64 j, int n, const R* from, R f = 1) {
    const Array& to = row.pass.out;
    if (!is_direct(row.pass, native<R>)) convert_to(to, row.out + j * to.class_stride, to.class_stride, n, from, f);
}

// E·f
template <class R, class P>
inline void write_product(const Row<R, P>& row, i64 j, int n, const R* e, R f, Strip<R>& strip) {
    if (!is_direct(row.pass, native<R>)) return convert_results(row, j, n, e, f);
    R* out = results(row, j, strip);
    for_vectors(e, n, R(0), [&](vec<R> v, int k, int count) { write_count(out + k, v * f, count); });
}

}  // namespace softxent::SOFTXENT_ISA
