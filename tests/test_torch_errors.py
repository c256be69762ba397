"""Every mistake with tensors: softxent's words, in the class that torch.nn.functional raises for it."""

import re
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

import softxent as sx
import softxent.torch as S
from tests.cases import INF, NAN

X = torch.zeros(3, 4)
T = torch.tensor([0, 1, 2])
HUGE = torch.tensor([0, 2**64 - 100, 1], dtype=torch.uint64)  # as int64 it would be −100, ignored
P = torch.full((3, 4), 0.25)
KINDS = "must be integers (class indices) or, in input's shape, probabilities"


def with_one(x, index, value):
    x = x.clone()
    x[index] = value
    return x


def raises(kind, text):
    return pytest.raises(kind, match=f"^{re.escape(text)}$")


def shapes(target, logits, rows):
    return (
        f"target has shape {target}, but input has shape {logits}: "
        f"class indices must have shape {rows}, probabilities {logits}"
    )


# What PyTorch refuses too ---------------------------------------------------------------------------------------------

SHARED = [
    ((X, with_one(T, 1, 4)), {}, "target[1] is 4, but input has 4 classes (0 … 3)"),
    ((X, with_one(T, 2, -1)), {}, "target[2] is -1, but input has 4 classes (0 … 3)"),
    ((X[0], torch.tensor(7)), {}, "target is 7, but input has 4 classes (0 … 3)"),
    ((X, T[:2]), {}, shapes("(2,)", "(3, 4)", "(3,)")),
    ((X, T[0]), {}, shapes("()", "(3, 4)", "(3,)")),
    ((X, torch.zeros(3, 5)), {}, shapes("(3, 5)", "(3, 4)", "(3,)")),
    ((torch.zeros(2, 4, 5), torch.zeros(2, 6).long()), {}, shapes("(2, 6)", "(2, 4, 5)", "(2, 5)")),
    ((X, T.float()), {}, f"target is float32, but {KINDS}"),
    ((X, T.bool()), {}, f"target is bool, but {KINDS}"),
    ((X, P.long()), {}, f"target is int64, but {KINDS}"),
    ((X.long(), T), {}, "input is int64, but must be float16, bfloat16, float32 or float64"),
    ((X.to(torch.complex64), T), {}, "input is complex64, but must be float16, bfloat16, float32 or float64"),
    ((torch.tensor(1.0), torch.tensor(0)), {}, "input is a single number, but must have an axis of classes"),
    (([1.0, 2.0], T), {}, "input is list, but must be a tensor"),
    ((X, [0, 1, 2]), {}, "target is list, but must be a tensor"),
    ((X, T), {"weight": [1, 1, 1, 1]}, "weight is list, but must be a tensor"),
    ((X, T), {"weight": torch.ones(3)}, "weight has shape (3,), but there are 4 classes: expected (4,)"),
    ((X, T), {"weight": torch.ones(2, 2)}, "weight has shape (2, 2), but there are 4 classes: expected (4,)"),
    ((X, T), {"label_smoothing": 1.5}, "label_smoothing is 1.5, but must be a finite number between 0 and 1"),
    ((X, T), {"reduction": "avg"}, "reduction is 'avg', but must be one of 'none', 'sum', 'mean'"),
    ((X, T), {"ignore_index": 1.5}, "ignore_index is 1.5, but must be an integer"),
    ((X.to_sparse(), T), {}, "input is sparse_coo, but must be strided (dense)"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "options", "text"), SHARED)
def test_in_pytorchs_class(arguments, options, text):
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        F.cross_entropy(*arguments, **options)
    with raises(Exception, text) as ours:
        S.cross_entropy(*arguments, **options)
    caught = next(kind for kind in (IndexError, ValueError, TypeError, RuntimeError) if issubclass(theirs.type, kind))
    assert issubclass(ours.type, caught)


def is_tensor_only(arguments, options, _):
    """A list is an array to sx.cross_entropy, and weight is class_weight."""
    return all(isinstance(argument, torch.Tensor) for argument in arguments) and "weight" not in options


@pytest.mark.parametrize(("arguments", "options", "text"), [case for case in SHARED if is_tensor_only(*case)])
def test_of_array_functions_in_numpys_class(arguments, options, text):
    """IndexError and RuntimeError are ValueError or TypeError there, and input is logits."""
    options = {**options, "axis": min(1, getattr(arguments[0], "ndim", 1) - 1)}
    with raises((ValueError, TypeError), text.replace("input's", "logits'").replace("input", "logits")):
        sx.cross_entropy(*arguments, **options)


# What only softxent refuses -------------------------------------------------------------------------------------------

