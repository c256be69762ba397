"""What a watch says: its errors, and its warnings, each with what was seen and what to do about it."""

from __future__ import annotations

import math
from typing import Any

from softxent.checks import Names, shown, target_shape

# Errors ---------------------------------------------------------------------------------------------------------------


def not_a_loss(value: Any) -> TypeError:
    return TypeError(f"loss_fn is {shown(value)}, but must be a function (logits, target, …) or a torch.nn.Module")


def without_logits(name: str) -> TypeError:
    return TypeError(f"loss_fn is {name}, but must be a loss that takes logits")


def watched_already() -> ValueError:
    return ValueError("loss_fn is watched already: call undo() of its watch first")


def never(every: int) -> ValueError:
    return ValueError(f"every is {every}, but must be at least 1")


def not_a_tensor(name: str, value: Any) -> TypeError:
    return TypeError(f"{name} is {type(value).__name__}, but a watched loss must have a tensor there")


def shapes(target: tuple[int, ...], logits: tuple[int, ...], rows: tuple[int, ...], names: Names) -> Exception:
    error = target_shape(target, logits, rows, names)
    return type(error)(f"{error}; say with {names.axis}= of watch where the classes are")


# Warnings -------------------------------------------------------------------------------------------------------------


def probabilities(step: int, classes: int) -> str:
    floor = math.log1p((classes - 1) / math.e)
    return (
        f"logits look like probabilities: at step {step} all rows lie in [0, 1] and sum to 1. The loss applies softmax "
        f"itself, and applied twice it keeps the loss above log(1 + (V − 1)/e) = {floor:.4g} for {classes:,} classes: "
        "leave out the softmax before it"
    )


def log_probabilities(step: int) -> str:
    return (
        f"logits look like log-probabilities: at step {step} log Σ exp(logits) of all rows is 0. The loss is right, "
        "since log_softmax leaves log-probabilities as they are, but twice it costs a pass over memory more: "
        "leave out the one before the loss"
    )


def rounded(step: int, share: float, first: float, dtype: str) -> str:
    return (
        f"losses round to 0: at step {step} those of {share:.0%} of the rows, and of {first:.0%} at first. In {dtype} "
        "log_softmax is exactly 0 once the target leads by enough; so is the target's gradient, and training stops "
        "(softmax collapse, Prieto et al., ICLR 2025). softxent.torch.cross_entropy keeps both"
    )


def drift(step: int, lse: float, first: float) -> str:
    return (
        f"logits drift: the mean of log Σ exp(logits) was {first:.3g} at first and is {lse:.3g} at step {step}. "
        "z_loss=1e-4 of softxent.torch.cross_entropy, or more, holds it near 0 (PaLM, Chowdhery et al. 2022, section 5)"
    )


def absent(classes: list[int], count: int, of: int, rows: int, steps: int) -> str:
    named = ", ".join(map(str, classes)) + (", …" if count > len(classes) else "")
    what = "1 class" if count == 1 else f"{count:,} classes"
    return (
        f"target never contains {what} of {of:,}: {named}. Of {rows:,} rows looked at in {steps:,} steps none has "
        f"{'it' if count == 1 else 'one of them'}, and every other class occurs: "
        "check how labels are numbered and rows drawn"
    )


def not_finite(first: int, step: int, place: str | None) -> str:
    """`place` is in the logits of this step, which may be a later one."""
    if first < step:
        return f"the loss was not finite at step {first}" + (f"; at step {step} {place}" if place else "")
    return f"the loss is not finite at step {step}" + (f": {place}" if place else ", though no logit makes it so")


def ignored(times: int, steps: int, ignore_index: int) -> str:
    return (
        f"all of target is ignored in {times:,} of {steps:,} steps: each row is {ignore_index}, the ignore_index. "
        "Nothing is learnt from them, and the mean over nothing is NaN in PyTorch"
    )
