"""watch(loss_fn), and what it returns."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import partial
from inspect import Parameter, signature
from itertools import count
from threading import RLock
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.library import register_fake
from torch.nn import Module

from softxent.checks import integer
from softxent.torch.autograd import CrossEntropy, GradientAhead, InPlace
from softxent.torch.calls import KINDS, traced
from softxent.torch.ops import LIBRARY
from softxent.torch.watch import sentences
from softxent.torch.watch.tally import Tally, batch_of

NODES = 32  # of autograd, behind the loss
WITHOUT_LOGITS = {"LinearCrossEntropyLoss", "NLLLoss", "linear_cross_entropy", "nll_loss"}


class TrainingWarning(UserWarning):
    """What a watched loss has shown to go wrong in training."""


def watch(loss_fn: Any, *, every: int = 100, dim: int | None = None) -> Watch:
    """Warns, once of each, of what a loss shows to go wrong while a model trains; the loss stays what it is.

    loss_fn   a function (logits, target, …), such as torch.nn.functional.cross_entropy; or a module, such as
              torch.nn.CrossEntropyLoss, which is then watched where it is: call it as before
    every     how many calls lie between two looks at the counters, and at a sample of rows; the first is looked at too
    dim       of the classes, by default PyTorch's: 1, or 0 for a single row

    Returns the loss to call in the place of a function. `undo()` of it, or the end of a `with`, ends the watch.

    The warnings are of class TrainingWarning: logits that look like probabilities or log-probabilities, losses that
    round to 0, logits that drift, a loss that is not finite, classes that no target has, targets that are all ignored.
    Calls without gradients, as in validation, are not watched.

    >>> loss_fn = watch(torch.nn.functional.cross_entropy)
    >>> logits = torch.zeros(8, 5, requires_grad=True)
    >>> loss_fn(logits, torch.arange(8) % 5)
    tensor(1.6094, grad_fn=<NllLossBackward0>)
    """
    if not callable(loss_fn):
        raise sentences.not_a_loss(loss_fn)
    name = type(loss_fn).__name__ if isinstance(loss_fn, Module) else getattr(loss_fn, "__name__", "")
    if name in WITHOUT_LOGITS:
        raise sentences.without_logits(name)
    if is_watched(loss_fn):
        raise sentences.watched_already()
    if integer("every", every) < 1:
        raise sentences.never(every)
    return Watch(loss_fn, integer("every", every), None if dim is None else integer("dim", dim))


def is_watched(loss_fn: Any) -> bool:
    hooks = loss_fn._forward_hooks.values() if isinstance(loss_fn, Module) else [loss_fn]
    return any(isinstance(getattr(hook, "__self__", hook), Watch) for hook in hooks)


class Watch:
    """A loss that is watched. See softxent.torch.watch."""

    def __init__(self, loss_fn: Callable[..., Tensor], every: int, dim: int | None) -> None:
        self.loss_fn, self.every, self.dim = loss_fn, every, dim
        self.names, self.ignore_index = arguments_of(loss_fn)
        self.said: set[str] = {"rounded"} if is_ours(loss_fn) else set()
        self.tallies: dict[torch.device, Tally] = {}
        self.mark = torch.zeros((), dtype=torch.int64, device="cpu")
        self.own()
        self.on = True
        self.hook = loss_fn.register_forward_hook(self.after, with_kwargs=True) if isinstance(loss_fn, Module) else None

    def own(self) -> None:
        """What a copy does not share."""
        self.lock, self.key = RLock(), next(KEYS)
        WATCHES[self.key] = self

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in ("lock", "key")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.own()

    def __call__(self, *arguments: Any, **named: Any) -> Tensor:
        loss = self.loss_fn(*arguments, **named)
        if self.hook is None:
            self.see(arguments, named, loss)
        return loss

    def after(self, module: Module, arguments: tuple[Any, ...], named: dict[str, Any], loss: Tensor) -> None:
        """The hook."""
        self.see(arguments, named, loss)

    def undo(self) -> None:
        """Ends the watch; a second time it does nothing."""
        self.on = False
        if self.hook is not None:
            self.hook.remove()

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: Any) -> None:
        self.undo()

    def see(self, arguments: tuple[Any, ...], named: dict[str, Any], loss: Tensor) -> None:
        """Looks at a call that trains: now, or when the graph runs that torch.compile makes of it."""
        if not (self.on and torch.is_grad_enabled()):
            return
        first, second = self.names
        x: Any = arguments[0] if arguments else named.get(first)
        target: Any = arguments[1] if len(arguments) > 1 else named.get(second)
        for name, value in ((first, x), (second, target), ("the result of loss_fn", loss)):
            if not isinstance(value, Tensor):
                raise sentences.not_a_tensor(name, value)
        if not (x.requires_grad and x.numel()):
            return
        ignore_index = named.get("ignore_index", self.ignore_index)
        if not torch.compiler.is_compiling():
            if not traced() and all(type(tensor) in KINDS for tensor in (x, target, loss)):
                self.look(x, target, loss, int(ignore_index))
        elif not torch.compiler.is_exporting():
            given = x.detach(), target.detach(), loss.detach()
            torch.ops.softxent.watch(*given, self.mark, self.key, ignore_index)

    def look(self, x: Tensor, target: Tensor, loss: Tensor, ignore_index: int) -> None:
        with self.lock, torch.no_grad():
            batch = batch_of(x, target, loss, ignore_index, self.dim)
            if x.device not in self.tallies:
                self.tallies[x.device] = Tally(x.device)
            for kind, text in self.tallies[x.device].see(batch, self.every, self.said).items():
                self.said.add(kind)
                if kind != "rounded" or not is_ours_in_graph(loss):
                    warn(text)


# torch.compile --------------------------------------------------------------------------------------------------------

KEYS = count()
WATCHES: WeakValueDictionary[int, Watch] = WeakValueDictionary()


def look_in_graph(x: Tensor, target: Tensor, loss: Tensor, mark: Tensor, key: int, ignore_index: int) -> None:
    watch = WATCHES.get(key)
    if watch is not None and watch.on:
        watch.look(x, target, loss, ignore_index)


# `mark` stays as it is, but an operator without a result is kept in a graph only for what it changes. On the CPU, it
# also keeps the graph out of a CUDA graph, which would not call the operator again
LIBRARY.define(
    "watch(Tensor logits, Tensor target, Tensor loss, Tensor(a!) mark, int watch, int ignore_index) -> ()",
    tags=(torch.Tag.pt2_compliant_tag,),
)
LIBRARY.impl("watch", look_in_graph, "CompositeExplicitAutograd")
register_fake("softxent::watch", lambda *_: None, lib=LIBRARY)


# The loss -------------------------------------------------------------------------------------------------------------


def arguments_of(loss_fn: Any) -> tuple[tuple[str, ...], int]:
    """What a loss calls its logits and its target, and its default ignore_index."""
    try:
        parameters = signature(loss_fn.forward if isinstance(loss_fn, Module) else loss_fn).parameters
    except (TypeError, ValueError):  # some builtins have no signature
        parameters = {}  # type: ignore[assignment]
    positional = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(name for name, parameter in parameters.items() if parameter.kind in positional)[:2]
    default = parameters["ignore_index"].default if "ignore_index" in parameters else None
    default = getattr(loss_fn, "ignore_index", default)
    return names if len(names) == 2 else ("input", "target"), default if isinstance(default, int) else -100


def is_ours(loss_fn: Any) -> bool:
    """Whether the loss is one of softxent's, which keep what log_softmax rounds to 0."""
    while isinstance(loss_fn, partial):
        loss_fn = loss_fn.func
    loss_fn = getattr(loss_fn, "_orig_mod", loss_fn)  # of a compiled module
    kind = type(loss_fn) if isinstance(loss_fn, Module) else loss_fn
    return getattr(kind, "__module__", "").startswith("softxent.")


def is_ours_in_graph(loss: Tensor) -> bool:
    """Whether it was computed by one of them, as far as autograd knows: a loss of the user's may call it."""
    nodes, seen = [loss.grad_fn], 0
    while nodes and seen < NODES:
        node, seen = nodes.pop(0), seen + 1
        if getattr(type(node), "_forward_cls", None) in (CrossEntropy, GradientAhead, InPlace):
            return True
        nodes += [after for after, _ in getattr(node, "next_functions", ()) if after is not None]
    return False


def warn(text: str) -> None:
    """At the line that called the loss: the first one that is neither PyTorch's nor softxent's."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in ("", "softxent", "torch"):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, TrainingWarning, stacklevel=level)
