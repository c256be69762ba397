// Along a row: one pass over memory.
//
// The row is visited in strips that stay in L1: load, find the largest, write E = exp(z)·2^… and add it up. When the
// row is done, a second visit, to cache, turns E into the result: E·f for softmax and for the gradient.
#pragma once
#include "passes/strip.hpp"

namespace softxent::SOFTXENT_ISA {

constexpr i64 SEGMENT = 32768;  // where a row may be split over threads; sums are combined in this order, always

template <class P>
constexpr bool is_cross_entropy = std::is_same_v<P, CrossEntropy>;
template <class P>
constexpr bool is_statistics = std::is_same_v<P, Statistics>;

// Where a pass writes a number for each logit, or nullptr
template <class P>
inline const Array* out_of(const P& pass) {
    if constexpr (requires { pass.out; })
        return pass.out ? &pass.out : nullptr;
    else
        return nullptr;
}
// The target distribution, or nullptr
template <class P>
inline const Array* probabilities_of(const P& pass) {
    if constexpr (is_cross_entropy<P>)
        return pass.probabilities ? &pass.probabilities : nullptr;
    else
        return nullptr;
}

// Of a row, or of a segment of it, in its range: m, E(m), Σ E over all the others, and A for a given distribution
template <class R>
struct Partial {
    Range<R, R> range;
    R max;
    double top, rest, weight;
    double below;      // for statistics: Σ E_j·(m − z_j),
    i64 first, above;  // the first class with z = m, and how many z exceed the target's
};

// A row, and where its E go: into `out` where that holds R and nothing else is needed of the logits.
template <class R, class P>
struct Row {
    const P& pass;
    i64 logits, out, probabilities;  // offsets of the row's first element
    double divisor;                  // of its gradient
    R z_y = 0;                       // the target's, if that is an index
    R* e = nullptr;                  // E of the row, or null if only the sums are wanted
    R* at = nullptr;                 // for each strip, the Range::at that its E are relative to

    static bool e_in_out(const P& pass) {
        if constexpr (is_cross_entropy<P>)
            if (pass.softcap || is_soft(pass)) return false;
        return pass.out.dtype == native<R> && pass.out.class_stride == 1;
    }
    // does the result need the E, or only their sum?
    static bool needs_e(const P& pass) {
        if constexpr (std::is_same_v<P, Softmax> || is_cross_entropy<P>)
            return bool(pass.out);
        else
            return false;
    }
};

// a_j of a strip into strip.a
template <class R>
inline void load_weights(const Row<R, CrossEntropy>& row, i64 j, int n, Strip<R>& strip) {
    const Array& t = row.pass.probabilities;
    if (t) convert_from(t, row.probabilities + j * t.class_stride, t.class_stride, n, strip.a);
    const TargetWeights<R> weigh(row.pass);
    for (int k = 0; k < n; ++k) strip.a[k] = weigh(strip.a[k], j + k);
}

inline double total(const double* a, int n) {
    SumOf<f64v> sum;
    for_vectors(a, n, 0.0, [&](f64v v, int, int) { sum.add(v); });
    return sum_lanes(sum.value());
}

// Σ a_j·(m − z_j), where 0·(−inf) counts as 0
template <class R>
inline double gap_of(const R* z, const double* a, int n, double max) {
    SumOf<f64v> sum;
    int k = 0;
    auto one = [&](f64v w, f64v v) { sum.add(w > 0 ? w * (max - v) : f64v{}); };
    for (; k + lanes<double> <= n; k += lanes<double>) one(widen(a + k), widen(z + k));
    for (; k < n; ++k) one(f64v{a[k]}, f64v{} + double(z[k]));
    return sum_lanes(sum.value());
}

// A sum of E into another range: in two steps where those are far apart, for the E may be large and the factor underflow
template <class R>
inline void rescale(Sum& sum, const Range<R, R>& from, const Range<R, R>& to) {
    if (sum.value() == 0) return;
    const bool far = to.at - from.at > 350;
    if (far) sum.scale(0x1p-480);
    sum.scale(conversion(from, to, far ? 480 : 0));
}

// The first visit, to classes begin … end of a row; `sums`: Σ E of each strip, for sampling
template <class R, class P>
Partial<R> visit(const Row<R, P>& row, i64 begin, i64 end, Strip<R>& strip, double* sums = nullptr) {
    const P& pass = row.pass;
    constexpr R none = -std::numeric_limits<R>::infinity();
    const Array* out = out_of(pass);
    const bool in_place = out && out->data == pass.logits.data;
    Range<R, R> range = Range<R, R>::around(0);
    R max = none, limit = none;
    Sum sum;  // of E, one of the largest kept apart
    Sum weight, below;
    i64 first = begin, above = 0;
    for (i64 j = begin; j < end; j += STRIP) {
        int n = static_cast<int>(end - j < STRIP ? end - j : STRIP);
        const Ahead ahead(pass.logits, row.logits + j, in_place ? nullptr : out, row.out + j);
        const R* z = load(pass, row.logits, j, n, strip);
        const R top = largest(z, n), before = max;
        if (top > limit) {  // E would overflow: take a new range, and bring the sum into it
            auto next = Range<R, R>::around(top);
            rescale(sum, range, next), rescale(below, range, next);
            if (max > none) sum.add(exp_wide(next, max));
            max = none;
            range = next, limit = top + Exp<R>::HEADROOM;
        }
        R* e = row.e ? row.e + j : nullptr;
        auto add_up = [&](auto apart) {
            if constexpr (is_statistics<P>) {
                Depth<R> depth{max, row.z_y};
                const double part = exp_strip<apart(), false>(z, n, range, max, e, ahead, depth);
                below.add(depth.below.value());
                above += reduce(depth.above, [](auto a, auto b) { return a + b; });
                return part;
            } else {
                NoDepth nothing;
                return e ? exp_strip<apart(), true>(z, n, range, max, e, ahead, nothing)
                         : exp_strip<apart(), false>(z, n, range, max, e, ahead, nothing);
            }
        };
        double part;
        bool raised = top > max;
        if (raised) {
            if (max > none) sum.add(exp_wide(range, max));
            max = top;
            if constexpr (is_statistics<P>) {
                if (before > none) below.add((double(max) - before) * sum.value());
                for (first = j; z[first - j] != max;) ++first;
            }
            part = add_up(std::true_type());
        } else
            part = add_up(std::false_type());
        sum.add(part);
        row.at[j / STRIP] = range.at;
        if (sums) sums[j / STRIP] = raised ? part + exp_wide(range, max) : part;
        if constexpr (is_cross_entropy<P>)
            if (pass.probabilities) {
                load_weights(row, j, n, strip);
                weight.add(total(strip.a, n));
            }
    }
    return {range, max, max > none ? exp_wide(range, max) : 0, sum.value(), weight.value(), below.value(), first, above};
}

// The segments of a row, in order, in the range of the one with the largest
template <class R>
inline Partial<R> merge(const Partial<R>* mass, i64 segments) {
    i64 first = 0;
    for (i64 k = 1; k < segments; ++k)
        if (mass[k].max > mass[first].max) first = k;
    Partial<R> row = mass[first];
    if (segments > 1) {
        Sum rest, weight, below;
        row.above = 0;
        for (i64 k = 0; k < segments; ++k) {
            weight.add(mass[k].weight);
            row.above += mass[k].above;
            Sum part;
            part.add(mass[k].rest);
            if (k != first) part.add(mass[k].top);
            Sum depth{mass[k].below};
            if (part.value() > 0) depth.add((double(row.max) - mass[k].max) * part.value());
            rescale(part, mass[k].range, row.range), rescale(depth, mass[k].range, row.range);
            rest.add(part), below.add(depth);
        }
        row.rest = rest.value(), row.weight = weight.value(), row.below = below.value();
    }
    bool defined = row.max - row.max == 0;  // not all masked, no +inf
    if (!defined) row.rest = std::numeric_limits<double>::quiet_NaN();
    return row;
}

// E·first·f = factor·E·conversion; `first` is needed only where one factor would underflow
template <class R>
struct Factor {
    R first = 1, f;

