// Rows × classes to classes × rows and back, for tiles.
#pragma once
#include <utility>

#include "math/vec.hpp"

namespace softxent::SOFTXENT_ISA {

// Blocks of lanes<T> rows × `side` classes go in vectors of pieces of 16 bytes, `side` numbers each: floats in fours,
// doubles in twos. A piece and those of its neighbours, one from each of `side` vectors, are a square to transpose.
template <class T>
constexpr int side = 16 / sizeof(T);

template <class T>
struct Squares {
    using V = vec<T>;
    static constexpr int W = lanes<T>, S = side<T>;
    static constexpr auto all = std::make_integer_sequence<int, W>();
    V x[S];

    void transpose() {
        if constexpr (S == 2) {
            const V a = zip<0>(x[0], x[1], all), b = zip<1>(x[0], x[1], all);
            x[0] = a, x[1] = b;
        } else {
            const V ab = zip<0>(x[0], x[1], all), ab_high = zip<2>(x[0], x[1], all);
            const V cd = zip<0>(x[2], x[3], all), cd_high = zip<2>(x[2], x[3], all);
            x[0] = pair<0>(ab, cd, all), x[1] = pair<2>(ab, cd, all);
            x[2] = pair<0>(ab_high, cd_high, all), x[3] = pair<2>(ab_high, cd_high, all);
        }
    }
    // pieces `step` apart
    static V read_pieces(const T* p, i64 step) { return join<W / S>(p, step); }
    template <int piece = 0>
    static void write_pieces(T* p, i64 step, V v) {
        [&]<int... k>(std::integer_sequence<int, k...>) {
            write(p, __builtin_shufflevector(v, v, (piece * S + k)...));
        }(std::make_integer_sequence<int, S>());
        if constexpr (piece + 1 < W / S) write_pieces<piece + 1>(p + step, step, v);
    }

private:
    // of every piece a0 b0 (a1 b1), or from the `high` place on
    template <int high, int... k>
    static V zip(V a, V b, std::integer_sequence<int, k...>) {
        return __builtin_shufflevector(a, b, (k / S * S + high + k % S / 2 + k % 2 * W)...);
    }
    // of every four a0 a1 b0 b1, or with high = 2 a2 a3 b2 b3
    template <int high, int... k>
    static V pair(V a, V b, std::integer_sequence<int, k...>) {
        return __builtin_shufflevector(a, b, (k / 4 * 4 + high + k % 2 + k % 4 / 2 * W)...);
    }
    typedef T Piece __attribute__((vector_size(16)));
    template <int pieces>
    static auto join(const T* p, i64 step) {
        if constexpr (pieces == 1) {
            return read<Piece>(p);
        } else {
            const auto a = join<pieces / 2>(p, step), b = join<pieces / 2>(p + pieces / 2 * step, step);
            return [&]<int... k>(std::integer_sequence<int, k...>) {
                return __builtin_shufflevector(a, b, k...);
            }(std::make_integer_sequence<int, pieces * S>());
        }
    }
};

// f(first row, first class) of each block; the last classes again rather than fewer. Returns the rows that are done.
template <class T, class F>
inline i64 for_blocks(i64 rows, i64 classes, F f) {
    constexpr int S = side<T>;
    if (classes < S) return 0;
    i64 r = 0;
    for (; r + lanes<T> <= rows; r += lanes<T>)
        for (i64 j = 0; j < classes; j += S) f(r, j + S <= classes ? j : classes - S);
    return r;
}

// Two or three classes side by side: `classes` vectors hold lanes<T> rows of them
template <class T, int classes>
struct Side {
    using V = vec<T>;
    static constexpr int W = lanes<T>;
    static constexpr auto all = std::make_integer_sequence<int, W>();
    V x[classes];

