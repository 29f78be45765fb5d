"""How well several classes, or numbers, are predicted: figures with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from stroma.core.errors import DataError
from stroma.core.measured import ClassFigures, Figure, Measured

_DRAWS = 1000  # resamples: their 2.5 and 97.5 % points are then known to about 0.5 %
_AT_ONCE = 1 << 22  # float64 in one temporary: 32 MiB
_HALF = 0.5


def score_several(
    truth: np.ndarray, probabilities: np.ndarray, class_names: Sequence[str], *, seed: int = 0
) -> Measured:
    """Average precision, F1 and exact match of answers that may name several classes.

    Average precision of a class is the mean, over the photos that have it, of the share of right
    ones among all that are scored as high: no threshold is involved. F1 and exact match call a
    class present above 0.5. Classes that no photo has are left out of means.

    Args:
        truth: (N, K) of 0 and 1.
        probabilities: (N, K) in [0, 1].
        class_names: K names.
        seed: Of the resamples.
    Raises: DataError: shapes that do not fit together.
    Example:
        >>> truth = np.array([[1, 0], [1, 1], [0, 1], [0, 0]])
        >>> found = score_several(truth, truth * 0.9, ["cat", "dog"])
        >>> [(figure.name, figure.value) for figure in found.figures[:2]]
        [('mean average precision', 1.0), ('F1, micro', 1.0)]

    Reference: Everingham et al. 2010 (average precision; without interpolation, as scikit-learn);
        Efron & Tibshirani 1993 (percentile bootstrap over photos).
    """
    present, shares = _pair(truth, probabilities)
    if present.ndim != 2 or present.shape[1] != len(class_names):
        raise DataError(
            f"{present.shape} answers for {len(class_names)} classes", where="score_several",
            why="one column a class", fix="truth and probabilities (N, K) for K names",
        )  # fmt: skip
    figures, by_class = _several_figures(present, shares, seed)
    chance, _ = _several_figures(present, np.broadcast_to(present.mean(0), present.shape), None)
    precision, f1 = by_class
    classes = tuple(
        ClassFigures(
            name=name, support=int(present[:, k].sum()), average_precision=_or_none(precision[k]),
            f1=_or_none(f1[k]), share=float(present[:, k].mean()),
        )
        for k, name in enumerate(class_names)
    )  # fmt: skip
    return Measured(
        task="several classes", count=len(present), figures=figures, baseline=chance,
        classes=classes,
    )  # fmt: skip


def score_number(
    truth: np.ndarray, predicted: np.ndarray, mean: float, *, seed: int = 0
) -> Measured:
    """Mean absolute error, root mean squared error and R² of predicted numbers.

    R² = 1 - Σ(t - y)² / Σ(t - mean t)² with the mean of these photos: 0 is as good as knowing
    their mean, below 0 is worse. It is none where all numbers are equal.

    Args:
        truth: (N,).
        predicted: (N,).
        mean: Of the numbers that were learnt from: the baseline's one answer.
        seed: Of the resamples.
    Raises: DataError: shapes that do not fit together.
    Example:
        >>> found = score_number(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0]), 2.0)
        >>> [round(figure.value, 3) for figure in found.figures + found.baseline]
        [0.333, 0.577, 0.5, 0.667, 0.816, 0.0]
    """
    t, y = _pair(truth, predicted)
    if t.ndim != 1:
        raise DataError(
            f"numbers of shape {t.shape}", where="score_number", why="one number a photo",
            fix="truth and predicted (N,)",
        )  # fmt: skip
    return Measured(
        task="number", count=len(t), figures=_number_figures(t, y, seed),
        baseline=_number_figures(t, np.full(len(t), mean), None),
    )  # fmt: skip


def average_precision(present: np.ndarray, score: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """(B,) average precision under each row of weights; NaN where no photo has the class.

    Args:
        present: (N,) of 0 and 1.
        score: (N,); equal scores are one threshold.
        weight: (B, N) how often each photo counts.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))  # of runs of equal scores
    drawn = weight[:, order]
    seen = np.cumsum(drawn, axis=1)[:, ends]
    right = np.cumsum(drawn * present[order], axis=1)[:, ends]  # (B, thresholds)
    gained = np.diff(right, axis=1, prepend=0.0)
    shares = right / np.maximum(seen, 1e-12)
    total = right[:, -1]
    with np.errstate(invalid="ignore"):
        found: np.ndarray = (gained * shares).sum(1) / np.where(total > 0, total, np.nan)
    return found


