"""What a run says, worked out from its record: the verdict, the mix-ups, how far to trust it.

The command line prints the same sentences as the report draws.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from stroma.core.records import (
    ClassScore,
    Finding,
    Interval,
    Prediction,
    RunRecord,
    Score,
    class_scores,
)
from stroma.core.records_transfer import RefusalRow, ReliabilityRow

_SEVERITIES = ("critical", "warning", "info")
_BIDI = {0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2066, 0x2067, 0x2068, 0x2069}
# Below this many photos a reliability curve shows noise, not calibration.
_ENOUGH_FOR_CURVE = 100


def visible(text: str) -> str:
    """`text` with control, direction-changing and undecodable characters written as escapes.

    A file name may hold any of them; printed raw they could hide an extension or break a page.

    Example:
        >>> visible("a\\x1b[31mb\\u202egpj.exe")
        'a\\\\x1b[31mb\\\\u202egpj.exe'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if _harmless(c) else c.encode("unicode_escape").decode() for c in text)


def _harmless(character: str) -> bool:
    if character == "\n":
        return True
    return ord(character) not in _BIDI and unicodedata.category(character) not in ("Cc", "Cs")


def percent(share: float | None, digits: int = 1) -> str:
    """A share as the field writes it.

    Example:
        >>> percent(0.9231), percent(0.5, 0), percent(None)
        ('92.3 %', '50 %', '–')
    """
    return "–" if share is None else f"{100 * share:.{digits}f} %"


def signed(points: float) -> str:
    """A difference in points, with its sign.

    Example:
        >>> signed(1.25), signed(-0.04), signed(-2)
        ('+1.2', '0.0', '−2.0')
    """
    text = f"{points:+.1f}"
    return "0.0" if float(text) == 0 else text.replace("-", "\u2212")


def photos(count: int) -> str:
    """How many photos, in words.

    Example:
        >>> photos(1), photos(1204)
        ('1 photo', '1,204 photos')
    """
    return "1 photo" if count == 1 else f"{count:,} photos"


def between(interval: Interval | None) -> str:
    """An interval in words: "89.1 to 94.8 %"."""
    if interval is None:
        return ""
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %"


def verdict(run: RunRecord) -> str:
    """The run in one sentence, with its doubt."""
    score = run.headline
    if score is None:
        reached = run.history[-1].epoch if run.history else 0
        state = {
            "failed": "Failed",
            "interrupted": "Interrupted",
            "running": "Not finished",
        }.get(run.status, "Finished without a test")
        return f"{state} after {reached} epoch{'' if reached == 1 else 's'}; not yet tested."
    right = round(score.value * score.count)
    photos = "photo" if score.count == 1 else "photos"
    told = f"Right on {right:,} of {score.count:,} {photos}"
    if run.folds:
        return f"{told}, each tested by a network that had never seen it."
    return f"{told} it had never seen."


def best_baseline(run: RunRecord) -> Score | None:
    """The strongest of the answers that need no network."""
    return max(run.baselines, key=lambda score: score.value, default=None)


def scores(run: RunRecord) -> tuple[ClassScore, ...]:
    """Per-class figures, empty before the test."""
    return class_scores(run.class_names, run.confusion) if run.confusion else ()


def worst_class(run: RunRecord) -> ClassScore | None:
    """The class most often missed, when any was."""
    missed = [score for score in scores(run) if score.recall is not None and score.recall < 1]
    return min(missed, key=lambda score: score.recall or 0.0, default=None)


@dataclass(frozen=True, slots=True)
class MixUp:
    """`count` photos of class `truth` (a `share` of all of them) were called `predicted`."""

    truth: int
    predicted: int
    count: int
    share: float


def mix_ups(run: RunRecord) -> list[MixUp]:
    """Pairs of classes that were mixed up, the most frequent first."""
    pairs = [
        MixUp(i, j, count, count / sum(row))
        for i, row in enumerate(run.confusion)
        for j, count in enumerate(row)
        if count and i != j
    ]
    return sorted(pairs, key=lambda pair: (-pair.count, -pair.share, pair.truth, pair.predicted))


def mistakes(run: RunRecord) -> list[Prediction]:
    """Wrong predictions, the most confident first: those teach most."""
    wrong = [prediction for prediction in run.predictions if not prediction.right]
    return sorted(wrong, key=lambda prediction: -(prediction.probability or 0.0))


def worst_first(findings: tuple[Finding, ...]) -> list[Finding]:
    """Findings by severity, then by how sure the check was."""
    return sorted(findings, key=lambda f: (_SEVERITIES.index(f.severity), -(f.confidence or 0.0)))


@dataclass(frozen=True, slots=True)
class Bin:
    """Photos whose certainty fell in one tenth: mean certainty against the share that was right."""

    certainty: float
    right: float
    interval: Interval
    count: int


def reliability(run: RunRecord) -> list[Bin]:
    """Bins of certainty: as they were measured, else ten of the test photos.

    Empty unless every test photo's probability is known: a curve from a part of the photos would
    be drawn from a biased part, since mistakes are kept first.
    """
    if run.calibration is not None:
        return _bins(run.calibration.reliability)
    known = _with_probability(run)
    if len(known) < _ENOUGH_FOR_CURVE:
        return []
    tenths: list[list[tuple[float, bool]]] = [[] for _ in range(10)]
    for probability, right in known:
        tenths[min(int(probability * 10), 9)].append((probability, right))
    bins = []
    for tenth in filter(None, tenths):
        hits, count = sum(right for _, right in tenth), len(tenth)
        mean = sum(probability for probability, _ in tenth) / count
        bins.append(Bin(mean, hits / count, Interval.wilson(hits, count), count))
    return bins


def reliability_before(run: RunRecord) -> list[Bin]:
    """The same before a temperature corrected certainty; empty where none did."""
    measured = run.calibration
    if measured is None or measured.temperature == 1:
        return []
    return _bins(measured.reliability_before)


def _bins(rows: Sequence[ReliabilityRow]) -> list[Bin]:
    return [Bin(row.confidence, row.accuracy, row.interval, row.count) for row in rows]


@dataclass(frozen=True, slots=True)
class Refusal:
    """If answers below `threshold` are refused: the share refused, and right on the rest."""

    threshold: float
    refused: float
    kept: Score


def refusals(run: RunRecord) -> list[Refusal]:
    """What refusing unsure answers would cost and bring."""
    if run.calibration is not None:
        return [_refusal(row) for row in run.calibration.refusal if row.error is not None]
    known = _with_probability(run) if reliability(run) else []
    rows = []
    for threshold in (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99):
        kept = [right for probability, right in known if probability >= threshold]
        if kept:
            score = Score.of("accuracy", sum(kept), len(kept))
            rows.append(Refusal(threshold, 1 - len(kept) / len(known), score))
    return rows


def _refusal(row: RefusalRow) -> Refusal:
    wrong = row.error_interval
    right = Interval(low=1 - wrong.high, high=1 - wrong.low)
    kept = Score(name="accuracy", value=1 - (row.error or 0.0), interval=right, count=row.accepted)
    return Refusal(row.threshold, 1 - row.coverage, kept)


def _with_probability(run: RunRecord) -> list[tuple[float, bool]]:
    known = [(p.probability, p.right) for p in run.predictions if p.probability is not None]
    tested = sum(map(sum, run.confusion))
    return known if known and len(known) == tested else []
