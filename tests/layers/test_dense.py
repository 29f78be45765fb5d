"""Dense: numbers, weights in both orders, regularizers and constraints on Keras' view."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, random_inputs
from stroma import layers
from stroma.core.errors import ArgumentError, ShapeError


@settings(max_examples=25, deadline=None)
@given(
    shape=st.lists(st.integers(1, 5), min_size=1, max_size=4).map(tuple),
    units=st.integers(2, 6), bias=st.booleans(),
    activation=st.sampled_from([None, "relu", "softmax"]),
)  # fmt: skip
def test_random_configurations_equal_keras(shape, units, bias, activation):
    arguments = {"units": units, "use_bias": bias, "activation": activation}
    assert_parity(layers.Dense, arguments, random_inputs([shape]))


def test_the_kernel_is_a_view_of_the_weight():
    layer = layers.Dense(4, kernel_initializer="ones")
    layer(torch.zeros(1, 3))
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert (layer.weight.shape, layer.kernel.shape) == ((4, 3), (3, 4))
    layer.kernel.assign(torch.arange(12.0).view(3, 4))
    assert layer.weight[1].tolist() == [1.0, 5.0, 9.0]


def test_penalties_and_constraints_see_keras_order():
    layer = layers.Dense(
        4, kernel_regularizer="l2", kernel_constraint="unit_norm", activity_regularizer="l1"
    )
    y = layer(torch.randn(2, 3))
    weight, activity = layer.losses[-1], layer.losses[0]
    torch.testing.assert_close(weight, 0.01 * layer.weight.square().sum())
    torch.testing.assert_close(activity, 0.01 * y.abs().sum() / 2)
    norms = layer.weight.constraint(layer.kernel).norm(dim=0)  # one norm per unit
    torch.testing.assert_close(norms, torch.ones(4))


def test_seeded_layers_start_as_keras_does():
    from oracle import keras

    ours = layers.Dense(5, kernel_initializer={"class_name": "HeNormal", "config": {"seed": 3}})
    theirs = keras.layers.Dense(5, kernel_initializer=keras.initializers.HeNormal(seed=3))
    ours(torch.zeros(1, 7)), theirs(torch.zeros(1, 7))
    assert (ours.get_weights()[0] == theirs.get_weights()[0]).all()


def test_wrong_arguments_and_shapes():
    with pytest.raises(ArgumentError, match="units must be 1 or more, got 0"):
        layers.Dense(0)
    with pytest.raises(ShapeError, match="Dense takes"):
        layers.Dense(3)(torch.zeros(4))
    with pytest.raises(ShapeError, match="GlobalAveragePooling2D"):
        layers.Dense(3)(layers.Flatten()(layers.Input((None, None, 3))))
