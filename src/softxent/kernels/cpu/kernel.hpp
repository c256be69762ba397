// What an adapter asks of a kernel: one type for each pass over the logits, the same for every instruction set.
#pragma once
#include <cstdint>

namespace softxent {

using i64 = std::int64_t;

enum class DType : int { f32, f64, f16, bf16 };

constexpr int bytes_of(DType dtype) { return dtype == DType::f64 ? 8 : dtype == DType::f32 ? 4 : 2; }

constexpr int MAX_DIMS = 64;  // as in NumPy

// Rows, laid out over the pass's dimensions, of classes; a stride is counted in elements.
struct Array {
    char* data = nullptr;
    DType dtype = DType::f32;
    i64 class_stride = 0, stride[MAX_DIMS];  // not initialised: 512 bytes that a small call would feel

    explicit operator bool() const { return data != nullptr; }
};

// One number a row, or one for all of them (stride 0)
struct Column {
    char* data = nullptr;
    DType dtype = DType::f32;
    i64 stride = 1;

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

// The passes ---------------------------------------------------------------------------------------------------------

// What every pass goes over: rows of logits, z = c·tanh(x / c) / T
struct Pass {
    i64 classes = 0, rows = 0;
    int dims = 0;  // of the rows, at least 1; neighbours are merged where all arrays allow it
    i64 shape[MAX_DIMS];
    Array logits;
    double temperature = 1, softcap = 0;  // softcap 0: none
};

struct Softmax : Pass {
    Array out;
};
struct LogSoftmax : Pass {
    Array out;
};
struct LogSumExp : Pass {
    Column lse;
};

enum class Reduction : i64 { none, sum, mean };

// The numbers of softxent.options.LossOptions, in the order of its fields
struct LossOptions {
    i64 ignore_index;
    double label_smoothing, temperature, softcap, z_loss;
    Reduction reduction;
    double normalizer;  // 0: none
};

struct CrossEntropy : Pass {
    LossOptions options;
    Array probabilities;          // the target, if it is a distribution
    const i64* target = nullptr;  // the target, if it is a class index, one a row
    const void* weight = nullptr; // class weights, float for all logits but float64's, or null
    double weight_sum = 0;        // Σ_j w_j
    double divisor = 1;           // of the loss and the gradient: the mean's, or 1; 0 if nothing is counted
    double empty = 0;             // the mean over nothing counted
    Column upstream;              // what each row's gradient is multiplied by, or nothing: 1
    Column loss;                  // one a row, or a single one if the rows are reduced; or nothing
    Array out;                    // of the gradient; may be logits (in place), or nothing
};

struct Sample : Pass {
    const double* uniform = nullptr;  // one u in [0, 1) a row
    i64* index = nullptr;             // the class drawn for each row, −1 where there is none to draw
    Column log_prob;                  // of the class drawn, or nothing
};

struct Statistics : Pass {
    const i64* target = nullptr;
    i64 ignore_index = 0;
    Column log_prob, entropy, lse;
    i64 *argmax = nullptr, *rank = nullptr;  // the first largest class, and how many exceed the target
};

// Rows are shared out in tasks, whose number depends on the shape alone, so that sums do not depend on the threads.
template <class P>
struct Run {
    void (*run)(const P&);
    const char* (*way)(const P&);  // which way `run` takes: "along rows", "across rows" or "across rows, in strips"
};
struct Kernel : Run<Softmax>, Run<LogSoftmax>, Run<LogSumExp>, Run<CrossEntropy>, Run<Sample>, Run<Statistics> {
    const char* isa;

    template <class P>
    void operator()(const P& pass) const {
        Run<P>::run(pass);
    }
    template <class P>
    const char* way_of(const P& pass) const {
        return Run<P>::way(pass);
    }
};

}  // namespace softxent
