// Across rows: a vector holds one class of many rows. For few classes, where a row is shorter than a vector's overhead,
// and for a class axis that is not last, where neighbours in memory belong to different rows.
//
// A tile, `classes` × ROWS in L1, is loaded (transposed where classes are contiguous), worked on, and stored back.
#pragma once
#include <type_traits>

#include "passes/rows.hpp"
#include "passes/tile_memory.hpp"

namespace softxent::SOFTXENT_ISA {

template <class R, class P>
struct Tile : TileMemory<R, P> {
    using Index = std::remove_reference_t<decltype(bits_of<vec<R>>{}[0])>;  // as wide as R

    using Memory = TileMemory<R, P>;
    using Memory::pass, Memory::capacity, Memory::rows, Memory::padded;

    R *z, *e;           // classes × capacity each; E becomes the result
    double *slope, *a;  // likewise, where needed
    alignas(64) double max[ROWS], top[ROWS], rest[ROWS], log_s[ROWS], w_y[ROWS], gap[ROWS], weight[ROWS];
    alignas(64) double loss[ROWS], divisor[ROWS], factor[ROWS], target_grad[ROWS];
    alignas(64) R f[ROWS], at_target[ROWS], largest[ROWS], m_narrow[ROWS], z_target[ROWS], e_target[ROWS];
    alignas(64) Index y[ROWS];

    explicit Tile(const P& pass) : Memory(pass) {
        const i64 size = pass.classes * capacity + 64;
        bool spreads = false;
        double one_divisor = 1;
        if constexpr (is_cross_entropy<P>) {
            spreads = is_soft(pass);
            if (!pass.upstream) one_divisor = gradient_divisor(pass, 0);
        }
        const i64 wide = pass.softcap || spreads ? size : 0;
        slope = static_cast<double*>(scratch(tile_slot, (size + 2 * wide) * sizeof(double) + 2 * size * sizeof(R)));
        a = slope + wide, this->lines = a + wide;
        z = reinterpret_cast<R*>(a + wide + size), e = z + size;
        for (int r = 0; r < ROWS; ++r)
            w_y[r] = 1, gap[r] = weight[r] = 0, y[r] = -1, divisor[r] = one_divisor;
    }

