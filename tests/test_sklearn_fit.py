"""What SoftmaxClassifier learns: the optimum, the gradient, weights, targets, validation, and when it stops."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

import softxent as sx
from softxent import definition
from softxent.sklearn import SoftmaxClassifier, lbfgs, sums
from softxent.sklearn.examples import Examples
from softxent.sklearn.loss import Loss
from softxent.sklearn.network import ACTIVATIONS, Network, Parameters
from softxent.sklearn.optimizers import BETA_1, BETA_2, EPSILON, SGD, Adam

IRIS, SPECIES = load_iris(return_X_y=True)
RNG = np.random.default_rng


def problem(rows=60, features=5, classes=4, seed=0, dtype=np.float64):
    rng = RNG(seed)
    X = rng.standard_normal((rows, features)) * [1, 1e-3, 1e3, 1, 5][:features] + [0, 1, 1e4, -3, 0][:features]
    return X.astype(dtype), rng.integers(classes, size=rows)


def objective(model, X, y, alpha):
    """1/n·Σ loss_i + α/2·Σ‖W‖², by the definition."""
    loss, _ = definition.cross_entropy_and_grad(model.predict_log_proba(X), y)
    return loss + alpha / 2 * sum((W**2).sum() for W in model.coefs_)


# no hidden layer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("C", [0.01, 1.0])
@pytest.mark.parametrize("load", [load_iris, load_wine, load_digits, load_breast_cancer])
def test_the_optimum_is_logistic_regressions(load, C):
    X, y = (array[:500] for array in load(return_X_y=True))
    X = StandardScaler().fit_transform(X)
    alpha = (2 if len(np.unique(y)) == 2 else 1) / (C * len(X))
    ours = SoftmaxClassifier(alpha=alpha, tol=1e-7, max_iter=2000).fit(X, y)
    theirs = LogisticRegression(C=C, tol=1e-7, max_iter=20_000).fit(X, y)
    loss, _ = definition.cross_entropy_and_grad(theirs.predict_log_proba(X), y)
    their_objective = loss + (theirs.coef_**2).sum() / (2 * C * len(X))
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-4)
    assert abs(objective(ours, X, y, alpha) - their_objective) < 1e-6 * their_objective
    assert ours.loss_curve_[-1] == pytest.approx(objective(ours, X, y, alpha), rel=1e-9)


def test_scales_and_offsets_of_columns_do_not_slow_it_down():
    X, y = load_wine(return_X_y=True)
    plain = SoftmaxClassifier(alpha=0).fit(X, y)
    moved = SoftmaxClassifier(alpha=0).fit(X * 10.0 ** np.arange(-6, 7) + 1e3, y)
    assert moved.n_iter_ == pytest.approx(plain.n_iter_, abs=5)
    np.testing.assert_allclose(moved.loss_curve_[-1], plain.loss_curve_[-1], atol=1e-3)


FORMS = {"dense": np.asarray, "fortran": np.asfortranarray, "sparse": sparse.csr_array}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("target", ["labels", "probabilities"])
def test_gradient_of_the_linear_objective(form, weighted, target, monkeypatch):
    monkeypatch.setattr(sums, "BLOCK", 9 * 8 * 7)  # 7 rows: blocks, the last one shorter
    monkeypatch.setattr(sums, "SPARSE_BLOCK", 4 * 8 * 7)
    X, y = problem()
    rng = RNG(1)
    t = y if target == "labels" else rng.dirichlet(np.ones(4), len(y))
    s = rng.random(len(y)) if weighted else None
    loss = Loss(np.array([1.0, 2.0, 0.5, 1.0]), label_smoothing=0.1)
    monkeypatch.setattr(sums, "SHARES", 3)
    examples, parameters = Examples(FORMS[form](X), t, s), Parameters((5, 4), np.float64)
    (W,), (b,) = parameters.weights, parameters.biases
    shares = sums.shares_of(examples, loss, W, b)
    assert sum(-(-share.plan.rows // share.plan.chunk[0]) for share in shares) == 9
    rows = sums.InMemory(examples)
    with rows.sums(loss, W, b) as evaluate:
        check_gradient(lbfgs.Objective(evaluate, len(rows), rows.sample, 0.3, parameters), X, t, s)


def check_gradient(f, X, t, s):
    u = RNG(2).standard_normal(5 * 4 + 4)
    value, grad = f(u)
    numeric = [(f(u + h)[0] - f(u - h)[0]) / 2e-6 for h in 1e-6 * np.eye(len(u))]
    np.testing.assert_allclose(grad, numeric, rtol=1e-6, atol=1e-8)
    f.write(u)
    losses, _ = definition.cross_entropy_and_grad(
        X @ f.W + f.b, t, class_weight=[1, 2, 0.5, 1], label_smoothing=0.1, reduction="none"
    )
    expected = (losses * (1 if s is None else s)).mean() + 0.15 * (f.W**2).sum()
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    np.testing.assert_allclose(f.read(), u, rtol=1e-9, atol=1e-9)


def test_rows_times_classes_is_never_held():
    import tracemalloc

    rng = RNG(0)
    X, y = rng.standard_normal((20_000, 4), np.float32), rng.integers(500, size=20_000)
    tracemalloc.start()
    SoftmaxClassifier(max_iter=2, tol=1.0).fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000 * 500 * 4 / 2


# hidden layers -------------------------------------------------------------------------------------------------------

TORCH = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh, "logistic": torch.nn.Sigmoid}


def network(units, activation, seed=0):
    parameters = Parameters(units, np.float64)
    parameters.flat[...] = RNG(seed).standard_normal(parameters.flat.size)
    return Network(parameters, activation)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("units", [(5, 4), (5, 3, 4), (5, 6, 3, 4)])
def test_gradient_of_the_network_by_finite_differences(units, activation):
    X, y = RNG(1).standard_normal((7, 5)), RNG(2).integers(4, size=7)
    net, loss = network(units, activation), Loss(label_smoothing=0.1)
    grad, scratch, theta = net.parameters.like(), net.parameters.like(), net.parameters.flat
    net.loss_and_grad(Examples(X, y), loss, grad, len(X))
    for k in range(theta.size):
        at = theta[k]
        values = []
        for theta[k] in (at + 1e-6, at - 1e-6):
            values.append(net.loss_and_grad(Examples(X, y), loss, scratch) / len(X))
        theta[k] = at
        assert grad.flat[k] == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-8)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("units", [(5, 4), (5, 3, 4), (5, 6, 3, 4)])
def test_gradient_of_the_network_by_autograd(units, activation, form):
    X, y = RNG(1).standard_normal((7, 5)), RNG(2).integers(4, size=7)
    net = network(units, activation)
    grad = net.parameters.like()
    total = net.loss_and_grad(Examples(form(X), y), Loss(), grad, len(X))

    W = [torch.tensor(w, requires_grad=True) for w in net.parameters.weights]
    b = [torch.tensor(v, requires_grad=True) for v in net.parameters.biases]
    h = torch.tensor(X)
    for k in range(len(W)):
        h = h @ W[k] + b[k] if k == 0 else TORCH[activation]()(h) @ W[k] + b[k]
    loss = torch.nn.functional.cross_entropy(h, torch.tensor(y))
    loss.backward()
    assert total / len(X) == pytest.approx(loss.item(), rel=1e-12)
    for ours, theirs in zip(grad.weights + grad.biases, W + b, strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-10, atol=1e-14)


def test_adam_takes_pytorchs_steps():
    rng = RNG(0)
    theta = rng.standard_normal(20_000)
    tensor = torch.tensor(theta, requires_grad=True)
    step = Adam(theta, 1e-2)
    optimizer = torch.optim.Adam([tensor], lr=1e-2, betas=(BETA_1, BETA_2), eps=EPSILON)
    for _ in range(5):
        grad = rng.standard_normal(20_000) * 10.0 ** rng.integers(-12, 4, 20_000)  # where ε counts, too
        tensor.grad = torch.tensor(grad)
        optimizer.step()
        step.begin()
        for block in (slice(0, 7), slice(7, None)):
            step(theta, grad[block].copy(), block)
    np.testing.assert_allclose(theta, tensor.detach().numpy(), rtol=1e-9)


def test_sgd_takes_pytorchs_steps():
    rng = RNG(0)
    theta = rng.standard_normal(10)
    tensor = torch.tensor(theta, requires_grad=True)
    step, optimizer = SGD(theta, 0.1, 0.9), torch.optim.SGD([tensor], lr=0.1, momentum=0.9)
    for _ in range(5):
        tensor.grad = torch.tensor(grad := rng.standard_normal(10))
        optimizer.step()
        step.begin()
        for block in (slice(0, 7), slice(7, None)):
            step(theta, grad[block].copy(), block)
    np.testing.assert_allclose(theta, tensor.detach().numpy(), rtol=1e-12)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_network_learns_what_no_line_separates(solver, activation):
    X = RNG(0).uniform(-1, 1, (400, 2))
    y = X[:, 0] * X[:, 1] > 0
    rate = {"adam": 0.05, "sgd": 0.5}[solver]
    network = SoftmaxClassifier((16,), activation, solver=solver, learning_rate_init=rate, tol=0, random_state=0)
    assert network.fit(X, y).score(X, y) > 0.95
    assert SoftmaxClassifier().fit(X, y).score(X, y) < 0.65


def test_the_penalty_is_on_weights_and_not_on_biases():
    X, y = StandardScaler().fit_transform(IRIS), np.repeat([0, 1], [30, 120])
    model = SoftmaxClassifier(solver="adam", alpha=100, learning_rate_init=0.01, max_iter=1000, tol=0, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"has learned nothing.* Lower alpha \(now 100\)\."):
        model.fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), np.tile([0.2, 0.8], (150, 1)), atol=0.02)
    assert abs(model.coefs_[0]).max() < 0.01


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_same_seed_gives_the_same_model():
    first, second = (SoftmaxClassifier((7,), max_iter=5, random_state=3).fit(IRIS, SPECIES) for _ in range(2))
    np.testing.assert_array_equal(first.predict_proba(IRIS), second.predict_proba(IRIS))


# weights and targets -------------------------------------------------------------------------------------------------

TIGHT = {"tol": 1e-8, "max_iter": 2000, "alpha": 0.01}


def proba(model):
    return model.predict_proba(IRIS)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
def test_a_weight_counts_as_that_many_rows(form):
    s = RNG(0).integers(0, 4, len(IRIS))
    weighted = SoftmaxClassifier(**TIGHT).fit(form(IRIS), SPECIES, s)
    repeated = SoftmaxClassifier(**TIGHT).fit(form(np.repeat(IRIS, s, axis=0)), np.repeat(SPECIES, s))
    np.testing.assert_allclose(proba(weighted), proba(repeated), atol=1e-6)


def test_only_the_ratios_of_weights_count():
    s = RNG(0).random(len(IRIS))
    np.testing.assert_allclose(
        proba(SoftmaxClassifier(**TIGHT).fit(IRIS, SPECIES, s)),
        proba(SoftmaxClassifier(**TIGHT).fit(IRIS, SPECIES, 1e3 * s)),
        atol=1e-6,
    )


@pytest.mark.parametrize("hidden", [(), (6,)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_class_weight_is_a_weight_of_rows(hidden):
    w = {0: 1.0, 1: 3.0, 2: 0.5}
    options = TIGHT | ({"max_iter": 20, "random_state": 0} if hidden else {})
    by_class = SoftmaxClassifier(hidden, class_weight=w, **options).fit(IRIS, SPECIES)
    by_row = SoftmaxClassifier(hidden, **options).fit(IRIS, SPECIES, [w[c] for c in SPECIES])
    np.testing.assert_allclose(proba(by_class), proba(by_row), atol=1e-6)


def test_balanced_makes_classes_weigh_the_same():
    X, y = IRIS[:110], SPECIES[:110]  # 50, 50, 10
    s = RNG(0).random(110)
    counts = np.bincount(y, s)
    by_hand = SoftmaxClassifier(class_weight=dict(enumerate(1 / counts)), **TIGHT).fit(X, y, s)
    np.testing.assert_allclose(
        proba(SoftmaxClassifier(class_weight="balanced", **TIGHT).fit(X, y, s)), proba(by_hand), atol=1e-6
    )


@pytest.mark.parametrize("options", [{}, {"class_weight": "balanced"}, {"label_smoothing": 0.2}])
def test_one_hot_probabilities_are_labels(options):
    X, y = IRIS[:110], SPECIES[:110]
    by_label = SoftmaxClassifier(**TIGHT, **options).fit(X, y)
    by_proba = SoftmaxClassifier(**TIGHT, **options).fit_proba(X, np.eye(3)[y])
    np.testing.assert_allclose(proba(by_proba), proba(by_label), atol=1e-6)


def test_fit_proba_finds_the_probabilities_it_is_given():
    teacher = SoftmaxClassifier(alpha=0.1).fit(IRIS, SPECIES)
    student = SoftmaxClassifier(alpha=0, tol=1e-9, max_iter=2000).fit_proba(IRIS, proba(teacher))
    np.testing.assert_allclose(proba(student), proba(teacher), atol=1e-4)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_fit_proba_names_the_classes_as_the_columns_of_P(library):
    frame = pytest.importorskip(library).DataFrame
    P = proba(SoftmaxClassifier().fit(IRIS, SPECIES))
    named = {"setosa": P[:, 0], "virginica": P[:, 2], "versicolor": P[:, 1]}
    val = dict(reversed(named.items()))
    model = SoftmaxClassifier().fit_proba(IRIS, frame(named), X_val=IRIS, P_val=frame(val))
    assert model.classes_.tolist() == ["setosa", "versicolor", "virginica"]
    assert (model.predict(IRIS) == np.array(["setosa", "versicolor", "virginica"])[P.argmax(axis=1)]).mean() > 0.95
    assert model.validation_scores_[-1] > 0.95
    with pytest.raises(ValueError, match=r"^P_val has the columns \['a', .*\], but P has \['setosa', .*\]$"):
        SoftmaxClassifier().fit_proba(IRIS, frame(named), X_val=IRIS, P_val=frame({"a": P[:, 0]} | named))


def test_fit_proba_sorts_the_classes_it_is_given():
    P = np.eye(3)[SPECIES]
    model = SoftmaxClassifier().fit_proba(
        IRIS, P[:, [2, 0, 1]], classes=["c", "a", "b"], X_val=IRIS, P_val=P[:, [2, 0, 1]]
    )
    assert list(model.classes_) == ["a", "b", "c"]
    assert (model.predict(IRIS) == np.array(["a", "b", "c"])[SPECIES]).mean() > 0.95
    assert model.validation_scores_[-1] > 0.95


def test_label_smoothing_reaches_the_smoothed_optimum():
    model = SoftmaxClassifier(label_smoothing=0.3, alpha=0, tol=1e-9, max_iter=2000).fit([[0.0], [1.0]], [0, 1])
    np.testing.assert_allclose(model.predict_proba([[0.0], [1.0]]), [[0.85, 0.15], [0.15, 0.85]], atol=1e-6)


# epochs --------------------------------------------------------------------------------------------------------------

BOTH = pytest.mark.parametrize("hidden", [(), (6,)], ids=["linear", "hidden"])


@BOTH
def test_each_epoch_is_told(hidden):
    told = []
    model = SoftmaxClassifier(hidden, learning_rate_init=0.02, max_iter=400, tol=1e-2, random_state=0)
    model.fit(IRIS, SPECIES, X_val=IRIS[::2], y_val=SPECIES[::2], on_epoch=told.append)
    assert [epoch.number for epoch in told] == list(range(1, model.n_iter_ + 1))
    assert [epoch.loss for epoch in told] == model.loss_curve_
    assert [epoch.validation_loss for epoch in told] == model.validation_loss_curve_
    assert [epoch.validation_score for epoch in told] == model.validation_scores_
    assert told[-1].of == 400
    expected = sx.cross_entropy(model.predict_log_proba(IRIS[::2]), SPECIES[::2])
    assert told[-1].validation_loss == pytest.approx(expected)
    assert told[-1].validation_score == model.score(IRIS[::2], SPECIES[::2])


@BOTH
def test_on_epoch_stops(hidden):
    model = SoftmaxClassifier(hidden).fit(IRIS, SPECIES, on_epoch=lambda epoch: epoch.number == 3)
    assert model.n_iter_ == len(model.loss_curve_) == 3


def ctrl_c(at):
    def on_epoch(epoch):
        if epoch.number == at:
            raise KeyboardInterrupt

    return on_epoch


@BOTH
def test_ctrl_c_keeps_the_last_parameters(hidden):
    stopped = SoftmaxClassifier(hidden, random_state=0).fit(IRIS, SPECIES, on_epoch=lambda epoch: epoch.number == 4)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        model = SoftmaxClassifier(hidden, random_state=0).fit(IRIS, SPECIES, on_epoch=ctrl_c(4))
    assert model.n_iter_ == 4
    np.testing.assert_array_equal(proba(model), proba(stopped))


def contrary():
    """A validation set that likes an early epoch best: what is learnt is wrong there."""
    return {"X_val": IRIS, "y_val": (SPECIES + 1) % 3}


def best_epoch(model):
    """The model as it was at the epoch of the lowest validation loss, which is not its last."""
    best = int(np.argmin(model.validation_loss_curve_)) + 1
    assert best < model.n_iter_
    return clone(model).set_params(early_stopping=False).fit(IRIS, SPECIES, on_epoch=lambda e: e.number == best)


@BOTH
def test_ctrl_c_keeps_the_best_parameters_of_a_validation_set(hidden):
    model = SoftmaxClassifier(hidden, learning_rate_init=0.1, random_state=0)
    with pytest.warns(UserWarning, match=r"^Training interrupted by user\.$"):
        model.fit(IRIS, SPECIES, **contrary(), on_epoch=ctrl_c(10))
    assert model.n_iter_ == 10
    np.testing.assert_array_equal(proba(model), proba(best_epoch(model)))


@pytest.mark.filterwarnings("ignore:The network has learned nothing")  # validation says the contrary of training
@BOTH
def test_early_stopping_keeps_the_best_epoch(hidden):
    model = SoftmaxClassifier(hidden, learning_rate_init=0.1, random_state=0, early_stopping=True, n_iter_no_change=5)
    model.fit(IRIS, SPECIES, **contrary())
    assert model.n_iter_ < 20
    np.testing.assert_array_equal(proba(model), proba(best_epoch(model)))


@BOTH
def test_early_stopping_holds_rows_out(hidden):
    X, y = load_digits(return_X_y=True)
    model = SoftmaxClassifier(hidden, early_stopping=True, n_iter_no_change=2, tol=0.01, random_state=0).fit(X, y)
    assert len(model.validation_scores_) == model.n_iter_
    of_180 = np.array(model.validation_scores_) * 180  # a tenth of 1797, rounded up
    np.testing.assert_allclose(of_180, of_180.round(), atol=1e-9)


def test_a_validation_set_alone_changes_nothing():
    np.testing.assert_array_equal(
        proba(SoftmaxClassifier().fit(IRIS, SPECIES, **contrary())), proba(SoftmaxClassifier().fit(IRIS, SPECIES))
    )


def test_warm_start_goes_on():
    model = SoftmaxClassifier(tol=1e-6, max_iter=1000, warm_start=True).fit(IRIS, SPECIES)
    before = model.n_iter_
    assert model.fit(IRIS, SPECIES).n_iter_ < before / 4
    np.testing.assert_allclose(
        model.coef_, SoftmaxClassifier(tol=1e-6, max_iter=1000).fit(IRIS, SPECIES).coef_, atol=1e-2
    )


@BOTH
def test_partial_fit_learns_in_batches(hidden):
    model = SoftmaxClassifier(hidden, learning_rate_init=0.02, random_state=0)
    for _ in range(100):
        for start in range(0, 150, 50):
            rows = slice(start // 50, None, 3)
            model.partial_fit(IRIS[rows], SPECIES[rows], classes=[0, 1, 2])
    assert model.n_iter_ == len(model.loss_curve_) == 300
    assert model.score(IRIS, SPECIES) > 0.95


@BOTH
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_partial_fit_goes_on_from_fit_and_fit_starts_anew(hidden):
    model = SoftmaxClassifier(hidden, learning_rate_init=0.02, tol=0.01, random_state=0).fit(IRIS, SPECIES)
    before, steps = model.loss_curve_[-1], model.n_iter_
    model.partial_fit(IRIS, SPECIES)
    assert model.n_iter_ == steps + 1
    assert model.loss_curve_[-1] < 1.2 * before
    fewer = IRIS[SPECIES > 0], SPECIES[SPECIES > 0]
    again = model.fit(*fewer).partial_fit(*fewer)  # with steps of the new size
    assert again.score(*fewer) > 0.9


def test_what_cannot_be_learnt_is_the_share_of_each_class():
    model = SoftmaxClassifier().fit(np.ones((10, 2)), [0, 0, 1, 1, 1, 1, 1, 1, 1, 1])
    np.testing.assert_allclose(model.predict_proba([[1, 1]]), [[0.2, 0.8]], atol=1e-4)
    assert SoftmaxClassifier().fit(np.ones((10, 2)), [0, 1] * 5).n_iter_ == 1  # it starts there


def test_verbose_prints_epochs(capsys):
    model = SoftmaxClassifier(verbose=1).fit(IRIS, SPECIES, X_val=IRIS, y_val=SPECIES)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == model.n_iter_
    assert lines[0].startswith(f"epoch 1: loss {model.loss_curve_[0]:.4f}, validation loss 0.")
