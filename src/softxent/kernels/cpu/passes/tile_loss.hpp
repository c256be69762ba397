// The loss and its gradient across rows.
#pragma once
#include "passes/tile.hpp"

namespace softxent::SOFTXENT_ISA {

template <class R>
struct TilePass<R, CrossEntropy> : Tile<R, CrossEntropy> {
    using Base = Tile<R, CrossEntropy>;
    using Base::pass, Base::rows, Base::padded, Base::classes, Base::begin, Base::z_of, Base::e_of;
    using Base::max, Base::largest, Base::others, Base::gap, Base::weight, Base::z_y;

    using Index = bits_of<vec<R>>;
    using Place = lane_of<Index>;
    using LossSum = std::conditional_t<sizeof(R) == 4, PlainSum<f64v>, SumOf<f64v>>;

    const bool by_index, soft, unlike;  // unlike: the rows' gradients have divisors of their own
    const TargetWeights<R> weigh;
    double *slope, *a;                     // ∂z/∂x with a softcap, and a_j of a target distribution
    const i64* targets = nullptr;              // of the tile's rows
    alignas(64) Place at_y[ROWS] = {};  // where they are in the tile; of ignored rows the first class
    alignas(64) R e_y[ROWS] = {}, grad_y[ROWS], factor_narrow[ROWS];
    alignas(64) double w_y[ROWS], divisor[ROWS];
    alignas(64) double loss[ROWS], factor[ROWS];
    bool any_ignored = false;
    i64v small, large;  // whether there are factors below SMALL, or above LIFTED

    static constexpr double masked = -std::numeric_limits<double>::infinity();
    static constexpr Place NOWHERE = -1;  // at_y of a target that is not among the classes at hand

    // Up to so many classes the target's are selected by comparison, with E and without a loop over rows
    static constexpr i64 SELECTED = 16;  // benchmarks/results/across.md

    static constexpr double SMALL = sizeof(R) == 4 ? 0x1p-120 : 0x1p-1000;  // a factor below loses digits as an R
    // times E at e^−CUTOFF, 2^−124 and 2^−962, less than half the smallest number
    static constexpr double LIFTED = sizeof(R) == 4 ? 0x1p-30 : 0x1p-116;

    explicit TilePass(const CrossEntropy& pass)
        : Base(pass, needs(pass)), by_index(!pass.probabilities), soft(is_soft(pass)),
          unlike(pass.upstream && pass.upstream.stride), weigh(pass), slope(this->doubles),
          a(this->doubles + (pass.softcap ? this->size() + lanes<double> : 0)) {
        const double one_divisor = unlike ? 1 : gradient_divisor(pass, 0);
        for (int r = 0; r < ROWS; ++r) w_y[r] = 1, divisor[r] = one_divisor, gap[r] = weight[r] = 0;
    }

    static TileNeeds needs(const CrossEntropy& pass) {
        return {pass.softcap || is_soft(pass) || may_lift(pass), (pass.softcap ? 1 : 0) + (pass.probabilities ? 1 : 0)};
    }

    void run(i64 first, SumOf<f64v>& total) {
        this->load_logits(first, slope);
        if (by_index) read_targets(first);
        this->template sum_up_whole<true>(first);
        if (sizeof(R) == 4 && may_lift(pass)) sum_up_tiny_others(first);
        if (by_index) pick(this->e, e_y);
        if (soft) load_weights<true>(first);
        finish_rows(first);
        set_losses(first, total);
        if (pass.out) write_gradient(first);
    }

