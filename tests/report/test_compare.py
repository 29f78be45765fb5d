"""Runs side by side: the leader, the role of luck, the differences."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from make_run import record
from scipy import stats
from test_report import HOSTILE, check

from stroma.core.errors import ArgumentError
from stroma.core.records import EpochRow, Plan, Prediction, Score, confusion_of
from stroma.report import compare
from stroma.report.compare import coin_luck, differences, paired, verdict


def outcome(right, *, names=("cat", "dog"), photos="photo", **changes):
    """A run on len(right) photos of two classes; right[i] says whether photo i was recognised."""
    made = tuple(
        Prediction(path=f"{photos}/{i}.jpg", truth=i % 2, predicted=i % 2 if hit else 1 - i % 2)
        for i, hit in enumerate(right)
    )
    return record(
        names,
        predictions=made,
        confusion=confusion_of(made, 2),
        headline=Score.of("accuracy", sum(right), len(right)),
        **changes,
    )


@given(st.integers(0, 300), st.integers(0, 300))
def test_luck_agrees_with_scipy(first, second):
    oracle = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert coin_luck(first, second) == pytest.approx(oracle, abs=1e-9)


def test_a_real_lead_and_a_lucky_one_are_told_apart():
    good, poor = outcome([True] * 95 + [False] * 5), outcome([True] * 70 + [False] * 30)
    lead, doubt = verdict([poor, good])
    assert lead == "B leads A by 25.0 points."
    assert "B alone was right 25 times, A alone 0 times" in doubt
    assert doubt.endswith("a real difference.")
    close = outcome([True] * 68 + [False] * 32)
    assert verdict([poor, close])[1].endswith("too often to tell.")
    one, other = outcome([True] * 5 + [False]), outcome([True] * 4 + [False] * 2)
    assert verdict([one, other])[0] == "A leads B by 16.7 points, which may be luck."


def test_different_photos_are_no_pair():
    one, other = outcome([True, False]), outcome([True, True], photos="others")
    assert paired(one, other) is None
    assert "different photos" in verdict([one, other])[1]
    assert verdict([one, one])[0] == "A and B are level."
    assert verdict([one, record(headline=None)])[0] == "Nothing to compare yet."


def test_only_what_differs_is_listed():
    plan = Plan(road="features", batch_size=32, settings={"alpha": 1})
    one = outcome([True], plan=plan)
    other = outcome([True], plan=dataclasses.replace(plan, batch_size=64, why="memory"))
    assert differences([one, other]) == [("batch size", ["32", "64"])]


def test_a_long_hash_is_shortened():
    runs = [outcome([True], plan=Plan(settings={"sha256": mark * 64})) for mark in "ab"]
    assert differences(runs) == [("sha256", ["a" * 12 + "…", "b" * 12 + "…"])]


def test_the_page_is_sound_and_escaped():
    history = tuple(EpochRow(epoch=i, metrics={"val_loss": 1 / i}) for i in range(1, 9))
    one = dataclasses.replace(outcome([True] * 9 + [False]), name=HOSTILE, history=history)
    page = check(compare([one, outcome([False] * 10), record(headline=None, confusion=())]))
    assert HOSTILE in page.text
    assert "A leads B by 90.0 points." in page.text
    page = check(compare([one, outcome([False] * 10)]))
    assert "+80.0" in page.text  # recall of dog: A 80 %, B 0 %


def test_one_run_is_no_comparison():
    with pytest.raises(ArgumentError, match="2 to 26 runs"):
        compare([record()])
