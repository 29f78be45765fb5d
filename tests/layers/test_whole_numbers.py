"""Whole numbers given to layers and functions that compute with floats, as to Keras'."""

import numpy as np
import pytest
import torch

from keras_parity import close
from oracle import keras
from stroma import activations, layers, losses

WHOLE = np.random.default_rng(0).integers(1, 9, (2, 4, 4, 3))


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("Dense", (2,)),
        ("UnitNormalization", ()),
        ("GlobalAveragePooling2D", ()),
        ("BatchNormalization", ()),
        ("Rescaling", (0.5,)),
    ],
)
def test_layers_compute_with_floats(name, arguments, dtype):
    ours, theirs = (getattr(kit, name)(*arguments) for kit in (layers, keras.layers))
    x = WHOLE.astype(dtype)
    ours(x), theirs(x)
    ours.set_weights(theirs.get_weights())
    y, expected = ours(torch.as_tensor(x)), theirs(torch.as_tensor(x))
    assert y.dtype == expected.dtype == torch.float32
    close(y.detach(), expected.detach(), 1e-5)


def test_einsum_dense_of_whole_numbers_is_that_of_the_same_floats():
    layer = layers.EinsumDense("...x,xy->...y", 2)
    close(layer(WHOLE).detach(), layer(WHOLE.astype("float32")).detach(), 1e-6)


@pytest.mark.parametrize("name", ["relu", "sigmoid", "softplus", "log_softmax"])
def test_activations_of_lists_and_arrays(name):
    ours, theirs = (getattr(kit, name) for kit in (activations, keras.activations))
    for x in ([[-3.0, 0.5]], np.array([[-3.0, 0.5]], "float32")):
        y, expected = ours(x), theirs(x)
        assert y.dtype == expected.dtype
        close(y, expected, 1e-6)
    assert ours(np.array([[-3.0, 0.5]])).dtype == torch.float32  # NumPy's float64


@pytest.mark.parametrize("name", ["BinaryCrossentropy", "MeanSquaredError", "Hinge", "Dice"])
def test_losses_of_arrays_in_float64_are_float32(name):
    y_true, y_pred = (np.random.default_rng(seed).random((3, 2)) for seed in (1, 2))
    ours, theirs = (getattr(kit, name)()(y_true, y_pred) for kit in (losses, keras.losses))
    assert ours.dtype == theirs.dtype == torch.float32
    close(ours, theirs, 1e-5)
    exact = torch.as_tensor(y_pred), torch.as_tensor(y_true)  # tensors keep what was chosen
    assert getattr(losses, name)()(*exact).dtype == torch.float64
