"""sx.diagnose: each mistake, planted in code as people write it, is named, and right numbers are never accused."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st

import softxent as sx
import softxent.torch
from softxent.diagnosis import Diagnosis
from tests.cases import BFLOAT16, FLOAT32, FLOAT64
from tests.test_errors import raises
from tests.test_properties import OPTIONS, matrices, targets

SHAPES = [(4, 3), (5, 7), (9, 10), (6, 2)]
WIDE = [FLOAT32, FLOAT64]


@dataclass
class Batch:
    """Logits and target, with what people compute from them, step by step and in the dtype of the logits."""

    rows: int
    classes: int
    dtype: Any
    seed: int = 0

    def __post_init__(self) -> None:
        rng = np.random.default_rng([self.rows, self.classes, self.seed])
        self.x = (2 * rng.standard_normal((self.rows, self.classes))).astype(self.dtype)
        self.y = rng.integers(self.classes, size=self.rows)
        self.w = np.linspace(0.5, 3.25, self.classes).astype(self.dtype)

    @cached_property
    def onehot(self) -> Any:
        return np.eye(self.classes, dtype=self.dtype)[self.y]

    @cached_property
    def p(self) -> Any:
        return softmax(self.x)

    @cached_property
    def losses(self) -> Any:
        return -np.log(self.p[np.arange(self.rows), self.y])

    @cached_property
    def g(self) -> Any:
        return self.p - self.onehot

    def loss_of(self, p: Any) -> Any:
        return -np.log(p[np.arange(self.rows), self.y]).mean()

    def ignoring(self) -> "Batch":
        """With every fourth row ignored, whose target is −1: NumPy takes the last class for it."""
        other = Batch(self.rows, self.classes, self.dtype, self.seed)
        other.y[::4] = -1
        return other


def softmax(x: Any, axis: Any = -1) -> Any:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def names(diagnosis: Diagnosis) -> list[str]:
    assert not diagnosis.alternatives, diagnosis
    return [finding.name for finding in diagnosis.findings]


# Each mistake, as (loss, grad, options); None: the mistake leaves it as it is, and a right one stands beside ----------


def summed(b: Batch) -> Any:
    return b.losses.sum(), b.g, {}


def averaged(b: Batch) -> Any:
    return b.losses.mean(), b.g / b.rows, {"reduction": "sum"}


def averaged_twice(b: Batch) -> Any:
    return b.losses.mean() / b.rows, b.g / b.rows**2, {}


def divided_by_classes(b: Batch) -> Any:
    return -(b.onehot * np.log(b.p)).mean(), b.g / b.g.size, {}


def wrong_sign(b: Batch) -> Any:
    return -b.losses.mean(), -b.g / b.rows, {}


def in_bits(b: Batch) -> Any:
    return np.log2(1 / b.p[np.arange(b.rows), b.y]).mean(), b.g / b.rows / np.log(b.dtype.type(2)), {}


def target_forgotten(b: Batch) -> Any:
    return None, b.p / b.rows, {}


def softmax_twice(b: Batch) -> Any:
    x = torch.from_numpy(b.x).requires_grad_()
    loss = F.cross_entropy(x.softmax(dim=1), torch.from_numpy(b.y))
    loss.backward()
    return loss.item(), x.grad, {}


def softmax_twice_by_hand(b: Batch) -> Any:
    return None, (softmax(b.p) - b.onehot) / b.rows, {}


def log_forgotten(b: Batch) -> Any:
    x = torch.from_numpy(b.x).requires_grad_()
    loss = F.nll_loss(x.softmax(dim=1), torch.from_numpy(b.y))
    loss.backward()
    return loss.item(), x.grad, {}


def softmax_forgotten(b: Batch) -> Any:
    return -b.x[np.arange(b.rows), b.y].mean(), -b.onehot / b.rows, {}


def wrong_axis(b: Batch) -> Any:
    p = softmax(b.x, 0)
    return b.loss_of(p), (p - b.onehot) / b.rows, {}


def wrong_axis_by_autograd(b: Batch) -> Any:
    x = torch.from_numpy(b.x).requires_grad_()
    loss = F.nll_loss(x.log_softmax(dim=0), torch.from_numpy(b.y))
    loss.backward()
    return loss.item(), x.grad, {}


def softmax_over_all(b: Batch) -> Any:
    p = softmax(b.x, None)
    return b.loss_of(p), (p - b.onehot) / b.rows, {}


def labels_off_by_one(b: Batch) -> Any:
    off = Batch(b.rows, b.classes, b.dtype, b.seed)
    off.y = (b.y + 1) % b.classes
    return off.losses.mean(), off.g / b.rows, {}


def labels_counted_from_one(b: Batch) -> Any:
    off = Batch(b.rows, b.classes, b.dtype, b.seed)
    off.y = b.y - 1
    return off.losses.mean(), off.g / b.rows, {}


def smoothed(b: Batch, epsilon: float, others: int) -> Any:
    """ε is shared among so many classes."""
    q = (1 - epsilon) * b.onehot + epsilon / others * (1 - b.onehot if others < b.classes else 1)
    return -(q * np.log(b.p)).sum(axis=1).mean(), (b.p - q).astype(b.dtype) / b.rows


def smoothing_forgotten(b: Batch) -> Any:
    return b.losses.mean(), b.g / b.rows, {"label_smoothing": 0.1}


def smoothing_undeclared(b: Batch) -> Any:
    return *smoothed(b, 0.05, b.classes), {}


def smoothing_of_another_size(b: Batch) -> Any:
    return *smoothed(b, 0.3, b.classes), {"label_smoothing": 0.1}


def smoothing_over_others(b: Batch) -> Any:
    return *smoothed(b, 0.1, b.classes - 1), {"label_smoothing": 0.1}


def weights_forgotten(b: Batch) -> Any:
    return b.losses.mean(), b.g / b.rows, {"class_weight": b.w}


def weights_divided_by_rows(b: Batch) -> Any:
    w = b.w[b.y]
    return (w * b.losses).mean(), w[:, None] * b.g / b.rows, {"class_weight": b.w}


def temperature_forgotten(b: Batch) -> Any:
    return b.losses.mean(), b.g / b.rows, {"temperature": 3.0}


def temperature_not_in_gradient(b: Batch) -> Any:
    p = softmax(b.x / 3)
    return None, (p - b.onehot) / b.rows, {"temperature": 3.0}


def softcap_forgotten(b: Batch) -> Any:
    return b.losses.mean(), b.g / b.rows, {"softcap": 2.0}


def z_loss_forgotten(b: Batch) -> Any:
    return b.losses.mean(), b.g / b.rows, {"z_loss": 1e-2}


def normalizer_forgotten(b: Batch) -> Any:
    return b.losses.mean(), b.g / b.rows, {"normalizer": 64.0}


def ignored_rows_counted(b: Batch) -> Any:
    c = b.ignoring()
    return c.losses.mean(), c.g / c.rows, {"ignore_index": -1, "target": c.y}


def ignored_rows_not_zeroed(b: Batch) -> Any:
    c = b.ignoring()
    y = np.where((c.y >= 0)[:, None], c.onehot, 0)
    return None, (c.p - y) / (c.y >= 0).sum(), {"ignore_index": -1, "target": c.y}


def ignored_rows_in_divisor(b: Batch) -> Any:
    c = b.ignoring()
    counted = c.y >= 0
    return (counted * c.losses).sum() / c.rows, counted[:, None] * c.g / c.rows, {"ignore_index": -1, "target": c.y}


PLANTED = [
    (summed, "summed"),
    (averaged, "averaged"),
    (averaged_twice, "averaged_twice"),
    (divided_by_classes, "divided_by_classes"),
    (wrong_sign, "wrong_sign"),
    (in_bits, "in_bits"),
    (target_forgotten, "target_forgotten"),
    (softmax_twice, "softmax_twice"),
    (softmax_twice_by_hand, "softmax_twice"),
    (log_forgotten, "log_forgotten"),
    (softmax_forgotten, "softmax_forgotten"),
    (wrong_axis, "wrong_axis"),
    (wrong_axis_by_autograd, "wrong_axis"),
    (softmax_over_all, "softmax_over_all"),
    (labels_off_by_one, "labels_off_by_one"),
    (labels_counted_from_one, "labels_off_by_one"),
    (smoothing_forgotten, "label_smoothing"),
    (smoothing_undeclared, "label_smoothing"),
    (smoothing_of_another_size, "label_smoothing"),
    (smoothing_over_others, "label_smoothing_over_others"),
    (weights_forgotten, "weights_not_applied"),
    (weights_divided_by_rows, "weights_divided_by_rows"),
    (temperature_forgotten, "temperature_not_applied"),
    (temperature_not_in_gradient, "temperature_not_in_gradient"),
    (softcap_forgotten, "softcap_not_applied"),
    (z_loss_forgotten, "z_loss_not_applied"),
    (normalizer_forgotten, "normalizer_not_applied"),
    (ignored_rows_counted, "ignored_rows_counted"),
    (ignored_rows_not_zeroed, "ignored_rows_counted"),
    (ignored_rows_in_divisor, "ignored_rows_in_divisor"),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize(("plant", "name"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_each_mistake_is_named(plant: Any, name: str, shape: Any, dtype: Any) -> None:
    b = Batch(*shape, dtype)
    loss, grad, options = plant(b)
    target = options.pop("target", b.y)
    for numbers, part in (
        ({"loss": loss, "grad": grad}, "loss and grad"),
        ({"loss": loss}, "loss"),
        ({"grad": grad}, "grad"),
    ):
        if all(value is not None for value in numbers.values()):
            diagnosis = sx.diagnose(b.x, target, **numbers, **options)
            assert [(each.name, each.part) for each in diagnosis.findings] == [(name, part)], diagnosis
            assert not diagnosis.alternatives, diagnosis
            assert diagnosis.findings[0].fix


@pytest.mark.parametrize(
    "plant", [summed, averaged, averaged_twice, divided_by_classes, wrong_sign, in_bits, temperature_not_in_gradient]
)
def test_the_fix_mends_it(plant: Any) -> None:
    b = Batch(5, 7, FLOAT64)
    loss, grad, options = plant(b)
    names_of_fix = {"loss": loss, "grad": grad, "math": math}
    given = [name for name in ("loss", "grad") if names_of_fix[name] is not None]
    (finding,) = sx.diagnose(b.x, b.y, **{name: names_of_fix[name] for name in given}, **options).findings
    exec(finding.fix, names_of_fix)
    assert sx.diagnose(b.x, b.y, **{name: names_of_fix[name] for name in given}, **options).correct


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize(("plant", "name"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_mistake_of_the_gradient_alone(plant: Any, name: str, dtype: Any) -> None:
    """The loss beside it is right."""
    b = Batch(5, 7, dtype, seed=1)
    _, grad, options = plant(b)
    target = options.pop("target", b.y)
    loss = sx.cross_entropy(b.x, target, **options)
    diagnosis = sx.diagnose(b.x, target, loss=loss, grad=grad, **options)
    expected = "gradient_of_another_reduction" if name in ("summed", "averaged") else name
    assert [(each.name, each.part) for each in diagnosis.findings] == [(expected, "grad")], diagnosis
    assert diagnosis.ulp.keys() == {"loss"}


TOGETHER = [
    (lambda b: (-b.losses.sum(), -b.g, {}), {"wrong_sign", "summed"}),
    (lambda b: (-b.losses.mean(), b.g, {}), {"wrong_sign", "summed"}),  # of the loss, and of the gradient
    (lambda b: (None, -b.p, {}), {"target_forgotten", "wrong_sign", "summed"}),
    (lambda b: (None, b.p, {}), {"target_forgotten", "summed"}),
    (lambda b: (b.loss_of(softmax(b.p)) * b.rows, None, {}), {"softmax_twice", "summed"}),
    (lambda b: (None, b.g / b.rows / b.classes, {"reduction": "sum"}), {"averaged", "divided_by_classes"}),
]


@pytest.mark.parametrize("dtype", WIDE, ids=str)
@pytest.mark.parametrize(("plant", "expected"), TOGETHER)
def test_two_mistakes_at_once(plant: Any, expected: set[str], dtype: Any) -> None:
    b = Batch(5, 7, dtype)
    loss, grad, options = plant(b)
    assert set(names(sx.diagnose(b.x, b.y, loss=loss, grad=grad, **options))) == expected


def test_evidence() -> None:
    b = Batch(4, 3, FLOAT64)
    finding = sx.diagnose(b.x, b.y, grad=b.g).findings[0]
    assert finding.ratio == pytest.approx(4)
    (place,) = finding.places
    largest = np.abs(b.g).argmax()
    assert (place.name, place.index) == ("grad", divmod(int(largest), 3))
    assert place.got == pytest.approx(4 * place.expected)
    assert finding.fix == "grad = grad / 4"


def test_places_in_the_users_shape() -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(2, 5, 3)), rng.integers(5, size=(2, 3))
    _, grad = sx.cross_entropy_and_grad(logits, target, axis=1)
    assert sx.diagnose(logits, target, grad=grad, axis=1).correct
    grad[1, 4, 2] += 0.25
    diagnosis = sx.diagnose(logits, target, grad=grad, axis=1)
    assert names(diagnosis) == ["unexplained"]
    assert [place.index for place in diagnosis.findings[0].places] == [(1, 4, 2)]


@pytest.mark.parametrize("axis", [0, 1])
def test_softmax_over_another_axis_of_many(axis: int) -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(2, 3, 5)), rng.integers(5, size=(2, 3))
    p = softmax(logits, axis)
    grad = (p - np.eye(5)[target]) / 6
    (finding,) = sx.diagnose(logits, target, grad=grad).findings
    assert (finding.name, finding.values["axis"]) == ("wrong_axis", str(axis))


def test_classes_on_another_axis_of_a_square() -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(4, 4)), rng.integers(4, size=4)
    loss, grad = sx.cross_entropy_and_grad(logits, target, axis=0)
    assert names(sx.diagnose(logits, target, loss=loss, grad=grad)) == ["wrong_axis"]


@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_smoothing_that_fits_is_said(dtype: Any) -> None:
    b = Batch(9, 10, dtype)
    _, grad = smoothed(b, 0.137, 10)
    (finding,) = sx.diagnose(b.x, b.y, grad=grad, label_smoothing=0.1).findings
    assert (finding.name, finding.values["found"], finding.values["label_smoothing"]) == (
        "label_smoothing",
        "0.137",
        "0.1",
    )


def test_class_weights_that_were_not_declared() -> None:
    b = Batch(9, 4, FLOAT64)
    w = np.array([1.0, 2.0, 4.0, 0.5])
    _, grad = sx.cross_entropy_and_grad(b.x, b.y, class_weight=w)
    (finding,) = sx.diagnose(b.x, b.y, grad=grad).findings
    assert finding.name == "class_weight"
    seen = w[b.y]
    assert float(finding.values["times"]) == pytest.approx(seen.max() / seen.min())


def test_weights_of_rows() -> None:
    b = Batch(9, 4, FLOAT32)
    grad = b.g * np.linspace(0.5, 2, 9, dtype=FLOAT32)[:, None]
    assert names(sx.diagnose(b.x, b.y, grad=grad)) == ["row_weights"]


def test_a_factor_of_no_known_cause() -> None:
    b = Batch(5, 7, FLOAT32)
    (finding,) = sx.diagnose(b.x, b.y, grad=b.g / 5 * FLOAT32.type(0.37)).findings
    assert (finding.name, finding.values["factor"]) == ("factor", "0.37")


def test_each_part_of_its_own() -> None:
    b = Batch(5, 7, FLOAT64)
    diagnosis = sx.diagnose(b.x, b.y, loss=b.losses.sum(), grad=b.p / 5)
    assert {(each.name, each.part) for each in diagnosis.findings} == {("summed", "loss"), ("target_forgotten", "grad")}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_that_were_not_reduced(reduction: Any) -> None:
    b = Batch(5, 7, FLOAT64)
    assert names(sx.diagnose(b.x, b.y, loss=b.losses, reduction=reduction)) == ["not_reduced"]


@pytest.mark.parametrize(("reduce", "name"), [(np.mean, "averaged"), (np.sum, "summed")])
def test_losses_that_were_reduced(reduce: Any, name: str) -> None:
    b = Batch(5, 7, FLOAT64)
    assert names(sx.diagnose(b.x, b.y, loss=reduce(b.losses), reduction="none")) == [name]


# What cannot be told apart --------------------------------------------------------------------------------------------


def test_a_mean_over_one_row_is_the_sum() -> None:
    b = Batch(1, 5, FLOAT64)
    assert sx.diagnose(b.x, b.y, loss=b.losses.sum(), grad=b.g).correct
    assert sx.diagnose(b.x, b.y, loss=b.losses.sum(), grad=b.g, reduction="none").correct


def test_as_many_rows_as_classes() -> None:
    b = Batch(5, 5, FLOAT64)
    diagnosis = sx.diagnose(b.x, b.y, grad=b.g / 5, reduction="sum")
    found = [[each.name for each in findings] for findings in (diagnosis.findings, *diagnosis.alternatives)]
    assert sorted(found) == [["averaged"], ["divided_by_classes"]]
    assert diagnosis.text("en").startswith("either\n")
    assert diagnosis.text("en").endswith("These numbers cannot tell which.")


# The logits themselves ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_probabilities_as_logits(dtype: Any) -> None:
    b = Batch(5, 7, dtype)
    loss, grad = sx.cross_entropy_and_grad(b.p, b.y)
    diagnosis = sx.diagnose(b.p, b.y, loss=loss, grad=grad)
    assert names(diagnosis) == ["probabilities_as_logits"]
    assert diagnosis.findings[0].values["floor"] == f"{math.log(1 + 6 / math.e):.6g}"
    assert diagnosis.ulp.keys() == {"loss", "grad"}
    assert names(sx.diagnose(b.p, b.y, loss=b.losses.mean())) == ["taken_as_probabilities"]


@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_log_probabilities_are_no_mistake(dtype: Any) -> None:
    b = Batch(5, 7, dtype)
    diagnosis = sx.diagnose(np.log(b.p), b.y, loss=b.losses.mean(), grad=b.g / 5)
    assert diagnosis.correct
    assert [hint.name for hint in diagnosis.hints] == ["log_probabilities_as_logits"]


# inf and NaN ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", WIDE, ids=str)
def test_overflow(dtype: Any) -> None:
    far = 100 if dtype == FLOAT32 else 1000
    x, y = np.array([[1.0, 2, 0], [far, far - 1, far - 5], [3, 0, 1]], dtype), np.array([0, 1, 2])
    with np.errstate(all="ignore"):
        e = np.exp(x)
        p = e / e.sum(axis=1, keepdims=True)
        losses = -np.log(p[np.arange(3), y])
    for numbers in (
        {"loss": losses.mean()},
        {"grad": (p - np.eye(3, dtype=dtype)[y]) / 3},
        {"loss": losses.mean(), "grad": (p - np.eye(3)[y]) / 3},
    ):
        assert names(sx.diagnose(x, y, **numbers)) == ["overflow_without_max_shift"]
    grad = p - np.eye(3, dtype=dtype)[y]
    assert set(names(sx.diagnose(x, y, grad=grad))) == {"overflow_without_max_shift", "summed"}


def test_all_underflow() -> None:
    x, y = np.array([[-1000.0, -1001, -999]]), np.array([0])
    with np.errstate(all="ignore"):
        e = np.exp(x)
        grad = e / e.sum(axis=1, keepdims=True) - np.eye(3)[y]
    assert names(sx.diagnose(x, y, grad=grad)) == ["overflow_without_max_shift"]


@pytest.mark.parametrize(("dtype", "far"), [(FLOAT32, 120), (FLOAT64, 800)], ids=str)
def test_log_of_zero(dtype: Any, far: float) -> None:
    x, y = np.array([[0, far, 1], [1, 2, 3]], dtype) - dtype.type(far), np.array([0, 1])
    with np.errstate(divide="ignore"):
        losses = -np.log(softmax(x)[np.arange(2), y])
    assert names(sx.diagnose(x, y, loss=losses, reduction="none")) == ["log_of_zero"]


def test_zero_times_inf() -> None:
    x, y = np.array([[0, 1, -np.inf], [1, 2, 3]]), np.array([0, 1])
    with np.errstate(invalid="ignore"):
        loss = -(np.eye(3)[y] * sx.log_softmax(x)).sum(axis=1).mean()
    assert names(sx.diagnose(x, y, loss=loss)) == ["zero_times_inf"]


def test_a_sum_overflows_float16() -> None:
    x, y = torch.zeros(17, 1000, dtype=torch.float16), torch.zeros(17, dtype=torch.int64)
    loss = F.cross_entropy(x, y, label_smoothing=0.5)
    assert loss == math.inf
    assert names(sx.diagnose(x, y, loss=loss, label_smoothing=0.5)) == ["sum_overflows"]


def test_overflow_or_a_product_with_log_0() -> None:
    """A loss of NaN that either would give."""
    x, y = np.array([[1000.0, 999, 0], [3, 0, 1]], FLOAT32), np.array([0, 1])
    diagnosis = sx.diagnose(x, y, loss=np.nan)
    found = [[each.name for each in findings] for findings in (diagnosis.findings, *diagnosis.alternatives)]
    assert found == [["overflow_without_max_shift"], ["zero_times_inf"]]


def test_nan_of_no_known_cause() -> None:
    b = Batch(4, 3, FLOAT64)
    grad = b.g / 4
    grad[2, 1] = np.nan
    (finding,) = sx.diagnose(b.x, b.y, grad=grad).findings
    assert (finding.name, finding.places[0].index) == ("not_finite", (2, 1))


# Numerical derivatives ------------------------------------------------------------------------------------------------


def numerical(b: Batch, h: float, kind: str = "central", reduction: str = "mean") -> Any:
    """As it is usually written: the whole loss again for each entry, in the dtype of the logits."""
    h = b.dtype.type(h)

    def loss(x: Any) -> Any:
        losses = np.log(np.exp(x).sum(axis=1)) - x[np.arange(b.rows), b.y]
        return losses.mean() if reduction == "mean" else losses.sum()

    grad = np.zeros_like(b.x)
    for index in np.ndindex(*b.x.shape):
        step = np.zeros_like(b.x)
        step[index] = h
        if kind == "central":
            grad[index] = (loss(b.x + step) - loss(b.x - step)) / (2 * h)
        else:
            grad[index] = (loss(b.x + step) - loss(b.x)) / h
    return grad


STEPS = [
    *((FLOAT64, "central", h, "too_large") for h in (0.5, 1e-1, 1e-2, 1e-3)),
    *((FLOAT64, "central", h, "") for h in (1e-4, 1e-5, 1e-6)),
    *((FLOAT64, "central", h, "too_small") for h in (1e-8, 1e-10, 1e-12, 1e-14)),
    *((FLOAT64, "forward", h, "too_large") for h in (1e-1, 1e-3, 1e-5, 1e-6)),
    *((FLOAT64, "forward", h, "") for h in (1e-7, 1e-8)),
    *((FLOAT64, "forward", h, "too_small") for h in (1e-10, 1e-12, 1e-14)),
    *((FLOAT32, "central", h, "too_large") for h in (0.5,)),
    *((FLOAT32, "central", h, "") for h in (1e-2, 1e-3)),
    *((FLOAT32, "central", h, "too_small") for h in (1e-4, 1e-5, 1e-6)),
]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("dtype", "kind", "h", "verdict"), STEPS)
def test_numerical_derivatives(dtype: Any, kind: str, h: float, verdict: str, seed: int, reduction: Any) -> None:
    b = Batch(4, 5, dtype, seed)
    diagnosis = sx.diagnose(b.x, b.y, grad=numerical(b, h, kind, reduction), reduction=reduction)
    if not verdict:
        assert diagnosis.correct, diagnosis
        return
    (finding,) = diagnosis.findings
    assert finding.name == f"finite_difference_step_{verdict}", diagnosis
    assert float(finding.values["h"]) == pytest.approx(h, rel=1e-2)


# What is right --------------------------------------------------------------------------------------------------------


@given(matrices(), OPTIONS, st.booleans(), st.booleans())
def test_right_numbers_are_never_accused(logits: Any, options: Any, by_index: bool, weighted: bool) -> None:
    assume(len(logits))
    t = targets(logits) if by_index else sx.softmax(np.clip(logits, -1e3, 1e3))
    if options.get("z_loss"):
        logits = np.clip(logits, -1e4, 1e4)
    if weighted:
        options["class_weight"] = np.linspace(0.25, 3, logits.shape[1])
    loss, grad = sx.cross_entropy_and_grad(logits, t, **options)
    diagnosis = sx.diagnose(logits, t, loss=loss, grad=grad, **options)
    assert diagnosis.correct, diagnosis
    assert diagnosis.ulp.keys() == {"loss", "grad"}


TORCH_OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "label_smoothing": st.sampled_from([0.0, 0.1, 0.9]),
        "reduction": st.sampled_from(["none", "sum", "mean"]),
        "ignore_index": st.sampled_from([-100, 0]),
    },
)


@given(matrices(), TORCH_OPTIONS, st.booleans(), st.booleans(), st.booleans())
def test_torch_is_never_accused(logits: Any, options: Any, by_index: bool, weighted: bool, tensors: bool) -> None:
    assume(len(logits))
    masked = np.isneginf(logits).any()
    assume(not (masked and (options.get("label_smoothing") or not by_index)))  # 0·(−inf) is NaN there
    t = targets(logits) if by_index else sx.softmax(np.clip(logits, -1e3, 1e3))
    if not by_index:
        options.pop("ignore_index", None)
    w = np.linspace(0.25, 3, logits.shape[1]).astype(logits.dtype) if weighted else None
    weight = None if w is None else torch.from_numpy(w)
    x, target = torch.from_numpy(logits).requires_grad_(), torch.from_numpy(t)
    loss = F.cross_entropy(x, target, weight=weight, **options)
    loss.sum().backward()
    given = (loss.detach().numpy(), x.grad.numpy()) if not tensors else (loss, x.grad)
    on = (logits, t, w) if not tensors else (x, target, weight)
    diagnosis = sx.diagnose(*on[:2], loss=given[0], grad=given[1], class_weight=on[2], **options)
    assert diagnosis.correct, diagnosis


@given(matrices(masks=False), st.sampled_from(["mean", "sum"]))
def test_numpy_by_hand_is_never_accused(logits: Any, reduction: Any) -> None:
    assume(len(logits))
    t, rows = targets(logits), np.arange(len(logits))
    p = softmax(logits)
    grad = p.copy()
    grad[rows, t] -= 1
    with np.errstate(over="ignore"):
        z = logits - logits.max(axis=1, keepdims=True)
        losses = np.log(np.exp(z).sum(axis=1)) - z[rows, t]
        loss = losses.mean() if reduction == "mean" else losses.sum()
    divisor = len(logits) if reduction == "mean" else 1
    diagnosis = sx.diagnose(logits, t, loss=loss, grad=grad / divisor, reduction=reduction)
    assert diagnosis.correct, diagnosis


@given(matrices(), st.integers(0, 2**32))
def test_no_known_mistake_no_accusation(logits: Any, seed: int) -> None:
    """A gradient of noise is wrong, and nothing explains it."""
    assume(logits.shape[0] * logits.shape[1] >= 6)
    t, rng = targets(logits), np.random.default_rng(seed)
    _, grad = sx.cross_entropy_and_grad(logits, t)
    noise = grad + rng.uniform(0.1, 0.5, grad.shape).astype(grad.dtype) / len(logits)
    assume(not np.isneginf(logits).all(axis=0).any())
    diagnosis = sx.diagnose(logits, t, grad=noise)
    assert names(diagnosis) == ["unexplained"], diagnosis


@pytest.mark.parametrize("dtype", [np.dtype(np.float16), BFLOAT16], ids=str)
@pytest.mark.parametrize("seed", range(5))
def test_16_bits(dtype: Any, seed: int) -> None:
    b = Batch(5, 7, FLOAT32, seed)
    x = b.x.astype(dtype)
    loss, grad = sx.cross_entropy_and_grad(x, b.y)
    diagnosis = sx.diagnose(x, b.y, loss=loss, grad=grad)
    assert diagnosis.correct
    assert diagnosis.dtype == {"loss": dtype.name, "grad": dtype.name}
    assert all(ulp <= 1 for ulp in diagnosis.ulp.values())
    assert names(sx.diagnose(x, b.y, grad=-grad)) == ["wrong_sign"]


def test_ulp_are_counted() -> None:
    x, y = np.array([[1.0, 5.0, 3.0]]), [1]
    loss, grad = sx.cross_entropy_and_grad(x, y)
    assert sx.diagnose(x, y, loss=loss, grad=grad).ulp == {"loss": 0, "grad": 0}
    grad[0, 2] += 3 * np.spacing(grad[0, 2])
    assert sx.diagnose(x, y, loss=np.nextafter(loss, 1), grad=grad).ulp == {"loss": 1, "grad": 3}


def test_digits_lost() -> None:
    x = torch.tensor([[0.0, 20.0], [1.0, 2.0]], requires_grad=True)
    y = torch.tensor([1, 0])
    diagnosis = sx.diagnose(x, y, loss=lambda x, y: F.cross_entropy(x, y))
    assert diagnosis.correct
    assert [(hint.name, hint.part) for hint in diagnosis.hints] == [("digits_lost", "grad")]
    assert diagnosis.hints[0].places[0].index == (0, 1)
    exact = sx.diagnose(x, y, loss=softxent.torch.cross_entropy)
    assert exact.correct
    assert not exact.hints


# Functions ------------------------------------------------------------------------------------------------------------


def test_a_function_of_tensors() -> None:
    x, y = torch.randn(5, 7, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 4])
    assert sx.diagnose(x, y, loss=F.cross_entropy).correct
    assert sx.diagnose(x, y, loss=torch.nn.CrossEntropyLoss()).ulp.keys() == {"loss", "grad"}
    assert names(sx.diagnose(x, y, loss=lambda x, y: F.cross_entropy(x.softmax(1), y))) == ["softmax_twice"]
    assert names(sx.diagnose(x, y, loss=lambda x, y: F.cross_entropy(x, y, reduction="sum"))) == ["summed"]
    assert names(sx.diagnose(x, y, loss=F.cross_entropy, reduction="sum")) == ["averaged"]
    assert sx.diagnose(x, y, loss=lambda x, y: F.cross_entropy(x, y, reduction="none"), reduction="none").correct
    assert x.grad is None


def test_a_function_of_arrays() -> None:
    b = Batch(5, 7, FLOAT64)

    def loss_and_grad(x: Any, y: Any) -> Any:
        x -= x.max(axis=1, keepdims=True)  # it may write to its arguments
        p = softmax(x)
        return -np.log(p[np.arange(len(y)), y]).mean(), (p - np.eye(x.shape[1])[y]) / len(y)

    before = b.x.copy()
    assert sx.diagnose(b.x, b.y, loss=loss_and_grad).ulp.keys() == {"loss", "grad"}
    assert sx.diagnose(b.x, b.y, loss=lambda x, y: loss_and_grad(x, y)[0]).ulp.keys() == {"loss"}
    assert sx.diagnose(b.x, b.y, grad=lambda x, y: loss_and_grad(x, y)[1]).ulp.keys() == {"grad"}
    np.testing.assert_array_equal(b.x, before)


def test_lists_and_numbers() -> None:
    assert sx.diagnose([1, 5, 3], 1, loss=float(sx.cross_entropy([1, 5, 3], 1))).correct
    assert names(sx.diagnose([[1, 5, 3], [0, 1, 2]], [1, 2], grad=softmax(np.array([[1, 5, 3], [0, 1, 2]])) / 2)) == [
        "target_forgotten"
    ]


@pytest.mark.parametrize("options", [{}, {"reduction": "sum"}])
def test_nothing_counted(options: Any) -> None:
    x, y = torch.zeros(2, 3), torch.tensor([-100, -100])
    assert sx.diagnose(x, y, loss=lambda x, y: F.cross_entropy(x, y, **options), **options).correct


# Bad input ------------------------------------------------------------------------------------------------------------

X, Y = np.zeros((3, 4)), np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({}, ValueError, "loss and grad are missing, but one of them must be given: what your own code computed"),
        ({"loss": "1"}, ValueError, "loss is <U1, but must be real numbers"),
        ({"grad": X > 0}, ValueError, "grad is bool, but must be real numbers"),
        ({"loss": X}, ValueError, "loss has shape (3, 4), but must be a single number, or one a row, of shape (3,)"),
        ({"loss": X[0]}, ValueError, "loss has shape (4,), but must be a single number, or one a row, of shape (3,)"),
        ({"grad": X.T}, ValueError, "grad has shape (4, 3), but logits has shape (3, 4)"),
        ({"loss": 1.0, "target": [0, 1, 9]}, ValueError, "target[2] is 9, but logits has 4 classes (0 … 3)"),
        ({"loss": 1.0, "axis": 2}, ValueError, "axis is 2, but logits has 2 axes (-2 … 1)"),
        ({"loss": 1.0, "temperature": 0}, ValueError, "temperature is 0, but must be a finite number above 0"),
        (
            {"loss": 1.0, "logits": X[:0], "target": Y[:0]},
            ValueError,
            "logits has shape (0, 4), but must have at least 1 row",
        ),
        (
            {"loss": lambda x, y: (1, 2, 3)},
            ValueError,
            "the function returned 3 values, but must return the loss, or the loss and the gradient",
        ),
        ({"loss": 1.0, "smoothing": 0.1}, TypeError, "smoothing is not an option"),
    ],
)
def test_bad_input(arguments: Any, kind: Any, text: str) -> None:
    arguments = {"logits": X, "target": Y, **arguments}
    if text.startswith("smoothing"):
        with pytest.raises(kind, match=text):
            sx.diagnose(**arguments)
        return
    with raises(kind, text):
        sx.diagnose(**arguments)


# Words ----------------------------------------------------------------------------------------------------------------


def test_in_both_languages() -> None:
    b = Batch(4, 3, FLOAT64)
    diagnosis = sx.diagnose(b.x, b.y, loss=b.losses.mean(), grad=b.g)
    assert (
        diagnosis.text("en").splitlines()[0]
        == "gradient: of another reduction than the loss, which is reduction='mean'"
    )
    assert diagnosis.text("zh").splitlines()[0] == "梯度：与损失的归约方式不一致：损失是 reduction='mean'"
    assert "  4 × the right one" in diagnosis.text("en").splitlines()
    assert "  fix: grad = grad / 4" in diagnosis.text("en").splitlines()
    assert "  修正：grad = grad / 4" in diagnosis.text("zh").splitlines()


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize(("plant", "name"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_said_fits_a_terminal(plant: Any, name: str, lang: str) -> None:
    b = Batch(5, 7, FLOAT32)
    loss, grad, options = plant(b)
    diagnosis = sx.diagnose(b.x, options.pop("target", b.y), loss=loss, grad=grad, **options)
    for line in diagnosis.text(lang).splitlines():
        assert len(line) + sum(ord(c) > 0x2E80 for c in line) <= 100, line


def test_the_first_and_the_furthest_are_named() -> None:
    b = Batch(4, 3, FLOAT64)
    grad = b.g / 4
    grad[1, 2], grad[3, 0] = 0.5, 5.0
    (finding,) = sx.diagnose(b.x, b.y, grad=grad).findings
    assert finding.name == "unexplained"
    first, furthest = list(finding.lines("en"))[1:]
    assert first.startswith("  first: grad[1, 2] is 0.5, but should be ")
    assert furthest.startswith("  furthest off: grad[3, 0] is 5, but should be ")
    assert [line.split("：")[0] for line in finding.lines("zh")] == ["梯度", "  第一处", "  相差最大"]


def test_prints_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    diagnosis = sx.diagnose([[0.0, 0.0]], [1], loss=math.log(2))
    assert str(diagnosis) == repr(diagnosis) == diagnosis.text("zh") == "损失：正确，误差不超过 0 ULP（float64）"


def test_to_dict() -> None:
    b = Batch(4, 3, FLOAT64)
    (finding,) = sx.diagnose(b.x, b.y, loss=b.losses.sum()).to_dict()["findings"]
    assert finding == {
        "name": "summed",
        "part": "loss",
        "ratio": pytest.approx(4),
        "places": [
            {
                "name": "loss",
                "index": [],
                "got": pytest.approx(b.losses.sum()),
                "expected": pytest.approx(b.losses.mean()),
            }
        ],
        "fix": "loss = loss / 4",
    }
