"""A training step copies no activation to change its layout; the counter is proven to see one."""

import pytest
import torch

from layout_copies import layout_copies
from stroma import layers

BATCH = 5


class Residual(layers.Layer):
    def __init__(self, planted=False):
        super().__init__()
        self.planted = planted
        self.conv1 = layers.Conv2D(16, 3, padding="same")
        self.norm1 = layers.BatchNormalization()
        self.conv2 = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)
        self.norm2 = layers.BatchNormalization()
        self.shortcut = layers.Conv2D(16, 1, strides=2)
        self.relu, self.pool = layers.ReLU(), layers.MaxPooling2D(2, padding="same")
        self.drop = layers.SpatialDropout2D(0.2)
        self.top = torch.nn.Sequential(layers.GlobalAveragePooling2D(), layers.Dense(3))

    def call(self, inputs, training=False):
        y = self.relu(self.norm1(self.conv1(inputs)))
        if self.planted:
            y = y.permute(0, 3, 1, 2).contiguous().permute(0, 2, 3, 1)
        y = self.relu(self.norm2(self.conv2(y)) + self.shortcut(inputs))
        return self.top(self.drop(self.pool(y)))


def copies_of(layer, shape):
    x = torch.randn(shape, requires_grad=True)
    target = torch.rand_like(layer(x))
    return layout_copies(
        lambda: (layer(x, training=True) * target).sum().backward(), BATCH, len(shape)
    )


def test_a_residual_block_copies_nothing():
    assert copies_of(Residual(), (BATCH, 17, 17, 3)) == []


def test_a_planted_contiguous_is_found():
    """And with it what it costs: the convolution copies back, forward and backward."""
    found = copies_of(Residual(planted=True), (BATCH, 17, 17, 3))
    assert {copy.asked_by for copy in found} >= {"aten::contiguous", "aten::conv2d"}
    assert found[0].shape == (BATCH, 16, 17, 17)


@pytest.mark.parametrize(
    "shape", [(BATCH, 4), (BATCH, 6, 4), (BATCH, 6, 7, 4), (BATCH, 3, 6, 7, 4)]
)
def test_batch_normalization_copies_nothing(shape):
    assert copies_of(layers.BatchNormalization(), shape) == []


SEQUENCE, PICTURE, VOLUME = (BATCH, 9, 4), (BATCH, 9, 9, 4), (BATCH, 5, 6, 7, 4)


@pytest.mark.parametrize(("layer", "shape"), [
    (layers.Conv1D(6, 3, padding="same"), SEQUENCE),
    (layers.DepthwiseConv1D(3), SEQUENCE),
    (layers.Conv1DTranspose(6, 4, strides=2, padding="same"), SEQUENCE),
    (layers.Conv2DTranspose(6, 4, strides=2, padding="same"), PICTURE),
    (layers.Conv3D(6, 3, padding="same"), VOLUME),
    (layers.Conv3DTranspose(6, 3, strides=2), VOLUME),
], ids=lambda value: getattr(value, "name", None))  # fmt: skip
def test_convolutions_of_every_rank_copy_nothing(layer, shape):
    """Of every rank that the activation may have on its way: (B, C, T) goes as (B, C, 1, T)."""
    x = torch.randn(shape, requires_grad=True)
    target = torch.rand_like(layer(x))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # with one, torch's small convolutions copy the bias as a picture
    try:
        for rank in (3, 4, 5):
            step = lambda: (layer(x, training=True) * target).sum().backward()  # noqa: E731
            assert layout_copies(step, BATCH, rank) == []
    finally:
        torch.set_num_threads(threads)
