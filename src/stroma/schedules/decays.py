"""Schedules that fall: exponential, inverse time, polynomial, piecewise constant."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

from stroma.core.errors import ArgumentError
from stroma.schedules.base import LearningRateSchedule, check_steps, registry


@registry.register("ExponentialDecay")
class ExponentialDecay(LearningRateSchedule):
    """η(t) = η0 · r^(t / T); a staircase when t / T is rounded down.

    Args:
        initial_learning_rate: η0.
        decay_steps: T > 0, steps after which the rate has been multiplied by r once.
        decay_rate: r.
        staircase: Change the rate only every T steps.
        name: Kept for Keras' files.

    Raises:
        ArgumentError: decay_steps is not positive.

    Example:
        >>> round(ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20), 6)
        0.025

    Reference: Keras 3.15.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_steps("decay_steps", decay_steps, owner="ExponentialDecay")
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: float) -> float:
        fallen: float = float(self.decay_rate) ** _periods(self, step)
        return self.initial_learning_rate * fallen


@registry.register("InverseTimeDecay")
class InverseTimeDecay(LearningRateSchedule):
    """η(t) = η0 / (1 + r · t / T); a staircase when t / T is rounded down.

    Args:
        initial_learning_rate: η0.
        decay_steps: T > 0.
        decay_rate: r.
        staircase: Change the rate only every T steps.
        name: Kept for Keras' files.

    Raises:
        ArgumentError: decay_steps is not positive.

    Example:
        >>> InverseTimeDecay(0.1, decay_steps=1, decay_rate=0.5)(2)
        0.05

    Reference: Keras 3.15.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_steps("decay_steps", decay_steps, owner="InverseTimeDecay")
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def __call__(self, step: float) -> float:
        return self.initial_learning_rate / (1.0 + self.decay_rate * _periods(self, step))


def _periods(schedule: ExponentialDecay | InverseTimeDecay, step: float) -> float:
    periods = float(step) / schedule.decay_steps
    return math.floor(periods) if schedule.staircase else periods


@registry.register("PolynomialDecay")
class PolynomialDecay(LearningRateSchedule):
    """η(t) = (η0 - η1) (1 - t / T)^p + η1 up to T, then η1.

    Args:
        initial_learning_rate: η0.
        decay_steps: T > 0.
        end_learning_rate: η1.
        power: p; 1 is a straight line.
        cycle: Instead of staying at η1, stretch T to its next multiple that is not below t.
        name: Kept for Keras' files.

    Raises:
        ArgumentError: decay_steps is not positive.

    Example:
        >>> PolynomialDecay(0.3, decay_steps=100, end_learning_rate=0.1)(50)
        0.2

    Reference: Keras 3.15.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_steps("decay_steps", decay_steps, owner="PolynomialDecay")
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: float) -> float:
        step, length = float(step), float(self.decay_steps)
        if self.cycle:
            length *= max(1, math.ceil(step / length))
        remaining = max(0.0, 1.0 - step / length)
        drop = self.initial_learning_rate - self.end_learning_rate
        return float(drop * remaining**self.power + self.end_learning_rate)


@registry.register("PiecewiseConstantDecay")
class PiecewiseConstantDecay(LearningRateSchedule):
    """values[i] while boundaries[i-1] < t <= boundaries[i].

    Args:
        boundaries: Steps, strictly rising, after which the rate changes.
        values: The rates; one more than boundaries.
        name: Kept for Keras' files.

    Raises:
        ArgumentError: The lengths do not fit, or the boundaries do not rise.

    Example:
        >>> rate = PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.1])
        >>> rate(100), rate(101), rate(201)
        (1.0, 0.5, 0.1)

    Reference: Keras 3.15 (which takes boundaries that do not rise and adds up the rates).
    """

    def __init__(
        self,
        boundaries: Sequence[float],
        values: Sequence[float],
        name: str = "PiecewiseConstant",
    ) -> None:
        owner = "PiecewiseConstantDecay"
        if len(values) != len(boundaries) + 1:
            raise ArgumentError(
                f"{owner}: {len(boundaries)} boundaries need {len(boundaries) + 1} values, "
                f"got {len(values)}",
                where=f"{owner}(boundaries=..., values=...)",
                why="there is one rate before each boundary and one after the last",
                fix=f"{owner}(boundaries=[100, 200], values=[0.1, 0.01, 0.001])",
            )
        if any(later <= earlier for earlier, later in pairwise(boundaries)):
            raise ArgumentError(
                f"{owner}: boundaries must rise, got {list(boundaries)}",
                where=f"{owner}(boundaries=...)",
                why="each stretch between two boundaries has one rate",
                fix=f"{owner}(boundaries={sorted(set(boundaries))}, values=...)",
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: float) -> float:
        return float(self.values[bisect_left(self.boundaries, step)])
