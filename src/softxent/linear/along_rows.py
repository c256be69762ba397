"""Chunks of some rows and all classes: the kernel turns their logits into G in place."""

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
    buffer = library.empty(plan.chunk[0] * layer.classes)
    sum_W, sum_bias = (None if a is None else library.sum_for(a) for a in (to.W, to.bias))
    layer.clear(to, sum_W, sum_bias)
    for part, where in layer.chunks(plan.chunk[0]):
        rows = part.stop - part.start
        x, z = library.operand(layer.x[where]), buffer[: rows * layer.classes].reshape(rows, layer.classes)
        layer.logits(x, W, layer.bias, z)
        u = None if not to.wanted() else layer.upstream(upstream, where, rows)
        result[part] = library.cross_entropy(z, layer.target[where], layer.weight, layer.each, u)
        G = z if u is None else library.operand(z)
        if to.x is not None:
            to.x[where] = library.like(library.times(G, W), to.x)
        if sum_W is not None:
            library.add_product(G.T, x, sum_W, first=not part.start)
        if sum_bias is not None:
            sum_bias += library.column_sums(z)
    for a, total in ((to.W, sum_W), (to.bias, sum_bias)):
        if total is not a:
            a[...] = total
    return result
