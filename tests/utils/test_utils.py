"""`stroma.utils` against Keras, and what a mistyped name is told."""

import numpy as np
import pytest
import torch

import stroma
from oracle import keras
from stroma import layers, optimizers, utils
from stroma.core.errors import ArgumentError, ArgumentTypeError


@pytest.mark.parametrize("labels", [[0, 2, 1], [[1], [0]], [[0, 1], [2, 2]], [1.0, 3.0], 2])
@pytest.mark.parametrize("count", [None, 5])
def test_one_hot_labels_are_those_of_keras(labels, count):
    ours = utils.to_categorical(labels, count)
    np.testing.assert_array_equal(ours, keras.utils.to_categorical(labels, count))
    assert ours.dtype == np.float32
    tensor = utils.to_categorical(torch.tensor(labels), count)
    np.testing.assert_array_equal(tensor.numpy(), ours)


@pytest.mark.parametrize(("labels", "count"), [([0, -1], None), ([0.5], None), ([0, 3], 3)])
def test_a_label_that_is_no_class_is_refused(labels, count):
    with pytest.raises(ArgumentError, match="is not a class number"):
        utils.to_categorical(labels, count)


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("axis", [-1, -2])  # Keras 3.15 takes axis=0 for -1
def test_normalize_is_that_of_keras(axis, order):
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    x[2] = 0
    expected = keras.utils.normalize(x, axis, order)
    np.testing.assert_allclose(utils.normalize(x, axis, order), expected, rtol=1e-6)
    ours = utils.normalize(torch.from_numpy(x), axis, order)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_a_mistyped_name_is_told_the_right_one():
    with pytest.raises(AttributeError, match="Did you mean 'Sequential'"):
        stroma.Sequental  # noqa: B018
    with pytest.raises(AttributeError, match="Did you mean 'Conv2D'"):
        layers.Conv2d  # noqa: B018
    for given, ours in {"lr": "learning_rate", "eps": "epsilon", "beta1": "beta_1"}.items():
        with pytest.raises(ArgumentTypeError, match=f"Did you mean '{ours}'"):
            optimizers.Adam(**{given: 0.1})
    with pytest.raises(TypeError, match="positional"):
        optimizers.Adam(*range(30))


def test_the_package_shows_public_names_only():
    shown = {name for name in dir(stroma) if not name.startswith("__")}
    assert shown == {*stroma._ROOMS, *stroma._NAMES}
