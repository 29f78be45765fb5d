"""The names of `keras.saving` and `Model.save`: files, scopes, objects as plain data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import constraints, initializers, layers, losses, metrics, models, optimizers, saving
from stroma.core.errors import ArgumentError, FileFormatError, WeightsError

X = np.random.default_rng(0).normal(size=(8, 5)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 1)).astype("float32")


def network(units: int = 3, head: int = 1) -> models.Model:
    x = layers.Input((5,))
    y = layers.Dense(units, activation="relu", name="block.dense")(x)
    y = layers.BatchNormalization(name="norm")(y)
    return models.Model(x, layers.Dense(head, name="head")(y) * 2.0)


def ours(model: Any) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(X)).numpy()


# Files


def test_a_whole_model_in_a_safetensors_file(tmp_path: Path) -> None:
    from safetensors import safe_open

    model = network()
    path = model.save(tmp_path / "model.safetensors", extra={"classes": ["a"]})
    again = models.load_model(path)
    np.testing.assert_array_equal(ours(again), ours(model))
    assert list(again.state_dict()) == list(model.state_dict()) and not again.compiled
    with safe_open(path, "pt") as file:  # anybody else reads the weights
        assert torch.equal(file.get_tensor("head.weight"), model.state_dict()["head.weight"])
        assert json.loads(file.metadata()["stroma"])["extra"] == {"classes": ["a"]}
    model.save_weights(tmp_path / "weights.safetensors")
    with pytest.raises(FileFormatError, match="weights without a network"):
        models.load_model(tmp_path / "weights.safetensors")


def test_a_hostile_header_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    described = {"class_name": "Lambda", "module": "keras.layers", "config": {"function": "x"}}
    text = json.dumps({"model": described, "extra": {}})
    save_file({"w": torch.zeros(1)}, tmp_path / "bad.safetensors", {"stroma": text})
    with pytest.raises(FileFormatError, match="Lambda"):
        models.load_model(tmp_path / "bad.safetensors", safe_mode=False)
    save_file({"w": torch.zeros(1)}, tmp_path / "deep.safetensors", {"stroma": "[" * 90 + "]" * 90})
    with pytest.raises(FileFormatError, match="deep"):
        models.load_model(tmp_path / "deep.safetensors")


def test_keras_arguments_of_save(tmp_path: Path) -> None:
    model = network()
    model.compile("adam", "mse")
    model.save(tmp_path / "m.keras", True, None, include_optimizer=False)
    assert not models.load_model(filepath=tmp_path / "m.keras", safe_mode=False).compiled
    saving.save_model(model, tmp_path / "m.keras")
    assert models.load_model(tmp_path / "m.keras", compile=True).compiled
    with pytest.raises(ArgumentError, match="not as a folder"):
        model.save(tmp_path / "other.keras", zipped=False)
    with pytest.raises(ArgumentError, match="one file"):
        model.save_weights(tmp_path / "w.weights.h5", max_shard_size=1)


@pytest.mark.parametrize("ending", [".weights.h5", ".safetensors", ".pth"])
def test_weights_that_differ_are_passed_over_only_when_asked(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{ending}"
    network(head=4).save_weights(path)
    model = network()
    before = model.get_layer("head").get_weights()
    with pytest.raises(WeightsError):
        model.load_weights(path)
    with pytest.warns(UserWarning, match="passed over"):
        model.load_weights(path, skip_mismatch=True)
    np.testing.assert_array_equal(model.get_layer("head").get_weights()[0], before[0])
    network(head=4).save_weights(path)
    other = network(head=4)
    other.load_weights(path)


def test_a_state_dict_of_torch_goes_both_ways(tmp_path: Path) -> None:
    model, other = network(), network()
    model.save_weights(tmp_path / "w.pth")
    torch.nn.Module.load_state_dict(other, torch.load(tmp_path / "w.pth", weights_only=True))
    np.testing.assert_array_equal(ours(other), ours(model))
    torch.save(network().state_dict(), tmp_path / "theirs.pt")
    other.load_weights(tmp_path / "theirs.pt")
    assert not np.array_equal(ours(other), ours(model))


def test_weights_alone_go_to_keras(tmp_path: Path) -> None:
    x = keras.Input((5,))
    y = keras.layers.Dense(3, activation="relu")(x)
    y = keras.layers.BatchNormalization()(y)
    there = keras.Model(x, keras.layers.Dense(1)(y) * 2.0)
    model = network()
    model.set_weights([abs(w) + 0.1 for w in model.get_weights()])
    model.save_weights(tmp_path / "w.weights.h5")
    there.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_allclose(ours(model), there.predict(X, verbose=0), atol=1e-5)


# Own objects


class Twice(layers.Layer):
    def __init__(self, factor: float = 2.0, activation: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor, self.activation = factor, activation

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


def squash(x: Any) -> Any:
    return x.tanh() / 2


def test_scopes_name_own_objects(tmp_path: Path) -> None:
    x = layers.Input((5,))
    model = models.Model(x, layers.Dense(2, activation=squash)(Twice(3.0)(x)))
    path = model.save(tmp_path / "m.keras")
    with pytest.raises(FileFormatError, match="Twice"):
        models.load_model(path)
    with saving.custom_object_scope({"Twice": Twice, "squash": squash}):
        again = models.load_model(path)
        assert layers.Dense(2, activation="squash").activation is squash
    np.testing.assert_array_equal(ours(again), ours(model))
    with pytest.raises(ArgumentError, match="squash"):
        layers.Dense(2, activation="squash")
    table = saving.get_custom_objects()
    table.update(Twice=Twice, squash=squash)
    try:
        assert type(models.load_model(path).layers[1]) is Twice
    finally:
        del table["Twice"], table["squash"]


def test_scopes_nest_and_end() -> None:
    with saving.CustomObjectScope({"squash": squash}), saving.CustomObjectScope({"Twice": Twice}):
        assert saving.get_registered_object("squash") is squash
        assert saving.get_registered_object("Twice") is Twice
    assert saving.get_registered_object("squash") is None
    assert saving.get_registered_object("a", {"a": 1}, {"b": 2}) == 1
    assert saving.get_registered_object("b", {"a": 1}, {"b": 2}) == 2


def test_registered_names() -> None:
    @saving.register_keras_serializable(package="surface", name="Third")
    class Other(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs / 3

    assert saving.get_registered_name(Other) == "surface>Third"
    assert saving.get_registered_object("surface>Third") is Other
    assert saving.get_registered_name(Twice) == "Twice"
    described = saving.serialize_keras_object(Other())
    assert type(saving.deserialize_keras_object(described)) is Other
    del saving.get_custom_objects()["surface>Third"]


@pytest.mark.parametrize(
    ("thing", "setting", "value"),
    [(layers.Dense(3, activation="gelu", kernel_regularizer="l2"), "units", 3),
     (losses.CategoricalCrossentropy(label_smoothing=0.1), "label_smoothing", 0.1),
     (metrics.AUC(num_thresholds=7), "num_thresholds", 7),
     (optimizers.AdamW(0.1, weight_decay=0.3), "weight_decay", 0.3),
     (initializers.HeNormal(seed=3), "seed", 3), (constraints.MaxNorm(2.0, axis=1), "axis", 1)],
)  # fmt: skip
def test_objects_are_described_as_keras_does(thing: Any, setting: str, value: Any) -> None:
    described = saving.serialize_keras_object(thing)
    again = saving.deserialize_keras_object(json.loads(json.dumps(described)))
    assert type(again) is type(thing) and again.get_config()[setting] == value
    there = keras.saving.deserialize_keras_object(described)
    assert type(there).__name__ == type(thing).__name__ and there.get_config()[setting] == value
    back = saving.deserialize_keras_object(keras.saving.serialize_keras_object(there))
    assert type(back) is type(thing) and back.get_config()[setting] == value


def test_structures_and_plain_values() -> None:
    things = {"a": (1, 2.5), "b": [None, "text"], "c": slice(1, None, 2), "d": torch.ones(2)}
    again = saving.deserialize_keras_object(saving.serialize_keras_object(things))
    assert again["a"] == (1, 2.5) and again["b"] == [None, "text"] and again["c"] == things["c"]
    assert torch.equal(again["d"], things["d"])
    from stroma import activations

    described = saving.serialize_keras_object(activations.gelu)
    assert saving.deserialize_keras_object(described) is activations.gelu


@pytest.mark.parametrize(
    "described",
    [{"class_name": "system", "module": "os", "config": {}},
     {"class_name": "function", "module": "os", "config": "system"},
     {"class_name": "function", "module": "builtins", "config": "eval"},
     {"class_name": "Dense", "module": "os", "config": {"units": 1}},
     {"class_name": "__lambda__", "config": {"value": ["4wEA", None, None]}},
     {"class_name": "__typespec__", "module": "os", "config": {}},
     {"class_name": "get_file", "module": "keras.utils", "config": {"origin": "http://x"}}],
)  # fmt: skip
def test_descriptions_name_nothing_else(described: Any) -> None:
    for safe_mode in (True, False):
        with pytest.raises(FileFormatError):
            saving.deserialize_keras_object(described, safe_mode=safe_mode)


# Compiling by file


class Adversary(models.Model):
    def compile(self, first: Any, second: Any) -> None:
        super().compile(optimizer=first)
        self.second = second


class Remembering(Adversary):
    def get_compile_config(self) -> dict[str, Any]:
        return {
            "first": saving.serialize_keras_object(self.optimizer),
            "second": saving.serialize_keras_object(self.second),
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        self.compile(**{k: saving.deserialize_keras_object(v) for k, v in config.items()})


def test_a_compile_of_its_own(tmp_path: Path) -> None:
    x = layers.Input((5,))
    y = layers.Dense(1)(x)
    model = Adversary(x, y)
    model.compile(optimizers.SGD(0.1), optimizers.Adam(0.2))
    path = model.save(tmp_path / "m.keras")
    with pytest.warns(UserWarning, match="compile\\(\\) of its own"):
        assert not models.load_model(path, {"Adversary": Adversary}).compiled
    model = Remembering(x, y)
    model.compile(optimizers.SGD(0.1), optimizers.Adam(0.2))
    again = models.load_model(model.save(path), {"Remembering": Remembering})
    assert again.optimizer.learning_rate == 0.1 and again.second.learning_rate == 0.2
