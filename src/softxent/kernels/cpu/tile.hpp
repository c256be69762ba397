// Across rows: a vector holds one class of many rows. For few classes, where a row is shorter than a vector's overhead,
// and for a class axis that is not last, where neighbours in memory belong to different rows.
//
// A tile, `classes` × ROWS in L1, is loaded (transposed where classes are contiguous), worked on, and stored back.
#pragma once
#include "finish.hpp"
#include "row.hpp"

namespace softxent::SOFTXENT_ISA {

constexpr int ROWS = 128;              // at most, in a tile
constexpr int TILE_BYTES = 24 * 1024;  // of L1's 32 or 48 KiB

template <class R>
struct Tile {
    const Job& job;
    int rows = 0, padded = 0;  // of the tile at hand; padded to whole vectors
    R *z, *e;            // classes × capacity each; E becomes the result
    double *slope, *a;   // likewise, where needed
    void* lines;         // rows × classes, to be transposed
    i64 logits[ROWS], out[ROWS], probabilities[ROWS];
    alignas(64) double max[ROWS], top[ROWS], rest[ROWS], log_s[ROWS], z_y[ROWS], e_y[ROWS], w_y[ROWS], gap[ROWS], weight[ROWS];
    alignas(64) double loss[ROWS], factor[ROWS], target_grad[ROWS];
    alignas(64) R f[ROWS], largest[ROWS], m_narrow[ROWS];
    i64 y[ROWS];
    int capacity;

    static int capacity_of(const Job& job) {
        i64 rows = TILE_BYTES / (2 * job.classes * i64(sizeof(R)));
        rows = rows / lanes<R> * lanes<R>;
        return static_cast<int>(rows < lanes<R> ? lanes<R> : rows > ROWS ? ROWS : rows);
    }

    explicit Tile(const Job& job) : job(job), capacity(capacity_of(job)) {
        const i64 size = job.classes * capacity + 64;
        const i64 wide = job.softcap || (job.op == Op::cross_entropy && spread(job)) ? size : 0;
        slope = static_cast<double*>(scratch(tile_slot, (size + 2 * wide) * sizeof(double) + 2 * size * sizeof(R)));
        a = slope + wide, lines = a + wide;
        z = reinterpret_cast<R*>(a + wide + size), e = z + size;
    }

    // classes × rows ← an array ---------------------------------------------------------------------------------

    // where the tile's rows begin
    void locate(const Array& a, i64 first, i64* offsets) const {
        const i64 last = job.shape[job.dims - 1], step = a.stride[job.dims - 1];
        i64 place = first % last;  // in the last dimension
        for (int r = 0; r < rows; ++r, ++place) {
            if (place == last) place = 0;
            offsets[r] = r > 0 && place > 0 ? offsets[r - 1] + step : offset(a, job, first + r);
        }
    }

    // do neighbouring rows lie `step` apart?
    bool evenly(const i64* offsets, i64& step) const {
        step = rows > 1 ? offsets[1] - offsets[0] : 1;
        for (int r = 2; r < rows; ++r)
            if (offsets[r] - offsets[r - 1] != step) return false;
        return true;
    }

    template <class T>
    void load(const Array& from, const i64* offsets, T* to) {
        i64 step;
        bool even = evenly(offsets, step);
        if (even && step == 1 && from.class_stride != 1) {
            for (i64 v = 0; v < job.classes; ++v)
                convert_from(from, offsets[0] + v * from.class_stride, 1, rows, to + v * capacity);
        } else if (even && from.class_stride == 1 && from.dtype == native<T>) {
            transpose_in(at<T>(from, offsets[0]), step, to);
        } else {
            T* line = static_cast<T*>(lines);
            for (int r = 0; r < rows; ++r, line += job.classes)
                convert_from(from, offsets[r], from.class_stride, static_cast<int>(job.classes), line);
            transpose_in(static_cast<T*>(lines), job.classes, to);
        }
        for (i64 v = 0; v < job.classes; ++v)
            for (int r = rows; r < padded; ++r) to[v * capacity + r] = 0;
    }

    void store(const R* from) {
        i64 step;
        bool even = evenly(out, step);
        if (even && step == 1 && job.out.class_stride != 1) {
            for (i64 v = 0; v < job.classes; ++v)
                convert_to(job.out, out[0] + v * job.out.class_stride, 1, rows, from + v * capacity);
        } else if (even && job.out.class_stride == 1 && job.out.dtype == native<R>) {
            transpose_out(from, at<R>(job.out, out[0]), step);
        } else {
            R* line = static_cast<R*>(lines);
            transpose_out(from, line, job.classes);
            for (int r = 0; r < rows; ++r, line += job.classes)
                convert_to(job.out, out[r], job.out.class_stride, static_cast<int>(job.classes), line);
        }
    }

