"""Screens 6 and 7 of the explorer page, against the network that trains models and the definition."""

import base64
import re
from itertools import pairwise

import numpy as np
import pytest

from softxent import definition
from softxent.app import explore
from softxent.sklearn.network import Network, Parameters
from tests.explorer_cases import DRAWN, OPEN_ALL

PHONE, DESKTOP = 360, 1280
NETWORK, TRAIN = 6, 7

NUMBERS = """() => [...document.querySelectorAll('main [data-name]')]
    .map(({ dataset }) => [dataset.name, Number(dataset.value)])"""


@pytest.fixture(scope="module")
def contexts(browser):
    """A context for each width and further options."""
    made = {}

    def context(width, **options):
        key = width, *options.items()
        if key not in made:
            made[key] = browser.new_context(viewport={"width": width, "height": 900}, **options)
        return made[key]

    yield context
    for each in made.values():
        each.close()


def address(screen, remembered, lang, shown):
    """A screen whose question is answered, at what it is to remember."""
    name = {NETWORK: "network", TRAIN: "train"}[screen]
    return f"{explore.PAGE.as_uri()}#v=1&lang={lang}&screen={screen}&shown={shown}&{name}={remembered}"


@pytest.fixture
def opened(contexts):
    """Opens a screen, on a page of its own."""
    pages = []

    def opened(screen, remembered="", *, width=DESKTOP, lang="en", shown="67", **options):
        page = contexts(width, **options).new_page()
        pages.append(page)
        page.on("pageerror", lambda error: pytest.fail(str(error)))
        page.goto(address(screen, remembered, lang, shown))
        return page

    yield opened
    for page in pages:
        page.close()


@pytest.fixture(scope="module")
def turned(contexts):
    """Turns a page, opened once for each width, to a screen, for tests that look at it only."""
    pages = {}

    def turned(screen, remembered="", *, width=DESKTOP, lang="en"):
        if width not in pages:
            pages[width] = contexts(width).new_page()
            pages[width].on("pageerror", lambda error: pytest.fail(str(error)))
        pages[width].goto(address(screen, remembered, lang, "67"))
        pages[width].evaluate(DRAWN)
        return pages[width]

    return turned


def numbers(page):
    """All numbers of the page by name; what stands in two places is the same in both."""
    found = {}
    for name, value in page.evaluate(NUMBERS):
        assert found.setdefault(name, value) == value, name
    return found


def pack(values):
    return base64.urlsafe_b64encode(np.asarray(values, "<f8").tobytes()).decode().rstrip("=")


def press(page, label, times=1):
    for _ in range(times):
        page.get_by_role("button", name=label, exact=True).click()


def unfold(page, caption):
    """Opens a table and waits for its numbers, which may be made later."""
    page.get_by_text(f"As a table: {caption}").click()
    page.get_by_role("region", name=caption, exact=True).locator("[data-name]").first.wait_for()


# The network in NumPy -----------------------------------------------------------------------------------------------


def parameters(units, values=None):
    theta = Parameters(units, np.float64)
    if values is not None:
        theta.flat[:] = values
    return theta


def up_and_down(theta, activation, X, target):
    """What passes up and down: a_1, h_1 and the scores, the mean loss, and its gradient by all of them."""
    network, grad = Network(theta, activation), theta.like()
    hidden, scores = network.forward(X)
    loss, delta = definition.cross_entropy_and_grad(scores, target)
    network.backward(hidden, delta, grad)
    return hidden, scores, float(loss), delta, grad


def named(theta, prefix="", suffix=""):
    found = {}
    for layer, (W, b) in enumerate(zip(theta.weights, theta.biases, strict=True), 1):
        found |= {f"{prefix}W_{layer}[{i},{j}]{suffix}": value for (i, j), value in np.ndenumerate(W)}
        found |= {f"{prefix}b_{layer}[{j}]{suffix}": value for j, value in enumerate(b)}
    return found


def listed(name, values):
    return {f"{name}[{i}]": value for i, value in enumerate(np.ravel(values))}


def example(activation):
    """The network of docs/backpropagation.md; with another activation, b_2 leads to the same scores."""
    theta = parameters((2, 3, 3), [0, 1, -1, 1, -1, 1, 0, 2, 1, 1, -1, 0, 1, 1, 1, *[0] * 6])
    _, scores = Network(theta, activation).forward(X)
    theta.biases[1][:] = [1, 5, 3] - scores[0]
    return theta


