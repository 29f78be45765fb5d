"""Checks of settings that several update rules share."""

from __future__ import annotations

from stroma.core.checks import check_number
from stroma.core.errors import ArgumentError


def check_decay_rate(name: str, value: float, *, owner: str) -> float:
    """`value` as the weight of an old average: in [0, 1), since 1 would never learn anything."""
    value = check_number(name, value, owner=owner, minimum=0, maximum=1)
    if value == 1:
        raise ArgumentError(
            f"{owner}: {name} must be below 1, got {value!r}",
            where=f"{owner}({name}=...)",
            why="a moving average with weight 1 on its past never takes in a gradient",
            fix=f"{owner}({name}=0.9)",
        )
    return value
