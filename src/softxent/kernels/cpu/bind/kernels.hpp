// The kernels that this processor can run, and the one in use.
#pragma once
#include <nanobind/nanobind.h>

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "kernel.hpp"

namespace nb = nanobind;

namespace softxent {

#if defined(SOFTXENT_X86)
namespace v2 { extern const Kernel kernel; }
namespace v3 { extern const Kernel kernel; }
namespace v4 { extern const Kernel kernel; }
#elif defined(SOFTXENT_NEON)
namespace neon { extern const Kernel kernel; }
#else
namespace generic { extern const Kernel kernel; }
#endif

// the best one last
inline std::vector<const Kernel*> usable_kernels() {
#if defined(SOFTXENT_X86)
    __builtin_cpu_init();
    auto has = [](auto... yes) { return (... && (yes != 0)); };
    std::vector<const Kernel*> all{&v2::kernel};
    bool v3 = has(__builtin_cpu_supports("avx2"), __builtin_cpu_supports("fma"), __builtin_cpu_supports("bmi2"));
    if (v3) all.push_back(&v3::kernel);
    if (v3 && has(__builtin_cpu_supports("avx512f"), __builtin_cpu_supports("avx512bw"),
                  __builtin_cpu_supports("avx512cd"), __builtin_cpu_supports("avx512dq"),
                  __builtin_cpu_supports("avx512vl")))
        all.push_back(&v4::kernel);
    return all;
#elif defined(SOFTXENT_NEON)
    return {&neon::kernel};
#else
    return {&generic::kernel};
#endif
}

// atomic: it is read without the GIL
inline std::atomic<const Kernel*> kernel_in_use{usable_kernels().back()};

template <class P>
void compute(const P& pass) {
    (*kernel_in_use.load())(pass);
}

inline void use_kernel(std::string_view name) {
    std::string known;
    for (const Kernel* kernel : usable_kernels()) {
        if (name == kernel->isa) return kernel_in_use.store(kernel);
        known += (known.empty() ? "'" : ", '") + std::string(kernel->isa) + "'";
    }
    throw nb::value_error(("name is '" + std::string(name) + "', but must be one of " + known).c_str());
}

}  // namespace softxent
