"""Preprocessing against Keras' `preprocess_input` and against torchvision's published formula."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from oracle import keras
from stroma.core.errors import ArgumentError, ShapeError
from stroma.core.preprocessing import PREPROCESSING_MODES, Preprocessing

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)


@pytest.mark.parametrize("mode", ["torch", "caffe", "tf"])
def test_modes_equal_keras(mode: str) -> None:
    expected = keras.applications.imagenet_utils.preprocess_input(
        PIXELS.astype("float32"), data_format="channels_last", mode=mode
    )
    found = PREPROCESSING_MODES[mode](PIXELS)
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-5)
    swapped = PREPROCESSING_MODES[mode](PIXELS[..., ::-1].copy())
    assert np.abs(swapped.numpy() - expected).max() > 0.1  # the mistake everyone makes is caught


def test_travels_as_plain_data() -> None:
    mode = Preprocessing(size=(232, 224), resize=256, mean=(0.5, 0.25, 0), color="bgr")
    assert Preprocessing(**json.loads(json.dumps(mode.to_dict()))) == mode


def test_any_number_type() -> None:
    for dtype in (torch.uint8, torch.float64, torch.float16, torch.int64):
        found = PREPROCESSING_MODES["tf"](torch.as_tensor(PIXELS).to(dtype))
        assert found.dtype == torch.float32
        assert torch.equal(found, PREPROCESSING_MODES["tf"](PIXELS))


@pytest.mark.parametrize(
    "setting",
    [
        {"color": "gbr"},
        {"size": (0, 3)},
        {"scale": 0},
        {"std": (1, 0, 1)},
        {"mean": (1, 2)},
        {"mean": (1, 2, float("nan"))},
        {"resize": -1},
    ],
)
def test_wrong_settings(setting: dict[str, object]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(setting))):
        Preprocessing(**setting)


def test_channels_first_is_refused() -> None:
    with pytest.raises(ShapeError, match="permute"):
        PREPROCESSING_MODES["torch"](np.moveaxis(PIXELS, -1, 1))
