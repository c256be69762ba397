// Across rows: a vector holds one class of many rows. For few classes, where a row is shorter than a vector's overhead,
// and for a class axis that is not last, where neighbours in memory belong to different rows.
//
// A tile, classes × rows in cache, is loaded (transposed where classes are contiguous), summed up, and what the pass
// wants is made of it: a TilePass for each pass. Where classes are too many for that, a tile holds a strip of them: the
// rows are visited twice, first for their sums as in online softmax, and then for what is made of them.
#pragma once
#include <type_traits>

#include "passes/rows.hpp"
#include "passes/tile_sums.hpp"

namespace softxent::SOFTXENT_ISA {

// Whether a pass can go over many classes strip by strip, twice, rather than keep all of them
template <class P>
constexpr bool goes_in_strips = !std::is_same_v<P, Sample> && !std::is_same_v<P, Statistics>;

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

struct TileShape {
    int rows;
    i64 classes;
};

template <class R, class P>
struct Tile : TileMemory, TileSums<R> {
    using TileSums<R>::max, TileSums<R>::largest, TileSums<R>::others, TileSums<R>::lost_of_others, TileSums<R>::max_narrow;

    const P& pass;
    R *z, *e;         // classes × capacity each; the same memory unless z is needed once E is there
    double* doubles;  // likewise, as many as are needed
    alignas(64) double log_denominator[ROWS];

    static TileShape shape_of(const Pass& pass, const TileNeeds& needs) {
        const i64 bytes = needs.bytes<R>(), row_bytes = pass.classes * bytes;
        i64 rows = TILE_BYTES / row_bytes, least = lanes<R>;
        if (rows_are_closer(pass.logits, pass.dims) && rows < PLANE_ROWS) {
            rows = PLANE_BYTES / row_bytes, least = LINE / bytes_of(pass.logits.dtype);
            if (goes_in_strips<P> && rows < PLANE_ROWS) {
                rows = pass.rows < ROWS ? whole_vectors<R>(pass.rows) : ROWS;
                const i64 classes = TILE_BYTES / (rows * bytes);
                return {static_cast<int>(rows), classes < pass.classes ? classes : pass.classes};
            }
            rows = rows > PLANE_ROWS ? PLANE_ROWS : rows;
        }
        rows = rows < least ? least : rows > ROWS ? ROWS : rows;
        return {static_cast<int>(rows / lanes<R> * lanes<R>), pass.classes};
    }

    Tile(const P& pass, const TileNeeds& needs) : Tile(pass, needs, shape_of(pass, needs)) {}
    Tile(const P& pass, const TileNeeds& needs, TileShape shape) : TileMemory{pass, shape.rows, shape.classes}, pass(pass) {
        const i64 size = this->size() + lanes<double>;
        const i64 bytes = size * (sizeof(double) * (needs.doubles + 1) + sizeof(R) * (needs.z ? 2 : 1));
        doubles = static_cast<double*>(scratch(tile_slot, bytes));
        lines = doubles + needs.doubles * size;
        z = reinterpret_cast<R*>(doubles + (needs.doubles + 1) * size);
        e = needs.z ? z + size : z;
    }

    i64 size() const { return strip * capacity; }
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

    void set_rows(int count) { rows = count, padded = static_cast<int>(whole_vectors<R>(count)); }

    void load_logits(i64 first, double* slope = nullptr) {
        this->load(pass.logits, first, z);
        if (pass.temperature != 1 || pass.softcap) scale_logits(pass, z, slope, size());
    }

    bool writes_elsewhere() const { return out_of(pass) && out_of(pass)->data != pass.logits.data; }

    // f() for each strip of the classes from … to
    template <class F>
    void for_strips_of(i64 from, i64 to, F f) {
        for (begin = from; begin < to; begin += strip) {
            classes = to - begin < strip ? to - begin : strip;
            f();
        }
    }

    vec<R> max_of(int r) const {
        const Classes<R> z = z_of(r);
        vec<R> m = read<vec<R>>(z[0]);
        auto larger = [](vec<R> a, vec<R> b) { return a > b ? a : b; };  // b if one is NaN
        auto x = [&](i64 v) { return read<vec<R>>(z[v]); };
        const i64 V = classes;
        i64 v = 1;
        for (; v + 4 <= V; v += 4) m = larger(larger(larger(x(v), x(v + 1)), larger(x(v + 2), x(v + 3))), m);
        for (; v < V; ++v) m = larger(x(v), m);
        return m;
    }