X = np.array([[1.0, 2.0]])
RANDOM = np.random.default_rng(0).uniform(-2, 2, (2, 21))
SETTINGS = [
    *[(name, target, None) for name in ("relu", "tanh", "logistic") for target in range(3)],
    *[(name, 1, values) for name in ("relu", "tanh", "logistic") for values in RANDOM],
]


def expected(theta, activation, target, learning_rate):
    hidden, scores, loss, delta, grad = up_and_down(theta, activation, X, [target])
    a = X @ theta.weights[0] + theta.biases[0]
    by_h = delta @ theta.weights[1].T
    by_a = grad.biases[0]  # δ of the hidden layer
    p = definition.softmax(scores)[0]
    after = theta.like()
    after.flat[:] = theta.flat - learning_rate * grad.flat
    return {
        **listed("x", X), **listed("a_1", a), **listed("h_1", hidden[1]), **listed("z", scores), **listed("p", p),
        "loss": loss,
        **listed("grad_z", delta), **listed("grad_h_1", by_h), **listed("grad_a_1", by_a),
        **listed("grad_x", by_a @ theta.weights[0].T),
        **{f"grad_p[{j}]": -1 / p[j] if j == target else 0.0 for j in range(3)},
        **{f"jacobian[{target},{i}]": slope for i, slope in enumerate(definition.softmax_jacobian(p)[target])},
        **named(theta), **named(grad, "grad_"), **named(after, suffix="_after"),
        "loss_after": up_and_down(after, activation, X, [target])[2],
        "learning_rate": learning_rate,
    }  # fmt: skip


@pytest.mark.parametrize(("activation", "target", "values"), SETTINGS)
def test_every_number_of_the_network(turned, activation, target, values):
    theta = example(activation) if values is None else parameters((2, 3, 3), values)
    packed = "" if values is None else pack(values)
    shown = numbers(turned(NETWORK, f"{activation},{target},0.5,9,,{packed}"))
    del shown["input"], shown["finite_difference"]  # of the chain, which has a test of its own
    assert shown == pytest.approx(expected(theta, activation, target, 0.5), rel=1e-12, abs=1e-12)


def test_the_worked_example(opened):
    shown = numbers(opened(NETWORK))
    assert [shown[f"z[{j}]"] for j in range(3)] == [1, 5, 3]
    assert (shown["loss"], shown["loss_after"]) == pytest.approx((0.142932, 0.0402), abs=1e-4)


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
def test_the_chain_of_each_parameter(opened, activation):
    page = opened(NETWORK, f"{activation},2,0.5,9,,{pack(RANDOM[0])}")
    for key in page.locator("#parameter option").evaluate_all("all => all.map(option => option.value).filter(Boolean)"):
        page.select_option("#parameter", key)
        shown = numbers(page)
        layer, *index = re.findall(r"\d", key)
        gradient = shown[f"grad_{key[0]}_{layer}[{','.join(index)}]"]
        if layer == "2":
            to = index[-1]
            product = shown["grad_p[2]"] * shown[f"jacobian[2,{to}]"] * shown["input"]
        else:
            paths = [np.prod([shown[f"path[{k}][{n}]"] for n in range(4)]) for k in range(3)]
            assert paths == pytest.approx([shown[f"product[{k}]"] for k in range(3)], abs=1e-12)
            product = sum(paths)
        assert product == pytest.approx(gradient, abs=1e-12), key
        assert shown["finite_difference"] == pytest.approx(gradient, abs=1e-8), key  # h² and ε / h at h = 1e-5


def test_steps_of_gradient_descent(opened):
    page, theta = opened(NETWORK, "tanh,0,1,9,,"), example("tanh")
    for _ in range(20):
        theta.flat -= up_and_down(theta, "tanh", X, [0])[4].flat
        press(page, "Take the step")
    shown = numbers(page)
    assert {name: shown[name] for name in named(theta)} == pytest.approx(named(theta), abs=1e-12)


def test_the_gradient_comes_after_the_loss(opened):
    page = opened(NETWORK)
    seen = []
    for _ in range(5):
        seen.append(set(page.locator("figure svg [data-name]").evaluate_all("all => all.map(e => e.dataset.name)")))
        press(page, "Next step →")
    arrived = [sorted({re.sub(r"\[.*", "", name) for name in now - then}) for then, now in pairwise(seen)]
    assert not any(name.startswith("grad") for name in seen[0])
    assert arrived == [["grad_p", "grad_z", "jacobian"], ["grad_W_2", "grad_b_2"], ["grad_h_1"], ["grad_a_1"]]


