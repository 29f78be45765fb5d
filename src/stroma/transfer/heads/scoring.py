"""How good a head is, with its doubt: accuracy or balanced accuracy, and one head against another.

Both targets are one formula: the sum over samples of an importance times right or wrong, where the
importances are 1/N, or 1/(K n) with n the samples of the own class. Intervals hold for 95 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from stroma.core.records import Interval
from stroma.core.seeds import mix_array

Target = Literal["accuracy", "balanced_accuracy"]
TARGETS: tuple[Target, ...] = ("accuracy", "balanced_accuracy")
_Z = 1.959964  # normal quantile of a two-sided 95 % interval


def importance(labels: np.ndarray, target: Target) -> np.ndarray:
    """(N,) what each sample weighs in the score; the sum is 1.

    Example:
        >>> importance(np.array([0, 0, 0, 1]), "balanced_accuracy").round(3).tolist()
        [0.167, 0.167, 0.167, 0.5]
    """
    if target == "accuracy":
        return np.full(len(labels), 1 / len(labels))
    present, members, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights: np.ndarray = 1 / (len(present) * counts[members])
    return weights


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def estimate(right: np.ndarray, labels: np.ndarray, target: Target) -> Estimate:
    """The score of answers that were `right` (N,), with its interval.

    Accuracy has Wilson's interval. Balanced accuracy is a mean of recalls p, each with Wilson's
    interval [l, u]: its limits are mean(p) ± sqrt(sum (p - l)²) / K and alike for u (the method of
    variance estimates recovery, which keeps the small-sample care of the parts).

    Reference: Wilson 1927; Zou & Donner 2008, "Construction of confidence limits about effect
        measures".
    """
    groups = [right] if target == "accuracy" else [right[labels == k] for k in np.unique(labels)]
    shares = np.array([group.mean() for group in groups])
    bounds = [Interval.wilson(int(group.sum()), len(group)) for group in groups]
    below = np.array([share - bound.low for share, bound in zip(shares, bounds)])
    above = np.array([bound.high - share for share, bound in zip(shares, bounds)])
    value, parts = float(shares.mean()), len(groups)
    return Estimate(
        value,
        max(0.0, value - math.sqrt(float((below**2).sum())) / parts),
        min(1.0, value + math.sqrt(float((above**2).sum())) / parts),
    )


def difference(
    first: np.ndarray, second: np.ndarray, labels: np.ndarray, target: Target
) -> Estimate:
    """By how much the first head is better than the second on the same samples.

    Only samples on which they differ say anything. With b that only the first has right and c
    that only the second has, the interval is Wald's of (b - c) / n with 1/2 added to each of the
    four cells of the table, which keeps its promise for few samples; balanced accuracy averages
    this over classes.

    Args:
        first, second: (N,) whether each sample was right.
    Reference: McNemar 1947; Agresti & Min 2005, "Simple improved confidence intervals for
        comparing matched proportions".
    """
    everything = [np.ones(len(labels), bool)]
    groups = everything if target == "accuracy" else [labels == k for k in np.unique(labels)]
    values, centres, variances = [], [], []
    for group in groups:
        only_first = int((first[group] & ~second[group]).sum())
        only_second = int((~first[group] & second[group]).sum())
        count = int(group.sum())
        values.append((only_first - only_second) / count)
        b, c, n = only_first + 0.5, only_second + 0.5, count + 2
        centres.append((b - c) / n)
        variances.append((b + c - (b - c) ** 2 / n) / n**2)
    parts = len(groups)
    centre, half = sum(centres) / parts, _Z * math.sqrt(sum(variances)) / parts
    value = sum(values) / parts
    return Estimate(value, min(value, centre - half), max(value, centre + half))


def stratified_folds(labels: np.ndarray, count: int, seed: int) -> np.ndarray:
    """(N,) fold of each sample, 0 to `count` - 1: each class dealt out evenly, in a drawn order.

    The draw is a hash of (seed, position), so it is the same on every machine.
    """
    order = np.lexsort((mix_array(seed, 0, np.arange(len(labels))), labels))
    fold = np.empty(len(labels), np.int64)
    fold[order] = np.arange(len(labels)) % count  # goes on from class to class: equal sizes
    return fold
