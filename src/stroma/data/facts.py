"""From a data set to its plain record: what `run.json`, the terminal and the report say of it."""

from __future__ import annotations

from pathlib import Path

from stroma.core.records import DataFacts, FileNote
from stroma.data.dataset import ImageData
from stroma.data.demo import is_demo_folder
from stroma.data.records import KINDS, PARTS, AuditEntry

_COPIES = {"duplicate", "duplicate_across_parts"}
_NEAR_COPIES = {"near_duplicate", "near_duplicate_across_parts"}
# Notes whose reason says what was done; the reason of the others says what was seen.
_REPAIRED = {
    "exif_rotated", "sixteen_bit", "cmyk", "alpha", "animated", "wrong_extension", "broken_metadata"
}  # fmt: skip


def data_facts(data: ImageData, *, source: str = "") -> DataFacts:
    """What is worth telling about `data`, as a record.

    Args:
        data: Audited and split.
        source: What the user typed; the resolved path when empty.
    """
    audit = data.audit
    told = [entry for entry in audit.entries if entry.kind not in _COPIES | _NEAR_COPIES]
    outcomes = ("skipped", "removed", "ignored")  # worst first
    left_out = [entry for outcome in outcomes for entry in told if entry.outcome == outcome]
    return DataFacts(
        source=source or data.source,
        fingerprint=data.fingerprint,
        synthetic=is_demo_folder(Path(data.source)),
        task=data.task,
        counts={part: tuple(counts[part] for counts in data.counts.values()) for part in PARTS},
        photos={part: len(data.parts[part]) for part in PARTS},
        split=data.split,
        sizes=tuple((width, height) for height, width in data.shapes),
        skipped=tuple(_note(entry) for entry in left_out),
        notes=tuple(_note(entry) for entry in told if entry.outcome == "note"),
        duplicates=_groups(audit.of(*_COPIES)),
        near_duplicates=_groups(audit.of(*_NEAR_COPIES)),
    )


def _note(entry: AuditEntry) -> FileNote:
    label, _, outcome = KINDS[entry.kind]
    if entry.kind in _REPAIRED:
        return FileNote(path=entry.path, problem=label, action=entry.reason)
    if outcome == "note":
        return FileNote(path=entry.path, problem=f"{label}: {entry.reason}", action="kept")
    if outcome == "removed":
        problem = "a part that is read later holds a copy of it"
        return FileNote(path=entry.path, problem=problem, action=f"left out of {entry.where}")
    problem = entry.reason if outcome == "skipped" else label
    return FileNote(path=entry.path, problem=problem, action=outcome)


def _groups(entries: list[AuditEntry]) -> tuple[tuple[str, ...], ...]:
    """The pairs of the audit, those with a picture in common put together."""
    groups: dict[str, set[str]] = {}
    for entry in entries:
        # Across parts, the other path is followed by " (train and test)".
        across = entry.kind.endswith("across_parts")
        other = entry.where.rpartition(" (")[0] if across else entry.where
        joined = groups.get(entry.path, {entry.path}) | groups.get(other, {other})
        groups.update(dict.fromkeys(joined, joined))
    found = {min(group): tuple(sorted(group)) for group in groups.values()}
    return tuple(found[first] for first in sorted(found))
