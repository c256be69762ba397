// Targets that are class indices: are they classes, and how many rows do they count?
#pragma once
#include <vector>

#include "kernel.hpp"
#include "threads.hpp"

namespace softxent {

// A target that is no class: the adapter words the error
struct BadTarget {
    i64 row;
};

// Σ of the weights (1 without class weights) of the counted rows begin … end
template <class R>
Sum count_range(const i64* targets, const void* weight, i64 classes, i64 ignored, i64 begin, i64 end) {
    auto outside = [&](i64 y) { return std::uint64_t(y) >= std::uint64_t(classes); };
    // Most often all are classes and none is ignored, and with y and V − 1 − y no sign is negative: without a comparison of
    // 64 bits, which SSE2 lacks, that takes a quarter of the time
    std::uint64_t signs = 0;
    for (i64 i = begin; i < end; ++i) signs |= std::uint64_t(targets[i]) | (std::uint64_t(classes - 1) - std::uint64_t(targets[i]));
    const bool plain = i64(signs) >= 0 && outside(ignored);
    i64 skipped = 0, strays = 0;
    for (i64 i = begin; !plain && i < end; ++i) skipped += targets[i] == ignored, strays += outside(targets[i]);
    if (strays != (outside(ignored) ? skipped : 0))
        for (i64 i = begin; i < end; ++i)
            if (targets[i] != ignored && outside(targets[i])) throw BadTarget{i};
    if (!weight) return {double(end - begin - skipped)};
    Sum sum;
    for (i64 i = begin; i < end; ++i)
        if (targets[i] != ignored) sum.add(double(static_cast<const R*>(weight)[targets[i]]));
    return sum;
}

template <class R>
double count_targets(const Pass& pass, const i64* targets, const void* weight, i64 ignored) {
    constexpr i64 CHUNK = 65536;
    const i64 chunks = (pass.rows + CHUNK - 1) / CHUNK;
    auto count = [&](i64 begin, i64 end) { return count_range<R>(targets, weight, pass.classes, ignored, begin, end); };
    if (chunks <= 1) return count(0, pass.rows).value();
    std::vector<Sum> sums(chunks);
    std::vector<i64> bad(chunks, -1);
    share_out(chunks, [&](i64 k) {
        try {
            sums[k] = count(k * CHUNK, k + 1 < chunks ? (k + 1) * CHUNK : pass.rows);
        } catch (const BadTarget& target) {
            bad[k] = target.row;
        }
    });
    Sum total;
    for (i64 k = 0; k < chunks; ++k) {
        if (bad[k] >= 0) throw BadTarget{bad[k]};
        total.add(sums[k]);
    }
    return total.value();
}

}  // namespace softxent
