"""Runs side by side: which is better, whether that could be luck, and what was done differently."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from stroma.core.errors import ArgumentError
from stroma.core.records import RunRecord
from stroma.report import facts, ladder, svg
from stroma.report.page import fill

_LUCK = 0.05  # two runs are called different when luck alone would do it less often than this
_HASH = re.compile("[0-9a-f]{40,}")
_MOST = len(string.ascii_uppercase)


def compare(runs: Sequence[RunRecord]) -> str:
    """One HTML page that sets runs side by side, called A, B, C in the order given.

    Args:
        runs: Two to 26 records.
    Raises:
        ArgumentError: Fewer than two runs, or more than there are letters.
    """
    if not 2 <= len(runs) <= _MOST:
        raise ArgumentError(
            f"compare needs 2 to {_MOST} runs, got {len(runs)}",
            where="compare(runs)",
            why="a comparison sets one run against another",
            fix="stroma report RUN --compare OTHER_RUN",
        )
    letters = string.ascii_uppercase[: len(runs)]
    classes = runs[0].class_names
    same = all(run.class_names == classes and run.confusion for run in runs)
    context: dict[str, Any] = {
        "runs": list(zip(letters, runs, strict=True)),
        "verdict": verdict(runs),
        "differences": differences(runs),
        "charts": _charts(letters, runs),
        "class_names": classes if same else (),
        "recalls": [[score.recall for score in facts.scores(run)] for run in runs],
    }
    return fill("compare.html", context)


def verdict(runs: Sequence[RunRecord]) -> tuple[str, str]:
    """Who leads, and how far to believe it."""
    tested = [(run.headline.value, i) for i, run in enumerate(runs) if run.headline is not None]
    if len(tested) < 2:
        return "Nothing to compare yet.", "Fewer than two of these runs have been tested."
    tested.sort(key=lambda entry: -entry[0])  # stable: among equals the first given leads
    (top, first), (next_, second) = tested[:2]
    leader, other = string.ascii_uppercase[first], string.ascii_uppercase[second]
    if top == next_:
        return f"{leader} and {other} are level.", ""
    lead = f"{leader} leads {other} by {100 * (top - next_):.1f} points"
    pair = paired(runs[first], runs[second])
    if pair.luck >= _LUCK if pair else _overlap(runs[first], runs[second]):
        lead += ", which may be luck"
    lead += "."
    if pair is None:
        return lead, "They were tested on different photos: the difference may come from those."
    luck = facts.percent(pair.luck) if pair.luck >= 0.001 else "under 0.1 %"
    seldom = f"Luck alone would part them as far in {luck} of such tests"
    told = (
        f"On the same {pair.count:,} photos {leader} alone was right {pair.first:,} times, "
        f"{other} alone {pair.second:,} times. {seldom}"
    )
    return lead, told + (": a real difference." if pair.luck < _LUCK else ": too often to tell.")


def _overlap(leader: RunRecord, other: RunRecord) -> bool:
    """Whether the intervals of two tests have a figure in common."""
    ours, theirs = (run.headline.interval if run.headline else None for run in (leader, other))
    return ours is None or theirs is None or ours.low <= theirs.high


@dataclass(frozen=True, slots=True)
class Paired:
    """Two runs on the same photos: how often one alone was right, and the chance of luck."""

    count: int
    first: int
    second: int
    luck: float


def paired(one: RunRecord, other: RunRecord) -> Paired | None:
    """McNemar's exact test, or None when the runs did not see the same test photos.

    Only photos on which the two differ say anything; under luck each falls to either side like a
    coin. Reference: McNemar 1947, "Note on the sampling error of the difference between
    correlated proportions".
    """
    ours, theirs = ({p.path: p.right for p in run.predictions} for run in (one, other))
    if not ours or ours.keys() != theirs.keys():
        return None
    first = sum(right and not theirs[path] for path, right in ours.items())
    second = sum(right and not ours[path] for path, right in theirs.items())
    return Paired(len(ours), first, second, coin_luck(first, second))


def coin_luck(first: int, second: int) -> float:
    """How often a fair coin falls at least as unevenly as `first` to `second` (two-sided).

    Example:
        >>> coin_luck(0, 5), coin_luck(3, 3)
        (0.0625, 1.0)
    """
    tosses, fewer = first + second, min(first, second)
    tail = sum(math.comb(tosses, k) for k in range(fewer + 1))
    share: float = tail / 2 ** (tosses - 1) if tosses else 1.0
    return min(1.0, share)


def differences(runs: Sequence[RunRecord]) -> list[tuple[str, list[str]]]:
    """Settings and facts that are not the same in all runs, by name."""
    sheets = [_sheet(run) for run in runs]
    names = dict.fromkeys(name for sheet in sheets for name in sheet)
    rows = [(name, [sheet.get(name, "–") for sheet in sheets]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def _sheet(run: RunRecord) -> dict[str, str]:
    plan = run.plan.to_json() if run.plan else {}
    settings = plan.pop("settings", {})
    for told in ("why", "other_road", "reasons", "estimated_seconds"):  # follow from the others
        plan.pop(told, None)
    sheet = {**plan, **settings}
    if run.data:
        sheet["data"] = run.data.fingerprint or run.data.source
    if run.base:
        sheet |= {"base": run.base.architecture, "base weights": run.base.sha256}
    if rung := ladder.chosen(run):
        sheet["chosen rung"] = rung.name
    sheet |= {**run.machine, **run.versions, "status": run.status}
    return {name.replace("_", " "): _written(value) for name, value in sheet.items()}


def _written(value: Any) -> str:
    if isinstance(value, list):
        return " × ".join(map(str, value)) or "–"
    text = "–" if value is None or value == "" else str(value)
    return f"{text[:12]}…" if _HASH.fullmatch(text) else text  # whole, it would break the table


def _charts(letters: str, runs: Sequence[RunRecord]) -> list[tuple[str, Markup]]:
    charts = []
    for name, share in (("val_loss", False), ("val_accuracy", True)):
        series = [
            svg.Series(
                letter, [(r.epoch, r.metrics[name]) for r in run.history if name in r.metrics]
            )
            for letter, run in zip(letters, runs, strict=True)
        ]
        title = name.replace("val_", "validation ") + (", %" if share else "")
        charts.append((title, svg.line_chart(series, title=title, share=share)))
    return [(title, chart) for title, chart in charts if chart]
