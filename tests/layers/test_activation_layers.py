"""Activation layers: arguments, masks, and Softmax where everything is masked."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, close, random_inputs
from oracle import keras
from stroma import layers
from stroma.core.errors import ArgumentError


@settings(max_examples=20, deadline=None)
@given(
    st.one_of(st.none(), st.floats(0, 3)), st.floats(0, 1), st.floats(0, 1),
)  # fmt: skip
def test_relu_equals_keras(max_value, slope, threshold):
    arguments = {"max_value": max_value, "negative_slope": slope, "threshold": threshold}
    assert_parity(layers.ReLU, arguments, random_inputs([(7, 5)]))


def test_the_layer_leaks_more_than_the_function():
    x = torch.tensor([[-1.0]])
    assert layers.LeakyReLU()(x).item() == pytest.approx(-0.3)
    assert layers.Activation("leaky_relu")(x).item() == pytest.approx(-0.2)


@pytest.mark.parametrize("axis", [-1, (1, 2)])
def test_masked_softmax_equals_keras(axis):
    x = torch.randn(4, 5, 6)
    mask = torch.rand(4, 5, 6, generator=torch.Generator().manual_seed(0)) > 0.4
    mask[0], mask[1, 2] = False, False
    y = layers.Softmax(axis)(x, mask=mask)
    close(y, keras.layers.Softmax(axis)(x, mask=mask), 1e-6)
    assert (y[~mask] == 0).all()
    close(layers.Softmax(axis)(x, mask=mask.float()), y, 1e-6)


def test_all_masked_is_zero_with_a_finite_gradient():
    x = torch.randn(2, 3, requires_grad=True)
    y = layers.Softmax()(x, mask=torch.zeros(2, 3, dtype=torch.bool))
    assert (y == 0).all()
    (grad,) = torch.autograd.grad(y.sum(), x)
    assert torch.isfinite(grad).all()


def test_extreme_logits_stay_finite():
    x = torch.tensor([[-1e4, 0.0, 1e4]])
    for axis in (-1, (1,)):
        assert layers.Softmax(axis)(x).tolist() == [[0.0, 0.0, 1.0]]


def test_a_layer_may_be_the_activation_of_another():
    layer = layers.Dense(3, activation=layers.LeakyReLU(0.5), kernel_initializer="ones")
    assert layer(-torch.ones(1, 2)).tolist() == [[-1.0] * 3]


def test_masks_pass_through():
    x = torch.ones(2, 3, 4)
    x._keras_mask = mask = torch.tensor([[True, False, True]] * 2)
    for layer in (layers.ReLU(), layers.LeakyReLU(), layers.Activation("tanh")):
        assert layer(x)._keras_mask is mask


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.ReLU(max_value=-1.0),
        lambda: layers.ReLU(negative_slope=-1.0),
        lambda: layers.LeakyReLU(-0.1),
        lambda: layers.Activation("rleu"),
    ],
)
def test_wrong_arguments(make):
    with pytest.raises(ArgumentError) as caught:
        make()
    assert caught.value.fix
