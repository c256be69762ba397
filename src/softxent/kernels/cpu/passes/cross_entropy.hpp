// loss = Σ_j a_j·(lse − z_j) + λ·lse² and its gradient, (A + 2λ·lse)·p_j − a_j, times ∂z/∂x
#pragma once
#include "passes/segments.hpp"

namespace softxent::SOFTXENT_ISA {

// Where the a_j of all classes come from: nowhere, if the target is one class; ε / V; w_j·ε / V; t_j as it lies in memory;
// or what is computed for each strip
enum class SoftKind { none, uniform, weights, probabilities, computed };

template <class R>
inline SoftKind soft_kind(const CrossEntropy& pass) {
    if (!is_soft(pass)) return SoftKind::none;
    if (!pass.probabilities || pass.options.label_smoothing == 1) return pass.weight ? SoftKind::weights : SoftKind::uniform;
    const Array& t = pass.probabilities;
    const bool as_it_lies = t.dtype == native<R> && t.class_stride == 1 && !pass.weight && !pass.options.label_smoothing;
    return as_it_lies ? SoftKind::probabilities : SoftKind::computed;
}

// A power of two that keeps small weights times small probabilities normal
inline double weight_unit(const CrossEntropy& pass) {
    const double mean = std::fabs(pass.weight_sum) / double(pass.classes);
    return pass.weight && mean > 0x1p-126 && mean < 1 ? power_of_two(-std::floor(std::log2(mean))) : 1;
}

// What the a_j of a kind are divided by: those computed by 1 − ε, so that no common factor of all of them is rounded
inline double soft_scale(const CrossEntropy& pass, SoftKind kind) {
    if (kind == SoftKind::computed) return (1 - pass.options.label_smoothing) / weight_unit(pass);
    return kind == SoftKind::probabilities ? 1 : smoothing(pass);
}

// A power of two that makes sums of m − z_j, of up to twice the largest number each, fit
inline double gap_unit(const CrossEntropy& pass, SoftKind kind) {
    if (kind == SoftKind::computed) return 0x1p-40;
    const double scale = soft_scale(pass, kind);
    return scale > 0x1p-60 ? 0x1p-5 * power_of_two(std::floor(std::log2(scale < 1 ? scale : 1.0))) : 0x1p-65;
}

// Σ_j a_j·(m − z_j) and Σ_j a_j, in units of gap_unit and soft_scale. All terms of the first are of one sign, unlike those of
// A·m − Σ_j a_j·z_j; where m rises, each gets as much more.
template <class R>
struct Beside<R, CrossEntropy> {
    Sum gap, weight;
    double unit = 1;

    static constexpr R MASKED = -1;  // E of a mask, whose gradient is 0, where a class that E is too small for has −a_j

    static vec<R> marked(vec<R> z, vec<R> e) { return z == -std::numeric_limits<R>::infinity() ? vec<R>{} + MASKED : e; }

    struct Uniform {
        R max, unit;
        StripSum<R> gap = {};

        vec<R> add(vec<R> z, vec<R> e, int, int count, int k) {
            gap.add(first_lanes(max - z * unit, count), k);
            return marked(z, e);
        }
    };
    struct Given {  // 0·(−inf) counts as 0
        const R* a;
        R max, unit;
        StripSum<R> gap = {}, weight = {};

        vec<R> add(vec<R> z, vec<R> e, int j, int count, int k) {
            const vec<R> w = read_count(a + j, count);
            gap.add(zero_if(w == 0, w * (max - z * unit)), k), weight.add(w, k);
            return marked(z, e);
        }
    };
    void raise(double by, double, R, const R*, i64) { gap.add(by * unit * weight.value()); }
    void rescale(const Range<R, R>&, const Range<R, R>&) {}

