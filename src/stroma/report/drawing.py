"""What every chart is drawn with: a frame, texts, marks, scales.

Sizes are in units of the chart, which its frame scales to the page.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from markupsafe import Markup, escape

from stroma.report.facts import visible

WIDTH, HEIGHT = 400, 236
LEFT, RIGHT, TOP, BOTTOM = 46, 74, 16, 30
Scale = Callable[[float], float]  # from the data to chart units


def frame(
    title: str,
    description: str,
    width: float,
    height: float,
    body: Sequence[Markup],
    *,
    role: str = "img",
) -> Markup:
    """The chart of these parts, with its name and description for screen readers.

    Args:
        role: "img", or "group" where something in it can be chosen.
    """
    label = escape(visible(f"{title}. {description}"))
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="{}" aria-label="{}">{}</svg>'
    ).format(width, height, role, label, Markup("").join(body))


def text(x: float, y: float, said: str, anchor: str, style: str = "tick") -> Markup:
    """Words at (x, y); `anchor` says which part of them lies there: start, middle or end."""
    return Markup('<text class="{}" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text>').format(
        style, x, y, anchor, visible(said)
    )


def dot(x: float, y: float, radius: float, style: str, told: str) -> Markup:
    """A disc that tells its value when it is pointed at."""
    return Markup(
        '<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"><title>{}</title></circle>'
    ).format(style, x, y, radius, visible(told))


def linear(low: float, high: float, start: float, stop: float) -> Scale:
    """From [low, high] of the data to [start, stop] of the chart."""
    span = (high - low) or 1.0
    return lambda value: start + (value - low) / span * (stop - start)


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that enclose [low, high], about `count` steps apart.

    Example:
        >>> nice_ticks(0.13, 2.2)
        [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    """
    span = (high - low) or abs(high) or 1.0
    raw = span / count
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10) if m * unit >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, 2 - math.floor(math.log10(step)))
    return [round(k * step, digits) for k in range(first, max(last, first + 1) + 1)]


def spread(places: Sequence[float], gap: float = 13) -> list[float]:
    """Places of labels moved apart so that no two overlap, in the same order.

    Example:
        >>> spread([10, 50, 12])
        [10, 50, 23]
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    placed = list(places)
    for above, below in itertools.pairwise(order):
        placed[below] = max(placed[below], placed[above] + gap)
    return placed