    template <class T>
    void transpose_in(const T* from, i64 step, T* to) {
        for (int r = 0; r < rows; ++r)
            for (i64 v = 0; v < job.classes; ++v) to[v * capacity + r] = from[r * step + v];
    }
    void transpose_out(const R* from, R* to, i64 step) {
        for (int r = 0; r < rows; ++r)
            for (i64 v = 0; v < job.classes; ++v) to[r * step + v] = from[v * capacity + r];
    }

    // the pass ----------------------------------------------------------------------------------------------------

    // m, Σ exp(z − m) over all but one of the largest, E
    void sum_up() {
        for (int r = 0; r < padded; r += lanes<R>) {
            vec<R> m = vec<R>{} - std::numeric_limits<R>::infinity();
            for (i64 v = 0; v < job.classes; ++v) {
                vec<R> x = read<vec<R>>(z + v * capacity + r);
                m = x > m ? x : m;
            }
            auto range = Range<R, vec<R>>::around(m);
            SumOf<f64v> wide[2];
            bits_of<vec<R>> ties = {};
            for (i64 v = 0; v < job.classes;) {  // a sum in R over at most 32 classes
                vec<R> sum = {};
                for (i64 end = v + 32 < job.classes ? v + 32 : job.classes; v < end; ++v) {
                    vec<R> x = read<vec<R>>(z + v * capacity + r), exp = exp_in(range, x);
                    auto top = x == m;
                    write(e + v * capacity + r, exp);
                    sum += top ? vec<R>{} : exp;
                    ties -= top;
                }
                R part[lanes<R>];
                write(part, sum);
                wide[0].add(widen(part));
                if constexpr (sizeof(R) == 4) wide[1].add(widen(part + lanes<double>));
            }
            vec<R> largest_e = exp_in(range, m);
            write(largest + r, largest_e);
            write(m_narrow + r, m);
            for (int h = 0; h < lanes<R> / lanes<double>; ++h) {
                const int k = r + h * lanes<double>;
                f64v count;
                for (int l = 0; l < lanes<double>; ++l) count[l] = double(ties[h * lanes<double> + l]);
                f64v one = widen(largest + k);
                write(top + k, one);
                write(rest + k, wide[h].value() + (count - 1) * one);
                write(max + k, widen(m_narrow + k));
            }
        }
        for (int r = 0; r < padded; r += lanes<double>) {
            f64v s = read<f64v>(rest + r), m = read<f64v>(max + r);
            s = m - m == 0 ? s : f64v{} + std::numeric_limits<double>::quiet_NaN();  // +inf, or nothing but masks
            write(rest + r, s);
            write(log_s + r, log1p(s / read<f64v>(top + r)));
        }
    }

    void run(i64 first, int count, Sum& total) {
        rows = count, padded = (count + lanes<R> - 1) / lanes<R> * lanes<R>;
        locate(job.logits, first, logits);
        if (job.out) locate(job.out, first, out);
        if (job.probabilities) locate(job.probabilities, first, probabilities);
        load(job.logits, logits, z);
        const i64 V = job.classes, size = V * capacity;
        if (job.temperature != 1 || job.softcap) scale_logits(job, z, slope, size);
        sum_up();
        switch (job.op) {
            case Op::logsumexp:
                for (int r = 0; r < rows; ++r) set_result(job, first + r,
                               rest[r] == rest[r] ? max[r] + log_s[r] : undefined_lse<R>(job, first + r, max[r]));
                return;
            case Op::log_softmax:
                for (int r = 0; r < padded; r += lanes<R>) {
                    R narrowed[lanes<R>];
                    for (int k = 0; k < lanes<R>; ++k) narrowed[k] = R(log_s[r + k]);
                    vec<R> log_sum = read<vec<R>>(narrowed), m = read<vec<R>>(m_narrow + r);
                    for (i64 v = 0; v < V; ++v)
                        write(e + v * capacity + r, (read<vec<R>>(z + v * capacity + r) - m) - log_sum);
                }
                return store(e);
            case Op::softmax:
                for (int r = 0; r < padded; ++r) f[r] = R(quotient(Sum{1}, 1, top[r], rest[r]));
                multiply();
                return store(e);
            default: return cross_entropy(first, total);
        }
    }

    void multiply() {
        for (int r = 0; r < padded; r += lanes<R>) {
            vec<R> factor = read<vec<R>>(f + r);
            for (i64 v = 0; v < job.classes; ++v) {
                R* x = e + v * capacity + r;
                write(x, read<vec<R>>(x) * factor);
            }
        }
    }

