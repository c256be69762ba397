// softxent.kernels._cpu: buffers → Job. The Python side has checked what a user can get wrong.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include <limits>
#include <memory>
#include <optional>
#include <vector>

#include "kernel.hpp"
#include "threads.hpp"

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

// NumPy's, or a description of one: (address, format, shape, strides in elements)
class Buffer {
public:
    Buffer(nb::handle object, bool writable) {
        int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
        if (nb::isinstance<nb::tuple>(object))
            describe(nb::borrow<nb::tuple>(object));
        else if (PyObject_GetBuffer(object.ptr(), &view, flags)) throw nb::python_error();
    }
    Buffer(const Buffer&) = delete;
    ~Buffer() { PyBuffer_Release(&view); }

    template <class T>
    T* data() const {
        return static_cast<T*>(view.buf);
    }

    DType dtype() const {
        switch (view.format[0]) {
            case 'f': return DType::f32;
            case 'd': return DType::f64;
            case 'e': return DType::f16;
            case 'H': return DType::bf16;  // by its bits
            default: throw nb::type_error("not a dtype of the kernel");
        }
    }

    Py_buffer view{};

private:
    Py_ssize_t shape[MAX_DIMS], strides[MAX_DIMS];

    void describe(nb::tuple object) {
        view.buf = reinterpret_cast<void*>(nb::cast<std::uintptr_t>(object[0]));
        view.format = const_cast<char*>(nb::borrow<nb::str>(object[1]).c_str());  // lives as long as the tuple
        const char code = view.format[0];
        view.itemsize = code == 'd' || code == 'q' ? 8 : code == 'f' ? 4 : 2;
        nb::tuple lengths = nb::borrow<nb::tuple>(object[2]), steps = nb::borrow<nb::tuple>(object[3]);
        view.ndim = static_cast<int>(lengths.size()), view.shape = shape, view.strides = strides;
        for (int d = 0; d < view.ndim; ++d) {
            shape[d] = nb::cast<Py_ssize_t>(lengths[d]);
            strides[d] = nb::cast<Py_ssize_t>(steps[d]) * view.itemsize;
        }
    }
};

// An optional array: None has no buffer
std::unique_ptr<Buffer> optional(nb::handle object, bool writable) {
    return object.is_none() ? nullptr : std::make_unique<Buffer>(object, writable);
}

// The rows' dimensions of a job: all but `axis`, neighbours merged where every array lies evenly over both
void lay_out(Job& job, int axis, std::initializer_list<std::pair<Array*, const Buffer*>> arrays) {
    const Py_buffer& shape = arrays.begin()->second->view;
    job.classes = shape.shape[axis], job.rows = 1, job.dims = 0;
    for (auto [array, buffer] : arrays) {
        if (!buffer) continue;
        array->data = buffer->data<char>();
        array->dtype = buffer->dtype();
        array->class_stride = buffer->view.strides[axis] / buffer->view.itemsize;
    }
    for (int d = 0; d < shape.ndim; ++d) {
        const i64 size = shape.shape[d];
        if (d == axis) continue;
        job.rows *= size;
        if (size == 1) continue;
        auto stride = [&](const Buffer* b) -> i64 { return b->view.strides[d] / b->view.itemsize; };
        bool merge = job.dims > 0;
        for (auto [array, buffer] : arrays)
            if (buffer && merge) merge = array->stride[job.dims - 1] == stride(buffer) * size;
        if (!merge) job.shape[job.dims++] = 1;
        job.shape[job.dims - 1] *= size;
        for (auto [array, buffer] : arrays)
            if (buffer) array->stride[job.dims - 1] = stride(buffer);
    }
    if (job.dims == 0) job.shape[job.dims++] = 1;
}

// Σ of the weights (1 without class weights) of the counted rows begin … end
template <class R>
Sum count_targets(const Job& job, i64 begin, i64 end) {
    const i64 ignored = job.ignore_index;
    auto outside = [&](i64 y) { return std::uint64_t(y) >= std::uint64_t(job.classes); };
    i64 skipped = 0, strays = 0;
    for (i64 i = begin; i < end; ++i) skipped += job.target[i] == ignored, strays += outside(job.target[i]);
    if (strays != (outside(ignored) ? skipped : 0))
        for (i64 i = begin; i < end; ++i)
            if (job.target[i] != ignored && outside(job.target[i])) throw BadTarget{i};
    if (!job.weight) return {double(end - begin - skipped)};
    Sum sum;
    for (i64 i = begin; i < end; ++i)
        if (job.target[i] != ignored) sum.add(double(static_cast<const R*>(job.weight)[job.target[i]]));
    return sum;
}

