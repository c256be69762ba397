// The functions of _cpu: a pass is filled from what Python hands over, then runs without the GIL.
//
// The adapters have checked what a user can get wrong; what is checked here is that no pass leaves its arrays.
#pragma once
#include <nanobind/nanobind.h>

#include <cstring>
#include <limits>
#include <string_view>

#include "bind/buffer.hpp"
#include "bind/gil.hpp"
#include "bind/kernels.hpp"
#include "bind/targets.hpp"

namespace softxent {

// The rows' dimensions of a pass: all but `axis`, neighbours merged where every array lies evenly over both
inline void lay_out(Pass& pass, int axis, std::initializer_list<std::pair<Array*, const Buffer*>> arrays) {
    const Buffer& logits = *arrays.begin()->second;
    logits.require(axis >= 0 && axis < logits.ndim, "has not the axis that is asked for");
    pass.classes = logits.shape[axis], pass.rows = 1, pass.dims = 0;
    for (auto [array, buffer] : arrays) {
        if (!*buffer) continue;
        buffer->require(buffer->ndim == logits.ndim &&
                            std::memcmp(buffer->shape, logits.shape, logits.ndim * sizeof(i64)) == 0,
                        "is not of the logits' shape");
        array->data = buffer->data;
        array->dtype = buffer->dtype();
        array->class_stride = buffer->stride[axis];
    }
    for (int d = 0; d < logits.ndim; ++d) {
        const i64 size = logits.shape[d];
        if (d == axis) continue;
        pass.rows *= size;
        if (size == 1) continue;
        bool merge = pass.dims > 0;
        for (auto [array, buffer] : arrays)
            if (*buffer && merge) merge = array->stride[pass.dims - 1] == buffer->stride[d] * size;
        if (!merge) pass.shape[pass.dims++] = 1;
        pass.shape[pass.dims - 1] *= size;
        for (auto [array, buffer] : arrays)
            if (*buffer) array->stride[pass.dims - 1] = buffer->stride[d];
    }
    if (pass.dims == 0) pass.shape[pass.dims++] = 1;
}

inline LossOptions unpack(nb::bytes packed) {
    LossOptions options;
    if (packed.size() != sizeof options) throw nb::value_error("options are not those of this kernel");
    std::memcpy(&options, packed.c_str(), sizeof options);
    return options;
}

inline double sum_of(const void* weight, i64 classes, DType dtype) {
    Sum sum;
    for (i64 j = 0; j < classes; ++j)
        sum.add(dtype == DType::f64 ? static_cast<const double*>(weight)[j] : static_cast<const float*>(weight)[j]);
    return sum.value();
}

inline void cross_entropy(nb::handle logits, nb::handle target, int axis, nb::handle class_weight, nb::handle out,
                          nb::handle loss, nb::handle upstream, nb::bytes options, bool nan_if_empty,
                          int threads) {
    const Buffer x(logits, "logits"), t(target, "target"), w(class_weight, "class_weight"), gradient(out, "out", true),
        to(loss, "loss", true), factors(upstream, "upstream"), no_probabilities(nb::none(), "target");
    CrossEntropy pass;
    pass.options = unpack(options);
    pass.temperature = pass.options.temperature, pass.softcap = pass.options.softcap;
    lay_out(pass, axis,
            {{&pass.logits, &x},
             {&pass.out, &gradient},
             {&pass.probabilities, t.integers() ? &no_probabilities : &t}});
    const DType dtype = pass.logits.dtype;
    if (t.integers()) pass.target = t.elements<const i64>(pass.rows, 'q');
    if (w) pass.weight = w.elements<const void>(pass.classes, dtype == DType::f64 ? 'd' : 'f');
    pass.loss = to.column(pass.options.reduction == Reduction::none ? pass.rows : 1);
    pass.upstream = factors.column(pass.rows);
    pass.empty = nan_if_empty ? std::numeric_limits<double>::quiet_NaN() : 0;

    const Running running(pass, threads);
    pass.weight_sum = pass.weight ? sum_of(pass.weight, pass.classes, dtype) : double(pass.classes);
    double counted = double(pass.rows);
    if (pass.target) {
        auto count = dtype == DType::f64 ? count_targets<double> : count_targets<float>;
        counted = count(pass, pass.target, pass.weight, pass.options.ignore_index);
    }
    if (pass.options.reduction == Reduction::mean)
        pass.divisor = pass.options.normalizer > 0 ? pass.options.normalizer : counted;
    compute(pass);
}

// softmax or log_softmax, of logits' shape
template <class P>
void normalize(nb::handle logits, int axis, double temperature, nb::handle out, int threads) {
    const Buffer x(logits, "logits"), to(out, "out", true);
    P pass;
    lay_out(pass, axis, {{&pass.logits, &x}, {&pass.out, &to}});
    pass.temperature = temperature;
    const Running running(pass, threads);
    compute(pass);
}

inline void logsumexp(nb::handle logits, int axis, nb::handle lse, int threads) {
    const Buffer x(logits, "logits"), to(lse, "lse", true);
    LogSumExp pass;
    lay_out(pass, axis, {{&pass.logits, &x}});
    pass.lse = to.column(pass.rows);
    const Running running(pass, threads);
    compute(pass);
}

// Returns the first row that has no probabilities to draw from, or −1
inline i64 sample(nb::handle logits, int axis, double temperature, nb::handle uniform, nb::handle index,
                  nb::handle log_prob, int threads) {
    const Buffer x(logits, "logits"), u(uniform, "uniform"), drawn(index, "index", true),
        logs(log_prob, "log_prob", true);
    Sample pass;
    lay_out(pass, axis, {{&pass.logits, &x}});
    pass.temperature = temperature;
    pass.uniform = u.elements<const double>(pass.rows, 'd');
    pass.index = drawn.elements<i64>(pass.rows, 'q');
    pass.log_prob = logs.column(pass.rows);
    const Running running(pass, threads);
    compute(pass);
    for (i64 i = 0; i < pass.rows; ++i)
        if (pass.index[i] < 0) return i;
    return -1;
}

// For each row log p_y, the entropy, lse, the first largest class and the target's rank
inline void statistics(nb::handle logits, nb::handle target, int axis, i64 ignore_index, double temperature,
                       nb::handle log_prob, nb::handle entropy, nb::handle lse, nb::handle argmax, nb::handle rank,
                       int threads) {
    const Buffer x(logits, "logits"), t(target, "target"), log_p(log_prob, "log_prob", true),
        h(entropy, "entropy", true), sum(lse, "lse", true), largest(argmax, "argmax", true), place(rank, "rank", true);
    Statistics pass;
    lay_out(pass, axis, {{&pass.logits, &x}});
    pass.target = t.elements<const i64>(pass.rows, 'q');
    pass.ignore_index = ignore_index, pass.temperature = temperature;
    pass.log_prob = log_p.column(pass.rows), pass.entropy = h.column(pass.rows), pass.lse = sum.column(pass.rows);
    pass.argmax = largest.elements<i64>(pass.rows, 'q'), pass.rank = place.elements<i64>(pass.rows, 'q');
    const Running running(pass, threads);
    count_targets<float>(pass, pass.target, nullptr, ignore_index);  // are they classes?
    compute(pass);
}

// Which way the kernel goes over these logits in the pass of this name: tests ask
template <class P>
const char* way_of(const Buffer& logits, int axis) {
    P pass{};  // without options
    lay_out(pass, axis, {{&pass.logits, &logits}});
    return kernel_in_use.load()->way_of(pass);
}
inline const char* way(std::string_view name, nb::handle logits, int axis) {
    const Buffer x(logits, "logits");
    if (name == "softmax") return way_of<Softmax>(x, axis);
    if (name == "log_softmax") return way_of<LogSoftmax>(x, axis);
    if (name == "logsumexp") return way_of<LogSumExp>(x, axis);
    if (name == "cross_entropy") return way_of<CrossEntropy>(x, axis);
    if (name == "sample") return way_of<Sample>(x, axis);
    if (name == "statistics") return way_of<Statistics>(x, axis);
    throw nb::value_error("not a pass of the kernel");
}

}  // namespace softxent
