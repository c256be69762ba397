"""What a user may ask of a training, and the classifier that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NETWORKS = ((32,), (128,))  # hidden layers that are tried
# Tried on two splits of some of the tables of benchmarks/tables.py, by their test rows: a rate of 5e-3 needs a quarter
# of the epochs of 1e-3 for the same log-loss, and α = 1e-3 was never far from the best of 1e-4, 1e-3 and 1e-2
NETWORK_ALPHA, NETWORK_RATE = 1e-3, 5e-3
VALIDATION = 0.1  # of the rows that are not tested, for a network whose layers are given
GIVEN_ALPHA, GIVEN_RATE, GIVEN_EPOCHS = 1e-4, 1e-3, 500  # of such a network
UNCHOSEN_ALPHA = 1e-2  # of a linear model with too few rows for folds
ITERATIONS = 1000  # of L-BFGS


@dataclass(frozen=True)
class Settings:
    """What the user asked for; None: softxent chooses."""

    model: str = "auto"  # or "linear", "network"
    hidden: tuple[int, ...] | None = None
    epochs: int | None = None
    lr: float | None = None
    batch_size: int | None = None
    alpha: float | None = None
    class_weight: Any = None
    test_size: float = 0.2  # 0: all rows train
    cv: int | None = None  # folds
    seed: int = 0

    @property
    def candidates(self) -> list[tuple[int, ...]]:
        """The hidden layers to choose from."""
        if self.hidden is not None:
            return [self.hidden]
        linear: list[tuple[int, ...]] = [] if self.model == "network" else [()]
        return linear + ([] if self.model == "linear" else list(NETWORKS))

    @property
    def chooses(self) -> bool:
        """Whether something is left to choose by folds; a network that is given is stopped early instead."""
        return not self.hidden and (len(self.candidates) > 1 or self.alpha is None)

    @property
    def val_size(self) -> float:
        """The share of the rows that stops a network early whose layers are given."""
        return VALIDATION if self.hidden else 0.0

    def batch(self, rows: int) -> int:
        return self.batch_size or min(max(rows // 20, 16), 200)

    def classifier(self, rows: int, hidden: tuple[int, ...], alpha: float | None = None, **options: Any) -> Any:
        """Returns an unfitted classifier; `alpha` and `options` are what was chosen."""
        from softxent.sklearn import SoftmaxClassifier

        usual = GIVEN_ALPHA if self.hidden else NETWORK_ALPHA if hidden else UNCHOSEN_ALPHA
        return SoftmaxClassifier(
            hidden,
            alpha=next(a for a in (self.alpha, alpha, usual) if a is not None),
            learning_rate_init=self.lr or (GIVEN_RATE if self.hidden else NETWORK_RATE),
            batch_size=self.batch(rows),
            class_weight=self.class_weight,
            random_state=self.seed,
            **{"max_iter": self.epochs or (GIVEN_EPOCHS if hidden else ITERATIONS)} | options,
        )