UP = ["", "h_1[0]", "z[2]", "p[1]", "loss"]
DOWN = ["grad_z[2]", "grad_W_2[0,2]", "grad_h_1[0]", "grad_a_1[0]", "grad_W_1[1,0]"]


def test_each_step_writes_one_sum_out(opened):
    page = opened(NETWORK, "relu,1,0.5,0,,")
    for result in UP + DOWN:
        fresh = page.locator("figure svg .fresh").evaluate_all("all => all.map(e => e.dataset.name)")
        written = page.locator(".written")
        named = written.locator("[data-name]").evaluate_all("all => all.map(e => e.dataset.name)")
        assert fresh != []
        assert named[-1:] == ([result] if result else [])
        assert set(named[-1:]) <= set(fresh)
        if result == "grad_h_1[0]":
            assert written.inner_text() == "∂loss/∂h₀ = 0·0.0159 + 2·(−0.133) + 1·0.117 ≈ −0.149"
        if result != DOWN[-1]:
            press(page, "Next step →")


def test_why_gradients_are_zero(opened):
    page = opened(NETWORK, "relu,1,0.5,9,,")
    reasons = page.get_by_text("Why some gradients are 0").inner_text().partition(": ")[2].split("; ")
    assert [re.sub("[₀-₉]", lambda digit: f"_{ord(digit[0]) - ord('₀')}", reason) for reason in reasons] == [
        "p_0, p_2: the loss looks at p1 only",
        "weights from h_1: h_1 = 0",
        "h_2: its parts cancel",
        "a_1: the activation is flat there (σ′ = 0)",
        "x_0: each of its parts is 0.",
    ]
    assert opened(NETWORK, "tanh,1,0.5,9,,").get_by_text("the activation is flat").count() == 0


LEGEND = ["× a weight", "new in this step", "W₂[0,2] [from, to]", "a line into W", "case 1", "case 2", "blue", "orange"]


@pytest.mark.parametrize(("stage", "unseen"), [(4, [3, 4, 5, 6, 7]), (5, [3]), (6, [])])
@pytest.mark.parametrize("width", [DESKTOP, PHONE])
def test_the_legend_explains_what_is_there(turned, stage, unseen, width):
    page = turned(NETWORK, f"relu,1,0.5,{stage},,", width=width)
    entries = page.locator("figcaption > span").all()
    assert [text in entry.text_content() for entry, text in zip(entries, LEGEND, strict=True)] == [True] * 8
    assert [n for n, entry in enumerate(entries) if not entry.is_visible()] == unseen


def test_the_weight_of_the_chain_is_framed(opened):
    page = opened(NETWORK)
    for key, name in [("", "W_2[0,2]"), ("b1.0", "b_1[0]")]:
        if key:
            page.select_option("#parameter", key)
        assert page.locator("figure svg .framed .value").evaluate_all("all => all.map(e => e.dataset.name)") == [name]
    assert opened(NETWORK, shown="7").locator("figure svg .framed").count() == 0


@pytest.mark.parametrize(("target", "key"), [(0, ""), (1, "W1.0.2"), (2, "b1.1"), (1, "W2.2.1"), (2, "b2.0")])
def test_the_sums_come_to_their_results(opened, target, key):
    page = opened(NETWORK, f"tanh,{target},0.5,4,{key},{pack(RANDOM[1])}")
    for _ in range(5):
        press(page, "Next step →")
        terms = page.locator(".written").evaluate(
            "all => [...all.childNodes].map(e => e.dataset?.value ? `(${e.dataset.value})` : e.textContent).join('')"
        )
        *_, sum, result = re.split(" [=≈] ", terms.replace("·", "*"))
        assert eval(sum) == pytest.approx(eval(result), rel=1e-12), terms


def test_a_parameter_by_keyboard(opened):
    page = opened(NETWORK, "relu,1,0.5,9,,")
    page.locator("figure svg [role=button][tabindex='0']").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    assert page.locator("#parameter").input_value() == "W1.0.1"
    assert page.locator("figure svg [aria-pressed=true]").count() == 1


# Training -----------------------------------------------------------------------------------------------------------


def mulberry32(seed):
    state = seed
    while True:
        state = (state + 0x6D2B79F5) & 0xFFFFFFFF
        t = (state ^ state >> 15) * (state | 1) & 0xFFFFFFFF
        t ^= t + (t ^ t >> 7) * (t | 61) & 0xFFFFFFFF
        yield ((t ^ t >> 14) & 0xFFFFFFFF) / 2**32


