"""Cross-entropy and its gradient: one read of the logits and one write; two reads of a row longer than a block."""

import triton
import triton.language as tl

from softxent.kernels.triton.blocks import (
    class_of_rows,
    classes_of,
    logits,
    multiple_of,
    place_of_rows,
    places_of,
    rows_of_program,
    target_logit,
    target_weights,
)
from softxent.kernels.triton.finish import finish
from softxent.kernels.triton.math import capped_in_double, divided, exp_in, exp_of, float_of, range_around
from softxent.kernels.triton.parts import sums_of_rows
from softxent.kernels.triton.rows import NOTHING, TARGET, defined, read_again, sum_up, times


@triton.jit
def in_two_steps(factor, WIDE: tl.constexpr):
    """Two factors with this product, which alone could leave the range that a result is in."""
    size = tl.abs(factor)
    if WIDE == tl.float32:
        second = tl.where(size < 1e-30, 2.0**-100, tl.where(size > 1e30, 2.0**100, 1.0))
        first = factor * tl.where(size < 1e-30, 2.0**100, tl.where(size > 1e30, 2.0**-100, 1.0))
    else:
        second = tl.where(size < 1e-200, 2.0**-600, tl.where(size > 1e200, 2.0**600, 1.0))
        first = factor * tl.where(size < 1e-200, 2.0**600, tl.where(size > 1e200, 2.0**-600, 1.0))
    return first.to(WIDE), second.to(WIDE)


@triton.jit
def slope_of(x, temperature, softcap, TEMPERATURE: tl.constexpr):
    """∂z/∂x = (1 − tanh²(x / c)) / T, in float64"""
    slope = capped_in_double(x.to(tl.float64), softcap, x.dtype)[1]
    if TEMPERATURE:
        slope = divided(slope, temperature, x.dtype)
    return slope


