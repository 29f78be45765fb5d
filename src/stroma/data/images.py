"""`stroma.data.images`: from a path to audited, split, decoded pictures."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from stroma.core.checks import check_choice, check_positive_int, check_tuple
from stroma.core.errors import ArgumentError, DataError
from stroma.data import audit as auditing
from stroma.data.cache import CacheMode, Store, cache_key, load_or
from stroma.data.copies import exact_copies, join, near_copies, pairs_of
from stroma.data.dataset import ImageData, build, groups_called, split_sentence
from stroma.data.decode import Decoder, decoder_name, header_size, quiet_pillow
from stroma.data.labels import Asked, LabelsAre, classes_in, strata_of, targets_of
from stroma.data.records import PARTS, Audit, AuditEntry, Found, check_skipped
from stroma.data.scan import Progress, Reasons, StreamStore, scan
from stroma.data.sources import find
from stroma.data.split import (
    REMOVED,
    TRAIN,
    VALIDATION,
    check_fractions,
    leaked,
    shared_folder,
    split,
)

Dedupe = Literal["exact", "near", "none"]
_PROBES = 200  # headers that are looked at to choose a size


def images(
    path: str | Path,
    *,
    size: int | tuple[int, int] | None = None,
    seed: int = 0,
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    group: str | None = None,
    cache: CacheMode | Path = "auto",
    drop_empty: bool = False,
    background: tuple[int, int, int] = (255, 255, 255),
    max_pixels: int = 64_000_000,
    max_skipped: int | None = None,
    dedupe: Dedupe = "exact",
    labels: LabelsAre = "auto",
    target_column: str | Sequence[str] | None = None,
    progress: Progress | None = None,
) -> ImageData:
    """Labelled pictures, looked at once, split in three, ready to be read by the batch.

    `path` is a folder of class folders, with or without `train`, `val`, `test` above them; a zip
    of the same; a CSV or Parquet file of paths and labels; or Parquet files of picture bytes.
    Every picture is decoded once: upright, RGB, its shorter side scaled and its centre cut to
    `size`. Nothing is dropped in silence: `.audit` names every file that was skipped, removed or
    special. Given parts are respected; a `val` without a `test` is the test part, and the
    validation part is then cut from train. Copies, near-copies and groups never straddle parts
    that are made here; copies across *given* parts are reported, and exact ones left out of the
    part that learns.

    Args:
        path: Where the pictures are.
        size: Side, or (height, width), in pixels. None: that of the pictures where all agree,
            else their middle shorter side, at most 224, a multiple of 32.
        seed: Of the split.
        fractions: Shares of train, validation and test where these are not given.
        group: A column of the table, or a regular expression on the path (its first group, else
            the whole match): samples with the same value stay in one part.
        cache: "auto" (disk, else memory, else none), "disk", "memory", "none", or a folder.
        drop_empty: Leave out classes without pictures instead of stopping.
        background: Colour behind transparent pixels.
        max_pixels: Larger pictures are skipped, by their header alone.
        max_skipped: Stop above this many skipped files. None: 1 % of them, at least 10 (or half
            of a small set), at most 100.
        dedupe: What leaves the training part when another given part holds a copy of it: "exact"
            copies, "near" ones too, or "none".
        labels: What a table's labels are: "class" one class a photo, "several" classes (`a|b` in
            a cell, a lone `|` for none of them, or columns of 0 and 1), "number"; "auto" looks at
            the cells, and asks where both can be meant. `.reading` says how they were read.
        target_column: The column of labels, or several columns of 0 and 1 (a sequence, or
            "a,b,c"); None: a column called label, class, target, ..., else all the other columns
            where each holds 0 and 1.
        progress: Called with (done, total) while pictures are decoded.
    Raises:
        DataError: what is there cannot be used; the message says what to do.
    Example:
        data = stroma.data.images("photos/")
        data.class_names, len(data.train), data.audit.summary_lines()
    """
    fractions = check_fractions(fractions)
    check_choice("dedupe", dedupe, ("exact", "near", "none"), owner="images")
    check_positive_int("max_pixels", max_pixels, owner="images")
    pattern = _pattern(group)
    found = find(path, group, Asked.of(labels, target_column))
    target = _choose_size(found) if size is None else check_tuple("size", size, 2, owner="images")
    decoder = Decoder((target[0], target[1]), background, max_pixels)
    store, facts, reasons = _decoded(found, decoder, cache, progress)

    audit = _audit_of(found, reasons, max_skipped)
    kept = _Kept(found, facts, reasons, drop_empty, audit)
    given = _given_parts(kept, audit)
    copies = _find_copies(kept, store, given, audit)
    groups = pairs_of([s.group or _match(pattern, s.name) or None for s in kept.samples])
    units = join(len(kept.rows), copies.same, copies.near, groups)
    split = split_sentence(fractions)
    if given is None:
        parts = kept.split(units, fractions, seed)
    else:
        cut = fractions[1] if not (given == VALIDATION).any() else None
        split = (
            "as given" if cut is None else f"as given; {cut:.0%} of train is validation, by class"
        )
        given[_leaks(kept, copies, given, dedupe, audit)] = REMOVED
        parts = _with_validation(kept, units, given, fractions[1], seed)
    return build(
        store=store, rows=kept.rows, parts=parts, labels=kept.strata(units), units=units,
        names=kept.names, targets=kept.targets, task=found.task, reading=found.reading,
        class_names=kept.class_names, audit=audit,
        original=kept.sizes, source=found.root,
        fingerprint=fingerprint(found, kept.class_names), decoder=decoder, split=split,
        test_given=given is not None,
    )  # fmt: skip


def natural_size(
    path: str | Path,
    *,
    group: str | None = None,
    labels: LabelsAre = "auto",
    target_column: str | Sequence[str] | None = None,
) -> tuple[int, int]:
    """(height, width) that `images(path)` would choose, read from the headers alone.

    Raises:
        DataError: there is nothing there that stroma reads as labelled pictures.
    """
    return _choose_size(find(path, group, Asked.of(labels, target_column)))


class _Kept:
    """The samples that could be decoded, with their labels; adds what is special to the audit."""

    def __init__(
        self, found: Found, facts: np.ndarray, reasons: Reasons, drop_empty: bool, audit: Audit
    ) -> None:
        self.rows = np.array([r for r in range(len(facts)) if r not in reasons], np.int64)
        self.samples = [found.samples[row] for row in self.rows.tolist()]
        self.names = [sample.name for sample in self.samples]
        self.facts = facts[self.rows]
        self.sizes = list(zip(self.facts["height"].tolist(), self.facts["width"].tolist()))
        cells = [sample.label for sample in self.samples]
        self.class_names = found.class_names
        entries: list[AuditEntry] = []
        if found.task != "number":
            words = classes_in(cells, found.task)
            self.class_names, entries = auditing.check_classes(found.class_names, words, drop_empty)
        audit.entries += entries + auditing.look_alike_classes(self.class_names)
        entries, audit.tallies = auditing.note_entries(
            self.samples, self.facts["notes"], self.sizes
        )
        audit.entries += entries
        self.task = found.task
        learnt = targets_of(cells, found.task, self.class_names)
        self.labels: np.ndarray | None = learnt if found.task == "one class" else None
        self.targets: np.ndarray | None = learnt if found.task != "one class" else None

    @property
    def codes(self) -> np.ndarray:
        """(N,) equal for equal labels; of numbers all are equal: a near-copy may well differ."""
        if self.task == "number":
            return np.zeros(len(self.samples), np.int64)
        _, codes = np.unique([sample.label for sample in self.samples], return_inverse=True)
        return codes

    def strata(self, units: np.ndarray, at: np.ndarray | None = None) -> np.ndarray:
        """What a split of all samples, or those at `at`, spreads evenly: classes, or groups."""
        chosen = np.arange(len(self.rows)) if at is None else at
        if self.labels is not None:
            return self.labels[chosen]
        assert self.targets is not None
        return strata_of(self.targets[chosen], units[chosen])

    def split(
        self,
        units: np.ndarray,
        fractions: tuple[float, float, float],
        seed: int,
        at: np.ndarray | None = None,
    ) -> np.ndarray:
        """`split.split` of all samples, or of those at `at`."""
        chosen = np.arange(len(self.rows)) if at is None else at
        wrapper = shared_folder(self.names)
        names = [self.names[i][wrapper:] for i in chosen.tolist()]
        strata = self.strata(units, chosen)
        called = self.class_names if self.labels is not None else groups_called(strata)
        return split(
            strata, units[chosen], names, called,
            fractions=fractions, seed=seed,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Copies:
    """`exact`: first sample with the same pixels; `same`, `near`: pairs of samples."""

    exact: np.ndarray
    same: np.ndarray
    near: np.ndarray


def _audit_of(found: Found, reasons: Reasons, max_skipped: int | None) -> Audit:
    failed = [
        AuditEntry(kind, found.samples[row].name, why)
        for row, (kind, why) in sorted(reasons.items())
    ]
    unlisted = [entry for entry in found.entries if entry.outcome == "skipped"]
    audit = Audit([*found.entries, *failed], found=len(found.samples) + len(unlisted))
    check_skipped(audit, max_skipped)
    return audit


def _find_copies(kept: _Kept, store: Store, given: np.ndarray | None, audit: Audit) -> _Copies:
    exact = exact_copies(kept.facts["pixels"])
    first = np.flatnonzero(exact == np.arange(len(exact)))
    near = near_copies(kept.facts["hash"][first], kept.rows[first], store)
    near = first[near]
    audit.entries += auditing.copy_entries(kept.samples, kept.codes, given, exact, near)
    return _Copies(exact, np.stack([np.arange(len(exact)), exact], axis=1), near)


def _leaks(
    kept: _Kept, copies: _Copies, given: np.ndarray, dedupe: Dedupe, audit: Audit
) -> np.ndarray:
    """Positions of the samples to leave out, since a part read later holds a copy of them."""
    if dedupe == "none":
        return np.zeros(0, np.int64)
    near = dedupe == "near"
    clusters = join(len(given), copies.same, copies.near) if near else copies.exact
    drop = np.flatnonzero(leaked(clusters, given))
    audit.entries += [
        AuditEntry("removed_copy", kept.names[at], f"{PARTS[given[at]]}: a later part holds it",
                   PARTS[given[at]])
        for at in drop.tolist()
    ]  # fmt: skip
    return drop


def _decoded(
    found: Found, decoder: Decoder, cache: CacheMode | Path, progress: Progress | None
) -> tuple[Store, np.ndarray, Reasons]:
    key = cache_key(
        found.root, decoder_name(), decoder.size, decoder.background, decoder.max_pixels,
        [(sample.name, sample.size, sample.stamp) for sample in found.samples],
    )  # fmt: skip
    shape = (len(found.samples), *decoder.size, 3)
    mode: CacheMode | Path = Path(cache) if _is_folder(cache) else cache
    store, facts, reasons = load_or(
        mode, key, shape, lambda writer: scan(found, decoder, writer, progress)
    )
    return store or StreamStore(found, decoder, facts), facts, reasons


def _is_folder(cache: CacheMode | Path) -> bool:
    return isinstance(cache, Path) or any(sep in cache for sep in "/\\")


def _choose_size(found: Found) -> tuple[int, int]:
    """The size that all probed pictures share, else the middle shorter side, capped."""
    count = len(found.samples)
    probes = sorted({i * count // _PROBES for i in range(_PROBES)}) if count > _PROBES else None
    sizes = []
    with quiet_pillow():
        for row in probes if probes is not None else range(count):
            try:
                sizes.append(header_size(found.read(row)))
            except (OSError, DataError):  # the scan will name it
                continue
    known = [s for s in sizes if s is not None and min(s) >= 8]
    if not known:
        return 224, 224
    common, times = Counter(known).most_common(1)[0]
    # A few strays (a planted fault, a turned photo) do not make a set of 64 x 64 anything else.
    if times >= 0.9 * len(known) and min(common) <= 224 and max(common) <= 448:
        return common
    side = min(224, int(np.median([min(s) for s in known])))
    side = side // 32 * 32 if side >= 32 else side
    return side, side


def _pattern(group: str | None) -> re.Pattern[str] | None:
    try:
        return re.compile(group) if group is not None else None
    except re.error as error:
        raise ArgumentError(
            f"images: group {group!r} is no regular expression ({error})",
            where="images(group=...)",
            why="it is matched against each path to find what belongs together",
            fix=r"for example group=r'patient(\d+)'",
        ) from None


def _match(pattern: re.Pattern[str] | None, name: str) -> str:
    hit = pattern.search(name) if pattern is not None else None
    return (hit.group(1) if hit.re.groups else hit.group(0)) or "" if hit is not None else ""


def _given_parts(kept: _Kept, audit: Audit) -> np.ndarray | None:
    """The given part of each sample; None where the data gives none (or only train)."""
    parts = [sample.part for sample in kept.samples]
    present = {part for part in parts if part is not None}
    if not present & {"validation", "test"}:
        return None
    rename = {} if "test" in present else {"validation": "test"}
    if rename:
        reason = "validation is cut from train"
        audit.entries.append(AuditEntry("inferred", "val", f"taken as the test part; {reason}"))
    code = {name: at for at, name in enumerate(PARTS)}
    given = np.array([code[rename.get(part, part)] if part else TRAIN for part in parts], np.int8)
    if kept.task != "number":
        auditing.check_given_classes([sample.label for sample in kept.samples], given, kept.task)
    return given


def _with_validation(
    kept: _Kept, units: np.ndarray, given: np.ndarray, share: float, seed: int
) -> np.ndarray:
    """The given parts, with `share` of train as validation where there is none."""
    if (given == VALIDATION).any():
        return given
    train = np.flatnonzero(given == TRAIN)
    parts = given.copy()
    parts[train] = kept.split(units, (1 - share, share, 0.0), seed, train)
    return parts


def fingerprint(found: Found, class_names: Sequence[str]) -> str:
    """SHA-256 over names, sizes and labels: the same on every machine that has the same data."""
    wrapper = shared_folder([sample.name for sample in found.samples])
    digest = hashlib.sha256("\0".join(class_names).encode("utf-8", "surrogatepass"))
    for sample in found.samples:
        line = f"\n{sample.name[wrapper:]}\0{sample.size}\0{sample.label}\0{sample.part or ''}"
        digest.update(line.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
