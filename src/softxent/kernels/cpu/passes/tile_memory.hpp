// Between arrays and tiles: `classes` × ROWS, which stay in L1.
#pragma once
#include "passes/finish.hpp"
#include "math/transpose.hpp"

namespace softxent::SOFTXENT_ISA {

constexpr int ROWS = 128;              // at most, in a tile
constexpr int TILE_BYTES = 24 * 1024;  // of L1's 32 or 48 KiB

// Memory that will be needed soon, fetched a line with each vector of E: a core can have only a few under way.
// Without any it is, rather than a branch at each fetch, what is in the cache anyway.
struct LinesAhead {
    const char* line = reinterpret_cast<const char*>(this);
    i64 class_step = 0, row_step = 0;  // bytes
};

template <class R, class P>
struct TileMemory {
    const P& pass;
    const int capacity;        // rows of a tile
    int rows = 0, padded = 0;  // of the tile at hand; padded to whole vectors
    void* lines = nullptr;     // rows × classes, to be transposed

    explicit TileMemory(const P& pass) : pass(pass), capacity(capacity_of(pass)) {}

    static int capacity_of(const P& pass) {
        i64 rows = TILE_BYTES / (2 * pass.classes * i64(sizeof(R)));
        rows = rows / lanes<R> * lanes<R>;
        return static_cast<int>(rows < lanes<R> ? lanes<R> : rows > ROWS ? ROWS : rows);
    }

    // where the tile's rows begin: evenly spaced, unless the tile runs over the end of a dimension
    struct Place {
        i64 first, step;
        bool even;
        i64 row[ROWS];
    };

    Place place;

    void locate(const Array& array, i64 first, Place& place) const {
        const i64 last = pass.shape[pass.dims - 1];
        place.first = offset(array, pass, first), place.step = array.stride[pass.dims - 1];
        place.even = pass.dims == 1 || first % last + rows <= last;
        if (!place.even)
            for (int r = 0; r < rows; ++r) place.row[r] = offset(array, pass, first + r);
    }

    template <class T>
    void load(const Array& from, i64 first, T* to) {
        locate(from, first, place);
        const i64 V = pass.classes;
        if (place.even && place.step == 1 && from.class_stride != 1) {
            for (i64 v = 0; v < V; ++v)
                convert_from(from, place.first + v * from.class_stride, 1, rows, to + v * capacity);
        } else if (place.even && from.class_stride == 1 && from.dtype == native<T>) {
            to_classes(at<T>(from, place.first), place.step, rows, V, to, capacity);
        } else {
            T* line = static_cast<T*>(lines);
            for (int r = 0; r < rows; ++r)
                convert_from(from, place.even ? place.first + r * place.step : place.row[r], from.class_stride,
                             static_cast<int>(V), line + r * V);
            to_classes(line, V, rows, V, to, capacity);
        }
        for (i64 v = 0; v < V; ++v)
            for (int r = rows; r < padded; ++r) to[v * capacity + r] = 0;
    }

    void store(i64 first, const R* from) {
        const Array& to = pass.out;
        locate(to, first, place);
        const i64 V = pass.classes;
        if (place.even && place.step == 1 && to.class_stride != 1) {
            for (i64 v = 0; v < V; ++v)
                convert_to(to, place.first + v * to.class_stride, 1, rows, from + v * capacity);
        } else if (place.even && to.class_stride == 1 && to.dtype == native<R>) {
            to_rows(from, capacity, rows, V, at<R>(to, place.first), place.step);
        } else {
            R* line = static_cast<R*>(lines);
            to_rows(from, capacity, rows, V, line, V);
            for (int r = 0; r < rows; ++r)
                convert_to(to, place.even ? place.first + r * place.step : place.row[r], to.class_stride,
                           static_cast<int>(V), line + r * V);
        }
    }

    LinesAhead ahead_at(const Array& array, i64 first) const {
        const i64 size = bytes_of(array.dtype), step = array.stride[pass.dims - 1];
        const char* line = array.data + offset(array, pass, first) * size;
        if (step == 1) return {line, array.class_stride * size, size};
        if (array.class_stride == 1 && step == pass.classes) return {line, WIDTH, pass.classes * size};
        return {};
    }
};

}  // namespace softxent::SOFTXENT_ISA
