// All rows of a pass, across them: a task is some tiles.
#pragma once
#include "passes/tile_loss.hpp"
#include "passes/tile_softmax.hpp"
#include "passes/tile_statistics.hpp"

namespace softxent::SOFTXENT_ISA {

template <class R, class P>
struct Tiles {
    static constexpr i64 FEW_CLASSES = 256;  // benchmarks/results/across.md: tiles are the quicker way up to about 400
    static constexpr i64 MANY_CLASSES = 1 << 24;  // a place in a tile is an integer of 32 bits
    static constexpr i64 LEAST_SEGMENT = 1024, MOST_SEGMENTS = 64;  // of a row's classes, and how many of them
    static constexpr i64 SOME_ROWS = 4;  // a call for 8 × 10: 0.7 µs across rows, 2.4 along them

    // Whether a pass goes across rows: of few classes, the fewer the emptier a vector of rows may be, or where rows are
    // closer together in memory than classes
    static bool suit(const P& pass) {
        if (pass.rows < SOME_ROWS) return false;
        if constexpr (is_cross_entropy<P>)
            if (pass.divisor == 0) return false;  // the mean over nothing: rows write its zeros, whatever the logits
        if (pass.rows * FEW_CLASSES >= lanes<R> * pass.classes && pass.classes <= FEW_CLASSES) return true;
        if (pass.classes > MANY_CLASSES) return false;
        return pass.rows >= lanes<R> && rows_are_closer(pass.logits, pass.dims);
    }

    static TileShape shape_of(const P& pass) { return Tile<R, P>::shape_of(pass, TilePass<R, P>::needs(pass)); }
    static bool in_strips(const P& pass) { return shape_of(pass).classes < pass.classes; }

    static Sum run(const P& pass) {
        const auto [capacity, classes] = shape_of(pass);
        if constexpr (goes_in_strips<P>)
            if (classes < pass.classes) return run_in_strips(pass, capacity, classes);
        const i64 wanted = 2 * SEGMENT / pass.classes;
        const i64 per_task = wanted < capacity ? capacity : wanted / capacity * capacity;
        const i64 count = (pass.rows + per_task - 1) / per_task;
        return add_up_tasks(count, [&](Sum* sums) {
            share_out(count, [&](i64 task) {
                TilePass<R, P> tile(pass);
                SumOf<f64v> total;
                i64 end = (task + 1) * per_task < pass.rows ? (task + 1) * per_task : pass.rows;
                for (i64 i = task * per_task; i < end; i += tile.capacity) {
                    tile.set_rows(static_cast<int>(end - i < tile.capacity ? end - i : tile.capacity));
                    tile.run(i, total);
                }
                sums[task] = sum_of_lanes(total);
            });
        });
    }

    static Sum sum_of_lanes(const SumOf<f64v>& total) {
        Sum sum;
        for (int k = 0; k < lanes<double>; ++k) sum.add(Sum{total.hi[k], total.lo[k]});
        return sum;
    }

    // A task is a tile's rows; where these are few, its segments are shared out
    static Sum run_in_strips(const P& pass, int capacity, i64 strip) {
        const i64 V = pass.classes, count = (pass.rows + capacity - 1) / capacity;
        const i64 least = V / MOST_SEGMENTS > LEAST_SEGMENT ? V / MOST_SEGMENTS : LEAST_SEGMENT;
        const i64 segment = (least + strip - 1) / strip * strip, segments = (V + segment - 1) / segment;
        return add_up_tasks(count, [&](Sum* sums) {
            auto run = [&](i64 task, auto each) {
                const i64 first = task * capacity;
                const int rows = static_cast<int>(pass.rows - first < capacity ? pass.rows - first : capacity);
                TileSums<R>* parts = static_cast<TileSums<R>*>(scratch(strips_slot, segments * sizeof(TileSums<R>)));
                SumOf<f64v> total;
                auto for_segments = [&](i64 segments, auto f) {
                    each(segments, [&](i64 k) {
                        TilePass<R, P> tile(pass);
                        tile.set_rows(rows);
                        f(tile, k, k * segment, (k + 1) * segment < V ? (k + 1) * segment : V);
                    });
                };
                for_segments(segments, [&](auto& tile, i64 k, i64 from, i64 to) {
                    tile.look(first, from, to);
                    parts[k] = tile;
                });
                for (i64 k = 1; k < segments; ++k) parts[0].merge(parts[k]);
                for_segments(1, [&](auto& tile, i64, i64, i64) {
                    tile.take(parts[0]), tile.settle(first);
                    parts[0] = tile;
                });
                for_segments(out_of(pass) ? segments : 1, [&](auto& tile, i64 k, i64 from, i64 to) {
                    SumOf<f64v> none;
                    tile.take(parts[0]), tile.conclude(first, k == 0, k == 0 ? total : none);
                    if constexpr (requires { tile.write_strip(first); })
                        if (out_of(pass))
                            tile.for_strips_of(from, to, [&] {
                                tile.load_logits(first, tile.slopes());
                                tile.write_strip(first);
                            });
                });
                sums[task] = sum_of_lanes(total);
            };
            if (count < 4 * num_threads())
                in_order(count, [&](i64 task) { run(task, [](i64 n, auto f) { share_out(n, f); }); });
            else
                share_out(count, [&](i64 task) { run(task, [](i64 n, auto f) { in_order(n, f); }); });
        });
    }
};

}  // namespace softxent::SOFTXENT_ISA
