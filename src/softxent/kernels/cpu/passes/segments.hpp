// A whole row: its memory, and its segments, which are shared out over the threads if the row is split.
#pragma once
#include "passes/row.hpp"

namespace softxent::SOFTXENT_ISA {

template <class F>
inline void in_order(i64 count, F f) {
    for (i64 k = 0; k < count; ++k) f(k);
}

inline i64 ignored_index(const CrossEntropy& pass) { return pass.options.ignore_index; }
inline i64 ignored_index(const Statistics& pass) { return pass.ignore_index; }

// The first NaN of a row, or −1
template <class R>
i64 first_nan(const Pass& pass, i64 i) {
    const i64 begin = offset(pass.logits, pass, i);
    for (i64 j = 0; j < pass.classes; ++j) {
        R x{};
        convert_from(pass.logits, begin + j * pass.logits.class_stride, 1, 1, &x);
        if (x != x) return j;
    }
    return -1;
}

template <class R, class P>
struct WholeRow : Row<R, P> {
    using Row<R, P>::pass, Row<R, P>::at, Row<R, P>::sums;

    const i64 i, segments;
    const bool split, wake;
    i64 y = 0;  // the target, if that is a class index
    Partial<R, P>* partials;

    WholeRow(const P& pass, i64 i, bool split)
        : Row<R, P>{pass, offset(pass.logits, pass, i)}, i(i), segments((pass.classes + SEGMENT - 1) / SEGMENT), split(split),
          wake(pass.rows > 1 || pass.classes > 4 * SEGMENT || sizeof(R) == 8 || pass.softcap) {  // less is done before anyone has woken
        const i64 strips = (pass.classes + STRIP - 1) / STRIP;
        char* memory = static_cast<char*>(scratch(strips_slot, segments * sizeof(Partial<R, P>) + strips * 16));
        partials = reinterpret_cast<Partial<R, P>*>(memory);
        double* of_strips = reinterpret_cast<double*>(partials + segments);
        if constexpr (std::is_same_v<P, Sample>) sums = of_strips;
        at = reinterpret_cast<R*>(of_strips + strips);
        if (const Array* out = out_of(pass)) this->out = offset(*out, pass, i);
        if constexpr (requires { pass.target; })
            if (pass.target) {  // its logit is read before `out` may overwrite it
                y = pass.target[i] == ignored_index(pass) ? 0 : pass.target[i];
                Strip<R> one;
                R slope[lanes<double>];
                for (int k = 0; k < lanes<R>; ++k) one.z[k] = 0;  // it is scaled by whole vectors
                this->z_y = SOFTXENT_ISA::load(pass, this->logits, y, 1, one, slope)[0];
                if (pass.softcap) this->slope_y = slope[0];
            }
    }

    // for E: `out` where that holds R, and memory beside it where not
    void keep_e(bool in_out = true) {
        const i64 size = pass.classes + STRIP;
        in_out &= is_direct(pass, native<R>);
        R* memory = in_out && !pass.softcap ? nullptr : static_cast<R*>(scratch(row_slot, 2 * size * sizeof(R)));
        this->e = in_out ? SOFTXENT_ISA::at<R>(pass.out, this->out) : memory;
        if (pass.softcap) this->slope = memory + size;
    }

    // f(segment, begin, end, memory for a strip)
    template <class F>
    void for_segments(F f) const {
        auto one = [&](i64 k) {
            Strip<R>& strip = *static_cast<Strip<R>*>(scratch(tile_slot, sizeof(Strip<R>)));
            f(k, k * SEGMENT, k + 1 < segments ? (k + 1) * SEGMENT : pass.classes, strip);
        };
        split ? share_out(segments, one, wake) : in_order(segments, one);
    }

    Partial<R, P> sum_up() const {
        for_segments([&](i64 k, i64 begin, i64 end, Strip<R>& strip) {
            partials[k] = SOFTXENT_ISA::sum_up<R, P>(*this, begin, end, strip);
        });
        return merge(partials, segments);
    }
};

}  // namespace softxent::SOFTXENT_ISA
