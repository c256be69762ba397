// softmax, log-softmax and lse across rows.
#pragma once
#include "passes/tile.hpp"

namespace softxent::SOFTXENT_ISA {

template <class R>
struct TilePass<R, Softmax> : Tile<R, Softmax> {
    alignas(64) R factor[ROWS];

    static TileNeeds needs(const Softmax&) { return {}; }
    explicit TilePass(const Softmax& pass) : Tile<R, Softmax>(pass, {}) {}

    void run(i64 first, SumOf<f64v>&) {
        this->load_logits(first);
        this->template sum_up_whole<true>(first);
        find_factors();
        multiply(first);
    }
    void conclude(i64, bool, SumOf<f64v>&) {
        this->close_sums();
        find_factors();
    }
    void write_strip(i64 first) {
        this->compute_e(first);
        multiply(first);
    }

private:
    void find_factors() {
        this->template for_rows<double>([&](int r) {
            narrow(factor + r, quotient<R>(SumOf<f64v>{f64v{} + 1}, f64v{} + 1, read<f64v>(this->largest + r),
                                           read<f64v>(this->others + r)));
        });
    }
    void multiply(i64 first) {
        this->template for_rows<R>([&](int r) {
            const vec<R> f = read<vec<R>>(factor + r);
            const Classes<R> e = this->e_of(r);
            for (i64 v = 0, V = this->classes; v < V; ++v) write(e[v], read<vec<R>>(e[v]) * f);
        });
        this->store(this->pass.out, first, this->e);
    }
};

template <class R>
struct TilePass<R, LogSoftmax> : Tile<R, LogSoftmax> {
    static TileNeeds needs(const LogSoftmax&) { return {}; }
    explicit TilePass(const LogSoftmax& pass) : Tile<R, LogSoftmax>(pass, {}) {}

    void run(i64 first, SumOf<f64v>&) {
        this->load_logits(first);
        this->template sum_up_whole<false>(first);
        write_strip(first);
    }
    void conclude(i64, bool, SumOf<f64v>&) { this->close_sums(); }
    void write_strip(i64 first) {
        alignas(64) R log_sum[ROWS];
        this->template for_rows<double>([&](int r) { narrow(log_sum + r, read<f64v>(this->log_denominator + r)); });
        this->template for_rows<R>([&](int r) {
            const vec<R> m = read<vec<R>>(this->max_narrow + r), log_s = read<vec<R>>(log_sum + r);
            const Classes<R> z = this->z_of(r), out = this->e_of(r);
            for (i64 v = 0, V = this->classes; v < V; ++v) write(out[v], (read<vec<R>>(z[v]) - m) - log_s);
        });
        this->store(this->pass.out, first, this->e);
    }
};

template <class R>
struct TilePass<R, LogSumExp> : Tile<R, LogSumExp> {
    static TileNeeds needs(const LogSumExp&) { return {}; }
    explicit TilePass(const LogSumExp& pass) : Tile<R, LogSumExp>(pass, {}) {}

    void run(i64 first, SumOf<f64v>&) {
        this->load_logits(first);
        this->template sum_up_whole<false>(first);
        set_lse(first);
    }
    void conclude(i64 first, bool leads, SumOf<f64v>&) {
        this->close_sums();
        if (leads) set_lse(first);
    }

private:
    void set_lse(i64 first) {
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
