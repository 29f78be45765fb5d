"""Ridge to any targets: scikit-learn's numbers, leave-one-out by brute force, Platt's slopes."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import _SigmoidCalibration
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from stroma.core.errors import DataError, RunError
from stroma.models import Sequential
from stroma.transfer import MultiLabelRidge, RidgeHead, RidgeRegression
from stroma.transfer.heads.regression import platt


def problem(count=60, size=7, targets=3, seed=0):
    draws = np.random.default_rng(seed)
    x = draws.normal(3, 2, (count, size)) * np.arange(1, size + 1)
    return x, x @ draws.normal(size=(size, targets)) + draws.normal(0, 5, (count, targets)) + 40


@pytest.mark.parametrize("count, size", [(60, 7), (12, 30)])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_scikit_learns_ridge(count, size, weighted):
    x, t = problem(count, size)
    weight = np.random.default_rng(1).uniform(0.5, 2, count) if weighted else None
    head = RidgeRegression([3.0]).fit(x, t, sample_weight=weight)
    scaler = StandardScaler().fit(x, sample_weight=weight)
    own = None if weight is None else weight / weight.mean()
    theirs = Ridge(alpha=3.0).fit(scaler.transform(x), t, sample_weight=own)
    new = problem(9, size, seed=5)[0]
    np.testing.assert_allclose(head.predict(new), theirs.predict(scaler.transform(new)), rtol=1e-7)


@given(st.integers(4, 25), st.integers(1, 30), st.integers(1, 3), st.integers(0, 5))
@settings(max_examples=25, deadline=None)
def test_leave_one_out_is_the_brute_force(count, size, targets, seed):
    x, t = problem(count, size, targets, seed)
    head = RidgeRegression().fit(x, t)
    z = (x - x.mean(0)) / x.std(0)
    for at in range(0, count, 3):
        others = np.arange(count) != at
        one = Ridge(alpha=head.best.penalty, tol=1e-12).fit(z[others], t[others])
        expected = np.atleast_1d(one.predict(z[[at]]).squeeze())
        np.testing.assert_allclose(head.held_out[at], expected, rtol=1e-6, atol=1e-6)


def test_the_best_penalty_is_that_of_least_error():
    x, t = problem(80, 40)
    head = RidgeRegression().fit(x, t)
    error = (((head.held_out - t) / t.std(0)) ** 2).mean()
    assert (
        error
        == pytest.approx(head.best.squared_error)
        == min(score.squared_error for score in head.scores)
    )
    seen = (((head.predict(x) - t) / t.std(0)) ** 2).mean()
    assert seen < error  # planted: the error on seen samples is not the one that is reported


def test_targets_of_one_class_give_the_ridge_head():
    x, t = problem()
    labels = (t[:, 0] > np.median(t[:, 0])).astype(int)
    own = RidgeRegression([2.0]).fit(x, 2 * np.eye(2)[labels] - 1)
    head = RidgeHead([2.0]).fit(x, labels, 2)
    np.testing.assert_allclose(own.linear.weight, head.weight, rtol=1e-9)
    np.testing.assert_allclose(own.held_out, head.held_out, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_platt_is_scikit_learns(seed):
    draws = np.random.default_rng(seed)
    present = (draws.random(200) < 0.3).astype(float)
    decision = 40 * present + draws.normal(0, 30, 200)
    theirs = _SigmoidCalibration().fit(decision, present)
    slope, offset = platt(decision, present)
    assert slope == pytest.approx(-theirs.a_, rel=1e-3)
    assert offset == pytest.approx(-theirs.b_, rel=1e-3, abs=1e-3)


def test_decisions_that_say_nothing_give_the_share():
    draws = np.random.default_rng(0)
    present = (np.arange(100) < 25).astype(float)
    slope, offset = platt(-present + draws.normal(0, 0.01, 100), present)  # upside down
    assert slope == 0 and 1 / (1 + np.exp(-offset)) == pytest.approx(0.25, abs=0.02)
    for everywhere in (np.zeros(50), np.ones(50)):
        slope, offset = platt(draws.normal(size=50), everywhere)
        assert np.isfinite([slope, offset]).all() and (offset > 0) == everywhere.any()


def several(count=300):
    draws = np.random.default_rng(3)
    present = (draws.random((count, 4)) < [0.5, 0.3, 0.1, 0.05]).astype(np.float32)
    x = present @ draws.normal(0, 1, (4, 12)) + draws.normal(0, 0.7, (count, 12))
    return x.astype(np.float32), present


def test_several_classes_are_calibrated_and_ship_as_layers():
    x, present = several()
    head = MultiLabelRidge().fit(x[:200], present[:200])
    found = head.probabilities(x[200:])
    assert ((found > 0.5) == present[200:]).mean() > 0.9
    assert np.abs(head.held_out.mean(0) - present[:200].mean(0)).max() < 0.02
    model = Sequential(head.as_layers())
    said = model(torch.from_numpy(x[200:])).numpy(force=True)
    np.testing.assert_allclose(said, found, atol=1e-5)
    number = RidgeRegression().fit(x, x[:, 0])
    said = Sequential(number.as_layers())(torch.from_numpy(x)).numpy(force=True)
    np.testing.assert_allclose(said, number.predict(x), atol=1e-5)


def test_refusals():
    x, present = several(20)
    with pytest.raises(RunError, match="has not been fitted"):
        RidgeRegression().predict(x)
    with pytest.raises(DataError, match="of 0 and 1"):
        MultiLabelRidge().fit(x, 2 * present)
    with pytest.raises(DataError, match="do not fit together"):
        RidgeRegression().fit(x, present[:3])
    with pytest.raises(DataError, match="targets hold NaN or infinity, first in row 4"):
        RidgeRegression().fit(x, np.where(np.arange(20) == 4, np.nan, 1.0))
