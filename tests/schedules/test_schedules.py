"""Learning-rate schedules against Keras 3.15 at many steps, and their configs."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from oracle import keras
from stroma import schedules
from stroma.core.errors import ArgumentError

rates = st.floats(1e-4, 1.0)
lengths = st.integers(1, 500)
steps = st.integers(0, 5000)
peers = keras.optimizers.schedules
fast = settings(max_examples=60, deadline=None)


def check(name, step, *args, **kwargs):
    mine = getattr(schedules, name)(*args, **kwargs)
    theirs = getattr(peers, name)(*args, **kwargs)
    # Keras computes in float32: a cosine near its end is a difference of equal numbers
    assert mine(step) == pytest.approx(float(theirs(step)), rel=2e-5, abs=1e-6)
    assert mine.get_config() == theirs.get_config()
    assert schedules.deserialize(schedules.serialize(mine))(step) == mine(step)
    assert schedules.deserialize(peers.serialize(theirs))(step) == mine(step)
    assert isinstance(mine(step), float)


@fast
@given(rates, lengths, st.floats(0.1, 1.0), st.booleans(), steps)
def test_exponential(rate, length, decay, staircase, step):
    check("ExponentialDecay", step, rate, length, decay, staircase)


@fast
@given(rates, lengths, st.floats(0.1, 5.0), st.booleans(), steps)
def test_inverse_time(rate, length, decay, staircase, step):
    check("InverseTimeDecay", step, rate, length, decay, staircase)


@fast
@given(rates, lengths, st.floats(1e-6, 0.1), st.sampled_from([0.5, 1.0, 2.0]), st.booleans(), steps)
def test_polynomial(rate, length, end, power, cycle, step):
    ratio = step / length
    assume(power >= 1 or ratio == round(ratio) or abs(ratio - round(ratio)) > 1e-3)
    check("PolynomialDecay", step, rate, length, end, power, cycle)


@fast
@given(st.lists(st.integers(1, 4000), min_size=1, max_size=5, unique=True), st.data())
def test_piecewise(boundaries, data):
    boundaries = sorted(boundaries)
    count = len(boundaries) + 1
    values = data.draw(st.lists(rates, min_size=count, max_size=count))
    edge = data.draw(st.sampled_from(boundaries))
    for step in (edge - 1, edge, edge + 1, data.draw(steps)):
        check("PiecewiseConstantDecay", step, boundaries, values)


@fast
@given(rates, lengths, st.floats(0.0, 0.5), steps)
def test_cosine(rate, length, alpha, step):
    check("CosineDecay", step, rate, length, alpha)


@fast
@given(rates, lengths, st.floats(0.0, 0.5), rates, st.integers(0, 300), st.integers(0, 900))
def test_cosine_with_warmup(rate, length, alpha, target, warmup, step):
    check("CosineDecay", step, rate, length, alpha, warmup_target=target, warmup_steps=warmup)


@fast
@given(
    rates, lengths, st.sampled_from([1.0, 1.5, 2.0, 3.0]), st.floats(0.5, 1.0), st.integers(0, 2000)
)
def test_cosine_with_restarts(rate, length, growth, height, step):
    elapsed = step / length
    exact = math.log(elapsed * (growth - 1) + 1) / math.log(growth) if growth > 1 else elapsed
    assume(abs(exact - round(exact)) > 1e-3)  # at a restart Keras' float32 logarithm may be off
    check("CosineDecayRestarts", step, rate, length, growth, height, 0.1)


@given(st.integers(1, 1000), st.sampled_from([1.0, 2.0, 3.0, 5.0, 10.0]), st.integers(0, 6))
def test_a_restart_is_at_its_very_step(length, growth, period):
    start = sum(growth**earlier for earlier in range(period)) * length
    rate = schedules.CosineDecayRestarts(0.1, length, growth, m_mul=0.5)
    assert rate(start) == pytest.approx(0.1 * 0.5**period, rel=1e-9)


def test_the_tolerance_catches_a_boundary_one_step_off():
    """Planted mistake: `<` in place of `<=` at a boundary."""
    wrong = schedules.PiecewiseConstantDecay([9], [1.0, 0.5])
    theirs = peers.PiecewiseConstantDecay([10], [1.0, 0.5])
    assert wrong(10) != pytest.approx(float(theirs(10)), rel=2e-5)


def test_a_whole_number_as_rate_is_a_number():
    rate = schedules.CosineDecay(0, 10, warmup_target=1, warmup_steps=4)
    assert rate(1) == 0.25


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.5), "decay_steps"),
        (lambda: schedules.InverseTimeDecay(0.1, -1, 0.5), "decay_steps"),
        (lambda: schedules.PolynomialDecay(0.1, 0), "decay_steps"),
        (lambda: schedules.CosineDecay(0.1, 0), "decay_steps"),
        (lambda: schedules.CosineDecay(0.1, 10, warmup_steps=-1), "warmup_steps"),
        (lambda: schedules.CosineDecayRestarts(0.1, 0), "first_decay_steps"),
        (lambda: schedules.CosineDecayRestarts(0.1, 10, t_mul=0.5), "t_mul"),
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]), "need 3 values, got 2"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), "must rise"),
    ],
)
def test_errors_name_the_argument(make, words):
    with pytest.raises(ArgumentError, match=words):
        make()


def test_a_users_own_schedule_is_a_subclass_or_a_function():
    class Halves(schedules.LearningRateSchedule):
        def __init__(self, start):
            self.start = start

        def __call__(self, step):
            return self.start * 0.5**step

    assert Halves(0.8)(2) == 0.2
    assert Halves.from_config(Halves(0.8).get_config())(1) == 0.4
    with pytest.raises(TypeError):
        schedules.LearningRateSchedule()
