"""What all learning-rate schedules share."""

from __future__ import annotations

from abc import ABC, abstractmethod

from stroma.core.checks import check_number
from stroma.core.config import Configurable
from stroma.core.registry import Registry


class LearningRateSchedule(Configurable, ABC):
    """A learning rate as a function of the number of updates done.

    Subclass it and write `__call__`; any plain function of the step works as a schedule too. The
    curves are computed in double precision (Keras: float32), on the host: a schedule never touches
    the device.
    """

    @abstractmethod
    def __call__(self, step: float) -> float:
        """The rate of the update that follows `step` updates."""


registry: Registry[type[LearningRateSchedule]] = Registry("schedule", "keras.optimizers.schedules")


def check_steps(name: str, value: float, *, owner: str) -> float:
    """`value` as a number of steps above 0 (a fraction of a step is allowed, as in Keras)."""
    check_number(name, value, owner=owner, minimum=0, exclusive=True)
    return value
