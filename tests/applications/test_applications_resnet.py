"""Keras' ResNets: their ends, and files of torchvision's variant refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stroma import applications, zoo
from stroma.core.errors import ArgumentError, WeightsError
from stroma.core.preprocessing import PREPROCESSING_MODES


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
