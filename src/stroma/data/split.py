"""Train, validation and test: stratified, seeded, and never with a copy on both sides."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np

from stroma.core.errors import ArgumentError, DataError
from stroma.data.records import PARTS, printable

TRAIN, VALIDATION, TEST = range(3)
REMOVED = -1


def check_fractions(fractions: Sequence[float]) -> tuple[float, float, float]:
    """(train, validation, test) as three shares of 1."""
    shares = tuple(float(share) for share in fractions)
    if len(shares) != 3 or any(not 0 <= s <= 1 for s in shares) or abs(sum(shares) - 1) > 1e-6:
        raise ArgumentError(
            f"images: fractions must be three shares that add up to 1, got {tuple(fractions)}",
            where="images(fractions=...)",
            why="they are the shares of train, validation and test",
            fix="images(fractions=(0.70, 0.15, 0.15))",
        )
    return shares[0], shares[1], shares[2]


def split(
    labels: np.ndarray,
    units: np.ndarray,
    names: Sequence[str],
    class_names: Sequence[str],
    *,
    fractions: tuple[float, float, float] = (0.70, 0.15, 0.15),
    seed: int = 0,
) -> np.ndarray:
    """A part (0 train, 1 validation, 2 test) for each sample.

    Each class is shared out by `fractions`, at least one sample a part. Samples of one unit (copies
    of one picture, shots of one patient) go to one part, the large units first. The draw depends
    on the seed and the names alone, not on the order of the files.

    Args:
        labels: (N,) class indices.
        units: (N,) unit of each sample.
        names: N names; they order the draw.
        class_names: For messages.
        fractions: Shares of train, validation and test; a share of 0 leaves the part empty.
        seed: Any integer.
    Raises:
        DataError: a class has fewer units than there are parts.
    """
    parts = np.full(len(labels), TRAIN, np.int8)
    target = _targets(labels, units, class_names, fractions)
    draw = _draws(names, seed)
    # A unit is led by its member with the smallest draw, whatever the order of the samples.
    order = np.argsort(draw, kind="stable")
    _, first, inverse, size = np.unique(
        units[order], return_index=True, return_inverse=True, return_counts=True
    )
    inverse = inverse.reshape(-1)
    left = target.astype(np.float64)
    large = np.flatnonzero(size > 1)
    for unit in sorted(large.tolist(), key=lambda u: (-int(size[u]), int(first[u]))):
        members = order[inverse == unit]
        counts = np.bincount(labels[members], minlength=len(target))
        part = _best_part(left, counts, target)
        parts[members] = part
        left[:, part] -= counts
    single = order[size[inverse] == 1]
    for label in range(len(target)):
        members = single[labels[single] == label]
        for part, count in _wanted(left[label], len(members)).items():
            parts[members[:count]] = part
            members = members[count:]
    _check_filled(labels, parts, class_names, fractions)
    return parts


def _targets(
    labels: np.ndarray,
    units: np.ndarray,
    class_names: Sequence[str],
    fractions: tuple[float, float, float],
) -> np.ndarray:
    """(K, 3) samples wanted in each part."""
    target = np.zeros((len(class_names), 3), np.int64)
    wanted = [part for part in range(3) if fractions[part] > 0]
    for label, name in enumerate(class_names):
        mine = labels == label
        count, distinct = int(mine.sum()), len(np.unique(units[mine]))
        if distinct < len(wanted):
            raise _too_small(name, count, distinct, wanted)
        for part in wanted[1:]:
            target[label, part] = max(1, round(count * fractions[part]))
        target[label, wanted[0]] = count - target[label].sum()
        if target[label, wanted[0]] < 1:  # 3 photos at shares of a third and more
            target[label, wanted[1:]] = 1
            target[label, wanted[0]] = count - len(wanted) + 1
    return target


def _best_part(left: np.ndarray, counts: np.ndarray, target: np.ndarray) -> int:
    """The part whose share of this unit's classes is least filled, among those it fits into."""
    mine = counts > 0
    room = (left[mine] / np.maximum(target[mine], 1)).min(axis=0)
    fits = (left[mine] >= counts[mine][:, None]).all(axis=0)
    return int(np.argmax(np.where(fits, room, -np.inf) if fits.any() else room))


