"""`Weight`: one memory, two views; it stays a weight through copies, moves and pickles."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from stroma import layers
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.weight import Weight, layout_permutation


def conv():
    layer = layers.Conv2D(4, (2, 3), kernel_regularizer="l2", kernel_constraint="max_norm")
    layer(torch.zeros(1, 5, 5, 3))
    return layer


def norm():
    layer = layers.BatchNormalization()
    layer(torch.zeros(1, 5, 5, 3))
    return layer


def test_two_views_of_one_memory():
    weight = conv().weight
    assert isinstance(weight, nn.Parameter)
    assert weight.shape == (4, 3, 2, 3)
    assert weight.keras_view.shape == (2, 3, 3, 4)
    assert weight.keras_view.data_ptr() == weight.data_ptr()
    assert weight.is_contiguous(memory_format=torch.channels_last)
    weight.keras_view.square().sum().backward()
    torch.testing.assert_close(weight.grad, 2 * weight.detach())
    assert weight.value is weight


def test_assigning_is_in_keras_order_and_in_place():
    weight = conv().weight
    place = weight.data_ptr()
    values = np.arange(72, dtype="float32").reshape(2, 3, 3, 4)
    weight.assign(values)
    np.testing.assert_array_equal(weight.numpy(), values)
    torch.testing.assert_close(weight[3, 2, 1, 0].item(), float(values[1, 0, 2, 3]))
    weight.assign_add(values).assign_sub(1.0)
    np.testing.assert_array_equal(weight.numpy(), 2 * values - 1)
    weight.assign(np.arange(4.0))  # broadcasts over the filters, the last of Keras' axes
    np.testing.assert_array_equal(weight[:, 0, 0, 0].detach().numpy(), np.arange(4.0))
    assert weight.data_ptr() == place
    assert weight.requires_grad


def test_numpy_is_a_copy():
    weight = conv().weight
    before = weight.numpy()
    before[:] = 7
    assert not (weight.detach() == 7).any()


@pytest.mark.parametrize("shape", [(4, 3, 2, 3), (3,), (2, 2, 3, 3, 4)])
def test_a_value_that_does_not_fit_changes_nothing(shape):
    weight = conv().weight
    before = weight.numpy()
    with pytest.raises(ShapeError, match=r"\(2, 3, 3, 4\)"):
        weight.assign(np.ones(shape))
    np.testing.assert_array_equal(weight.numpy(), before)


SAME = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "to": lambda layer: copy.deepcopy(layer).to(torch.float64),
    "half": lambda layer: copy.deepcopy(layer).bfloat16(),
}


@pytest.mark.parametrize("make", [conv, norm])
@pytest.mark.parametrize("again", SAME.values(), ids=SAME)
def test_it_stays_a_weight(make, again):
    layer = make()
    other = again(layer)
    assert list(other.state_dict()) == list(layer.state_dict())
    for old, new in zip(layer.weights, other.weights, strict=True):
        assert isinstance(new, Weight)
        assert new.data_ptr() != old.data_ptr()
        assert (new.path, new.trainable) == (old.path, old.trainable)
        assert new.requires_grad == old.requires_grad
        assert new.keras_view.shape == old.keras_view.shape
        assert new.stride() == old.stride()
        assert type(new.regularizer) is type(old.regularizer)
        assert type(new.constraint) is type(old.constraint)
        torch.testing.assert_close(new.float(), old, rtol=0.01, atol=0.01)
        new.assign(np.zeros(tuple(new.keras_view.shape)))
        assert not new.any()
    layer_state = [weight.abs().sum().item() for weight in layer.weights]
    assert any(layer_state)  # the original did not follow


def test_layouts():
    assert layout_permutation("IO->OI", 2) == (1, 0)
    assert layout_permutation(None, 3) is None
    for wrong, rank in (("HWIO->OIHH", 4), ("IO->OI", 3), ("IO", 2)):
        with pytest.raises(ArgumentError, match="layout"):
            layout_permutation(wrong, rank)
