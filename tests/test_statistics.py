"""log_prob and statistics: NumPy's and PyTorch's, equal, as the other functions have them, and with derivatives."""

import re

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import jacfwd, jacrev, vmap

import softxent as sx
import softxent.torch as S
from tests.cases import BFLOAT16, FLOAT32, VARIED, WIDE, computed_in

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # PyTorch's own

close = torch.testing.assert_close
X = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
T = torch.tensor([1, 0, -100, 3, 2, 4])


@pytest.mark.parametrize(
    ("case", "dtype"), [pytest.param(c, d, id=f"{c}, {d}") for c in VARIED for d in WIDE if d in c.dtypes]
)
def test_the_same_for_both_and_as_cross_entropy_has_it(case, dtype):
    x, t = case.logits_as(dtype), case.target()
    s = sx.statistics(x, t)
    for ours, theirs in zip(s, sx.statistics(torch.from_numpy(x), torch.from_numpy(t)), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(sx.log_prob(x, t), sx.log_prob(torch.from_numpy(x), torch.from_numpy(t)))
    np.testing.assert_array_equal(sx.log_prob(x, t), -sx.cross_entropy(x, t, reduction="none"))
    np.testing.assert_array_equal(s.argmax, x.argmax(-1))
    defined = np.isfinite(s.log_prob)
    assert (defined == np.isfinite(sx.log_prob(x, t))).all()
    for got, expected in ((s.log_prob, sx.log_prob(x, t)), (s.lse, sx.logsumexp(x))):
        np.testing.assert_array_max_ulp(got[defined], expected[defined], 8)
    right = s.argmax[defined] == t[defined]
    assert (s.rank[defined][right] == 0).all()


def test_an_entropy_that_vanishes_and_one_of_all_alike():
    s = sx.statistics(np.array([[0, 40], [3, 3]], np.float32), [1, 0])
    assert s.entropy[0] == np.float32((1 + 40) * np.exp(-40.0))
    assert s.entropy[1] == np.float32(np.log(2))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_any_axis(axis):
    x = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(FLOAT32)
    t = np.random.default_rng(1).integers(x.shape[axis], size=np.delete(x.shape, axis))
    last = sx.statistics(np.moveaxis(x, axis, -1), t, temperature=0.5)
    for got in (
        sx.statistics(x, t, axis=axis, temperature=0.5),
        S.statistics(torch.tensor(x), torch.tensor(t, dtype=torch.int32), axis, temperature=0.5),
    ):
        for part, expected in zip(got, last, strict=True):
            np.testing.assert_array_equal(part, expected)
    np.testing.assert_array_max_ulp(last.log_prob, sx.log_prob(x, t, axis=axis, temperature=0.5), 8)


def test_dtypes_and_single_rows():
    s = sx.statistics(np.array([1, 5, 3], BFLOAT16), 1)
    assert [np.asarray(part).dtype.name for part in s] == [*["float32"] * 3, *["int64"] * 2]
    assert sx.log_prob([1.0, 5.0, 3.0], 1).dtype == np.float64
    s = S.statistics(torch.tensor([1.0, 5.0, 3.0], dtype=torch.float16), torch.tensor(2))
    assert [part.dtype for part in s] == [*[torch.float32] * 3, *[torch.int64] * 2]
    assert S.log_prob(X.bfloat16(), T).dtype == torch.float32
    assert computed_in(BFLOAT16) == FLOAT32


def test_as_categorical():
    c = torch.distributions.Categorical(logits=X[T >= 0])
    s = S.statistics(X, T)
    close(s.log_prob[T >= 0], c.log_prob(T[T >= 0]))
    close(s.entropy[T >= 0], c.entropy())
    assert s.log_prob[2] == 0
    assert s.rank[2] == -1


# Derivatives --------------------------------------------------------------------------------------------------------


def test_derivatives():
    x = X.clone().requires_grad_()
    f = lambda x: S.statistics(x, T, temperature=0.7)[:3]  # noqa: E731
    assert gradcheck(f, (x,), check_forward_ad=True)
    assert gradgradcheck(f, (x,), check_fwd_over_rev=True)


def test_torch_func():
    many = torch.stack([X, 2 * X, -X])
    entropy = lambda x: S.statistics(x, T).entropy  # noqa: E731
    theirs = lambda x: torch.distributions.Categorical(logits=x, validate_args=False).entropy()  # noqa: E731
    close(vmap(entropy)(many), theirs(many))
    close(jacrev(entropy)(X), jacrev(theirs)(X))
    close(jacfwd(entropy)(X), jacrev(theirs)(X))
    close(vmap(jacrev(entropy))(many)[1], jacrev(theirs)(2 * X))


def test_a_mask_has_no_gradient():
    x = torch.tensor([[1.0, -torch.inf, 3.0]], requires_grad=True)
    s = S.statistics(x, torch.tensor([2]))
    (s.entropy + s.log_prob + s.lse).sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad[0, 1] == 0


def test_argmax_and_rank_have_no_derivative():
    s = S.statistics(X.clone().requires_grad_(), T)
    assert [part.requires_grad for part in s] == [True, True, True, False, False]


# Bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [sx.log_prob, sx.statistics])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
@pytest.mark.parametrize(
    ("target", "options", "text"),
    [
        ([0, 3], {}, "target[1] is 3, but logits has 3 classes (0 … 2)"),
        ([-1, 0], {}, "target[0] is -1, but logits has 3 classes (0 … 2)"),
        ([0, 0], {"temperature": 0}, "temperature is 0, but must be a finite number above 0"),
        (
            [[0.5] * 3] * 2,
            {},
            "target has shape (2, 3), but must be class indices, without the axis of classes",
        ),
        (
            [0, 1, 2],
            {},
            "target has shape (3,), but logits has shape (2, 3): "
            "class indices must have shape (2,), probabilities (2, 3)",
        ),
    ],
)
def test_errors(f, kind, target, options, text):
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        f(kind(np.zeros((2, 3), np.float32)), kind(np.asarray(target)), **options)
