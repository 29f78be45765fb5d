"""Affine maps, flips and crops against Keras, scipy and plain indexing."""

import numpy as np
import pytest
import scipy.ndimage
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import keras
from stroma.functional.geometry import (
    FILL_MODES,
    affine,
    crop,
    flip,
    rotation_matrices,
    translation_matrices,
    zoom_matrices,
)

SCIPY = {"constant": "constant", "nearest": "nearest", "reflect": "reflect", "wrap": "grid-wrap"}


def random_matrices(batch, seed=0, size=8.0):
    """Turns, stretches and shifts that leave the picture on every side."""
    generator = torch.Generator().manual_seed(seed)
    linear = torch.eye(2) + torch.randn(batch, 2, 2, generator=generator) * 0.5
    shift = torch.randn(batch, 2, 1, generator=generator) * size
    return torch.cat([linear, shift], 2)


def by_keras(images, matrices, fill_mode, interpolation, fill_value):
    flat = torch.cat([matrices.flatten(1), torch.zeros(len(matrices), 2)], 1)
    return keras.ops.image.affine_transform(
        images, flat, interpolation, fill_mode, fill_value, data_format="channels_last"
    )


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("fill_value", [0.0, 0.7])
def test_affine_is_that_of_keras(fill_mode, interpolation, fill_value):
    images = torch.rand(6, 9, 12, 3)
    matrices = random_matrices(6)
    ours = affine(images, matrices, fill_mode, interpolation, fill_value)
    theirs = by_keras(images, matrices, fill_mode, interpolation, fill_value)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


@pytest.mark.parametrize("fill_mode", FILL_MODES)
@pytest.mark.parametrize("order", [0, 1])
def test_affine_is_that_of_scipy(fill_mode, order):
    images = torch.rand(4, 7, 11, 1, dtype=torch.float64)
    matrices = random_matrices(4, seed=3).double()
    ours = affine(images, matrices, fill_mode, ("nearest", "bilinear")[order], 0.25)
    for image, matrix, y in zip(images, matrices, ours, strict=True):
        rows, columns = np.mgrid[:7, :11]
        (a, b, c), (d, e, f) = matrix.tolist()
        sources = [d * columns + e * rows + f, a * columns + b * rows + c]
        # scipy blends nothing beyond the edge with "constant"; Keras blends: pad to see the same
        padded = np.pad(image[..., 0].numpy(), 40, constant_values=0.25)
        if fill_mode == "constant":
            image, sources = padded, [s + 40 for s in sources]
        else:
            image = image[..., 0].numpy()
        theirs = scipy.ndimage.map_coordinates(
            image, sources, order=order, mode=SCIPY[fill_mode], cval=0.25
        )
        np.testing.assert_allclose(y[..., 0], theirs, atol=1e-9)


def test_a_planted_swap_of_the_axes_is_caught():
    images, matrices = torch.rand(2, 8, 8, 1), random_matrices(2)
    right = by_keras(images, matrices, "constant", "bilinear", 0.0)
    assert not torch.allclose(affine(images, matrices.flip(1)), right, atol=1e-2)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 7), st.integers(1, 7), st.integers(-9, 9), st.integers(-9, 9),
    st.sampled_from(FILL_MODES), st.sampled_from(["nearest", "bilinear"]),
)  # fmt: skip
def test_whole_shifts_are_exact(height, width, down, right, fill_mode, interpolation):
    """Against numpy's padding: its "symmetric" is Keras' reflect."""
    image = torch.arange(1.0, height * width + 1).reshape(1, height, width, 1)
    shift = translation_matrices(torch.tensor([float(down)]), torch.tensor([float(right)]))
    y = affine(image, shift, fill_mode, interpolation)[0, ..., 0]
    modes = {"nearest": "edge", "reflect": "symmetric", "wrap": "wrap", "constant": "constant"}
    padded = np.pad(image[0, ..., 0].numpy(), 9, mode=modes[fill_mode])
    expected = padded[9 - down : 9 - down + height, 9 - right : 9 - right + width]
    np.testing.assert_allclose(y, expected, atol=1e-3)


def test_bytes_stay_bytes_and_are_rounded():
    images = torch.randint(0, 256, (5, 8, 9, 3), dtype=torch.uint8)
    matrices = random_matrices(5)
    ours = affine(images, matrices, "reflect")
    theirs = by_keras(images, matrices.clone(), "reflect", "bilinear", 0)
    assert ours.dtype == torch.uint8
    assert (ours.int() - theirs.int()).abs().max() <= 1  # a half may round either way
    assert (ours != theirs).float().mean() < 0.01
    exact = affine(images.float(), matrices, "reflect")
    assert torch.equal(ours, exact.round().to(torch.uint8))
    assert affine(images.bfloat16(), matrices).dtype == torch.bfloat16


def test_gradients_reach_the_pixels():
    images = torch.rand(2, 4, 5, 1, dtype=torch.float64, requires_grad=True)
    for fill_mode in FILL_MODES:
        assert torch.autograd.gradcheck(
            lambda x, mode=fill_mode: affine(x, random_matrices(2, size=1), mode, fill_value=0.3),
            images,
        )


def test_rotation_turns_counter_clockwise():
    image = torch.zeros(1, 5, 5, 1)
    image[0, 2, 4] = 1  # to the right of the centre
    turned = affine(image, rotation_matrices(torch.tensor([np.pi / 2]), 5, 5))
    assert turned[0, 0, 2, 0] == pytest.approx(1, abs=1e-5)  # above it
    quarter = rotation_matrices(torch.tensor([np.pi / 2]), 6, 6)
    images = torch.rand(1, 6, 6, 2)
    torch.testing.assert_close(affine(images, quarter), images.rot90(1, (1, 2)), atol=1e-5, rtol=0)


def test_zoom_and_translation_signs():
    image = torch.zeros(1, 9, 9, 1)
    image[:, 3:6, 3:6] = 1
    two, half = torch.tensor([2.0]), torch.tensor([0.5])
    assert affine(image, zoom_matrices(two, two, 9, 9)).sum() < image.sum()  # above 1 zooms out
    assert affine(image, zoom_matrices(half, half, 9, 9)).sum() > image.sum()
    wide = affine(image, zoom_matrices(torch.ones(1), half, 9, 9))[0, ..., 0]
    assert wide[4].sum() > 4
    assert wide[:, 4].sum() == pytest.approx(3)
    moved = affine(image, translation_matrices(torch.tensor([2.0]), torch.tensor([-1.0])))
    torch.testing.assert_close(moved, image.roll((2, -1), (1, 2)))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 9), st.integers(1, 9), st.integers(1, 3), st.data())
def test_crop_is_slicing(batch, height, width, channels, data):
    h, w = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    images = torch.randint(0, 256, (batch, height, width, channels), dtype=torch.uint8)
    top = torch.randint(height - h + 1, (batch,))
    left = torch.randint(width - w + 1, (batch,))
    expected = [image[t : t + h, s : s + w] for image, t, s in zip(images, top, left, strict=True)]
    cut = crop(images, top, left, h, w)
    assert torch.equal(cut, torch.stack(expected))
    assert cut.is_contiguous()


def test_flip_takes_the_chosen_ones():
    images = torch.rand(3, 4, 5, 2)
    y = flip(images, torch.tensor([True, False, True]), 2)
    assert torch.equal(y[0], images[0].flip(1))
    assert torch.equal(y[1], images[1])
    assert torch.equal(flip(images, torch.ones(3).bool(), 1), images.flip(1))
