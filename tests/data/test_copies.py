"""Perceptual hashes and pairs, against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import picture
from PIL import Image

from stroma.data.cache import ArrayStore
from stroma.data.copies import (
    MAX_DISTANCE,
    bit_count,
    candidate_pairs,
    exact_copies,
    join,
    near_copies,
    pairs_of,
)  # fmt: skip
from stroma.data.scan import perceptual_hash


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_candidates_equal_brute_force(values: list[int]) -> None:
    # neighbours of each value at up to 7 flipped bits, so that there is something to find
    rng = np.random.default_rng(len(values))
    near = [
        v ^ int(sum(1 << int(b) for b in rng.choice(64, rng.integers(0, 8), False))) for v in values
    ]
    hashes = np.array(values + near, np.uint64)
    distance = [[int(a ^ b).bit_count() for b in hashes] for a in hashes]
    count = len(hashes)
    brute = [(i, j) for i in range(count) for j in range(i) if distance[i][j] <= MAX_DISTANCE]
    expected = join(count, np.array(brute, np.int64).reshape(-1, 2))
    found = candidate_pairs(hashes)
    assert list(join(count, found)) == list(expected)  # equal hashes are chained, not paired
    assert {tuple(sorted(pair, reverse=True)) for pair in found.tolist()} <= set(brute)
    assert list(bit_count(hashes)) == [int(h).bit_count() for h in hashes]


def test_hash_survives_what_it_should() -> None:
    base = perceptual_hash(picture(1, 224, 224))
    small = np.asarray(Image.fromarray(picture(1, 224, 224)).resize((150, 150)))
    brighter = (picture(1, 224, 224) * 0.8 + 30).astype(np.uint8)
    assert (perceptual_hash(small) ^ base).bit_count() <= 3
    assert (perceptual_hash(brighter) ^ base).bit_count() <= 3
    others = [(perceptual_hash(picture(s)) ^ base).bit_count() for s in range(2, 200)]
    assert min(others) > MAX_DISTANCE
    assert perceptual_hash(np.zeros((3, 2, 1), np.uint8)) == 0  # smaller than its grid


@pytest.mark.parametrize("side", [8, 33, 224])
def test_pairs_are_confirmed_on_the_pixels(side: int) -> None:
    """Equal hashes alone do not make a copy: the colours differ here, the shape does not."""
    one = picture(5, side, side)
    recoloured = one[..., [2, 1, 0]]  # the hash reads green only
    noisy = np.clip(one.astype(int) + np.random.default_rng(0).integers(-3, 4, one.shape), 0, 255)
    pixels = np.stack([one, recoloured, noisy.astype(np.uint8), picture(6, side, side)])
    hashes = np.array([perceptual_hash(p) for p in pixels], np.uint64)
    assert hashes[0] == hashes[1]
    pairs = near_copies(hashes, np.arange(4), ArrayStore(pixels))
    assert [sorted(pair) for pair in pairs.tolist()] == [[0, 2]]


def test_uniform_sets_stay_bounded() -> None:
    hashes = np.zeros(5000, np.uint64)  # five thousand blank scans
    assert 5000 <= len(candidate_pairs(hashes)) <= 40_000


def test_exact_join_and_pairs() -> None:
    digests = np.array([b"a" * 16, b"b" * 16, b"a" * 16], "V16")
    assert list(exact_copies(digests)) == [0, 1, 0]
    assert list(join(6, np.array([[0, 2], [4, 5]]), np.array([[2, 4]]))) == [0, 1, 0, 3, 0, 0]
    assert pairs_of(["x", None, "x", None]).tolist() == [[0, 0], [0, 2]]
