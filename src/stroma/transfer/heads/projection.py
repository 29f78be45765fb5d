"""Ridge regression on random features: what a linear head cannot draw, still in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from stroma.core.checks import check_positive_int
from stroma.core.errors import ArgumentError
from stroma.core.layer import Layer
from stroma.transfer.heads.head import ClassWeight, Head, Samples
from stroma.transfer.heads.ridge import RidgeHead
from stroma.transfer.heads.scoring import Target
from stroma.transfer.heads.solutions import Linear, Solution, dense

_WIDEST = 1 << 16  # a Gram matrix of 34 GB


class RandomProjectionHead(Head):
    """relu(z P / √D) with a fixed normal P, then `RidgeHead` with its exact leave-one-out.

    The products of features that a linear head lacks appear among `width` random directions; the
    price is the square of `width`.

    Args:
        width: Number M of random directions, 1 to 65,536.
        penalties: Of the ridge regression, as in `RidgeHead`.
        class_weight, target, seed: As in `Head`; P is drawn from the seed.
    Shape: `fit`: (N, D), (N,); `decision`, `probabilities`: (B, D) -> (B, K)
    Raises: ArgumentError: a number out of its range. DataError: features and labels that do not
        fit together. RunError: used before `fit`.
    Example:
        >>> x = np.array([[-4.0], [-3.0], [0.0], [0.5], [3.0], [4.0]])
        >>> head = RandomProjectionHead(64).fit(x, [0, 0, 1, 1, 0, 0], classes=2)
        >>> head.predict([[-3.5], [0.2], [3.5]])
        array([0, 1, 0])

    Reference: McDonnell et al. 2023 (RanPAC). Features are scaled first, and the penalty is
        chosen by leave-one-out instead of on a tenth of the samples; M is 10,000 in the paper.
    """

    name, how = "random_projection", "leave-one-out"

    def __init__(
        self,
        width: int = 1024,
        penalties: float | Sequence[float] | None = None,
        *,
        class_weight: ClassWeight = None,
        target: Target = "accuracy",
        seed: int = 0,
    ) -> None:
        super().__init__(class_weight=class_weight, target=target, seed=seed)
        self.width = check_positive_int("width", width, owner="RandomProjectionHead")
        if self.width > _WIDEST:
            raise ArgumentError(
                f"RandomProjectionHead: width {self.width:,} is beyond {_WIDEST:,}",
                where="RandomProjectionHead(width=...)",
                why="time and memory grow with its square",
                fix="RandomProjectionHead(width=10_000)",
            )
        self.penalties = RidgeHead(penalties).penalties

    def work(self, count: int, size: int, classes: int) -> float:
        return 2.0 * count * size * self.width + RidgeHead().work(count, self.width, classes)

    def _solve(self, samples: Samples) -> tuple[Solution, np.ndarray]:
        mean, scale = samples.moments_of_features()
        random = np.random.Generator(np.random.Philox(samples.seed))  # the same on every machine
        directions = random.standard_normal((len(mean), self.width)) / np.sqrt(len(mean))
        inner = Linear.of_standardised(directions, np.zeros(self.width), mean, scale)
        hidden = np.maximum(inner.decision(samples.x), 0).astype(np.float32)
        ridge = RidgeHead(self.penalties, target=self.target)
        solution, held_out = ridge._solve(replace(samples, x=hidden))
        assert isinstance(solution, Linear)
        self.setting = f"width {self.width}, {ridge.setting}"
        return Projected(inner, solution), held_out


@dataclass(frozen=True, slots=True)
class Projected:
    """relu(inner), then outer."""

    inner: Linear
    outer: Linear

    def decision(self, x: np.ndarray) -> np.ndarray:
        return self.outer.decision(np.maximum(self.inner.decision(x), 0))

    def layers(self, sharpness: float) -> list[Layer]:
        hidden = dense(self.inner.weight, self.inner.bias, "relu", "head_projection")
        return [hidden, *self.outer.layers(sharpness)]

    def spread(self, present: np.ndarray, classes: int) -> Projected:
        return Projected(self.inner, self.outer.spread(present, classes))