NORMALIZER = "normalizer replaces the divisor of reduction='mean', but reduction is 'sum'"
OWN = [
    ((X, HUGE), {}, "target[1] is 18446744073709551516, but input has 4 classes (0 … 3)"),
    ((torch.zeros(3, 0), T), {}, "input has shape (3, 0), but must have at least 1 class"),
    ((X, T), {"weight": torch.ones(4) > 0}, "weight is bool, but must be numbers"),
    ((X, T), {"label_smoothing": NAN}, "label_smoothing is nan, but must be a finite number between 0 and 1"),
    ((X, T), {"temperature": 0}, "temperature is 0, but must be a finite number above 0"),
    ((X, T), {"softcap": -1.0}, "softcap is -1.0, but must be a finite number above 0"),
    ((X, T), {"z_loss": -1e-4}, "z_loss is -0.0001, but must be a finite number 0 or more"),
    ((X, T), {"normalizer": 3, "reduction": "sum"}, NORMALIZER),
    ((X, T), {"empty": "one"}, "empty is 'one', but must be one of 'nan', 'zero'"),
    ((X, T.to("meta")), {}, "target is on meta, but input is on cpu: both must be on the same device"),
    ((X.to("meta"), T), {}, "target is on cpu, but input is on meta: both must be on the same device"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "options", "text"), OWN)
def test_own(arguments, options, text):
    with raises((ValueError, TypeError), text):
        S.cross_entropy(*arguments, **options)


@pytest.mark.parametrize(
    ("f", "dim", "kind", "text"),
    [
        (S.softmax, 2, IndexError, "dim is 2, but input has 2 axes (-2 … 1)"),
        (S.log_softmax, -3, IndexError, "dim is -3, but input has 2 axes (-2 … 1)"),
        (S.logsumexp, (0, 0), RuntimeError, "dim is (0, 0), but must name at least one axis, and each once"),
        (S.logsumexp, (), RuntimeError, "dim is (), but must name at least one axis, and each once"),
        (S.sample, 1.0, TypeError, "dim is 1.0, but must be an integer"),
        (sx.softmax, 2, ValueError, "axis is 2, but logits has 2 axes (-2 … 1)"),
    ],
)
def test_dim(f, dim, kind, text):
    with raises(kind, text):
        f(X, dim) if f is not S.sample else f(X, dim=dim)


@pytest.mark.parametrize("f", [S.softmax, S.log_softmax, S.sample])
def test_temperature(f):
    with raises(ValueError, "temperature is -1, but must be a finite number above 0"):
        f(X, 1, temperature=-1)


def test_no_probabilities_to_draw_from():
    text = "input[1] has no probabilities to draw from: it is all −inf, or has +inf or NaN"
    with raises(ValueError, text):
        S.sample(with_one(X, 1, -INF))
    with raises(TypeError, "rng is 'a', but must be a torch.Generator, a seed or None"):
        sx.sample(X, rng="a")


@pytest.mark.parametrize(
    ("out", "text"),
    [
        (torch.empty(3, 5), "out has shape (3, 5), but logits has shape (3, 4)"),
        (torch.empty(3, 4).double(), "out is float64, but the gradient is float32, as logits"),
        ([[0.0] * 4] * 3, "out is list, but must be a tensor"),
        (
            torch.zeros(1, 4).expand(3, 4),
            "out overlaps itself, but must hold each number in memory of its own",
        ),
        (X.as_strided((3, 4), (1, 3)), "out shares logits' storage, but must be logits itself or another tensor"),
    ],
)
def test_out(out, text):
    with raises((ValueError, TypeError, RuntimeError), text):
        sx.cross_entropy_and_grad(X, T, out=out)


@pytest.mark.parametrize("bad", [-(2**62), -1, 4, 2**31, 2**62])
def test_a_target_out_of_range_touches_nothing(bad):
    """Neither memory nor logits, whatever its size."""
    x = torch.randn(50, 4, requires_grad=True)
    before = x.detach().clone()
    for inplace in (False, True):
        with pytest.raises(IndexError):
            S.cross_entropy(x * 1 if inplace else x, with_one(torch.zeros(50).long(), 49, bad), inplace=inplace)
    logits = x.detach()
    with pytest.raises(IndexError):
        sx.cross_entropy_and_grad(logits, with_one(torch.zeros(50).long(), 49, bad), out=logits)
    assert torch.equal(x.detach(), before)


def test_without_pytorch():
    code = "import sys; sys.modules['torch'] = None; import softxent.torch"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    expected = "ModuleNotFoundError: softxent.torch needs torch: pip install '.[torch]' in a clone of softxent\n"
    assert done.stderr.endswith(expected)


def test_class_weights_have_their_own_name():
    with raises(ValueError, "class_weight[2] is -2.0, but must be a finite number at least 0"):
        sx.cross_entropy(X, T, class_weight=[1, 1, -2.0, 1])
    with raises(ValueError, "class_weight has shape (3,), but there are 4 classes: expected (4,)"):
        sx.cross_entropy(X, T, class_weight=torch.ones(3))
