// What a tile adds up of each of its rows.
#pragma once
#include "passes/row.hpp"
#include "passes/tile_memory.hpp"

namespace softxent::SOFTXENT_ISA {

// A sum of vec<R> in double: of floats plainly, each half of the vector, and of doubles with the error
template <class R>
struct WideSum {
    SumOf<f64v> low, high;  // `high` is of floats only
    void add(vec<R> x) { low.add(x); }
};
template <>
struct WideSum<float> {
    PlainSum<f64v> low, high;
    void add(f32v x) { low.add(widen_half<0>(x)), high.add(widen_half<1>(x)); }
};

// f(half, offset of its lanes): both halves of a vector of floats, and the whole of one of doubles
template <class R, class F>
inline void for_halves(F f) {
    f(std::integral_constant<int, 0>(), 0);
    if constexpr (sizeof(R) == 4) f(std::integral_constant<int, 1>(), lanes<double>);
}

// f(class) of all classes added up: fours in R, whose three additions round less than E itself, and these in double
template <class R, class F>
inline WideSum<R> sum_of_classes(i64 classes, F f) {
    WideSum<R> sum;
    i64 v = 0;
    for (; v + 4 <= classes; v += 4) {
        const vec<R> a = f(v), b = f(v + 1), c = f(v + 2), d = f(v + 3);
        sum.add((a + b) + (c + d));
    }
    vec<R> rest = {};
    for (; v < classes; ++v) rest += f(v);
    sum.add(rest);
    return sum;
}

// What is known of each row of a tile from the classes looked at so far: m, E(m), Σ E over all the others; Σ a_j·(m − z_j) and
// Σ a_j of a soft target; and the logit of the target, 0 until it was met
template <class R>
struct TileSums {
    alignas(64) double max[ROWS], largest[ROWS];
    alignas(64) double others[ROWS], lost_of_others[ROWS];  // to be added to others: what its additions rounded away, of doubles
    alignas(64) double gap[ROWS], weight[ROWS];
    alignas(64) R max_narrow[ROWS], z_y[ROWS] = {};

    void clear() {
        for (int r = 0; r < ROWS; ++r) {
            largest[r] = others[r] = lost_of_others[r] = gap[r] = weight[r] = 0;
            z_y[r] = 0, max[r] = max_narrow[r] = -std::numeric_limits<R>::infinity();
        }
    }
    // The same where the maximum is `to`, no smaller, of other classes: of these none is apart
    void raise(int r, R to) {
        Sum sum{others[r], lost_of_others[r]};
        sum.add(largest[r]);
        rescale(sum, Range<R, R>::around(max_narrow[r]), Range<R, R>::around(to));
        others[r] = sum.hi, lost_of_others[r] = sum.lo;
        const double half = 0.5 * finite(to) - 0.5 * finite(max[r]);  // the rise may not fit where its product with a_j does
        if (weight[r] != 0 && half != 0) gap[r] += 2 * (weight[r] * half);
    }

    // … and of other classes of the same rows, which it changes
    void merge(TileSums& more) {
        for (int r = 0; r < ROWS; ++r) {
            if (more.max_narrow[r] > max_narrow[r]) {
                raise(r, more.max_narrow[r]);
                max[r] = max_narrow[r] = more.max_narrow[r], largest[r] = more.largest[r];
            } else {
                more.raise(r, max_narrow[r]);
            }
            Sum sum{others[r], lost_of_others[r]};
            sum.add(Sum{more.others[r], more.lost_of_others[r]});
            others[r] = sum.hi, lost_of_others[r] = sum.lo;
            gap[r] += more.gap[r], weight[r] += more.weight[r], z_y[r] += more.z_y[r];
        }
    }
};

}  // namespace softxent::SOFTXENT_ISA
