"""Figures for several classes and numbers: scikit-learn's, with intervals that hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    f1_score,
    mean_absolute_error,
    r2_score,
    root_mean_squared_error,
)

from stroma.core.errors import DataError
from stroma.core.measured import Measured
from stroma.diagnostics import score_number, score_several
from stroma.diagnostics.scores import average_precision

NAMES = ["a", "b", "c", "d"]


def answers(seed, count=80, levels=None):
    draws = np.random.default_rng(seed)
    truth = (draws.random((count, 4)) < [0.5, 0.3, 0.1, 0.05]).astype(int)
    said = np.clip(0.3 * truth + draws.normal(0.35, 0.2, truth.shape), 0, 1)
    return truth, said if levels is None else np.round(said * levels) / levels


@given(st.integers(0, 50), st.integers(2, 90), st.sampled_from([None, 2, 5, 20]))
@settings(max_examples=40, deadline=None)
def test_several_classes_are_scikit_learns(seed, count, levels):
    truth, said = answers(seed, count, levels)
    found = score_several(truth, said, NAMES)
    there = truth.any(0)
    expected = [average_precision_score(t, s) if t.any() else None for t, s in zip(truth.T, said.T)]
    assert [row.average_precision for row in found.classes] == pytest.approx(expected)
    value = {figure.name: figure.value for figure in found.figures}
    called = said > 0.5
    if not there.any():
        assert value["mean average precision"] is None and value["F1, macro"] is None
        return
    kept = truth[:, there], called[:, there]
    assert value["mean average precision"] == pytest.approx(
        np.mean([score for score in expected if score is not None])
    )
    assert value["F1, micro"] == pytest.approx(f1_score(truth, called, average="micro"))
    macro = f1_score(*kept, average="macro") if there.sum() > 1 else f1_score(*map(np.ravel, kept))
    assert value["F1, macro"] == pytest.approx(macro)
    assert value["all classes right"] == pytest.approx(accuracy_score(truth, called))


@given(st.integers(0, 30), st.integers(2, 60))
@settings(max_examples=30, deadline=None)
def test_numbers_are_scikit_learns(seed, count):
    draws = np.random.default_rng(seed)
    truth = draws.normal(50, 9, count)
    said = truth + draws.normal(1, 5, count)
    found = score_number(truth, said, 48.0)
    oracles = (mean_absolute_error, root_mean_squared_error, r2_score)
    for figures, answer in ((found.figures, said), (found.baseline, np.full(count, 48.0))):
        assert [f.value for f in figures] == pytest.approx([o(truth, answer) for o in oracles])
    assert Measured.from_json(found.to_json()) == found


def test_average_precision_under_weights_is_that_of_repeated_photos():
    truth, said = answers(4, levels=10)
    weight = np.random.default_rng(1).integers(0, 4, (5, 80))
    found = average_precision(truth[:, 0], said[:, 0], weight.astype(float))
    for row, value in zip(weight, found):
        many = np.repeat(np.arange(80), row)
        assert value == pytest.approx(average_precision_score(truth[many, 0], said[many, 0]))


def test_intervals_hold_the_truth_as_often_as_they_say():
    """Of 120 samples of a known population, about 95 % of intervals hold the population's value."""
    held = 0
    for seed in range(120):
        draws = np.random.default_rng(seed)
        figure = score_number(draws.normal(size=100), np.zeros(100), 0.0, seed=seed).figures[1]
        assert figure.low < figure.value < figure.high
        held += figure.low <= 1.0 <= figure.high
    assert 105 <= held <= 120
    truth, said = answers(0, 200)
    figure = score_several(truth, said, NAMES).figures[0]
    narrow = score_several(np.tile(truth, (9, 1)), np.tile(said, (9, 1)), NAMES).figures[0]
    assert narrow.value == pytest.approx(figure.value)
    assert narrow.high - narrow.low == pytest.approx((figure.high - figure.low) / 3, rel=0.25)


def test_a_planted_look_at_the_truth_is_not_the_baseline():
    truth, said = answers(2)
    found = score_several(truth, said, NAMES)
    assert found.figures[0].value > found.baseline[0].value
    assert found.baseline[0].value == pytest.approx(truth.mean(0).mean())
    assert score_several(truth, truth, NAMES).figures[0].value == 1


def test_what_cannot_be_said_is_none():
    found = score_number(np.full(5, 3.0), np.arange(5.0), 3.0)
    assert found.figures[2].value is None and found.figures[0].value == pytest.approx(1.4)
    for truth, said in (([1.0], [1.0, 2.0]), ([], []), ([np.nan], [1.0])):
        with pytest.raises(DataError):
            score_number(np.array(truth), np.array(said), 0.0)
    with pytest.raises(DataError, match="for 3 classes"):
        score_several(np.ones((2, 4)), np.ones((2, 4)), NAMES[:3])
