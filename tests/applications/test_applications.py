"""Keras' other applications against Keras itself: numbers, names, order, outputs, signatures."""

from __future__ import annotations

import inspect
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import applications, layers, models
from stroma.core.errors import ArgumentError, WeightsError
from stroma.saving.arrays import ordered_layers
from stroma.transfer import feature_extractor

# numbers in all, smallest side that the builder takes, channels without top
QUICK: dict[str, tuple[int, int, int]] = {
    "MobileNetV2": (3_538_984, 32, 1280),
    "MobileNet": (4_253_864, 32, 1024),
    "MobileNetV3Small": (2_554_968, 32, 576),
}
SLOW: dict[str, tuple[int, int, int]] = {
    "ResNet50": (25_636_712, 32, 2048),
    "ResNet101": (44_707_176, 32, 2048),
    "ResNet50V2": (25_613_800, 32, 2048),
    "ResNet101V2": (44_675_560, 32, 2048),
    "VGG16": (138_357_544, 32, 512),
    "VGG19": (143_667_240, 32, 512),
    "DenseNet121": (8_062_504, 32, 1024),
    "DenseNet169": (14_307_880, 32, 1664),
    "DenseNet201": (20_242_984, 32, 1920),
    "MobileNetV3Large": (5_507_432, 32, 960),
    "EfficientNetB0": (5_330_571, 32, 1280),
    "EfficientNetB1": (7_856_239, 32, 1280),
    "EfficientNetB2": (9_177_569, 32, 1408),
    "EfficientNetB3": (12_320_535, 32, 1536),
    "EfficientNetV2B0": (7_200_312, 32, 1280),
    "EfficientNetV2B1": (8_212_124, 32, 1280),
    "EfficientNetV2B2": (10_178_374, 32, 1408),
    "EfficientNetV2B3": (14_467_622, 32, 1536),
    "EfficientNetV2S": (21_612_360, 32, 1280),
    "ConvNeXtTiny": (28_589_128, 32, 768),
    "Xception": (22_910_480, 71, 2048),
    "InceptionV3": (23_851_784, 75, 2048),
    "InceptionResNetV2": (55_873_736, 75, 1536),
    "NASNetMobile": (5_326_716, 32, 1056),
}
HEAVY = {  # deeper or wider than one whose outputs are compared: numbers and names only
    "ResNet152": 60_419_944,
    "ResNet152V2": 60_380_648,
    "EfficientNetB4": 19_466_823,
    "EfficientNetB5": 30_562_527,
    "EfficientNetB6": 43_265_143,
    "EfficientNetB7": 66_658_687,
    "EfficientNetV2M": 54_431_388,
    "EfficientNetV2L": 119_027_848,
    "ConvNeXtSmall": 50_223_688,
    "ConvNeXtBase": 88_591_464,
    "ConvNeXtLarge": 197_767_336,
    "ConvNeXtXLarge": 350_196_968,
    "NASNetLarge": 88_949_818,
}
NETWORKS = {**QUICK, **SLOW}
COUNTS = {**{name: known[0] for name, known in NETWORKS.items()}, **HEAVY}
SETTINGS = (
    "epsilon", "momentum", "rate", "noise_shape", "padding", "strides", "pool_size", "activation",
    "max_value", "use_bias", "scale",
)  # fmt: skip
every_network = pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in NETWORKS],
)


def ours(name: str, **options: Any) -> models.Model:
    return getattr(applications, name)(**options)


def keras_builder(name: str) -> Any:
    """Keras' own; on torch it refuses NASNetMobile, but its parts build it."""
    if name != "NASNetMobile":
        return getattr(keras.applications, name)
    from keras.src.applications.nasnet import NASNet

    return partial(
        NASNet, penultimate_filters=1056, num_blocks=4, stem_block_filters=32,
        skip_reduction=False, default_size=224, name="nasnet_mobile",
    )  # fmt: skip


def theirs(name: str, **options: Any) -> Any:
    keras.backend.clear_session()  # else its automatic names go on counting
    return keras_builder(name)(weights=None, **options)


def named_weights(held: list[Any]) -> list[tuple[str, tuple[int, ...]]]:
    # Keras counts the nameless weights of LayerScale: variable, variable_1, ...
    return [
        (f"{layer.name}/{re.sub('^variable.*', 'gamma', weight.name)}", tuple(weight.numpy().shape))
        for layer in held
        for weight in layer.weights
    ]


def test_every_network_of_keras_is_here() -> None:
    built = {name for name in dir(keras.applications) if name[0].isupper()}
    assert built == set(COUNTS) == {n for n in applications.__all__ if n[0].isupper()}


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in COUNTS]
)
def test_numbers_names_and_order(name: str) -> None:
    found, expected = ours(name), theirs(name)
    assert found.count_params() == expected.count_params() == COUNTS[name]
    assert named_weights(ordered_layers(found)) == named_weights(expected.layers)
    assert found.name == expected.name and found.input_shape == expected.input_shape
    for layer in expected.layers[1:]:  # those without weights too, all settings
        mine = found.get_layer(layer.name)
        for setting in SETTINGS:
            assert _plain(mine, setting) == _plain(layer, setting), (layer.name, setting)


def _plain(layer: Any, setting: str) -> Any:
    value = getattr(layer, setting, None)
    return getattr(value, "__name__", value)


def copied(name: str, side: int) -> tuple[models.Model, Any, torch.Tensor]:
    """Both with the same weights, and pictures; what BatchNorm knows is of the pictures.

    With other statistics a deep network says the same of every picture, and proves nothing.
    """
    options: dict[str, Any] = {"classes": 5, "input_shape": (side, side, 3)}
    options["classifier_activation"] = None
    our, their = ours(name, **options), theirs(name, **options)
    generator = np.random.default_rng(0)
    for layer in our.layers:
        values = layer.get_weights()
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
            layer.set_weights([w + generator.uniform(-0.3, 0.3, w.shape) for w in values])
        elif isinstance(layer, layers.LayerScale):
            layer.set_weights([generator.uniform(0.5, 1.5, w.shape) for w in values])
        elif layer.name == "normalization" and not layer.input_mean:
            layer.set_weights([np.full(3, 0.5), np.full(3, 0.1), values[2]])
    images = generator.uniform(-1, 1, (6, side, side, 3)).astype("float32")
    images *= 255 if name.startswith(("Eff", "ConvNeXt", "MobileNetV3")) else 1
    with torch.no_grad():
        our(torch.from_numpy(images), training=True)
    for layer in their.layers[1:]:
        if layer.weights:
            layer.set_weights(our.get_layer(layer.name).get_weights())
    return our, their, torch.from_numpy(images[:2])


@every_network
def test_outputs_equal_keras(name: str) -> None:
    side = NETWORKS[name][1] + 37  # odd and even sizes on the way down
    our, their, images = copied(name, side)
    with torch.no_grad():
        expected = their(images, training=False).numpy()
        found = our(images).numpy()
    scale = np.abs(expected).max()
    assert np.abs(expected[0] - expected[1]).max() > 1e-2 * scale > 0
    np.testing.assert_allclose(found / scale, expected / scale, atol=1e-4)
    with torch.no_grad():  # planted: pixels moved by one
        moved = our(images.roll(1, dims=1)).numpy()
    assert np.abs(moved - expected).max() > 1e-3 * scale


@pytest.mark.parametrize("name", COUNTS)
def test_the_signature_is_that_of_keras(name: str) -> None:
    assert getattr(applications, name).__name__ == name
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
    our, _, images = copied(name, side)
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
