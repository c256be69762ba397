"""The gradient of log p_y, entropy and lse in one read of the logits, for 16-bit results, from what a pass found."""

import triton
import triton.language as tl

from softxent.kernels.triton.math import float_of


@triton.jit
def capped(x, softcap):
    """c·tanh(x / c) and its derivative, to the last digits of float32; −inf stays a mask."""
    e = tl.exp(-2 * tl.abs(x) / softcap)
    z = tl.where(x < 0, -softcap, softcap) * ((1 - e) / (1 + e))
    return tl.where(x == float("-inf"), x, z), 4 * e / ((1 + e) * (1 + e))


@triton.jit(do_not_specialize=["temperature", "softcap"])
def statistics_gradient_kernel(
    x_ptr, grad_ptr, y_ptr, lse_ptr, level_ptr, slope_ptr, target_grad_ptr, rows, classes, x_row, grad_row, temperature,
    softcap,
    SOFTCAP: tl.constexpr, WIDE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Block program_id(1) of row program_id(0): p_j·(level − slope·log p_j), and target_grad at y, −1 if there is none.

    log p is rounded as float32 is, to |lse|·2^-24, which is less than what 16 bits of it round.
    """
    i = tl.program_id(0).to(tl.int64)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    mask = j < classes
    x = tl.load(x_ptr + i * x_row + j, mask=mask, other=float("-inf")).to(WIDE)
    if SOFTCAP:
        x, derivative = capped(x, float_of(softcap).to(WIDE))
    log_p = x * (1 / float_of(temperature)).to(WIDE) - tl.load(lse_ptr + i).to(WIDE)
    p = tl.exp(log_p)
    level, slope = tl.load(level_ptr + i).to(WIDE), tl.load(slope_ptr + i).to(WIDE)
    g = tl.where(p == 0, 0.0, p * (level - slope * log_p))
    g = tl.where(j == tl.load(y_ptr + i), tl.load(target_grad_ptr + i).to(WIDE), g)
    if SOFTCAP:
        g *= derivative
    tl.store(grad_ptr + i * grad_row + j, g, mask=mask)