template <class R>
double count_targets(const Job& job) {
    constexpr i64 CHUNK = 65536;
    const i64 chunks = (job.rows + CHUNK - 1) / CHUNK;
    if (chunks <= 1) return count_targets<R>(job, 0, job.rows).value();
    std::vector<Sum> sums(chunks);
    std::vector<i64> bad(chunks, -1);
    share_out(chunks, [&](i64 k) {
        try {
            sums[k] = count_targets<R>(job, k * CHUNK, k + 1 < chunks ? (k + 1) * CHUNK : job.rows);
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

// Runs the job without the GIL, unless giving it back would take longer; returns Σ of the losses
double run(Job& job, bool sum_losses) {
    const i64 tasks = kernel->tasks(job);
    Sum one;
    std::vector<Sum> many(tasks > 1 ? tasks : 0);
    if (sum_losses) job.total = tasks > 1 ? many.data() : &one;
    kernel->run(job);
    for (const Sum& part : many) one.add(part);
    return one.value();
}

struct WithoutGil {
    std::optional<nb::gil_scoped_release> released;
    explicit WithoutGil(const Job& job) {
        if (job.rows * job.classes > 4096) released.emplace();
    }
};

enum class Reduction : int { none, sum, mean };

double cross_entropy(nb::handle logits, nb::handle target, bool by_index, int axis, nb::handle class_weight,
                     nb::handle out, nb::handle result, i64 ignore_index, double label_smoothing, double temperature,
                     double softcap, double z_loss, int reduction, double normalizer, nb::handle upstream) {
    Buffer x(logits, false), t(target, false);
    auto w = optional(class_weight, false), gradient = optional(out, true), losses = optional(result, true);
    const bool one_upstream = PyFloat_Check(upstream.ptr());
    auto factors = one_upstream ? nullptr : optional(upstream, false);
    Job job;
    job.op = Op::cross_entropy;
    lay_out(job, axis, {{&job.logits, &x}, {&job.out, gradient.get()}, {&job.probabilities, by_index ? nullptr : &t}});
    job.target = by_index ? t.data<const i64>() : nullptr;
    job.weight = w ? w->data<void>() : nullptr;
    job.ignore_index = ignore_index, job.label_smoothing = label_smoothing;
    job.temperature = temperature, job.softcap = softcap, job.z_loss = z_loss;
    job.result = losses ? losses->data<void>() : nullptr;
    job.upstream = factors ? factors->data<void>() : nullptr;

    WithoutGil nogil(job);
    const bool wide = job.logits.dtype == DType::f64;
    Sum weight_sum;
    for (i64 j = 0; w && j < job.classes; ++j)
        weight_sum.add(wide ? static_cast<const double*>(job.weight)[j] : static_cast<const float*>(job.weight)[j]);
    job.weight_sum = w ? weight_sum.value() : double(job.classes);

    double counted = double(job.rows);
    if (by_index) counted = wide ? count_targets<double>(job) : count_targets<float>(job);
    double divisor = Reduction(reduction) != Reduction::mean ? 1 : normalizer > 0 ? normalizer : counted;
    job.divisor = divisor > 0 ? divisor : std::numeric_limits<double>::infinity();
    if (one_upstream) job.divisor /= nb::cast<double>(upstream);
    double total = run(job, Reduction(reduction) != Reduction::none);
    double loss = divisor > 0 ? total / divisor : 0;
    return wide ? loss : double(float(loss));  // beyond float's range: inf
}

// softmax, log_softmax → out, of logits' shape; logsumexp → result, one a row
void normalize(int op, nb::handle logits, int axis, double temperature, nb::handle out, nb::handle result) {
    Buffer x(logits, false);
    auto to = optional(out, true), rows = optional(result, true);
    Job job;
    job.op = Op(op);
    lay_out(job, axis, {{&job.logits, &x}, {&job.out, to.get()}});
    job.temperature = temperature;
    job.result = rows ? rows->data<void>() : nullptr;
    WithoutGil nogil(job);
    run(job, false);
}

// Returns the first row that has no probabilities to draw from, or −1
i64 sample(nb::handle logits, int axis, double temperature, nb::handle uniform, nb::handle index, nb::handle log_prob) {
    Buffer x(logits, false), u(uniform, false), drawn(index, true);
    auto logs = optional(log_prob, true);
    Job job;
    job.op = Op::sample;
    lay_out(job, axis, {{&job.logits, &x}});
    job.temperature = temperature;
    job.uniform = u.data<const double>();
    job.index = drawn.data<i64>();
    job.result = logs ? logs->data<void>() : nullptr;
    WithoutGil nogil(job);
    run(job, false);
    for (i64 i = 0; i < job.rows; ++i)
        if (job.index[i] < 0) return i;
    return -1;
}

// For each row log p_y, the entropy, lse, the first largest class and the target's rank, from one visit
void statistics(nb::handle logits, nb::handle target, int axis, i64 ignore_index, double temperature,
                nb::handle log_prob, nb::handle entropy, nb::handle lse, nb::handle argmax, nb::handle rank) {
    Buffer x(logits, false), t(target, false), log_p(log_prob, true), h(entropy, true), sum(lse, true);
    Buffer largest(argmax, true), place(rank, true);
    Job job;
    job.op = Op::statistics;
    lay_out(job, axis, {{&job.logits, &x}});
    job.target = t.data<const i64>();
    job.ignore_index = ignore_index, job.temperature = temperature;
    job.result = log_p.data<void>(), job.entropy = h.data<void>(), job.lse = sum.data<void>();
    job.argmax = largest.data<i64>(), job.rank = place.data<i64>();
    WithoutGil nogil(job);
    count_targets<float>(job);  // are they classes?
    run(job, false);
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
    m.def("cross_entropy", &cross_entropy, nb::arg("logits"), nb::arg("target"), nb::arg("by_index"), nb::arg("axis"),
          nb::arg("class_weight").none(), nb::arg("out").none(), nb::arg("result").none(), nb::arg("ignore_index"),
          nb::arg("label_smoothing"), nb::arg("temperature"), nb::arg("softcap"), nb::arg("z_loss"),
          nb::arg("reduction"), nb::arg("normalizer"), nb::arg("upstream").none() = nb::none());
    m.def("normalize", &normalize, nb::arg("op"), nb::arg("logits"), nb::arg("axis"), nb::arg("temperature"),
          nb::arg("out").none(), nb::arg("result").none());
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
