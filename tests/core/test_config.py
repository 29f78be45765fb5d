"""`Configurable`: nobody writes `get_config`, and a user who does gets Keras' behaviour."""

import json

import numpy as np
import pytest
import torch

from stroma import initializers, layers
from stroma.core.config import Configurable, serialise


class Point(Configurable):
    def __init__(self, x, y=2, *rest, scale=1.0, **options):
        self.total = x + y
        self.made = True


class Mine(layers.Dense):
    """As Keras' guide writes one: its own argument, its own get_config over super()'s."""

    def __init__(self, units, factor=2, **kwargs):
        super().__init__(units, **kwargs)
        self.factor = factor

    def get_config(self):
        config = super().get_config()
        config.update({"factor": self.factor})
        return config


class Deeper(Mine):
    def __init__(self, **kwargs):
        super().__init__(3, factor=5, **kwargs)


def test_arguments_as_given_with_defaults():
    assert Point(1).get_config() == {"x": 1, "y": 2, "rest": [], "scale": 1.0}
    config = Point(1, 3, 4, 5, scale=2, more="z").get_config()
    assert config == {"x": 1, "y": 3, "rest": [4, 5], "scale": 2, "more": "z"}
    assert Point.from_config({"x": 4, "scale": 3}).total == 6


def test_what_init_changes_later_is_not_noted():
    point = Point([1], [2])
    point.total.append(3)
    assert point.get_config()["x"] == [1]


def test_a_wrong_call_raises_pythons_own_error():
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'x'"):
        Point()


def test_a_users_get_config_over_supers():
    layer = Mine(4, factor=7, activation="relu", name="mine")
    config = layer.get_config()
    assert (config["units"], config["factor"], config["activation"]) == (4, 7, "relu")
    again = Mine.from_config(json.loads(json.dumps(config)))
    assert again.get_config() == config
    assert again.activation is layer.activation


def test_a_subclass_that_takes_no_arguments():
    config = Deeper(name="deep").get_config()
    assert config["factor"] == 5
    assert config["units"] == 3


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (None, None),
        ((1, (2.5, "a")), [1, [2.5, "a"]]),
        ({"a": np.float32(0.5)}, {"a": 0.5}),
        (np.arange(3), [0, 1, 2]),
        (torch.tensor([1.0, 2.0]), [1.0, 2.0]),
        (torch.bfloat16, "bfloat16"),
    ],
)
def test_plain_data(value, plain):
    assert serialise(value) == plain
    json.dumps(serialise(value))


def test_objects_are_written_as_keras_writes_them():
    described = serialise(initializers.HeNormal(seed=3))
    assert described == {
        "module": "keras.initializers",
        "class_name": "HeNormal",
        "config": {"seed": 3, "input_axes": None, "output_axes": None},
        "registered_name": None,
    }
    assert initializers.get(described).seed == 3
    config = layers.Conv2D(2, 3, activation="relu").get_config()
    assert config["activation"] == "relu"
