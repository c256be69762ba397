"""How a row's classes are read, a block of rows × classes at a time.

A block comes in strips, one behind the other along the row, so that each thread has its own classes of the row and adds
them up in their order; only then do threads add up what they have.
"""

import triton
import triton.language as tl

from softxent.kernels.triton.math import capped_in_double, divided


@triton.jit
def rows_of_program(rows, ROWS: tl.constexpr):
    """Those of this program, and which there are: where it is one, the compiler knows that it is there."""
    i = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)
    return i, (tl.full([ROWS], True, tl.int1) if ROWS == 1 else i < rows)


@triton.jit
def multiple_of(n, ALIGNED: tl.constexpr):
    """n, which is one, so that the compiler knows: a hint (tl.multiple_of) is lost where it takes a product apart."""
    return (n // ALIGNED) * ALIGNED


@triton.jit
def place_of_rows(i, inner, outer_stride, inner_stride, ALIGNED: tl.constexpr):
    """Where rows begin, a multiple of ALIGNED: row i is (i // inner, i % inner).

    The hint says no more than that: a thread that read several rows side by side at once would hold too many numbers.
    """
    outer = tl.multiple_of((i // inner) * multiple_of(outer_stride, ALIGNED), [ALIGNED])
    return outer + tl.multiple_of((i % inner) * multiple_of(inner_stride, ALIGNED), [ALIGNED])


@triton.jit
def classes_of(start, k, end, BLOCK: tl.constexpr, STRIPS: tl.constexpr, FULL: tl.constexpr):
    """Those of strip k of the block at `start`, and which there are."""
    LANES: tl.constexpr = BLOCK // STRIPS
    j = start + k * LANES + tl.arange(0, LANES)[None, :]
    return j, (j >= 0 if FULL else j < end)


@triton.jit
def places_of(ptr, at, stride, start, BLOCK: tl.constexpr, STRIPS: tl.constexpr):
    """Of the classes of the first strip of a block, and how far the next strip is: both of rows that begin at `at`."""
    LANES: tl.constexpr = BLOCK // STRIPS
    j = (start + tl.arange(0, LANES)[None, :]).to(tl.int64)
    return ptr + (at[:, None] + j * stride), tl.full([], LANES, tl.int64) * stride


@triton.jit
def widened(x, WIDE: tl.constexpr):
    """x as it is computed; of bfloat16 by its bits, for which fewer instructions come out."""
    if x.dtype == tl.bfloat16:
        wide = (x.to(tl.int16, bitcast=True).to(tl.int32) << 16).to(tl.float32, bitcast=True)
    else:
        wide = x.to(WIDE)
    return wide


@triton.jit
def logits(
    x_ptr, x_at, x_class, is_row, start, end,
    WIDE: tl.constexpr, BLOCK: tl.constexpr, STRIPS: tl.constexpr, FULL: tl.constexpr, EVICT: tl.constexpr = "",
):  # fmt: skip
    """The strips of a block of rows that begin at x_at; −inf where there is no class."""
    xs = ()
    place, step = places_of(x_ptr, x_at, x_class, start, BLOCK, STRIPS)
    for k in tl.static_range(STRIPS):
        j, is_class = classes_of(start, k, end, BLOCK, STRIPS, FULL)
        mask = is_row[:, None] if FULL else is_row[:, None] & is_class
        xs += (widened(tl.load(place + k * step, mask=mask, other=float("-inf"), eviction_policy=EVICT), WIDE),)
    return xs


@triton.jit
def scaled(x, temperature, softcap, TEMPERATURE: tl.constexpr, SOFTCAP: tl.constexpr):
    """z = c·tanh(x / c) / T, rounded once."""
    if SOFTCAP:
        capped = capped_in_double(x.to(tl.float64), softcap, x.dtype)[0]
        if TEMPERATURE:
            capped = divided(capped, temperature, x.dtype)
        z = tl.where(tl.abs(x) < float("inf"), capped.to(x.dtype), x)  # −inf stays a mask, NaN stays NaN
    elif TEMPERATURE:
        z = divided(x.to(tl.float64), temperature, x.dtype).to(x.dtype)
    else:
        z = x
    return z


@triton.jit
def all_scaled(xs, temperature, softcap, TEMPERATURE: tl.constexpr, SOFTCAP: tl.constexpr, STRIPS: tl.constexpr):
    """Of strips."""
    zs = ()
    for k in tl.static_range(STRIPS):
        zs += (scaled(xs[k], temperature, softcap, TEMPERATURE, SOFTCAP),)
    return zs


@triton.jit
def target_weights(
    t_ptr, weight_ptr, at, j, mask, classes, smoothing,
    PROBABILITIES: tl.constexpr, WEIGHTED: tl.constexpr, CHECKED: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """a_j = w_j·((1 − ε)·t_j + ε / V), but for (1 − ε)·w_y of a class index."""
    if PROBABILITIES:
        t = tl.load(t_ptr + at, mask=mask, other=0.0).to(tl.float64)
        if CHECKED:
            tl.device_assert((t >= 0) & (t < float("inf")), "target must be finite numbers, 0 or more", mask=mask)
        a = (1 - smoothing) * t + smoothing / classes
        if WEIGHTED:
            a *= tl.load(weight_ptr + j, mask=mask, other=0.0).to(tl.float64)
        a = a.to(WIDE)
    else:
        a = (smoothing / classes).to(WIDE)
        if WEIGHTED:
            a *= tl.load(weight_ptr + j, mask=mask, other=0.0)
    return tl.where(mask, a, 0.0)


@triton.jit
def target_logit(
    x_ptr, x_at, x_class, y, counted, temperature, softcap, TEMPERATURE: tl.constexpr, SOFTCAP: tl.constexpr,
    WIDE: tl.constexpr
):  # fmt: skip
    """x_y and z_y."""
    x_y = tl.load(x_ptr + (x_at + y * x_class), mask=counted, other=0.0).to(WIDE)
    return x_y, scaled(x_y, temperature, softcap, TEMPERATURE, SOFTCAP)


@triton.jit
def class_of_rows(t_ptr, t_at, is_row, classes, ignore_index):
    """The target of each row, and whether it counts; one that is no class stops the program."""
    y = tl.load(t_ptr + t_at, mask=is_row, other=0).to(tl.int64)
    is_class = (y >= 0) & (y < classes)
    tl.device_assert(is_class | (y == ignore_index), "target is no class, nor ignore_index", mask=is_row)
    return y, is_row & is_class & (y != ignore_index)
