"""Merging: broadcasting, masks by Keras' rules, functional forms, what does not fit."""

import pytest
import torch

from keras_parity import assert_parity, close, random_inputs
from oracle import keras
from stroma import layers
from stroma.core.errors import ShapeError
from stroma.network.network import Network

ELEMENTWISE = ["Add", "Multiply", "Average", "Maximum", "Minimum"]
SHAPES = [((4, 5), (4, 5)), ((4, 5), (1, 5)), ((3, 4, 5), (5,)), ((4, 5), (4, 1), (4, 5))]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_broadcasting_equals_keras(name, shapes):
    assert_parity(getattr(layers, name), {}, random_inputs(shapes))


@pytest.mark.parametrize("name", [*ELEMENTWISE, "Subtract", "Concatenate"])
def test_the_functional_form_is_the_layer(name):
    x, y = random_inputs([(4, 5), (4, 5)])
    function, layer = getattr(layers, name.lower()), getattr(layers, name)()
    assert torch.equal(function([x, y]), layer([x, y]))
    symbolic = function([layers.Input((4, 5)), layers.Input((4, 5))], name="merged")
    assert symbolic.node.target.name == "merged"


def masked(x, mask):
    x = x.clone()
    if mask is not None:
        x._keras_mask = mask
    return x


MASKS = [(True, True), (True, False), (False, True), (False, False)]


@pytest.mark.parametrize("which", MASKS)
@pytest.mark.parametrize("name", [*ELEMENTWISE, "Subtract", "Concatenate"])
def test_masks_equal_keras(name, which):
    generator = torch.Generator().manual_seed(2)
    tensors = random_inputs([(6, 4), (6, 4)])
    masks = [torch.rand(3, 6, generator=generator) > 0.4 if has else None for has in which]
    ours = getattr(layers, name)()([masked(x, m) for x, m in zip(tensors, masks)])
    theirs = getattr(keras.layers, name)()([masked(x, m) for x, m in zip(tensors, masks)])
    close(ours, theirs, 1e-6)
    mask, expected = (getattr(y, "_keras_mask", None) for y in (ours, theirs))
    assert (mask is None) == (expected is None)
    assert mask is None or torch.equal(mask, expected)


@pytest.mark.parametrize("name", ["Add", "Maximum", "Concatenate"])
def test_masks_in_a_recorded_network_are_those_of_eager_code(name):
    class MaskZeros(layers.Layer):
        def call(self, inputs):
            return inputs * 1.0

        def compute_mask(self, inputs, previous_mask=None):
            return (inputs != 0).any(-1)

    x, y = random_inputs([(6, 4), (6, 4)])
    x[:, 2], y[:, 2:4] = 0, 0
    make, merge = MaskZeros(), getattr(layers, name)()
    eager = merge([make(x), make(y)])
    entries = [layers.Input((6, 4)), layers.Input((6, 4))]
    network = Network(entries, merge([make(entry) for entry in entries]))
    recorded = network([x, y])
    close(recorded, eager, 1e-6)
    assert torch.equal(recorded._keras_mask, eager._keras_mask)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.Add()(torch.zeros(2, 3)), "list"),
        (lambda: layers.Add()([torch.zeros(2, 3), torch.zeros(2, 4)]), r"\(None, 3\), \(None, 4\)"),
        (lambda: layers.Subtract()([torch.zeros(2, 3)] * 3), "3 of them"),
        (lambda: layers.Concatenate()([torch.zeros(2, 3, 4), torch.zeros(2, 4, 4)]), "join"),
        (lambda: layers.Concatenate(axis=5)([torch.zeros(2, 3)] * 2), "axis=5"),
        (lambda: layers.Concatenate()([torch.zeros(2, 3), torch.zeros(2, 3, 4)]), "join"),
    ],
)
def test_what_does_not_fit_is_explained(make, text):
    with pytest.raises(ShapeError, match=text) as caught:
        make()
    assert list(caught.value.parts()) == ["what", "where", "why", "try"]
