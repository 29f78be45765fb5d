"""From the facts of the scan to what a person should know, each finding with its file's name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from stroma.core.errors import DataError
from stroma.core.tasks import Task
from stroma.data.decode import Note
from stroma.data.labels import classes_in
from stroma.data.records import PARTS, AuditEntry, Sample, printable

_NAMED = {
    Note.EXIF_ROTATED: "EXIF orientation applied", Note.SIXTEEN_BIT: "scaled by its range",
    Note.CMYK: "converted to RGB", Note.ALPHA: "laid on the background colour",
    Note.ANIMATED: "first frame", Note.WRONG_EXTENSION: "the content decides",
    Note.BROKEN_METADATA: "the picture is kept",
}  # fmt: skip
_COUNTED = {Note.GREYSCALE: "grey pictures", Note.PALETTE: "pictures with a palette"}


def note_entries(
    samples: Sequence[Sample], notes: np.ndarray, sizes: Sequence[tuple[int, int]]
) -> tuple[list[AuditEntry], dict[str, int]]:
    """(entries, tallies) of what was special about the pictures."""
    entries = [
        AuditEntry(str(note.name).lower(), samples[row].name, reason)
        for note, reason in _NAMED.items()
        for row in np.flatnonzero(notes & int(note)).tolist()
    ]
    entries += [
        AuditEntry("tiny", samples[row].name, f"{sizes[row][1]} x {sizes[row][0]} pixels")
        for row in np.flatnonzero(notes & int(Note.TINY)).tolist()
    ]
    tallies = {name: int(np.count_nonzero(notes & int(note))) for note, name in _COUNTED.items()}
    return entries, tallies


def copy_entries(
    samples: Sequence[Sample],
    labels: np.ndarray,
    given: np.ndarray | None,
    exact: np.ndarray,
    near: np.ndarray,
) -> list[AuditEntry]:
    """Copies and near-copies by name: within a part, across given parts, under two labels.

    Args:
        labels: (N,) class indices.
        given: (N,) given parts, None where there are none.
        exact: (N,) first sample with the same pixels.
        near: (P, 2) pairs that are nearly the same.
    """
    pairs = [(row, first, "") for row, first in enumerate(exact.tolist()) if row != first]
    pairs += [(max(pair), min(pair), "near_") for pair in near.tolist()]
    if given is not None:  # a copy of a copy can cross where the pair with the first does not
        pairs += _crossing(exact, given, {(row, first) for row, first, _ in pairs})
    entries = []
    for row, first, prefix in pairs:
        one, other = samples[row].name, samples[first].name
        alike = "nearly the same as" if prefix else "the same pixels as"
        kind = f"{prefix}duplicate"
        where = other
        if given is not None and given[row] != given[first]:
            kind += "_across_parts"
            where = f"{other} ({PARTS[given[row]]} and {PARTS[given[first]]})"
        entries.append(AuditEntry(kind, one, f"{alike} {printable(other)}", where))
        if labels[row] != labels[first]:
            both = f"{printable(samples[row].label)} and {printable(samples[first].label)}"
            entries.append(AuditEntry("two_labels", one, f"called {both}", other))
    return entries


def _crossing(
    exact: np.ndarray, given: np.ndarray, known: set[tuple[int, int]]
) -> list[tuple[int, int, str]]:
    """One pair for each copy that lies in another part than some copy of it, if not yet known."""
    members: dict[int, list[int]] = {}
    for row, first in enumerate(exact.tolist()):
        members.setdefault(first, []).append(row)
    return [
        (row, other, "")
        for rows in members.values()
        if len({int(given[row]) for row in rows}) > 1
        for row in rows[1:]
        if given[row] == given[rows[0]]
        for other in [next(r for r in rows if given[r] != given[row])]
        if (row, other) not in known
    ]


def look_alike_classes(class_names: Iterable[str]) -> list[AuditEntry]:
    """Class names that differ only in case, spacing, `_-` or Unicode form."""
    seen: dict[str, str] = {}
    entries = []
    for name in class_names:
        form = unicodedata.normalize("NFKC", name).casefold()
        form = re.sub(r"[\W_]+", "", form) or name
        if form in seen:
            reason = f"reads like {printable(seen[form])!r}; they are kept apart"
            entries.append(AuditEntry("look_alike_classes", name, reason, seen[form]))
        seen.setdefault(form, name)
    return entries


def check_classes(
    class_names: list[str], labels: Sequence[str], drop_empty: bool
) -> tuple[list[str], list[AuditEntry]]:
    """The classes that have pictures; an empty one is an error unless `drop_empty`."""
    present = set(labels)
    empty = [name for name in class_names if name not in present]
    if empty and not drop_empty:
        listed = ", ".join(repr(printable(name)) for name in empty[:5])
        raise DataError(
            f"no usable picture in class{'es' * (len(empty) > 1)} {listed}",
            where=f"{len(empty)} of {len(class_names)} classes",
            why="a class without pictures cannot be learnt, yet it would get an output",
            fix="add pictures, remove the folder, or pass drop_empty=True (--drop-empty)",
        )
    kept = [name for name in class_names if name in present]
    if len(kept) < 2:
        raise DataError(
            f"there is only one class: {printable(kept[0]) if kept else 'none'!r}",
            where="the class folders (or the label column)",
            why="telling classes apart needs at least two",
            fix="add a folder with pictures of something else",
        )
    return kept, [AuditEntry("empty_class", name, "left out") for name in empty]


def check_given_classes(labels: Sequence[str], given: np.ndarray, task: Task) -> None:
    """Every class of a given validation or test part must be one that can be learnt."""
    named = [
        set(classes_in([label for label, p in zip(labels, given) if p == part], task))
        for part in range(3)
    ]
    for part in (1, 2):
        strange = sorted(named[part] - named[0])
        if strange:
            raise DataError(
                f"{PARTS[part]} has classes that train lacks: "
                + ", ".join(repr(printable(name)) for name in strange[:5]),
                where=f"{len(strange)} classes of the {PARTS[part]} part",
                why="a network can only name classes that it was trained on",
                fix="give the folders of all parts the same names",
            )
