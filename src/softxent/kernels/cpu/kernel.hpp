// What the adapter asks of a kernel: one Job, the same for every instruction set.
#pragma once
#include <cstdint>

namespace softxent {

using i64 = std::int64_t;

enum class DType : int { f32, f64, f16, bf16 };
enum class Op : int { softmax, log_softmax, logsumexp, cross_entropy, sample, statistics };

constexpr int bytes_of(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 4 : 2; }

constexpr int MAX_DIMS = 64;  // as in NumPy

// Rows, laid out over the job's dimensions, of classes; a stride is counted in elements.
struct Array {
    char* data = nullptr;
    DType dtype = DType::f32;
    i64 class_stride = 0, stride[MAX_DIMS];  // not initialised: 2 KiB that a small call would feel

    explicit operator bool() const { return data != nullptr; }
};

// A sum with its rounding error kept: hi + lo (Knuth's two-sum, six additions). D: double, or a vector of doubles.
// Inlined always: a copy compiled for one instruction set must not be linked into code for another.
template <class D>
struct SumOf {
    D hi = {}, lo = {};

    [[gnu::always_inline]] void add(D x) {
        D s = hi + x, t = s - hi;
        lo += (hi - (s - t)) + (x - t);
        hi = s;
    }
    [[gnu::always_inline]] void add(const SumOf& x) {
        add(x.hi);
        lo += x.lo;
    }
    [[gnu::always_inline]] void scale(double f) { hi *= f, lo *= f; }
    // once hi is infinite or NaN, lo has no meaning
    [[gnu::always_inline]] D value() const { return lo == lo ? hi + lo : hi; }
};
using Sum = SumOf<double>;

// The same without the error, for numbers that have fewer digits than their sum
template <class D>
struct PlainSum {
    D sum = {};

    [[gnu::always_inline]] void add(D x) { sum += x; }
    [[gnu::always_inline]] D value() const { return sum; }
};

struct Job {
    Op op;
    i64 classes = 0, rows = 0;
    int dims = 0;                      // of the rows, at least 1; neighbours are merged where all arrays allow it
    i64 shape[MAX_DIMS];
    Array logits, out;                 // out may be logits (in place), or nothing
    Array probabilities;               // the target, if it is a distribution
    const i64* target = nullptr;       // the target, if it is a class index, one a row
    const void* weight = nullptr;      // class weights, float for all logits but float64's, or null
    double weight_sum = 0;             // Σ_j w_j
    i64 ignore_index = 0;
    double label_smoothing = 0, temperature = 1, softcap = 0, z_loss = 0;  // softcap 0: none
    double divisor = 1;                // of the gradient: the mean's, or 1; infinite if nothing is counted
    const void* upstream = nullptr;    // what each row's gradient is multiplied by; like result, or null: 1
    const double* uniform = nullptr;   // sample: one u in [0, 1) a row
    i64* index = nullptr;              // sample: the class drawn for each row, −1 where there is none to draw
    void* result = nullptr;            // one number a row (loss, lse, log-probability); double for float64, else float
    void *entropy = nullptr, *lse = nullptr;      // statistics: like result
    i64 *argmax = nullptr, *rank = nullptr;       // statistics: the first largest class, and how many exceed the target
    Sum* total = nullptr;              // Σ of the losses, one a task, added up by the caller in order
};

// Rows are shared out in tasks, whose number depends on the shape alone, so that sums do not depend on the threads.
struct Kernel {
    const char* isa;
    i64 (*tasks)(const Job&);
    void (*run)(const Job&);
};

}  // namespace softxent