    void start_merge() { gap = weight = {}; }
    void lower(double max, double to, double) {
        if (weight.value() != 0) gap.add((to - finite(max)) * unit * weight.value());
    }
    void add(const Beside& segment) { gap.add(segment.gap), weight.add(segment.weight), unit = segment.unit; }
};

// times·w_j·((1 − ε)·t_j + ε / V) / soft_scale of a strip into strip.a
template <class R>
inline const R* compute_weights(const Row<R, CrossEntropy>& row, i64 j, int n, Strip<R>& strip, double times = 1) {
    const CrossEntropy& pass = row.pass;
    const Array& t = pass.probabilities;
    const double unit = times * weight_unit(pass);
    const R keep = R(unit), each = R(unit * smoothing(pass) / (1 - pass.options.label_smoothing));
    const R* of_t = strip.a;
    if (t.dtype == native<R> && t.class_stride == 1)
        of_t = at<R>(t, row.probabilities + j);
    else
        convert_from(t, row.probabilities + j * t.class_stride, t.class_stride, n, strip.a);
    const R* weight = static_cast<const R*>(pass.weight);
    for_vectors(of_t, n, R(0), [&](vec<R> v, int k, int count) {
        const vec<R> q = v * keep + each;
        write(strip.a + k, weight ? q * read_count(weight + j + k, count) : q);
    });
    return strip.a;
}

// The a_j of the strip, divided by soft_scale
template <class R>
inline const R* soft_weights(const Row<R, CrossEntropy>& row, SoftKind kind, i64 j, int n, Strip<R>& strip) {
    if (kind == SoftKind::computed) return compute_weights(row, j, n, strip);
    return kind == SoftKind::weights ? static_cast<const R*>(row.pass.weight) + j : at<R>(row.pass.probabilities, row.probabilities + j);
}

template <class R, class F>
inline double with_beside(const Row<R, CrossEntropy>& row, Beside<R, CrossEntropy>& beside, R m, const Range<R, R>&, i64 j,
                          int n, Strip<R>& strip, F f) {
    using B = Beside<R, CrossEntropy>;
    const SoftKind kind = soft_kind<R>(row.pass);
    if (kind == SoftKind::none) {
        NothingBeside nothing;
        return f(nothing);
    }
    beside.unit = gap_unit(row.pass, kind);
    const R unit = R(beside.unit), max = R(finite(m) * beside.unit);
    auto take = [&](auto of_strip) {
        const double part = f(of_strip);
        beside.gap.add(of_strip.gap.value());
        if constexpr (requires { of_strip.weight; })
            beside.weight.add(of_strip.weight.value());
        else
            beside.weight.add(n);
        return part;
    };
    if (kind == SoftKind::uniform) return take(typename B::Uniform{max, unit});
    return take(typename B::Given{soft_weights(row, kind, j, n, strip), max, unit});
}

// Also where the mean is over nothing: its gradient is 0, whatever the row
inline bool is_ignored(const CrossEntropy& pass, i64 i) {
    return pass.divisor == 0 || (pass.target && pass.target[i] == pass.options.ignore_index);
}

template <class R>
void ignore_row(const CrossEntropy& pass, i64 i) {  // loss 0, gradient exactly 0, whatever its logits
    R zeros[STRIP] = {};
    const i64 out = offset(pass.out, pass, i);
    if (pass.out)
        for_strips(0, pass.classes, [&](i64 j, int n) {
            convert_to(pass.out, out + j * pass.out.class_stride, pass.out.class_stride, n, zeros);
        });
    if (pass.loss && pass.options.reduction == Reduction::none) set_number(pass.loss, i, 0);
}

// Whether a class that E is too small for may have a gradient all the same, lifted by weights, upstream or a small divisor.
// E ends at e^−CUTOFF, 2^−187 and 2^−1154, and the subnormals at 2^−149 and 2^−1074.
template <class R>
inline bool is_lifted(const CrossEntropy& pass, double divisor, double hard_weight) {
    const LossOptions& options = pass.options;
    const double soft = pass.probabilities ? pass.weight_sum : smoothing(pass) * pass.weight_sum;
    const double largest = std::fabs(hard_weight) + std::fabs(soft) + 1e4 * options.z_loss;  // about A + 2λ·lse
    const double slope = pass.softcap ? 1 / pass.temperature : 1;
    return std::fabs(largest / divisor) * slope > (sizeof(R) == 4 ? 0x1p36 : 0x1p78);
}

template <class R>
struct CrossEntropyRow {
    WholeRow<R, CrossEntropy>& row;
    const CrossEntropy& pass = row.pass;
    const SoftKind kind = soft_kind<R>(pass);
    const bool by_index = !pass.probabilities;
    const double weight = pass.weight && by_index ? double(static_cast<const R*>(pass.weight)[row.y]) : 1;
    const double divisor = gradient_divisor(pass, row.i);
    const bool lifted = is_lifted<R>(pass, divisor, weight);

    // (E·f − a_j / divisor)·∂z/∂x of a strip, of a mask 0 unless the row has no softmax
    template <class Share>
    void write_soft(R* out, const R* e, int n, R f, const R* slope, Share share) const {
        const R zero_or_nan = f - f;
        auto each = [&](auto sloped) {
            for_vectors(e, n, R(0), [&](vec<R> v, int k, int count) {
                vec<R> grad = share(v, f, k, count);
                if constexpr (sloped()) grad *= read<vec<R>>(slope + k);
                write_count(out + k, v < 0 ? vec<R>{} + zero_or_nan : grad, count);
            });
        };
        slope ? each(std::true_type()) : each(std::false_type());
    }