    void cross_entropy(i64 first, Sum& total) {
        const i64 V = job.classes;
        const bool by_index = !job.probabilities, spreads = spread(job);
        const R* class_weight = static_cast<const R*>(job.weight);
        bool any_ignored = false;
        for (int r = 0; r < padded; ++r) {
            y[r] = 0, w_y[r] = 1, z_y[r] = e_y[r] = gap[r] = weight[r] = 0;
            if (!by_index || r >= rows) continue;
            i64 target = job.target[first + r];
            bool ignored = target == job.ignore_index;
            any_ignored |= ignored;
            y[r] = ignored ? 0 : target;
            if (class_weight) w_y[r] = class_weight[y[r]];
            z_y[r] = z[y[r] * capacity + r];
            e_y[r] = e[y[r] * capacity + r];
        }
        if (spreads) spread_out();
        for (int r = 0; r < padded; r += lanes<double>) {
            auto of = [&](double* x) { return read<f64v>(x + r); };
            Finished<f64v> done = finish<f64v>(job, of(max), of(top), of(rest), of(log_s), of(z_y), of(e_y), of(w_y),
                                               of(gap), of(weight));
            write(loss + r, done.loss);
            write(factor + r, done.factor);
            write(target_grad + r, done.target_grad);
        }
        for (int r = 0; r < rows; ++r) {
            bool ignored = any_ignored && by_index && job.target[first + r] == job.ignore_index;
            if (ignored) loss[r] = 0;
            if (job.result) set_result(job, first + r, loss[r]);
            total.add(loss[r]);
        }
        if (!job.out) return;

        for (int r = 0; r < padded; ++r) f[r] = R(factor[r]);
        if (!spreads && !job.softcap) {
            multiply();
        } else {  // in double, rounded once
            const double scale = 1 / gradient_divisor(job);
            for (i64 v = 0; v < V; ++v)
                for (int r = 0; r < padded; ++r) {
                    const i64 k = v * capacity + r;
                    double grad = double(e[k]) * factor[r] - (spreads ? a[k] * scale : 0);
                    if (job.softcap) grad *= slope[k];
                    e[k] = z[k] == -std::numeric_limits<R>::infinity() && f[r] == f[r] ? 0 : R(grad);
                }
        }
        if (by_index)
            for (int r = 0; r < rows; ++r) {
                const i64 k = y[r] * capacity + r;
                e[k] = R(job.softcap ? target_grad[r] * slope[k] : target_grad[r]);
            }
        if (any_ignored)
            for (int r = 0; r < rows; ++r)
                if (job.target[first + r] == job.ignore_index)
                    for (i64 v = 0; v < V; ++v) e[v * capacity + r] = 0;
        store(e);
    }

    // a_j, Σ a_j and Σ a_j·(m − z_j) of every row
    void spread_out() {
        if (job.probabilities) load(job.probabilities, probabilities, a);
        const double keep = 1 - job.label_smoothing, each = smoothing(job);
        for (int r = 0; r < padded; r += lanes<double>) {
            SumOf<f64v> gaps, weights;
            const f64v m = read<f64v>(max + r);
            for (i64 v = 0; v < job.classes; ++v) {
                double* q = a + v * capacity + r;
                f64v w = job.probabilities ? keep * read<f64v>(q) + each : f64v{} + each;
                if (job.weight) w *= double(static_cast<const R*>(job.weight)[v]);
                write(q, w);
                gaps.add(w > 0 ? w * (m - widen(z + v * capacity + r)) : f64v{});
                weights.add(w);
            }
            write(gap + r, gaps.value());
            write(weight + r, weights.value());
        }
    }
};

template <class R>
struct Tiles {
    static constexpr i64 FEW_CLASSES = 48;

    // across rows if there are few classes, or if rows are what lies side by side in memory
    static bool suit(const Job& job) {
        if (job.op == Op::sample || job.rows < lanes<R>) return false;
        return job.classes <= FEW_CLASSES || (job.logits.stride[job.dims - 1] == 1 && job.logits.class_stride != 1);
    }
    static i64 rows_per_task(const Job& job) {
        i64 rows = 2 * SEGMENT / job.classes, tile = Tile<R>::capacity_of(job);
        return rows < tile ? tile : rows / tile * tile;
    }
    static i64 tasks(const Job& job) { return (job.rows + rows_per_task(job) - 1) / rows_per_task(job); }

    static void run(const Job& job) {
        i64 per_task = rows_per_task(job);
        share_out(tasks(job), [&](i64 task) {
            Tile<R> tile(job);
            Sum total;
            i64 end = (task + 1) * per_task < job.rows ? (task + 1) * per_task : job.rows;
            for (i64 i = task * per_task; i < end; i += tile.capacity)
                tile.run(i, static_cast<int>(end - i < tile.capacity ? end - i : tile.capacity), total);
            if (job.total) job.total[task] = total;
        });
    }
};

}  // namespace softxent::SOFTXENT_ISA
