// All rows of a pass, across them: a task is some tiles.
#pragma once
#include "passes/tile_loss.hpp"
#include "passes/tile_statistics.hpp"

namespace softxent::SOFTXENT_ISA {

template <class R, class P>
struct Tiles {
    static constexpr i64 FEW_CLASSES = 256;  // benchmarks/results/across.md: tiles are the quicker way up to about 400
    static constexpr i64 MANY_CLASSES = 1 << 24;  // a place in a tile is an integer of 32 bits
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

    static Sum run(const P& pass) {
        const i64 capacity = Tile<R, P>::capacity_of(pass, TilePass<R, P>::needs(pass));
        const i64 wanted = 2 * SEGMENT / pass.classes;
        const i64 per_task = wanted < capacity ? capacity : wanted / capacity * capacity;
        const i64 count = (pass.rows + per_task - 1) / per_task;
        return add_up_tasks(count, [&](Sum* sums) {
            share_out(count, [&](i64 task) {
                TilePass<R, P> tile(pass);
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
