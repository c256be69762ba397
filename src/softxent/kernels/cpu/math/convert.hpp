// Between arrays of any of the four dtypes and the type that a row is computed in.
#pragma once
#include "math/half.hpp"

namespace softxent::SOFTXENT_ISA {

// n elements of an array, `stride` apart, as R
template <class R>
inline void convert_from(const Array& a, i64 offset, i64 stride, int n, R* to) {
    auto each = [&](auto* data, auto read_one, int begin = 0) {
        if (stride == 1)
            for (int k = begin; k < n; ++k) to[k] = static_cast<R>(read_one(data[offset + k]));
        else
#pragma GCC unroll 4
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
#pragma GCC unroll 4
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

}  // namespace softxent::SOFTXENT_ISA
