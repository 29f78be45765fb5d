"""Checks of settings, each done once at the edge (a constructor, a loader), never in a hot path.

Each takes the argument's name, its value and its owner, returns the normalised value, and raises
an error that names all three.
"""

from __future__ import annotations

import contextlib
import math
import operator
from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import numpy as np

from stroma.core.errors import ArgumentError, ArgumentTypeError, did_you_mean

T = TypeVar("T")


def check_int(name: str, value: Any, *, owner: str, minimum: int | None = None) -> int:
    """`value` as an int (NumPy integers and whole floats count), at least `minimum`."""
    try:
        number = operator.index(value)
    except TypeError:
        if not (isinstance(value, float) and value.is_integer()):
            raise ArgumentTypeError(
                f"{owner}: {name} must be a whole number, got {value!r} ({type(value).__name__})",
                where=f"{owner}({name}=...)",
                why=f"{name} counts something",
                fix=f"{owner}({name}={minimum if minimum is not None else 1})",
            ) from None
        number = int(value)
    if isinstance(value, bool):
        raise ArgumentTypeError(
            f"{owner}: {name} must be a whole number, got {value!r}",
            where=f"{owner}({name}=...)",
            why="a yes or no counts nothing",
            fix=f"{owner}({name}={minimum if minimum is not None else 1})",
        )
    if minimum is not None and number < minimum:
        raise ArgumentError(
            f"{owner}: {name} must be {minimum} or more, got {number}",
            where=f"{owner}({name}=...)",
            why=f"{name} below {minimum} leaves nothing to compute",
            fix=f"{owner}({name}={max(minimum, 1)})",
        )
    return number


def check_positive_int(name: str, value: Any, *, owner: str) -> int:
    """`value` as an int of at least 1."""
    return check_int(name, value, owner=owner, minimum=1)


def check_number(
    name: str,
    value: Any,
    *,
    owner: str,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    exclusive: bool = False,
    example: float | None = None,
) -> float:
    """`value` as a finite float in [minimum, maximum], or in the open interval when `exclusive`.

    Text and truth values are refused, though Python could read them as numbers: "0.1" usually is
    a setting that nobody converted. `example` is what the message tells to type.
    """
    if example is None:
        example = _between(minimum, maximum)
    number: float | None = None
    with contextlib.suppress(TypeError, ValueError):
        number = float(value)
    if number is None or isinstance(value, (str, bytes, bool)):
        meant = number if isinstance(value, str) else None
        hint = "" if meant is None else f". Did you mean {owner}({name}={meant:g})?"
        raise ArgumentTypeError(
            f"{owner}: {name} must be a number, got {value!r} ({type(value).__name__}){hint}",
            where=f"{owner}({name}=...)",
            why=f"{name} is calculated with",
            fix=f"{owner}({name}={example if meant is None else meant:g})",
        )
    inside = minimum < number < maximum if exclusive else minimum <= number <= maximum
    if math.isnan(number) or not inside:
        left, right = ("(", ")") if exclusive else ("[", "]")
        raise ArgumentError(
            f"{owner}: {name} must lie in {left}{minimum:g}, {maximum:g}{right}, got {value!r}",
            where=f"{owner}({name}=...)",
            why="outside this range the result is not defined",
            fix=f"{owner}({name}={example:g})",
        )
    return number


def _between(minimum: float, maximum: float) -> float:
    """A plain number inside a range."""
    if math.isfinite(minimum) and math.isfinite(maximum):
        return (minimum + maximum) / 2
    if math.isfinite(minimum):
        return minimum + 1
    return maximum - 1 if math.isfinite(maximum) else 1.0


def check_bool(name: str, value: Any, *, owner: str) -> bool:
    """`value` as True or False; text is refused, since `bool("no")` is True."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise ArgumentTypeError(
        f"{owner}: {name} must be True or False, got {value!r} ({type(value).__name__})",
        where=f"{owner}({name}=...)",
        why="it switches something on or off, and most other values would count as on",
        fix=f"{owner}({name}=True)",
    )


def check_choice(name: str, value: Any, choices: Collection[T], *, owner: str) -> T:
    """`value` when it is one of `choices`."""
    if value in choices:
        return value  # type: ignore[no-any-return]  # membership says it is a T
    listed = ", ".join(repr(choice) for choice in choices)
    hint = did_you_mean(value, [str(c) for c in choices]) if isinstance(value, str) else ""
    raise ArgumentError(
        f"{owner}: {name} must be one of {listed}; got {value!r}.{hint}",
        where=f"{owner}({name}=...)",
        why=f"{name} has only these meanings",
        fix=f"{owner}({name}={next(iter(choices))!r})",
    )


def check_tuple(
    name: str, value: Any, length: int, *, owner: str, minimum: int = 1
) -> tuple[int, ...]:
    """`value`, an int or `length` ints, as a tuple of `length` ints of at least `minimum`."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != length:
            raise ArgumentError(
                f"{owner}: {name} must be one number or {length}, got {tuple(value)}",
                where=f"{owner}({name}=...)",
                why=f"there are {length} spatial axes",
                fix=f"{owner}({name}={tuple([value[0] if value else minimum] * length)})",
            )
        return tuple(check_int(name, item, owner=owner, minimum=minimum) for item in value)
    return (check_int(name, value, owner=owner, minimum=minimum),) * length
