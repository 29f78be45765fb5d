"""What all checks of this room ask of their arrays, and the tail that tells odd from usual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from stroma.core.errors import DataError


def checked_features(features: Any, *, owner: str) -> np.ndarray:
    """(N, D) finite float32."""
    x = np.asarray(features, np.float32)
    if x.ndim != 2 or not x.shape[1]:
        raise DataError(
            f"{owner}: features have the shape {x.shape}",
            where=f"{owner}(features)",
            why="each photo has one row of D >= 1 features",
            fix="features (N, D): stroma.transfer.features(base, part)",
        )
    finite = np.isfinite(x).all(1)
    if not finite.all():
        raise DataError(
            f"{owner}: {(~finite).sum()} of {len(x)} photos have features that are not finite",
            where=f"{owner}, the first in row {int(np.argmin(finite))}",
            why="the base network overflowed, or its weights are damaged",
            fix='precision="float32" for the features, or other weights',
        )
    return x


def checked_labels(labels: Any, count: int, classes: int | None = None, *, owner: str) -> Any:
    """(N,) class indices below `classes`, int64."""
    y = np.asarray(labels)
    top = np.iinfo(np.int64).max if classes is None else classes
    if (
        y.shape != (count,)
        or y.dtype.kind not in "iu"
        or (count and not 0 <= y.min() <= y.max() < top)
    ):
        raise DataError(
            f"{owner}: labels {y.shape} of {y.dtype} do not fit {count:,} photos",
            where=f"{owner}(labels)",
            why="each photo has the index of its class"
            + (f", 0 to {classes - 1}" if classes else ""),
            fix="labels (N,) of whole numbers: part.labels",
        )
    return y.astype(np.int64)


def checked_probabilities(probabilities: Any, *, owner: str) -> np.ndarray:
    """(N, K) float64 rows that sum to 1."""
    p = np.asarray(probabilities, np.float64)
    if p.ndim != 2 or p.shape[1] < 2 or not (p >= 0).all() or (abs(p.sum(1) - 1) > 1e-3).any():
        raise DataError(
            f"{owner}: an array {p.shape} that is not rows of probabilities",
            where=f"{owner}(probabilities)",
            why="each photo has K >= 2 probabilities, none negative, that sum to 1",
            fix="of a head that never saw the photo: softmax(head.sharpness * head.held_out)",
        )
    return p


def named(values: Sequence[Any] | np.ndarray | None, count: int, what: str) -> list[str]:
    """`values` as text, one for each photo; empty ones where there are none."""
    if values is None:
        return [""] * count
    if len(values) != count:
        raise DataError(
            f"{len(values):,} {what} for {count:,} photos",
            where=f"{what}=...",
            why="they are matched by position",
            fix=f"give {what} in the order of the features, or none",
        )
    return [str(value) for value in values]


def unit_rows(x: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays one."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    result: np.ndarray = x / np.where(length > 0, length, 1)
    return result


def chance_threshold(values: np.ndarray, expected: float) -> float:
    """The value above which about `expected` of these N values would lie if all were usual.

    The tail above the 90 % quantile u is taken as exponential, its half-life read off the 95 %
    quantile: t = u + (q₉₅ - u) / ln 2 · ln(0.1 N / expected). Two quantiles in the bulk see
    nothing of what is odd, as long as less than a twentieth of the values is.

    Reference: peaks over threshold, Pickands 1975, with the shape fixed at 0.
    """
    low, high = np.quantile(values, [0.90, 0.95])
    decades = np.log(max(0.1 * len(values) / expected, 1.0))
    return float(low + (high - low) / np.log(2) * decades)