@triton.jit
def of_rows(
    x_ptr, x_at, x_class, weight_ptr, divisor_ptr, upstream_ptr, upstream_at, is_row, y, counted, temperature, softcap,
    PROBABILITIES: tl.constexpr, WEIGHTED: tl.constexpr, TEMPERATURE: tl.constexpr, SOFTCAP: tl.constexpr,
    ROWS: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """x_y, z_y and w_y of a class index, and upstream / divisor, and / T if there is no softcap."""
    zero = tl.zeros([ROWS], tl.float64)
    x_y, w_y = tl.zeros([ROWS], WIDE), zero
    z_y = x_y
    if not PROBABILITIES:
        x_y, z_y = target_logit(x_ptr, x_at, x_class, y, counted, temperature, softcap, TEMPERATURE, SOFTCAP, WIDE)
        w_y += 1
        if WEIGHTED:
            w_y = tl.load(weight_ptr + y, mask=counted, other=0.0).to(tl.float64)
    divisor, upstream = zero + 1, zero + 1
    if divisor_ptr is not None:
        divisor = zero + tl.load(divisor_ptr)
        divisor = tl.where(divisor == 0, float("inf"), divisor)
    if upstream_ptr is not None:
        upstream = tl.load(upstream_ptr + upstream_at, mask=is_row, other=0.0).to(tl.float64)
    return x_y, z_y, w_y, upstream / (divisor if SOFTCAP else divisor * temperature)


@triton.jit(do_not_specialize=["ignore_index", "smoothing", "temperature", "softcap", "z_loss"], debug=True)
def cross_entropy_kernel(
    x_ptr, t_ptr, weight_ptr, weight_sum_ptr, sums_ptr, loss_ptr, grad_ptr, divisor_ptr, upstream_ptr,
    rows, classes, inner, width,
    x_outer, x_inner, x_class, t_outer, t_inner, t_class, grad_outer, grad_inner, grad_class, upstream_stride,
    ignore_index, smoothing, temperature, softcap, z_loss,
    PROBABILITIES: tl.constexpr, WEIGHTED: tl.constexpr, SMOOTHING: tl.constexpr, TEMPERATURE: tl.constexpr,
    SOFTCAP: tl.constexpr, Z_LOSS: tl.constexpr, LOSS: tl.constexpr, GRADIENT: tl.constexpr,
    AHEAD: tl.constexpr, CHECKED: tl.constexpr,
    WIDE: tl.constexpr, ALIGNED: tl.constexpr, ROWS: tl.constexpr, BLOCK: tl.constexpr, STRIPS: tl.constexpr,
    FULL: tl.constexpr, ONE_BLOCK: tl.constexpr, PARTS: tl.constexpr,
):  # fmt: skip
    """ROWS rows a program, or part program_id(1) of one, `width` classes, whose sums sums_kernel left.

    Strides count elements; a row is (i // inner, i % inner), of logits, target and gradient. AHEAD: the gradient for an
    upstream gradient of 1 is there. CHECKED: a probability that is negative or not finite stops the program.
    """
    smoothing, temperature, softcap, z_loss = (
        float_of(smoothing),
        float_of(temperature),
        float_of(softcap),
        float_of(z_loss),
    )
    if AHEAD:
        if tl.load(upstream_ptr) == 1:
            return
    SOFT: tl.constexpr = PROBABILITIES or SMOOTHING
    AGAIN: tl.constexpr = PARTS > 1 or not ONE_BLOCK
    EVICT: tl.constexpr = "evict_first" if AGAIN else ""
    BESIDE: tl.constexpr = TARGET if SOFT else NOTHING
    i, is_row = rows_of_program(rows, ROWS)
    x_at, t_at = place_of_rows(i, inner, x_outer, x_inner, ALIGNED), place_of_rows(i, inner, t_outer, t_inner, 1)

    counted = is_row
    y = tl.full([ROWS], 0, tl.int64)
    if not PROBABILITIES:
        y, counted = class_of_rows(t_ptr, t_at, is_row, classes, ignore_index)
    if not AGAIN:
        x_y, z_y, w_y, share = of_rows(
            x_ptr, x_at, x_class, weight_ptr, divisor_ptr, upstream_ptr, i * upstream_stride, is_row, y, counted,
            temperature, softcap, PROBABILITIES, WEIGHTED, TEMPERATURE, SOFTCAP, ROWS, WIDE,
        )  # fmt: skip

    begin, end = 0, classes
    if PARTS == 1:
        m, others, gap, mass, first, above, zs, es = sum_up(
            x_ptr, x_at, x_class, t_ptr, t_at, t_class, weight_ptr, None, counted, begin, end, classes,
            smoothing, temperature, softcap,
            BESIDE, PROBABILITIES, WEIGHTED, TEMPERATURE, SOFTCAP, CHECKED,
            WIDE, ALIGNED, ROWS, BLOCK, STRIPS, FULL, ONE_BLOCK,
        )  # fmt: skip
    else:
        m, others, gap, mass, first, above = sums_of_rows(sums_ptr, i, is_row, BESIDE, WIDE)
        begin = tl.program_id(1) * width
        end = tl.minimum(begin + width, classes)

    if AGAIN:  # not before, for they would fill registers in the loop
        x_y, z_y, w_y, share = of_rows(
            x_ptr, x_at, x_class, weight_ptr, divisor_ptr, upstream_ptr, i * upstream_stride, is_row, y, counted,
            temperature, softcap, PROBABILITIES, WEIGHTED, TEMPERATURE, SOFTCAP, ROWS, WIDE,
        )  # fmt: skip
    weight_sum = 0.0
    if SOFT:
        weight_sum = tl.load(weight_sum_ptr)
    shift, round, lowest, n = range_around(m)
    others = defined(m, others)
    largest = exp_of(m, shift, round, lowest, n)
    loss, factor, target_grad = finish(
        m.to(tl.float64), largest, others, z_y.to(tl.float64),
        exp_in(z_y - shift, round, lowest).to(tl.float64), w_y, gap, mass,
        weight_sum, share, smoothing, z_loss, classes, PROBABILITIES, SMOOTHING, Z_LOSS, WIDE,
    )  # fmt: skip
    if LOSS:
        teller = tl.program_id(1) == 0
        if GRADIENT and PARTS > 1 and not PROBABILITIES:  # in place, the target's own part alone still finds its logit
            teller = tl.where(counted, (y >= begin) & (y < end), teller)
        tl.store(loss_ptr + i, tl.where(counted, loss, 0.0), mask=is_row & teller)

    if GRADIENT:
        OF_16_BITS: tl.constexpr = grad_ptr.dtype.element_ty.primitive_bitwidth == 16
        grad_at = place_of_rows(i, inner, grad_outer, grad_inner, ALIGNED)
        first, second = in_two_steps(tl.where(counted, factor, 0.0), WIDE)
        first_a, second_a = in_two_steps(tl.where(counted, share, 0.0), WIDE)
        target_grad = tl.where(counted, target_grad, 0.0)
        zero_or_nan = (others - others).to(WIDE)[:, None]
        LANES: tl.constexpr = BLOCK // STRIPS
        lanes = tl.arange(0, LANES)[None, :]
        end = multiple_of(end, ALIGNED)
        last = begin if ONE_BLOCK else begin + (end - begin - 1) // BLOCK * BLOCK
        if AGAIN and not PROBABILITIES:
            tl.debug_barrier()  # in place, a logit of a target may be written over once all threads have read it
        for back in range(0, BLOCK if ONE_BLOCK else end - begin, BLOCK):
            start = last - back  # what was read last is read again first, from the cache
            place, step = places_of(grad_ptr, grad_at, grad_class, start, BLOCK, STRIPS)
            if AGAIN:
                x_of, z_of, e_of = read_again(
                    x_ptr, x_at, x_class, counted, start, end, m, largest, shift, round, lowest, temperature, softcap,
                    TEMPERATURE, SOFTCAP, OF_16_BITS, WIDE, ROWS, BLOCK, STRIPS, FULL,
                )  # fmt: skip
            else:
                z_of, e_of = zs, es
                if SOFTCAP:
                    x_of = logits(x_ptr, x_at, x_class, counted, start, end, WIDE, BLOCK, STRIPS, FULL)
            e_of = times(e_of, second, ROWS, STRIPS)
            for k in tl.static_range(STRIPS):
                j, is_class = classes_of(start, k, end, BLOCK, STRIPS, FULL)
                mask = counted[:, None] & is_class
                g = e_of[k] * first[:, None]
                if SOFT:
                    at = t_at[:, None] + j.to(tl.int64) * t_class
                    a = target_weights(
                        t_ptr, weight_ptr, at, j, mask, classes, smoothing, PROBABILITIES, WEIGHTED, False, WIDE
                    )
                    g -= a * first_a[:, None] * second_a[:, None]
                if AGAIN and not PROBABILITIES:
                    is_target = lanes == (y.to(tl.int32) - (start + k * LANES))[:, None]
                    g = tl.where(is_target, target_grad.to(WIDE)[:, None], g)
                if SOFTCAP:
                    g *= slope_of(x_of[k], temperature, softcap, TEMPERATURE).to(WIDE)
                if SOFT or SOFTCAP:
                    g = tl.where(mask & (z_of[k] == float("-inf")), zero_or_nan, g)
                to_store = is_row[:, None] if FULL else is_row[:, None] & is_class
                tl.store(place + k * step, g, mask=to_store, eviction_policy=EVICT)
        # over what stands there; it costs less than to choose for each element, but of a loop it would fill registers
        if not AGAIN and not PROBABILITIES:
            if SOFTCAP:
                target_grad *= slope_of(x_y, temperature, softcap, TEMPERATURE)
            tl.debug_barrier()
            tl.store(grad_ptr + grad_at + y * grad_class, target_grad, mask=counted)
