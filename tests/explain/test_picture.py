"""Pictures: colours that everyone can order, overlays in the right place, readable sheets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from stroma import zoo
from stroma.explain import (
    feature_maps,
    filters,
    gradcam,
    integrated_gradients,
    maximise_activation,
    receptive_field_on,
    top_images,
)
from stroma.explain.colours import sequential, signed
from stroma.explain.explanation import Explanation
from stroma.explain.picture import Bar, displayable, scale_of, wrapped

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
DEFICIENCIES = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
               [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
               [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
               [0.004733, 0.691367, 0.303900]],
}  # fmt: skip


def luminance(colours, vision=None):
    encoded = colours / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    if vision is not None:
        linear = np.clip(linear @ np.array(DEFICIENCIES[vision]).T, 0, 1)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("vision", [None, *DEFICIENCIES])
def test_lightness_alone_tells_the_order(vision):
    seen = luminance(sequential(np.linspace(0, 1, 101)), vision)
    assert (np.diff(seen) > 0).all()
    assert (seen[-1] + 0.05) / (seen[0] + 0.05) > 10  # contrast of the ends


def test_the_order_test_catches_jet():
    t = np.linspace(0, 1, 101)
    jet = np.stack([1.5 - np.abs(4 * t - k) for k in (3, 2, 1)], -1).clip(0, 1) * 255
    assert not (np.diff(luminance(jet)) > 0).all()


@pytest.mark.parametrize("vision", [None, *DEFICIENCIES])
def test_signs_are_told_apart(vision):
    both = np.stack([signed(np.array(-1.0)), signed(np.array(1.0))]).astype(float)
    if vision is not None:
        both = both / 255 @ np.array(DEFICIENCIES[vision]).T * 255
    assert np.abs(both[0] - both[1]).max() > 60


def planted(map_, image=None, **options):
    image = np.zeros((40, 60, 3), np.float32) if image is None else image
    facts = {"layer": "", "class_index": 0, "class_name": "a", "probability": 0.5,
             "method": "gradcam", "limits": "None."}  # fmt: skip
    return Explanation(map=np.asarray(map_, np.float32), image=image, **facts | options)


def test_measures_of_a_planted_map():
    map_ = np.zeros((40, 60))
    map_[5:15, 40:50] = 2
    map_[30, 3] = -9  # against the class: no part of what speaks for it
    found = planted(map_)
    assert found.share_in(40, 5, 10, 10) == pytest.approx(1)
    assert found.share_in(0, 0, 40, 40) == 0
    assert found.share_in(45, 0, 99, 99) == pytest.approx(0.5)
    assert found.centre() == pytest.approx((45, 10))
    assert found.half_area() == pytest.approx(50 / 2400, abs=1 / 2400)
    assert "2 % of the picture, around the upper right: x 45, y 10 of 60 × 40" in found.where()


def test_a_map_of_nothing():
    found = planted(np.zeros((4, 6)))
    assert np.isnan([found.share_in(0, 0, 9, 9), found.half_area(), *found.centre()]).all()
    assert "nothing" in found.where()
    assert found.picture().width > 300


@given(st.integers(0, 4), st.integers(0, 4))
def test_the_overlay_is_bright_where_the_map_is(row, column):
    map_ = np.zeros((5, 5))
    map_[row, column] = 1
    seen = luminance(np.asarray(planted(map_, np.zeros((50, 50, 3))).overlay()).astype(float))
    at = np.unravel_index(seen.argmax(), seen.shape)
    assert (at[0] // 10, at[1] // 10) == (row, column)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (np.array([[[0, 128, 255]]], np.uint8), [0, 128, 255]),
        (np.array([[[0, 0.5, 1]]]), [0, 128, 255]),
        (np.array([[[0.0, 128.0, 255.0]]]), [0, 128, 255]),
        (np.array([[[-1.0, 0.0, 1.0]]]), [0, 128, 255]),
        (np.array([[[1]]], np.uint8), [1, 1, 1]),
    ],
)
def test_any_input_can_be_shown(image, expected):
    assert displayable(image)[0, 0].tolist() == expected


def test_the_bar_says_when_values_lie_beyond_it():
    values = np.concatenate([np.linspace(-1, 1, 999), [50]])
    bar = scale_of(values, "part")
    assert bar.beyond and bar.high == -bar.low < 2
    assert scale_of(np.array([0.0, 3.0]), "part") == Bar(0.0, 3.0, "part")


def test_lines_fit():
    for line in wrapped("several words of a sentence that goes on × " * 5, 200, 12):
        assert len(line) < 60 and "×" not in line


def test_every_result_draws_itself():
    model = zoo.small_cnn()
    image = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    results = [
        gradcam(model, image), integrated_gradients(model, image, steps=4),
        feature_maps(model, image), filters(model), filters(model, "stage1.1.conv"),
        top_images(model, np.stack([image, image / 2]), "stage1.1.relu", 0),
        top_images(model, np.stack([image, image / 2]), "fc", 0),
        maximise_activation(model, "fc", 0, steps=2), receptive_field_on(model, image),
    ]  # fmt: skip
    for result in results:
        picture = result.picture()
        assert isinstance(picture, Image.Image) and picture.mode == "RGB"
        assert picture.width < 1400 and picture.getpixel((0, 0)) == (255, 255, 255)
    assert results[0].overlay().size == (32, 32)