    void look(i64 first, i64 from, i64 to) {
        this->clear();
        if (by_index) read_targets(first);
        this->for_strips_of(from, to, [&] {
            this->load_logits(first);
            if (by_index) find_targets();
            this->sum_up_strip(first);
            if (soft) load_weights<true>(first);
        });
    }
    void settle(i64 first) {
        Base::settle(first);
        if (sizeof(R) == 4 && may_lift(pass)) sum_up_tiny_others(first);
    }
    void conclude(i64 first, bool leads, SumOf<f64v>& total) {
        if (by_index) read_targets(first);
        this->close_sums();
        this->template for_rows<R>([&](int r) {
            const auto range = Range<R, vec<R>>::around(read<vec<R>>(this->max_narrow + r));
            write(e_y + r, exp_in(range, read<vec<R>>(z_y + r)));
        });
        finish_rows(first);
        if (leads) set_losses(first, total);
    }
    void write_strip(i64 first) {
        if (by_index) find_targets();
        if (!by_index) load_weights<false>(first);
        this->compute_e(first);
        write_gradient(first);
    }

private:
    // Σ of the others in double where E of a float are 0, or lack some: a large weight of the target makes them count
    void sum_up_tiny_others(i64 first) {
        for (int r = 0; r < rows; ++r) {
            if (!(others[r] < 0x1p-150 * largest[r])) continue;
            Sum sum;
            Strip<R> strip;
            for_strips(0, pass.classes, [&](i64 j, int n) {
                const R* z = SOFTXENT_ISA::load(pass, offset(pass.logits, pass, first + r), j, n, strip);
                for (int k = 0; k < n; ++k)
                    if (z[k] != max[r]) sum.add(exp(z[k] - max[r]));
            });
            others[r] = sum.value() * largest[r];
            this->log_denominator[r] = SOFTXENT_ISA::log_denominator<R>(largest[r], others[r]);
        }
    }

    void set_losses(i64 first, SumOf<f64v>& total) {
        if (pass.loss && pass.options.reduction == Reduction::none) set_numbers(pass.loss, first, loss, rows);
        LossSum sum;
        this->template for_rows<double>([&](int r) { sum.add(read<f64v>(loss + r)); });
        total.add(sum.value());
    }

    // … of the classes at hand
    void write_gradient(i64 first) {
        if (!soft && !pass.softcap) multiply();
        else if (!soft) combine<false, true>();
        else pass.softcap ? combine<true, true>() : combine<true, false>();
        if (any(large)) lift();
        if (by_index && (!is_selected() || any(large))) set_targets();  // last: lift() adds to all
        if (any_ignored) clear_ignored();
        this->store(pass.out, first, this->e);
    }

    // whether multiply() sets the targets' gradients too
    bool is_selected() const { return by_index && !soft && !pass.softcap && pass.classes <= SELECTED; }

    bool ignored(int r) const { return targets[r] == pass.options.ignore_index; }

    // The targets of the rows, where they are if all classes are at hand, and their logits
    void read_targets(i64 first) {
        const i64* y = targets = pass.target + first;
        const i64 ignore_index = pass.options.ignore_index;
        const Place step = this->whole() ? static_cast<Place>(this->capacity) : 0;
        Place any = 0;
        for (int r = 0; r < rows; ++r) {
            const Place skip = y[r] == ignore_index;
            any |= skip;
            at_y[r] = (static_cast<Place>(y[r]) & (skip - 1)) * step + r;
        }
        any_ignored = any;
        if (this->whole()) pick(this->z, z_y);  // now, for E may overwrite it
        if (const R* w = static_cast<const R*>(pass.weight))
            for (int r = 0; r < rows; ++r) w_y[r] = ignored(r) ? 0 : w[y[r]];
    }
    // … and where they are in a strip
    void find_targets() {
        for (int r = 0; r < rows; ++r) {
            const i64 v = (ignored(r) ? 0 : targets[r]) - begin;
            at_y[r] = v >= 0 && v < classes ? static_cast<Place>(v * this->capacity + r) : NOWHERE;
            if (at_y[r] != NOWHERE) z_y[r] = this->z[at_y[r]];
        }
    }