    // m, Σ E over all but one of the largest, and with `store` E; with `more` of these classes and of those before
    template <bool store, bool more = false>
    [[gnu::flatten]] void sum_up(const LinesAhead& next, const LinesAhead& out) {
        for_rows<R>([&](int r) {
            constexpr R none = -std::numeric_limits<R>::infinity();
            vec<R> m = max_of(r), before = {};
            if constexpr (more) before = read<vec<R>>(max_narrow + r), m = before > m ? before : m;
            const Classes<R> z = z_of(r), e = e_of(r);
            const i64 in_step = next.class_step, out_step = out.class_step;
            const auto range = Range<R, vec<R>>::around(more ? (m == none ? vec<R>{} : m) : m);
            const char *in_ahead = next.line + r * next.row_step, *out_ahead = out.line + r * out.row_step;
            bits_of<vec<R>> count = {};
            const auto sum = sum_of_classes<R>(classes, [&](i64 v) {
                const vec<R> x = read<vec<R>>(z[v]), exp = exp_in(range, x);
                __builtin_prefetch(in_ahead), in_ahead += in_step;
                __builtin_prefetch(out_ahead), out_ahead += out_step;
                const auto other = x != m;
                if constexpr (store) write(e[v], exp);
                count = count_if(count, other);
                return other ? exp : vec<R>{};
            });
            auto ties = static_cast<std::remove_reference_t<decltype(count[0])>>(classes) - count;
            if constexpr (more) {
                const auto rises = m > before;
                if (any(rises))
                    for (int k = 0; k < lanes<R>; ++k)
                        if (rises[k]) this->raise(r + k, m[k]);
                ties += rises ? bits_of<vec<R>>{} : bits_of<vec<R>>{} + 1;  // one of the largest is apart already
            }
            set_sums<more>(r, m, exp_in(range, m), __builtin_convertvector(ties, vec<R>), sum);
        });
    }
    // … of the only strip
    template <bool store>
    void sum_up_whole(i64 first) {
        const auto next = first + capacity < pass.rows ? ahead_at(pass.logits, first + capacity) : LinesAhead();
        sum_up<store>(next, writes_elsewhere() ? ahead_at(*out_of(pass), first) : LinesAhead());
        close_sums();
    }
    // … of one of several, and the next
    void sum_up_strip(i64 first) {
        sum_up<false, true>(ahead_of_strip(pass.logits, first), LinesAhead());
    }
    LinesAhead ahead_of_strip(const Array& array, i64 first) const {
        LinesAhead next = begin + strip < pass.classes ? ahead_at(array, first) : LinesAhead();
        if (next.class_step) next.line += strip * next.class_step;
        return next;
    }

    // m, Σ E of the strips of classes from … to
    void look(i64 first, i64 from, i64 to) {
        this->clear();
        for_strips_of(from, to, [&] { load_logits(first), sum_up_strip(first); });
    }
    // once those of all classes are known, before anything is written
    void settle(i64) {
        for (int r = 0; r < padded; ++r)
            if (lost_of_others[r] == lost_of_others[r]) others[r] += lost_of_others[r];
    }

    void take(const TileSums<R>& sums) { static_cast<TileSums<R>&>(*this) = sums; }
    double* slopes() const { return pass.softcap ? doubles : nullptr; }

    // E of a strip, once the whole row has been summed up
    [[gnu::flatten]] void compute_e(i64 first) {
        const auto next = ahead_of_strip(pass.logits, first);
        const auto out = writes_elsewhere() ? ahead_of_strip(*out_of(pass), first) : LinesAhead();
        for_rows<R>([&](int r) {
            const auto range = Range<R, vec<R>>::around(read<vec<R>>(max_narrow + r));
            const Classes<R> z = z_of(r), e = e_of(r);
            const char *in_ahead = next.line + r * next.row_step, *out_ahead = out.line + r * out.row_step;
            const i64 in_step = next.class_step, out_step = out.class_step;
            for (i64 v = 0, V = classes; v < V; ++v) {
                __builtin_prefetch(in_ahead), in_ahead += in_step;
                __builtin_prefetch(out_ahead), out_ahead += out_step;
                write(e[v], exp_in(range, read<vec<R>>(z[v])));
            }
        });
    }

    // A row with +inf, or nothing but masks, has no softmax: NaN; and the logarithm
    void close_sums() {
        for_rows<double>([&](int r) {
            f64v s = read<f64v>(others + r), m = read<f64v>(max + r);
            s = m - m == 0 ? s : f64v{} + std::numeric_limits<double>::quiet_NaN();
            write(others + r, s);
            write(log_denominator + r, softxent::SOFTXENT_ISA::log_denominator<R>(read<f64v>(largest + r), s));
        });
    }

    template <bool more>
    void set_sums(int r, vec<R> m, vec<R> e_max, vec<R> ties, const WideSum<R>& sum) {
        write(max_narrow + r, m);
        for_halves<R>([&](auto half, int k) {
            const f64v one = widen_half<half()>(e_max), again = widen_half<half()>(ties) - 1;
            const auto& part = half() ? sum.high : sum.low;
            write(max + r + k, widen_half<half()>(m)), write(largest + r + k, one);
            if constexpr (more && sizeof(R) == 8) {
                SumOf<f64v> all{read<f64v>(others + r), read<f64v>(lost_of_others + r)};
                all.add(part), all.add(again * one);
                write(others + r, all.hi), write(lost_of_others + r, all.lo);
            } else {
                const f64v all = part.value() + again * one;
                write(others + r + k, more ? read<f64v>(others + r + k) + all : all);
            }
        });
    }
};

// Writes the numbers of a tile's rows into a column
inline void set_numbers(const Column& column, i64 first, const double* values, int count) {
    for (int r = 0; r < count; ++r) set_number(column, first + r, values[r]);
}

// A tile of a pass. Of all classes: run(first row, Σ of the losses) does one after the other. Of a strip of them, for several
// segments at once: look(first row, from, to) at each segment's classes, settle, and of each conclude and write
template <class R, class P>
struct TilePass;

}  // namespace softxent::SOFTXENT_ISA
