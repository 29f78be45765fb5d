"""The classes of the nearest samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from stroma.core.checks import check_positive_int
from stroma.core.layer import Layer
from stroma.layers import Input
from stroma.models import Model
from stroma.transfer.heads.head import ClassWeight, Head, Samples
from stroma.transfer.heads.scoring import Target
from stroma.transfer.heads.solutions import NEVER, Solution, dense, standardise
from stroma.transfer.inputs import several_numbers

_NUMBERS_AT_ONCE = 1 << 24  # distances in memory


class NeighboursHead(Head):
    """The share of each class among the k nearest samples, in features scaled to deviation 1.

    Nothing is learnt: the samples are the model, and it ships with all of them. Leaving one out is
    passing it over, which is exact. Samples as near as the k-th count too.

    Args:
        neighbours: Values of k to try, >= 1.
        class_weight, target, seed: As in `Head`; a weight is the weight of a vote.
    Shape: `fit`: (N, D), (N,); `decision`, `probabilities`: (B, D) -> (B, K)
    Raises: ArgumentError: a k below 1. DataError: features and labels that do not fit together.
        RunError: used before `fit`.
    Example:
        >>> x = np.array([[0.0], [1.0], [9.0], [10.0]])
        >>> NeighboursHead([1]).fit(x, [0, 0, 1, 1], classes=2).predict([[2.0], [8.0]])
        array([0, 1])

    Reference: Cover & Hart 1967. scikit-learn's `KNeighborsClassifier` takes the first of samples
        that are equally near.
    """

    name, how = "neighbours", "leave-one-out"

    def __init__(
        self,
        neighbours: int | Sequence[int] = (20, 10, 5, 3, 1),
        *,
        class_weight: ClassWeight = None,
        target: Target = "accuracy",
        seed: int = 0,
    ) -> None:
        super().__init__(class_weight=class_weight, target=target, seed=seed)
        given = several_numbers("neighbours", neighbours, owner="NeighboursHead")
        checked = (check_positive_int("neighbours", k, owner="NeighboursHead") for k in given)
        self.neighbours = tuple(sorted(checked, reverse=True))  # more of them: the simpler answer

    def work(self, count: int, size: int, classes: int) -> float:
        return 2.0 * count**2 * (size + (classes + 20) * len(self.neighbours))

    def _solve(self, samples: Samples) -> tuple[Solution, np.ndarray]:
        mean, scale = samples.moments_of_features()
        count = len(samples.y)
        most = max(1, count - 1)
        tried = list(dict.fromkeys(min(k, most) for k in self.neighbours))
        found = Nearest(
            mean, scale, ((samples.x - mean) / scale).astype(np.float32),
            np.eye(samples.classes)[samples.y] * samples.weight[:, None], tried[0],
            np.zeros(samples.classes),
        )  # fmt: skip
        held_out = np.empty((len(tried), count, samples.classes))
        for at, distances in found.distances(samples.x):
            distances[np.arange(len(distances)), np.arange(count)[at]] = np.inf  # passed over
            for number, k in enumerate(tried):
                held_out[number, at] = found.shares(distances, k)
        best = int(((held_out.argmax(2) == samples.y) @ samples.importance).argmax())
        self.chosen, self.setting = tried[best], f"{tried[best]} neighbours"
        return replace(found, count=tried[best]), held_out[best]


@dataclass(frozen=True, slots=True)
class Nearest:
    """Shares of the classes among the nearest points.

    Args:
        mean, scale: (D,) z = (x - mean) / scale.
        points: (N, D) float32, in z.
        members: (N, K) weight of each point's vote, in the column of its class.
        count: How many points have a vote.
        bias: (K,) 0, or NEVER for a class that has no points.
    """

    mean: np.ndarray
    scale: np.ndarray
    points: np.ndarray
    members: np.ndarray
    count: int
    bias: np.ndarray

    def distances(self, x: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """|z - p|² - |z|² of some rows (B, N) at a time, and which rows these are."""
        squares = (self.points**2).sum(1)
        step = max(1, _NUMBERS_AT_ONCE // len(self.points))
        for start in range(0, len(x), step):
            at = slice(start, start + step)
            z = ((x[at] - self.mean) / self.scale).astype(np.float32)
            yield at, squares - 2 * z @ self.points.T

    def shares(self, distances: np.ndarray, count: int) -> np.ndarray:
        """(B, K) votes of the `count` nearest and of those as near, as shares."""
        last = np.partition(distances, count - 1, axis=1)[:, count - 1 : count]
        counted = (distances <= last) @ self.members
        shares: np.ndarray = counted / counted.sum(1, keepdims=True)
        return shares

    def decision(self, x: np.ndarray) -> np.ndarray:
        values = np.tile(self.bias, (len(x), 1))
        for at, distances in self.distances(x):
            values[at] += self.shares(distances, self.count)
        return values

    def layers(self, sharpness: float) -> list[Layer]:
        inputs: Any = Input((len(self.mean),))
        squares = (self.points**2).sum(1)
        distances: Any = dense(-2 * self.points.T, squares, None, "distances")(inputs)
        last = torch.topk(distances, self.count, largest=False)[0][:, -1:]
        zeros = np.zeros(self.members.shape[1])
        counted: Any = dense(self.members, zeros, None, "votes")((distances <= last).float())
        shares = counted / torch.sum(counted, -1, keepdim=True)
        return [
            *standardise(self.mean, self.scale, "head_scale"),
            Model(inputs, shares, name="head_shares"),
            dense(sharpness * np.eye(len(zeros)), sharpness * self.bias, "softmax", "head"),
        ]

    def spread(self, present: np.ndarray, classes: int) -> Nearest:
        wide, bias = np.zeros((len(self.members), classes)), np.full(classes, NEVER)
        wide[:, present], bias[present] = self.members, self.bias
        return replace(self, members=wide, bias=bias)
