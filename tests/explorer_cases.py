"""What the explorer page must show: its views, and each number on it by its name, from definition.py."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from softxent import definition
from softxent.explain.story import decimals

DRAWN = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
# Some tables' numbers are made when the browser says that they are open, which is later
OPEN_ALL = """() => Promise.all([...document.querySelectorAll('details:not([open])')].map(
  details => new Promise(done => { details.addEventListener('toggle', done); details.open = true; })))"""


class Case(NamedTuple):
    """A view; scores, target and T are on all screens, the others on one each."""

    scores: list[float]
    target: int
    T: float = 1
    add: float = 100
    shift: bool = True
    cell: tuple[int, int] = (1, 1)
    nudge: float = 0.1
    truncated: bool = False
    lead: float = 20

    def hash(self, screen: int, lang: str, shown: str = "12345678") -> str:
        """Writes the view as a person would, not as the page does."""
        scores = ",".join(map(repr, self.scores))
        more = f"&add={self.add}&cell={self.cell[0]},{self.cell[1]}&nudge={self.nudge}&lead={self.lead}&step=5"
        flags = ("" if self.shift else "&shift=0") + ("&truncated=1" if self.truncated else "")
        view = f"v=1&lang={lang}&screen={screen}&scores={scores}&target={self.target}&T={self.T}&shown={shown}"
        return f"#{view}{more}{flags}"


CASES = {
    "lesson": Case([1, 5, 3], 1),
    "wrong and truncated": Case([1, 5, 3], 0, cell=(0, 2), truncated=True, shift=False),
    "cold": Case([2.5, 2.4, -1, 0.125], 2, T=0.25, add=-3, cell=(3, 0), nudge=-0.75, lead=9.5),
    "two": Case([0, 20], 1, add=0, lead=16),
    "one": Case([7], 0, cell=(0, 0)),
    "overflow": Case([1e4, -1e4, 9999.5], 2, add=200, shift=False, lead=40),
    "fifty": Case([((7 * k) % 50) / 4 - 6 for k in range(50)], 17, cell=(17, 30), nudge=1, lead=0),
}

SUMS = ("sum p", "sum grad", "ratio")  # differences and sums that cancel: their error is absolute


def close(name: str, got: float, want: float) -> bool:
    if math.isnan(want) or math.isinf(want):
        return got == want or (math.isnan(got) and math.isnan(want))
    return abs(got - want) <= 1e-12 * (max(1, abs(want)) if name.startswith(SUMS) else abs(want))


def expected(case: Case) -> dict[str, float]:
    """Returns each number that screens 1 to 5 and 8 may show, by its name on the page."""
    z = definition.scaled(case.scores, case.T)
    p, y = definition.softmax(z), np.eye(len(z))[case.target]
    named: dict[str, Any] = {
        "scores": case.scores, "z": z, "p": p, "y": y, "T": case.T, "add": case.add,
        "nudge": case.nudge, "lead": case.lead,
        **_formula(case, z), **_loss(z, case.target), **_cases(case, z, p), **_gradient(z, p, y, case.target),
        **_float32(case.lead),
    }  # fmt: skip
    flat: dict[str, float] = {}
    for name, value in named.items():
        for index, entry in np.ndenumerate(np.asarray(value, np.float64)):
            flat[name + "".join(f"[{i}]" for i in index)] = float(entry)
    return flat


def _formula(case: Case, z: Any) -> dict[str, Any]:
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        moved = z + case.add
        e = np.exp(z)
        given = moved.astype(np.float16)
        shifted = given - given.max() if case.shift else given
        half_e = np.exp(shifted.astype(np.float64)).astype(np.float16)
        total = np.float16(0)
        for term in half_e:
            total = total + term
        half = {"half shifted": shifted, "half e": half_e, "half p": half_e / total}
        return {"e^z": e, "sum e^z": e.sum(), "moved": moved, "p moved": definition.softmax(moved), **half}


def _loss(z: Any, target: int) -> dict[str, Any]:
    losses = -definition.log_softmax(z)
    return {"loss": losses, "loss of target": losses[target]}


def _cases(case: Case, z: Any, p: Any) -> dict[str, Any]:
    nudged = definition.softmax(z + case.nudge * np.eye(len(z))[case.cell[1]])
    return {"jacobian": definition.softmax_jacobian(p), "nudged": nudged, "ratio": (nudged - p) / case.nudge}


def _gradient(z: Any, p: Any, y: Any, target: int) -> dict[str, Any]:
    loss, grad = (value[0] for value in definition.cross_entropy_and_grad([z], [target], reduction="none"))
    after = -definition.log_softmax(z - grad)[target]
    cut = np.array([float(decimals(value, article=True)) if value >= 1e-3 else 0.0 for value in p])
    return {
        "grad": grad, "sum p": p.sum(), "sum grad": 0.0, "loss before": loss, "loss after": after,
        "p truncated": cut, "grad truncated": cut - y, "sum p truncated": cut.sum(),
        "sum grad truncated": (cut - y).sum(),
    }  # fmt: skip


def _float32(lead: float) -> dict[str, float]:
    loss, grad = definition.cross_entropy_and_grad([[0, lead]], [1])
    exp = np.exp(np.float64(np.float32(-lead))).astype(np.float32)
    total, wide = np.float32(1) + exp, float(exp)
    return {
        "true exp": math.exp(-lead), "true loss": float(loss), "true gradient": float(grad[0, 1]),
        "usual exp": exp, "usual sum": total, "usual loss": np.float32(np.log(np.float64(total))),
        "usual gradient": np.float32(1) / total - np.float32(1),
        "ours exp": exp, "ours others": exp, "ours loss": np.float32(math.log1p(wide)), "ours gradient": -(exp / total),
    }  # fmt: skip
