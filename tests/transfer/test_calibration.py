"""Calibration against closed forms, scipy and a classifier that is calibrated by construction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from stroma.core.errors import ArgumentError, DataError
from stroma.core.records import Interval
from stroma.transfer.calibration import (
    calibrate,
    expected_calibration_error,
    fit_temperature,
    refuse_below,
    reliability,
    tempered,
)


def perfect(count=20_000, classes=5, seed=0):
    """Logits and labels drawn from their very softmax: calibrated by construction."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(count, classes)) * 2
    cut = random.random((count, 1))
    return logits, (softmax(logits, 1).cumsum(1) < cut).sum(1).clip(max=classes - 1)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), scale=st.floats(0.2, 20), classes=st.integers(2, 6))
def test_temperature_is_scipys_minimum(seed, scale, classes):
    logits, labels = perfect(300, classes, seed)
    logits = logits * scale

    def loss(log_t):
        return -log_softmax(logits / np.exp(log_t), 1)[np.arange(300), labels].mean()

    oracle = minimize_scalar(loss, bounds=(-5, 6), method="bounded", options={"xatol": 1e-9}).x
    assert fit_temperature(logits, labels) == pytest.approx(np.exp(oracle), rel=1e-4)


def test_closed_form_of_two_classes():
    # nine of ten right at a logit gap of 5: the best gap is ln 9, so T = 5 / ln 9
    logits, labels = np.array([[5.0, 0.0]] * 10), np.array([0] * 9 + [1])
    assert fit_temperature(logits, labels) == pytest.approx(5 / np.log(9), rel=1e-9)
    found = calibrate(logits, labels)
    assert found.nll_after == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1))
    assert found.ece_after == pytest.approx(0, abs=1e-9)
    assert found.ece_before == pytest.approx(1 / (1 + np.exp(-5)) - 0.9)


def test_the_calibrated_classifier_needs_no_temperature_and_has_no_error():
    logits, labels = perfect()
    assert fit_temperature(logits, labels) == pytest.approx(1, abs=0.03)
    assert fit_temperature(logits * 3, labels) == pytest.approx(3, abs=0.1)
    for binning in ("mass", "width"):
        error = expected_calibration_error(softmax(logits, 1), labels, binning=binning)
        assert error < 0.02
        # planted: the same classifier three times too sure
        sure = expected_calibration_error(softmax(3 * logits, 1), labels, binning=binning)
        assert sure > 0.1
    rows = reliability(softmax(logits, 1), labels, bins=10)
    inside = [row.interval.low <= row.confidence <= row.interval.high for row in rows]
    assert sum(inside) >= 8
    assert all(1900 <= row.count <= 2100 for row in rows)


def test_without_any_mistake_or_any_signal_the_temperature_is_bounded():
    logits = np.array([[3.0, 0.0], [0.0, 3.0]])
    assert 1e-3 <= fit_temperature(logits, [0, 1]) < 0.1  # certain to the last bit of float64
    assert fit_temperature(logits, [1, 0]) == pytest.approx(1e3)


def test_width_bins_are_the_textbook_sum():
    random = np.random.default_rng(3)
    p = random.dirichlet(np.ones(4), 500)
    labels = random.integers(0, 4, 500)
    confidence, right = p.max(1), p.argmax(1) == labels
    total = 0.0
    for b in range(15):
        inside = (confidence > b / 15) & (confidence <= (b + 1) / 15)
        if inside.any():
            total += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    error = expected_calibration_error(p, labels, bins=15, binning="width")
    assert error == pytest.approx(total)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), temperature=st.floats(0.05, 50))
def test_tempered_is_the_softmax_of_divided_logits(seed, temperature):
    logits = np.random.default_rng(seed).normal(size=(20, 4)) * 3
    given_p = softmax(logits, 1)
    ours = tempered(given_p, temperature)
    np.testing.assert_allclose(ours, softmax(logits / temperature, 1), atol=1e-9)
    assert (ours.argmax(1) == given_p.argmax(1)).all()
    single = tempered(np.array([[1.0, 0.0]], np.float32), 2.0)
    assert single.dtype == np.float32
    assert np.isfinite(single).all()


def test_refusing_costs_coverage_and_saves_errors():
    logits, labels = perfect(4000)
    p = softmax(logits, 1)
    rows = refuse_below(p, labels)
    assert rows[0].coverage == 1
    assert [row.coverage for row in rows] == sorted((row.coverage for row in rows), reverse=True)
    for row in rows:
        kept = p.max(1) >= row.threshold
        wrong = int((p[kept].argmax(1) != labels[kept]).sum())
        assert (row.accepted, row.error) == (kept.sum(), wrong / kept.sum())
        assert row.error_interval == Interval.wilson(wrong, int(kept.sum()))
    assert rows[-1].error < 0.02 < rows[0].error
    (none,) = refuse_below([[0.6, 0.4]], [0], thresholds=[0.9])
    assert (none.accepted, none.error) == (0, None)


def test_both_tables_are_those_of_their_calibration_errors():
    random = np.random.default_rng(7)
    logits, labels = random.normal(size=(300, 4)) * 3, random.integers(0, 4, 300)
    found = calibrate(logits, labels)
    told = ((found.reliability_before, found.ece_before), (found.reliability, found.ece_after))
    for rows, error in told:
        gaps = sum(row.count * abs(row.accuracy - row.confidence) for row in rows)
        assert gaps / 300 == pytest.approx(error, abs=1e-12)
    assert found.reliability_before != found.reliability


def test_records_go_to_json_and_back():
    logits, labels = perfect(200)
    found = calibrate(logits, labels)
    assert type(found).from_json(found.to_json()) == found
    other = calibrate(logits, labels, temperature=2.0)
    assert other.temperature == 2
    assert other.nll_after > found.nll_after


def test_refusals():
    with pytest.raises(DataError, match="do not fit together"):
        fit_temperature([[1.0, 2.0]], [2])
    with pytest.raises(DataError, match="do not fit together"):
        calibrate(np.zeros((0, 3)), np.zeros(0, int))
    with pytest.raises(DataError, match="not finite"):
        fit_temperature([[np.nan, 2.0]], [1])
    with pytest.raises(ArgumentError, match="temperature"):
        tempered(np.array([[1.0, 0.0]]), 0)
    with pytest.raises(ArgumentError, match="threshold"):
        refuse_below([[0.6, 0.4]], [0], thresholds=[1.5])
    with pytest.raises(ArgumentError, match="binning"):
        reliability([[0.6, 0.4]], [0], binning="equal")