def _wanted(left: np.ndarray, count: int) -> dict[int, int]:
    """How many of `count` single samples test and validation still want; train takes the rest.

    Large units may have left fewer than both want: then the one that wants more gives way.
    """
    wanted = {part: int(max(left[part], 0)) for part in (TEST, VALIDATION)}
    while sum(wanted.values()) > count:
        wanted[max(wanted, key=lambda part: wanted[part])] -= 1
    return wanted


def shared_folder(names: Sequence[str]) -> int:
    """Length of the folders that all names begin with: a zip may hold one that a folder has not.

    Draws and fingerprints leave them out, so that both are the same for both.
    """
    ends = [min(names, default=""), max(names, default="")]
    return os.path.commonprefix(ends).rfind("/") + 1  # noqa: RUF071  # cut at a "/" all the same


def _draws(names: Sequence[str], seed: int) -> np.ndarray:
    key = str(seed).encode()
    digests = b"".join(
        hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8, key=key).digest()
        for name in names
    )
    return np.frombuffer(digests, np.uint64)


def _check_filled(
    labels: np.ndarray,
    parts: np.ndarray,
    class_names: Sequence[str],
    fractions: tuple[float, float, float],
) -> None:
    for label, name in enumerate(class_names):
        for part in range(3):
            if fractions[part] > 0 and not ((labels == label) & (parts == part)).any():
                raise DataError(
                    f"class {printable(name)!r} has no photo left for {PARTS[part]}",
                    where=f"{int((labels == label).sum())} photos in a few large groups",
                    why="copies and groups stay together, and here they fill the other parts",
                    fix="add photos that are not copies, or choose a finer group",
                )


def _too_small(name: str, count: int, distinct: int, wanted: list[int]) -> DataError:
    parts = ", ".join(PARTS[part] for part in wanted)
    copies = "" if distinct == count else f", {distinct} of them distinct"
    return DataError(
        f"class {printable(name)!r} has {count} photo{'s' if count != 1 else ''}{copies}",
        where=f"class {printable(name)!r}",
        why=f"each of {parts} needs at least one: the minimum is {len(wanted)} distinct photos",
        fix=f"add photos to {printable(name)!r}, or leave the class out",
    )


def folds(
    labels: np.ndarray,
    units: np.ndarray,
    names: Sequence[str],
    class_names: Sequence[str],
    count: int,
    seed: int = 0,
) -> np.ndarray:
    """A fold (0 to `count` - 1) for each sample: classes spread evenly, units whole.

    Raises:
        DataError: a class has fewer units than there are folds.
    """
    for label, name in enumerate(class_names):
        distinct = len(np.unique(units[labels == label]))
        if distinct < count:
            raise DataError(
                f"class {printable(name)!r} has {distinct} distinct photos for {count} folds",
                where=f"class {printable(name)!r}",
                why="each fold tests every class",
                fix=f"folds(count={distinct})" if distinct > 1 else "add photos",
            )
    order = np.argsort(_draws(names, seed), kind="stable")
    _, first, inverse, size = np.unique(
        units[order], return_index=True, return_inverse=True, return_counts=True
    )
    members = np.split(order[np.argsort(inverse.reshape(-1), kind="stable")], np.cumsum(size)[:-1])
    filled = np.zeros((len(class_names), count))
    fold = np.zeros(len(labels), np.int64)
    for unit in sorted(range(len(size)), key=lambda u: (-int(size[u]), int(first[u]))):
        present = np.unique(labels[members[unit]])
        best = int(np.argmin(filled[present].sum(axis=0)))
        fold[members[unit]] = best
        np.add.at(filled[:, best], labels[members[unit]], 1)
    return fold


def leaked(clusters: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Which samples have a copy in a given part that is read after theirs (test is read last).

    Args:
        clusters: (N,) cluster of each sample.
        given: (N,) part of each sample.
    """
    latest = np.full(int(clusters.max(initial=-1)) + 1, -1, np.int64)
    np.maximum.at(latest, clusters, given.astype(np.int64))
    return given < latest[clusters]  # type: ignore[no-any-return]  # numpy: Any
