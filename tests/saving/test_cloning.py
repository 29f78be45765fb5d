"""`clone_model` with everything that Keras takes: other inputs, other layers, other calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import layers, models
from stroma.core.errors import ArgumentError

X = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")


def nested(k: Any, layers: Any) -> Any:
    x = k.Input((5,), name="entry")
    twin = layers.Dense(5, activation="relu", name="twin")
    inner = k.Sequential([k.Input((5,)), layers.Dense(3, activation="tanh")], name="inner")
    y = inner(twin(twin(x) * 2.0))
    return k.Model(x, {"out": layers.Dense(2, name="last")(y), "inner": y})


class OURS:
    Input, Model, Sequential = layers.Input, models.Model, models.Sequential


def outputs(model: Any, x: Any = X) -> dict[str, np.ndarray]:
    with torch.no_grad():
        return {key: value.numpy() for key, value in model(torch.as_tensor(x)).items()}


def sigmoids(layer: Any) -> Any:
    config = layer.get_config()
    if "activation" in config:
        config["activation"] = "sigmoid"
    return type(layer).from_config(config)


@pytest.mark.parametrize("recursive", [False, True])
def test_other_layers_as_keras_puts_them(recursive: bool) -> None:
    found = []
    for k, room in ((OURS, layers), (keras, keras.layers)):
        clone_model = models.clone_model if k is OURS else keras.models.clone_model
        clone = clone_model(nested(k, room), clone_function=sigmoids, recursive=recursive)
        draw = np.random.default_rng(1)
        clone.set_weights([draw.normal(size=w.shape) for w in clone.get_weights()])
        found.append(outputs(clone))
    for key, value in found[1].items():
        np.testing.assert_allclose(found[0][key], value, atol=1e-5)


def test_names_and_sharing_stay_and_weights_are_new() -> None:
    model = nested(OURS, layers)
    clone = models.clone_model(model, clone_function=lambda layer: type(layer).from_config(
        layer.get_config()), recursive=True)  # fmt: skip
    assert list(clone.state_dict()) == list(model.state_dict())
    assert not np.array_equal(outputs(clone)["out"], outputs(model)["out"])
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(outputs(clone)["out"], outputs(model)["out"])
    assert not {id(p) for p in clone.parameters()} & {id(p) for p in model.parameters()}


def test_on_other_inputs_and_with_other_calls() -> None:
    model = nested(OURS, layers)
    x = layers.Input((5,))
    called: list[str] = []

    def call(layer: Any, *args: Any, **kwargs: Any) -> Any:
        called.append(layer.name)
        return layer(*args, **kwargs)

    clone = models.clone_model(model, input_tensors=layers.Rescaling(2.0)(x), call_function=call)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(outputs(clone)["out"], outputs(model)["out"])
    assert called == ["twin", "twin", "inner", "last"]


def test_a_sequential_stays_one() -> None:
    model = models.Sequential([layers.Input((5,)), layers.Dense(3, activation="relu")])
    clone = models.clone_model(model, clone_function=sigmoids)
    assert type(clone) is models.Sequential
    assert clone.layers[0].get_config()["activation"] == "sigmoid"


def test_a_call_of_its_own_is_cloned_as_a_whole_only() -> None:
    class Own(models.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, inputs: Any) -> Any:
            return self.dense(inputs)

    assert type(models.clone_model(Own())) is Own
    with pytest.raises(ArgumentError, match="call of its own"):
        models.clone_model(Own(), clone_function=sigmoids)
