"""Inputs that a layer cannot take: whole numbers to drop from, several tensors, no channels."""

import pytest
import torch

from stroma import explain, layers, models
from stroma.core.errors import ArgumentTypeError, GraphError, ShapeError


@pytest.mark.parametrize("kind", [layers.StochasticDepth, layers.Dropout, layers.SpatialDropout1D])
@pytest.mark.parametrize(
    "inputs", [torch.ones(2, 3, 4, dtype=torch.int64), [torch.ones(2, 3, 4)] * 2]
)
def test_only_floating_point_numbers_are_dropped(kind, inputs):
    with pytest.raises(ArgumentTypeError, match="one tensor of floating-point numbers"):
        kind(0.5)(inputs, training=True)


@pytest.mark.parametrize(
    "build", [lambda: layers.DepthwiseConv2D(3), lambda: layers.SeparableConv2D(2, 3)]
)
def test_no_channels(build):
    with pytest.raises(ShapeError, match="no channels"):
        build()(torch.zeros(2, 9, 9, 0))


def test_filters_of_what_is_not_built():
    with pytest.raises(GraphError, match="is not built"):
        explain.filters(models.Sequential([layers.Conv2D(4, 3)]))


def test_weights_outside_of_layers_are_frozen_with_the_whole_only():
    class Own(models.Model):
        def __init__(self):
            super().__init__()
            self.a, self.d = layers.Dense(3, name="a"), layers.Dense(2, name="d")
            self.scale = self.add_weight(shape=(1,), initializer="ones", name="scale")

        def call(self, inputs):
            return self.d(self.a(inputs * self.scale))

    model = Own()
    model(torch.ones(1, 4))
    model.freeze(until="d")
    assert model.scale.requires_grad and not model.a.kernel.requires_grad
    model.freeze()
    assert not model.scale.requires_grad
