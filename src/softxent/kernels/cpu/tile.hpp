// Across rows: a vector holds one class of many rows. For few classes, where a row is shorter than a vector's overhead,
// and for a class axis that is not last, where neighbours in memory belong to different rows.
//
// A tile, `classes` × ROWS in L1, is loaded (transposed where classes are contiguous), worked on, and stored back.
#pragma once
#include <type_traits>

#include "rows.hpp"
#include "tile_memory.hpp"

namespace softxent::SOFTXENT_ISA {

template <class R>
struct Tile : TileMemory<R> {
    using Index = std::remove_reference_t<decltype(bits_of<vec<R>>{}[0])>;  // as wide as R

    using TileMemory<R>::job, TileMemory<R>::capacity, TileMemory<R>::rows, TileMemory<R>::padded;

    R *z, *e;           // classes × capacity each; E becomes the result
    double *slope, *a;  // likewise, where needed
    alignas(64) double max[ROWS], top[ROWS], rest[ROWS], log_s[ROWS], w_y[ROWS], gap[ROWS], weight[ROWS];
    alignas(64) double loss[ROWS], divisor[ROWS], factor[ROWS], target_grad[ROWS];
    alignas(64) R f[ROWS], at_target[ROWS], largest[ROWS], m_narrow[ROWS], z_target[ROWS], e_target[ROWS];
    alignas(64) Index y[ROWS];

    explicit Tile(const Job& job) : TileMemory<R>(job) {
        const i64 size = job.classes * capacity + 64;
        const i64 wide = job.softcap || (job.op == Op::cross_entropy && spread(job)) ? size : 0;
        slope = static_cast<double*>(scratch(tile_slot, (size + 2 * wide) * sizeof(double) + 2 * size * sizeof(R)));
        a = slope + wide, this->lines = a + wide;
        z = reinterpret_cast<R*>(a + wide + size), e = z + size;
        for (int r = 0; r < ROWS; ++r)
            w_y[r] = 1, gap[r] = weight[r] = 0, y[r] = -1, divisor[r] = job.upstream ? 1 : gradient_divisor(job, 0);
    }

    // m, Σ exp(z − m) over all but one of the largest, E
    void sum_up(i64 first) {
        const auto next = first + capacity < job.rows ? this->ahead_at(job.logits, first + capacity) : LinesAhead();
        const auto out = job.out && job.out.data != job.logits.data ? this->ahead_at(job.out, first) : LinesAhead();
        const i64 V = job.classes, step = capacity;
        for (int r = 0; r < padded; r += lanes<R>) {
            vec<R> m = vec<R>{} - std::numeric_limits<R>::infinity();
            const R* from = z + r;
            for (i64 v = 0; v < V; ++v, from += step) {
                vec<R> x = read<vec<R>>(from);
                m = x > m ? x : m;
            }
            from = z + r;
            R* to = e + r;
            const char *in_ahead = next.line + r * next.row_step, *out_ahead = out.line + r * out.row_step;
            auto range = Range<R, vec<R>>::around(m);
            std::conditional_t<sizeof(R) == 4, PlainSum<f64v>, SumOf<f64v>> wide[2];
            bits_of<vec<R>> ties = {}, index = {};
            vec<R> z_hit = {}, e_hit = {};
            const auto target = read<bits_of<vec<R>>>(y + r);
            for (i64 v = 0; v < V;) {  // a sum in R over at most 32 classes
                vec<R> sum = {};
                for (const i64 end = v + 32 < V ? v + 32 : V; v < end; ++v, from += step, to += step) {
                    vec<R> x = read<vec<R>>(from), exp = exp_in(range, x);
                    __builtin_prefetch(in_ahead), in_ahead += next.class_step;
                    __builtin_prefetch(out_ahead), out_ahead += out.class_step;
                    auto top = x == m;
                    write(to, exp);
                    sum += zero_if(top, exp);
                    ties = count_if(ties, top);
                    auto hit = target == index;
                    index += 1;
                    z_hit = hit ? x : z_hit, e_hit = hit ? exp : e_hit;
                }
                R part[lanes<R>];
                write(part, sum);
                wide[0].add(widen(part));
                if constexpr (sizeof(R) == 4) wide[1].add(widen(part + lanes<double>));
            }
            vec<R> largest_e = exp_in(range, m);
            write(largest + r, largest_e);
            write(m_narrow + r, m);
            write(f + r, __builtin_convertvector(ties, vec<R>));
            write(z_target + r, z_hit);
            write(e_target + r, e_hit);
            for (int h = 0; h < lanes<R> / lanes<double>; ++h) {
                const int k = r + h * lanes<double>;
                f64v one = widen(largest + k);
                write(top + k, one);
                write(rest + k, wide[h].value() + (widen(f + k) - 1) * one);
                write(max + k, widen(m_narrow + k));
            }
        }
        for (int r = 0; r < padded; r += lanes<double>) {
            f64v s = read<f64v>(rest + r), m = read<f64v>(max + r);
            s = m - m == 0 ? s : f64v{} + std::numeric_limits<double>::quiet_NaN();  // +inf, or nothing but masks
            write(rest + r, s);
            write(log_s + r, log_of_sum<R>(read<f64v>(top + r), s));
        }
    }

