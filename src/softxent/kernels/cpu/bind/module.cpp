// softxent.kernels._cpu: buffers → passes. The Python side has checked what a user can get wrong.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "bind/buffer.hpp"
#include "threads.hpp"

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

namespace {

// the kernels that this processor can run, the best one last
std::vector<const Kernel*> usable() {
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

const Kernel* kernel = usable().back();

// A target that is no class: the adapter words the error
struct BadTarget {
    i64 row;
};

// Σ of the weights (1 without class weights) of the counted rows begin … end
template <class R>
Sum count_range(const i64* targets, const void* weight, i64 classes, i64 ignored, i64 begin, i64 end) {
    auto outside = [&](i64 y) { return std::uint64_t(y) >= std::uint64_t(classes); };
    i64 skipped = 0, strays = 0;
    for (i64 i = begin; i < end; ++i) skipped += targets[i] == ignored, strays += outside(targets[i]);
    if (strays != (outside(ignored) ? skipped : 0))
        for (i64 i = begin; i < end; ++i)
            if (targets[i] != ignored && outside(targets[i])) throw BadTarget{i};
    if (!weight) return {double(end - begin - skipped)};
    Sum sum;
    for (i64 i = begin; i < end; ++i)
        if (targets[i] != ignored) sum.add(double(static_cast<const R*>(weight)[targets[i]]));
    return sum;
}

template <class R>
double count_targets(const Pass& pass, const i64* targets, const void* weight, i64 ignored) {
    constexpr i64 CHUNK = 65536;
    const i64 chunks = (pass.rows + CHUNK - 1) / CHUNK;
    auto count = [&](i64 begin, i64 end) { return count_range<R>(targets, weight, pass.classes, ignored, begin, end); };
    if (chunks <= 1) return count(0, pass.rows).value();
    std::vector<Sum> sums(chunks);
    std::vector<i64> bad(chunks, -1);
    share_out(chunks, [&](i64 k) {
        try {
            sums[k] = count(k * CHUNK, k + 1 < chunks ? (k + 1) * CHUNK : pass.rows);
        } catch (const BadTarget& target) {
            bad[k] = target.row;
        }
    });
    Sum total;
    for (i64 k = 0; k < chunks; ++k) {
        if (bad[k] >= 0) throw BadTarget{bad[k]};
        total.add(sums[k]);
    }
    return total.value();
}

// Gives the GIL back, unless that would take longer than the pass
struct WithoutGil {
    std::optional<nb::gil_scoped_release> released;
    explicit WithoutGil(const Pass& pass) {
        if (pass.rows * pass.classes > 4096) released.emplace();
    }
};

LossOptions unpack(nb::bytes packed) {
    LossOptions options;
    if (packed.size() != sizeof options) throw nb::value_error("options are not those of this kernel");
    std::memcpy(&options, packed.c_str(), sizeof options);
    return options;
}

double sum_of(const void* weight, i64 classes, DType dtype) {
    Sum sum;
    for (i64 j = 0; j < classes; ++j)
        sum.add(dtype == DType::f64 ? static_cast<const double*>(weight)[j] : static_cast<const float*>(weight)[j]);
    return sum.value();
}

void cross_entropy(nb::handle logits, nb::handle target, int axis, nb::handle class_weight, nb::handle out,
                   nb::handle loss, nb::handle upstream, nb::bytes options, bool nan_if_empty) {
    Buffer x(logits, false), t(target, false);
    auto w = optional(class_weight, false), gradient = optional(out, true), to = optional(loss, true);
    auto factors = optional(upstream, false);
    CrossEntropy pass;
    pass.options = unpack(options);
    pass.temperature = pass.options.temperature, pass.softcap = pass.options.softcap;
    lay_out(pass, axis,
            {{&pass.logits, &x}, {&pass.out, gradient.get()}, {&pass.probabilities, t.integers() ? nullptr : &t}});
    pass.target = t.integers() ? t.data<const i64>() : nullptr;
    pass.weight = w ? w->data<void>() : nullptr;
    pass.loss = column_of(to), pass.upstream = column_of(factors);
    pass.empty = nan_if_empty ? std::numeric_limits<double>::quiet_NaN() : 0;

    WithoutGil nogil(pass);
    const DType dtype = pass.logits.dtype;
    pass.weight_sum = w ? sum_of(pass.weight, pass.classes, dtype) : double(pass.classes);
    double counted = double(pass.rows);
    if (pass.target) {
        auto count = dtype == DType::f64 ? count_targets<double> : count_targets<float>;
        counted = count(pass, pass.target, pass.weight, pass.options.ignore_index);
    }
    if (pass.options.reduction == Reduction::mean)
        pass.divisor = pass.options.normalizer > 0 ? pass.options.normalizer : counted;
    (*kernel)(pass);
}

// softmax or log_softmax, of logits' shape
template <class P>
void normalize(nb::handle logits, int axis, double temperature, nb::handle out) {
    Buffer x(logits, false), to(out, true);
    P pass;
    lay_out(pass, axis, {{&pass.logits, &x}, {&pass.out, &to}});
    pass.temperature = temperature;
    WithoutGil nogil(pass);
    (*kernel)(pass);
}

void logsumexp(nb::handle logits, int axis, nb::handle lse) {
    Buffer x(logits, false), to(lse, true);
    LogSumExp pass;
    lay_out(pass, axis, {{&pass.logits, &x}});
    pass.lse = to.column();
    WithoutGil nogil(pass);
    (*kernel)(pass);
}

// Returns the first row that has no probabilities to draw from, or −1
i64 sample(nb::handle logits, int axis, double temperature, nb::handle uniform, nb::handle index, nb::handle log_prob) {
    Buffer x(logits, false), u(uniform, false), drawn(index, true);
    auto logs = optional(log_prob, true);
    Sample pass;
    lay_out(pass, axis, {{&pass.logits, &x}});
    pass.temperature = temperature;
    pass.uniform = u.data<const double>();
    pass.index = drawn.data<i64>();
    pass.log_prob = column_of(logs);
    WithoutGil nogil(pass);
    (*kernel)(pass);
    for (i64 i = 0; i < pass.rows; ++i)
        if (pass.index[i] < 0) return i;
    return -1;
}

// For each row log p_y, the entropy, lse, the first largest class and the target's rank
void statistics(nb::handle logits, nb::handle target, int axis, i64 ignore_index, double temperature,
                nb::handle log_prob, nb::handle entropy, nb::handle lse, nb::handle argmax, nb::handle rank) {
    Buffer x(logits, false), t(target, false), log_p(log_prob, true), h(entropy, true), sum(lse, true);
    Buffer largest(argmax, true), place(rank, true);
    Statistics pass;
    lay_out(pass, axis, {{&pass.logits, &x}});
    pass.target = t.data<const i64>();
    pass.ignore_index = ignore_index, pass.temperature = temperature;
    pass.log_prob = log_p.column(), pass.entropy = h.column(), pass.lse = sum.column();
    pass.argmax = largest.data<i64>(), pass.rank = place.data<i64>();
    WithoutGil nogil(pass);
    count_targets<float>(pass, pass.target, nullptr, ignore_index);  // are they classes?
    (*kernel)(pass);
}

}  // namespace
}  // namespace softxent

