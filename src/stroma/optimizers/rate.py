"""Learning rates: a number, a function of the step, or a function of nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from stroma.core.errors import ArgumentError
from stroma.core.registry import registries, resolve

LearningRate = float | Callable[[int], float] | Callable[[], float]


def call_schedule(function: Callable[..., float], step: int) -> float:
    """The rate at a step: a schedule takes the step; Keras also allows a function of nothing."""
    try:
        inspect.signature(function).bind(step)
    except TypeError:
        return float(function())
    return float(function(step))


def schedule_from_config(config: dict[str, Any], *, owner: str) -> Callable[[int], float]:
    """The schedule that a config names, from the table of schedules (a room beside this one)."""
    schedules = registries().get("schedule")
    if schedules is None:
        raise ArgumentError(
            f"{owner}: no schedule is known by name yet",
            where=f"learning_rate={config.get('class_name')!r}",
            why="the schedules register themselves when they are imported",
            fix="import stroma.schedules",
        )
    schedule: Callable[[int], float] = resolve(schedules, config)
    return schedule
