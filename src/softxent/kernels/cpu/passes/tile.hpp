// Across rows: a vector holds one class of many rows. For few classes, where a row is shorter than a vector's overhead,
// and for a class axis that is not last, where neighbours in memory belong to different rows.
//
// A tile, classes × rows in cache, is loaded (transposed where classes are contiguous), summed up, and what the pass
// wants is made of it: a TilePass for each pass.
#pragma once
#include <type_traits>

#include "passes/rows.hpp"
#include "passes/tile_memory.hpp"

namespace softxent::SOFTXENT_ISA {

// A sum of vec<R> in double: of floats plainly, each half of the vector, and of doubles with the error
template <class R>
struct WideSum {
    SumOf<f64v> low, high;  // `high` is of floats only
    void add(vec<R> x) { low.add(x); }
};
template <>
struct WideSum<float> {
    PlainSum<f64v> low, high;
    void add(f32v x) { low.add(widen_half<0>(x)), high.add(widen_half<1>(x)); }
};

// f(half, offset of its lanes): both halves of a vector of floats, and the whole of one of doubles
template <class R, class F>
inline void for_halves(F f) {
    f(std::integral_constant<int, 0>(), 0);
    if constexpr (sizeof(R) == 4) f(std::integral_constant<int, 1>(), lanes<double>);
}

// f(class) of all classes added up: fours in R, whose three additions round less than E itself, and these in double
template <class R, class F>
inline WideSum<R> sum_of_classes(i64 classes, F f) {
    WideSum<R> sum;
    i64 v = 0;
    for (; v + 4 <= classes; v += 4) {
        const vec<R> a = f(v), b = f(v + 1), c = f(v + 2), d = f(v + 3);
        sum.add((a + b) + (c + d));
    }
    vec<R> rest = {};
    for (; v < classes; ++v) rest += f(v);
    sum.add(rest);
    return sum;
}

// What a pass needs of a tile beside E, which otherwise takes the place of z
struct TileNeeds {
    bool z = false;   // once E is there
    int doubles = 0;  // for each logit

    template <class R>
    i64 bytes() const {
        return (z ? 2 : 1) * sizeof(R) + doubles * sizeof(double);
    }
};

// What a tile has of a row, class by class. Held by value in loops: what they write might be the tile's own fields
template <class T>
struct Classes {
    T* first;
    i64 step;

    T* operator[](i64 v) const { return first + v * step; }
};

template <class R, class P>
struct Tile : TileMemory {
    const P& pass;
    R *z, *e;         // classes × capacity each; the same memory unless z is needed once E is there
    double* doubles;  // likewise, as many as are needed
    // the Sums of each row
    alignas(64) double max[ROWS], largest[ROWS], others[ROWS], log_denominator[ROWS];
    alignas(64) R max_narrow[ROWS];

    static int capacity_of(const Pass& pass, const TileNeeds& needs) {
        const i64 row_bytes = pass.classes * needs.bytes<R>();
        i64 rows = TILE_BYTES / row_bytes, least = lanes<R>;
        if (rows_are_closer(pass.logits, pass.dims) && rows < PLANE_ROWS) {
            rows = PLANE_BYTES / row_bytes, least = LINE / bytes_of(pass.logits.dtype);
            rows = rows > PLANE_ROWS ? PLANE_ROWS : rows;
        }
        rows = rows < least ? least : rows > ROWS ? ROWS : rows;
        return static_cast<int>(rows / lanes<R> * lanes<R>);
    }

    Tile(const P& pass, const TileNeeds& needs) : TileMemory{pass, capacity_of(pass, needs)}, pass(pass) {
        const i64 size = pass.classes * capacity + lanes<double>;
        const i64 bytes = size * (sizeof(double) * (needs.doubles + 1) + sizeof(R) * (needs.z ? 2 : 1));
        doubles = static_cast<double*>(scratch(tile_slot, bytes));
        lines = doubles + needs.doubles * size;
        z = reinterpret_cast<R*>(doubles + (needs.doubles + 1) * size);
        e = needs.z ? z + size : z;
    }

    i64 size() const { return pass.classes * capacity; }
    // where row r and those beside it have their first class
    static bits_of<vec<R>> places(int r) {
        return [&]<int... k>(std::integer_sequence<int, k...>) {
            return bits_of<vec<R>>{k...} + r;
        }(std::make_integer_sequence<int, lanes<R>>());
    }
    // row r and those beside it, by class
    Classes<R> z_of(int r) const { return {z + r, capacity}; }
    Classes<R> e_of(int r) const { return {e + r, capacity}; }

    // f(first row) for each vector of numbers of T
    template <class T, class F>
    void for_rows(F f) const {
        for (int r = 0; r < padded; r += lanes<T>) f(r);
    }

    void load_logits(i64 first, int count, double* slope = nullptr) {
        rows = count, padded = (count + lanes<R> - 1) / lanes<R> * lanes<R>;
        this->load(pass.logits, first, z);
        if (pass.temperature != 1 || pass.softcap) scale_logits(pass, z, slope, size());
    }

    vec<R> max_of(int r) const {
        const Classes<R> z = z_of(r);
        vec<R> m = read<vec<R>>(z[0]);
        auto larger = [](vec<R> a, vec<R> b) { return a > b ? a : b; };  // b if one is NaN
        auto x = [&](i64 v) { return read<vec<R>>(z[v]); };
        const i64 V = pass.classes;
        i64 v = 1;
        for (; v + 4 <= V; v += 4) m = larger(larger(larger(x(v), x(v + 1)), larger(x(v + 2), x(v + 3))), m);
        for (; v < V; ++v) m = larger(x(v), m);
        return m;
    }

