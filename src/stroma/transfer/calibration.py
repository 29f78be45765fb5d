"""Probabilities that mean what they say: temperature, calibration error, and when to refuse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from stroma.core.checks import check_choice, check_number, check_positive_int
from stroma.core.errors import DataError
from stroma.core.records_transfer import Calibration as Calibration
from stroma.core.records_transfer import RefusalRow as RefusalRow
from stroma.core.records_transfer import ReliabilityRow as ReliabilityRow
from stroma.core.scores import Interval
from stroma.transfer.inputs import as_numbers, several_numbers

Binning = Literal["mass", "width"]

_TINY = float(np.finfo(np.float32).tiny)  # log of a probability that float32 rounded to 0
_COLDEST, _HOTTEST = 1e-3, 1e3
_THRESHOLDS = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)


def calibrate(
    logits: Any, labels: Any, *, temperature: float | None = None, bins: int = 15
) -> Calibration:
    """Fit one temperature on validation and say what it does; or judge one on photos unseen.

    Args:
        logits: (N, K) before the softmax; `np.log(probabilities)` serves as well.
        labels: (N,) class indices.
        temperature: One that was fitted on other photos, > 0; None: fitted here, so that the
            figures after it are the best of a one-parameter family (a slight flattery).
        bins: Of the calibration error and of the reliability table.
    Raises: DataError: logits and labels that do not fit together.
    Example:
        >>> sure, labels = np.array([[9.0, 0.0]] * 4), np.array([0, 0, 0, 1])
        >>> found = calibrate(sure, labels)
        >>> round(found.temperature, 2), round(found.ece_before, 2), round(found.ece_after, 2)
        (8.19, 0.25, 0.0)

    Reference: Guo et al. 2017, "On calibration of modern neural networks".
    """
    z, y = _checked(logits, labels)
    if temperature is None:
        temperature = fit_temperature(z, y)
    check_number("temperature", temperature, owner="calibrate", minimum=0, exclusive=True)
    before, after = _log_softmax(z), _log_softmax(z / temperature)
    own = np.arange(len(y))
    return Calibration(
        temperature=float(temperature),
        count=len(y),
        nll_before=float(-before[own, y].mean()),
        nll_after=float(-after[own, y].mean()),
        ece_before=expected_calibration_error(np.exp(before), y, bins=bins),
        ece_after=expected_calibration_error(np.exp(after), y, bins=bins),
        reliability=reliability(np.exp(after), y, bins=bins),
        refusal=refuse_below(np.exp(after), y),
        reliability_before=reliability(np.exp(before), y, bins=bins),
    )


def fit_temperature(logits: Any, labels: Any) -> float:
    """The T > 0 for which softmax(logits / T) has the smallest cross-entropy.

    In β = 1/T the cross-entropy is convex: its derivative is the mean of (expected logit under
    the softmax - logit of the true class), which only grows. Halving an interval finds its zero
    with no step size to choose. Where every photo is right, β would go to ∞: it stops where
    float64 can no longer tell the probabilities from 1.

    Args:
        logits: (N, K) of photos that the network did not learn from.
        labels: (N,) class indices.
    Shape: (N, K), (N,) -> a number in [0.001, 1000]
    Raises: DataError: logits and labels that do not fit together.
    Example:
        >>> round(fit_temperature([[np.log(9), 0.0]] * 4, [0, 0, 0, 1]), 6)  # 3/4 right: odds of 3
        2.0

    Reference: Guo et al. 2017, section 4.2. They use L-BFGS; a single number needs no gradient.
    """
    z, y = _checked(logits, labels)
    true = z[np.arange(len(y)), y]
    low, high = np.log(1 / _HOTTEST), np.log(1 / _COLDEST)  # of β
    for _ in range(50):
        middle = (low + high) / 2
        expected = (np.exp(_log_softmax(np.exp(middle) * z)) * z).sum(1)
        low, high = (middle, high) if (expected - true).mean() < 0 else (low, middle)
    return float(np.exp(-(low + high) / 2))


def tempered(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """softmax(log p / T): what the network would have said with its logits divided by T.

    The order of the classes stays. A probability of 0 counts as the smallest float32.

    Args:
        probabilities: (B, K), each row summing to 1.
        temperature: T > 0; 1 changes nothing.
    Shape: (B, K) -> (B, K), of the same dtype
    Example:
        >>> tempered(np.array([[0.9, 0.1]]), 2.0).round(2)
        array([[0.75, 0.25]])
    """
    check_number("temperature", temperature, owner="tempered", minimum=0, exclusive=True)
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), _TINY))
    result: np.ndarray = np.exp(_log_softmax(logits / temperature)).astype(probabilities.dtype)
    return result


def expected_calibration_error(
    probabilities: Any, labels: Any, *, bins: int = 15, binning: Binning = "mass"
) -> float:
    """Mean distance between confidence and accuracy: Σ_b (n_b / N) |accuracy_b - confidence_b|.

    Args:
        probabilities: (N, K), each row summing to 1.
        labels: (N,) class indices.
        bins: How many, >= 1.
        binning: "mass": as many photos in each bin, so that none is nearly empty; "width":
            [0, 1] cut evenly, as in most papers.
    Shape: (N, K), (N,) -> a number in [0, 1]
    Raises: DataError: probabilities and labels that do not fit together.
    Example:
        >>> expected_calibration_error([[0.9, 0.1]] * 10, [0] * 9 + [1]) < 1e-9
        True

    Reference: Naeini et al. 2015; equal mass: Nguyen & O'Connor 2015. Even a perfectly calibrated
        classifier scores above 0 on few photos: about 0.4 √(bins / N) at middling confidence.
    """
    rows = reliability(probabilities, labels, bins=bins, binning=binning)
    total = sum(row.count for row in rows)
    return sum(row.count * abs(row.accuracy - row.confidence) for row in rows) / total


def reliability(
    probabilities: Any, labels: Any, *, bins: int = 15, binning: Binning = "mass"
) -> tuple[ReliabilityRow, ...]:
    """Confidence against accuracy, bin by bin from the least to the most confident.

    Args:
        probabilities, labels, bins, binning: As in `expected_calibration_error`. Bins without a
            photo are left out; photos of the same confidence share a bin.
    Raises: DataError: probabilities and labels that do not fit together.
    Example:
        >>> [row] = reliability([[0.8, 0.2]] * 5, [0, 0, 0, 0, 1])
        >>> row.count, row.confidence, row.accuracy
        (5, 0.8, 0.8)

    Reference: DeGroot & Fienberg 1983.
    """
    check_positive_int("bins", bins, owner="reliability")
    check_choice("binning", binning, ("mass", "width"), owner="reliability")
    p, y = _checked(probabilities, labels, probable=True)
    confidence, right = p.max(1), p.argmax(1) == y
    if binning == "mass":
        edges = np.quantile(confidence, np.arange(1, bins) / bins)
    else:
        edges = np.arange(1, bins) / bins
    place = np.searchsorted(edges, confidence, side="left")  # (low, high], as in Guo et al.
    return tuple(
        ReliabilityRow(
            low=float(confidence[inside].min()) if binning == "mass" else b / bins,
            high=float(confidence[inside].max()) if binning == "mass" else (b + 1) / bins,
            count=int(inside.sum()),
            confidence=float(confidence[inside].mean()),
            accuracy=float(right[inside].mean()),
            interval=Interval.wilson(int(right[inside].sum()), int(inside.sum())),
        )
        for b in np.unique(place).tolist()
        for inside in [place == b]
    )


def refuse_below(
    probabilities: Any, labels: Any, thresholds: float | Sequence[float] = _THRESHOLDS
) -> tuple[RefusalRow, ...]:
    """For each threshold: how many photos are still answered, and how many of those are wrong.

    Args:
        probabilities: (N, K), each row summing to 1.
        labels: (N,) class indices.
        thresholds: Probabilities of the predicted class below which the answer is refused,
            each in [0, 1].
    Raises: ArgumentError: a threshold outside [0, 1]. DataError: probabilities and labels that
        do not fit together.
    Example:
        >>> rows = refuse_below([[0.9, 0.1], [0.6, 0.4]], [0, 1], thresholds=(0.0, 0.7))
        >>> [(row.threshold, row.coverage, row.error) for row in rows]
        [(0.0, 1.0, 0.5), (0.7, 0.5, 0.0)]

    Reference: Chow 1970, "On optimum recognition error and reject tradeoff".
    """
    p, y = _checked(probabilities, labels, probable=True)
    confidence, wrong = p.max(1), p.argmax(1) != y
    rows = []
    for threshold in several_numbers("thresholds", thresholds, owner="refuse_below"):
        check_number("threshold", threshold, owner="refuse_below", minimum=0, maximum=1)
        accepted = confidence >= threshold
        count, errors = int(accepted.sum()), int(wrong[accepted].sum())
        rows.append(
            RefusalRow(
                threshold=float(threshold),
                accepted=count,
                coverage=count / len(y),
                coverage_interval=Interval.wilson(count, len(y)),
                error=errors / count if count else None,
                error_interval=Interval.wilson(errors, count),
            )
        )
    return tuple(rows)


def _log_softmax(z: np.ndarray) -> np.ndarray:
    shifted = z - z.max(1, keepdims=True)
    result: np.ndarray = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return result


def _checked(scores: Any, labels: Any, *, probable: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N, K), rows of probabilities where they have to be, and labels (N,)."""
    z = as_numbers(scores, "scores", owner="calibration").astype(np.float64)
    y = as_numbers(labels, "labels", owner="calibration")
    fits = z.ndim == 2 and z.shape[1] >= 2 and len(z) and y.shape == (len(z),)
    if not fits or y.dtype.kind not in "iu" or y.min() < 0 or y.max() >= z.shape[1]:
        raise DataError(
            f"scores {z.shape} and labels {y.shape} of {y.dtype} do not fit together",
            where="calibration",
            why="each photo has a row of K >= 2 scores and the index, below K, of its class",
            fix="scores (N, K), labels (N,) of whole numbers; one photo or more",
        )
    z = np.where(np.isneginf(z), np.log(_TINY), z)  # the log of a probability that is 0
    if not np.isfinite(z).all():
        raise DataError(
            f"{(~np.isfinite(z)).any(1).sum()} of {len(z)} photos have scores that are not finite",
            where=f"calibration, the first in row {int(np.argmin(np.isfinite(z).all(1)))}",
            why="the network overflowed, or its weights are damaged",
            fix="compute the scores in float32, or look for NaN in the weights",
        )
    if probable and ((z < 0).any() or (np.abs(z.sum(1) - 1) > 1e-3).any()):
        row = int(((z < 0).any(1) | (np.abs(z.sum(1) - 1) > 1e-3)).argmax())
        raise DataError(
            f"the scores of row {row} are no probabilities: they sum to {z[row].sum():.4g}",
            where=f"calibration, the first in row {row}",
            why="confidence is the probability of the class that is named",
            fix="softmax of the logits; calibrate(logits, labels) takes logits as they are",
        )
    return z, y.astype(np.int64)
