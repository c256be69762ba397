"""The public functions: what each computes, and which adapter computes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Unpack

import numpy as np

from softxent import checks
from softxent.kernels import _cpu
from softxent.numpy import adapter as numpy_adapter
from softxent.options import LossOptions, Options, takes_options
from softxent.results import Statistics


def torch_room() -> Any:
    from softxent.torch import adapter

    return adapter


# The library that an array's type comes from → its room, which is imported when the first such array comes: by an
# import statement, since torch.compile cannot trace import_module
ROOMS: dict[str, Callable[[], Any] | None] = {
    "numpy": lambda: numpy_adapter,
    "torch": torch_room,
    "jax": None,  # has none yet
    "jaxlib": None,
}


def adapter(logits: Any) -> Any:
    """The room that knows this kind of array; NumPy's for whatever NumPy makes an array of."""
    if type(logits) is np.ndarray:
        return numpy_adapter
    for base in type(logits).__mro__:
        library = base.__module__.partition(".")[0]
        if library in ROOMS:
            room = ROOMS[library]
            if room is None:
                raise checks.foreign(logits)
            return room()
    return numpy_adapter


def softmax(logits: Any, axis: int | tuple[int, ...] | None = -1, temperature: float = 1.0) -> Any:
    """p_j = exp(z_j) / Σ_k exp(z_k), z = logits / temperature: the probability of each class.

    logits       any shape; float16, bfloat16, float32 or float64, which the result has too (integers: float64)
    axis         of the classes; a tuple of axes, or None for all of them, is one axis of classes
    temperature  T > 0: towards the hard max below 1, towards uniform above

    A −inf logit is a mask: its p is 0. A row that is all −inf, or has +inf or NaN, is NaN. Within 4 ULP.

    >>> softmax([1, 5, 3]).round(6)
    array([0.015876, 0.866813, 0.11731 ])

    Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs", eq. 4.
    """
    temperature = checks.divisor("temperature", temperature)
    return adapter(logits).normalize("softmax", logits, axis, temperature)


def log_softmax(logits: Any, axis: int | tuple[int, ...] | None = -1, temperature: float = 1.0) -> Any:
    """log p_j = z_j − lse, in nats; of the largest logit −log1p(the others), not 0. Arguments as softmax's.

    >>> log_softmax([0.0, 20.0])
    array([-2.00000000e+01, -2.06115362e-09])
    """
    temperature = checks.divisor("temperature", temperature)
    return adapter(logits).normalize("log_softmax", logits, axis, temperature)


def logsumexp(logits: Any, axis: int | tuple[int, ...] | None = -1) -> Any:
    """lse = log Σ_j exp(x_j): logits' shape without `axis`. −inf if all are −inf, +inf if any is +inf.

    >>> logsumexp([1000.0, 1000.0])
    np.float64(1000.6931471805599)

    Within 4 ULP of max(|lse|, |max_j x_j|).
    """
    return adapter(logits).normalize("logsumexp", logits, axis)


@takes_options
def cross_entropy(logits: Any, target: Any, *, axis: int = -1, **options: Unpack[Options]) -> Any:
    """loss = Σ_j a_j·(lse − z_j) + λ·lse²; with no option −log p_y, the mean over the rows, in nats.

    logits           any shape, rows × classes if `axis` is the last; dtypes as softmax's
    target           class indices: integers of logits' shape without `axis`; or probabilities: floats of logits' shape
    axis             of the classes
    {options}

    Returns a float32, or a float64 for float64 logits; an array of them, one a row, with reduction="none".
    A target whose own logit is −inf has loss +inf. Raises ValueError or TypeError, naming the argument, for a target
    outside 0 … classes − 1, shapes that do not fit, and options out of their range.

    >>> cross_entropy([1, 5, 3], 1).round(6)
    np.float64(0.142932)
    >>> cross_entropy([0.0, 20.0], 1)
    np.float64(2.061153620314381e-09)
    """
    return adapter(logits).cross_entropy(logits, target, axis, LossOptions.of(options))


@takes_options
def cross_entropy_and_grad(
    logits: Any, target: Any, *, axis: int = -1, out: Any = None, **options: Unpack[Options]
) -> tuple[Any, Any]:
    """(loss, ∂loss/∂logits) in one pass over memory; with no option the gradient is (p − y) / rows.

    logits, target   as cross_entropy's, and axis
    out              an array for the gradient, or logits itself, whose memory it then overwrites
    {options}

    The gradient has logits' shape and dtype. Ignored rows and −inf logits have gradient 0.

    >>> loss, grad = cross_entropy_and_grad([1, 5, 3], 1)
    >>> grad.round(6)
    array([ 0.015876, -0.133187,  0.11731 ])
    """
    return adapter(logits).cross_entropy_and_grad(logits, target, axis, LossOptions.of(options), out)


def log_prob(logits: Any, target: Any, *, axis: int = -1, temperature: float = 1.0, ignore_index: int = -100) -> Any:
    """log p_y for each row, 0 where the target is ignore_index; float32 or, for float64 logits, float64.

    >>> log_prob([[1.0, 5.0, 3.0], [0.0, 20.0, 0.0]], [1, 1])
    array([-1.42931628e-01, -4.12230724e-09])
    """
    temperature, ignore_index = checks.divisor("temperature", temperature), checks.int64("ignore_index", ignore_index)
    return adapter(logits).log_prob(logits, target, axis, temperature, ignore_index)


def statistics(
    logits: Any, target: Any, *, axis: int = -1, temperature: float = 1.0, ignore_index: int = -100
) -> Statistics:
    """log p_y, entropy, lse, largest class and rank of the target, for each row, in one pass over memory.

    >>> s = statistics([[1.0, 5.0, 3.0], [0.0, 20.0, 0.0]], [1, 2])
    >>> s.log_prob.round(4), s.entropy.round(4), s.argmax, s.rank
    (array([ -0.1429, -20.    ]), array([0.4411, 0.    ]), array([1, 1]), array([0, 1]))
    """
    temperature, ignore_index = checks.divisor("temperature", temperature), checks.int64("ignore_index", ignore_index)
    return adapter(logits).statistics(logits, target, axis, temperature, ignore_index)


def sample(
    logits: Any, *, axis: int = -1, temperature: float = 1.0, rng: Any = None, return_log_prob: bool = False
) -> Any:
    """An index for each row, drawn with probability p: the soft max.

    logits           as softmax's; a row without probabilities (all −inf, +inf or NaN in it) is a ValueError
    rng              a numpy.random.Generator, a seed, or None (SPEC 7)
    return_log_prob  also return log p of the drawn index, float32 or, for float64 logits, float64

    Draws where the running sum of exp passes u·Σ exp, one u for each row: the same for any number of threads.

    >>> sample([[1.0, 5.0, 3.0]] * 4, rng=0)
    array([1, 1, 1, 1])
    """
    temperature = checks.divisor("temperature", temperature)
    return adapter(logits).sample(logits, axis, temperature, rng, return_log_prob)


def set_num_threads(count: int) -> None:
    """Use `count` threads; by default OMP_NUM_THREADS, or all cores. Results are the same bits for any number."""
    if not 1 <= checks.integer("count", count) <= _cpu.MAX_THREADS:
        raise ValueError(f"count is {count}, but must be between 1 and {_cpu.MAX_THREADS}")
    _cpu.set_num_threads(count)


def get_num_threads() -> int:
    """The number of threads that softxent uses."""
    return int(_cpu.get_num_threads())
