// All rows of a job, along each: shared out over the threads, or a few long ones split over them.
#pragma once
#include "passes/row.hpp"
#include "passes/sample.hpp"
#include "threads.hpp"

namespace softxent::SOFTXENT_ISA {

template <class F>
inline void in_order(i64 count, F f) {
    for (i64 k = 0; k < count; ++k) f(k);
}

inline i64 ignored_index(const CrossEntropy& pass) { return pass.options.ignore_index; }
inline i64 ignored_index(const Statistics& pass) { return pass.ignore_index; }

template <class R>
void ignore_row(const CrossEntropy& pass, i64 i, i64 out) {  // loss 0, gradient exactly 0, whatever its logits
    R zeros[STRIP] = {};
    if (pass.out)
        for (i64 j = 0; j < pass.classes; j += STRIP) {
            int n = static_cast<int>(pass.classes - j < STRIP ? pass.classes - j : STRIP);
            convert_to(pass.out, out + j * pass.out.class_stride, pass.out.class_stride, n, zeros);
        }
    if (pass.loss && pass.options.reduction == Reduction::none) set_number(pass.loss, i, 0);
}

// The first NaN of a row, or −1
template <class R>
i64 first_nan(const Pass& pass, i64 i) {
    const i64 begin = offset(pass.logits, pass, i);
    for (i64 j = 0; j < pass.classes; ++j) {
        R x{};
        convert_from(pass.logits, begin + j * pass.logits.class_stride, 1, 1, &x);
        if (x != x) return j;
    }
    return -1;
}

// lse of a row that has no softmax: −inf if all is masked, +inf, or NaN
template <class R>
double undefined_lse(const Pass& pass, i64 i, double max) {
    return first_nan<R>(pass, i) < 0 ? max : std::numeric_limits<double>::quiet_NaN();
}

// entropy = lse − Σ p_j·z_j = log Σ exp(z_j − m) + Σ p_j·(m − z_j), a sum of terms ≥ 0
template <class R>
void set_statistics(const Statistics& pass, i64 i, const Partial<R>& mass, double log_s, double z_y) {
    const bool ignored = pass.target[i] == pass.ignore_index, defined = mass.rest == mass.rest;
    const i64 nan = defined ? -1 : first_nan<R>(pass, i);
    set_number(pass.log_prob, i, ignored ? 0 : (z_y - mass.max) - log_s);
    set_number(pass.entropy, i, log_s + mass.below / (mass.top + mass.rest));
    set_number(pass.lse, i, defined || nan >= 0 ? mass.max + log_s : mass.max);
    pass.argmax[i] = nan < 0 ? mass.first : nan;
    pass.rank[i] = ignored ? -1 : mass.above;
}

// One row of a pass, which shares out its segments if it is split
template <class R, class P>
struct RowPass {
    const P& pass;
    const i64 i, V, segments;
    const bool split, wake;
    Row<R, P> row;
    i64 y = 0;  // the target, if that is a class index
    double slope_y = 1;
    Partial<R>* partials;
    double *gaps, *sums = nullptr;

    RowPass(const P& pass, i64 i, bool split)
        : pass(pass), i(i), V(pass.classes), segments((V + SEGMENT - 1) / SEGMENT), split(split),
          wake(pass.rows > 1 || V > 4 * SEGMENT || !quick(pass)),  // less is done before anyone has woken
          row{pass, offset(pass.logits, pass, i), 0, 0, 1} {
        const i64 strips = (V + STRIP - 1) / STRIP;
        char* memory = static_cast<char*>(scratch(strips_slot, segments * (sizeof(Partial<R>) + sizeof(double)) + strips * 16));
        partials = reinterpret_cast<Partial<R>*>(memory);
        gaps = reinterpret_cast<double*>(partials + segments);
        if constexpr (std::is_same_v<P, Sample>) sums = gaps + segments;
        row.at = reinterpret_cast<R*>(gaps + segments + (sums ? strips : 0));
        if (const Array* out = out_of(pass)) row.out = offset(*out, pass, i);
        if constexpr (is_cross_entropy<P>) {
            row.probabilities = offset(pass.probabilities, pass, i);
            row.divisor = gradient_divisor(pass, i);
        }
        if (Row<R, P>::needs_e(pass)) row.e = memory_of_e();
        if constexpr (requires { pass.target; })
            if (pass.target) {  // its logit is read before `out` may overwrite it
                y = pass.target[i] == ignored_index(pass) ? 0 : pass.target[i];
                Strip<R> one;
                row.z_y = load(pass, row.logits, y, 1, one)[0];
                if (pass.softcap) slope_y = one.slope[0];
            }
    }

    R* memory_of_e() const {
        if constexpr (requires { pass.out; })
            if (Row<R, P>::e_in_out(pass)) return at<R>(pass.out, row.out);
        return static_cast<R*>(scratch(row_slot, (V + STRIP) * sizeof(R)));
    }

