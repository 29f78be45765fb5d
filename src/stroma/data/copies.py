"""Copies and near-copies: pictures that must not lie on both sides of a split."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from stroma.data.cache import Store

MAX_DISTANCE = 5  # bits of 64; of six bands at least one is then the same in both
_BANDS = ((0, 11), (11, 11), (22, 11), (33, 11), (44, 10), (54, 10))  # (shift, bits)
_MAX_WINDOW = 1024  # neighbours compared within one band value (bounds the work on uniform sets)
_MAX_EQUAL = 8
_MAX_PAIRS = 50_000  # candidate pairs looked at pixel by pixel, the closest first
_GRID = 16  # side of the reduction on which two candidates are compared
# Largest difference (root mean square) as a share of the picture's contrast. On CIFAR-10 all 55
# pairs below it are one photo, cut, scaled or compressed anew. Of the pairs of 1,797 handwritten
# digits 0.02 % pass by likeness alone: they stay in one part, which costs nothing.
_TOLERANCE = 0.25
_FLOOR = 1.5  # grey levels that recompression moves even in a flat picture


def exact_copies(digests: np.ndarray) -> np.ndarray:
    """For each picture the index of the first with the same pixels. Shape: (N,) -> (N,)"""
    _, first, inverse = np.unique(digests, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def near_copies(hashes: np.ndarray, rows: np.ndarray, store: Store) -> np.ndarray:
    """Pairs (P, 2) of positions whose pictures are nearly the same.

    Candidates differ in at most 5 of the 64 bits of their perceptual hash; each is then confirmed
    on a 16 x 16 reduction of the pictures, since a 64-bit hash alone calls different documents
    or dark photos alike. In very uniform sets only the closest candidates are looked at.

    Args:
        hashes: (N,) perceptual hashes.
        rows: (N,) rows of the store.
        store: Where the pictures lie.
    """
    pairs = candidate_pairs(hashes)
    if not len(pairs):
        return pairs
    involved, inverse = np.unique(pairs, return_inverse=True)
    small = _reduced(store, rows[involved])
    left, right = inverse.reshape(-1, 2).T
    alike = np.zeros(len(pairs), bool)
    for at in range(0, len(pairs), 4096):
        a = small[left[at : at + 4096]].astype(np.float32)
        b = small[right[at : at + 4096]].astype(np.float32)
        difference = np.sqrt(np.mean((a - b) ** 2, axis=1))
        contrast = np.minimum(a.std(axis=1), b.std(axis=1))
        alike[at : at + 4096] = difference <= np.maximum(_FLOOR, _TOLERANCE * contrast)
    return pairs[alike]


def candidate_pairs(hashes: np.ndarray) -> np.ndarray:
    """Pairs (P, 2) of positions whose hashes differ in at most `MAX_DISTANCE` bits, closest first.

    One position stands for all that have the same hash; those are chained, each to its next few
    (`_MAX_EQUAL`), so that a set of blank scans does not become millions of pairs.
    """
    order = np.argsort(hashes, kind="stable")
    first = np.flatnonzero(np.diff(hashes[order], prepend=~hashes[order[:1]]))
    left, right = _close(hashes[order[first]])
    pairs = [np.stack([order[first[left]], order[first[right]]], axis=1)]
    for offset in range(1, _MAX_EQUAL + 1):
        equal = np.flatnonzero(hashes[order[:-offset]] == hashes[order[offset:]])
        pairs.append(np.stack([order[equal], order[equal + offset]], axis=1))
    found = np.sort(np.concatenate(pairs), axis=1)
    distance = bit_count(hashes[found[:, 0]] ^ hashes[found[:, 1]])
    return found[np.argsort(distance, kind="stable")[:_MAX_PAIRS]]


def _close(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Index pairs of distinct hashes at most `MAX_DISTANCE` apart: they share a band exactly."""
    seen = [np.zeros(0, np.int64)]
    for shift, bits in _BANDS:
        key = (values >> np.uint64(shift)) & np.uint64((1 << bits) - 1)
        order = np.argsort(key, kind="stable")
        key, ordered = key[order], values[order]
        active = np.arange(len(order) - 1)
        for offset in range(1, _MAX_WINDOW):
            active = active[active + offset < len(order)]
            active = active[key[active] == key[active + offset]]
            if not len(active):
                break
            close = active[bit_count(ordered[active] ^ ordered[active + offset]) <= MAX_DISTANCE]
            a, b = order[close], order[close + offset]
            seen.append(np.minimum(a, b) * len(values) + np.maximum(a, b))
    pairs = np.unique(np.concatenate(seen))
    return pairs // max(len(values), 1), pairs % max(len(values), 1)


def bit_count(values: np.ndarray) -> np.ndarray:
    """Number of set bits of each uint64 (NumPy 1.26 has no `bitwise_count`)."""
    words = np.ascontiguousarray(values).view(np.uint16).reshape(len(values), 4)
    return _BITS[words].sum(axis=1)  # type: ignore[no-any-return]  # numpy: Any


_BITS = np.array([value.bit_count() for value in range(1 << 16)], np.int64)


def _reduced(store: Store, rows: np.ndarray) -> np.ndarray:
    """(N, h * w * C) uint8 cell means of these rows."""
    height, width, channels = store.shape
    ys = np.arange(min(height, _GRID)) * height // min(height, _GRID)
    xs = np.arange(min(width, _GRID)) * width // min(width, _GRID)
    area = np.diff([*ys, height])[:, None] * np.diff([*xs, width])
    small = np.empty((len(rows), len(ys), len(xs), channels), np.uint8)
    for at in range(0, len(rows), 64):
        chunk = rows[at : at + 64]
        pixels = np.empty((len(chunk), *store.shape), np.uint8)
        store.gather(chunk, pixels)
        sums = np.add.reduceat(pixels, ys, axis=1, dtype=np.float32)
        sums = np.add.reduceat(sums, xs, axis=2)
        small[at : at + 64] = np.rint(sums / area[None, :, :, None])
    return small.reshape(len(rows), len(ys) * len(xs) * channels)


def join(count: int, *pairs: np.ndarray) -> np.ndarray:
    """Connected components: for each of `count` items the smallest item it is joined with."""
    parent = list(range(count))

    def top(item: int) -> int:
        while parent[item] != item:
            parent[item] = item = parent[parent[item]]
        return item

    for left, right in (pair for some in pairs for pair in some.tolist()):
        a, b = sorted((top(left), top(right)))
        parent[b] = a
    return np.array([top(item) for item in range(count)], np.int64)


def pairs_of(values: Sequence[Hashable | None]) -> np.ndarray:
    """Pairs (P, 2) that join each item with the first of the same value; None stands alone."""
    first: dict[Hashable, int] = {}
    pairs = [(first.setdefault(v, at), at) for at, v in enumerate(values) if v is not None]
    return np.array(pairs, np.int64).reshape(-1, 2)
