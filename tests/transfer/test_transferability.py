"""LogME and the H-score against their definitions, computed the long way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf

from stroma.core.errors import ArgumentError, DataError
from stroma.transfer import h_score, log_maximum_evidence
from stroma.transfer.transferability import _log_evidence


def samples(count: int, size: int, classes: int, signal: float = 1.0, seed: int = 0):
    rng = np.random.default_rng(seed)
    y = np.arange(count) % classes
    centres = rng.normal(size=(classes, size))
    return rng.normal(size=(count, size)) + signal * centres[y], y


def best_evidence(x: np.ndarray, y: np.ndarray, classes: int) -> float:
    """y ~ N(0, F Fᵀ / α + I / β), its density at its highest; nothing of the fixed point."""
    found = []
    for k in range(classes):
        target = (y == k).astype(float)

        def negative(logs: np.ndarray, target: np.ndarray = target) -> float:
            alpha, beta = np.exp(logs)
            covariance = x @ x.T / alpha + np.eye(len(x)) / beta
            return -multivariate_normal(np.zeros(len(x)), covariance).logpdf(target)

        starts = [minimize(negative, s, method="Nelder-Mead", tol=1e-9) for s in ((0, 0), (3, 3))]
        found.append(-min(start.fun for start in starts) / len(x))
    return float(np.mean(found))


@pytest.mark.parametrize(("count", "size"), [(40, 5), (30, 12), (20, 30)])
def test_logme_is_the_highest_evidence(count: int, size: int) -> None:
    x, y = samples(count, size, 3, signal=0.5)
    assert log_maximum_evidence(x, y, 3) == pytest.approx(best_evidence(x, y, 3), abs=1e-6)


def test_a_wrong_noise_term_would_be_seen() -> None:
    """The planted mistake: forgetting what lies outside the span of the features."""
    x, y = samples(40, 5, 3, signal=0.5)
    left, singular, _ = np.linalg.svd(x, full_matrices=False)
    inside = (left.T @ np.eye(3)[y]) ** 2
    wrong = np.mean([_log_evidence(singular**2, inside[:, k], 0.0, 40, 5) for k in range(3)]) / 40
    assert abs(wrong - best_evidence(x, y, 3)) > 0.1


@given(st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_logme_does_not_see_rotations_or_the_order(seed: int) -> None:
    x, y = samples(25, 6, 2, seed=seed)
    rng = np.random.default_rng(seed)
    turn, order = np.linalg.qr(rng.normal(size=(6, 6)))[0], rng.permutation(25)
    found = log_maximum_evidence(x, y, 2)
    assert log_maximum_evidence((x @ turn)[order], y[order], 2) == pytest.approx(found, rel=1e-6)


def test_both_rise_with_what_the_features_tell() -> None:
    weak, strong = (samples(200, 10, 4, signal) for signal in (0.2, 2.0))
    assert log_maximum_evidence(*weak, 4) < log_maximum_evidence(*strong, 4)
    assert h_score(*weak, 4) < h_score(*strong, 4) < 3


def test_h_score_without_shrinkage_is_bao_et_als() -> None:
    x, y = samples(60, 5, 3)
    means = np.array([x[y == k].mean(0) for k in range(3)])[y]
    between = np.cov(means, rowvar=False, bias=True)
    expected = np.trace(np.linalg.inv(np.cov(x, rowvar=False, bias=True)) @ between)
    assert h_score(x, y, 3, shrinkage=0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("count", "size"), [(60, 5), (20, 40)])
def test_h_score_with_ledoit_and_wolfs_shrinkage(count: int, size: int) -> None:
    x, y = samples(count, size, 3)
    wolf = LedoitWolf().fit(x)
    means = np.array([x[y == k].mean(0) for k in range(3)])[y]
    between = np.cov(means, rowvar=False, bias=True)
    expected = np.trace(np.linalg.inv(wolf.covariance_) @ ((1 - wolf.shrinkage_) * between))
    assert h_score(x, y, 3) == pytest.approx(expected, rel=1e-9)


def test_h_score_of_singular_features() -> None:
    """A column twice is no news, and more features than samples separate anything."""
    x, y = samples(60, 5, 3)
    twice = h_score(np.hstack([x, x[:, :1]]), y, 3, shrinkage=0)
    assert twice == pytest.approx(h_score(x, y, 3, shrinkage=0), rel=1e-6)
    x, y = samples(20, 40, 3, signal=0.0)
    assert h_score(x, y, 3, shrinkage=0) == pytest.approx(2.0)
    assert h_score(x, y, 3) < 1.5


def test_perfect_features_give_finite_scores() -> None:
    y = np.arange(30) % 3
    x = np.eye(3)[y]
    assert np.isfinite(log_maximum_evidence(x, y, 3)) and h_score(x, y, 3, shrinkage=0) <= 2 + 1e-9


def test_wrong_samples() -> None:
    x, y = samples(20, 4, 2)
    with pytest.raises(DataError, match="do not fit together"):
        log_maximum_evidence(x, y[:-1], 2)
    with pytest.raises(ArgumentError, match="shrinkage"):
        h_score(x, y, 2, shrinkage=1.5)
