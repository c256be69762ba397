// All rows of a job, along each: shared out over the threads, or a few long ones split over them.
#pragma once
#include "row.hpp"
#include "sample.hpp"
#include "threads.hpp"

namespace softxent::SOFTXENT_ISA {

template <class F>
inline void in_order(i64 count, F f) {
    for (i64 k = 0; k < count; ++k) f(k);
}

template <class R>
void ignore_row(const Job& job, i64 i, i64 out) {  // loss 0, gradient exactly 0, whatever its logits
    R zeros[STRIP] = {};
    if (job.out)
        for (i64 j = 0; j < job.classes; j += STRIP) {
            int n = static_cast<int>(job.classes - j < STRIP ? job.classes - j : STRIP);
            convert_to(job.out, out + j * job.out.class_stride, job.out.class_stride, n, zeros);
        }
    if (job.result) set_number(job, job.result, i, 0);
}

// The first NaN of a row, or −1
template <class R>
i64 first_nan(const Job& job, i64 i) {
    const i64 begin = offset(job.logits, job, i);
    for (i64 j = 0; j < job.classes; ++j) {
        R x;
        convert_from(job.logits, begin + j * job.logits.class_stride, 1, 1, &x);
        if (x != x) return j;
    }
    return -1;
}

// lse of a row that has no softmax: −inf if all is masked, +inf, or NaN
template <class R>
double undefined_lse(const Job& job, i64 i, double max) {
    return first_nan<R>(job, i) < 0 ? max : std::numeric_limits<double>::quiet_NaN();
}

// entropy = lse − Σ p_j·z_j = log Σ exp(z_j − m) + Σ p_j·(m − z_j), a sum of terms ≥ 0
template <class R>
void set_statistics(const Job& job, i64 i, const Mass<R>& mass, double log_s, double z_y) {
    const bool ignored = job.target[i] == job.ignore_index, defined = mass.rest == mass.rest;
    const i64 nan = defined ? -1 : first_nan<R>(job, i);
    set_number(job, job.result, i, ignored ? 0 : (z_y - mass.max) - log_s);
    set_number(job, job.entropy, i, log_s + mass.below / (mass.top + mass.rest));
    set_number(job, job.lse, i, defined || nan >= 0 ? mass.max + log_s : mass.max);
    job.argmax[i] = nan < 0 ? mass.first : nan;
    job.rank[i] = ignored ? -1 : mass.above;
}

// One row, from logits to result; `split`: its segments shared out over the threads
template <class R>
void run_row(const Job& job, i64 i, bool split, Sum& total) {
    const i64 V = job.classes, segments = (V + SEGMENT - 1) / SEGMENT, strips = (V + STRIP - 1) / STRIP;
    const bool cross_entropy = job.op == Op::cross_entropy, by_index = cross_entropy && !job.probabilities;
    Row<R> row{job, offset(job.logits, job, i), offset(job.out, job, i), offset(job.probabilities, job, i),
               gradient_divisor(job, i)};
    const bool ignored = job.target && job.target[i] == job.ignore_index;
    if (by_index && ignored) return ignore_row<R>(job, i, row.out);
    const i64 y = job.target && !ignored ? job.target[i] : 0;

    char* memory = static_cast<char*>(scratch(strips_slot, segments * (sizeof(Mass<R>) + sizeof(double)) + strips * 16));
    Mass<R>* masses = reinterpret_cast<Mass<R>*>(memory);
    double* gaps = reinterpret_cast<double*>(masses + segments);
    double* sums = job.op == Op::sample ? gaps + segments : nullptr;
    row.at = reinterpret_cast<R*>(gaps + segments + (sums ? strips : 0));
    if (Row<R>::needs_e(job))
        row.e = Row<R>::e_in_out(job) ? at<R>(job.out, row.out)
                                      : static_cast<R*>(scratch(row_slot, (V + STRIP) * sizeof(R)));

    Strip<R> one;  // the target's logit, read before `out` may overwrite it
    if (job.target) row.z_y = load(job, row.logits, y, 1, one)[0];
    double slope_y = job.softcap ? one.slope[0] : 1;

    const bool quick = sizeof(R) == 4 && !job.softcap && !spread(job);
    const bool wake = job.rows > 1 || V > 4 * SEGMENT || !quick;  // less is done before anyone has woken
    auto segment = [&](auto f) {
        auto g = [&](i64 k) {
            Strip<R>& strip = *static_cast<Strip<R>*>(scratch(tile_slot, sizeof(Strip<R>)));
            f(k, k * SEGMENT, k + 1 < segments ? (k + 1) * SEGMENT : V, strip);
        };
        split ? share_out(segments, g, wake) : in_order(segments, g);
    };
    segment([&](i64 k, i64 begin, i64 end, Strip<R>& strip) {
        masses[k] = visit(row, begin, end, strip, sums);
    });
    const Mass<R> mass = merge(masses, segments);
    const double log_s = log_of_sum<R>(mass.top, mass.rest);

    if (job.op == Op::sample) return draw(row, i, mass, sums, *static_cast<Strip<R>*>(scratch(tile_slot, sizeof(Strip<R>))));
    if (job.op == Op::logsumexp) return set_number(job, job.result, i,
                          mass.rest == mass.rest ? mass.max + log_s : undefined_lse<R>(job, i, mass.max));
    if (job.op == Op::statistics) return set_statistics(job, i, mass, log_s, row.z_y);
    Finished<double> done{0, quotient<R>(Sum{1}, 1.0, mass.top, mass.rest), 0};
    double e_y = by_index ? exp_wide(mass.range, row.z_y) : 0;
    double w_y = job.weight && by_index ? double(static_cast<const R*>(job.weight)[y]) : 1;
    auto finish_with = [&](double gap) {
        return finish<R, double>(job, row.divisor, mass.max, mass.top, mass.rest, log_s, row.z_y, e_y, w_y, gap,
                                 mass.weight);
    };
    if (cross_entropy) done = finish_with(0);
    if (job.out || (cross_entropy && spread(job))) {
        segment([&](i64 k, i64 begin, i64 end, Strip<R>& strip) {
            gaps[k] = revisit(row, begin, end, mass, done.factor, strip);
        });
        if (cross_entropy && spread(job)) {
            Sum gap;
            for (i64 k = 0; k < segments; ++k) gap.add(gaps[k]);
            done = finish_with(gap.value());
        }
    }
    if (!cross_entropy) return;
    if (job.out && by_index) {
        R grad = R(done.target_grad * slope_y);
        convert_to(job.out, row.out + y * job.out.class_stride, 1, 1, &grad);
    }
    if (job.result) set_number(job, job.result, i, done.loss);
    total.add(done.loss);
}

// Rows for tasks of about a segment each; the loss of a task's rows is added up in row order
template <class R>
struct Rows {
    static i64 rows_per_task(const Job& job) {
        i64 rows = 2 * SEGMENT / (job.classes + 64);
        return rows > 1 ? rows : 1;
    }
    static i64 tasks(const Job& job) { return (job.rows + rows_per_task(job) - 1) / rows_per_task(job); }

    static void run(const Job& job) {
        i64 per_task = rows_per_task(job), count = tasks(job);
        Sum ignored;
        if (count < 4 * num_threads() && job.classes > SEGMENT)
            return in_order(count, [&](i64 i) { run_row<R>(job, i, true, job.total ? job.total[i] : ignored); });
        share_out(count, [&](i64 task) {
            Sum total;
            i64 end = (task + 1) * per_task < job.rows ? (task + 1) * per_task : job.rows;
            for (i64 i = task * per_task; i < end; ++i) run_row<R>(job, i, false, total);
            if (job.total) job.total[task] = total;
        });
    }
};

}  // namespace softxent::SOFTXENT_ISA