    // Lane k of the result is x[vector(k)][lane(k)]
    template <class Vector, class Lane, int... k>
    V pick(Vector vector, Lane lane, std::integer_sequence<int, k...>) const {
        const V two = __builtin_shufflevector(x[0], x[1], (vector(k) == 1 ? W + lane(k) : lane(k))...);
        if constexpr (classes == 2) return two;
        else return __builtin_shufflevector(two, x[classes - 1], (vector(k) == 2 ? W + lane(k) : k)...);
    }
    template <int c>
    V of_class() const {
        constexpr auto place = [](int k) { return k * classes + c; };
        return pick([=](int k) { return place(k) / W; }, [=](int k) { return place(k) % W; }, all);
    }
    template <int n>
    V of_rows() const {
        constexpr auto place = [](int k) { return n * W + k; };
        return pick([=](int k) { return place(k) % classes; }, [=](int k) { return place(k) / classes; }, all);
    }
};

// f(number) for 0 … count − 1, each a constant
template <int count, class F>
inline void for_constants(F f) {
    [&]<int... k>(std::integer_sequence<int, k...>) {
        (f(std::integral_constant<int, k>()), ...);
    }(std::make_integer_sequence<int, count>());
}

template <int classes, class T>
inline i64 side_to_classes(const T* from, i64 rows, T* to, i64 to_step) {
    i64 r = 0;
    for (; r + lanes<T> <= rows; r += lanes<T>) {
        Side<T, classes> side;
        for (int k = 0; k < classes; ++k) side.x[k] = read<vec<T>>(from + r * classes + k * lanes<T>);
        for_constants<classes>([&](auto c) { write(to + c() * to_step + r, side.template of_class<c()>()); });
    }
    return r;
}
template <int classes, class T>
inline i64 classes_to_side(const T* from, i64 from_step, i64 rows, T* to) {
    i64 r = 0;
    for (; r + lanes<T> <= rows; r += lanes<T>) {
        Side<T, classes> side;
        for (int k = 0; k < classes; ++k) side.x[k] = read<vec<T>>(from + k * from_step + r);
        for_constants<classes>([&](auto n) { write(to + r * classes + n() * lanes<T>, side.template of_rows<n()>()); });
    }
    return r;
}

// to[class][row] = from[row][class]
template <class T>
inline void to_classes(const T* from, i64 from_step, i64 rows, i64 classes, T* to, i64 to_step) {
    constexpr int S = side<T>;
    i64 r = 0;
    if (classes == 2 && from_step == 2) r = side_to_classes<2>(from, rows, to, to_step);
    else if (classes == 3 && from_step == 3) r = side_to_classes<3>(from, rows, to, to_step);
    else r = for_blocks<T>(rows, classes, [&](i64 r, i64 c) {
        Squares<T> block;
        const T* row = from + r * from_step + c;
        T* column = to + c * to_step + r;
        for (int k = 0; k < S; ++k, row += from_step) block.x[k] = Squares<T>::read_pieces(row, S * from_step);
        block.transpose();
        for (int k = 0; k < S; ++k, column += to_step) write(column, block.x[k]);
    });
    for (; r < rows; ++r)
        for (i64 c = 0; c < classes; ++c) to[c * to_step + r] = from[r * from_step + c];
}

// to[row][class] = from[class][row]
template <class T>
inline void to_rows(const T* from, i64 from_step, i64 rows, i64 classes, T* to, i64 to_step) {
    constexpr int S = side<T>;
    i64 r = 0;
    if (classes == 2 && to_step == 2) r = classes_to_side<2>(from, from_step, rows, to);
    else if (classes == 3 && to_step == 3) r = classes_to_side<3>(from, from_step, rows, to);
    else r = for_blocks<T>(rows, classes, [&](i64 r, i64 c) {
        Squares<T> block;
        const T* column = from + c * from_step + r;
        T* row = to + r * to_step + c;
        for (int k = 0; k < S; ++k, column += from_step) block.x[k] = read<vec<T>>(column);
        block.transpose();
        for (int k = 0; k < S; ++k, row += to_step) Squares<T>::write_pieces(row, S * to_step, block.x[k]);
    });
    for (; r < rows; ++r)
        for (i64 c = 0; c < classes; ++c) to[r * to_step + c] = from[c * from_step + r];
}

}  // namespace softxent::SOFTXENT_ISA
