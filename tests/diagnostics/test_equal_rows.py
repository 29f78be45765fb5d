"""Near-duplicates at the edges: equal rows, and hashes that are none."""

import numpy as np
import pytest

from stroma.core.errors import ArgumentTypeError, DataError
from stroma.diagnostics import near_duplicates, picture_hashes


@pytest.mark.parametrize("count", [2, 3, 40])
def test_rows_that_are_all_alike_are_all_found(count):
    found = near_duplicates(np.ones((count, 5)))
    assert found.groups == (tuple(range(count)),)
    assert all(pair.similarity == 1 for pair in found.pairs)


def test_equal_rows_among_others():
    x = np.random.default_rng(0).normal(size=(60, 8))
    x[[20, 41]] = x[3]
    assert near_duplicates(x).groups == ((3, 20, 41),)
    assert near_duplicates(x[:2]).pairs == () == near_duplicates(x[:0]).pairs


@pytest.mark.parametrize(
    "hashes", [np.zeros(5, np.uint64), np.zeros(6), np.zeros((6, 1), int), "a"]
)
def test_hashes_that_do_not_fit(hashes):
    with pytest.raises(DataError, match="hashes"):
        near_duplicates(np.random.default_rng(0).normal(size=(6, 3)), hashes=hashes)


def test_hashes_of_what_is_no_part():
    with pytest.raises(ArgumentTypeError, match="NoneType is no part"):
        picture_hashes(None)
