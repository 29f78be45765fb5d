"""What is told beyond the result: the ladder, how sure to be, and what is odd about the photos."""

from __future__ import annotations

from collections.abc import Sequence

from stroma.cli.console import Console
from stroma.cli.progress import duration
from stroma.core.records import RunRecord
from stroma.core.records_audit import FeatureAudit
from stroma.core.records_transfer import Rung
from stroma.core.scores import Interval
from stroma.report import facts as said
from stroma.report.ladder import lead_sentence

_ROWS = 20  # of a list; JSON has them all
_UNLIKE = 0.95  # score from which a photo is called unlike; few held-out ones allow no higher
_WORTH_REFUSING = 0.05  # a threshold is named if it refuses no more than this beyond the wrong ones


def ladder_block(console: Console, run: RunRecord) -> None:
    """What each rung gave, and per second."""
    if not run.ladder:
        return
    tried = [rung for rung in run.ladder if rung.score is not None]
    name = tried[0].score.name if tried and tried[0].score else "score"
    console.heading(f"The ladder: {name}, and what each rung gave per second")
    gains = _gains(run.ladder, 1 / max(len(run.class_names), 1))
    rows = [
        [
            f"{'->' if rung.chosen else '  '} {rung.name}",
            said.percent(rung.score.value) if rung.score else "left out",
            _span(rung.score.interval) if rung.score else "",
            duration(rung.seconds) if rung.score else "",
            gain,
        ]
        for rung, gain in zip(run.ladder, gains)
    ]
    console.table(["   rung", "right", "interval", "took", "points/s"], rows, right=(1, 2, 3, 4))
    console.line("  -> is what ships")
    for rung in run.ladder:
        if rung.left_out:
            console.paragraph(f"{rung.name} was left out: it {rung.left_out}", indent=2)
    if line := lead_sentence(run.heads, run.lead):
        console.paragraph(line, indent=2)
    if run.base is not None:
        console.paragraph(f"Frozen: {run.base.frozen}", indent=2)


def _span(interval: Interval | None) -> str:
    return f"{100 * interval.low:.0f} to {100 * interval.high:.0f} %" if interval else ""


def _gains(rungs: Sequence[Rung], guessing: float) -> list[str]:
    """Points that each rung gained a second, over the best before it; the first, over guessing."""
    best, told = guessing, []
    for rung in rungs:
        if rung.score is None:
            told.append("")
            continue
        told.append(f"{100 * (rung.score.value - best) / max(rung.seconds, 1e-3):+.2f}")
        best = max(best, rung.score.value)
    return told


def doubt_rows(run: RunRecord) -> list[tuple[str, str]]:
    """How sure to be, which photos are of another kind, and what is suspected: a line each."""
    rows = []
    if (refusal := _useful_refusal(run)) is not None:
        threshold, refused, right = refusal
        rows.append(("how sure", f"below {threshold:g} refuse: {said.percent(refused)} of photos "
                     f"refused, {said.percent(right)} right on the rest"))  # fmt: skip
    alarm = next((row for row in run.unlike if row.threshold == _UNLIKE), None)
    if alarm is not None:
        share = said.percent(alarm.false_alarms)
        told = f"photos that score {alarm.threshold:g} or more: {share} of the test, wrongly"
        rows.append(("unlike", told))
    if run.photo_audit is not None and (line := suspected(run.photo_audit)):
        rows.append(("suspected", line))
    return rows


def _useful_refusal(run: RunRecord) -> tuple[float, float, float] | None:
    """The threshold whose kept answers are right most often for few right ones refused."""
    found = [(row.threshold, row.refused, row.kept.value) for row in said.refusals(run)]
    if not found:
        return None
    wrong = 1 - min(found)[2]
    cheap = [row for row in found if 0 < row[1] <= wrong + _WORTH_REFUSING]
    return max(cheap, key=lambda row: (row[2], -row[1]), default=None)


def suspected(audit: FeatureAudit) -> str:
    """Numbers of what looks odd, in one line; empty for nothing."""
    across = sum(pair.across_parts for pair in audit.duplicates.pairs)
    told = [
        (len(audit.suspects.suspects), "label looks wrong", "labels look wrong"),
        (len(audit.duplicates.groups), "group of perhaps the same photo",
         "groups of perhaps the same photo"),
        (across, "pair of them in two parts", "pairs of them in two parts"),
        (len(audit.outliers.found), "photo unlike its class", "photos unlike their class"),
    ]  # fmt: skip
    return ", ".join(
        f"{count:,} {one if count == 1 else many}" for count, one, many in told if count
    )


def audit_block(console: Console, audit: FeatureAudit) -> None:
    """Every suspect by its path; nothing was changed."""
    console.heading(f"What the base sees: {suspected(audit) or 'nothing odd'}")
    console.line("Nothing was changed or removed: these are for you to look at.")
    _suspects(console, audit)
    _duplicates(console, audit)
    outliers = audit.outliers.found
    if outliers:
        console.heading(f"Unlike the others of their class: {len(outliers):,}")
        rows = [(odd.path, audit.class_names[odd.label], f"{odd.score:.1f}") for odd in outliers]
        console.table(["photo", "class", "deviations"], rows[:_ROWS], right=(2,))
        _more(console, len(outliers))
    console.heading("The hardest classes")
    hardest = [
        (row.name, f"{row.count:,}", said.percent(row.recall), said.between(row.interval),
         row.taken_for) for row in audit.classes[:5]
    ]  # fmt: skip
    console.table(["class", "photos", "found", "interval", "taken for"], hardest, right=(1, 2))


def _suspects(console: Console, audit: FeatureAudit) -> None:
    found = audit.suspects.suspects
    if not found:
        return
    console.heading(f"Labels that look wrong: {len(found):,}")
    rows = [
        (row.path, audit.class_names[row.label], audit.class_names[row.suggested],
         said.percent(row.suggested_probability)) for row in found[:_ROWS]
    ]  # fmt: skip
    console.table(["photo", "given", "looks like", "probability"], rows, right=(3,))
    _more(console, len(found))


def _duplicates(console: Console, audit: FeatureAudit) -> None:
    pairs = audit.duplicates.pairs
    if not pairs:
        return
    console.heading(f"Perhaps the same photo: {len(pairs):,} pair{'s' * (len(pairs) != 1)}")
    rows = []
    for pair in pairs[:_ROWS]:
        odd = [what for what, so in (("two parts", pair.across_parts),
                                     ("two labels", pair.two_labels)) if so]  # fmt: skip
        rows.append((pair.first_path, pair.second_path, ", ".join(odd)))
    console.table(["photo", "and", "note"], rows)
    _more(console, len(pairs))


def _more(console: Console, count: int) -> None:
    if count > _ROWS:
        console.line(f"  and {count - _ROWS:,} more: --json has them all")