def batch_of(rows, steps, size, seed):
    """The rows of a step: each epoch shuffled (Fisher & Yates) by a seed of its own."""
    if size == 0:
        return np.arange(rows)
    epoch, n = divmod(steps, -(-rows // size))
    uniform, order = mulberry32(seed + 1 + epoch), list(range(rows))
    for i in range(rows - 1, 0, -1):
        j = int(next(uniform) * (i + 1))
        order[i], order[j] = order[j], order[i]
    return np.array(order[n * size : (n + 1) * size])


def start(units, seed):
    theta, uniform = parameters(units), mulberry32(seed)
    if len(units) > 2:
        for W in theta.weights:
            bound = np.sqrt(6 / sum(W.shape))
            W.flat = [bound * (2 * next(uniform) - 1) for _ in range(W.size)]
    return theta


def pack_points(points):
    codes = [round(x * 100 + 300) << 13 | round(y * 100 + 300) << 3 | target for x, y, target in points]
    return base64.urlsafe_b64encode(b"".join(code.to_bytes(3, "big") for code in codes)).decode().rstrip("=")


RNG = np.random.default_rng(1)
POINTS = [(*RNG.integers(-300, 301, 2) / 100, target) for target in [0, 1, 2, 3] * 8]


def remembered(points, *, hidden=0, learning_rate=0.3, batch=0, seed=5, steps=0, at=(0, 0), theta=""):
    parts = ["own", hidden, learning_rate, batch, seed, 1, steps, *at, 0, pack_points(points), theta]
    return ",".join(map(str, parts))


@pytest.mark.parametrize("hidden", [0, 6])
@pytest.mark.parametrize("batch", [0, 8, 32])
def test_training(opened, hidden, batch):
    points = np.array(POINTS)
    inputs, target = points[:, :2], points[:, 2].astype(int)
    page = opened(TRAIN, remembered(POINTS, hidden=hidden, batch=batch, at=(0.5, -1)))
    theta = start((2, hidden, 4) if hidden else (2, 4), 5)
    press(page, "One step")
    press(page, "50 steps", 2)
    for steps in range(101):
        rows = batch_of(len(points), steps, batch, 5)
        theta.flat -= 0.3 * up_and_down(theta, "tanh", inputs[rows], target[rows])[4].flat
    unfold(page, "Weights and biases")
    shown = numbers(page)
    _, scores, loss, _, _ = up_and_down(theta, "tanh", inputs, target)
    p = definition.softmax(Network(theta, "tanh").forward(np.array([[0.5, -1]]))[1])
    expected = (
        named(theta) | listed("p", p) | {"loss": loss, "right": int((scores.argmax(1) == target).sum()), "steps": 101}
    )
    assert {name: shown[name] for name in expected} == pytest.approx(expected, rel=1e-11, abs=1e-11)


def test_a_trained_network_is_shared(opened):
    page = opened(TRAIN, remembered(POINTS, hidden=4, batch=8))
    press(page, "50 steps")
    before = numbers(page)
    page.wait_for_timeout(500)  # the hash is written once the view rests
    page.reload()
    after = numbers(page)
    assert {name: after.get(name) for name in before if not name.startswith("loss[")} == {
        name: value for name, value in before.items() if not name.startswith("loss[")
    }
    press(page, "One step")
    assert numbers(page)["steps"] == 51


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "own,,,,",
        "own,0,0.3,0,1,1,0,0,0,3,!!!",
        "blobs,99,x,7,-1,,,NaN,1e9,77,,AAAA",
        "own,0,0.3,0,1,1,5,0,0,3,____,",
    ],
)
def test_what_cannot_be_read_becomes_the_default(turned, text):
    for screen in (NETWORK, TRAIN):
        page = turned(screen, text)
        assert np.isfinite(list(numbers(page).values())).all()
        assert page.locator("h1").is_visible()


def test_the_border_moves_toward_the_orange(opened):
    page = opened(TRAIN)
    plane = page.get_by_role("application")
    plane.focus()
    for _ in range(13):  # from the stray point to the middle between the two groups
        page.keyboard.press("ArrowLeft")
    before = numbers(page)["p[0]"]
    press(page, "50 steps")
    assert numbers(page)["p[0]"] > before + 0.02


def test_the_border_of_a_linear_model(opened):
    theta = parameters((2, 3), [1.0, -0.5, 0.2, 0.3, 0.9, -1.1, 0.1, 0.2, -0.3])
    points = [(-2, 0, 0), (2, 0, 1), (0, 2, 2)]
    page = opened(TRAIN, remembered(points, steps=1, theta=pack(theta.flat)))
    ends = [float(n) for n in re.findall(r"[\d.]+", page.locator("path.border").get_attribute("d"))]
    assert len(ends) > 100
    places = np.array(ends).reshape(-1, 2) / 100 * [1, -1] + [-3, 3]
    scores = np.sort(Network(theta, "tanh").forward(places)[1])
    assert np.abs(scores[:, -1] - scores[:, -2]).max() < 0.003  # as the path has one decimal of 1/100