    void write_strip(i64 j, int n, const R* e, R f, Strip<R>& strip) const {
        if (kind == SoftKind::none && !row.slope && !lifted) return write_product(row, j, n, e, f, strip);
        R* out = results(row, j, strip);
        const R* slope = row.slope ? row.slope + j : nullptr;
        const double scale = soft_scale(pass, kind) / divisor;
        const R share = R(scale);
        if (kind == SoftKind::none) {
            write_soft(out, e, n, f, slope, [](vec<R> v, R f, int, int) { return v * f; });
        } else if (kind == SoftKind::uniform) {
            write_soft(out, e, n, f, slope, [=](vec<R> v, R f, int, int) { return v * f - share; });
        } else if (kind == SoftKind::computed) {
            const R* a = compute_weights(row, j, n, strip, scale);
            write_soft(out, e, n, f, slope, [=](vec<R> v, R f, int k, int) { return v * f - read<vec<R>>(a + k); });
        } else {
            const R* a = soft_weights(row, kind, j, n, strip);
            write_soft(out, e, n, f, slope, [=](vec<R> v, R f, int k, int count) {
                return v * f - read_count(a + k, count) * share;
            });
        }
    }

    // f(k, factor·p_k) for the E of a strip that are 0, computed in ranges of their own
    template <class F>
    static void for_flushed(const R* z, const R* e, int n, const Partial<R, CrossEntropy>& sum, F f) {
        for (int k = 0; k < n; ++k)
            if (e[k] == 0 && z[k] >= -std::numeric_limits<R>::max())
                f(k, [&sum, z = z[k]](double factor) {
                    const Factor<R> scale(z, sum, factor);
                    return R(exp_wide(Range<R, R>::around(z), z)) * scale.first * scale.f;
                });
    }

    // −a_y·∂z/∂x / divisor times the p_j of these classes, which 1 − p_y lacks
    double lift_target(const Partial<R, CrossEntropy>& sum, Strip<R>& strip) const {
        const double a_y = weight * (1 - pass.options.label_smoothing) + weight * smoothing(pass);
        const double factor = quotient<R>(Sum{a_y}, divisor, sum.largest, sum.others) * row.slope_y;
        Sum lacking;
        for_strips(0, pass.classes, [&](i64 j, int n) {
            for_flushed(row.load(j, n, strip), row.e + j, n, sum, [&](int k, auto times) {
                if (j + k != row.y) lacking.add(times(factor));
            });
        });
        return -lacking.value();
    }

    // A strip of a lifted row: its logits are kept first, for `out` may be they
    void write_lifted(i64 j, int n, const R* e, R f, const Partial<R, CrossEntropy>& sum, double factor, Strip<R>& strip) const {
        const R* z = row.load(j, n, strip);
        if (z != strip.z) std::memcpy(strip.z, z, n * sizeof(R));
        write_strip(j, n, e, f, strip);
        R* out = results(row, j, strip);
        for_flushed(strip.z, e, n, sum, [&](int k, auto times) {
            out[k] += times(row.slope ? factor * row.slope[j + k] : factor);  // −a_j is there already
        });
    }

    void write_gradient(const Partial<R, CrossEntropy>& sum, const Finished<double>& done) const {
        Strip<R>& memory = *static_cast<Strip<R>*>(scratch(tile_slot, sizeof(Strip<R>)));
        const double lifted_target = lifted && by_index ? lift_target(sum, memory) : 0;
        row.for_segments([&](i64, i64 begin, i64 end, Strip<R>& strip) {
            for_scaled_strips(row, begin, end, sum, done.factor, [&](i64 j, int n, const R* e, R f) {
                lifted ? write_lifted(j, n, e, f, sum, done.factor, strip) : write_strip(j, n, e, f, strip);
                if (kind != SoftKind::none || row.slope || lifted) convert_results(row, j, n, results(row, j, strip));
            });
        });
        if (!by_index) return;
        const R grad = R(done.target_grad * row.slope_y + lifted_target);
        convert_to(pass.out, row.out + row.y * pass.out.class_stride, 1, 1, &grad);
    }
};

template <class R>
void pass_over(WholeRow<R, CrossEntropy>& row, Sum& total) {
    const CrossEntropy& pass = row.pass;
    row.probabilities = offset(pass.probabilities, pass, row.i);
    const CrossEntropyRow<R> of{row};
    if (pass.out) row.keep_e(!of.lifted);
    const auto sum = row.sum_up();
    const double log_sum = log_denominator<R>(sum.largest, sum.others);
    const double e_y = of.by_index ? exp_wide(sum.range, row.z_y) : 0;
    const double scale = soft_scale(pass, of.kind), gap = sum.beside.gap.value() * (scale / sum.beside.unit);
    const auto done = finish<R, double>(pass, of.divisor, {sum.max, sum.largest, sum.others, log_sum},
                                        {row.z_y, e_y, of.weight}, {gap, sum.beside.weight.value() * scale});
    if (pass.out) of.write_gradient(sum, done);
    if (pass.loss && pass.options.reduction == Reduction::none) set_number(pass.loss, row.i, done.loss);
    total.add(done.loss);
}

}  // namespace softxent::SOFTXENT_ISA
