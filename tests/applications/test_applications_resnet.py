"""Keras' ResNets against Keras itself, layer by layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import applications, zoo
from stroma.core.errors import ArgumentError, WeightsError
from stroma.core.preprocessing import PREPROCESSING_MODES

COUNTS = {"ResNet50": 25_636_712, "ResNet101": 44_707_176, "ResNet152": 60_419_944}


@pytest.mark.parametrize("name", COUNTS)
def test_counts(name: str) -> None:
    assert getattr(applications, name)().count_params() == COUNTS[name]


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # Keras' own, on NumPy 2
def test_numbers_equal_keras() -> None:
    keras.utils.set_random_seed(0)
    options = {"weights": None, "input_shape": (64, 64, 3), "classes": 5}
    theirs = keras.applications.ResNet50(**options)
    ours = applications.ResNet50(**options)
    with_weights = [layer for layer in theirs.layers if layer.weights]
    for layer in with_weights:
        if "_bn" in layer.name:  # statistics that are not the identity
            layer.set_weights([np.random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
        ours.get_layer(layer.name).set_weights(layer.get_weights())
    assert [x.name for x in ours.layers if x.weights] and len(with_weights) == 107
    images = np.random.default_rng(0).normal(size=(2, 64, 64, 3)).astype("float32")
    expected = theirs(images, training=False).detach().numpy()
    np.testing.assert_allclose(ours(images).detach().numpy(), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("pooling, shape", [
    (None, (None, None, None, 2048)), ("avg", (None, 2048)), ("max", (None, 2048)),
])  # fmt: skip
def test_without_top(pooling: str | None, shape: tuple[int | None, ...]) -> None:
    assert applications.ResNet50(include_top=False, pooling=pooling).output_shape == shape


def test_wrong_settings() -> None:
    with pytest.raises(ArgumentError, match="pooling"):
        applications.ResNet50(include_top=False, pooling="mean")
    with pytest.raises(WeightsError, match="not fetched"):
        applications.ResNet50(weights="imagenet")


def test_the_two_variants_refuse_one_another(tmp_path: Path) -> None:
    torch.save({"layer1.0.conv1.weight": torch.zeros(1)}, tmp_path / "torchvision.pth")
    with pytest.raises(WeightsError, match="belong to torchvision's variant"):
        applications.ResNet50(weights=tmp_path / "torchvision.pth")
    model = applications.ResNet50(classes=2, include_top=False)
    torch.save(model.state_dict(), tmp_path / "keras.pth")
    with pytest.raises(WeightsError, match="belong to Keras' variant"):
        zoo.resnet50(weights=tmp_path / "keras.pth")
    loaded = applications.ResNet50(weights=tmp_path / "keras.pth", classes=3)
    assert loaded.load_report.head_kept == ("predictions.weight", "predictions.bias")
    assert loaded.preprocessing == PREPROCESSING_MODES["caffe"]
