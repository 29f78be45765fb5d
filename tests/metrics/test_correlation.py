"""Correlations against Keras, SciPy and closed forms."""

import numpy as np
import pytest
import torch
from scipy import stats

from oracle import keras
from stroma import metrics

RNG = np.random.default_rng(0)
Y = RNG.normal(size=(7, 9)).astype("float32")
P = (0.5 * Y + RNG.normal(size=Y.shape)).astype("float32")
WEIGHT = RNG.uniform(size=7).astype("float32")


@pytest.mark.parametrize("axis", [-1, 0, (0, 1)])
@pytest.mark.parametrize("name", ["PearsonCorrelation", "ConcordanceCorrelation"])
def test_equals_keras(name, axis):
    ours, theirs = (getattr(kit, name)(axis=axis) for kit in (metrics, keras.metrics))
    weights = WEIGHT if axis == -1 else None
    for metric in (ours, theirs):
        metric.update_state(Y[:4], P[:4], None if weights is None else weights[:4])
        metric.update_state(Y[4:], P[4:], None if weights is None else weights[4:])
    assert float(ours.result()) == pytest.approx(float(theirs.result()), rel=1e-5)
    assert ours._direction == "up"
    again = metrics.deserialize(metrics.serialize(ours))
    assert again.get_config() == ours.get_config()


def test_against_scipy_and_a_constant():
    expected = [stats.pearsonr(y, p).statistic for y, p in zip(Y, P)]
    found = metrics.pearson_correlation(Y, P)
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float32))
    assert not np.allclose(metrics.concordance_correlation(Y, P), expected, rtol=1e-2)
    assert metrics.pearson_correlation([[1.0, 1.0]], [[0.0, 1.0]]).item() == 0
    moved = metrics.concordance_correlation(Y, Y + 1)
    variance = Y.var(1)
    np.testing.assert_allclose(moved, 2 * variance / (2 * variance + 1), rtol=1e-5)
