// Vectors of one register, in GCC's and Clang's own vector types: plain arithmetic, no intrinsics.
// Everything here is compiled once for each instruction set, in a namespace of its own.
#pragma once
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

#include "kernel.hpp"

namespace softxent::SOFTXENT_ISA {

#if defined(__AVX512F__)
constexpr int WIDTH = 64;
#elif defined(__AVX2__)
constexpr int WIDTH = 32;
#else
constexpr int WIDTH = 16;
#endif

typedef float f32v __attribute__((vector_size(WIDTH)));
typedef double f64v __attribute__((vector_size(WIDTH)));
using i32v = decltype(f32v{} < f32v{});  // of the integers that a comparison gives: GCC's are long, Clang's long long
using i64v = decltype(f64v{} < f64v{});
typedef float f32half __attribute__((vector_size(WIDTH / 2)));  // as many floats as f64v has doubles

// R: the type a row is computed in, float (for float16 and bfloat16 too) or double
template <class R>
struct Simd;
template <>
struct Simd<float> {
    using V = f32v;
};
template <>
struct Simd<double> {
    using V = f64v;
};
template <class R>
using vec = typename Simd<R>::V;

// the integers that hold the bits of V, a number or a vector; comparisons of vectors have this type
template <class V>
struct Bits;
template <>
struct Bits<f32v> {
    using I = i32v;
};
template <>
struct Bits<f64v> {
    using I = i64v;
};
template <>
struct Bits<double> {
    using I = std::int64_t;
};
template <class V>
using bits_of = typename Bits<V>::I;

// the number in each lane of a vector
template <class V>
using lane_of = std::remove_reference_t<decltype(V{}[0])>;

template <class R>
constexpr int lanes = WIDTH / sizeof(R);

// n, rounded up to whole vectors
template <class R>
constexpr i64 whole_vectors(i64 n) {
    return (n + lanes<R> - 1) / lanes<R> * lanes<R>;
}

// x >> n of the bits as unsigned: AVX2 has no shift of signed 64 bits, and takes five operations for one
inline std::int64_t shift_right(std::int64_t x, int n) { return static_cast<std::int64_t>(static_cast<std::uint64_t>(x) >> n); }
inline i64v shift_right(i64v x, int n) {
    typedef std::uint64_t u64v __attribute__((vector_size(WIDTH)));
    return std::bit_cast<i64v>(std::bit_cast<u64v>(x) >> n);
}

template <class T, class R>
inline T read(const R* p) {
    T v;
    std::memcpy(&v, p, sizeof v);
    return v;
}
template <class R, class T>
inline void write(R* p, T v) {
    std::memcpy(p, &v, sizeof v);
}

// the last lane first
template <class V>
inline V backwards(V x) {
    constexpr int n = sizeof(V) / sizeof(x[0]);
    return [&]<int... k>(std::integer_sequence<int, k...>) {
        return __builtin_shufflevector(x, x, (n - 1 - k)...);
    }(std::make_integer_sequence<int, n>());
}

// the first n < lanes<R> numbers at p, and `fill` for the others
template <class R>
inline vec<R> read_part(const R* p, int n, R fill) {
    R part[lanes<R>];
    for (int k = 0; k < lanes<R>; ++k) part[k] = k < n ? p[k] : fill;
    return read<vec<R>>(part);
}
// the first `count` numbers at p, and 0 for the others
template <class R>
inline vec<R> read_count(const R* p, int count) {
    return count == lanes<R> ? read<vec<R>>(p) : read_part(p, count, R(0));
}
template <class R>
inline void write_part(R* p, vec<R> v, int n) {
    R part[lanes<R>];
    write(part, v);
    for (int k = 0; k < lanes<R>; ++k)
        if (k < n) p[k] = part[k];
}

// f(vector of p[j …], j, count) for each vector of p, the last one filled up
template <class R, class F>
inline void for_vectors(const R* p, int n, R fill, F f) {
    int j = 0;
    for (; j + lanes<R> <= n; j += lanes<R>) f(read<vec<R>>(p + j), j, lanes<R>);
    if (j < n) f(read_part(p + j, n - j, fill), j, n - j);
}
template <class R>
inline void write_count(R* p, vec<R> v, int count) {
    if (count == lanes<R>)
        write(p, v);
    else
        write_part(p, v, count);
}

// count + 1 in the lanes where `is` holds, and x in those where it does not, else 0: one operation each, with masks or without
template <class I>
inline I count_if(I count, I is) {
    if constexpr (WIDTH == 64)
        return is ? count + 1 : count;
    else
        return count - is;
}
template <class V>
inline V zero_if(bits_of<V> is, V x) {
    if constexpr (WIDTH == 64)
        return is ? V{} : x;
    else
        return std::bit_cast<V>(~is & std::bit_cast<bits_of<V>>(x));
}

// x in the first `count` lanes, 0 in the others
template <class V>
inline V first_lanes(V x, int count) {
    constexpr int n = sizeof(V) / sizeof(x[0]);
    if (count == n) return x;
    return [&]<int... k>(std::integer_sequence<int, k...>) {
        return zero_if(bits_of<V>{k...} >= count, x);
    }(std::make_integer_sequence<int, n>());
}

inline f64v widen(const double* p) { return read<f64v>(p); }
inline f64v widen(const float* p) {  // one by one: GCC 12 converts half a vector in two steps, by way of the stack
    return [&]<int... k>(std::integer_sequence<int, k...>) {
        return f64v{double(p[k])...};
    }(std::make_integer_sequence<int, WIDTH / 8>());
}
// As many lanes as f64v has, from `half` of a vector
template <int half>
inline f64v widen_half(f64v x) {
    return x;
}
template <int half>
inline f64v widen_half(f32v x) {
    typedef double whole __attribute__((vector_size(2 * WIDTH)));
    const whole wide = __builtin_convertvector(x, whole);  // at once, for the same reason
    return [&]<int... k>(std::integer_sequence<int, k...>) {
        return __builtin_shufflevector(wide, wide, (half * lanes<double> + k)...);
    }(std::make_integer_sequence<int, lanes<double>>());
}
inline void narrow(double* p, f64v v) { write(p, v); }
inline void narrow(float* p, f64v v) { write(p, __builtin_convertvector(v, f32half)); }

// f of all lanes, halves with halves
template <class V, class F>
inline auto reduce(V v, F f) {
    constexpr int n = sizeof(V) / sizeof(v[0]);
    if constexpr (n == 2) {
        return f(v[0], v[1]);
    } else {
        auto half = [&]<int... k>(auto from, std::integer_sequence<int, k...>) {
            return __builtin_shufflevector(v, v, (k + decltype(from)::value)...);
        };
        constexpr auto lanes = std::make_integer_sequence<int, n / 2>();
        return reduce(f(half(std::integral_constant<int, 0>(), lanes), half(std::integral_constant<int, n / 2>(), lanes)),
                      f);
    }
}
// Whether a comparison holds in any lane
template <class I>
inline bool any(I is) {
    return reduce(is, [](auto a, auto b) { return a | b; }) != 0;
}
inline double sum_lanes(f64v v) {
    return reduce(v, [](auto a, auto b) { return a + b; });
}
inline double sum_lanes(f32v v) {
    float part[WIDTH / 4];
    write(part, v);
    return sum_lanes(widen(part) + widen(part + WIDTH / 8));
}

// a·b − product, exactly: what the product rounded away
template <class D>
inline D lost(D a, D b, D product) {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
    // not a·b − product: the compiler knows that product and computes 0
    if constexpr (sizeof(D) == sizeof(double)) {
        return __builtin_fma(a, b, -product);
    } else {
        D error;
        for (int k = 0; k < lanes<double>; ++k) error[k] = __builtin_fma(a[k], b[k], -product[k]);
        return error;
    }
#else
    auto high = [](D x) {  // Dekker's split in halves of 26 bits
        D big = x * 134217729.0;
        return big - (big - x);
    };
    D a_high = high(a), a_low = a - a_high, b_high = high(b), b_low = b - b_high;
    D error = ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low;
    return error == error ? error : D{};  // the split overflows near the largest numbers
#endif
}

template <class R>
constexpr DType native = sizeof(R) == 4 ? DType::f32 : DType::f64;
template <class R>
inline R* at(const Array& a, i64 offset) {
    return reinterpret_cast<R*>(a.data) + offset;
}

}  // namespace softxent::SOFTXENT_ISA
