"""The ladder from features to fine-tuning, and the heads on its first rung: told and drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stroma.core.records import RunRecord
from stroma.core.records_transfer import HeadScore, Lead, Rung
from stroma.core.scores import Interval, Score
from stroma.report.drawing import (
    BOTTOM,
    HEIGHT,
    LEFT,
    TOP,
    WIDTH,
    Scale,
    dot,
    frame,
    linear,
    nice_ticks,
    spread,
    text,
)
from stroma.report.facts import between, percent, signed

_END = WIDTH - 16  # of the time axis: room for half of its last number
_UNITS = ((1.0, "s"), (60.0, "min"), (3600.0, "h"))


@dataclass(frozen=True, slots=True)
class Step:
    """A rung that was tried: its place in the order, when it was reached, what it added.

    Args:
        number: Counted from 1 over all rungs, tried or not.
        after: Seconds from the start of the first rung to the end of this one.
        gain: Of its score over the best one before; None: the first.
    """

    number: int
    rung: Rung
    score: Score
    after: float
    gain: float | None


def climbed(rungs: Sequence[Rung]) -> list[Step]:
    """The rungs that were tried, each with the time and the best score so far."""
    steps: list[Step] = []
    after, best = 0.0, None
    for number, rung in enumerate(rungs, 1):
        if rung.score is None:
            continue
        after += rung.seconds
        gain = None if best is None else rung.score.value - best
        best = rung.score.value if best is None else max(best, rung.score.value)
        steps.append(Step(number, rung, rung.score, after, gain))
    return steps


def chosen(run: RunRecord) -> Rung | None:
    """The rung that the model which ships stands on."""
    return next((rung for rung in run.ladder if rung.chosen), None)


def ladder_chart(rungs: Sequence[Rung]) -> Markup:
    """Score on unseen photos against the seconds until then; the steps' numbers stand above.

    The line is the best score so far: where it stays level, more time brought nothing.
    """
    steps = [s for s in climbed(rungs) if math.isfinite(s.after) and math.isfinite(s.score.value)]
    if len(steps) < 2:  # one point is a number: the table has it
        return Markup("")
    ends = [_interval(step.score) for step in steps]
    shares = nice_ticks(min(end.low for end in ends), max(end.high for end in ends), 4)
    shares = [share for share in shares if -1e-9 <= share <= 1 + 1e-9]
    size, unit = max(one for one in _UNITS if one is _UNITS[0] or steps[-1].after >= 2 * one[0])
    times = nice_ticks(0, steps[-1].after / size, 5)
    x = linear(0, times[-1] * size, LEFT, _END)
    y = linear(shares[0], shares[-1], HEIGHT - BOTTOM, TOP + 22)
    body = [
        _grid(y, shares),
        _best_so_far(steps, x, y),
        *(text(x(t * size), HEIGHT - BOTTOM + 16, f"{t:g}", "middle") for t in times[:-1]),
        text(_END, HEIGHT - BOTTOM + 16, f"{times[-1]:g} {unit}", "middle"),
        text(LEFT - 6, TOP + 4, "%", "end"),
    ]
    names = spread([x(step.after) for step in steps], 16)
    too_far = max(0.0, names[-1] - (WIDTH - 8))
    for step, end, name in zip(steps, ends, names, strict=True):
        body.append(_mark(step, end, (x(step.after), name - too_far), y))
    told = ", ".join(f"step {step.number} {percent(step.score.value)}" for step in steps)
    return frame(f"{steps[0].score.name} against time", f"{told}.", WIDTH, HEIGHT, body)


def _interval(score: Score) -> Interval:
    return score.interval or Interval(low=score.value, high=score.value)


def _grid(y: Scale, shares: Sequence[float]) -> Markup:
    lines = []
    for share in shares:
        lines.append(Markup('<path class="grid" d="M{} {:.1f}H{}"/>').format(LEFT, y(share), _END))
        lines.append(text(LEFT - 6, y(share) + 4, f"{100 * share:g}", "end"))
    return Markup("").join(lines)


def _best_so_far(steps: Sequence[Step], x: Scale, y: Scale) -> Markup:
    best = steps[0].score.value
    path = f"M{x(steps[0].after):.1f} {y(best):.1f}"
    for step in steps[1:]:
        best = max(best, step.score.value)
        path += f"H{x(step.after):.1f}V{y(best):.1f}"
    return Markup('<path class="so-far" d="{}H{}"/>').format(path, _END)


def _mark(step: Step, end: Interval, places: tuple[float, float], y: Scale) -> Markup:
    """The step's point and interval, and its number above at the second of the two places."""
    at, name = places
    stem = f"M{name:.1f} {TOP + 6}L{at:.1f} {TOP + 16}V{y(end.high):.1f}"
    whisker = f"M{at:.1f} {y(end.low):.1f}V{y(end.high):.1f}"
    told = f"{step.number}: {step.rung.name}, {percent(step.score.value)} {between(end)}"
    kept = step.rung.chosen
    return Markup("").join(
        (
            Markup('<path class="stem" d="{}"/><path class="whisker" d="{}"/>').format(
                stem, whisker
            ),
            dot(at, y(step.score.value), 6.5 if kept else 4, "mark s1" if kept else "hollow", told),
            text(name, TOP + 3, str(step.number), "middle", "label" if kept else "tick"),
        )
    )


def heads_in_order(heads: Sequence[HeadScore]) -> list[HeadScore]:
    """The best first, those that were not tried last."""
    return sorted(heads, key=lambda head: math.inf if head.score is None else -head.score)


def lead_sentence(heads: Sequence[HeadScore], lead: Lead | None) -> str:
    """By how much the best head won, and whether that could be chance."""
    tried = [head for head in heads_in_order(heads) if head.score is not None]
    if not tried or lead is None:
        return ""
    sure = "a real lead" if lead.low > 0 else "too little to tell them apart"
    return (
        f"{tried[0].name} leads {lead.over} by {100 * lead.difference:.1f} points on the same "
        f"photos (95 % interval {signed(100 * lead.low)} to {signed(100 * lead.high)}): {sure}."
    )
