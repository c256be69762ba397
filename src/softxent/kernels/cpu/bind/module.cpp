// softxent.kernels._cpu
#include <nanobind/nanobind.h>
#include <nanobind/stl/string_view.h>

#include "bind/passes.hpp"
#include "threads.hpp"

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
    const auto keywords = nb::kw_only();
    const auto threads = nb::arg("threads") = 0;
    m.def("cross_entropy", &cross_entropy, nb::arg("logits"), nb::arg("target"), nb::arg("axis"),
          nb::arg("class_weight").none(), nb::arg("out").none(), nb::arg("loss").none(), nb::arg("upstream").none(),
          nb::arg("options"), nb::arg("nan_if_empty"), keywords, threads);
    m.def("softmax", &normalize<Softmax>, nb::arg("logits"), nb::arg("axis"), nb::arg("temperature"), nb::arg("out"),
          keywords, threads);
    m.def("log_softmax", &normalize<LogSoftmax>, nb::arg("logits"), nb::arg("axis"), nb::arg("temperature"),
          nb::arg("out"), keywords, threads);
    m.def("logsumexp", &logsumexp, nb::arg("logits"), nb::arg("axis"), nb::arg("lse"), keywords, threads);
    m.def("sample", &sample, nb::arg("logits"), nb::arg("axis"), nb::arg("temperature"), nb::arg("uniform"),
          nb::arg("index"), nb::arg("log_prob").none(), keywords, threads);
    m.def("statistics", &statistics, nb::arg("logits"), nb::arg("target"), nb::arg("axis"), nb::arg("ignore_index"),
          nb::arg("temperature"), nb::arg("log_prob"), nb::arg("entropy"), nb::arg("lse"), nb::arg("argmax"),
          nb::arg("rank"), keywords, threads);
    m.def("read_tensors", [](nb::type_object type) { return tensors.add(type); }, nb::arg("type"));
    m.def("way", &way, nb::arg("name"), nb::arg("logits"), nb::arg("axis"));
    m.attr("MAX_THREADS") = MAX_THREADS;
    m.def("get_num_threads", &num_threads);
    m.def("set_num_threads", &set_num_threads, nb::arg("count"));
    m.def("instruction_sets", [] {
        nb::list names;
        for (const Kernel* kernel : usable_kernels()) names.append(kernel->isa);
        return names;
    });
    m.def("instruction_set", [] { return kernel_in_use.load()->isa; });
    m.def("use", &use_kernel, nb::arg("name"));
}
