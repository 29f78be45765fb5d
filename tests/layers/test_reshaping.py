"""Flatten, Reshape, Permute: orders of numbers, -1, and what does not fit."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keras_parity import assert_parity, random_inputs
from stroma import layers
from stroma.core.errors import ArgumentError, ShapeError


def test_flatten_does_not_depend_on_the_format():
    x = torch.randn(2, 3, 4, 5)
    first = layers.Flatten(data_format="channels_first")(x.permute(0, 3, 1, 2))
    assert torch.equal(first, layers.Flatten()(x))
    assert not torch.equal(first, x.permute(0, 3, 1, 2).flatten(1))  # planted: torch's order


def test_flatten_copies_nothing():
    x = torch.randn(2, 8, 8, 3)
    y = layers.Flatten()(layers.Conv2D(4, 3)(x))
    assert y.is_contiguous()
    assert layers.Flatten()(x).data_ptr() == x.data_ptr()


@given(st.permutations([2, 3, 4]), st.integers(0, 2))
def test_reshape_fills_in_minus_one(sizes, hole):
    target = tuple(-1 if axis == hole else size for axis, size in enumerate(sizes))
    x = random_inputs([(4, 6)])
    assert layers.Reshape(target)(x).shape == (3, *sizes)
    assert layers.Reshape(target)(layers.Input((4, 6))).shape == (None, *sizes)
    assert_parity(layers.Reshape, {"target_shape": target}, x)


def test_reshape_to_a_number_and_of_nothing():
    assert layers.Reshape(())(torch.zeros(3, 1)).shape == (3,)
    assert layers.Reshape((2, -1))(torch.zeros(0, 6)).shape == (0, 2, 3)


def test_permute_equals_keras():
    assert_parity(layers.Permute, {"dims": (2, 3, 1)}, random_inputs([(2, 3, 4)]))


@pytest.mark.parametrize(
    ("make", "kind", "text"),
    [
        (lambda: layers.Reshape((-1, -1)), ArgumentError, "at most one"),
        (lambda: layers.Reshape((5, 5))(torch.zeros(2, 4, 6)), ShapeError, "25 numbers.* has 24"),
        (lambda: layers.Reshape((5, -1))(torch.zeros(2, 4, 6)), ShapeError, "whole number"),
        (lambda: layers.Permute((0, 1)), ArgumentError, "once"),
        (lambda: layers.Permute((2, 1))(torch.zeros(1, 2, 3, 4)), ShapeError, "takes 3 axes"),
    ],
)
def test_what_does_not_fit_is_explained(make, kind, text):
    with pytest.raises(kind, match=text):
        make()
