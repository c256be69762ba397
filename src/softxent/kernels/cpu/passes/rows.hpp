// All rows of a pass, along each: shared out over the threads, or a few long ones split over them.
#pragma once
#include "passes/cross_entropy.hpp"
#include "passes/log_softmax.hpp"
#include "passes/logsumexp.hpp"
#include "passes/sample.hpp"
#include "passes/softmax.hpp"
#include "passes/statistics.hpp"

namespace softxent::SOFTXENT_ISA {

template <class R, class P>
void run_row(const P& pass, i64 i, bool split, Sum& total) {
    if constexpr (is_cross_entropy<P>)
        if (is_ignored(pass, i)) return ignore_row<R>(pass, i);
    WholeRow<R, P> row(pass, i, split);
    pass_over(row, total);
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
