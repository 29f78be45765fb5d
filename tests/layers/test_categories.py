"""CategoryEncoding and Discretization beside Keras; bins from batches; numbers in a network."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import keras
from stroma import layers, models
from stroma.core.errors import ArgumentError, DataError
from stroma.functional.categories import encode

SHAPES = st.lists(st.integers(1, 4), min_size=1, max_size=2).map(tuple)


@settings(max_examples=30, deadline=None)
@given(shape=SHAPES, mode=st.sampled_from(["one_hot", "multi_hot", "count"]),
       weighted=st.booleans(), seed=st.integers(0, 99))  # fmt: skip
def test_encoding_equals_keras(shape, mode, weighted, seed):
    rng = np.random.default_rng(seed)
    inputs = rng.integers(0, 5, shape)
    weights = rng.random(shape).astype("float32") if weighted and mode == "count" else None
    ours = layers.CategoryEncoding(5, mode)(inputs, count_weights=weights)
    theirs = keras.layers.CategoryEncoding(5, mode)(inputs, count_weights=weights)
    assert ours.dtype == theirs.dtype
    torch.testing.assert_close(ours, theirs)
    entry = layers.Input(shape[1:], dtype="int64")
    promised = layers.CategoryEncoding(5, mode)(entry).shape
    if len(shape) > 1:
        assert promised == (None, *ours.shape[1:])


@settings(max_examples=25, deadline=None)
@given(shape=SHAPES, mode=st.sampled_from(["int", "one_hot", "multi_hot", "count"]),
       edges=st.lists(st.integers(-3, 3), min_size=1, max_size=4, unique=True).map(sorted),
       seed=st.integers(0, 99))  # fmt: skip
def test_bins_equal_keras(shape, mode, edges, seed):
    inputs = np.random.default_rng(seed).integers(-4, 5, shape).astype("float32")
    edges = [float(edge) for edge in edges]
    ours = layers.Discretization(edges, output_mode=mode)(torch.as_tensor(inputs))
    theirs = keras.layers.Discretization(edges, output_mode=mode)(inputs)
    assert ours.dtype == theirs.dtype
    torch.testing.assert_close(ours, theirs)


def test_rows_of_higher_ranks_are_the_last_axis():
    inputs = torch.tensor([[[0, 0], [1, 2]]])
    counted = layers.CategoryEncoding(3, "count")(inputs)
    assert counted.tolist() == [[[2, 0, 0], [0, 1, 1]]]
    wrong = keras.layers.CategoryEncoding(3, "count")(inputs)
    assert wrong.tolist() != counted.tolist(), "Keras on torch adds up the second axis"


def test_what_lies_outside_counts_nowhere_and_weights_learn():
    assert encode(torch.tensor([-1, 3, 9]), "count", 4, torch.int64).tolist() == [0, 0, 0, 1]
    weights = torch.ones(1, 3, requires_grad=True)
    y = encode(torch.tensor([[0, 2, 9]]), "count", 3, torch.float32, weights)
    (grad,) = torch.autograd.grad((y * torch.tensor([1.0, 5.0, 7.0])).sum(), weights)
    assert grad.tolist() == [[1.0, 7.0, 0.0]]


@settings(max_examples=15, deadline=None)
@given(bins=st.integers(2, 6), parts=st.integers(1, 4), seed=st.integers(0, 99))
def test_batches_of_numbers_teach_nearly_what_the_whole_teaches(bins, parts, seed):
    data = np.random.default_rng(seed).normal(size=1200).astype("float32")
    whole, stream = (layers.Discretization(num_bins=bins, epsilon=0.01) for _ in range(2))
    whole.adapt(data)
    stream.adapt(np.array_split(data, parts))
    for layer in (whole, stream):  # each bin holds its share, to about epsilon
        share = np.bincount(layer(torch.as_tensor(data)).numpy(), minlength=bins) / len(data)
        assert abs(share - 1 / bins).max() < 0.05
    config = whole.get_config()
    again = layers.Discretization.from_config(config)
    assert again.bin_boundaries == whole.bin_boundaries
    assert again.get_config() == config


def test_whole_numbers_are_looked_up_inside_a_network():
    lookup = layers.IntegerLookup(vocabulary=[12, 36], output_mode="multi_hot")
    entry = layers.Input((3,), dtype="int64")
    model = models.Model(entry, layers.CategoryEncoding(7, "count")(layers.IntegerLookup(
        vocabulary=[12, 36], num_oov_indices=5)(entry)))  # fmt: skip
    rows = torch.tensor([[12, 12, 36], [36, 7, 8]])
    assert model(rows).tolist() == [[0, 0, 0, 0, 0, 2, 1], [0, 0, 1, 1, 0, 0, 1]]
    assert lookup(entry).shape == (None, 3)
    assert lookup(rows).tolist() == [[0, 1, 1], [1, 0, 1]]


def test_wrong_arguments_and_numbers():
    with pytest.raises(ArgumentError, match="num_tokens is missing"):
        layers.CategoryEncoding()
    with pytest.raises(DataError, match=r"lie in \[0, 3\], not in \[0, 2\]"):
        layers.CategoryEncoding(3)(torch.tensor([0, 3]))
    with pytest.raises(ArgumentError, match="count_weights in mode 'multi_hot'"):
        layers.CategoryEncoding(3)(torch.tensor([0]), count_weights=[1.0])
    with pytest.raises(ArgumentError, match="bin_boundaries=None and num_bins=None"):
        layers.Discretization()
    with pytest.raises(DataError, match="not known yet"):
        layers.Discretization(num_bins=3)(torch.zeros(1))
    with pytest.raises(DataError, match="got no data"):
        layers.Discretization(num_bins=3).adapt([])
    with pytest.raises(ArgumentError, match="was given its boundaries"):
        layers.Discretization([0.0]).adapt(np.zeros(3))