    // m, Σ exp(z − m) over all but one of the largest, E
    void sum_up(i64 first) {
        const auto next = first + capacity < pass.rows ? this->ahead_at(pass.logits, first + capacity) : LinesAhead();
        const Array* to = out_of(pass);
        const auto out = to && to->data != pass.logits.data ? this->ahead_at(*to, first) : LinesAhead();
        const i64 V = pass.classes, step = capacity;
        for (int r = 0; r < padded; r += lanes<R>) {
            vec<R> m = vec<R>{} - std::numeric_limits<R>::infinity();
            const R* from = z + r;
            for (i64 v = 0; v < V; ++v, from += step) {
                vec<R> x = read<vec<R>>(from);
                m = x > m ? x : m;
            }
            from = z + r;
            R* e_out = e + r;
            const char *in_ahead = next.line + r * next.row_step, *out_ahead = out.line + r * out.row_step;
            auto range = Range<R, vec<R>>::around(m);
            std::conditional_t<sizeof(R) == 4, PlainSum<f64v>, SumOf<f64v>> wide[2];
            bits_of<vec<R>> ties = {}, index = {};
            vec<R> z_hit = {}, e_hit = {};
            const auto target = read<bits_of<vec<R>>>(y + r);
            for (i64 v = 0; v < V;) {  // a sum in R over at most 32 classes
                vec<R> sum = {};
                for (const i64 end = v + 32 < V ? v + 32 : V; v < end; ++v, from += step, e_out += step) {
                    vec<R> x = read<vec<R>>(from), exp = exp_in(range, x);
                    __builtin_prefetch(in_ahead), in_ahead += next.class_step;
                    __builtin_prefetch(out_ahead), out_ahead += out.class_step;
                    auto top = x == m;
                    write(e_out, exp);
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
            write(log_s + r, log_denominator<R>(read<f64v>(top + r), s));
        }
    }

    void run(i64 first, int count, SumOf<f64v>& total) {
        rows = count, padded = (count + lanes<R> - 1) / lanes<R> * lanes<R>;
        this->load(pass.logits, first, z);
        const i64 V = pass.classes, size = V * capacity;
        if (pass.temperature != 1 || pass.softcap) scale_logits(pass, z, slope, size);
        if constexpr (is_cross_entropy<P>) {
            const bool any_ignored = pass.target && read_targets(first);
            sum_up(first);
            return cross_entropy(first, any_ignored, total);
        }
        sum_up(first);
        if constexpr (std::is_same_v<P, LogSumExp>) {
            for (int r = 0; r < rows; ++r)
                set_number(pass.lse, first + r,
                           rest[r] == rest[r] ? max[r] + log_s[r] : undefined_lse<R>(pass, first + r, max[r]));
        } else if constexpr (std::is_same_v<P, LogSoftmax>) {
            for (int r = 0; r < padded; r += lanes<R>) {
                R narrowed[lanes<R>];
                for (int k = 0; k < lanes<R>; ++k) narrowed[k] = R(log_s[r + k]);
                vec<R> log_sum = read<vec<R>>(narrowed), m = read<vec<R>>(m_narrow + r);
                for (i64 v = 0; v < V; ++v)
                    write(e + v * capacity + r, (read<vec<R>>(z + v * capacity + r) - m) - log_sum);
            }
            this->store(first, e);
        } else if constexpr (std::is_same_v<P, Softmax>) {
            for (int r = 0; r < padded; ++r) f[r] = R(quotient<R>(Sum{1}, 1.0, top[r], rest[r]));
            multiply(false);
            this->store(first, e);
        }
    }

    // e·f, and by_index the target's gradient at the target
    void multiply(bool by_index) {
        const i64 V = pass.classes, step = capacity;
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
        const i64* target = pass.target + first;
        i64 ignored = 0;
        for (int r = 0; r < rows; ++r) {
            ignored += target[r] == pass.options.ignore_index;
            y[r] = target[r] == pass.options.ignore_index ? Index(-1) : Index(target[r]);
        }
        for (int r = rows; r < padded; ++r) y[r] = -1;
        if (const R* w = static_cast<const R*>(pass.weight))
            for (int r = 0; r < rows; ++r) w_y[r] = y[r] < 0 ? 0 : w[y[r]];
        return ignored > 0;
    }

    void cross_entropy(i64 first, bool any_ignored, SumOf<f64v>& total) {
        const i64 V = pass.classes;
        const bool by_index = !pass.probabilities, spreads = is_soft(pass);
        if (spreads) spread_out(first);
        if (pass.upstream)
            for (int r = 0; r < rows; ++r) divisor[r] = gradient_divisor(pass, first + r);
        for (int r = 0; r < padded; r += lanes<double>) {
            auto of = [&](double* x) { return read<f64v>(x + r); };
            const f64v z_y = widen(z_target + r), e_y = widen(e_target + r);
            const Finished<f64v> done = finish<R, f64v>(pass, of(divisor), {of(max), of(top), of(rest), of(log_s)},
                                                        {z_y, e_y, of(w_y)}, {of(gap), of(weight)});
            write(loss + r, done.loss);
            write(factor + r, done.factor), narrow(f + r, done.factor);
            write(target_grad + r, done.target_grad), narrow(at_target + r, done.target_grad);
        }
        for (int r = rows; r < padded; ++r) loss[r] = 0;
        if (any_ignored)
            for (int r = 0; r < rows; ++r)
                if (pass.target[first + r] == pass.options.ignore_index) loss[r] = 0;
        if (pass.loss && pass.options.reduction == Reduction::none)
            for (int r = 0; r < rows; ++r) set_number(pass.loss, first + r, loss[r]);
        for (int r = 0; r < padded; r += lanes<double>) total.add(read<f64v>(loss + r));
        if (!pass.out) return;

        if (!spreads && !pass.softcap) {
            multiply(by_index);
        } else {
            double scale[ROWS];
            for (int r = 0; r < padded; ++r) scale[r] = 1 / divisor[r];
            for (i64 v = 0; spreads && v < V; ++v)
                for (int r = 0; r < padded; ++r) a[v * capacity + r] *= scale[r];
            for (i64 v = 0; v < V; ++v)
                for (int r = 0; r < padded; ++r) {
                    const i64 k = v * capacity + r;
                    e[k] = gradient(z[k], e[k], factor[r], spreads ? a[k] : 0, pass.softcap ? slope[k] : 1);
                }
            for (int r = 0; r < rows; ++r)
                if (y[r] >= 0) {
                    const i64 k = y[r] * i64(capacity) + r;
                    e[k] = R(pass.softcap ? target_grad[r] * slope[k] : target_grad[r]);
                }
        }
        if (any_ignored)
            for (int r = 0; r < rows; ++r)
                if (pass.target[first + r] == pass.options.ignore_index)
                    for (i64 v = 0; v < V; ++v) e[v * capacity + r] = 0;
        this->store(first, e);
    }

    // a_j, Σ a_j and Σ a_j·(m − z_j) of every row
    void spread_out(i64 first) {
        if (pass.probabilities) this->load(pass.probabilities, first, a);
        const TargetWeights<R> weigh(pass);
        for (int r = 0; r < padded; r += lanes<double>) {
            SumOf<f64v> gaps, weights;
            const f64v m = read<f64v>(max + r);
            for (i64 v = 0; v < pass.classes; ++v) {
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

template <class R, class P>
struct Tiles {
    static constexpr i64 FEW_CLASSES = 48, SOME_ROWS = 4;  // a call for 8 × 10: 0.7 µs across rows, 2.4 along them

    // across rows if there are few classes, or if rows are what lies side by side in memory
    static bool suit(const P& pass) {
        if (std::is_same_v<P, Sample> || is_statistics<P>) return false;
        if (pass.classes <= FEW_CLASSES) return pass.rows >= SOME_ROWS;
        return pass.rows >= lanes<R> && pass.logits.stride[pass.dims - 1] == 1 && pass.logits.class_stride != 1;
    }
    static i64 rows_per_task(const P& pass) {
        i64 rows = 2 * SEGMENT / pass.classes, tile = TileMemory<R, P>::capacity_of(pass);
        return rows < tile ? tile : rows / tile * tile;
    }

    static Sum run(const P& pass) {
        const i64 per_task = rows_per_task(pass), count = (pass.rows + per_task - 1) / per_task;
        return add_up_tasks(count, [&](Sum* sums) {
            share_out(count, [&](i64 task) {
                Tile<R, P> tile(pass);
                SumOf<f64v> total;
                i64 end = (task + 1) * per_task < pass.rows ? (task + 1) * per_task : pass.rows;
                for (i64 i = task * per_task; i < end; i += tile.capacity)
                    tile.run(i, static_cast<int>(end - i < tile.capacity ? end - i : tile.capacity), total);
                sums[task] = {};
                for (int k = 0; k < lanes<double>; ++k) sums[task].add(Sum{total.hi[k], total.lo[k]});
            });
        });
    }
};

}  // namespace softxent::SOFTXENT_ISA