Figures = dict[str, np.ndarray]  # name -> (B,) the figure under each row of weights


def _several_figures(
    present: np.ndarray, shares: np.ndarray, seed: int | None
) -> tuple[tuple[Figure, ...], tuple[np.ndarray, np.ndarray]]:
    """The figures, and average precision and F1 of each class on the photos as they are."""
    called = shares > _HALF
    right, missed = called & (present > 0), ~called & (present > 0)
    wrong = called & (present == 0)
    exact = (called == (present > 0)).all(1)

    def of(weight: np.ndarray) -> tuple[Figures, np.ndarray, np.ndarray]:
        columns = zip(present.T, shares.T)
        precision = np.stack([average_precision(t, s, weight) for t, s in columns], axis=1)
        true, lost, false = weight @ right, weight @ missed, weight @ wrong  # (B, K)
        f1 = _f1(true, lost, false)
        f1 = np.where(weight @ present > 0, f1, np.nan)
        return {
            "mean average precision": _mean(precision),
            "F1, micro": _f1(true.sum(1), lost.sum(1), false.sum(1)),
            "F1, macro": _mean(f1),
            "all classes right": weight @ exact / weight.sum(1),
        }, precision, f1  # fmt: skip

    whole, precision, f1 = of(np.ones((1, len(present))))
    drawn = None if seed is None else _drawn(lambda w: of(w)[0], len(present), seed)
    return _with_intervals(whole, drawn), (precision[0], f1[0])


def _number_figures(t: np.ndarray, y: np.ndarray, seed: int | None) -> tuple[Figure, ...]:
    error = y - t

    def of(weight: np.ndarray) -> Figures:
        count = weight.sum(1)
        squares = weight @ error**2
        mean = weight @ t / count
        spread = (weight * (t - mean[:, None]) ** 2).sum(1)
        varies = spread > 1e-12 * np.maximum(weight @ t**2, 1e-300)
        return {
            "mean absolute error": weight @ np.abs(error) / count,
            "root mean squared error": np.sqrt(squares / count),
            "R²": 1 - squares / np.where(varies, spread, np.nan),
        }

    drawn = None if seed is None else _drawn(of, len(t), seed)
    return _with_intervals(of(np.ones((1, len(t)))), drawn)


def _drawn(of: Callable[[np.ndarray], Figures], count: int, seed: int) -> Figures:
    """The figures on resamples of the photos, drawn with replacement."""
    found = [of(weight) for weight in _weights(count, seed)]
    return {name: np.concatenate([figures[name] for figures in found]) for name in found[0]}


def _weights(count: int, seed: int) -> Iterator[np.ndarray]:
    draws = np.random.default_rng(seed)
    at_once = max(1, min(_DRAWS, _AT_ONCE // count))
    for start in range(0, _DRAWS, at_once):
        rows = min(at_once, _DRAWS - start)
        yield draws.multinomial(count, np.full(count, 1 / count), rows).astype(np.float64)


def _with_intervals(whole: Figures, drawn: Figures | None) -> tuple[Figure, ...]:
    figures = []
    for name, value in whole.items():
        low = high = None
        if drawn is not None and np.isfinite(value[0]):
            known = drawn[name][np.isfinite(drawn[name])]
            low, high = (float(edge) for edge in np.quantile(known, [0.025, 0.975]))
        figures.append(Figure(name=name, value=_or_none(value[0]), low=low, high=high))
    return tuple(figures)


def _f1(true: np.ndarray, missed: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    found: np.ndarray = 2 * true / np.maximum(2 * true + missed + wrong, 1e-12)
    return found


def _mean(values: np.ndarray) -> np.ndarray:
    """(B,) mean over classes (B, K) that are there; NaN where none is."""
    there = np.isfinite(values)
    counts = there.sum(1)
    found: np.ndarray = np.where(there, values, 0).sum(1) / np.where(counts > 0, counts, np.nan)
    return found


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _pair(truth: np.ndarray, said: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(truth, np.float64), np.asarray(said, np.float64)
    finite = bool(np.isfinite(one).all() and np.isfinite(other).all())
    if one.shape != other.shape or not one.size or not finite:
        raise DataError(
            f"answers {other.shape} do not fit the truth {one.shape}" if finite
            else "an answer or a true value is NaN or infinite",
            where="score(truth, answers)", why="each photo has one of both",
            fix="give both for the same photos, one or more",
        )  # fmt: skip
    return one, other
