"""Chunks of some rows and all classes: the kernel turns their logits into G, in place where G has their dtype.

Where it has not, the logits of a piece of the chunk are held at a time, and G of all of it: the more rows a product
has, the less often the sum of ∂loss/∂W is read and written.
"""

from __future__ import annotations

from typing import Any

from softxent.linear.layer import Array, Gradients, Layer
from softxent.linear.plan import LinearPlan

NOTHING = Gradients(None, None, None)


def losses(layer: Layer, plan: LinearPlan) -> Array:
    return loss_and_gradients(layer, plan, None, NOTHING)


def loss_and_gradients(layer: Layer, plan: LinearPlan, upstream: Any, to: Gradients) -> Array:
    library, W = layer.library, layer.library.operand(layer.W)
    result = library.full((layer.count,), 0)
    buffer, room = rooms(layer, plan, to.wanted())
    sum_W, sum_bias = (None if a is None else library.sum_for(a) for a in (to.W, to.bias))
    layer.clear(to, sum_W, sum_bias)
    for part, where in layer.chunks(plan.chunk[0]):
        x = library.operand(layer.x[where])
        of_chunk(layer, plan, where, x, W, upstream, buffer, room, result[part])
        if room is None:
            continue
        gradient = room[: part.stop - part.start]
        G = library.operand(gradient)
        if to.x is not None:
            library.set_product(to.x, where, G, W)
        if sum_W is not None:
            library.add_product(G.T, x, sum_W, first=not part.start)
        if sum_bias is not None:
            sum_bias += library.column_sums(gradient)
    for a, total in ((to.W, sum_W), (to.bias, sum_bias)):
        if total is not a:
            a[...] = total
    return result


def loss_and_gradient_of_logits(layer: Layer, plan: LinearPlan, upstream: Any) -> tuple[Array, Array]:
    """The losses, and G of all rows, where a plan holds it."""
    library, result = layer.library, layer.library.full((layer.count,), 0)
    buffer, G = rooms(layer, plan, True)
    of_chunk(layer, plan, slice(None), layer.x, library.operand(layer.W), upstream, buffer, G, result)
    return result, G[: layer.rows]


def rooms(layer: Layer, plan: LinearPlan, gradient: bool) -> tuple[Array, Any]:
    """Room for the logits of a piece and, if it is wanted, for G of a chunk."""
    rows, library = plan.chunk[0], layer.library
    buffer = library.empty(min(rows, plan.piece or rows), layer.classes)
    if not gradient:
        return buffer, None
    room = library.operands(rows, layer.classes)
    return buffer, buffer if room is None else room


def of_chunk(
    layer: Layer, plan: LinearPlan, where: Any, x: Array, W: Array, upstream: Any, buffer: Array, room: Any, to: Array
) -> None:
    """Writes the losses of a chunk `to` an array, and G to the room for it."""
    target = layer.target[where]
    u = None if upstream is None else layer.upstream(upstream, where, x.shape[0])
    for piece in plan.pieces(x.shape[0]):
        z = buffer[: piece.stop - piece.start]
        layer.logits(x[piece], W, layer.bias, z)
        out, of_piece = (None if a is None else a[piece] for a in (room, u))
        to[piece] = layer.library.cross_entropy(z, target[piece], layer.weight, layer.each, out, of_piece)
