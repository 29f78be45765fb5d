"""Photos that are far from all others of their class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stroma.core.checks import check_number
from stroma.core.records_audit import Outlier as Outlier
from stroma.core.records_audit import Outliers as Outliers
from stroma.diagnostics.inputs import (
    chance_threshold,
    checked_features,
    checked_labels,
    named,
    unit_rows,
)

_NEIGHBOURS = 20  # at most a quarter of the class: with few, a clump of odd photos hides itself
_BLOCK = 1024  # photos of a class compared at once with all of it
_LEAST_IN_CLASS = 8  # fewer photos say nothing of what is usual among them
_MAD = 1.4826  # median absolute deviation -> standard deviation, of a normal distribution
_LEAST = 3.5  # deviations; Iglewicz & Hoaglin's cut, below which nothing is called far


def outliers(
    features: Any,
    labels: Any,
    *,
    paths: Sequence[str] | None = None,
    expected_by_chance: float = 5.0,
) -> Outliers:
    """Photos that are far from their own class, each class by its own measure.

    d = log of the mean distance 1 - cos to the 20 nearest photos of the same class, then
    (d - median) / (1.4826 MAD) over the class: both are blind to the outliers themselves. Listed
    is what lies above the tail of these scores (`chance_threshold`), and above 3.5 at least. Photos
    that are odd in the same way and many in one class hide each other; photos of another class of
    the data are found by `suspect_labels`.

    Args:
        features: (N, D).
        labels: (N,) class indices. Classes of fewer than 8 photos are passed over.
        paths: N names of the photos.
        expected_by_chance: About how many photos may be listed by chance, > 0.
    Shape: (N, D), (N,) -> records of positions below N
    Raises: DataError: arrays that do not fit together.
    Example:
        >>> x = np.random.default_rng(0).normal(size=(40, 6)) + 5
        >>> x[17] = -5
        >>> [odd.index for odd in outliers(x, [0] * 40).found]
        [17]

    Reference: k-nearest-neighbour distance: Ramaswamy et al. 2000; the modified z-score:
        Iglewicz & Hoaglin 1993.
    """
    check_number(
        "expected_by_chance", expected_by_chance, owner="outliers", minimum=0, exclusive=True
    )
    x = unit_rows(checked_features(features, owner="outliers"))
    y = checked_labels(labels, len(x), owner="outliers")
    names = named(paths, len(x), "paths")
    score = np.full(len(x), -np.inf)
    for label in np.unique(y).tolist():
        members = np.flatnonzero(y == label)
        if len(members) >= _LEAST_IN_CLASS:
            score[members] = _scores(x[members])
    known = score[np.isfinite(score)]
    threshold = max(chance_threshold(known, expected_by_chance), _LEAST) if len(known) else _LEAST
    listed = np.flatnonzero(score >= threshold)
    return Outliers(
        count=len(x),
        threshold=round(float(threshold), 4),
        found=tuple(
            Outlier(index=at, label=int(y[at]), score=round(float(score[at]), 4), path=names[at])
            for at in listed[np.argsort(-score[listed], kind="stable")].tolist()
        ),
    )


def _scores(unit: np.ndarray) -> np.ndarray:
    """(n,) robust deviations of the photos of one class."""
    near, count = np.empty(len(unit)), min(_NEIGHBOURS, len(unit) // 4)
    for at in range(0, len(unit), _BLOCK):
        cosine = unit[at : at + _BLOCK] @ unit.T
        cosine[np.arange(len(cosine)), np.arange(at, at + len(cosine))] = -np.inf
        near[at : at + _BLOCK] = np.partition(cosine, -count)[:, -count:].mean(1)
    distance = np.log(np.maximum(1 - near, 1e-6))  # 1e-6: copies; float32 sees nothing below
    centre = np.median(distance)
    spread = _MAD * np.median(np.abs(distance - centre))
    result: np.ndarray = (distance - centre) / max(float(spread), 1e-3)
    return result
