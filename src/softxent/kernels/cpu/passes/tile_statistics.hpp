// Statistics and samples across rows.
#pragma once
#include "passes/tile.hpp"

namespace softxent::SOFTXENT_ISA {

template <class R>
struct TilePass<R, Statistics> : Tile<R, Statistics> {
    using Base = Tile<R, Statistics>;
    using Base::pass, Base::rows, Base::z_of, Base::e_of, Base::max, Base::z_y;
    using Index = bits_of<vec<R>>;

    alignas(64) double depth[ROWS];  // Σ E_j·(m − z_j)
    alignas(64) std::remove_reference_t<decltype(Index{}[0])> first_largest[ROWS], above[ROWS];

    static TileNeeds needs(const Statistics&) { return {.z = true}; }
    explicit TilePass(const Statistics& pass) : Base(pass, needs(pass)) {}

    void run(i64 first, SumOf<f64v>&) {
        this->load_logits(first);
        for (int r = 0; r < rows; ++r) {
            const i64 y = pass.target[first + r];
            z_y[r] = *z_of(r)[y == pass.ignore_index ? 0 : y];
        }
        this->template sum_up_whole<true>(first);
        look_at_classes();
        for (int r = 0; r < rows; ++r) {
            const Sums<double> row{max[r], this->largest[r], this->others[r], this->log_denominator[r]};
            set_statistics<R>(pass, first + r, row, z_y[r], depth[r], first_largest[r], above[r]);
        }
    }

private:
    void look_at_classes() {
        this->template for_rows<R>([&](int r) {
            const vec<R> m = read<vec<R>>(this->max_narrow + r), target = read<vec<R>>(z_y + r);
            const Classes<R> z_at = z_of(r), e = e_of(r);
            Index largest = {}, larger = {}, seen = {};
            const auto sum = sum_of_classes<R>(pass.classes, [&](i64 v) {
                const vec<R> z = read<vec<R>>(z_at[v]), exp = read<vec<R>>(e[v]);
                larger = count_if(larger, z > target);
                seen |= z == m;
                largest = count_if(largest, ~seen);
                return exp > 0 ? exp * (m - z) : vec<R>{};  // of a mask 0, not 0·∞
            });
            write(first_largest + r, largest), write(above + r, larger);
            for_halves<R>([&](auto half, int k) { write(depth + r + k, (half() ? sum.high : sum.low).value()); });
        });
    }
};

// The soft max: the first class whose cumulative Σ E passes u·Σ E
template <class R>
struct TilePass<R, Sample> : Tile<R, Sample> {
    using Base = Tile<R, Sample>;
    using Base::pass, Base::rows, Base::z_of, Base::e_of;

    alignas(64) double drawn[ROWS], u[ROWS] = {};

    static TileNeeds needs(const Sample& pass) { return {.z = bool(pass.log_prob)}; }
    explicit TilePass(const Sample& pass) : Base(pass, needs(pass)) {}

    void run(i64 first, SumOf<f64v>&) {
        this->load_logits(first);
        this->template sum_up_whole<true>(first);
        for (int r = 0; r < rows; ++r) u[r] = pass.uniform[first + r];
        this->template for_rows<double>([&](int r) { draw(r); });
        for (int r = 0; r < rows; ++r) {
            const bool defined = this->others[r] == this->others[r];
            const i64 v = pass.index[first + r] = defined ? static_cast<i64>(drawn[r]) : -1;
            if (pass.log_prob && defined)
                set_number(pass.log_prob, first + r, (double(*z_of(r)[v]) - this->max[r]) - this->log_denominator[r]);
        }
    }

private:
    void draw(int r) {
        const i64 V = pass.classes;
        const Classes<R> e = e_of(r);
        f64v all = {};
        for (i64 v = 0; v < V; ++v) all += widen(e[v]);
        const f64v wanted = read<f64v>(u + r) * all;
        f64v below = {}, passed = {}, last = {};  // how many sums do not pass it; the last class that can be drawn
        for (i64 v = 0; v < V; ++v) {
            const f64v exp = widen(e[v]);
            below += exp;
            passed += below > wanted ? f64v{} : f64v{} + 1;
            last = exp > 0 ? f64v{} + double(v) : last;
        }
        write(drawn + r, passed < last ? passed : last);
    }
};

}  // namespace softxent::SOFTXENT_ISA
