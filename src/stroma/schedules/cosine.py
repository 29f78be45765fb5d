"""Schedules along a cosine, with warm-up or with restarts."""

from __future__ import annotations

import math

from stroma.core.checks import check_number
from stroma.core.errors import ArgumentError
from stroma.schedules.base import LearningRateSchedule, check_steps, registry


@registry.register("CosineDecay")
class CosineDecay(LearningRateSchedule):
    """Half a cosine from η0 down to α η0, optionally after a straight warm-up.

    η(t) = η0 ((1 - α) (1 + cos(π min(t, T) / T)) / 2 + α). With a warm-up of W steps the rate first
    rises in a straight line from η0 to the target; the cosine then starts from the target.

    Args:
        initial_learning_rate: η0.
        decay_steps: T > 0, steps of the cosine, not counting the warm-up.
        alpha: Last rate as a fraction of the first (of the target with a warm-up).
        name: Kept for Keras' files.
        warmup_target: Rate at the end of the warm-up; None: no warm-up.
        warmup_steps: W >= 0.

    Raises:
        ArgumentError: decay_steps is not positive, or warmup_steps negative.

    Example:
        >>> rate = CosineDecay(0.0, decay_steps=100, warmup_target=0.1, warmup_steps=10)
        >>> [round(rate(step), 6) for step in (0, 5, 10, 60, 110)]
        [0.0, 0.05, 0.1, 0.05, 0.0]

    Reference: Loshchilov & Hutter 2017, eq. 5; warm-up: Goyal et al. 2017. A whole number for
    initial_learning_rate is a number here; Keras truncates its whole curve to integers then.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ) -> None:
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = check_steps("decay_steps", decay_steps, owner="CosineDecay")
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        check_number("warmup_steps", warmup_steps, owner="CosineDecay", minimum=0)
        self.warmup_steps = warmup_steps

    def __call__(self, step: float) -> float:
        step, top = float(step), float(self.initial_learning_rate)
        if self.warmup_target is not None:
            if step < self.warmup_steps:
                return top + (self.warmup_target - top) * step / self.warmup_steps
            step, top = step - self.warmup_steps, float(self.warmup_target)
        return top * _half_cosine(min(step / self.decay_steps, 1.0), 1.0, self.alpha)


@registry.register("CosineDecayRestarts")
class CosineDecayRestarts(LearningRateSchedule):
    """A cosine that starts again, each period t_mul times longer and m_mul times as high.

    In period i, at the fraction x of it: η(t) = η0 ((1 - α) m_mul^i (1 + cos π x) / 2 + α).

    Args:
        initial_learning_rate: η0.
        first_decay_steps: Length of the first period, > 0.
        t_mul: Factor on the length from one period to the next, >= 1.
        m_mul: Factor on the height from one period to the next.
        alpha: Lowest rate as a fraction of η0.
        name: Kept for Keras' files.

    Raises:
        ArgumentError: first_decay_steps is not positive, or t_mul is below 1.

    Example:
        >>> rate = CosineDecayRestarts(0.1, first_decay_steps=10)
        >>> [round(rate(step), 6) for step in (0, 5, 10, 20, 30)]
        [0.1, 0.05, 0.1, 0.05, 0.1]

    Reference: Loshchilov & Hutter 2017. Keras finds the period by a float32 logarithm and can be
    one period off at the very step of a restart; here the period is exact.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        owner = "CosineDecayRestarts"
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = check_steps("first_decay_steps", first_decay_steps, owner=owner)
        if not t_mul >= 1:
            raise ArgumentError(
                f"{owner}: t_mul must be 1 or more, got {t_mul!r}",
                where=f"{owner}(t_mul=...)",
                why="periods that shrink come to an end after finitely many steps",
                fix=f"{owner}(t_mul=1.0) for periods of equal length",
            )
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: float) -> float:
        period, fraction = self._position(float(step) / self.first_decay_steps)
        height = float(self.m_mul) ** period
        return self.initial_learning_rate * _half_cosine(fraction, height, self.alpha)

    def _position(self, elapsed: float) -> tuple[int, float]:
        """Number of the period and the fraction of it, `elapsed` first periods after the start."""
        ratio = float(self.t_mul)
        if ratio == 1.0:
            return math.floor(elapsed), elapsed - math.floor(elapsed)

        def start(period: int) -> float:  # of a period, in first periods: a geometric sum
            return (ratio**period - 1.0) / (ratio - 1.0)

        period = math.floor(math.log(elapsed * (ratio - 1.0) + 1.0) / math.log(ratio))
        if start(period) > elapsed:  # the logarithm is only nearly exact at a restart
            period -= 1
        elif start(period + 1) <= elapsed:
            period += 1
        return period, (elapsed - start(period)) / ratio**period


def _half_cosine(fraction: float, height: float, floor: float) -> float:
    return (1.0 - floor) * height * 0.5 * (1.0 + math.cos(math.pi * fraction)) + floor
