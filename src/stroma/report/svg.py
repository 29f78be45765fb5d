"""Charts as SVG text: they print, zoom, need no script, and take their colours from the page.

Every chart has a title and a description for screen readers; series differ by dash and by a label
at their end, never by colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stroma.core.records import Interval
from stroma.report.drawing import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    Scale,
    dot,
    frame,
    linear,
    nice_ticks,
    spread,
    text,
)  # fmt: skip
from stroma.report.facts import Bin, percent

_MAX_POINTS = 300  # more than a 400-unit chart can show
_FEW = 40  # up to so many points each gets a mark that tells its value


@dataclass(frozen=True, slots=True)
class Series:
    """Values over epochs, with the label written at their end."""

    label: str
    points: Sequence[tuple[int, float]]


@dataclass(frozen=True, slots=True)
class _Scale:
    """From data to chart units."""

    x: Callable[[float], float]
    y: Callable[[float], float]


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    share: bool = False,
    log: bool = False,
    best: int | None = None,
) -> Markup:
    """Values over epochs: raw points faint, their running mean bold, the best epoch marked.

    Args:
        series: One to four series over the same epochs.
        title: Accessible name.
        share: Values are shares in [0, 1] and written as percentages.
        log: Logarithmic axis; values that are not above 0 are left out.
        best: Epoch whose weights were kept.
    """
    clean = [Series(one.label, _finite(one.points, log)) for one in series]
    clean = [one for one in clean if one.points]
    if not clean:
        return Markup("")
    values = [value for one in clean for _, value in one.points]
    epochs = [epoch for one in clean for epoch, _ in one.points]
    ticks = _log_ticks(values) if log else nice_ticks(min(values), max(values))
    scale = _scales(epochs, ticks, log)
    body = [_axes(scale, epochs, ticks, share), _best(scale, best, epochs)]
    ends = spread([scale.y(_smooth(one.points)[-1][1]) for one in clean])
    for number, (one, end) in enumerate(zip(clean, ends, strict=True), 1):
        body.append(_series(scale, one, number, end, share))
    last = ", ".join(f"{one.label} ends at {_number(one.points[-1][1], share)}" for one in clean)
    return frame(title, f"{len(set(epochs))} epochs; {last}.", WIDTH, HEIGHT, body)


def rate_chart(points: Sequence[tuple[int, float]], *, title: str = "Learning rate") -> Markup:
    """The learning rate as a low step line that lies under the curves."""
    points = _finite(points, False)
    if not points:
        return Markup("")
    epochs = [epoch for epoch, _ in points]
    top = max(value for _, value in points) or 1.0
    x = linear(min(epochs), max(epochs), LEFT, WIDTH - RIGHT)
    y = linear(0, top, 56, 10)
    steps = "".join(f"V{y(value):.1f}H{x(epoch):.1f}" for epoch, value in points)
    path = f"M{x(epochs[0]):.1f} {y(points[0][1]):.1f}{steps}"
    body = [
        Markup('<path class="axis" d="M{} 56H{}"/>').format(LEFT, WIDTH - RIGHT),
        Markup('<path class="line rate" d="{}"/>').format(path),
        text(LEFT - 6, 14, f"{top:.2g}", "end"),
        text(LEFT - 6, 59, "0", "end"),
        text(WIDTH - RIGHT + 8, y(points[-1][1]) + 4, "rate", "start"),
    ]
    return frame(title, f"Starts at {points[0][1]:.3g}, highest {top:.3g}.", WIDTH, 64, body)


def share_bar(value: float | None, interval: Interval | None, *, kind: str = "s1") -> Markup:
    """One share as a bar from 0 to 100 % with the whisker of its interval.

    It only repeats numbers that stand beside it, so screen readers pass it over.
    """
    parts = [Markup('<rect class="track" width="100" height="10"/>')]
    if value is not None:
        parts.append(
            Markup('<rect class="fill {}" width="{:.2f}" height="10"/>').format(kind, 100 * value)
        )
    if interval is not None:
        low, high = 100 * interval.low, 100 * interval.high
        whisker = f"M{low:.2f} 5H{high:.2f}M{low:.2f} 1.5V8.5M{high:.2f} 1.5V8.5"
        parts.append(
            Markup('<path class="halo" d="{0}"/><path class="whisker" d="{0}"/>').format(whisker)
        )
    return Markup(
        '<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none"'
        ' aria-hidden="true">{}</svg>'
    ).format(Markup("").join(parts))


def reliability_chart(bins: Sequence[Bin], before: Sequence[Bin] = ()) -> Markup:
    """Certainty against the share that was right; on the dashed line the two agree.

    Args:
        bins: As the network is.
        before: As it was before its certainty was corrected: hollow squares on a thin line.
    """
    side = HEIGHT + 24
    x = linear(0, 1, LEFT, side - 16)
    y = linear(0, 1, side - 44, TOP)
    body = []
    for tick in (0, 0.25, 0.5, 0.75, 1):
        body.append(text(LEFT - 6, y(tick) + 4, f"{100 * tick:.0f}", "end"))
        body.append(text(x(tick), side - 28, f"{100 * tick:.0f}", "middle"))
        grid = f"M{LEFT} {y(tick):.1f}H{x(1):.1f}"
        body.append(Markup('<path class="grid" d="{}"/>').format(grid))
    diagonal = f"M{x(0):.1f} {y(0):.1f}L{x(1):.1f} {y(1):.1f}"
    body.append(Markup('<path class="ideal" d="{}"/>').format(diagonal))
    if before:
        body.append(_before(before, x, y))
    most = max(one.count for one in bins)
    for one in bins:
        at = x(one.certainty)
        whisker = f"M{at:.1f} {y(one.interval.low):.1f}V{y(one.interval.high):.1f}"
        body.append(Markup('<path class="whisker" d="{}"/>').format(whisker))
        size = 2 + 4 * math.sqrt(one.count / most)
        body.append(dot(at, y(one.right), size, "mark s1", _bin_told(one)))
    body.append(text((x(0) + x(1)) / 2, side - 8, "how sure it was, %", "middle"))
    body.append(text(LEFT + 6, TOP + 10, "right, %", "start"))
    return frame("Certainty against truth", f"{len(bins)} groups.", side, side, body)


def _before(bins: Sequence[Bin], x: Scale, y: Scale) -> Markup:
    points = [(x(one.certainty), y(one.right)) for one in bins]
    line = "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in points)
    square = Markup(
        '<rect class="square" x="{:.1f}" y="{:.1f}" width="7" height="7"><title>{}</title></rect>'
    )
    squares = [
        square.format(across - 3.5, up - 3.5, f"before: {_bin_told(one)}")
        for (across, up), one in zip(points, bins, strict=True)
    ]
    return Markup('<path class="before" d="{}"/>{}').format(line, Markup("").join(squares))


def _bin_told(one: Bin) -> str:
    return f"{one.count} photos, {percent(one.certainty)} sure, {percent(one.right)} right"


def _log_ticks(values: Sequence[float]) -> list[float]:
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    ticks = [m * 10.0**k for k in range(low, high + 1) for m in (1, 2, 5)]
    first = max((t for t in ticks if t <= min(values)), default=ticks[0])
    last = min((t for t in ticks if t >= max(values)), default=ticks[-1])
    inside = [t for t in ticks if first <= t <= last]
    if len(inside) > 7:  # powers of ten alone, and every so many of them
        powers = [t for t in inside[1:-1] if math.log10(t).is_integer()]
        inside = [first, *powers[:: max(1, len(powers) // 5)], last]
    return inside if first < last else [first, first * 2]


def _finite(points: Sequence[tuple[int, float]], log: bool) -> list[tuple[int, float]]:
    return [(x, y) for x, y in points if math.isfinite(y) and (y > 0 or not log)]


def _smooth(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Mean over a centred window, which unlike an exponential mean does not lag behind."""
    reach = smoothing_window(len(points)) // 2
    smoothed = []
    for i, (epoch, _) in enumerate(points):
        room = min(reach, i, len(points) - 1 - i)
        near = [value for _, value in points[i - room : i + room + 1]]
        smoothed.append((epoch, sum(near) / len(near)))
    return smoothed


