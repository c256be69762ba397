"""The public functions of a last linear layer, which never hold its rows × classes logits."""

from __future__ import annotations

from typing import Any, Unpack

from softxent import checks
from softxent.functional import adapter
from softxent.linear import LinearPlan, Truncation, linear_plan
from softxent.options import LossOptions, Options, takes_options
from softxent.results import Statistics

__all__ = [
    "LinearPlan",
    "linear_cross_entropy",
    "linear_cross_entropy_and_grad",
    "linear_log_prob",
    "linear_plan",
    "linear_sample",
    "linear_statistics",
]


@takes_options
def linear_cross_entropy(
    inputs: Any, weight: Any, target: Any, bias: Any = None, *, memory_budget: Any = "auto", **options: Unpack[Options]
) -> Any:
    """The cross_entropy of the logits inputs·weightᵀ + bias, of which only chunks are held at a time.

    inputs           any leading shape × features: (N, D), (batch, tokens, D), …; dtypes as softmax's
    weight           (V, D): one row a class, as in torch.nn.Linear
    target           class indices: integers of inputs' shape without D; or probabilities: floats, with V in its place
    bias             (V,); −inf masks a class
    memory_budget    bytes that may be held beyond arguments and results; "auto" is 56 MiB, on a GPU see linear_plan
    {options}

    Rows whose target is ignored are left out of the products, except on a GPU. Computed in float32, or in float64 if
    one of inputs, weight and bias is; exact but for the rounding of the products. Raises ValueError or TypeError as
    cross_entropy does, and for a budget that is too small, naming the least.

    >>> inputs, weight = [[1.0, 2.0], [3.0, -1.0]], [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]
    >>> linear_cross_entropy(inputs, weight, [1, 0]).round(6)
    np.float64(0.333594)
    """
    return room(inputs).cross_entropy(inputs, weight, target, bias, LossOptions.of(options), memory_budget)


@takes_options
def linear_cross_entropy_and_grad(
    inputs: Any, weight: Any, target: Any, bias: Any = None, *, memory_budget: Any = "auto", **options: Unpack[Options]
) -> tuple[Any, tuple[Any, Any, Any]]:
    """(loss, (∂loss/∂inputs, ∂loss/∂weight, ∂loss/∂bias)), of the same arguments.

    With G = ∂loss/∂logits, in chunks as well: ∂loss/∂inputs = G·weight, ∂loss/∂weight = Gᵀ·inputs, ∂loss/∂bias = Σ G.

    inputs, weight, target, bias, memory_budget   as linear_cross_entropy's
    {options}

    Each gradient has its argument's shape and dtype; that of no bias is None. Those of 16-bit weights are added up in
    float32, and rounded once. With reduction="none" they are the gradients of the sum of the losses.

    >>> inputs, weight = [[1.0, 2.0], [3.0, -1.0]], [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]
    >>> loss, (grad_inputs, grad_weight, grad_bias) = linear_cross_entropy_and_grad(inputs, weight, [1, 0])
    >>> grad_inputs.round(4)
    array([[ 0.1473, -0.1649],
           [-0.0025,  0.1387]])
    """
    return room(inputs).cross_entropy_and_grad(inputs, weight, target, bias, LossOptions.of(options), memory_budget)


def linear_log_prob(
    inputs: Any,
    weight: Any,
    target: Any,
    bias: Any = None,
    *,
    temperature: float = 1.0,
    softcap: float | None = None,
    ignore_index: int = -100,
    memory_budget: Any = "auto",
) -> Any:
    """log p_y for each row of the logits inputs·weightᵀ + bias, 0 where the target is ignore_index.

    >>> linear_log_prob([[1.0, 2.0]], [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], [1])
    array([-0.34901222])
    """
    options = each(temperature, softcap, ignore_index)
    return room(inputs).log_prob(inputs, weight, target, bias, options, memory_budget)


def linear_statistics(
    inputs: Any,
    weight: Any,
    target: Any,
    bias: Any = None,
    *,
    temperature: float = 1.0,
    softcap: float | None = None,
    ignore_index: int = -100,
    memory_budget: Any = "auto",
) -> Statistics:
    """log p_y, entropy, lse, largest class and rank of the target for each row of inputs·weightᵀ + bias.

    >>> s = linear_statistics([[1.0, 2.0]], [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], [2])
    >>> s.entropy.round(4), s.argmax, s.rank
    (array([0.7139]), array([1]), array([1]))
    """
    options = each(temperature, softcap, ignore_index)
    return room(inputs).statistics(inputs, weight, target, bias, options, memory_budget)


def linear_sample(
    inputs: Any,
    weight: Any,
    bias: Any = None,
    *,
    temperature: float = 1.0,
    softcap: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    rng: Any = None,
    return_log_prob: bool = False,
    memory_budget: Any = "auto",
) -> Any:
    """A class for each row, drawn with probability p of the logits inputs·weightᵀ + bias.

    top_k            only the k classes with the largest logits are drawn (with more where they are equal)
    top_p            only the fewest classes, in descending order, whose probabilities sum to top_p
    min_p            only classes with at least min_p times the largest probability
    rng              a numpy.random.Generator (for tensors a torch.Generator), a seed, or None
    return_log_prob  also return log p of the class among all classes, whatever is left out: for the same chunks the
                     same bits as linear_log_prob's

    >>> linear_sample([[1.0, 2.0]] * 3, [[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]], rng=0, top_k=1)
    array([1, 1, 1])
    """
    options, truncation = each(temperature, softcap, -1), Truncation(*checks.truncation(top_k, top_p, min_p))
    index, log_prob = room(inputs).sample(inputs, weight, bias, options, truncation, rng, memory_budget)
    return (index, log_prob) if return_log_prob else index


def each(temperature: float, softcap: float | None, ignore_index: int) -> LossOptions:
    """Of a number a row."""
    return LossOptions(temperature=temperature, softcap=softcap, ignore_index=ignore_index, reduction="none")


def of_arrays() -> Any:
    from softxent.numpy import linear

    return linear


def of_tensors() -> Any:
    from softxent.torch.linear_layer import adapter

    return adapter


ROOMS = {"softxent.numpy.adapter": of_arrays, "softxent.torch.adapter": of_tensors}  # see functional.ROOMS


def room(inputs: Any) -> Any:
    """The room of the library that the inputs come from."""
    return ROOMS[adapter(inputs).__name__]()
