"""One point for each class: the nearest mean, by distance or by angle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch.nn.functional as F

from stroma.core.layer import Layer
from stroma.layers import Input
from stroma.models import Model
from stroma.transfer.heads.head import Head, Samples
from stroma.transfer.heads.solutions import NEVER, Linear, Solution, dense, standardise

_SMALLEST_LENGTH = 1e-12


class NearestMeanHead(Head):
    """The class whose mean is nearest, in features scaled to deviation 1.

    The decision is z·m - ½|m|², which orders the classes as -½|z - m|² does. Leaving a sample out
    moves the mean of its own class by 1 / (n - 1) of their distance, which is exact and free.

    Args:
        class_weight, target, seed: As in `Head`. Class weights change nothing here.
    Shape: `fit`: (N, D), (N,); `decision`, `probabilities`: (B, D) -> (B, K)
    Raises: DataError: features and labels that do not fit together. RunError: used before `fit`.
    Example:
        >>> x = np.array([[0.0], [1.0], [9.0], [10.0]])
        >>> NearestMeanHead().fit(x, [0, 0, 1, 1], classes=2).predict([[2.0], [8.0]])
        array([0, 1])

    Reference: Mensink et al. 2013. Features are scaled once, by the deviations over all samples.
    """

    name, how = "nearest_mean", "leave-one-out"

    def work(self, count: int, size: int, classes: int) -> float:
        return 4.0 * count * size * classes

    def _solve(self, samples: Samples) -> tuple[Solution, np.ndarray]:
        mean, scale = samples.moments_of_features()
        z, y = (samples.x - mean) / scale, samples.y
        members = np.eye(samples.classes)[y] * samples.weight[:, None]  # (N, K)
        counts = members.sum(0)
        means = (members.T @ z) / counts[:, None]  # (K, D)
        bias = -(means**2).sum(1) / 2
        rest = counts[y] - samples.weight
        alone = rest <= 1e-9 * counts[y]
        grown = counts[y] / np.where(alone, counts[y], rest)  # |z - m'| = grown |z - m|
        distance = ((z - means[y]) ** 2).sum(1) * grown**2
        held_out = z @ means.T + bias
        own = np.arange(len(y)), y
        held_out[own] = np.where(alone, NEVER, ((z**2).sum(1) - distance) / 2)
        return Linear.of_standardised(means.T, bias, mean, scale), held_out


class CosineHead(Head):
    """The class whose prototype has the smallest angle to the features.

    Features are centred and brought to length 1; a prototype is the mean of those of its class,
    again at length 1; the decision is the cosine. The own prototype is left out exactly.

    Args:
        class_weight, target, seed: As in `Head`. Class weights only move the common centre.
    Shape: `fit`: (N, D), (N,); `decision`, `probabilities`: (B, D) -> (B, K)
    Raises: DataError: features and labels that do not fit together. RunError: used before `fit`.
    Example:
        >>> x = np.array([[0.0, 1.0], [0.0, 2.0], [3.0, 0.0], [5.0, 0.0]])
        >>> CosineHead().fit(x, [0, 0, 1, 1], classes=2).predict([[0.0, 9.0], [8.0, 0.0]])
        array([0, 1])

    Reference: Wang et al. 2019, "SimpleShot" (centring, then length 1). The centre is that of all
        samples, also for the decisions that leave one out.
    """

    name, how = "cosine", "leave-one-out"

    def work(self, count: int, size: int, classes: int) -> float:
        return 6.0 * count * size * classes

    def _solve(self, samples: Samples) -> tuple[Solution, np.ndarray]:
        mean, scale = samples.moments_of_features()
        size = np.full_like(mean, np.sqrt((scale**2).mean()))
        y, weight = samples.y, samples.weight
        unit = _unit((samples.x - mean) / size)
        members = np.eye(samples.classes)[y] * weight[:, None]
        sums = members.T @ unit  # (K, D)
        found = CosineSolution(mean, size, _unit(sums), np.zeros(samples.classes))
        held_out = unit @ found.prototypes.T
        own = sums[y] - weight[:, None] * unit
        alone = members.sum(0)[y] - weight <= 1e-9 * weight
        held_out[np.arange(len(y)), y] = np.where(alone, NEVER, (unit * _unit(own)).sum(1))
        return found, held_out


@dataclass(frozen=True, slots=True)
class CosineSolution:
    """Cosine of (x - mean) with each prototype.

    Args:
        mean: (D,).
        scale: (D,) the same for all: it turns no angle, but keeps lengths near 1.
        prototypes: (K, D) of length 1.
        bias: (K,) 0, or NEVER for a class that had no samples.
    """

    mean: np.ndarray
    scale: np.ndarray
    prototypes: np.ndarray
    bias: np.ndarray

    def decision(self, x: np.ndarray) -> np.ndarray:
        unit = _unit((np.asarray(x, np.float64) - self.mean) / self.scale)
        values: np.ndarray = unit @ self.prototypes.T + self.bias
        return values

    def layers(self, sharpness: float) -> list[Layer]:
        return [
            *standardise(self.mean, self.scale, "head_centre"),
            _unit_length(len(self.mean)),
            dense(sharpness * self.prototypes.T, sharpness * self.bias, "softmax", "head"),
        ]

    def spread(self, present: np.ndarray, classes: int) -> CosineSolution:
        prototypes, bias = np.zeros((classes, len(self.mean))), np.full(classes, NEVER)
        prototypes[present], bias[present] = self.prototypes, self.bias
        return CosineSolution(self.mean, self.scale, prototypes, bias)


def _unit(x: np.ndarray) -> np.ndarray:
    units: np.ndarray = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), _SMALLEST_LENGTH)
    return units


def _unit_length(size: int) -> Layer:
    inputs: Any = Input((size,))
    units = F.normalize(inputs, dim=-1, eps=_SMALLEST_LENGTH)
    return Model(inputs, units, name="head_length")