    static bool quick(const P& pass) {
        if constexpr (is_cross_entropy<P>)
            if (is_soft(pass)) return false;
        return sizeof(R) == 4 && !pass.softcap;
    }

    // f(segment, begin, end, memory for a strip)
    template <class F>
    void for_segments(F f) const {
        auto one = [&](i64 k) {
            Strip<R>& strip = *static_cast<Strip<R>*>(scratch(tile_slot, sizeof(Strip<R>)));
            f(k, k * SEGMENT, k + 1 < segments ? (k + 1) * SEGMENT : V, strip);
        };
        split ? share_out(segments, one, wake) : in_order(segments, one);
    }

    Partial<R> sum_up() const {
        for_segments([&](i64 k, i64 begin, i64 end, Strip<R>& strip) { partials[k] = visit(row, begin, end, strip, sums); });
        return merge(partials, segments);
    }
    void write_out(const Partial<R>& mass, double factor) const {
        for_segments([&](i64 k, i64 begin, i64 end, Strip<R>& strip) {
            gaps[k] = revisit(row, begin, end, mass, factor, strip);
        });
    }
    double gap() const {  // of the segments that write_out went over
        Sum sum;
        for (i64 k = 0; k < segments; ++k) sum.add(gaps[k]);
        return sum.value();
    }

    void finish_row(const Partial<R>& mass, double log_s, Sum& total) const {
        const bool by_index = !pass.probabilities;
        const double e_y = by_index ? exp_wide(mass.range, row.z_y) : 0;
        const double w_y = pass.weight && by_index ? double(static_cast<const R*>(pass.weight)[y]) : 1;
        auto finished = [&](double gap) {
            return finish<R, double>(pass, row.divisor, {mass.max, mass.top, mass.rest, log_s}, {row.z_y, e_y, w_y},
                                     {gap, mass.weight});
        };
        Finished<double> done = finished(0);
        if (pass.out || is_soft(pass)) write_out(mass, done.factor);
        if (is_soft(pass)) done = finished(gap());
        if (pass.out && by_index) {
            R grad = R(done.target_grad * slope_y);
            convert_to(pass.out, row.out + y * pass.out.class_stride, 1, 1, &grad);
        }
        if (pass.loss && pass.options.reduction == Reduction::none) set_number(pass.loss, i, done.loss);
        total.add(done.loss);
    }

    void run(Sum& total) {
        const Partial<R> mass = sum_up();
        const double log_s = log_denominator<R>(mass.top, mass.rest);
        if constexpr (std::is_same_v<P, Sample>)
            draw(row, i, mass, sums, *static_cast<Strip<R>*>(scratch(tile_slot, sizeof(Strip<R>))));
        else if constexpr (std::is_same_v<P, LogSumExp>)
            set_number(pass.lse, i, mass.rest == mass.rest ? mass.max + log_s : undefined_lse<R>(pass, i, mass.max));
        else if constexpr (is_statistics<P>)
            set_statistics(pass, i, mass, log_s, row.z_y);
        else if constexpr (is_cross_entropy<P>)
            finish_row(mass, log_s, total);
        else
            write_out(mass, quotient<R>(Sum{1}, 1.0, mass.top, mass.rest));
    }
};

template <class R, class P>
void run_row(const P& pass, i64 i, bool split, Sum& total) {
    if constexpr (is_cross_entropy<P>)
        if (pass.target && pass.target[i] == pass.options.ignore_index)
            return ignore_row<R>(pass, i, offset(pass.out, pass, i));
    RowPass<R, P>(pass, i, split).run(total);
}

// A task's sum of losses, each task's in memory of the caller's; added up in the order of the tasks
template <class F>
inline Sum add_up_tasks(i64 tasks, F f) {
    Sum* sums = static_cast<Sum*>(scratch(sums_slot, tasks * sizeof(Sum)));
    f(sums);
    Sum total;
    for (i64 k = 0; k < tasks; ++k) total.add(sums[k]);
    return total;
}

// Rows for tasks of about a segment each; the loss of a task's rows is added up in row order
template <class R, class P>
struct Rows {
    static i64 rows_per_task(const P& pass) {
        i64 rows = 2 * SEGMENT / (pass.classes + 64);
        return rows > 1 ? rows : 1;
    }

    static Sum run(const P& pass) {
        const i64 per_task = rows_per_task(pass), count = (pass.rows + per_task - 1) / per_task;
        return add_up_tasks(count, [&](Sum* sums) {
            if (count < 4 * num_threads() && pass.classes > SEGMENT)
                return in_order(count, [&](i64 i) { run_row<R>(pass, i, true, sums[i] = {}); });
            share_out(count, [&](i64 task) {
                Sum total;
                i64 end = (task + 1) * per_task < pass.rows ? (task + 1) * per_task : pass.rows;
                for (i64 i = task * per_task; i < end; ++i) run_row<R>(pass, i, false, total);
                sums[task] = total;
            });
        });
    }
};

}  // namespace softxent::SOFTXENT_ISA
