// How a pass runs: without the GIL, and with no more threads than the caller allows.
#pragma once
#include <nanobind/nanobind.h>
#include <unistd.h>

#include "kernel.hpp"
#include "threads.hpp"

namespace softxent {

// Not tuned: at 1 × 32768 giving the GIL back cost nothing that could be measured, beside a busy thread either.
constexpr i64 FEW_LOGITS = 4096;

// The GIL is given back, unless there are few logits. While it is, nothing of Python's may be called: under the stable
// ABI even a cast of a number asks whether an error is set.
class WithoutGil {
public:
    explicit WithoutGil(const Pass& pass)
        : state(pass.rows * pass.classes > FEW_LOGITS ? PyEval_SaveThread() : nullptr) {}
    WithoutGil(const WithoutGil&) = delete;

    // Python, once it is ending, has this thread exit here, by unwinding it. The frames of nanobind let nothing unwind
    // them (they are noexcept: the process would abort), so the thread waits here for the end of the process instead,
    // as Python itself has it do from 3.14 on.
    ~WithoutGil() {
        if (state) try {
                PyEval_RestoreThread(state);
            } catch (...) {
                for (;;) pause();
            }
    }

private:
    PyThreadState* state;
};

struct Running {
    ThreadLimit limit;
    WithoutGil nogil;

    Running(const Pass& pass, int threads) : limit(threads), nogil(pass) {}
};

}  // namespace softxent
