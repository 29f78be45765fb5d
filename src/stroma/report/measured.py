"""What a run says whose photos have several classes or a number each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from stroma.core.measured import ClassFigures, Figure, Measured, MeasuredAnswer
from stroma.core.records import RunRecord
from stroma.report.drawing import LEFT, TOP, dot, frame, linear, nice_ticks, text
from stroma.report.facts import percent, photos

_SHARES = (0.5, 0.8, 0.9, 0.95)  # of the photos, whose errors are told
_MOST_DOTS = 2000  # a larger chart says no more, and makes a large page
_SIDE = 300
_HALF = 0.5


def told(value: float | None, measured: Measured) -> str:
    """A figure as people write it: shares of several classes in per cent, numbers as they are."""
    if measured.task != "number":
        return percent(value)
    return "–" if value is None else f"{value:.4g}"


def figure_told(figure: Figure, measured: Measured) -> str:
    """ "0.21 (0.18 to 0.25)"."""
    if figure.low is None or figure.high is None:
        return told(figure.value, measured)
    low, high = told(figure.low, measured), told(figure.high, measured)
    return f"{told(figure.value, measured)} ({low.removesuffix(' %')} to {high})"


def blind(measured: Measured) -> str:
    """What the baseline says of each photo."""
    return "the mean alone" if measured.task == "number" else "each class by its share"


def measured_verdict(measured: Measured) -> str:
    """The run in one sentence."""
    unseen = f"{photos(measured.count)} it had never seen"
    if measured.task == "number":
        return f"Off by {told(measured.figures[0].value, measured)} on average, on {unseen}."
    exact = next((f.value for f in measured.figures if f.name == "all classes right"), None)
    right = round((exact or 0.0) * measured.count)
    return f"All classes right on {right:,} of {unseen}."


def weakest(measured: Measured) -> ClassFigures | None:
    """The class with the lowest average precision, where one is below 1."""
    known = [row for row in measured.classes if (row.average_precision or 1.0) < 1]
    return min(known, key=lambda row: row.average_precision or 1.0, default=None)


@dataclass(frozen=True, slots=True)
class Off:
    """One photo and how far its answer is off: for people, in words.

    Args:
        said, true: The number, or the classes.
        off: Of a number the error with its sign, as text; empty for classes.
        thumbnail: As in `MeasuredAnswer`.
    """

    path: str
    said: str
    true: str
    off: str
    thumbnail: str | None


def furthest_off(run: RunRecord, most: int) -> list[Off]:
    """The photos whose answers are furthest from the truth, worst first."""
    worst = sorted(run.answers, key=lambda row: -_distance(row))[:most]
    if run.measured is not None and run.measured.task == "number":
        return [
            Off(
                row.path, f"{row.answer[0]:.4g}", f"{row.truth[0]:.4g}",
                f"{row.answer[0] - row.truth[0]:+.3g}".replace("-", "\u2212"), row.thumbnail,
            )
            for row in worst
        ]  # fmt: skip
    wrong = [row for row in worst if _present(row.answer) != _present(row.truth)]
    return [
        Off(
            row.path, _named(row.answer, run.class_names), _named(row.truth, run.class_names), "",
            row.thumbnail,
        )
        for row in wrong
    ]  # fmt: skip


def _distance(row: MeasuredAnswer) -> float:
    return sum(abs(a - t) for a, t in zip(row.answer, row.truth))


def _present(row: Sequence[float]) -> list[bool]:
    return [share > _HALF for share in row]


def _named(row: Sequence[float], names: Sequence[str]) -> str:
    return ", ".join(name for name, share in zip(names, row) if share > _HALF) or "none of them"


def error_quantiles(run: RunRecord) -> list[tuple[float, float]]:
    """(share of photos, they are off by no more than this): the errors of a number."""
    if run.measured is None or run.measured.task != "number" or not run.answers:
        return []
    errors = sorted(map(_distance, run.answers))
    return [(share, errors[max(0, -int(-share * len(errors) // 1) - 1)]) for share in _SHARES]


def scatter_chart(run: RunRecord) -> Markup:
    """What was said against what is true, a dot a photo; on the dashed line the two agree."""
    if run.measured is None or run.measured.task != "number" or not run.answers:
        return Markup("")
    step = -(-len(run.answers) // _MOST_DOTS)
    points = [(row.truth[0], row.answer[0], row.path) for row in run.answers[::step]]
    values = [value for true, said, _ in points for value in (true, said)]
    ticks = nice_ticks(min(values), max(values))
    low, high = ticks[0], ticks[-1]
    x = linear(low, high, LEFT, _SIDE - 16)
    y = linear(low, high, _SIDE - 44, TOP)
    body = []
    for tick in ticks:
        body.append(text(LEFT - 6, y(tick) + 4, f"{tick:g}", "end"))
        body.append(text(x(tick), _SIDE - 28, f"{tick:g}", "middle"))
        grid = f"M{LEFT} {y(tick):.1f}H{x(high):.1f}"
        body.append(Markup('<path class="grid" d="{}"/>').format(grid))
    diagonal = f"M{x(low):.1f} {y(low):.1f}L{x(high):.1f} {y(high):.1f}"
    body.append(Markup('<path class="ideal" d="{}"/>').format(diagonal))
    for true, said, path in points:
        body.append(dot(x(true), y(said), 2.4, "mark dot s1", f"{path}: {said:.4g}, is {true:.4g}"))
    body.append(text((x(low) + x(high)) / 2, _SIDE - 8, "true", "middle"))
    body.append(text(LEFT + 6, TOP + 10, "said", "start"))
    return frame("Said against true", f"{len(points)} photos.", _SIDE, _SIDE, body)
