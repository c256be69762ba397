// Between arrays and tiles: classes × rows that stay in L1, or for class planes in L2.
#pragma once
#include "math/transpose.hpp"
#include "passes/finish.hpp"

namespace softxent::SOFTXENT_ISA {

constexpr int ROWS = 128;              // at most, in a tile
constexpr int TILE_BYTES = 24 * 1024;  // of L1's 32 or 48 KiB

// Of class planes a tile has rows enough for memory to read a plane's piece quickly, while it stays in L2: with 64
// rows 100 planes take 1.5 ns an element, 2.6 with the 24 that L1 has room for. Where L2 has room for fewer, tiles are strips
// (benchmarks/results/across.md)
constexpr int PLANE_ROWS = 64, PLANE_BYTES = 256 * 1024;
constexpr int LINE = 64;  // bytes that memory gives at once

// Whether neighbouring rows are closer together in memory than a row's classes
inline bool rows_are_closer(const Array& array, int dims) {
    const i64 row = array.stride[dims - 1], classes = array.class_stride;
    return (row < 0 ? -row : row) < (classes < 0 ? -classes : classes);
}

// Memory that will be needed soon, fetched a line with each vector of E: a core can have only a few under way.
// Without any it is, rather than a branch at each fetch, what is in the cache anyway.
struct LinesAhead {
    const char* line = reinterpret_cast<const char*>(this);
    i64 class_step = 0, row_step = 0;  // bytes
};

// n numbers that lie side by side, and with step −1 on one side only backwards
template <class T>
inline void copy(const T* from, i64 step, int n, T* to) {
    int k = 0;
    if (step == 1)
        for (; k + lanes<T> <= n; k += lanes<T>) write(to + k, read<vec<T>>(from + k));
    else
        for (; k + lanes<T> <= n; k += lanes<T>) write(to + k, backwards(read<vec<T>>(from - k - (lanes<T> - 1))));
    for (; k < n; ++k) to[k] = from[k * step];
}

struct TileMemory {
    const Pass& layout;
    const int capacity;              // rows of a tile
    const i64 strip;                 // classes of a tile: all, or a strip of them
    int rows = 0, padded = 0;        // of the tile at hand; padded to whole vectors
    i64 begin = 0, classes = strip;  // at hand: from the class `begin` on
    void* lines = nullptr;           // rows × classes, to be transposed

    bool whole() const { return strip == layout.classes; }

    // f(offset of a row, its place in the tile, how many rows follow evenly)
    template <class F>
    void for_runs(const Array& array, i64 first, F f) const {
        const i64 last = layout.shape[layout.dims - 1];
        for (i64 r = 0, in_run = first % last; r < rows; in_run = 0) {
            const i64 n = rows - r < last - in_run ? rows - r : last - in_run;
            f(offset(array, layout, first + r) + begin * array.class_stride, r, static_cast<int>(n));
            r += n;
        }
    }

    template <class T>
    void load(const Array& from, i64 first, T* to) const {
        const i64 V = classes, step = from.stride[layout.dims - 1];
        const bool by_class = rows_are_closer(from, layout.dims), as_it_is = from.dtype == native<T>;
        const bool side_by_side = step == 1 || step == -1;
        for_runs(from, first, [&](i64 begin, i64 r, int n) {
            if (by_class) {
                for (i64 v = 0; v < V; ++v) {
                    const i64 there = begin + v * from.class_stride;
                    if (as_it_is && side_by_side) copy(at<T>(from, there), step, n, to + v * capacity + r);
                    else convert_from(from, there, step, n, to + v * capacity + r);
                }
            } else if (from.class_stride == 1 && as_it_is) {
                to_classes(at<T>(from, begin), step, n, V, to + r, capacity);
            } else if (from.class_stride == -1 && as_it_is) {  // from the last class on
                to_classes(at<T>(from, begin - (V - 1)), step, n, V, to + (V - 1) * capacity + r, -capacity);
            } else {
                T* line = static_cast<T*>(lines);
                if (from.class_stride == 1 && step == V)
                    convert_from(from, begin, 1, static_cast<int>(n * V), line);
                else
                    for (int k = 0; k < n; ++k)
                        convert_from(from, begin + k * step, from.class_stride, static_cast<int>(V), line + k * V);
                to_classes(line, V, n, V, to + r, capacity);
            }
        });
        for (i64 v = 0; v < V && rows < padded; ++v)
            for (int r = rows; r < padded; ++r) to[v * capacity + r] = 0;
    }

    template <class R>
    void store(const Array& to, i64 first, const R* from) const {
        const i64 V = classes, step = to.stride[layout.dims - 1];
        const bool by_class = rows_are_closer(to, layout.dims), as_it_is = to.dtype == native<R>;
        for_runs(to, first, [&](i64 begin, i64 r, int n) {
            if (by_class) {
                for (i64 v = 0; v < V; ++v) {
                    const i64 there = begin + v * to.class_stride;
                    const R* tile = from + v * capacity + r;
                    if (as_it_is && step == 1) copy(tile, 1, n, at<R>(to, there));
                    else if (as_it_is && step == -1) copy(tile + n - 1, -1, n, at<R>(to, there - (n - 1)));
                    else convert_to(to, there, step, n, tile);
                }
            } else if (to.class_stride == 1 && as_it_is) {
                to_rows(from + r, capacity, n, V, at<R>(to, begin), step);
            } else if (to.class_stride == -1 && as_it_is) {
                to_rows(from + (V - 1) * capacity + r, -capacity, n, V, at<R>(to, begin - (V - 1)), step);
            } else {
                R* line = static_cast<R*>(lines);
                to_rows(from + r, capacity, n, V, line, V);
                if (to.class_stride == 1 && step == V)
                    convert_to(to, begin, 1, static_cast<int>(n * V), line);
                else
                    for (int k = 0; k < n; ++k)
                        convert_to(to, begin + k * step, to.class_stride, static_cast<int>(V), line + k * V);
            }
        });
    }

    LinesAhead ahead_at(const Array& array, i64 first) const {
        const i64 size = bytes_of(array.dtype), step = array.stride[layout.dims - 1];
        const char* line = array.data + (offset(array, layout, first) + begin * array.class_stride) * size;
        const i64 apart = array.class_stride < 0 ? -array.class_stride : array.class_stride;
        if (rows_are_closer(array, layout.dims)) return {line, array.class_stride * size, step * size};
        if (step != apart * layout.classes || !whole()) return {};
        if (array.class_stride < 0) line -= (step - apart) * size;
        return {line, apart * WIDTH, step * size};
    }
};

}  // namespace softxent::SOFTXENT_ISA