    Factor(R at, const Partial<R>& mass, double factor) {
        if (at > mass.max) at = mass.range.at;  // a strip of masks, E = 0
        auto range = Range<R, R>::around(at);
        double both = factor * conversion(range, mass.range);
        if constexpr (sizeof(R) == 4) {
            if (both < 0x1p-120 && both > -0x1p-120) first = R(both * 0x1p120), both = 0x1p-120;
        } else if (mass.range.at - at > 350) {
            first = conversion(range, mass.range, 480), both = factor * 0x1p-480;
        }
        f = R(both);
    }
};

// The second visit: writes the result, returns Σ_j a_j·(m − z_j)
template <class R, class P>
double revisit(const Row<R, P>& row, i64 begin, i64 end, const Partial<R>& mass, double factor, Strip<R>& strip) {
    const P& pass = row.pass;
    const Array& to = pass.out;
    constexpr R none = -std::numeric_limits<R>::infinity();
    constexpr bool logarithm = std::is_same_v<P, LogSoftmax>;
    bool spreads = false;
    if constexpr (is_cross_entropy<P>) spreads = is_soft(pass);
    bool direct = to && to.dtype == native<R> && to.class_stride == 1;
    const R max = mass.max, log_s = logarithm ? R(log_denominator<R>(mass.top, mass.rest)) : R(0);
    const double scale = 1 / row.divisor;
    R last = mass.range.at;
    Factor<R> f(last, mass, factor);
    Sum gap;
    for (i64 j = begin; j < end; j += STRIP) {
        int n = static_cast<int>(end - j < STRIP ? end - j : STRIP);
        R* out = direct ? at<R>(to, row.out + j) : strip.out;
        const R* z = nullptr;
        if (spreads || pass.softcap || logarithm) z = load(pass, row.logits, j, n, strip);
        if constexpr (is_cross_entropy<P>)
            if (spreads) {
                load_weights(row, j, n, strip);
                gap.add(gap_of(z, strip.a, n, mass.max));
                for (int k = 0; k < n; ++k) strip.a[k] *= scale;
            }
        if (!to) continue;
        if (logarithm) {
            for_vectors(z, n, none, [&](vec<R> v, int k, int count) { write_count(out + k, (v - max) - log_s, count); });
        } else {
            R* e = row.e + j;
            if (row.at[j / STRIP] != last) f = Factor<R>(last = row.at[j / STRIP], mass, factor);
            if (f.first != 1)
                for (int k = 0; k < n; ++k) e[k] *= f.first;
            if (!spreads && !pass.softcap) {
                if (!direct) {
                    convert_to(to, row.out + j * to.class_stride, to.class_stride, n, e, f.f);
                    continue;
                }
                for_vectors(e, n, R(0), [&](vec<R> v, int k, int count) { write_count(out + k, v * f.f, count); });
            } else {
                for (int k = 0; k < n; ++k)
                    out[k] = gradient(z[k], e[k], f.f, spreads ? strip.a[k] : 0, pass.softcap ? strip.slope[k] : 1);
            }
        }
        if (!direct) convert_to(to, row.out + j * to.class_stride, to.class_stride, n, out);
    }
    return gap.value();
}

}  // namespace softxent::SOFTXENT_ISA