def test_points_by_keyboard(opened):
    page = opened(TRAIN, remembered(POINTS[:4]))
    plane = page.get_by_role("application")
    plane.focus()
    for key in ["Shift+ArrowRight", "ArrowUp", "2"]:
        page.keyboard.press(key)
    shown = numbers(page)
    assert (shown["x"], shown["y"], shown["grad_z[1]"] < 0) == (0.5, 0.1, True)
    for key in [" ", "Shift+ArrowDown", " ", "ArrowRight"]:
        page.keyboard.press(key)
    unfold(page, "Points")
    shown = numbers(page)
    assert (shown["points[4].x"], shown["points[4].y"]) == (0.5, -0.4)
    page.keyboard.press("Tab")
    plane.focus()
    page.keyboard.press("Delete")
    assert "points[4].x" not in numbers(page)


def at(page, x, y):
    plane = page.get_by_role("application")
    plane.scroll_into_view_if_needed()
    box = plane.bounding_box()
    return box["x"] + (x + 3) / 6 * box["width"], box["y"] + (3 - y) / 6 * box["height"]


def test_points_by_mouse(opened):
    page = opened(TRAIN, remembered([(-2, 0, 0), (2, 0, 1), (0, 2, 2)]))
    page.get_by_label("adds ▲ orange").check()
    page.mouse.click(*at(page, 1, -1))
    unfold(page, "Points")
    shown = numbers(page)
    assert (shown["points[3].x"], shown["points[3].y"]) == pytest.approx((1, -1), abs=0.02)
    page.mouse.move(*at(page, 1, -1))
    page.mouse.down()
    page.mouse.move(*at(page, -1, 1), steps=4)
    page.mouse.up()
    shown = numbers(page)
    assert (shown["points[3].x"], shown["points[3].y"]) == pytest.approx((-1, 1), abs=0.02)
    assert "points[4].x" not in shown
    page.get_by_label("removes a point").check()
    page.mouse.click(*at(page, -1, 1))
    assert "points[3].x" not in numbers(page)


def test_points_by_touch(opened):
    page = opened(TRAIN, remembered([(-2, 0, 0), (2, 0, 1), (0, 2, 2)]), width=PHONE, has_touch=True, is_mobile=True)
    unfold(page, "Points")
    page.touchscreen.tap(*at(page, 1, -1))
    shown = numbers(page)
    assert (shown["points[3].x"], shown["points[3].y"]) == pytest.approx((1, -1), abs=0.03)


def test_trains_by_itself_and_pauses(opened):
    page = opened(TRAIN, remembered(POINTS))
    press(page, "Train")
    page.locator("[data-name=steps]:not([data-value='0'])").wait_for()
    press(page, "Pause")
    steps = numbers(page)["steps"]
    page.wait_for_timeout(200)
    assert numbers(page)["steps"] == steps


def test_reduced_motion_steps_on_request_only(opened):
    page = opened(TRAIN, remembered(POINTS), reduced_motion="reduce")
    assert page.get_by_role("button", name="Train", exact=True).count() == 0
    press(page, "50 steps")
    assert numbers(page)["steps"] == 50


def test_a_learning_rate_too_large_is_said(opened):
    far = [(3, 3, 0), (-3, -3, 1), (3, -3, 2)]
    theta = parameters((2, 3), [1e308] * 9)
    page = opened(TRAIN, remembered(far, learning_rate=10, steps=1, theta=pack(theta.flat)))
    press(page, "50 steps")
    assert page.get_by_role("alert").is_visible()


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize(
    ("screen", "text"), [(NETWORK, "tanh,1,0.5,9,W1.0.1,"), (TRAIN, ""), (TRAIN, "spiral,8,0.3,0,1,1,0,0,0,3,,")]
)
def test_fits_the_width(turned, screen, text, width, lang):
    page = turned(screen, text, width=width, lang=lang)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


@pytest.mark.parametrize("screen", [NETWORK, TRAIN])
def test_the_answer_is_not_shown_before_the_guess(opened, screen):
    page = opened(screen, shown="")
    assert not any(name.startswith("grad") for name in numbers(page))
    assert page.locator("table:has(caption)").count() == 0
