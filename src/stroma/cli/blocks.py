"""Blocks of text that more than one command shows: the data, the plan, the result."""

from __future__ import annotations

from collections.abc import Sequence

from stroma.cli.console import Console
from stroma.cli.knowing import doubt_rows
from stroma.cli.progress import duration
from stroma.core.measured import Measured
from stroma.core.records import SMALL_SUPPORT, DataFacts, FileNote, Plan, RunRecord, Score
from stroma.report import facts as said
from stroma.report.measured import (
    blind,
    figure_told,
    furthest_off,
    measured_verdict,
    told,
    weakest,
)  # fmt: skip

_ROWS = 20  # of a table of files or classes; JSON has them all
_NAMES = 5  # of a list in one line


def data_block(console: Console, facts: DataFacts, class_names: Sequence[str]) -> None:
    """Classes, counts, sizes, and every kind of odd file by name (UX 3.1, block 2)."""
    made = " (synthetic: made by a program)" if facts.synthetic else ""
    console.heading(f"The data: {facts.source}{made}")
    totals = [sum(column) for column in zip(*facts.counts.values())]
    whole = sum(facts.totals.values())
    parts = [f"{count:,} {part}" for part, count in facts.totals.items() if count]
    smallest = min(range(len(totals)), key=totals.__getitem__)
    number = facts.task == "number"
    pairs = [
        ("photos", f"{whole:,} ({', '.join(parts)})"),
        ("number", class_names[0] if number else ""),
        ("classes", "" if number else f"{len(class_names)}: {_listed(class_names)}"),
        (
            "smallest class",
            "" if number else f"{class_names[smallest]}, {said.photos(totals[smallest])}",
        ),
        ("split", facts.split),
        ("sizes, such as", ", ".join(f"{width} × {height}" for width, height in facts.sizes)),
    ]
    console.facts([pair for pair in pairs if pair[1]])
    if len(class_names) <= _ROWS and not number:
        _count_table(console, facts, class_names)
    _files(console, "Left out", facts.skipped)
    unusable = sum(note.action == "skipped" for note in facts.skipped)
    if unusable:
        console.line(
            f"  {unusable:,} of {unusable + whole:,} cannot be used; training takes the rest"
        )
    _files(console, "Used, but look", facts.notes)
    _groups(console, "Same picture", facts.duplicates)
    _groups(console, "Nearly the same picture", facts.near_duplicates)


def plan_block(console: Console, plan: Plan) -> None:
    """What will be done and why (UX 3.1, block 3)."""
    console.heading(f"The plan: {plan.road}, since {plan.why}")
    time = duration(plan.estimated_seconds) if plan.estimated_seconds is not None else ""
    if plan.budget_seconds is not None:
        time += f", of a budget of {duration(plan.budget_seconds)}"
    pairs = [
        ("network", f"{plan.model}, {plan.parameters:,} parameters"),
        ("photo size", " × ".join(map(str, plan.image_size))),
        ("epochs", f"{plan.epochs} of batches of {plan.batch_size}" if plan.epochs else ""),
        ("device", f"{plan.device}, {plan.precision}"),
        ("seed", str(plan.seed)),
        ("estimated time", time),
    ]
    console.facts([pair for pair in pairs if pair[1]])
    console.heading("Why")
    console.facts(list(plan.reasons.items()))
    console.line()
    console.line(f"The other road: {plan.other_road}")


