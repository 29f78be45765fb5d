"""Averaging a fine-tuned network with where it began: good as the one, robust as the other."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from stroma.core.plain import Record

ALPHAS = tuple(round(0.1 * step, 1) for step in range(11))


@dataclass(frozen=True, kw_only=True, slots=True)
class Average(Record):
    """How one average does on validation.

    Args:
        alpha: 0 is where fine-tuning began, 1 where it ended.
        accuracy: Share of validation photos that were right.
        loss: Their mean cross-entropy.
    """

    alpha: float
    accuracy: float
    loss: float


def interpolated(
    start: Mapping[str, Tensor], end: Mapping[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """(1 - α) start + α end, weight by weight; at the ends their very bits. Counters are `end`'s.

    Example:
        >>> interpolated({"w": torch.zeros(2)}, {"w": torch.ones(2)}, 0.25)
        {'w': tensor([0.2500, 0.2500])}

    Reference: Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (WiSE-FT), eq. 1.
        BatchNorm's statistics are averaged as the weights are; the paper's networks had none.
    """
    return {
        key: _between(start[key], value, alpha) if value.is_floating_point() else value
        for key, value in end.items()
    }


def _between(start: Tensor, end: Tensor, alpha: float) -> Tensor:
    # 0 times what is not finite is not 0: where training diverged, the start is still the start
    return start if alpha == 0 else torch.lerp(start, end, alpha)


def choose_average(
    module: nn.Module,
    start: Mapping[str, Tensor],
    score: Callable[[], tuple[float, float]],
    alphas: Sequence[float] = ALPHAS,
) -> tuple[Average, ...]:
    """Leave `module`, which holds the end, with the average that is best on validation.

    The most accurate one; among equals that of the smallest loss.

    Args:
        module: The fine-tuned network.
        start: Its `state_dict` before, cloned.
        score: Accuracy and loss of `module` as it is now, on validation.
        alphas: Averages to try, each in [0, 1].
    """
    end = {key: value.detach().clone() for key, value in module.state_dict().items()}
    tried = []
    for alpha in alphas:
        module.load_state_dict(interpolated(start, end, alpha))
        accuracy, loss = score()
        tried.append(Average(alpha=alpha, accuracy=accuracy, loss=loss))
    module.load_state_dict(interpolated(start, end, best_of(tried).alpha))
    return tuple(tried)


def best_of(averages: Sequence[Average]) -> Average:
    """The most accurate average; among equals that of the smallest loss."""

    def merit(average: Average) -> tuple[bool, float, float]:  # what gives NaN answers nothing
        return math.isfinite(average.loss), average.accuracy, -average.loss

    return max(averages, key=merit)


def accuracy_and_loss(probabilities: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Share that is right and mean cross-entropy of (N, K) probabilities.

    Example:
        >>> accuracy_and_loss(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([1, 1]))
        (0.5, 0.34657359027997264)
    """
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    loss = -np.log(np.maximum(of_truth, 1e-12)).mean()
    return float((probabilities.argmax(1) == labels).mean()), float(loss)
