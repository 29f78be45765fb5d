"""Resizing against Keras, Pillow, torch and the definition."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from oracle import keras
from stroma.functional.resizing import resize, resize_matrix

SIZES = [((7, 9), (14, 5)), ((5, 6), (5, 6)), ((12, 16), (4, 4)), ((3, 3), (10, 11))]


@pytest.mark.parametrize(("source", "target"), SIZES, ids=str)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("antialias", [False, True])
def test_resize_is_that_of_keras(source, target, interpolation, antialias):
    images = torch.rand(2, *source, 3)
    ours = resize(images, target, interpolation, antialias)
    theirs = keras.ops.image.resize(images, target, interpolation, antialias)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)
    pixels = (images * 255).to(torch.uint8)
    ours = resize(pixels, target, interpolation, antialias)
    theirs = keras.layers.Resizing(*target, interpolation, antialias=antialias)(pixels)
    assert ours.dtype == torch.uint8
    assert (ours.int() - theirs.int()).abs().max() <= 1


@pytest.mark.parametrize(("source", "target"), SIZES, ids=str)
@pytest.mark.parametrize("interpolation", ["bicubic", "lanczos3"])
def test_antialiased_kernels_are_those_of_pillow(source, target, interpolation):
    image = np.random.default_rng(0).random(source, dtype=np.float32)
    kernel = {"bicubic": Image.Resampling.BICUBIC, "lanczos3": Image.Resampling.LANCZOS}
    theirs = Image.fromarray(image).resize(target[::-1], kernel[interpolation])
    ours = resize(torch.from_numpy(image)[None, ..., None], target, interpolation, antialias=True)
    np.testing.assert_allclose(ours[0, ..., 0], np.asarray(theirs), atol=2e-6)


def test_bicubic_is_keys_with_a_half_and_not_that_of_torch():
    """Enlarging, an antialiased kernel is the plain one, and torch's antialiased one has -1/2."""
    images = torch.rand(1, 6, 7, 1)
    ours = resize(images, (13, 9), "bicubic").permute(0, 3, 1, 2)
    x = images.permute(0, 3, 1, 2)
    right = F.interpolate(x, (13, 9), mode="bicubic", antialias=True)
    wrong = F.interpolate(x, (13, 9), mode="bicubic")
    torch.testing.assert_close(ours, right, rtol=0, atol=1e-6)
    assert (ours - wrong).abs().max() > 0.01


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 12),
    st.sampled_from([("bicubic", 2), ("lanczos3", 3), ("lanczos5", 5)]), st.booleans(),
)  # fmt: skip
def test_every_weight_by_its_definition(source, target, kernel, antialias):
    name, radius = kernel
    stretch = max(source / target, 1.0) if antialias else 1.0

    def weight(x):
        x = abs(x)
        if x >= radius:
            return 0.0
        if name == "bicubic":
            return 1 - 2.5 * x**2 + 1.5 * x**3 if x < 1 else 2 - 4 * x + 2.5 * x**2 - 0.5 * x**3
        if x == 0:
            return 1.0
        return radius * math.sin(math.pi * x) * math.sin(math.pi * x / radius) / (math.pi * x) ** 2

    matrix = resize_matrix(source, target, name, antialias)
    for row in range(target):
        centre = (row + 0.5) * source / target - 0.5
        weights = [weight((column - centre) / stretch) for column in range(source)]
        expected = np.array(weights) / sum(weights)
        np.testing.assert_allclose(matrix[row], expected, atol=1e-9)


def test_overshoot_of_bytes_is_cut_off():
    step = torch.zeros(1, 4, 4, 1, dtype=torch.uint8)
    step[:, :, 2:] = 255
    y = resize(step, (4, 16), "bicubic")
    exact = resize(step.float(), (4, 16), "bicubic")
    assert exact.max() > 255
    assert (y.max(), y.min()) == (255, 0)
