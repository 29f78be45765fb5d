"""Blocks of text that more than one command shows: the data, as `check` and `train` say it."""

from __future__ import annotations

from collections.abc import Sequence

from stroma.cli.console import Console
from stroma.core.records import DataFacts, FileNote

_ROWS = 20  # of a table of files or classes; JSON has them all
_NAMES = 5  # of a list in one line


def data_block(console: Console, facts: DataFacts, class_names: Sequence[str]) -> None:
    """Classes, counts, sizes, and every kind of odd file by name (UX 3.1, block 2)."""
    made = " (synthetic: made by a program)" if facts.synthetic else ""
    console.heading(f"The data: {facts.source}{made}")
    totals = [sum(column) for column in zip(*facts.counts.values())]
    parts = [f"{sum(counts):,} {part}" for part, counts in facts.counts.items() if sum(counts)]
    smallest = min(range(len(totals)), key=totals.__getitem__)
    pairs = [
        ("photos", f"{sum(totals):,} ({', '.join(parts)})"),
        ("classes", f"{len(class_names)}: {_listed(class_names)}"),
        ("smallest class", f"{class_names[smallest]}, {_photos(totals[smallest])}"),
        ("split", facts.split),
        ("sizes, such as", ", ".join(f"{width} × {height}" for width, height in facts.sizes)),
    ]
    console.facts([pair for pair in pairs if pair[1]])
    if len(class_names) <= _ROWS:
        _count_table(console, facts, class_names)
    _files(console, "Left out", facts.skipped)
    _files(console, "Used, but look", facts.notes)
    _groups(console, "Same picture", facts.duplicates)
    _groups(console, "Nearly the same picture", facts.near_duplicates)


def _photos(count: int) -> str:
    return "1 photo" if count == 1 else f"{count:,} photos"


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