    // of z or E that of each row's target
    void pick(R* from, R* to) const {
        if (pass.classes > SELECTED)
            for (int r = 0; r < rows; ++r) to[r] = from[at_y[r]];
        else
            this->template for_rows<R>([&](int r) {
                const Classes<R> x{from + r, this->capacity};
                const Index y = read<Index>(at_y + r);
                Index at = this->places(r);
                vec<R> x_y = {};
                for (i64 v = 0, V = classes; v < V; ++v, at += this->capacity) x_y = at == y ? read<vec<R>>(x[v]) : x_y;
                write(to + r, x_y);
            });
    }

    // a_j of rows r and on, class by class; of an index without the target's own (1 − ε)·w_y, the same for all rows
    Classes<double> a_of(int r) const { return {a + r, this->capacity}; }
    f64v a_j(const Classes<double>& a, i64 v, i64 from) const {
        return by_index ? f64v{} + weigh(0.0, from + v) : read<f64v>(a[v]);
    }

    // a_j of a target distribution, of the classes at hand, and with `sums` Σ a_j·(m − z_j) and Σ a_j of every row
    template <bool sums>
    void load_weights(i64 first) {
        if (!by_index) this->load(pass.probabilities, first, a);
        const bool strip = !this->whole();
        LossSum alike;  // Σ a_j of an index, the same for all rows
        for (i64 v = 0; sums && strip && by_index && v < classes; ++v) alike.add(f64v{} + weigh(0.0, begin + v));
        this->template for_rows<double>([&](int r) {
            LossSum weights = alike;
            const Classes<double> a = a_of(r);
            const Classes<R> z = z_of(r);
            for (i64 v = 0, V = classes, j = begin; !by_index && v < V; ++v) {
                const f64v w = weigh(read<f64v>(a[v]), j + v);
                write(a[v], w), weights.add(w);
            }
            if constexpr (!sums) return;
            const f64v m = read<f64v>(max + r);
            const f64v half_max = m == masked ? f64v{} : 0.5 * m;  // m − z may not fit where its product with a_j does
            const auto gaps = sum_of_classes<double>(classes, [&, j = begin](i64 v) {
                const f64v w = a_j(a, v, j);
                return w != 0 ? w * (half_max - 0.5 * widen(z[v])) : f64v{};
            });
            write(gap + r, (strip ? read<f64v>(gap + r) : f64v{}) + 2 * gaps.low.value());
            write(weight + r, (strip ? read<f64v>(weight + r) : f64v{}) + weights.value());
        });
    }

    void finish_rows(i64 first) {
        for (int r = 0; unlike && r < rows; ++r) divisor[r] = gradient_divisor(pass, first + r);
        by_index && !soft && !pass.weight && !pass.options.z_loss ? finish_all<true>() : finish_all<false>();
        for (int r = 0; any_ignored && r < rows; ++r)
            if (ignored(r)) loss[r] = factor[r] = 0;  // whatever its logits
        for (int r = rows; r < padded; ++r) loss[r] = 0;
    }

    template <bool plain>
    [[gnu::flatten]] void finish_all() {
        i64v any_small{}, any_large{};
        this->template for_rows<double>([&](int r) {
            auto of = [&](double* x) { return read<f64v>(x + r); };
            const Finished<f64v> done = finish<R, f64v, plain>(
                pass, of(divisor), {of(max), of(largest), of(others), of(this->log_denominator)},
                {widen(z_y + r), widen(e_y + r), of(w_y)}, {of(gap), of(weight)});
            write(loss + r, done.loss), write(factor + r, done.factor), narrow(grad_y + r, done.target_grad);
            narrow(factor_narrow + r, done.factor);
            const f64v size = done.factor < 0 ? -done.factor : done.factor;
            any_small |= size < SMALL, any_large |= size > LIFTED;
        });
        small = any_small, large = any_large;
    }

