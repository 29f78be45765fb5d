"""Names in any script, inputs that can be told apart, and networks that can be forgotten."""

from __future__ import annotations

import copy
import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from oracle import keras
from stroma import layers, models
from stroma.core.errors import ArgumentError, GraphError, ShapeError
from stroma.core.names import check_name

NAMES = ["größe", "слой_1", "層", "größe", "कक्षा", "ﬂag", "größe.innen", "größe-x"]


@pytest.mark.parametrize("name", NAMES)
def test_names_in_any_script(name: str, tmp_path: Path) -> None:
    i, x = layers.Input((4,)), torch.rand(2, 4)
    model = models.Model(i, layers.Dense(2, name=name)(layers.Dense(4)(i)))
    assert model.get_layer(name).name == name
    again: Any = models.load_model(model.save(tmp_path / "m.keras"))
    for other in (copy.deepcopy(model), again):
        torch.testing.assert_close(other(x), model(x))
        assert other.layers[-1].name == name
        assert list(other.state_dict()) == list(model.state_dict())


def test_names_that_python_reads_as_one() -> None:
    i = layers.Input((4,))
    with pytest.raises(GraphError, match="two layers are called"):
        models.Model(i, layers.Dense(2, name="ﬂag")(layers.Dense(4, name="flag")(i)))


@pytest.mark.parametrize("name", ["²", "a\u200bb", "a'b", '́a"', "-a", " a", "a..b", "", "x" * 129])
def test_names_that_stay_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match="cannot be a layer's name"):
        check_name(name, owner="Dense")


def test_a_file_of_keras_with_such_a_name(tmp_path: Path) -> None:
    i = keras.Input((4,))
    theirs = keras.Model(i, keras.layers.Dense(2, name="größe")(i))
    theirs.save(tmp_path / "m.keras")
    ours: Any = models.load_model(tmp_path / "m.keras")
    assert ours.layers[-1].name == "größe"
    x = torch.rand(3, 4)
    torch.testing.assert_close(ours(x), theirs(x))


# Inputs


def test_inputs_of_other_networks_can_be_told_apart() -> None:
    a, b = layers.Input((4,)), layers.Input((4,))
    models.Model(a, a * 2), models.Model(b, b * 2)  # alone, each is "input_layer"
    both = models.Model([a, b], a - b)
    first, second = (layer.name for layer in both.layers[:2])
    assert first != second
    x, y = torch.ones(2, 4), torch.zeros(2, 4)
    assert both({second: y, first: x}).sum() == 8


def test_two_inputs_of_one_name() -> None:
    a, b = layers.Input((4,), name="photo"), layers.Input((4,), name="photo")
    with pytest.raises(GraphError, match="two inputs are called 'photo'"):
        models.Model([a, b], a + b)


@pytest.mark.parametrize("name", ["output", "input", "layers", "losses", "inputs"])
def test_an_attribute_that_every_model_has(name: str) -> None:
    class Mine(models.Model):
        def __init__(self) -> None:
            super().__init__()
            setattr(self, name, layers.Dense(2))

    with pytest.raises(GraphError, match=f"'{name}' is taken") as caught:
        Mine()
    assert f"self.{name}_layer" in caught.value.fix


# What a layer keeps of the networks it is in


def test_networks_over_one_base_are_forgotten() -> None:
    i = layers.Input((4,))
    base = models.Model(i, layers.Dense(3)(i))
    made = []
    for _ in range(6):
        x = layers.Input((4,))
        made.append(weakref.ref(models.Model(x, layers.Dense(2)(base(x))).outputs[0].node))
    del x
    gc.collect()
    assert len(base._nodes) == 2
    assert [node() is None for node in made] == [True] * 6


def test_asking_for_a_shape_changes_nothing() -> None:
    layer, i = layers.Dense(3), layers.Input((4,))
    first, latest = layer(i), layer(i)
    layer.compute_output_shape((None, 4))
    assert layer.output is first
    assert [node.outputs for node in layer._nodes] == [first, latest]


def test_the_table_of_what_fits_tells_layers_apart():
    large, small = layers.Input((8,)), layers.Input((6,))
    second = layers.Dense(4)
    left = second(layers.Dense(6)(small))
    with pytest.raises(ShapeError) as caught:
        layers.Add()([layers.Dense(3)(large), left])
    rows = [line.split() for line in caught.value.where.splitlines()[1:]]
    assert [(row[0], " ".join(row[2:])) for row in rows] == [
        ("input_layer", "(None, 8)"),
        ("input_layer_1", "(None, 6)"),
        ("dense", "(None, 6)"),
        ("dense_1", "(None, 4)"),
        ("dense_2", "(None, 3)"),
        ("add", "does not fit"),
    ]
