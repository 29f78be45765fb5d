"""The shape run: shapes are those of reality, and nothing changes while they are found."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stroma import layers, models
from stroma.core.errors import ShapeError
from stroma.core.layer import Layer
from stroma.core.shape_run import AXIS_PROBES, BATCH_PROBES, in_shape_run, real_tensors, shape_run
from stroma.network.network import Network


class Busy(Layer):
    """Changes everything that a layer may change."""

    def build(self, input_shape):
        self.count = self.add_weight(name="count", initializer="zeros", trainable=False)
        self.register_buffer("table", torch.arange(4.0))
        self.norm = layers.BatchNormalization(momentum=0.5)

    def call(self, inputs, training=None):
        self.count.assign_add(1.0)
        self.add_loss(inputs.mean())
        noise = torch.rand(inputs.shape) + torch.randn_like(inputs)
        return self.norm(inputs + noise + self.table, training=True)


def test_nothing_changes():
    layer = Busy()
    layer(torch.ones(2, 4))
    layer.clear_losses()
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    expected = torch.rand(3), random.random(), np.random.rand()
    torch.manual_seed(3), random.seed(3), np.random.seed(3)
    y = layer(layers.Input((4,)))
    drawn = torch.rand(3), random.random(), np.random.rand()
    assert y.shape == (None, 4)
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())
    assert all(value.device.type == "cpu" for value in layer.state_dict().values())
    assert layer.losses == []
    assert torch.equal(drawn[0], expected[0])
    assert drawn[1:] == expected[1:]
    layer(torch.ones(2, 4))
    assert layer.count.item() == before["count"].item() + 1  # and a real call still counts
    assert len(layer.losses) == 1


@settings(deadline=None, max_examples=20)
@given(st.lists(st.sampled_from([1, 2, 3]), min_size=5, max_size=5), st.integers(65, 97),
       st.sampled_from(["same", "valid"]))  # fmt: skip
def test_unknown_sizes_survive_five_strides(strides, size, padding):
    entry = x = layers.Input((None, None, 3))
    for stride in strides:
        x = layers.MaxPooling2D(2, strides=stride, padding=padding)(x)
    assert x.shape == (None, None, None, 3)
    y = layers.GlobalAveragePooling2D()(x)
    assert y.shape == (None, 3)
    if padding == "same":
        assert Network(entry, y)(torch.rand(1, size, size + 1, 3)).shape == (1, 3)


def test_the_probes_stay_apart_after_many_strides():
    for first, second in (BATCH_PROBES, AXIS_PROBES):
        for stride in (2, 3, 4):
            a, b = first, second
            for _ in range(3):
                a, b = -(-a // stride), -(-b // stride)
                assert a != b


class Decides(Layer):
    """A Python `if` on numbers: it cannot run without them."""

    def call(self, inputs):
        return inputs * 2 if inputs.sum().item() > 0 else inputs[:, :2]


class DecidesAndSays(Decides):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], None)


def test_code_that_needs_numbers_is_named_and_the_way_out_works():
    with pytest.raises(ShapeError, match="Decides") as caught:
        Decides()(layers.Input((4,)))
    assert "compute_output_shape" in str(caught.value)
    assert DecidesAndSays()(layers.Input((4,))).shape == (None, None)
    assert DecidesAndSays()(torch.ones(1, 4)).shape == (1, 4)


def test_what_is_made_inside_has_no_numbers_unless_it_leaves():
    real = torch.ones(3)
    with shape_run():
        assert in_shape_run()
        assert torch.zeros(2).is_meta
        assert (real + 1).is_meta
        with real_tensors():
            assert not in_shape_run()
            assert torch.zeros(2, device="cpu").sum() == 0
        assert in_shape_run()
    assert not in_shape_run()
    assert not torch.zeros(2).is_meta


def test_an_error_inside_leaves_the_shape_run():
    with pytest.raises(ZeroDivisionError), shape_run():
        1 / 0  # noqa: B018
    assert not in_shape_run()
    assert not torch.zeros(1).is_meta


def test_a_stack_without_input_shape_inside_a_layer_is_built_when_the_layer_is_recorded():
    """The network of a transformer's block, as tutorials write it."""

    class Block(Layer):
        def __init__(self):
            super().__init__()
            self.inner = models.Sequential([layers.Dense(8, activation="relu"), layers.Dense(4)])

        def call(self, inputs):
            return inputs + self.inner(inputs)

    inputs = layers.Input((5, 4))
    block = Block()
    outputs = block(inputs)
    assert outputs.shape == (None, 5, 4)
    assert [tuple(weight.keras_view.shape) for weight in block.weights] == [
        (4, 8),
        (8,),
        (8, 4),
        (4,),
    ]
    assert not any(weight.is_meta for weight in block.weights)
    assert models.Model(inputs, outputs)(torch.ones(2, 5, 4)).shape == (2, 5, 4)
