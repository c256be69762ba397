"""softxent.torch.parallel on processes with gloo: every option against definition.py on the gathered logits."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import softxent.torch  # noqa: E402
from softxent import definition  # noqa: E402
from softxent.torch import parallel  # noqa: E402
from tests.cases import BFLOAT16, CASES, FLOAT32, FLOAT64, assert_close, computed_in, definition_error  # noqa: E402


def cuts(classes, ranks, kind="even"):
    """Where slices begin and end."""
    if kind == "empty":  # the second has no class
        return (
            [0, classes, *[classes] * (ranks - 1)]
            if ranks == 2
            else [0, classes // 2, *[classes // 2] * (ranks - 2), classes]
        )
    if kind == "uneven":
        return [0, *sorted(np.random.default_rng(classes).integers(0, classes + 1, ranks - 1)), classes]
    each = -(-classes // ranks)
    return [min(classes, each * r) for r in range(ranks)] + [classes]


def own(group, edges):
    rank = torch.distributed.get_rank(group)
    return slice(int(edges[rank]), int(edges[rank + 1]))


def loss_and_grad(group, logits, target, edges, options, by_index, dtype="float32"):
    part = own(group, edges)
    x = torch.as_tensor(logits[:, part]).to(getattr(torch, dtype)).requires_grad_()
    t = torch.as_tensor(target if by_index else target[:, part])
    options = dict(options)
    if "weight" in options:
        options["weight"] = torch.as_tensor(options["weight"][part])
    loss = parallel.cross_entropy(x, t, group, part.start, logits.shape[1], **options)
    u = torch.arange(1, loss.numel() + 1, dtype=loss.dtype).reshape(loss.shape)
    (loss * u).sum().backward()
    return loss.detach().numpy(), x.grad.float().numpy() if dtype == "bfloat16" else x.grad.numpy()


WEIGHT = "weight"
OPTIONS = [
    {},
    {"label_smoothing": 0.1},
    {"z_loss": 1e-3},
    {"temperature": 0.7},
    {"softcap": 15.0},
    {"weight": WEIGHT},
    {"weight": WEIGHT, "label_smoothing": 0.3, "z_loss": 1e-2, "temperature": 2.0, "softcap": 30.0},
    {"label_smoothing": 1.0},
    {"reduction": "mean"},
    {"reduction": "mean", "weight": WEIGHT},
    {"reduction": "sum", "z_loss": 1e-3},
    {"reduction": "mean", "normalizer": 7.0},
]


def expected(logits, target, options, dtype):
    options = {"reduction": "none", **options}
    weight = options.pop("weight", None)
    return definition.cross_entropy_and_grad(logits, target, class_weight=weight, round_z_to=dtype, **options)


def terms_of(logits, target, options, dtype, by_index):
    """How large the terms are that a gradient is the difference of, where it is one: those of a soft target."""
    names = ("temperature", "softcap")
    given = {name: options[name] for name in names if name in options}
    z = definition.scaled(logits, **given).astype(dtype)
    p, size = definition.softmax(z), np.abs(definition.logsumexp(z))[:, None]
    t = np.where(target < 0, 0, target) if by_index else target
    a = definition.target_weights(t, logits.shape, options.get("weight"), options.get("label_smoothing", 0.0))
    soft = not by_index or options.get("label_smoothing", 0) > 0
    of_z = 2 * options.get("z_loss", 0) * size * p + (np.maximum(a.sum(1, keepdims=True) * p, a) if soft else 0)
    return of_z * definition.scaled_slope(logits, **given)


def with_weight(options, classes):
    weight = np.random.default_rng(3).uniform(0.1, 3, classes).astype(np.float32)
    return {**options, "weight": weight} if "weight" in options else options


@pytest.mark.parametrize("kind", ["even", "uneven", "empty"])
@pytest.mark.parametrize("by_index", [True, False], ids=["indices", "probabilities"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_options(ranks, options, by_index, kind):
    count = {"even": 2, "uneven": 4, "empty": 3}[kind]
    rng = np.random.default_rng(1)
    logits = (4 * rng.standard_normal((6, 23))).astype(np.float32)
    target = rng.integers(23, size=6)
    if by_index:
        target[2] = -100
    else:
        target = rng.dirichlet(np.ones(23), 6).astype(np.float32)
    options = {"reduction": "none", **with_weight(options, 23)}
    found = ranks.run(loss_and_grad, count, logits, target, cuts(23, count, kind), options, by_index)
    loss, grad = expected(logits, target, options, np.float32)
    terms = terms_of(logits, target, options, np.float32, by_index)
    if options["reduction"] != "none":
        terms = (
            terms
            * np.abs(grad).max()
            / np.abs(
                expected(logits, target, {**options, "reduction": "none", "normalizer": None}, np.float32)[1]
            ).max()
        )
    else:
        grad, terms = grad * np.arange(1, 7)[:, None], terms * np.arange(1, 7)[:, None]
    for of_rank, _ in found:
        assert np.array_equal(of_rank, found[0][0])  # the same bits
    assert_close(found[0][0], loss, definition_error(FLOAT32, 23))
    assert_close(np.hstack([g for _, g in found]), grad, definition_error(FLOAT32, 23), terms)


def of_cases(group, dtype, cases, by_index):
    found = []
    for logits, target, edges in cases:
        part = own(group, edges)
        x = torch.as_tensor(logits[:, part]).to(getattr(torch, dtype)).requires_grad_()
        t = torch.as_tensor(target if by_index else target[:, part])
        loss = parallel.cross_entropy(x, t, group, part.start, logits.shape[1], reduction="none")
        loss.sum().backward()
        found.append((loss.detach().numpy(), x.grad.to(torch.promote_types(x.dtype, torch.float32)).numpy()))
    return found


KINDS = ["even", "uneven", "empty"]


@pytest.mark.parametrize(
    ("dtype", "count", "by_index"),
    [
        (FLOAT32, 2, True),
        (FLOAT32, 3, False),
        (FLOAT32, 4, True),
        (FLOAT64, 4, True),
        (FLOAT64, 2, False),
        (BFLOAT16, 3, True),
    ],
)
def test_the_bound_holds_across_ranks(ranks, dtype, count, by_index):
    cases = [case for case in CASES if dtype in case.dtypes and case.classes <= 300]
    given = [
        (
            case.logits_as(dtype).astype(np.float64),
            case.target() if by_index else case.probabilities(),
            cuts(case.classes, count, KINDS[k % 3]),
        )
        for k, case in enumerate(cases)
    ]
    found = ranks.run(of_cases, count, dtype.name, given, by_index)
    wide = computed_in(dtype)
    for case, (logits, target, _), *of_ranks in zip(cases, given, *found, strict=True):
        with np.errstate(all="ignore"):
            loss, grad = expected(logits, target, {}, wide)
            terms = 0 if by_index else terms_of(logits, target, {}, wide, False)
        error, least = definition_error(wide, case.classes), max(4, case.classes * (dtype == FLOAT64))
        got = np.hstack([g for _, g in of_ranks])
        try:
            assert_close(of_ranks[0][0], loss, error, subnormals=least)
            if dtype == BFLOAT16:
                assert_close(got.astype(dtype), grad, definition_error(dtype, case.classes), terms)
            else:
                assert_close(got, grad, error, terms, least)
        except AssertionError as wrong:
            raise AssertionError(f"{case}: {wrong}") from None


# statistics and samples --------------------------------------------------------------------------------------------


def of_statistics(group, logits, target, edges, options):
    part = own(group, edges)
    x = torch.as_tensor(logits[:, part]).requires_grad_()
    s = parallel.statistics(x, torch.as_tensor(target), group, part.start, logits.shape[1], **options)
    (2 * s.log_prob + 3 * s.entropy - s.lse).sum().backward()
    return [column.detach().numpy() for column in s], x.grad.numpy()


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}], ids=str)
@pytest.mark.parametrize(("count", "kind"), [(2, "even"), (3, "empty"), (4, "uneven")])
def test_statistics(ranks, count, kind, options):
    logits = np.round(8 * np.random.default_rng(0).standard_normal((50, 31)), 1).astype(np.float32)  # with ties
    logits[3, :30], logits[7] = -np.inf, 1
    target = np.random.default_rng(1).integers(31, size=50)
    target[3], target[5] = 30, -100
    found = ranks.run(of_statistics, count, logits, target, cuts(31, count, kind), options)
    x = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    s = softxent.torch.statistics(x, torch.tensor(target), **options)
    (2 * s.log_prob + 3 * s.entropy - s.lse).sum().backward()
    for columns, _ in found:
        for column, alone in zip(columns, s, strict=True):
            np.testing.assert_allclose(column, alone.detach().numpy(), 5e-7, 1e-44)
    np.testing.assert_allclose(np.hstack([g for _, g in found]), x.grad.numpy(), 2e-6, 2e-6)


def of_sample(group, logits, edges, seed, options):
    part = own(group, edges)
    x = torch.as_tensor(logits[:, part]).requires_grad_()
    rank = torch.distributed.get_rank(group)
    generator = torch.Generator().manual_seed(seed + rank)  # the first rank's counts
    index, log_p = parallel.sample(
        x, group, part.start, logits.shape[1], generator=generator, return_log_prob=True, **options
    )
    log_p.sum().backward()
    with torch.no_grad():
        _, plain = parallel.sample(x, group, part.start, logits.shape[1], return_log_prob=True)
        assert not plain.requires_grad
    return index.numpy(), log_p.detach().numpy(), x.grad.numpy()


@pytest.mark.parametrize("options", [{}, {"temperature": 2.0}], ids=str)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_samples_are_those_of_one_rank(ranks, count, options):
    logits = (2 * np.random.default_rng(0).standard_normal((500, 37))).astype(np.float32)
    found = ranks.run(of_sample, count, logits, cuts(37, count, KINDS[count % 3]), 9, options)
    x = torch.tensor(logits, requires_grad=True)
    generator = torch.Generator().manual_seed(9)
    index, log_p = softxent.torch.sample(x, generator=generator, return_log_prob=True, **options)
    log_p.sum().backward()
    for of_rank, of_log_p, _ in found:
        np.testing.assert_array_equal(of_rank, index.numpy())
        np.testing.assert_array_max_ulp(of_log_p, log_p.detach().numpy(), 8)
    np.testing.assert_allclose(np.hstack([g for *_, g in found]), x.grad.numpy(), 1e-5, 1e-7)


# A last layer ------------------------------------------------------------------------------------------------------


def of_layer(group, x, W, bias, target, edges, dtype, options):
    part = own(group, edges)
    to = lambda a: torch.as_tensor(a).to(getattr(torch, dtype)).requires_grad_()  # noqa: E731
    x, W, b = to(x), to(W[part]), to(bias[part])
    t = torch.as_tensor(target if target.ndim == 1 else target[:, part])
    options = dict(options)
    if "weight" in options:
        options["weight"] = torch.as_tensor(options["weight"][part])
    loss = parallel.linear_cross_entropy(x, W, t, group, part.start, len(bias), linear_bias=b, **options)
    loss.sum().backward()
    return loss.detach().numpy(), *(a.grad.to(torch.promote_types(a.dtype, torch.float32)).numpy() for a in (x, W, b))


LAYER_OPTIONS = [
    {},
    {"reduction": "none", "label_smoothing": 0.2},
    {"softcap": 5.0, "temperature": 0.5, "z_loss": 0.01, "memory_budget": 5_000_000},
    {"weight": WEIGHT, "label_smoothing": 0.1, "reduction": "sum"},
]


@pytest.mark.parametrize("options", LAYER_OPTIONS, ids=str)
@pytest.mark.parametrize(
    ("count", "dtype", "by_index"), [(2, "float64", True), (3, "float32", False), (4, "bfloat16", True)]
)
def test_layers(ranks, count, dtype, by_index, options):
    rng = np.random.default_rng(0)
    x, W, bias = rng.standard_normal((60, 8)), rng.standard_normal((45, 8)), rng.standard_normal(45)
    if dtype == "bfloat16":
        x, W, bias = (torch.tensor(a).bfloat16().double().numpy() for a in (x, W, bias))
    target = rng.integers(45, size=60) if by_index else rng.dirichlet(np.ones(45), 60)
    if by_index:
        target[:7] = -100
    options = with_weight(options, 45)
    found = ranks.run(of_layer, count, x, W, bias, target, cuts(45, count, KINDS[count % 3]), dtype, options)
    given = {name: value for name, value in options.items() if name != "memory_budget"}
    weight = given.pop("weight", None)
    loss, G = definition.cross_entropy_and_grad(x @ W.T + bias, target, class_weight=weight, **given)
    close = {"float64": 1e-12, "float32": 3e-5, "bfloat16": 1e-2}[dtype]
    for of_rank, of_x, _, _ in found:
        np.testing.assert_array_equal(of_rank, found[0][0])
        np.testing.assert_array_equal(of_x, found[0][1])
        np.testing.assert_allclose(of_rank, loss, close * 0.1)
    np.testing.assert_allclose(found[0][1], G @ W, close, close * np.abs(G @ W).max())
    np.testing.assert_allclose(np.vstack([g for _, _, g, _ in found]), G.T @ x, close, close * np.abs(G.T @ x).max())
    np.testing.assert_allclose(np.hstack([g for *_, g in found]), G.sum(0), close, close * np.abs(G.sum(0)).max())


def of_linear_rows(group, x, W, bias, target, edges, seed):
    part = own(group, edges)
    x, W, b = (torch.as_tensor(a).requires_grad_() for a in (x, W[part], bias[part]))
    of, t = (group, part.start, len(bias)), torch.as_tensor(target)
    options = {"linear_bias": b, "temperature": 0.8, "softcap": 9.0}
    log_p = parallel.linear_log_prob(x, W, t, *of, **options)
    s = parallel.linear_statistics(x, W, t, *of, **options)
    (s.log_prob + s.entropy - 2 * s.lse).sum().backward()
    generator = torch.Generator().manual_seed(seed)
    drawn = parallel.linear_sample(x, W, *of, generator=generator, return_log_prob=True, **options)
    return [a.detach().numpy() for a in (log_p, *s, *drawn)], [a.grad.numpy() for a in (x, W, b)]


@pytest.mark.parametrize("count", [2, 3])
def test_rows_of_layers(ranks, count):
    rng = np.random.default_rng(0)
    x, W, bias = rng.standard_normal((60, 8)), rng.standard_normal((45, 8)), rng.standard_normal(45)
    target = rng.integers(45, size=60)
    target[:7] = -100
    found = ranks.run(of_linear_rows, count, x, W, bias, target, cuts(45, count, "uneven"), 4)
    x, W, b = (torch.tensor(a, requires_grad=True) for a in (x, W, bias))
    options = {"linear_bias": b, "temperature": 0.8, "softcap": 9.0}
    log_p = softxent.torch.linear_log_prob(x, W, torch.tensor(target), **options)
    s = softxent.torch.linear_statistics(x, W, torch.tensor(target), **options)
    (s.log_prob + s.entropy - 2 * s.lse).sum().backward()
    generator = torch.Generator().manual_seed(4)
    drawn = softxent.torch.linear_sample(x, W, generator=generator, return_log_prob=True, **options)
    for columns, _ in found:
        for column, alone in zip(columns, (log_p, *s, *drawn), strict=True):
            np.testing.assert_allclose(column, alone.detach().numpy(), 1e-12)
    of_x, of_W, of_b = (np.concatenate(parts) for parts in zip(*(gradients for _, gradients in found), strict=True))
    np.testing.assert_allclose(of_x[:60], x.grad.numpy(), 1e-11, 1e-12)
    np.testing.assert_allclose(of_W, W.grad.numpy(), 1e-11, 1e-12)
    np.testing.assert_allclose(of_b, b.grad.numpy(), 1e-11, 1e-12)
