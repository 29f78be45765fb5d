"""Labels that a classifier, which never saw them, contradicts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stroma.core.checks import check_number
from stroma.core.records_audit import SuspectLabel as SuspectLabel
from stroma.core.records_audit import SuspectLabels as SuspectLabels
from stroma.diagnostics.inputs import checked_labels, checked_probabilities, named


def suspect_labels(
    probabilities: Any,
    labels: Any,
    *,
    paths: Sequence[str] | None = None,
    odds: float = 20.0,
) -> SuspectLabels:
    """Labels against which the odds are `odds` to 1 or more, the least probable first.

    Listed is where max_k p_k / p_label >= odds. Beside it stands the number that confident
    learning estimates: photos with p_j >= t_j for some other class j that is also the largest
    such p, where t_j is the mean of p_j over the photos labelled j. As a list that count is no
    better: on one draw of 100 wrong labels in imagenette-mini it had recall 0.85 at precision
    0.73, the odds 0.95 at 0.75; 20 was chosen there, `bench/planted_faults.py` draws anew.

    Args:
        probabilities: (N, K) of classifiers that did not learn from the photo itself: with a
            head of `stroma.transfer`, softmax(head.sharpness * head.held_out).
        labels: (N,) class indices as given.
        paths: N names of the photos.
        odds: >= 1. Larger lists fewer and surer ones.
    Shape: (N, K), (N,) -> records of positions below N
    Raises: DataError: arrays that do not fit together.
    Example:
        >>> p = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.98, 0.02]])
        >>> found = suspect_labels(p, [0, 0, 1, 1])
        >>> [(s.index, s.suggested) for s in found.suspects], found.estimated
        ([(3, 0)], 1)

    Reference: Northcutt, Jiang & Chuang 2021, "Confident learning" (eq. 1 to 3); ranking by
        self-confidence: their section 3.2. They prune; here nothing is removed.
    """
    check_number("odds", odds, owner="suspect_labels", minimum=1)
    p = checked_probabilities(probabilities, owner="suspect_labels")
    y = checked_labels(labels, len(p), p.shape[1], owner="suspect_labels")
    names = named(paths, len(p), "paths")
    own, best = p[np.arange(len(y)), y], p.argmax(1)
    top = p.max(1, initial=0.0)
    listed = np.flatnonzero((best != y) & (top >= odds * own))
    suspects = tuple(
        SuspectLabel(
            index=at, label=int(y[at]), suggested=int(best[at]), probability=float(own[at]),
            suggested_probability=float(top[at]), path=names[at],
        )
        for at in listed[np.argsort(own[listed] / top[listed], kind="stable")].tolist()
    )  # fmt: skip
    return SuspectLabels(
        count=len(y), estimated=_confident_errors(p, y), odds=float(odds), suspects=suspects
    )


def _confident_errors(p: np.ndarray, y: np.ndarray) -> int:
    """Entries of the confident joint that lie off its diagonal."""
    size = np.bincount(y, minlength=p.shape[1])
    own = np.bincount(y, p[np.arange(len(y)), y], minlength=p.shape[1])
    threshold = np.where(size > 0, own / np.maximum(size, 1), np.inf)
    confident = np.where(p >= threshold, p, 0.0)
    return int(((confident.max(1, initial=0.0) > 0) & (confident.argmax(1) != y)).sum())
