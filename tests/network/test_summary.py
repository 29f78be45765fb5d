"""`summary()` and `design()`: Keras' counts, never cut off, frozen layers visible."""

import re

import numpy as np
import pytest

from stroma import Model, Sequential, layers
from stroma.core.errors import ArgumentError


def small():
    return Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def text_of(model, **options):
    lines = []
    model.summary(print_fn=lines.append, **options)
    return "\n".join(lines)


def test_counts_by_hand():
    rows = {row.kind: row for row in small().design()}
    assert rows["Conv2D"].parameters == 3 * 3 * 3 * 8 + 8
    assert rows["Conv2D"].macs == 32 * 32 * 8 * 3 * 3 * 3
    assert rows["BatchNormalization"].trainable_parameters == 2 * 8
    assert rows["MaxPooling2D"].receptive_field == (4, 4)
    assert rows["Dense"].macs == 16 * 16 * 8 * 10
    text = text_of(small())
    total = 224 + 32 + 20490
    assert f"Total params: {total:,} ({total * 4 / 1024:.2f} KB)" in text
    assert "Non-trainable params: 16 (64.00 B)" in text


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_width_cuts_a_name_or_a_number(width):
    text = re.sub(r"\s+", "", text_of(small(), line_length=width))
    for part in ("batch_normalization", "(None,16,16,8)", "20,490", "Flatten"):
        assert part in text


def test_frozen_layers_branches_and_slots_are_shown(capsys):
    x = layers.Input((8, 8, 3))
    y = layers.Conv2D(3, 1, name="point")(x)
    model = Model(x, layers.Dense(2)(layers.Add()([x, y])))
    assert "connected to" in text_of(model)
    assert "frozen" not in text_of(model)
    model.compile("adam", "mse")
    model.fit(np.zeros((4, 8, 8, 3)), np.zeros((4, 8, 8, 2)), verbose=0)
    model.summary()
    assert "Optimizer params: 40 (160.00 B)" in capsys.readouterr().out  # m and v of 12 + 8
    model.get_layer("point").trainable = False
    assert "point (Conv2D) frozen" in text_of(model, line_length=108)


def test_a_range_of_layers():
    text = text_of(small(), layer_range=["batch", "flat"])
    assert "max_pooling2d" in text
    assert "conv2d" not in text
    assert "Total params: 20,746" in text  # of the whole network, as in Keras
    with pytest.raises(ArgumentError, match="no layer fits 'missing'"):
        small().summary(layer_range=["missing", "flat"])


def test_layers_inside_nested_networks():
    x = layers.Input((32, 32, 3))
    model = Model(x, small()(x))
    assert "max_pooling2d" not in text_of(model)
    assert "max_pooling2d" in text_of(model, expand_nested=True)
    assert [row.parameters for row in model.design()][-1] == 20746


def test_work_adds_up_whatever_the_layers_are_called():
    x = layers.Input((8, 8, 3))
    y = layers.Conv2D(4, 1, name="layer1.0.conv1")(x)
    model = Model(x, Sequential([layers.Input((8, 8, 4)), layers.Conv2D(2, 1)])(y))
    line = f"Multiply-accumulates for one sample: {64 * 4 * 3 + 64 * 2 * 4:,}"
    assert line in text_of(model) and line in text_of(model, expand_nested=True)


def test_a_model_not_built_yet_says_what_it_knows():
    text = text_of(Sequential([layers.Dense(3), layers.ReLU()]))
    assert "dense (Dense)" in text and "?" in text