NB_MODULE(_cpu, m) {
    using namespace softxent;
    nb::set_leak_warnings(false);
    static PyObject* bad_target = PyErr_NewException("softxent.kernels._cpu.BadTarget", PyExc_IndexError, nullptr);
    m.attr("BadTarget") = nb::handle(bad_target);
    nb::register_exception_translator(
        [](const std::exception_ptr& p, void*) {
            try {
                std::rethrow_exception(p);
            } catch (const BadTarget& e) {
                PyErr_SetObject(bad_target, nb::int_(e.row).ptr());
            }
        });
    m.def("cross_entropy", &cross_entropy, nb::arg("logits"), nb::arg("target"), nb::arg("axis"),
          nb::arg("class_weight").none(), nb::arg("out").none(), nb::arg("loss").none(), nb::arg("upstream").none(),
          nb::arg("options"), nb::arg("nan_if_empty"));
    m.def("softmax", &normalize<Softmax>, nb::arg("logits"), nb::arg("axis"), nb::arg("temperature"), nb::arg("out"));
    m.def("log_softmax", &normalize<LogSoftmax>, nb::arg("logits"), nb::arg("axis"), nb::arg("temperature"),
          nb::arg("out"));
    m.def("logsumexp", &logsumexp, nb::arg("logits"), nb::arg("axis"), nb::arg("lse"));
    m.def("sample", &sample, nb::arg("logits"), nb::arg("axis"), nb::arg("temperature"), nb::arg("uniform"),
          nb::arg("index"), nb::arg("log_prob").none());
    m.def("statistics", &statistics, nb::arg("logits"), nb::arg("target"), nb::arg("axis"), nb::arg("ignore_index"),
          nb::arg("temperature"), nb::arg("log_prob"), nb::arg("entropy"), nb::arg("lse"), nb::arg("argmax"),
          nb::arg("rank"));
    m.attr("MAX_THREADS") = MAX_THREADS;
    m.def("get_num_threads", &num_threads);
    m.def("set_num_threads", &set_num_threads, nb::arg("count"));
    m.def("instruction_sets", [] {
        nb::list names;
        for (const Kernel* k : usable()) names.append(k->isa);
        return names;
    });
    m.def("instruction_set", [] { return kernel->isa; });
    m.def("use", [](const std::string_view name) {
        for (const Kernel* k : usable())
            if (name == k->isa) kernel = k;
    });
}