def result_block(console: Console, run: RunRecord, folder: str) -> None:
    """How it went (UX 3.1, block 5)."""
    if run.measured is not None:
        measured_block(console, run, run.measured)
    score, worst, pairs = run.headline, said.worst_class(run), said.mix_ups(run)
    rows = []
    if run.measured is None:
        console.heading(f"The result: {said.verdict(run)}")
    if score is not None:
        rows += [
            ("accuracy", f"{said.percent(score.value)} ({said.between(score.interval)}), "
             f"{_measured(run, score)}"),
            ("no network", _baselines(run)),
        ]  # fmt: skip
    if worst is not None:
        rough = f", rough: {said.photos(worst.support)}" if worst.support < SMALL_SUPPORT else ""
        rows.append(("worst class", f"{worst.name}, {said.percent(worst.recall)} found{rough}"))
    if pairs:
        truth, called = (run.class_names[at] for at in (pairs[0].truth, pairs[0].predicted))
        rows.append(("most mixed up", f"{truth} taken for {called}: {said.photos(pairs[0].count)}"))
    for finding in said.worst_first(run.findings)[:1]:
        rows.append((finding.severity, f"{finding.evidence}: {finding.means}"))
    rows += doubt_rows(run)
    rows += [(name, f"{folder}/{path}") for name, path in run.paths.items()]
    console.facts(rows)


def measured_block(console: Console, run: RunRecord, measured: Measured) -> None:
    """The figures of several classes or a number."""
    console.heading(f"The result: {measured_verdict(measured)}")
    figures_block(console, measured)
    rows = []
    if (row := weakest(measured)) is not None:
        rough = f", rough: {said.photos(row.support)}" if row.support < SMALL_SUPPORT else ""
        precision = said.percent(row.average_precision)
        rows.append(("weakest class", f"{row.name}, average precision {precision}{rough}"))
    rows += [
        ("furthest off", f"{worst.path}: said {worst.said}, is {worst.true}")
        for worst in furthest_off(run, 1)
    ]
    console.facts(rows)


def figures_block(console: Console, measured: Measured) -> None:
    """Each figure with its interval, beside the answers that see no photo."""
    rows = [
        [figure.name, figure_told(figure, measured), told(without.value, measured)]
        for figure, without in zip(measured.figures, measured.baseline)
    ]
    console.table(["", "95 % interval", blind(measured)], rows, right=(1, 2))


def _measured(run: RunRecord, score: Score) -> str:
    if run.folds:
        return f"k-fold, k = {len(run.folds)}: each of {said.photos(score.count)} tested once"
    return f"measured once on {said.photos(score.count)} of the test part"


def _baselines(run: RunRecord) -> str:
    """The pixels by themselves, and by how much the network beats the best of them."""
    listed = ", ".join(f"{score.name} {said.percent(score.value)}" for score in run.baselines)
    best = said.best_baseline(run)
    if best is None or run.headline is None:
        return listed
    points = 100 * (run.headline.value - best.value)
    verb = "beaten by" if points > 0 else "not beaten:"
    return f"{listed}; {verb} {points:.1f} points"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMES:,} more" if len(names) > _NAMES else ""
    return ", ".join(names[:_NAMES]) + more


def _count_table(console: Console, facts: DataFacts, class_names: Sequence[str]) -> None:
    parts = [part for part, counts in facts.counts.items() if sum(counts)]
    rows = [
        [name, *(f"{facts.counts[part][index]:,}" for part in parts)]
        for index, name in enumerate(class_names)
    ]
    console.line()
    console.table(["class", *parts], rows, right=range(1, len(parts) + 1))


def _files(console: Console, title: str, notes: Sequence[FileNote]) -> None:
    if not notes:
        return
    console.heading(f"{title}: {len(notes):,}")
    rows = [(note.path, note.problem, note.action) for note in notes[:_ROWS]]
    console.table(["file", "what", "done"], rows)
    _more(console, len(notes))


def _groups(console: Console, title: str, groups: Sequence[Sequence[str]]) -> None:
    if not groups:
        return
    console.heading(f"{title}: {len(groups):,} {'group' if len(groups) == 1 else 'groups'}")
    for group in groups[:_ROWS]:
        console.paragraph(_listed(group), indent=2)
    _more(console, len(groups))


def _more(console: Console, count: int) -> None:
    if count > _ROWS:
        console.line(f"  and {count - _ROWS:,} more: --json has them all")
