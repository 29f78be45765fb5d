"""Keras' other applications against Keras itself: numbers, names, order, outputs, signatures."""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import applications, models
from stroma.core.errors import ArgumentError, WeightsError
from stroma.saving.arrays import ordered_layers
from stroma.transfer import feature_extractor

# numbers in all, smallest side that the builder takes, channels without top
NETWORKS: dict[str, tuple[int, int, int]] = {
    "MobileNetV2": (3_538_984, 32, 1280),
    "EfficientNetB0": (5_330_571, 32, 1280),
    "DenseNet121": (8_062_504, 32, 1024),
    "Xception": (22_910_480, 71, 2048),
    "InceptionV3": (23_851_784, 75, 2048),
}
SETTINGS = (
    "epsilon", "momentum", "rate", "noise_shape", "padding", "strides", "pool_size", "activation",
    "max_value", "use_bias", "scale",
)  # fmt: skip
every_network = pytest.mark.parametrize("name", NETWORKS)


def ours(name: str, **options: Any) -> models.Model:
    return getattr(applications, name)(**options)


@cache
def theirs(name: str) -> Any:
    keras.backend.clear_session()  # else its automatic names go on counting
    return getattr(keras.applications, name)(weights=None)


def named_weights(layers: list[Any]) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (f"{layer.name}/{weight.name}", tuple(weight.numpy().shape))
        for layer in layers
        for weight in layer.weights
    ]


@every_network
def test_numbers_names_and_order(name: str) -> None:
    found, expected = ours(name), theirs(name)
    assert found.count_params() == expected.count_params() == NETWORKS[name][0]
    assert named_weights(ordered_layers(found)) == named_weights(expected.layers)
    assert found.name == expected.name and found.input_shape == expected.input_shape
    for layer in expected.layers[1:]:  # those without weights too, all settings
        mine = found.get_layer(layer.name)
        for setting in SETTINGS:
            assert _plain(mine, setting) == _plain(layer, setting), (layer.name, setting)


def _plain(layer: Any, setting: str) -> Any:
    value = getattr(layer, setting, None)
    return getattr(value, "__name__", value)


def copied(name: str, side: int) -> tuple[models.Model, Any]:
    """Both with the same weights, drawn so that activations keep their size."""
    options = {"weights": None, "classes": 5, "input_shape": (side, side, 3)}
    options["classifier_activation"] = None
    keras.backend.clear_session()
    their = getattr(keras.applications, name)(**options)
    our = ours(name, **options)
    generator = np.random.default_rng(0)
    for layer in their.layers[1:]:
        values = layer.get_weights()
        if "batch_norm" in layer.name or layer.name.lower().endswith("bn") or "bn_" in layer.name:
            values = [generator.uniform(0.5, 1.5, w.shape) for w in values]
        elif layer.name == "normalization":
            values = [np.full(3, 0.5), np.full(3, 0.1), values[2]]
        layer.set_weights(values)
        our.get_layer(layer.name).set_weights(values)
    return our, their


@every_network
def test_outputs_equal_keras(name: str) -> None:
    side = NETWORKS[name][1] + 5  # odd and even sizes on the way down
    our, their = copied(name, side)
    images = np.random.default_rng(1).uniform(-1, 1, (2, side, side, 3)).astype("float32")
    images *= 255 if name == "EfficientNetB0" else 1
    with torch.no_grad():
        expected = their(images, training=False).numpy()
        found = our(images).numpy()
    scale = np.abs(expected).max()
    assert scale > 1e-3
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-4)
    our.layers[-1].set_weights([w + 1 for w in our.layers[-1].get_weights()])  # planted
    with torch.no_grad():
        assert np.abs(our(images).numpy() - expected).max() > 1e-2 * scale


@every_network
def test_the_signature_is_that_of_keras(name: str) -> None:
    our = inspect.signature(getattr(applications, name)).parameters
    their = inspect.signature(getattr(keras.applications, name)).parameters
    assert list(our) == list(their)
    for key, parameter in our.items():
        if key != "weights":  # nothing is fetched unasked
            assert parameter.default == their[key].default


@every_network
def test_without_top_and_as_a_base(name: str) -> None:
    _, side, channels = NETWORKS[name]
    base = ours(name, include_top=False, input_shape=(side, side, 3))
    assert base.output_shape[-1] == channels and len(base.output_shape) == 4
    images = torch.randint(0, 256, (1, side, side, 3), dtype=torch.uint8)
    with torch.no_grad():
        assert feature_extractor(base)(images).shape == (1, channels)


@pytest.mark.parametrize("pooling", ["avg", "max"])
def test_pooling_for_any_size_of_picture(pooling: Any) -> None:
    base = ours("MobileNetV2", include_top=False, pooling=pooling)
    assert base.input_shape == (None, None, None, 3) and base.output_shape == (None, 1280)


def test_wrong_settings() -> None:
    with pytest.raises(ArgumentError, match="pooling"):
        ours("MobileNetV2", include_top=False, pooling="mean")
    with pytest.raises(WeightsError, match="not fetched"):
        ours("MobileNetV2", weights="imagenet")


@pytest.mark.parametrize("alpha", [0.35, 1.4])
def test_mobilenets_width(alpha: float) -> None:
    expected = keras.applications.MobileNetV2(weights=None, alpha=alpha)
    found = applications.MobileNetV2(alpha=alpha)
    assert found.count_params() == expected.count_params() and found.name == expected.name
    with pytest.raises(ArgumentError, match="alpha"):
        applications.MobileNetV2(alpha=0)


def test_weights_from_a_file(tmp_path: Path) -> None:
    trained = ours("MobileNetV2", include_top=False)
    torch.save(trained.state_dict(), tmp_path / "w.pth")
    again = ours("MobileNetV2", weights=tmp_path / "w.pth", classes=3)
    assert again.load_report.head_kept == ("predictions.weight", "predictions.bias")
    assert again.preprocessing.scale == 1 / 127.5
    with pytest.raises(WeightsError, match="with another shape"):
        ours("MobileNetV2", weights=tmp_path / "w.pth", alpha=0.5)


@pytest.mark.slow
@every_network
def test_keras_opens_our_files_and_we_export(name: str, tmp_path: Path) -> None:
    side = NETWORKS[name][1]
    our, _ = copied(name, side)
    images = torch.rand(2, side, side, 3)
    with torch.no_grad():
        expected = our(images)
        scale = expected.abs().max()
        there = keras.models.load_model(our.save(tmp_path / "ours.keras"))
        torch.testing.assert_close(
            there(images, training=False) / scale, expected / scale, rtol=0, atol=1e-4
        )
        torch.compiler.reset()
        compiled = torch.compile(our, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(images) / scale, expected / scale, rtol=0, atol=1e-4)
        exported = torch.export.export(our, (images,)).module()
        torch.testing.assert_close(exported(images) / scale, expected / scale, rtol=0, atol=1e-4)
