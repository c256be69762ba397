// A strip of a row, short enough to stay in L1: its logits as R, the largest of them, E and Σ E.
#pragma once
#include "passes/finish.hpp"

namespace softxent::SOFTXENT_ISA {

constexpr int STRIP = 1024;  // in cache 15 % faster than 256, 3 % than 512: the sums across lanes are paid once a strip
constexpr int AHEAD = 8192;  // bytes to prefetch ahead of the strip in work: 1024 × 50257 takes 7 % less than with 4096 or 16384

template <class R>
struct Strip {
    alignas(64) R z[STRIP], out[STRIP];
    alignas(64) double slope[STRIP], a[STRIP];
};

// z and ∂z/∂x of a strip: the logits themselves where nothing has to be done to them
template <class R>
inline const R* load(const Pass& pass, i64 row, i64 j, int n, Strip<R>& strip) {
    const Array& x = pass.logits;
    bool scaled = pass.temperature != 1 || pass.softcap;
    if (x.dtype == native<R> && x.class_stride == 1 && !scaled) return at<R>(x, row + j);
    convert_from(x, row + j * x.class_stride, x.class_stride, n, strip.z);
    if (scaled) scale_logits(pass, strip.z, strip.slope, n);
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

constexpr int GROUP = 128 / WIDTH;  // vectors: their lanes are an addition short enough for a float's digits, STRIP / 32
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
// Of floats, which go on in double after the strip, a group first: its vectors need one register beside the sum's
template <>
struct StripSum<float> {
    f32v sum = {}, group = {};

    void add(f32v x, int k) {
        if (k == ALONE) return void(sum += x);
        group = k == 0 ? x : group + x;
        if (k == GROUP - 1) sum += group;
    }
    double value() const { return sum_lanes(sum); }
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

// What statistics need of each z beside E: Σ E·(m − z), and how many are above the target's
template <class R>
struct Depth {
    R max, z_y;
    StripSum<R> below = {};
    bits_of<vec<R>> above = {};

    void add(vec<R> z, vec<R> e, R lowest, int k) {
        below.add(e * (z < lowest ? vec<R>{} : max - z), k);  // of a mask 0, not 0·∞
        above = count_if(above, z > z_y);
    }
};
struct NoDepth {
    template <class V, class R>
    void add(V, V, R, int) {}
};

// Σ E over a strip, and E written to e; with `apart`, all but one of the largest: `max` is in this strip
template <bool apart, bool store, class R, class D>
inline double exp_strip(const R* z, int n, const Range<R, R>& range, R max, R* e, const Ahead& ahead, D& depth) {
    StripSum<R> sum;
    bits_of<vec<R>> ties = {};
    auto seen = depth;  // in registers
    auto one = [&](vec<R> v, int j, int count, int k) {
        vec<R> x = exp_in(range, v);
        seen.add(v, x, range.lowest, k);
        if constexpr (store) write_count(e + j, x, count);
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
            if (k * WIDTH % 64 == 0) ahead.fetch(j + k * lanes<R>);  // a line, of elements no wider than R
            one(read<vec<R>>(z + j + k * lanes<R>), j + k * lanes<R>, lanes<R>, k);
        }
    for_vectors(z + j, n - j, -std::numeric_limits<R>::infinity(), [&](vec<R> v, int k, int count) {
        ahead.fetch(j + k);
        one(v, j + k, count, ALONE);
    });
    depth = seen;
    double total = sum.value();
    if constexpr (apart) {
        i64 count = reduce(ties, [](auto a, auto b) { return a + b; });
        if (count > 1) total += double(count - 1) * exp_wide(range, max);
    }
    return total;
}

}  // namespace softxent::SOFTXENT_ISA
