"""Figures of merit with their doubt: plain records."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stroma.core.plain import Record


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval(Record):
    """A 95 % confidence interval of a share: 0 <= low <= high <= 1."""

    low: float
    high: float

    @classmethod
    def wilson(cls, successes: int, count: int, *, z: float = 1.959964) -> Interval:
        """Wilson's score interval of `successes` out of `count`.

        (p + z²/2n ± z √(p(1-p)/n + z²/4n²)) / (1 + z²/n). It stays inside [0, 1] and is honest for
        small counts and for 0 or all right, where the textbook p ± z·s collapses to a point.

        Args:
            successes: How many were right, 0 to `count`.
            count: How many were tried; 0 gives [0, 1]: nothing is known.
            z: Standard normal quantile; 1.96 for 95 %.

        Example:
            >>> interval = Interval.wilson(288, 312)
            >>> round(interval.low, 3), round(interval.high, 3)
            (0.888, 0.948)

        Reference: Wilson 1927, "Probable inference, the law of succession, and statistical
        inference".
        """
        if count == 0:
            return cls(low=0.0, high=1.0)
        share, spread = successes / count, z * z / count
        centre = share + spread / 2
        half = z * math.sqrt(share * (1 - share) / count + spread / (4 * count))
        low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
        # Rounding must not push the ends past the share itself when it is 0 or 1.
        return cls(low=max(0.0, min(low, share)), high=min(1.0, max(high, share)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Score(Record):
    """One figure of merit with its doubt: a share between 0 and 1 measured on `count` photos."""

    name: str
    value: float
    interval: Interval | None = None
    count: int = 0

    @classmethod
    def of(cls, name: str, right: int, count: int) -> Score:
        """The share of `count` photos that were right, with Wilson's interval."""
        share = right / count if count else 0.0
        return cls(name=name, value=share, interval=Interval.wilson(right, count), count=count)
