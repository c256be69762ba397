"""use(model), and what undoes it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from types import MethodType
from typing import Any

from transformers import PreTrainedModel

from softxent.transformers import checks, trial
from softxent.transformers.forward import Scaling, forward_without_logits

MARK = "softxent_handle"  # an attribute of a forward that is ours


class Handle:
    """What use(model) did to one model."""

    def __init__(self, model: PreTrainedModel, scaling: Scaling) -> None:
        self.model, self.scaling, self.in_use = model, scaling, True

    def undo(self) -> None:
        """Gives the model its own forward back; a second time it does nothing."""
        here = vars(self.model)
        if self.in_use and hasattr(here.get("forward"), MARK):
            here.update(self.before) if self.before else here.pop("forward")
        self.in_use = False  # where another forward has wrapped ours, that is the model's own from here on

    def install(self, plain: Callable[..., Any]) -> None:
        here, parameters = vars(self.model), signature(self.model.forward)
        itself = Parameter("self", Parameter.POSITIONAL_ONLY)
        self.before = {"forward": here["forward"]} if "forward" in here else {}

        @wraps(plain)
        def forward(model: PreTrainedModel, *arguments: Any, **named: Any) -> Any:
            labels = parameters.bind_partial(*arguments, **named).arguments.get("labels")
            if labels is None or not (self.in_use and model.training):
                return plain(model, *arguments, **named)
            return forward_without_logits(plain, model, self.scaling, arguments, named)

        # What is under __wrapped__ Accelerate takes for the model's own when it removes a wrapper of its own
        del forward.__wrapped__
        forward.__signature__ = parameters.replace(parameters=[itself, *parameters.parameters.values()])  # type: ignore[attr-defined]
        setattr(forward, MARK, self)
        here["forward"] = MethodType(forward, self.model)  # a method, whose function Accelerate wraps


def use(model: Any) -> Handle:
    """Lets a causal language model train without holding its logits; `undo()` of what this returns ends it.

    model   a transformers.PreTrainedModel, or a peft model of one, with a torch.nn.Linear head

    In training, with labels, `outputs.loss` and its gradients are the same to rounding, and `outputs.logits` is None.
    In evaluation, without labels and in generate() nothing changes. Before use() changes the model it computes the loss
    of a tiny batch both ways; where these differ, an error says what does, and the model stays as it was.
    """
    model = checks.causal_lm(model)
    checks.not_in_use(model.forward, MARK)
    plain = unbound(model.forward)
    handle = Handle(model, trial.scaling_of(model, plain))
    handle.install(plain)
    return handle


def unbound(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A forward that takes the model, so that a copy of a model goes through the copy."""
    if isinstance(forward, MethodType):
        return forward.__func__
    return lambda model, *arguments, **named: forward(*arguments, **named)
