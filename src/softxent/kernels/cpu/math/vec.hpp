// Vectors of one register, in GCC's and Clang's own vector types: plain arithmetic, no intrinsics but for float16.
// Everything here is compiled once for each instruction set, in a namespace of its own.
#pragma once
#include <bit>
#include <cstring>
#include <utility>

#if defined(__F16C__)
#include <immintrin.h>
#endif

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
typedef std::int32_t i32v __attribute__((vector_size(WIDTH)));
typedef std::int64_t i64v __attribute__((vector_size(WIDTH)));
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

template <class R>
constexpr int lanes = WIDTH / sizeof(R);

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

// the first n < lanes<R> numbers at p, and `fill` for the others
template <class R>
inline vec<R> read_part(const R* p, int n, R fill) {
    R part[lanes<R>];
    for (int k = 0; k < lanes<R>; ++k) part[k] = k < n ? p[k] : fill;
    return read<vec<R>>(part);
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

inline f64v widen(const double* p) { return read<f64v>(p); }
inline f64v widen(const float* p) { return __builtin_convertvector(read<f32half>(p), f64v); }
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

// 16-bit floats, by their bits -------------------------------------------------------------------------------------

inline float from_bf16(std::uint16_t h) { return std::bit_cast<float>(std::uint32_t(h) << 16); }

inline std::uint16_t to_bf16(float x) {  // to nearest, ties to even
    std::uint32_t b = std::bit_cast<std::uint32_t>(x);
    std::uint32_t rounded = (b + 0x7fff + ((b >> 16) & 1)) >> 16;
    return static_cast<std::uint16_t>(x != x ? 0x7fc0 : rounded);
}

inline float from_f16(std::uint16_t h) {
    std::uint32_t magnitude = std::uint32_t(h & 0x7fff) << 13, sign = std::uint32_t(h & 0x8000) << 16;
    float x = std::bit_cast<float>(magnitude) * 0x1p112f;  // exponent bias 15 → 127, subnormals included
    std::uint32_t bits = std::bit_cast<std::uint32_t>(x);
    return std::bit_cast<float>((x >= 65536.0f ? bits | 0x7f800000 : bits) | sign);
}

inline std::uint16_t to_f16(float x) {  // to nearest, ties to even
    std::uint32_t b = std::bit_cast<std::uint32_t>(x), sign = (b >> 16) & 0x8000, a = b & 0x7fffffff;
    std::uint32_t normal = (a - (112u << 23) + 0xfff + ((a >> 13) & 1)) >> 13;
    std::uint32_t tiny = std::bit_cast<std::uint32_t>(std::bit_cast<float>(a) + 0.5f) - 0x3f000000;  // multiples of 2⁻²⁴
    std::uint32_t h = a < (113u << 23) ? tiny : normal;
    h = a >= 0x477ff000 ? 0x7c00 : h;  // 65520 and above round to infinity
    h = a > 0x7f800000 ? 0x7e00 : h;
    return static_cast<std::uint16_t>(h | sign);
}

// Of whole vectors, by the processor's own instructions where it has them: 1.5 × as fast as by the bits.
// Both return how many were converted.
inline int from_f16s([[maybe_unused]] const std::uint16_t* from, [[maybe_unused]] int n, [[maybe_unused]] float* to) {
    int k = 0;
#if defined(__AVX512F__)
    for (; k + 16 <= n; k += 16) _mm512_storeu_ps(to + k, _mm512_cvtph_ps(read<__m256i>(from + k)));
#elif defined(__F16C__)
    for (; k + 8 <= n; k += 8) _mm256_storeu_ps(to + k, _mm256_cvtph_ps(read<__m128i>(from + k)));
#endif
    return k;
}
inline int to_f16s([[maybe_unused]] const float* from, [[maybe_unused]] float scale, [[maybe_unused]] int n,
                   [[maybe_unused]] std::uint16_t* to) {
    int k = 0;
#if defined(__AVX512F__)
    for (; k + 16 <= n; k += 16) write(to + k, _mm512_cvtps_ph(_mm512_loadu_ps(from + k) * scale, 0));  // to nearest
#elif defined(__F16C__)
    for (; k + 8 <= n; k += 8) write(to + k, _mm256_cvtps_ph(_mm256_loadu_ps(from + k) * scale, 0));
#endif
    return k;
}

// n elements of an array, `stride` apart, as R
template <class R>
inline void convert_from(const Array& a, i64 offset, i64 stride, int n, R* to) {
    auto each = [&](auto* data, auto read_one, int begin = 0) {
        if (stride == 1)
            for (int k = begin; k < n; ++k) to[k] = static_cast<R>(read_one(data[offset + k]));
        else
            for (int k = begin; k < n; ++k) to[k] = static_cast<R>(read_one(data[offset + k * stride]));
    };
    auto same = [](auto x) { return x; };
    auto* halves = reinterpret_cast<const std::uint16_t*>(a.data);
    int done = 0;
    if constexpr (sizeof(R) == 4)
        if (a.dtype == DType::f16 && stride == 1) done = from_f16s(halves + offset, n, to);
    switch (a.dtype) {
        case DType::f32: return each(reinterpret_cast<const float*>(a.data), same);
        case DType::f64: return each(reinterpret_cast<const double*>(a.data), same);
        case DType::f16: return each(halves, from_f16, done);
        case DType::bf16: return each(halves, from_bf16);
    }
}

// … and back, times `scale`
template <class R>
inline void convert_to(const Array& a, i64 offset, i64 stride, int n, const R* from, R scale = 1) {
    auto each = [&](auto* data, auto write_one, int begin = 0) {
        if (stride == 1)
            for (int k = begin; k < n; ++k) data[offset + k] = write_one(from[k] * scale);
        else
            for (int k = begin; k < n; ++k) data[offset + k * stride] = write_one(from[k] * scale);
    };
    auto* halves = reinterpret_cast<std::uint16_t*>(a.data);
    int done = 0;
    if constexpr (sizeof(R) == 4)
        if (a.dtype == DType::f16 && stride == 1) done = to_f16s(from, scale, n, halves + offset);
    switch (a.dtype) {
        case DType::f32: return each(reinterpret_cast<float*>(a.data), [](R x) { return static_cast<float>(x); });
        case DType::f64: return each(reinterpret_cast<double*>(a.data), [](R x) { return static_cast<double>(x); });
        case DType::f16: return each(halves, [](R x) { return to_f16(float(x)); }, done);
        case DType::bf16: return each(halves, [](R x) { return to_bf16(float(x)); });
    }
}

template <class R>
constexpr DType native = sizeof(R) == 4 ? DType::f32 : DType::f64;
template <class R>
inline R* at(const Array& a, i64 offset) {
    return reinterpret_cast<R*>(a.data) + offset;
}

}  // namespace softxent::SOFTXENT_ISA
