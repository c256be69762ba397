"""A network and its back-propagation: layers of h·W + b, an activation between them, softmax + cross-entropy on top.

    h_0 = x                                        the inputs, rows × features
    a_k = h_{k−1}·W_k + b_k,   h_k = σ(a_k)        hidden layer k = 1 … K
    logits = h_K·W_{K+1} + b_{K+1}

and, with δ = ∂loss/∂logits = p − y at the top, down through the layers by the chain rule:

    ∂loss/∂W_k = h_{k−1}ᵀ·δ      ∂loss/∂b_k = Σ_rows δ      ∂loss/∂h_{k−1} = δ·W_kᵀ
    δ ← ∂loss/∂h_{k−1} ∘ σ'(a_{k−1})

Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import sparse
from scipy.special import expit

from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss

Array = NDArray[Any]

BLOCK = 2**22  # bytes of X and of what is computed from it, held at a time when predicting


# σ in place, and beside it δ ∘ σ'(a) in place, written in h = σ(a) -------------------------------------------------


def relu(a: Array) -> None:
    np.maximum(a, 0, out=a)


def through_relu(h: Array, delta: Array) -> None:
    delta *= h > 0


def tanh(a: Array) -> None:
    np.tanh(a, out=a)


def through_tanh(h: Array, delta: Array) -> None:
    delta *= 1 - h * h


def logistic(a: Array) -> None:
    expit(a, out=a)


def through_logistic(h: Array, delta: Array) -> None:
    delta *= h * (1 - h)


ACTIVATIONS: dict[str, tuple[Callable[[Array], None], Callable[[Array, Array], None]]] = {
    "relu": (relu, through_relu),
    "tanh": (tanh, through_tanh),
    "logistic": (logistic, through_logistic),
}


class Parameters:
    """W_k, inputs × outputs, and b_k of all layers: views of one flat vector, so that one step updates all.

    The weights come first: the penalty is on `flat[:penalized]`, and not on the biases.
    """

    def __init__(self, units: Sequence[int], dtype: DTypeLike) -> None:
        shapes = list(pairwise(units))
        self.penalized = sum(above * below for below, above in shapes)
        self.flat = np.zeros(self.penalized + sum(units[1:]), dtype)
        ends = np.cumsum([below * above for below, above in shapes] + list(units[1:])).tolist()
        parts = np.split(self.flat, ends[:-1])
        self.weights = [part.reshape(shape) for part, shape in zip(parts, shapes, strict=False)]
        self.biases = parts[len(shapes) :]
        self.units = tuple(units)

    def like(self) -> Parameters:
        return Parameters(self.units, self.flat.dtype)

    def set(self, weights: Sequence[Array], biases: Sequence[Array]) -> None:
        for mine, given in zip(self.weights + self.biases, [*weights, *biases], strict=True):
            mine[...] = given

    def draw(self, rng: np.random.RandomState) -> None:
        """Draws W uniformly from ±√(6 / (inputs + outputs)); a single layer stays 0, having no symmetry to break.

        Glorot & Bengio 2010, eq. 16.
        """
        if len(self.weights) > 1:
            for W in self.weights:
                bound = np.sqrt(6 / sum(W.shape))
                W[...] = rng.uniform(-bound, bound, W.shape)


class Network:
    def __init__(self, parameters: Parameters, activation: str) -> None:
        self.parameters, self.hidden = parameters, len(parameters.weights) - 1
        self.activate, self.through = ACTIVATIONS[activation]

    @classmethod
    def of(cls, weights: Sequence[Array], biases: Sequence[Array], activation: str, dtype: DTypeLike) -> Network:
        """Returns a network with a copy of these parameters."""
        network = cls(Parameters([*map(len, weights), len(biases[-1])], dtype), activation)
        network.parameters.set(weights, biases)
        return network

    def forward(self, x: Any) -> tuple[list[Any], Array]:
        """Returns h_0 … h_K, which back-propagation needs, and the logits."""
        hidden = [x]
        for k, (W, b) in enumerate(zip(self.parameters.weights, self.parameters.biases, strict=True)):
            a = hidden[k] @ W
            a += b
            if k < self.hidden:
                self.activate(a)
                hidden.append(a)
        return hidden, a

    def backward(self, hidden: list[Any], delta: Array, grad: Parameters) -> None:
        """Writes ∂loss/∂W and ∂loss/∂b of every layer to `grad`, from δ = ∂loss/∂logits."""
        for k in reversed(range(len(hidden))):
            h, W = hidden[k], self.parameters.weights[k]
            product(h.T, delta, out=grad.weights[k])
            delta.sum(axis=0, out=grad.biases[k])
            if k:
                delta = delta @ W.T
                self.through(h, delta)

    def loss_and_grad(self, batch: Examples, loss: Loss, grad: Parameters, divisor: int = 1) -> float:
        """Returns Σ_i s_i·loss_i, and writes the gradient of that sum / divisor to `grad`."""
        hidden, logits = self.forward(batch.X)
        total = loss.and_delta(logits, batch)
        delta = np.divide(logits, divisor, out=logits)
        self.backward(hidden, delta, grad)
        return total

    def logits(self, X: Any) -> Iterator[Array]:
        """Yields the logits, one block of rows after another."""
        row = X.shape[1] + sum(self.parameters.units[1:])
        size = max(1, BLOCK // (row * self.parameters.flat.itemsize))
        for start in range(0, X.shape[0], size):
            yield self.forward(X[start : start + size])[1]


def product(x: Any, y: Array, out: Array) -> None:
    """Writes x·y to `out`, for x dense or sparse."""
    if sparse.issparse(x):
        out[...] = x @ y
    else:
        np.matmul(x, y, out=out)
