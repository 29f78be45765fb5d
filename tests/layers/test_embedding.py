"""Embedding and its way back: Keras' numbers, masks, weights given, and what is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, close
from oracle import keras
from stroma import layers, models
from stroma.core.errors import ArgumentError, DataError, ShapeError


@settings(max_examples=15, deadline=None)
@given(
    shape=st.lists(st.integers(1, 4), max_size=3).map(tuple), rows=st.integers(1, 9),
    size=st.integers(1, 5), mask_zero=st.booleans(), reversible=st.booleans(),
    dtype=st.sampled_from([torch.int32, torch.int64, torch.uint8, torch.float32]),
)  # fmt: skip
def test_random_configurations_equal_keras(shape, rows, size, mask_zero, reversible, dtype):
    inputs = torch.randint(0, rows, (3, *shape)).to(dtype)
    arguments = {"input_dim": rows, "output_dim": size, "mask_zero": mask_zero,
                 "embeddings_regularizer": "l2"}  # fmt: skip
    kind = layers.ReversibleEmbedding if reversible else layers.Embedding
    if dtype.is_floating_point:  # nothing flows back to numbers of rows
        inputs = inputs.long()
    assert_parity(kind, arguments, inputs)


@settings(max_examples=10, deadline=None)
@given(
    tied=st.booleans(), cap=st.sampled_from([None, 0.5]), dtype=st.sampled_from([None, "bfloat16"])
)
def test_the_way_back_equals_keras(tied, cap, dtype):
    arguments = {"tie_weights": tied, "logit_soft_cap": cap, "reverse_dtype": dtype}
    ours = layers.ReversibleEmbedding(7, 4, **arguments)
    theirs = keras.layers.ReversibleEmbedding(7, 4, **arguments)
    numbers, x = torch.tensor([[1, 2]]), torch.randn(2, 3, 4, requires_grad=True)
    ours(numbers), theirs(numbers)
    assert len(ours.weights) == len(theirs.weights)
    theirs.set_weights(ours.get_weights())
    y, expected = ours(x, reverse=True), theirs(x, reverse=True)
    assert y.dtype == expected.dtype
    close(y.detach(), expected.detach(), 1e-5)
    grads = [torch.autograd.grad((out * out).sum(), x)[0] for out in (y, expected)]
    close(*grads, 1e-4 if dtype is None else 1e-2)


def test_masks_follow_the_numbers_and_not_the_scores():
    entry = layers.Input((5,))
    table = layers.ReversibleEmbedding(7, 4, mask_zero=True)
    vectors = table(entry)
    assert vectors.mask.shape == (None, 5)
    assert table(vectors, reverse=True).mask is None
    eager = table(torch.tensor([[1, 0]]))
    assert eager._keras_mask.tolist() == [[True, False]]
    assert not hasattr(table(eager, reverse=True), "_keras_mask")
    assert layers.Embedding(7, 4)(entry).mask is None
    model = models.Model(entry, table(vectors, reverse=True))
    assert model(torch.ones(2, 5)).shape == (2, 5, 7)


def test_given_weights_are_the_first_values_and_not_in_the_config():
    values = np.arange(6.0).reshape(3, 2)
    for first in (values, [values], torch.tensor(values)):
        layer = layers.Embedding(3, 2, weights=first, input_length=9, trainable=False)
        assert layer(torch.tensor([2]))[0].tolist() == [4.0, 5.0]
        assert layer.trainable_weights == []
        assert not {"weights", "input_length"} & set(layer.get_config())
    with pytest.raises(ShapeError, match=r"cannot set shape \(3, 2\)"):
        layers.Embedding(3, 2, weights=values.T)


def test_torch_names_and_large_numbers():
    layer = layers.Embedding(3000, 2, dtype="mixed_float16")
    y = layer(torch.tensor([2049.0, 2048.0]))
    assert list(layer.state_dict()) == ["weight"]
    assert layer.embeddings is layer.weight
    assert y.dtype == torch.float16
    assert torch.equal(y, layer.weight[[2049, 2048]].half())
    assert not torch.equal(y[0], y[1]), "as 16-bit floats both numbers would be 2048"


def test_a_number_without_a_row_is_named():
    layer = layers.Embedding(3, 2)
    for wrong in (3, -1):
        with pytest.raises(DataError, match="rows 0 to 2"):
            layer(torch.tensor([0, wrong]))
    with pytest.raises(ArgumentError, match="input_dim must be 1 or more"):
        layers.Embedding(0, 2)
    with pytest.raises(ArgumentError, match="logit_soft_cap"):
        layers.ReversibleEmbedding(3, 2, logit_soft_cap=0)
