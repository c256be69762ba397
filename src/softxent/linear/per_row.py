"""What is wanted of each row beside its loss: statistics, and a class drawn with its probability."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import inf, log
from typing import Any

from softxent.linear.across_classes import blocks, log_prob_of, scaled, targets_within
from softxent.linear.layer import Array, Layer
from softxent.linear.plan import LinearPlan
from softxent.options import LossOptions
from softxent.results import Statistics


def parts(layer: Layer, plan: LinearPlan) -> Iterator[slice]:
    """Chunks of all rows, the ignored ones too."""
    for start in range(0, layer.rows, plan.chunk[0]):
        yield slice(start, min(start + plan.chunk[0], layer.rows))


# statistics -----------------------------------------------------------------------------------------------------------


def statistics(layer: Layer, plan: LinearPlan) -> Statistics:
    """Of all rows; the first three columns in float64."""
    library = layer.library
    floats = [library.full((layer.rows,), 0) for _ in range(3)]
    columns = Statistics(*floats, *(library.xp.zeros_like(layer.target) for _ in range(2)))
    (statistics_along_rows if plan.along_rows else statistics_across_classes)(layer, plan, columns)
    ignored, where = layer.target == layer.options.ignore_index, library.xp.where
    return columns._replace(log_prob=where(ignored, 0.0, columns.log_prob), rank=where(ignored, -1, columns.rank))


def statistics_along_rows(layer: Layer, plan: LinearPlan, columns: Statistics) -> None:
    library, W, everything = layer.library, layer.library.operand(layer.W), slice(0, layer.classes)
    buffer = library.empty(plan.chunk[0], layer.classes)
    target = library.xp.where(layer.target == layer.options.ignore_index, 0, layer.target)
    by_kernel = not library.waits and layer.options.softcap is None  # one read of the logits instead of two and a write
    temperature = layer.options.temperature if by_kernel else 1.0
    for part in parts(layer, plan):
        z = buffer[: part.stop - part.start]
        layer.logits(library.operand(layer.x[part]), W, layer.bias, z)
        if not by_kernel:
            scaled(layer, z, everything)
        for column, found in zip(columns, library.statistics(z, target[part], temperature), strict=True):
            column[part] = found


def within(layer: Layer, part: slice, i: Array, j: Array) -> Array:
    """Targets in a block of classes; those that are elsewhere become its first."""
    t = layer.library.xp.zeros_like(layer.target[part])
    t[i] = j
    return t


def statistics_across_classes(layer: Layer, plan: LinearPlan, columns: Statistics) -> None:
    """Of blocks with probabilities P_k: H = Σ_k P_k·(H_k − log P_k), log p_y = log p_y|k − log1p(P of others / P_k)."""
    library, xp = layer.library, layer.library.xp
    log_prob, entropy, lse, argmax, rank = columns
    own, beside, best, z_y = (library.full((layer.rows,), -inf) for _ in range(4))
    lse[...] = -inf
    buffer = library.empty(plan.chunk[0] * plan.chunk[1])
    for part in parts(layer, plan):
        z_y[part] = logits_of_targets(layer, part)
    for k in blocks(layer, plan):
        W, bias = library.operand(layer.W[k]), None if layer.bias is None else layer.bias[k]
        for part in parts(layer, plan):
            rows, classes = part.stop - part.start, k.stop - k.start
            z = buffer[: rows * classes].reshape(rows, classes)
            layer.logits(library.operand(layer.x[part]), W, bias, z)
            larger = library.larger(z, library.cast(z_y[part]))
            scaled(layer, z, k)
            i, j = targets_within(layer, part, k)
            found = library.statistics(z, within(layer, part, i, j))
            lse_k = library.wide(found.lse)
            larger[i] = found.rank[i]
            rank[part] += larger
            log_prob[part.start + i], own[part.start + i] = library.wide(found.log_prob[i]), lse_k[i]
            both = xp.logaddexp(lse[part], lse_k)
            entropy[part] = share(xp, entropy[part], lse[part] - both) + share(
                xp, library.wide(found.entropy), lse_k - both
            )
            lse[part] = both
            top = library.wide(xp.amax(z, 1))
            argmax[part] = xp.where(top > best[part], found.argmax + k.start, argmax[part])
            best[part] = xp.maximum(top, best[part])
            lse_k[i] = -inf
            beside[part] = xp.logaddexp(beside[part], lse_k)
    log_prob -= xp.logaddexp(xp.zeros_like(own), beside - own)


def share(xp: Any, entropy: Array, log_p: Array) -> Array:
    """P·(H − log P)"""
    p = xp.exp(log_p)
    return p * entropy - p * xp.where(p == 0, 0.0, log_p)


def logits_of_targets(layer: Layer, part: slice) -> Array:
    library, t = layer.library, layer.target[part]
    t = library.xp.where(t == layer.options.ignore_index, 0, t)
    z = (library.cast(layer.x[part]) * library.cast(layer.W[t])).sum(1)
    return library.wide(z if layer.bias is None else z + library.cast(layer.bias[t]))


# sample ---------------------------------------------------------------------------------------------------------------


SORTED = 2**16  # numbers, of as many rows as these are, that are sorted at a time on the CPU
SORTING = 16  # numbers that are held for each: copies, in order, as probabilities and summed up


@dataclass(frozen=True)
class Truncation:
    """Which classes may be drawn: the `top_k` largest; of these the fewest with `top_p` of the probability; and only
    those with at least `min_p` times the largest probability."""

    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None

    def wanted(self) -> bool:
        return self != Truncation()

    def held(self, options: LossOptions, classes: int, numbers: int = SORTED) -> dict[str, Any]:
        """What sampling, with so many numbers sorted at a time, holds beside a chunk, as linear_plan's arguments."""
        copied = self.wanted() or options.softcap is not None or options.temperature != 1
        beside = SORTING * max(classes, numbers) if self.wanted() else 0
        return {"copies": int(copied), "all_classes": self.wanted(), "beside": beside}

    def apply(self, layer: Layer, z: Array) -> None:
        """Masks the other classes of scaled logits."""
        rows = max(1, layer.library.sorted // layer.classes)
        for start in range(0, len(z), rows):
            self.mask(layer, z[start : start + rows])

    def mask(self, layer: Layer, z: Array) -> None:
        library, xp = layer.library, layer.library.xp
        k = min(self.top_k or layer.classes, layer.classes)
        largest = library.largest(z, k if self.top_k or self.top_p is not None else 1)
        least = largest[:, -1] if self.top_k else library.cast(library.full((len(z),), -inf))
        if self.top_p is not None:
            p = largest + 0
            library.softmax(p)
            before = library.wide(p).cumsum(1) - library.wide(p)
            last = (before < self.top_p).sum(1) - 1
            least = library.pick(largest, xp.maximum(last, 0 * last))
        if self.min_p:
            least = xp.maximum(least, largest[:, 0] + log(self.min_p))
        library.mask(z, z < least[:, None])


def sample(
    layer: Layer, plan: LinearPlan, uniform: Callable[[int], Array], truncation: Truncation
) -> tuple[Array, Array, int]:
    """For each row a class, log p of it among all classes, in float64; and the first row without probabilities, or −1.

    `layer.target` is overwritten with the classes.
    """
    if plan.along_rows:
        return sample_along_rows(layer, plan, uniform, truncation)
    return sample_across_classes(layer, plan, uniform)


def sample_along_rows(layer: Layer, plan: LinearPlan, uniform: Any, truncation: Truncation) -> tuple[Array, Array, int]:
    library, W = layer.library, layer.library.operand(layer.W)
    log_prob = library.full((layer.rows,), 0)
    copied = truncation.held(layer.options, layer.classes)["copies"]
    buffers = [library.empty(plan.chunk[0], layer.classes) for _ in range(1 + copied)]
    for part in parts(layer, plan):
        z, *copies = (buffer[: part.stop - part.start] for buffer in buffers)
        layer.logits(library.operand(layer.x[part]), W, layer.bias, z)
        scores = z
        for scores in copies:
            scores[...] = z
            scaled(layer, scores, slice(0, layer.classes))
        if truncation.wanted():
            truncation.apply(layer, scores)
        index, bad = library.sample(scores, uniform(len(z)))
        if bad >= 0:
            return layer.target, log_prob, part.start + bad
        layer.target[part] = index
        log_prob[part] = 0 - library.cross_entropy(z, index, None, layer.each, None, None)
    return layer.target, log_prob, -1


def sample_across_classes(layer: Layer, plan: LinearPlan, uniform: Any) -> tuple[Array, Array, int]:
    """A class of each block is drawn; a block's replaces the one so far with its probability among those seen.

    Beside it stands what the first pass over this class as a target would find, so that log p has the same bits.
    """
    library, xp = layer.library, layer.library.xp
    whole, masked = [], library.full((layer.rows,), -inf)
    seen, z_y, block = (library.full((layer.rows,), -inf) for _ in range(3))
    buffer = library.empty(plan.chunk[0] * plan.chunk[1])
    for n, k in enumerate(blocks(layer, plan)):
        W, bias = library.operand(layer.W[k]), None if layer.bias is None else layer.bias[k]
        whole.append(library.full((layer.rows,), -inf))
        for part in parts(layer, plan):
            rows = part.stop - part.start
            z = buffer[: rows * (k.stop - k.start)].reshape(rows, k.stop - k.start)
            layer.logits(library.operand(layer.x[part]), W, bias, z)
            scaled(layer, z, k)
            whole[n][part] = lse_k = library.logsumexp(z)
            drawable = (lse_k > -inf) & (lse_k < inf)
            index, _ = library.sample(z, uniform(rows))
            index[~drawable] = 0
            own = library.wide(z[xp.arange(rows), index])
            z[xp.arange(rows), index] = -inf
            both = xp.logaddexp(seen[part], lse_k)
            chosen = drawable & (library.wide(uniform(rows)) < xp.exp(lse_k - both))
            for column, value in ((z_y, own), (masked, library.logsumexp(z)), (block, own * 0 + n)):
                column[part] = xp.where(chosen, value, column[part])
            layer.target[part] = xp.where(chosen, index + k.start, layer.target[part])
            seen[part] = both
    of_others = None
    for n, lse_k in enumerate(whole):
        lse_k = xp.where(block == n, masked, lse_k)
        of_others = lse_k if of_others is None else xp.logaddexp(of_others, lse_k)
    bad = library.indices(~((seen > -inf) & (seen < inf)))
    return layer.target, log_prob_of(of_others, z_y, xp), int(bad[0]) if len(bad) else -1