    // The gradient factor·E_j
    void multiply() {
        if (any(small)) multiply_small();
        this->template for_rows<R>([&](int r) {
            const vec<R> f = read<vec<R>>(factor_narrow + r);
            const Classes<R> e = e_of(r);
            const i64 V = classes;
            if (is_selected()) {
                const vec<R> grad = read<vec<R>>(grad_y + r);
                const Index y = read<Index>(at_y + r);
                Index at = this->places(r);
                for (i64 v = 0; v < V; ++v, at += this->capacity) write(e[v], at == y ? grad : read<vec<R>>(e[v]) * f);
            } else {
                for (i64 v = 0; v < V; ++v) write(e[v], read<vec<R>>(e[v]) * f);
            }
        });
    }

    // A small factor goes in two steps: as a float it would lose digits, the product need not.
    void multiply_small() {
        alignas(64) R before[ROWS];
        this->template for_rows<double>([&](int r) {
            const f64v whole = read<f64v>(factor + r);
            const auto is_small = (whole < SMALL) & (whole > -SMALL);
            narrow(before + r, is_small ? whole * (1 / SMALL) : f64v{} + 1);
            narrow(factor_narrow + r, is_small ? f64v{} + SMALL : whole);
        });
        this->template for_rows<R>([&](int r) {
            const vec<R> f = read<vec<R>>(before + r);
            const Classes<R> e = e_of(r);
            for (i64 v = 0, V = classes; v < V; ++v) write(e[v], read<vec<R>>(e[v]) * f);
        });
    }

    // The gradient (factor·E_j − a_j / divisor)·∂z/∂x: in double, rounded once; 0 of a mask, if the row is defined
    template <bool soft, bool capped>
    void combine() {
        this->template for_rows<double>([&](int r) {
            const f64v f = read<f64v>(factor + r), scale = 1 / read<f64v>(divisor + r);
            const auto defined = f == f;
            const Classes<R> z = z_of(r), e = e_of(r);
            const Classes<double> a = a_of(r), s{slope + r, this->capacity};
            for (i64 v = 0, V = classes, j = begin; v < V; ++v) {
                f64v grad = widen(e[v]) * f;
                if (soft) grad -= a_j(a, v, j) * scale;
                if (capped) grad *= read<f64v>(s[v]);
                const auto mask = (widen(z[v]) == masked) & defined;
                narrow(e[v], mask ? f64v{} : grad);
            }
        });
    }

    void set_targets() {
        for (int r = 0; r < rows; ++r)
            if (const Place at = at_y[r]; at != NOWHERE)
                this->e[at] = pass.softcap ? R(grad_y[r] * slope[at]) : grad_y[r];
    }

    void clear_ignored() {
        for (int r = 0; r < rows; ++r)
            if (ignored(r))
                for (i64 v = 0; v < classes; ++v) *e_of(r)[v] = 0;
    }

    // E ends at e^−CUTOFF of the largest. Where the factor makes even smaller ones count (a weight or an upstream gradient
    // of 1e30), these are computed in ranges of their own; −a_j is there already.
    static bool may_lift(const CrossEntropy& pass) {
        if (pass.weight || pass.options.z_loss || (pass.upstream && pass.upstream.stride)) return true;
        const double divisor = gradient_divisor(pass, 0);
        return divisor < 0x1p-20 && divisor > -0x1p-20;
    }
    void lift() {
        for (int r = 0; r < rows; ++r) {
            if (!(factor[r] > LIFTED || factor[r] < -LIFTED)) continue;
            const R m = this->max_narrow[r];
            const Partial<R, CrossEntropy> row{Range<R, R>::around(m), m, largest[r], others[r], {}};
            for (i64 v = 0; v < classes; ++v) {
                const R z = *z_of(r)[v];
                if (!(z < row.range.lowest) || z < -std::numeric_limits<R>::max()) continue;
                const Factor<R> f(z, row, factor[r]);
                const R p = R(exp_wide(Range<R, R>::around(z), z)) * f.first * f.f;
                *e_of(r)[v] += pass.softcap ? R(p * slope[v * this->capacity + r]) : p;
            }
        }
    }
};

}  // namespace softxent::SOFTXENT_ISA
