"""Chunks of some rows and some classes, in two passes: to the kernel, all other classes of a row are one class more.

The first finds for each row and block of classes the lse of its logits, without the target's own, so that nothing
cancels where the target wins: with O_k the sums of the others,

    loss = log1p(Σ_k O_k / e_y)

In the second, the softmax of a block's logits beside `rest`, the lse of all that are not in the block, is p. Factors of
a row stay outside of the products: with r = u·(A + 2λ·lse) / T, but for the target ∂loss/∂x = r·(p·W).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, nan
from typing import Any

from softxent.linear.layer import Array, Gradients, Layer
from softxent.linear.plan import LinearPlan


@dataclass
class Rows:
    """What the first pass finds of the counted rows, in float64."""

    others: list[Array]  # a block's lse, without the target's logit where targets are class indices
    of_others: Array  # the lse of them all
    z_y: Array  # the target's logit; of dense targets −inf
    lse: Array
    mass: Array  # A
    losses: Array


def losses(layer: Layer, plan: LinearPlan) -> Array:
    return first_pass(layer, plan).losses


def blocks(layer: Layer, plan: LinearPlan) -> Iterator[slice]:
    for start in range(0, layer.classes, plan.chunk[1]):
        yield slice(start, min(start + plan.chunk[1], layer.classes))


def scaled(layer: Layer, z: Array, k: slice) -> None:
    """z = c·tanh(x / c) / T in place; −inf, of a bias, stays a mask."""
    options = layer.options
    if (c := options.softcap) is not None:
        z /= c
        layer.library.xp.tanh(z, out=z)
        z *= c
        if layer.bias is not None:
            layer.library.mask(z, layer.bias[k] == -inf)
    if options.temperature != 1:
        z /= options.temperature


def slope_of(layer: Layer, z: Array) -> Array | None:
    """With a softcap ∂z/∂x but for 1 / T: 1 − tanh²(x / c), which would cancel, is 1 / cosh²."""
    if layer.options.softcap is None:
        return None
    xp = layer.library.xp
    slope = z / layer.options.softcap
    xp.cosh(slope, out=slope)
    slope *= slope
    xp.reciprocal(slope, out=slope)
    return slope


def masses(layer: Layer, where: Any, k: slice, inside: tuple[Array, Array]) -> Array:
    """a_j = w_j·q_j of a chunk."""
    options, xp = layer.options, layer.library.xp
    epsilon, share = options.label_smoothing, options.label_smoothing / layer.classes
    if layer.by_index:
        a = layer.library.empty(len(layer.target[where]), k.stop - k.start)
        a[...] = share
        a[inside] = 1 - epsilon + share
    else:
        a = (1 - epsilon) * layer.library.cast(layer.target[where][:, k]) + share
    return a if layer.weight is None else xp.multiply(a, layer.weight[k], out=a)


def targets_within(layer: Layer, where: Any, k: slice) -> tuple[Array, Array]:
    """The rows of a chunk whose target is in this block of classes, and which of its classes that is."""
    t = layer.target[where]
    i = layer.library.indices((t >= k.start) & (t < k.stop))
    return i, t[i] - k.start


def first_pass(layer: Layer, plan: LinearPlan) -> Rows:
    library, xp = layer.library, layer.library.xp
    count, dense = layer.count, layer.dense()
    of_classes = list(blocks(layer, plan))
    others = [library.full((count,), -inf) for _ in of_classes]
    z_y, mass, most, spread = (library.full((count,), start) for start in (-inf, 0, -inf, 0))
    buffer = library.empty(plan.chunk[0] * plan.chunk[1])
    for n, k in enumerate(of_classes):
        W, bias = library.operand(layer.W[k]), None if layer.bias is None else layer.bias[k]
        for part, where in layer.chunks(plan.chunk[0]):
            rows, classes = part.stop - part.start, k.stop - k.start
            z = buffer[: rows * classes].reshape(rows, classes)
            layer.logits(library.operand(layer.x[where]), W, bias, z)
            scaled(layer, z, k)
            inside: Any = targets_within(layer, where, k) if layer.by_index else None
            if not dense:
                i, j = inside
                own = library.wide(z[i, j])
                z[i, j] = -inf
                others[n][part] = library.logsumexp(z)
                z_y[part.start + i] = own
                continue
            others[n][part] = library.logsumexp(z)
            # Σ_j a_j·(m − z_j), whose terms are ≥ 0, with the largest logit m so far
            a = masses(layer, where, k, inside)
            m = xp.maximum(most[part], library.wide(xp.amax(z, 1)))
            rise = m - most[part]
            rise[mass[part] == 0] = 0
            xp.subtract(library.cast(m)[:, None], z, out=z)
            z *= a
            z[a == 0] = 0
            spread[part] += mass[part] * rise + library.wide(z.sum(1))
            mass[part] += library.wide(a.sum(1))
            most[part] = m
    return rows_of(layer, others, z_y, mass, most, spread)


def rows_of(layer: Layer, others: list[Array], z_y: Array, mass: Array, most: Array, spread: Array) -> Rows:
    """The losses, of what was found in all blocks."""
    xp, options = layer.library.xp, layer.options
    of_others = others[0]
    for block in others[1:]:
        of_others = xp.logaddexp(of_others, block)
    lse = xp.logaddexp(of_others, z_y)
    lse[(lse == inf) | (lse == -inf)] = nan  # no probabilities
    if layer.dense():
        result = mass * (lse - most) + spread
        result[(mass == 0) & (lse == lse)] = 0
    else:
        result = 0 - log_prob_of(of_others, z_y, xp) + 0 * lse
        if layer.weight is not None:
            t = layer.target if layer.counted is None else layer.target[layer.counted]
            mass = layer.library.wide(layer.weight[t])
            result = xp.where((mass == 0) & (lse == lse), 0.0, result * mass)
        else:
            mass = mass + 1
    if options.z_loss:
        result += options.z_loss * lse * lse
    return Rows(others, of_others, z_y, lse, mass, result)


def log_prob_of(of_others: Array, z_y: Array, xp: Any) -> Array:
    """log p_y = −log1p(O / e_y)"""
    return 0 - xp.logaddexp(xp.zeros_like(z_y), of_others - z_y)


def loss_and_gradients(layer: Layer, plan: LinearPlan, upstream: Any, to: Gradients) -> Array:
    rows = first_pass(layer, plan)
    second_pass(layer, plan, rows, upstream, to)
    return rows.losses


def rests(layer: Layer, others: list[Array]) -> Iterator[Array]:
    """For each block in turn the lse of all other blocks."""
    xp, nothing = layer.library.xp, layer.library.full((layer.count,), -inf)
    after = [nothing]
    for block in others[:0:-1]:
        after.append(xp.logaddexp(after[-1], block))
    before = nothing
    for block in others:
        yield xp.logaddexp(before, after.pop())
        before = xp.logaddexp(before, block)


def second_pass(layer: Layer, plan: LinearPlan, rows: Rows, upstream: Any, to: Gradients) -> None:
    """Writes the gradients of Σ_i upstream_i·loss_i."""
    library, options = layer.library, layer.options
    buffer = library.empty(plan.chunk[0] * (plan.chunk[1] + 1))
    b = rows.mass + 2 * options.z_loss * rows.lse
    plain = not layer.dense() and not options.z_loss  # G is A·p but for the target
    sum_x = None if to.x is None else library.sum_for(to.x)
    layer.clear(to, to.W, sum_x)
    for k, of_rest in zip(blocks(layer, plan), rests(layer, rows.others), strict=True):
        W, bias = library.operand(layer.W[k]), None if layer.bias is None else layer.bias[k]
        sum_W, sum_bias = (None if a is None else library.sum_for(a[k]) for a in (to.W, to.bias))
        if sum_bias is not None:
            sum_bias[...] = 0
        for part, where in layer.chunks(plan.chunk[0]):
            count, classes = part.stop - part.start, k.stop - k.start
            beside = buffer[: count * (classes + 1)].reshape(count, classes + 1)
            x, z = library.operand(layer.x[where]), beside[:, :classes]
            layer.logits(x, W, bias, z)
            slope = slope_of(layer, z)
            scaled(layer, z, k)
            inside: Any = targets_within(layer, where, k) if layer.by_index else None
            beside[:, classes] = rest_with_target(layer, of_rest[part], rows.z_y[part], inside)
            library.softmax(beside)
            r = layer.upstream(upstream, where, count) / options.temperature
            if plain:
                r = r * b[part]
            else:
                z *= library.cast(b[part])[:, None]
            if layer.dense():
                z -= masses(layer, where, k, inside)
            elif inside is not None:
                z[inside] = library.cast(of_targets(layer, rows, part.start + inside[0], plain))
            if slope is not None:
                z *= slope
            r = library.cast(r)
            G = library.operand(z)
            if sum_x is not None:
                sum_x[where] += r[:, None] * library.times(G, W)
            if sum_W is not None:
                library.add_product(G.T, r[:, None] * x, sum_W, first=not part.start)
            if sum_bias is not None:
                sum_bias += r @ z
        for a, total in ((to.W, sum_W), (to.bias, sum_bias)):
            if a is not None and total is not None and total.dtype != a.dtype:
                a[k] = total
    if sum_x is not to.x:
        to.x[...] = sum_x


def rest_with_target(layer: Layer, rest: Array, z_y: Array, inside: Any) -> Array:
    """With the logits of targets that are in other blocks."""
    if layer.dense():
        return rest
    outside = layer.library.full(z_y.shape, 0) + z_y
    outside[inside[0]] = -inf
    return layer.library.xp.logaddexp(rest, outside)


def of_targets(layer: Layer, rows: Rows, i: Array, plain: bool) -> Array:
    """∂loss/∂z_y = 2λ·lse·p_y − A·(1 − p_y) of these rows, where 1 − p_y is the p of all others; over A if plain."""
    xp = layer.library.xp
    of_others = xp.exp(rows.of_others[i] - rows.lse[i])
    if plain:
        return -of_others
    p_y = xp.exp(rows.z_y[i] - rows.lse[i])
    return 2 * layer.options.z_loss * rows.lse[i] * p_y - rows.mass[i] * of_others
