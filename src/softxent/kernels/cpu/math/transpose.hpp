// Rows × classes to classes × rows and back, for tiles.
#pragma once
#include <utility>

#include "math/vec.hpp"

namespace softxent::SOFTXENT_ISA {

// Floats go in blocks of lanes<float> rows × 4 classes: a vector of fours, each transposed with its three neighbours.

typedef float f32x4 __attribute__((vector_size(16)));
constexpr int W = lanes<float>;

// a0 b0 a1 b1 of every four lanes, or with high = 2 a2 b2 a3 b3
template <int high, int... k>
inline f32v zip(f32v a, f32v b, std::integer_sequence<int, k...>) {
    return __builtin_shufflevector(a, b, (k / 4 * 4 + high + k % 4 / 2 + k % 2 * W)...);
}
// a0 a1 b0 b1 of every four lanes, or with high = 2 a2 a3 b2 b3
template <int high, int... k>
inline f32v pair(f32v a, f32v b, std::integer_sequence<int, k...>) {
    return __builtin_shufflevector(a, b, (k / 4 * 4 + high + k % 2 + k % 4 / 2 * W)...);
}

inline void transpose_fours(f32v (&x)[4]) {
    constexpr auto all = std::make_integer_sequence<int, W>();
    f32v ab = zip<0>(x[0], x[1], all), ab_high = zip<2>(x[0], x[1], all);
    f32v cd = zip<0>(x[2], x[3], all), cd_high = zip<2>(x[2], x[3], all);
    x[0] = pair<0>(ab, cd, all), x[1] = pair<2>(ab, cd, all);
    x[2] = pair<0>(ab_high, cd_high, all), x[3] = pair<2>(ab_high, cd_high, all);
}

template <int n, class V>
inline auto join(V a, V b) {  // n + n lanes
    return [&]<int... k>(std::integer_sequence<int, k...>) {
        return __builtin_shufflevector(a, b, k...);
    }(std::make_integer_sequence<int, 2 * n>());
}
template <int n = W>
inline auto read_fours(const float* p, i64 step) {  // n / 4 fours, `step` apart
    if constexpr (n == 4)
        return read<f32x4>(p);
    else
        return join<n / 2>(read_fours<n / 2>(p, step), read_fours<n / 2>(p + n / 8 * step, step));
}
template <int four = 0>
inline void write_fours(float* p, i64 step, f32v x) {
    write(p, __builtin_shufflevector(x, x, 4 * four, 4 * four + 1, 4 * four + 2, 4 * four + 3));
    if constexpr (four + 1 < W / 4) write_fours<four + 1>(p + step, step, x);
}

// the classes j … j + 3 that hold class j; the last four again rather than fewer
inline i64 four_from(i64 j, i64 classes) { return j + 4 <= classes ? j : classes - 4; }

// to[class][row] = from[row][class]
template <class T>
inline void to_classes(const T* from, i64 from_step, i64 rows, i64 classes, T* to, i64 to_step) {
    i64 r = 0;
    if constexpr (sizeof(T) == 4)
        if (classes >= 4)
            for (; r + W <= rows; r += W)
                for (i64 j = 0; j < classes; j += 4) {
                    const i64 c = four_from(j, classes);
                    f32v x[4];
                    for (int k = 0; k < 4; ++k) x[k] = read_fours(from + (r + k) * from_step + c, 4 * from_step);
                    transpose_fours(x);
                    for (int k = 0; k < 4; ++k) write(to + (c + k) * to_step + r, x[k]);
                }
    for (; r < rows; ++r)
        for (i64 c = 0; c < classes; ++c) to[c * to_step + r] = from[r * from_step + c];
}

// to[row][class] = from[class][row]
template <class T>
inline void to_rows(const T* from, i64 from_step, i64 rows, i64 classes, T* to, i64 to_step) {
    i64 r = 0;
    if constexpr (sizeof(T) == 4)
        if (classes >= 4)
            for (; r + W <= rows; r += W)
                for (i64 j = 0; j < classes; j += 4) {
                    const i64 c = four_from(j, classes);
                    f32v x[4];
                    for (int k = 0; k < 4; ++k) x[k] = read<f32v>(from + (c + k) * from_step + r);
                    transpose_fours(x);
                    for (int k = 0; k < 4; ++k) write_fours(to + (r + k) * to_step + c, 4 * to_step, x[k]);
                }
    for (; r < rows; ++r)
        for (i64 c = 0; c < classes; ++c) to[r * to_step + c] = from[c * from_step + r];
}

}  // namespace softxent::SOFTXENT_ISA
