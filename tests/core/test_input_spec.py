"""What a layer says of its inputs is checked, in eager calls and in recorded ones, as in Keras."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import keras
from stroma import layers
from stroma.core.errors import ShapeError


def layer_with(spec, room=layers):
    class Checked(room.Layer):
        def __init__(self):
            super().__init__()
            self.input_spec = spec

        def call(self, inputs):
            return inputs

    return Checked()


@settings(max_examples=60, deadline=None)
@given(
    shape=st.lists(st.integers(1, 2), min_size=1, max_size=4),
    ndim=st.one_of(st.none(), st.integers(1, 4)), least=st.one_of(st.none(), st.integers(1, 4)),
    most=st.one_of(st.none(), st.integers(1, 4)), size=st.one_of(st.none(), st.integers(1, 2)),
)  # fmt: skip
def test_what_keras_takes_is_taken(shape, ndim, least, most, size):
    arguments = {"ndim": ndim, "min_ndim": least, "max_ndim": most, "axes": {-1: size}}
    x, taken = torch.zeros(shape), []
    for room in (layers, keras.layers):
        try:
            layer_with(room.InputSpec(**arguments), room)(x)
            taken.append(True)
        except ValueError:
            taken.append(False)
    assert taken[0] == taken[1]


def test_recorded_calls_are_checked_and_told():
    layer = layer_with(layers.InputSpec(shape=(None, 8, 3)))
    assert layer(layers.Input((8, 3))).shape == (None, 8, 3)
    assert layer(layers.Input((None, 3))).shape == (None, None, 3)
    with pytest.raises(ShapeError, match="axis 2 must be 3"):
        layer(layers.Input((8, 4)))
    with pytest.raises(ShapeError, match="takes 2 inputs, got 1"):
        layer_with([layers.InputSpec(), layers.InputSpec()])(torch.zeros(1, 2))
