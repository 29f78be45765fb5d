"""Near-duplicates by what a network sees: cut, scaled, mirrored, compressed or lit anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from stroma.core.checks import check_number
from stroma.core.errors import ArgumentTypeError, DataError
from stroma.core.records_audit import DuplicatePair as DuplicatePair
from stroma.core.records_audit import NearDuplicates as NearDuplicates
from stroma.data import Part
from stroma.data.copies import bit_count, candidate_pairs, join
from stroma.data.scan import perceptual_hash
from stroma.diagnostics.inputs import (
    chance_threshold,
    checked_features,
    checked_labels,
    named,
    unit_rows,
)

_NEIGHBOURS = 8  # kept of each photo; larger groups hang together through them
_BLOCK = 2048  # photos compared at once with as many: 16 MiB of similarities
_SHRINKAGE = 0.01  # of the mean variance, added to each: keeps noise axes from being blown up
_SAMPLES_AN_AXIS = 3  # fewer, and whitening turns even copies away from each other
_LEAST, _MOST = 0.6, 0.99  # cosines: below 53 degrees nothing is near, above 8 everything is


def near_duplicates(
    features: Any,
    *,
    hashes: np.ndarray | None = None,
    labels: Any = None,
    parts: Sequence[str] | None = None,
    paths: Sequence[str] | None = None,
    expected_by_chance: float = 1.0,
) -> NearDuplicates:
    """Photos that are nearly the same, within and across parts.

    Features are centred, whitened and scaled to length 1, so that what all photos of a class share
    weighs little and what marks one photo weighs much; then s = cos of the angle between two.
    A copy makes the nearest neighbour near, seldom the second nearest: so the tail of -log(1 - s)
    to the *second* neighbours, moved by how much nearer the first ones are in the median, says
    which similarity chance alone would reach (`chance_threshold`). A pair whose perceptual hashes
    also agree (<= 5 of 64 bits) need only exceed the 90 % quantile of the second neighbours.

    Rows that are equal are pairs whatever the others are, each with the next one like it.
    Photos of one burst or scene are found too: for a split they are as good as copies.

    Args:
        features: (N, D), such as `stroma.transfer.features` gives, all parts together.
        hashes: (N,) uint64 perceptual hashes: `picture_hashes(part)`.
        labels: (N,) class indices, to name pairs with two labels.
        parts: N names of parts, to name pairs across them.
        paths: N names of the photos.
        expected_by_chance: About how many photos may be listed without having a copy, > 0.
    Shape: (N, D) -> records of positions below N
    Raises: DataError: arrays that do not fit together.
    Example:
        >>> x = np.random.default_rng(0).normal(size=(90, 24))
        >>> x[41] = x[7] + 0.05
        >>> closest = near_duplicates(x).pairs[0]
        >>> closest.first, closest.second
        (7, 41)

    Reference: perceptual hashes alone miss crops and flips; cosine of deep features: Babenko et
        al. 2014, "Neural codes for image retrieval"; whitening: Jégou & Chum 2012. Compared in
        blocks with the 8 nearest kept: memory grows with N, never with N².
    """
    check_number(
        "expected_by_chance", expected_by_chance, owner="near_duplicates", minimum=0, exclusive=True
    )
    x = checked_features(features, owner="near_duplicates")
    count = len(x)
    y = None if labels is None else checked_labels(labels, count, owner="near_duplicates")
    names, sides = named(paths, count, "paths"), named(parts, count, "parts")
    hashes = None if hashes is None else _checked_hashes(hashes, count)
    z, threshold, found = x, _MOST, _equal_rows(x)
    if count > 2:  # else there is no second neighbour to learn from
        z = _whitened(x)
        similarity, neighbour = _nearest(z)
        threshold = _threshold(similarity, expected_by_chance)
        rows, places = np.nonzero(similarity >= threshold)
        found = np.concatenate([found, np.stack([rows, neighbour[rows, places]], 1)])
        if hashes is not None:
            close = candidate_pairs(hashes)
            alike = np.einsum("nd,nd->n", z[close[:, 0]], z[close[:, 1]]) >= np.quantile(
                similarity[:, 1], 0.9
            )
            found = np.concatenate([found, close[alike]])
    found = np.unique(np.sort(found, axis=1), axis=0)
    score = np.einsum("nd,nd->n", z[found[:, 0]], z[found[:, 1]])
    score[(x[found[:, 0]] == x[found[:, 1]]).all(1)] = 1  # where all are alike, none has a length
    apart = (
        None if hashes is None else bit_count(hashes[found[:, 0]] ^ hashes[found[:, 1]]).tolist()
    )
    pairs = tuple(
        DuplicatePair(
            first=a, second=b, similarity=round(float(score[at]), 4),
            hash_distance=None if apart is None else apart[at],
            first_path=names[a], second_path=names[b], first_part=sides[a], second_part=sides[b],
            two_labels=y is not None and bool(y[a] != y[b]),
        )
        for at in np.argsort(-score, kind="stable").tolist()
        for a, b in [found[at].tolist()]
    )  # fmt: skip
    return NearDuplicates(
        count=count, threshold=round(threshold, 4), pairs=pairs, groups=_groups(count, found)
    )


def picture_hashes(part: Part) -> np.ndarray:
    """The 64-bit perceptual hash of each picture of a part, in one reading.

    Shape: -> (N,) uint64
    Raises: ArgumentTypeError: it is no part.
    """
    if not isinstance(part, Part):
        raise ArgumentTypeError(
            f"{type(part).__name__} is no part of a data set",
            where="picture_hashes(part)",
            why="the pictures themselves are read, in the order of the part",
            fix='picture_hashes(data.images("photos").train)',
        )
    found = [
        perceptual_hash(pixels)
        for batch in part.batches(64, shuffle=False).epoch(0)
        for pixels in batch.x.numpy()
    ]
    return np.array(found, np.uint64)


def _checked_hashes(hashes: Any, count: int) -> np.ndarray:
    """(N,) uint64."""
    found = np.asarray(hashes)
    if found.shape != (count,) or found.dtype.kind not in "iu":
        raise DataError(
            f"near_duplicates: hashes {found.shape} of {found.dtype} do not fit {count:,} photos",
            where="near_duplicates(hashes=...)",
            why="each photo has one hash of 64 bits",
            fix="hashes=picture_hashes(part), of all parts together, in the features' order",
        )
    return found.astype(np.uint64)


def _equal_rows(x: np.ndarray) -> np.ndarray:
    """(P, 2) positions of rows that are equal, each with the next one of its kind."""
    _, kind = np.unique(x, axis=0, return_inverse=True)
    order = np.argsort(kind.ravel(), kind="stable")
    same = np.diff(kind.ravel()[order]) == 0
    return np.stack([order[:-1][same], order[1:][same]], 1)


def _whitened(x: np.ndarray) -> np.ndarray:
    """(N, R) unit rows in the R leading axes, each scaled to the same variance."""
    centred = x - x.mean(0)
    axes = max(1, min(x.shape[1], len(x) // _SAMPLES_AN_AXIS))
    if x.shape[1] <= len(x):
        values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
        projected = centred @ vectors[:, -axes:]
    else:  # the same axes from the smaller side
        values, left = np.linalg.eigh(centred @ centred.T / len(x))
        projected = left[:, -axes:] * np.sqrt(np.maximum(values[-axes:], 0) * len(x))
    mean = max(float(values.sum()) / x.shape[1], float(np.finfo(np.float32).tiny))
    return unit_rows(projected / np.sqrt(np.maximum(values[-axes:], 0) + _SHRINKAGE * mean))


def _threshold(similarity: np.ndarray, expected: float) -> float:
    """The similarity that `expected` photos would reach by chance; of (N, >= 2), nearest first."""
    closeness = -np.log(np.maximum(1 - similarity[:, :2], 1e-6))  # its tail is near exponential
    first, second = np.median(closeness, axis=0)
    reached = 1 - np.exp(-chance_threshold(closeness[:, 1], expected) - (first - second))
    return float(min(max(reached, _LEAST), _MOST))


def _nearest(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(similarities, positions), each (N, k): the nearest others of each row, nearest first."""
    rows = torch.from_numpy(np.ascontiguousarray(z, np.float32))
    kept = min(_NEIGHBOURS, len(rows) - 1)
    values = torch.full((len(rows), kept), -2.0)
    places = torch.zeros((len(rows), kept), dtype=torch.int64)
    for top in range(0, len(rows), _BLOCK):
        best, where = values[top : top + _BLOCK], places[top : top + _BLOCK]
        for left in range(0, len(rows), _BLOCK):
            block = rows[top : top + _BLOCK] @ rows[left : left + _BLOCK].T
            if left == top:
                block.fill_diagonal_(-2.0)
            near, at = block.topk(min(kept, block.shape[1]))
            best, chosen = torch.cat([best, near], 1).topk(kept)
            where = torch.cat([where, at + left], 1).gather(1, chosen)
        values[top : top + _BLOCK], places[top : top + _BLOCK] = best, where
    return values.numpy(), places.numpy()


def _groups(count: int, pairs: np.ndarray) -> tuple[tuple[int, ...], ...]:
    members: dict[int, list[int]] = {}
    for at, top in enumerate(join(count, pairs).tolist()):
        members.setdefault(top, []).append(at)
    return tuple(tuple(group) for group in members.values() if len(group) > 1)
