"""Randomness as a function of position."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stroma.core.seeds import Draws, draw_seed, mix, mix_array, seed_step, set_random_seed

WORDS = st.integers(-(2**63), 2**64 - 1)


@given(WORDS, st.integers(0, 2**40), st.lists(st.integers(0, 2**62), min_size=1, max_size=9))
def test_the_array_form_is_the_scalar_form(seed, epoch, indices):
    hashed = mix_array(seed, epoch, np.array(indices))
    assert hashed.dtype == np.uint64
    assert hashed.tolist() == [mix(seed, epoch, index) for index in indices]


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_a_hash_has_64_bits_and_repeats(parts):
    assert 0 <= mix(*parts) < 2**64
    assert mix(*parts) == mix(*parts)


def test_one_bit_in_changes_half_of_the_bits_out():
    changed = [
        (mix(3, 5, number) ^ mix(3, 5, number ^ (1 << bit))).bit_count()
        for number in range(64)
        for bit in range(0, 64, 5)
    ]
    assert abs(np.mean(changed) - 32) < 0.6  # standard error 0.14
    assert min(changed) > 10


def test_hashes_of_a_run_of_indices_are_uniform_and_unrelated():
    count = 20_000
    uniform = mix_array(1, 2, np.arange(count)) / 2.0**64
    assert abs(uniform.mean() - 0.5) < 4 * np.sqrt(1 / 12 / count)
    bins = np.histogram(uniform, 50, (0, 1))[0]
    chi_square = ((bins - count / 50) ** 2 / (count / 50)).sum()
    assert 20 < chi_square < 95  # 49 degrees of freedom
    assert abs(np.corrcoef(uniform[:-1], uniform[1:])[0, 1]) < 0.03
    next_epoch = mix_array(1, 3, np.arange(count)) / 2.0**64
    assert abs(np.corrcoef(uniform, next_epoch)[0, 1]) < 0.03
    assert len(set(mix_array(1, 2, np.arange(count)).tolist())) == count


def test_a_weak_hash_would_fail():
    """The planted mistake: without the mixing rounds neighbours are neighbours."""
    weak = (np.arange(20_000) * 0x9E37 % 2**16) / 2.0**16
    assert abs(np.corrcoef(weak[:-1], weak[1:])[0, 1]) > 0.03


def test_a_step_draws_the_same_whatever_came_before():
    seed_step(7, 3)
    first = torch.rand(4)
    torch.rand(100)
    seed_step(7, 3)
    assert torch.equal(torch.rand(4), first)
    for other in ((8, 3, 0), (7, 4, 0), (7, 3, 1)):
        seed_step(*other)
        assert not torch.equal(torch.rand(4), first)


def test_set_random_seed_rules_all_three():
    def draws():
        set_random_seed(5)
        return random.random(), np.random.rand(), torch.rand(1).item(), draw_seed()

    assert draws() == draws()


def test_a_layers_own_seed_hears_nothing_of_others():
    torch.manual_seed(1)
    expected = [torch.rand(2, generator=Draws(9).generator("cpu"))]
    torch.manual_seed(1)
    torch.rand(50)
    draws = Draws(9)
    first, second = (torch.rand(2, generator=draws.generator("cpu")) for _ in range(2))
    assert torch.equal(first, expected[0])
    assert not torch.equal(first, second)
    seed_step(1, 1)
    assert not torch.equal(torch.rand(2, generator=draws.generator("cpu")), first)
    assert Draws(None).generator("cpu") is None


@pytest.mark.parametrize("seed", [0, -1, 2**63])
def test_any_whole_number_is_a_seed(seed):
    seed_step(seed, 0)
    assert torch.rand(1).isfinite()
