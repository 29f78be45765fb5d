"""Checks of settings that several update rules share."""

from __future__ import annotations

from collections.abc import Mapping

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


def check_clipping(limits: Mapping[str, float | None], *, owner: str) -> None:
    """At most one limit is given, and it is 0 or more (0 clips nothing, as in Keras)."""
    given = {name: value for name, value in limits.items() if value is not None}
    for name, value in given.items():
        check_number(name, value, owner=owner, minimum=0)
    if len(given) > 1:
        first, second, *_ = given
        raise ArgumentError(
            f"{owner}: only one way of clipping can be used, got {' and '.join(given)}",
            where=f"{owner}({first}=..., {second}=...)",
            why="each would undo the other's limit",
            fix=f"keep {first}=... alone",
        )
