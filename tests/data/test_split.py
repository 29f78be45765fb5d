"""The split: stratified, seeded, independent of file order, and no unit on both sides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stroma.core.errors import ArgumentError, DataError
from stroma.data.split import check_fractions, folds, leaked, split

CLASSES = ["a", "b", "c"]


def names_of(count: int) -> list[str]:
    return [f"photo {i}" for i in range(count)]


@given(
    st.lists(st.integers(0, 2), min_size=30, max_size=200),
    st.integers(1, 40),
    st.integers(0, 2**32),
)
@settings(max_examples=150, deadline=None)
def test_no_unit_straddles_and_every_class_is_everywhere(
    labels: list[int], group_count: int, seed: int
) -> None:
    label = np.array(labels)
    unit = np.arange(len(label))
    rng = np.random.default_rng(seed)
    for _ in range(group_count):  # some pairs and triples, across classes too
        unit[rng.integers(0, len(label), 2)] = unit[rng.integers(0, len(label))]
    present = sorted(set(labels))
    label = np.searchsorted(present, label)
    names = [CLASSES[i] for i in present]
    try:
        parts = split(label, unit, names_of(len(label)), names, seed=seed)
    except DataError:  # a class of under three units, or filled by one: said so, never silent
        sizes = [len(np.unique(unit[label == k])) for k in range(len(present))]
        assert min(sizes) < 3 or group_count > 1
        return
    for group in np.unique(unit):
        assert len(set(parts[unit == group])) == 1
    for k in range(len(present)):
        assert set(parts[label == k]) == {0, 1, 2}


@given(st.lists(st.integers(3, 300), min_size=2, max_size=3), st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_strata_hold_to_one_sample(sizes: list[int], seed: int) -> None:
    label = np.repeat(np.arange(len(sizes)), sizes)
    parts = split(
        label, np.arange(len(label)), names_of(len(label)), CLASSES[: len(sizes)], seed=seed
    )
    for k, size in enumerate(sizes):
        counts = np.bincount(parts[label == k], minlength=3)
        for part, share in enumerate((0.70, 0.15, 0.15)):
            assert abs(counts[part] - size * share) <= (1.2 if size < 7 else 1)


@given(st.integers(0, 1000), st.permutations(range(60)))
@settings(max_examples=50, deadline=None)
def test_order_of_files_does_not_matter(seed: int, order: list[int]) -> None:
    label = np.repeat([0, 1, 2], 20)
    unit = np.arange(60)
    unit[[3, 7, 12]] = 3
    unit[[25, 31]] = 25
    names = np.array(names_of(60))
    parts = split(label, unit, list(names), CLASSES, seed=seed)
    shuffled = split(label[order], unit[order], list(names[order]), CLASSES, seed=seed)
    assert np.array_equal(parts[order], shuffled)


def test_seed_decides() -> None:
    label = np.repeat([0, 1], 50)
    made = [split(label, np.arange(100), names_of(100), CLASSES[:2], seed=s) for s in (1, 1, 2)]
    assert np.array_equal(made[0], made[1]) and not np.array_equal(made[0], made[2])


def test_a_random_split_would_fail_the_group_test() -> None:
    """The planted mistake: shuffling samples, not units, straddles."""
    unit = np.repeat(np.arange(30), 4)
    label = np.repeat(np.arange(2), 60)
    good = split(label, unit, names_of(120), CLASSES[:2])
    bad = split(label, np.arange(120), names_of(120), CLASSES[:2])
    straddling = [sum(len(set(p[unit == u])) > 1 for u in range(30)) for p in (good, bad)]
    assert straddling[0] == 0 and straddling[1] > 10


@pytest.mark.parametrize(
    ("count", "units", "message"),
    [(2, 2, "has 2 photos"), (1, 1, "has 1 photo"), (4, 2, "4 photos, 2 of them distinct")],
)
def test_too_small_a_class_says_the_minimum(count: int, units: int, message: str) -> None:
    label = np.array([0] * 10 + [1] * count)
    unit = np.concatenate([np.arange(10), 10 + np.arange(count) % units])
    with pytest.raises(DataError, match=message) as error:
        split(label, unit, names_of(len(label)), ["many", "few"])
    assert "minimum is 3" in error.value.why


def test_shares_of_nothing_and_of_everything() -> None:
    label = np.repeat([0, 1], 4)
    assert (split(label, np.arange(8), names_of(8), CLASSES[:2], fractions=(0, 0, 1)) == 2).all()
    two = split(label, np.arange(8), names_of(8), CLASSES[:2], fractions=(0.5, 0.0, 0.5))
    assert list(np.bincount(two, minlength=3)) == [4, 0, 4]


@pytest.mark.parametrize("wrong", [(0.7, 0.3), (0.7, 0.2, 0.2), (1.2, -0.1, -0.1), (70, 15, 15)])
def test_fractions_must_be_shares(wrong: tuple[float, ...]) -> None:
    with pytest.raises(ArgumentError, match="add up to 1"):
        check_fractions(wrong)


def test_copies_leave_the_part_that_is_read_first() -> None:
    clusters = np.array([0, 0, 1, 1, 2, 3, 3])
    given_parts = np.array([0, 2, 0, 1, 0, 1, 2], np.int8)
    assert list(leaked(clusters, given_parts)) == [True, False, True, False, False, True, False]


# --- folds ------------------------------------------------------------------------------------


@given(st.integers(2, 7), st.integers(0, 12), st.integers(0, 1000))
@settings(max_examples=80, deadline=None)
def test_folds_part_no_unit_and_spread_each_class_evenly(count: int, pairs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1, 2], [15, 30, 47])
    unit = np.arange(len(label))
    for _ in range(pairs):  # copies, some of them under two labels
        one, other = rng.choice(len(label), 2, replace=False)
        unit[unit == unit[one]] = unit[other]
    fold = folds(label, unit, names_of(len(label)), CLASSES, count, seed)
    assert set(fold) == set(range(count))
    for group in np.unique(unit):
        assert len(set(fold[unit == group])) == 1
    largest = max(np.unique(unit, return_counts=True)[1])
    for k in range(3):
        sizes = np.bincount(fold[label == k], minlength=count)
        assert sizes.max() - sizes.min() <= 1 + (largest if pairs else 0)
    again = folds(label, unit, names_of(len(label)), CLASSES, count, seed)
    assert np.array_equal(fold, again)
    order = rng.permutation(len(label))
    names = [names_of(len(label))[i] for i in order]
    if not pairs:  # ties among units are told apart by the names alone
        shuffled = folds(label[order], unit[order], names, CLASSES, count, seed)
        assert np.array_equal(shuffled, fold[order])
