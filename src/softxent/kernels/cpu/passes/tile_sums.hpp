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
    alignas(64) R max_narrow[ROWS], z_y[ROWS];

    static double finite(double max) { return max < -std::numeric_limits<double>::max() ? 0 : max; }

    void clear() {
        for (int r = 0; r < ROWS; ++r) {
            largest[r] = others[r] = lost_of_others[r] = gap[r] = weight[r] = 0;
            z_y[r] = 0, max[r] = max_narrow[r] = -std::numeric_limits<R>::infinity();
        }
    }
    // what m − z_j of classes before become where the maximum rises by 2·half
    void lower(int r, double half) { gap[r] += weight[r] != 0 && half != 0 ? 2 * (weight[r] * half) : 0; }

    // … and from other classes of the same rows
    void merge(const TileSums& more) {
        for (int r = 0; r < ROWS; ++r) {
            const R m = max_narrow[r], n = more.max_narrow[r];
            const double half = 0.5 * finite(n) - 0.5 * finite(m);
            Sum mine{others[r], lost_of_others[r]}, theirs{more.others[r], more.lost_of_others[r]};
            gap[r] += more.gap[r];
            if (n > m) {
                mine.add(largest[r]), rescale(mine, Range<R, R>::around(m), Range<R, R>::around(n));
                max[r] = max_narrow[r] = n, largest[r] = more.largest[r], lower(r, half);
            } else {
                theirs.add(more.largest[r]), rescale(theirs, Range<R, R>::around(n), Range<R, R>::around(m));
                gap[r] += more.weight[r] != 0 && half != 0 ? -2 * (more.weight[r] * half) : 0;
            }
            mine.add(theirs);
            others[r] = mine.hi, lost_of_others[r] = mine.lo;
            weight[r] += more.weight[r], z_y[r] += more.z_y[r];
        }
    }
};

}  // namespace softxent::SOFTXENT_ISA
