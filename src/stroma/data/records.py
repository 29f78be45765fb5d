"""What the readers of `data/` hand to one another: samples, what was found, the audit."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from stroma.core.errors import DataError
from stroma.core.tasks import Task

PARTS = ("train", "validation", "test")

# kind -> (what a person reads for one and for many, what becomes of the file)
# skipped: meant as data, unusable, counts towards the limit; ignored: never was data; removed:
# left out of one part on purpose; note: used as it is.
KINDS = {
    "broken": ("broken picture", "broken pictures", "skipped"),
    "empty": ("empty file", "empty files", "skipped"),
    "not_an_image": ("file that is no picture", "files that are no pictures", "skipped"),
    "unsupported": ("picture in an unread format", "pictures in unread formats", "skipped"),
    "heic": (
        "HEIC photo (pip install pillow-heif reads them)",
        "HEIC photos (pip install pillow-heif reads them)", "skipped",
    ),
    "huge": ("picture above the pixel limit", "pictures above the pixel limit", "skipped"),
    "unreadable": ("unreadable file", "unreadable files", "skipped"),
    "missing": ("missing file", "missing files", "skipped"),
    "special_file": ("pipe, socket or link", "pipes, sockets or links", "skipped"),
    "no_label": ("row without a label", "rows without a label", "skipped"),
    "system_file": ("hidden or system file", "hidden or system files", "ignored"),
    "other_file": ("file of another kind", "files of another kind", "ignored"),
    "stroma_output": ("folder written by stroma", "folders written by stroma", "ignored"),
    "unlabelled": ("picture in no class folder", "pictures in no class folder", "ignored"),
    "empty_class": ("empty class", "empty classes", "ignored"),
    "link_loop": ("link to a folder above it", "links to a folder above them", "ignored"),
    "removed_copy": ("copy from training", "copies from training", "removed"),
    "duplicate_across_parts": ("copy across given parts", "copies across given parts", "note"),
    "near_duplicate_across_parts": (
        "near-copy across given parts", "near-copies across given parts", "note",
    ),
    "two_labels": ("picture under two labels", "pictures under two labels", "note"),
    "duplicate": ("copy, kept in one part", "copies, kept in one part", "note"),
    "near_duplicate": ("near-copy, kept in one part", "near-copies, kept in one part", "note"),
    "look_alike_classes": ("look-alike class name", "look-alike class names", "note"),
    "few_test_photos": (
        "few test photos", "few test photos", "note",
    ),
    "wrong_extension": ("wrong extension", "wrong extensions", "note"),
    "exif_rotated": ("photo turned upright (EXIF)", "photos turned upright (EXIF)", "note"),
    "sixteen_bit": ("picture above 8 bits, scaled", "pictures above 8 bits, scaled", "note"),
    "cmyk": ("CMYK picture, converted", "CMYK pictures, converted", "note"),
    "alpha": ("transparent picture", "transparent pictures", "note"),
    "animated": ("animation, first frame used", "animations, first frame used", "note"),
    "tiny": ("picture under 8 pixels", "pictures under 8 pixels", "note"),
    "broken_metadata": ("damaged EXIF, picture kept", "damaged EXIF, pictures kept", "note"),
    "link_outside": ("link out of the folder", "links out of the folder", "note"),
    "inferred": ("assumption", "assumptions", "note"),
}  # fmt: skip


def printable(text: object) -> str:
    """`text` safe to print: control characters, line breaks and text-direction marks escaped.

    Example:
        >>> printable("cat\\x1b[2J.jpg")
        'cat\\\\x1b[2J.jpg'
    """
    return "".join(
        char if unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") else _escape(char)
        for char in str(text)
    )


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def counted(kind: str, count: int) -> str:
    """`"1 broken picture"`, `"1,204 broken pictures"`."""
    return f"{count:,} {KINDS[kind][0 if count == 1 else 1]}"


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture as a source lists it.

    Args:
        name: Path relative to the source, parted by `/`; what messages and reports call it.
        label: Name of its class.
        part: "train", "validation" or "test" where the source says so, else None.
        size: Bytes, as the directory says.
        stamp: What else changes when the content does (times of the file, CRC of the member).
        group: What must not straddle parts with it ("" for none).
    """

    name: str
    label: str
    part: str | None
    size: int
    stamp: int
    group: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One finding of the audit.

    Args:
        kind: A key of `KINDS`.
        path: The file (or class, or row), as `Sample.name`.
        reason: One line for people.
        where: The part or the other file concerned, "" for none.
    """

    kind: str
    path: str
    reason: str
    where: str = ""

    @property
    def outcome(self) -> str:
        """ "skipped", "ignored", "removed" or "note"."""
        return KINDS[self.kind][2]


@dataclass(slots=True)
class Audit:
    """Everything worth saying about a data set, each with its name, none silent.

    Args:
        entries: The findings, in the order of the files.
        tallies: Things only counted (grey and palette pictures are normal, but worth a number).
        found: Samples listed, before anything was skipped.
    """

    entries: list[AuditEntry] = field(default_factory=list)
    tallies: dict[str, int] = field(default_factory=dict)
    found: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """Number of entries by kind, in the order of `KINDS`."""
        number = Counter(entry.kind for entry in self.entries)
        return {kind: number[kind] for kind in KINDS if number[kind]}

    def of(self, *kinds: str) -> list[AuditEntry]:
        """The entries of these kinds."""
        return [entry for entry in self.entries if entry.kind in kinds]

    @property
    def skipped(self) -> list[AuditEntry]:
        """The entries of files that were meant as data and could not be used."""
        return [entry for entry in self.entries if entry.outcome == "skipped"]

    def summary_lines(self, names: int = 3) -> list[str]:
        """One line per kind: the count, what it is, and up to `names` file names."""
        lines = []
        for kind, count in self.counts.items():
            entries = self.of(kind)
            listed = ", ".join(printable(entry.path) for entry in entries[:names])
            more = f" and {count - names:,} more" if count > names else ""
            if kind == "inferred":  # the reason is the news
                lines += [f"{printable(e.path)}: {printable(e.reason)}" for e in entries]
                continue
            lead = "" if KINDS[kind][2] == "note" else KINDS[kind][2] + " "
            lines.append(f"{lead}{counted(kind, count)}: {listed}{more}")
        lines += [f"{name}: {count:,}" for name, count in self.tallies.items() if count]
        return lines

    def to_json(self) -> dict[str, Any]:
        """Plain data for `run.json`."""
        return {
            "found": self.found,
            "counts": self.counts,
            "tallies": dict(self.tallies),
            "entries": [
                {"kind": e.kind, "path": e.path, "reason": e.reason, "where": e.where}
                for e in self.entries
            ],
        }


@dataclass(slots=True)
class Found:
    """What a source holds.

    Args:
        root: The path given, resolved.
        samples: Sorted by name for files, in row order for tables.
        class_names: In the order of the label indices; of a number the one name of its column.
        read: Bytes of one sample; safe to call from threads. Raises OSError.
        entries: Findings made while listing.
        task: What is learnt from the labels.
        reading: One sentence: how the labels were read.
    """

    root: str
    samples: list[Sample]
    class_names: list[str]
    read: Callable[[int], bytes]
    entries: list[AuditEntry] = field(default_factory=list)
    task: Task = "one class"
    reading: str = ""


def check_skipped(audit: Audit, max_skipped: int | None) -> None:
    """Stop when too many files were skipped to trust the rest.

    The limit is 1 % of the files, at least 10 (or half of a small set), at most 100: a few broken
    files are life, many mean that the path or the copy is wrong.
    """
    skipped = audit.skipped
    share = min(100, max(audit.found // 100, min(10, audit.found // 2)))
    limit = share if max_skipped is None else max_skipped
    if len(skipped) <= limit:
        return
    kinds = Counter(entry.kind for entry in skipped)
    listed = ", ".join(counted(kind, count) for kind, count in kinds.most_common())
    first = "; ".join(f"{printable(e.path)}: {e.reason}" for e in skipped[:3])
    heic = kinds["heic"] > len(skipped) - limit  # with these read, the rest is within the limit
    raise DataError(
        f"{len(skipped):,} of {audit.found:,} files cannot be used: {listed}",
        where=first,
        why=f"more than {limit} skipped files mean that something is wrong with the data",
        fix=("pip install pillow-heif" if heic else "mend or remove them")
        + f", or accept them with max_skipped={len(skipped)}",
    )


def first_names(names: Sequence[object], count: int = 5) -> str:
    """`"a, b, c and 12 more"`, printable."""
    listed = ", ".join(printable(name) for name in names[:count])
    return listed + (f" and {len(names) - count:,} more" if len(names) > count else "")
