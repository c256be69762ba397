// A strip of a row, short enough to stay in L1: its logits as R, the largest of them, E and Σ E.
#pragma once
#include "passes/finish.hpp"

namespace softxent::SOFTXENT_ISA {

constexpr int STRIP = 1024;  // in cache 15 % faster than 256, 3 % than 512: the sums across lanes are paid once a strip
constexpr int AHEAD = 8192;  // bytes to prefetch ahead of the strip in work: 1024 × 50257 takes 7 % less than with 4096 or 16384

template <class R>
struct Strip {
    alignas(64) R z[STRIP], out[STRIP], a[STRIP];
};

// f(j, n) for the strips of classes begin … end
template <class F>
inline void for_strips(i64 begin, i64 end, F f) {
    for (i64 j = begin; j < end; j += STRIP) f(j, static_cast<int>(end - j < STRIP ? end - j : STRIP));
}

// z of a strip, and ∂z/∂x with a softcap and memory for it: the logits themselves where nothing has to be done to them
template <class R>
inline const R* load(const Pass& pass, i64 row, i64 j, int n, Strip<R>& strip, R* slope = nullptr) {
    const Array& x = pass.logits;
    bool scaled = pass.temperature != 1 || pass.softcap;
    if (x.dtype == native<R> && x.class_stride == 1 && !scaled) return at<R>(x, row + j);
    convert_from(x, row + j * x.class_stride, x.class_stride, n, strip.z);
    if (scaled) scale_logits(pass, strip.z, slope, n);
    return strip.z;
}

template <class R>
inline R largest(const R* z, int n) {
    constexpr R none = -std::numeric_limits<R>::infinity();
    vec<R> m[4];
    for (auto& k : m) k = vec<R>{} + none;
    int j = 0;
    for (; j + 4 * lanes<R> <= n; j += 4 * lanes<R>)
        for (int k = 0; k < 4; ++k) {
            vec<R> v = read<vec<R>>(z + j + k * lanes<R>);
            m[k] = v > m[k] ? v : m[k];
        }
    for_vectors(z + j, n - j, none, [&](vec<R> v, int, int) { m[0] = v > m[0] ? v : m[0]; });
    m[0] = m[1] > m[0] ? m[1] : m[0], m[2] = m[3] > m[2] ? m[3] : m[2];
    m[0] = m[2] > m[0] ? m[2] : m[0];
    return reduce(m[0], [](auto a, auto b) { return a > b ? a : b; });
}

constexpr int GROUP = 4;  // vectors that are added up as one
constexpr int ALONE = -1;

// A strip's sum, of vector k of a group or one that stands alone. Of doubles with the error, in as many sums as vectors
template <class R>
struct StripSum {
    SumOf<f64v> sums[GROUP];

    void add(f64v x, int k) { sums[k == ALONE ? 0 : k].add(x); }
    double value() {
        for (int k = 1; k < GROUP; ++k) sums[0].add(sums[k]);
        return sum_lanes(sums[0].value());
    }
};
// Of floats, a group as a tree, which rounds twice, and then in double: equal terms, each added to one sum of floats,
// round the same way each time, which was 12 ULP. In double amid the next group, or what comes after it in the processor's
// window would wait for the whole chain of a group: 10 % of a strip's time
template <>
struct StripSum<float> {
    f64v low = {}, high = {};
    f32v pair = {}, half = {}, group = {};

    void add(f32v x, int k) {
        if (k == ALONE) return widened(x);
        if (k == GROUP / 2) widened(group);  // the one before
        pair = k % 2 ? pair + x : x;
        if (k == 1) half = pair;
        if (k == GROUP - 1) group = half + pair;
    }
    void widened(f32v x) { low += widen_half<0>(x), high += widen_half<1>(x); }
    double value() {
        widened(group);
        return sum_lanes(low + high);
    }
};

// What the strip after this one will need, fetched bit by bit while this one is computed: without it memory waits for exp,
// and all at once it would wait for the few lines that a core can have under way.
struct Ahead {
    const char *logits, *out;
    int size;  // of an element

    Ahead(const Array& logits, i64 from, const Array* out, i64 to)
        : logits(line(&logits, from)), out(line(out, to)), size(bytes_of(logits.dtype)) {}

    // or, rather than a branch at each fetch, what is in the cache anyway
    const char* line(const Array* array, i64 offset) const {
        const bool dense = array && array->class_stride == 1;
        return dense ? array->data + offset * bytes_of(array->dtype) + AHEAD : reinterpret_cast<const char*>(this);
    }
    void fetch(int j) const {
        __builtin_prefetch(logits + j * size);
        __builtin_prefetch(out + j * size);
    }
};

// What a pass adds up of a strip beside E; most nothing. `add` returns what is written for E.
struct NothingBeside {
    template <class V>
    V add(V, V e, int, int, int) {
        return e;
    }
};

// Σ E over a strip, and E written to e; with `apart`, all but one of the largest: `max` is in this strip
template <bool apart, bool store, class R, class Beside>
inline double exp_strip(const R* z, int n, const Range<R, R>& range, R max, R* e, const Ahead& ahead, Beside& beside) {
    StripSum<R> sum;
    bits_of<vec<R>> ties = {};
    auto more = beside;  // in registers
    const auto wide = range.broadcast();
    const Ahead next = ahead;  // copies both, which what is written to e cannot change
    auto one = [&](vec<R> v, int j, int count, int k) {
        vec<R> x = exp_in(wide, v);
        const vec<R> kept = more.add(v, x, j, count, k);
        if constexpr (store) write_count(e + j, kept, count);
        if constexpr (apart) {
            const auto largest = v == max;
            ties = count_if(ties, largest);
            x = zero_if(largest, x);
        }
        sum.add(x, k);
    };
    int j = 0;
    for (; j + GROUP * lanes<R> <= n; j += GROUP * lanes<R>)
        for (int k = 0; k < GROUP; ++k) {
            if (k * WIDTH % 64 == 0) next.fetch(j + k * lanes<R>);  // a line, of elements no wider than R
            one(read<vec<R>>(z + j + k * lanes<R>), j + k * lanes<R>, lanes<R>, k);
        }
    for_vectors(z + j, n - j, -std::numeric_limits<R>::infinity(), [&](vec<R> v, int k, int count) {
        next.fetch(j + k);
        one(v, j + k, count, ALONE);
    });
    beside = more;
    double total = sum.value();
    if constexpr (apart) {
        i64 count = reduce(ties, [](auto a, auto b) { return a + b; });
        if (count > 1) total += double(count - 1) * exp_wide(range, max);
    }
    return total;
}

}  // namespace softxent::SOFTXENT_ISA
