"""Learning-rate schedules: functions from the number of updates done to the next rate."""

from __future__ import annotations

from typing import Any

from stroma.core.config import serialise
from stroma.core.registry import resolve
from stroma.schedules.base import LearningRateSchedule, registry
from stroma.schedules.cosine import CosineDecay, CosineDecayRestarts
from stroma.schedules.decays import (
    ExponentialDecay,
    InverseTimeDecay,
    PiecewiseConstantDecay,
    PolynomialDecay,
)

__all__ = [
    "LearningRateSchedule", "ExponentialDecay", "InverseTimeDecay", "PolynomialDecay",
    "PiecewiseConstantDecay", "CosineDecay", "CosineDecayRestarts", "serialize", "deserialize",
]  # fmt: skip


def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """The schedule's class and config as plain data, as Keras' files write it."""
    return serialise(learning_rate_schedule)


def deserialize(config: dict[str, Any]) -> LearningRateSchedule:
    """The schedule that `serialize` described.

    Example:
        >>> deserialize(serialize(CosineDecay(0.1, 100)))(50)
        0.05
    """
    schedule: LearningRateSchedule = resolve(registry, config)
    return schedule