    // m, Σ E over all but one of the largest, and with `store` E
    template <bool store>
    [[gnu::flatten]] void sum_up(i64 first) {
        const auto next = first + capacity < pass.rows ? ahead_at(pass.logits, first + capacity) : LinesAhead();
        const Array* to = out_of(pass);
        const auto out = to && to->data != pass.logits.data ? ahead_at(*to, first) : LinesAhead();
        for_rows<R>([&](int r) {
            const vec<R> m = max_of(r);
            const Classes<R> z = z_of(r), e = e_of(r);
            const i64 in_step = next.class_step, out_step = out.class_step;
            const auto range = Range<R, vec<R>>::around(m);
            const char *in_ahead = next.line + r * next.row_step, *out_ahead = out.line + r * out.row_step;
            bits_of<vec<R>> count = {};
            const auto sum = sum_of_classes<R>(pass.classes, [&](i64 v) {
                const vec<R> x = read<vec<R>>(z[v]), exp = exp_in(range, x);
                __builtin_prefetch(in_ahead), in_ahead += in_step;
                __builtin_prefetch(out_ahead), out_ahead += out_step;
                const auto other = x != m;
                if constexpr (store) write(e[v], exp);
                count = count_if(count, other);
                return other ? exp : vec<R>{};
            });
            const auto ties = static_cast<std::remove_reference_t<decltype(count[0])>>(pass.classes) - count;
            set_sums(r, m, exp_in(range, m), __builtin_convertvector(ties, vec<R>), sum);
        });
        for_rows<double>([&](int r) {
            f64v s = read<f64v>(others + r), m = read<f64v>(max + r);
            s = m - m == 0 ? s : f64v{} + std::numeric_limits<double>::quiet_NaN();  // +inf, or nothing but masks
            write(others + r, s);
            write(log_denominator + r, softxent::SOFTXENT_ISA::log_denominator<R>(read<f64v>(largest + r), s));
        });
    }

    void set_sums(int r, vec<R> m, vec<R> e_max, vec<R> ties, const WideSum<R>& sum) {
        write(max_narrow + r, m);
        for_halves<R>([&](auto half, int k) {
            const f64v one = widen_half<half()>(e_max), more = widen_half<half()>(ties) - 1;
            write(max + r + k, widen_half<half()>(m));
            write(largest + r + k, one);
            write(others + r + k, (half() ? sum.high : sum.low).value() + more * one);
        });
    }
};

// Writes the numbers of a tile's rows into a column
inline void set_numbers(const Column& column, i64 first, const double* values, int count) {
    for (int r = 0; r < count; ++r) set_number(column, first + r, values[r]);
}

// A tile of a pass: run(first row, how many rows, Σ of the losses) does one after the other
template <class R, class P>
struct TilePass;

template <class R>
struct TilePass<R, Softmax> : Tile<R, Softmax> {
    static TileNeeds needs(const Softmax&) { return {}; }
    explicit TilePass(const Softmax& pass) : Tile<R, Softmax>(pass, {}) {}

    void run(i64 first, int count, SumOf<f64v>&) {
        this->load_logits(first, count);
        this->template sum_up<true>(first);
        alignas(64) R factor[ROWS];
        this->template for_rows<double>([&](int r) {
            narrow(factor + r, quotient<R>(SumOf<f64v>{f64v{} + 1}, f64v{} + 1, read<f64v>(this->largest + r),
                                           read<f64v>(this->others + r)));
        });
        this->template for_rows<R>([&](int r) {
            const vec<R> f = read<vec<R>>(factor + r);
            const Classes<R> e = this->e_of(r);
            for (i64 v = 0, V = this->pass.classes; v < V; ++v) write(e[v], read<vec<R>>(e[v]) * f);
        });
        this->store(this->pass.out, first, this->e);
    }
};

template <class R>
struct TilePass<R, LogSoftmax> : Tile<R, LogSoftmax> {
    static TileNeeds needs(const LogSoftmax&) { return {}; }
    explicit TilePass(const LogSoftmax& pass) : Tile<R, LogSoftmax>(pass, {}) {}

    void run(i64 first, int count, SumOf<f64v>&) {
        this->load_logits(first, count);
        this->template sum_up<false>(first);
        alignas(64) R log_sum[ROWS];
        this->template for_rows<double>([&](int r) { narrow(log_sum + r, read<f64v>(this->log_denominator + r)); });
        this->template for_rows<R>([&](int r) {
            const vec<R> m = read<vec<R>>(this->max_narrow + r), log_s = read<vec<R>>(log_sum + r);
            const Classes<R> z = this->z_of(r), out = this->e_of(r);
            for (i64 v = 0, V = this->pass.classes; v < V; ++v) write(out[v], (read<vec<R>>(z[v]) - m) - log_s);
        });
        this->store(this->pass.out, first, this->e);
    }
};

template <class R>
struct TilePass<R, LogSumExp> : Tile<R, LogSumExp> {
    static TileNeeds needs(const LogSumExp&) { return {}; }
    explicit TilePass(const LogSumExp& pass) : Tile<R, LogSumExp>(pass, {}) {}

    void run(i64 first, int count, SumOf<f64v>&) {
        this->load_logits(first, count);
        this->template sum_up<false>(first);
        for (int r = 0; r < this->rows; ++r) {
            const bool defined = this->others[r] == this->others[r];
            const double m = this->max[r];
            set_number(this->pass.lse, first + r,
                       defined ? lse_of<R, double>(m, this->largest[r], this->others[r])
                               : undefined_lse<R>(this->pass, first + r, m));
        }
    }
};

}  // namespace softxent::SOFTXENT_ISA