def smoothing_window(count: int) -> int:
    """How many epochs the bold line averages; 1 where there are too few to smooth."""
    return 1 if count < 12 else 2 * (count // 24 + 1) + 1


def _scales(epochs: Sequence[int], ticks: Sequence[float], log: bool) -> _Scale:
    x = linear(min(epochs), max(epochs), LEFT, WIDTH - RIGHT)
    if not log:
        return _Scale(x, linear(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP))
    decades = linear(math.log10(ticks[0]), math.log10(ticks[-1]), HEIGHT - BOTTOM, TOP)
    return _Scale(x, lambda value: decades(math.log10(value)))


def _axes(scale: _Scale, epochs: Sequence[int], ticks: Sequence[float], share: bool) -> Markup:
    parts = []
    for tick in ticks:
        height = scale.y(tick)
        parts.append(
            Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(LEFT, height, WIDTH - RIGHT)
        )
        label = f"{100 * tick:g}" if share else f"{tick:g}"
        parts.append(text(LEFT - 6, height + 4, label, "end"))
    whole = [t for t in nice_ticks(min(epochs), max(epochs), 5) if t == int(t)]
    shown = sorted({min(epochs), max(epochs), *(int(t) for t in whole)})
    gap, last = (max(epochs) - min(epochs)) / 9, max(epochs)
    for epoch in shown:
        near_end = epoch not in (min(epochs), last) and min(epoch - epochs[0], last - epoch) < gap
        if min(epochs) <= epoch <= last and not near_end:
            parts.append(text(scale.x(epoch), HEIGHT - BOTTOM + 16, str(epoch), "middle"))
    parts.append(text(LEFT - 8, HEIGHT - BOTTOM + 16, "epoch", "end"))
    return Markup("").join(parts)


def _best(scale: _Scale, best: int | None, epochs: Sequence[int]) -> Markup:
    if best is None or not min(epochs) <= best <= max(epochs):
        return Markup("")
    at = scale.x(best)
    late = at > (LEFT + WIDTH - RIGHT) / 2
    stem = Markup('<path class="best" d="M{:.1f} {}V{}"/>').format(at, TOP, HEIGHT - BOTTOM)
    name = f"best: epoch {best}"
    return stem + text(at + (-5 if late else 5), TOP - 4, name, "end" if late else "start")


def _series(scale: _Scale, one: Series, number: int, end: float, share: bool) -> Markup:
    smooth, raw = _thin(_smooth(one.points)), _thin(one.points)
    style = f"s{(number - 1) % 4 + 1}"
    parts = []
    if smoothing_window(len(one.points)) > 1:
        parts.append(Markup('<path class="raw {}" d="{}"/>').format(style, _path(scale, raw)))
    parts.append(Markup('<path class="line {}" d="{}"/>').format(style, _path(scale, smooth)))
    if len(one.points) <= _FEW:
        for epoch, value in one.points:
            told = f"epoch {epoch}, {one.label} {_number(value, share)}"
            parts.append(dot(scale.x(epoch), scale.y(value), 2.4, f"mark dot {style}", told))
    parts.append(text(WIDTH - RIGHT + 8, end + 4, one.label, "start", f"label {style}"))
    return Markup("").join(parts)


def _thin(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    step = math.ceil(len(points) / _MAX_POINTS)
    kept = list(points[::step])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _path(scale: _Scale, points: Sequence[tuple[int, float]]) -> str:
    return "M" + "L".join(f"{scale.x(x):.1f} {scale.y(y):.1f}" for x, y in points)


def _number(value: float, share: bool) -> str:
    return percent(value) if share else f"{value:.4g}"