    void run(i64 first, int count, SumOf<f64v>& total) {
        rows = count, padded = (count + lanes<R> - 1) / lanes<R> * lanes<R>;
        this->load(job.logits, first, z);
        const i64 V = job.classes, size = V * capacity;
        if (job.temperature != 1 || job.softcap) scale_logits(job, z, slope, size);
        const bool any_ignored = job.target && read_targets(first);
        sum_up(first);
        switch (job.op) {
            case Op::logsumexp:
                for (int r = 0; r < rows; ++r)
                    set_number(job, job.result, first + r,
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
                return this->store(first, e);
            case Op::softmax:
                for (int r = 0; r < padded; ++r) f[r] = R(quotient<R>(Sum{1}, 1.0, top[r], rest[r]));
                multiply(false);
                return this->store(first, e);
            default: return cross_entropy(first, any_ignored, total);
        }
    }

    // e·f, and by_index the target's gradient at the target
    void multiply(bool by_index) {
        const i64 V = job.classes, step = capacity;
        for (int r = 0; r < padded; r += lanes<R>) {
            const vec<R> factor = read<vec<R>>(f + r);
            const auto target = read<bits_of<vec<R>>>(y + r);
            const vec<R> other = read<vec<R>>(at_target + r);
            bits_of<vec<R>> index = {};
            R* x = e + r;
            if (by_index)
                for (i64 v = 0; v < V; ++v, x += step, index += 1)
                    write(x, target == index ? other : read<vec<R>>(x) * factor);
            else
                for (i64 v = 0; v < V; ++v, x += step) write(x, read<vec<R>>(x) * factor);
        }
    }

    // the targets of the rows, −1 where there is none; are any ignored?
    bool read_targets(i64 first) {
        const i64* target = job.target + first;
        i64 ignored = 0;
        for (int r = 0; r < rows; ++r) {
            ignored += target[r] == job.ignore_index;
            y[r] = target[r] == job.ignore_index ? Index(-1) : Index(target[r]);
        }
        for (int r = rows; r < padded; ++r) y[r] = -1;
        if (const R* w = static_cast<const R*>(job.weight))
            for (int r = 0; r < rows; ++r) w_y[r] = y[r] < 0 ? 0 : w[y[r]];
        return ignored > 0;
    }

    void cross_entropy(i64 first, bool any_ignored, SumOf<f64v>& total) {
        const i64 V = job.classes;
        const bool by_index = !job.probabilities, spreads = spread(job);
        if (spreads) spread_out(first);
        if (job.upstream)
            for (int r = 0; r < rows; ++r) divisor[r] = gradient_divisor(job, first + r);
        for (int r = 0; r < padded; r += lanes<double>) {
            auto of = [&](double* x) { return read<f64v>(x + r); };
            const f64v z_y = widen(z_target + r), e_y = widen(e_target + r);
            Finished<f64v> done = finish<R, f64v>(job, of(divisor), of(max), of(top), of(rest), of(log_s), z_y, e_y, of(w_y),
                                               of(gap), of(weight));
            write(loss + r, done.loss);
            write(factor + r, done.factor), narrow(f + r, done.factor);
            write(target_grad + r, done.target_grad), narrow(at_target + r, done.target_grad);
        }
        for (int r = rows; r < padded; ++r) loss[r] = 0;
        if (any_ignored)
            for (int r = 0; r < rows; ++r)
                if (job.target[first + r] == job.ignore_index) loss[r] = 0;
        if (job.result)
            for (int r = 0; r < rows; ++r) set_number(job, job.result, first + r, loss[r]);
        for (int r = 0; r < padded; r += lanes<double>) total.add(read<f64v>(loss + r));
        if (!job.out) return;

        if (!spreads && !job.softcap) {
            multiply(by_index);
        } else {
            double scale[ROWS];
            for (int r = 0; r < padded; ++r) scale[r] = 1 / divisor[r];
            for (i64 v = 0; spreads && v < V; ++v)
                for (int r = 0; r < padded; ++r) a[v * capacity + r] *= scale[r];
            for (i64 v = 0; v < V; ++v)
                for (int r = 0; r < padded; ++r) {
                    const i64 k = v * capacity + r;
                    e[k] = gradient(z[k], e[k], factor[r], spreads ? a[k] : 0, job.softcap ? slope[k] : 1);
                }
            for (int r = 0; r < rows; ++r)
                if (y[r] >= 0) {
                    const i64 k = y[r] * i64(capacity) + r;
                    e[k] = R(job.softcap ? target_grad[r] * slope[k] : target_grad[r]);
                }
        }
        if (any_ignored)
            for (int r = 0; r < rows; ++r)
                if (job.target[first + r] == job.ignore_index)
                    for (i64 v = 0; v < V; ++v) e[v * capacity + r] = 0;
        this->store(first, e);
    }

    // a_j, Σ a_j and Σ a_j·(m − z_j) of every row
    void spread_out(i64 first) {
        if (job.probabilities) this->load(job.probabilities, first, a);
        const Weigh<R> weigh(job);
        for (int r = 0; r < padded; r += lanes<double>) {
            SumOf<f64v> gaps, weights;
            const f64v m = read<f64v>(max + r);
            for (i64 v = 0; v < job.classes; ++v) {
                double* q = a + v * capacity + r;
                const f64v w = weigh(read<f64v>(q), v);
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
    static constexpr i64 FEW_CLASSES = 48, SOME_ROWS = 4;  // a call for 8 × 10: 0.7 µs across rows, 2.4 along them

    // across rows if there are few classes, or if rows are what lies side by side in memory
    static bool suit(const Job& job) {
        if (job.op == Op::sample || job.op == Op::statistics) return false;
        if (job.classes <= FEW_CLASSES) return job.rows >= SOME_ROWS;
        return job.rows >= lanes<R> && job.logits.stride[job.dims - 1] == 1 && job.logits.class_stride != 1;
    }
    static i64 rows_per_task(const Job& job) {
        i64 rows = 2 * SEGMENT / job.classes, tile = TileMemory<R>::capacity_of(job);
        return rows < tile ? tile : rows / tile * tile;
    }
    static i64 tasks(const Job& job) { return (job.rows + rows_per_task(job) - 1) / rows_per_task(job); }

    static void run(const Job& job) {
        i64 per_task = rows_per_task(job);
        share_out(tasks(job), [&](i64 task) {
            Tile<R> tile(job);
            SumOf<f64v> total;
            i64 end = (task + 1) * per_task < job.rows ? (task + 1) * per_task : job.rows;
            for (i64 i = task * per_task; i < end; i += tile.capacity)
                tile.run(i, static_cast<int>(end - i < tile.capacity ? end - i : tile.capacity), total);
            if (job.total)
                for (int k = 0; k < lanes<double>; ++k) job.total[task].add(Sum{total.hi[k], total.lo[k]});
        });
    }
};

}  // namespace softxent::SOFTXENT_ISA
