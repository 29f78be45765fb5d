"""Dropout: what is dropped, how much is left, which draws repeat."""

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import layers
from stroma.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from stroma.core.seeds import Draws, seed_step

LAYERS = [
    (layers.Dropout, (64, 400)),
    (layers.SpatialDropout1D, (200, 5, 128)),
    (layers.SpatialDropout2D, (200, 3, 4, 128)),
    (layers.SpatialDropout3D, (200, 2, 3, 2, 128)),
]


@pytest.mark.parametrize(("kind", "shape"), LAYERS, ids=lambda item: str(item)[-40:])
@pytest.mark.parametrize("seed", [None, 3])
@pytest.mark.parametrize("rate", [0.2, 0.75])
def test_what_is_left_is_scaled_so_that_the_mean_stays(kind, shape, seed, rate):
    torch.manual_seed(0)
    x = torch.ones(shape, requires_grad=True)
    y = kind(rate, seed=seed)(x, training=True)
    torch.testing.assert_close(y.detach().unique(), torch.tensor([0, 1 / (1 - rate)]))
    maps = y.detach().amax(tuple(range(1, y.dim() - 1))) if y.dim() > 2 else y.detach()
    draws = maps.numel()
    assert abs((maps == 0).float().mean() - rate) < 4.5 * (rate * (1 - rate) / draws) ** 0.5
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())  # linear: the gradient is the factor itself


@pytest.mark.parametrize(("kind", "shape"), LAYERS[1:], ids=lambda item: str(item)[-40:])
def test_spatial_dropout_drops_whole_maps(kind, shape):
    y = kind(0.5)(torch.ones(shape), training=True)
    spatial = tuple(range(1, y.dim() - 1))
    assert torch.equal(y.amin(spatial), y.amax(spatial))
    if kind is not layers.SpatialDropout1D:
        first = kind(0.5, data_format="channels_first")(torch.ones(shape), training=True)
        assert torch.equal(first.flatten(2).amin(2), first.flatten(2).amax(2))


def test_noise_shape_is_that_of_keras():
    for shape in [(None, 1, None), (4, 1, 8), (1, 6, 1)]:
        x = torch.ones(4, 6, 8)
        ours = layers.Dropout(0.5, noise_shape=shape)(x, training=True)
        theirs = keras.layers.Dropout(0.5, noise_shape=shape)(x, training=True)
        for y in (ours, theirs):
            for axis, size in enumerate(shape):
                same = torch.equal(y.amin(axis), y.amax(axis))
                assert same == (size == 1)


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_the_ends_of_the_range(rate):
    x = torch.randn(3, 4)
    y = layers.Dropout(rate)(x, training=True)
    assert torch.equal(y, x * (1 - rate))
    theirs = keras.layers.Dropout(rate)(x, training=True)
    assert torch.equal(y, theirs)


def test_inference_is_the_identity():
    x = torch.randn(3, 4)
    for layer in (layers.Dropout(0.5), layers.Dropout(0.5, seed=1)):
        assert layer(x) is x
        assert layer(x, training=False) is x


def test_seeded_draws_repeat_and_move_on():
    x = torch.ones(50, 50)
    first, second = layers.Dropout(0.5, seed=1), layers.Dropout(0.5, seed=1)
    torch.manual_seed(4)
    run = [first(x, training=True) for _ in range(3)]
    assert not torch.equal(run[0], run[1])
    torch.rand(17)  # what others draw does not matter
    assert all(torch.equal(y, second(x, training=True)) for y in run)
    assert not torch.equal(run[0], layers.Dropout(0.5, seed=2)(x, training=True))


@pytest.mark.parametrize("seed", [None, 9])
def test_a_resumed_run_draws_the_same(seed):
    """Step 7 draws the same, whether the steps before it were run or not."""
    x, layer = torch.ones(40, 40), layers.Dropout(0.5, seed=seed)
    for step in range(8):
        seed_step(1, step)
        through = layer(x, training=True)
    seed_step(1, 7)
    assert torch.equal(through, layers.Dropout(0.5, seed=seed)(x, training=True))
    seed_step(1, 8)
    assert not torch.equal(through, layer(x, training=True))


def test_draws_without_a_seed_and_without_numbers():
    assert Draws(None).generator("cpu") is None
    assert Draws(3).generator("meta") is None
    assert layers.Dropout(0.5, seed=3)(layers.Input((4,)), training=True).shape == (None, 4)


@pytest.mark.parametrize("seed", [None, 9])
def test_compile_in_training(seed):
    layer = layers.SpatialDropout2D(0.5, seed=seed)
    compiled = torch.compile(lambda v: layer(v, training=True), fullgraph=True, backend="aot_eager")
    y = compiled(torch.ones(8, 3, 3, 16))
    assert set(y.unique().tolist()) == {0.0, 2.0}


def test_masks_pass_through():
    x = torch.randn(2, 3, 4)
    x._keras_mask = torch.ones(2, 3, dtype=torch.bool)
    assert layers.Dropout(0.5)(x, training=True)._keras_mask is x._keras_mask


def test_spatial_config_is_one_that_keras_takes():
    layer = layers.SpatialDropout2D(0.3, data_format="channels_first", name="s")
    config = layer.get_config()
    assert "trainable" not in config
    assert keras.layers.SpatialDropout2D.from_config(config).data_format == "channels_first"
    assert layers.SpatialDropout2D.from_config(config).get_config() == config


def test_errors():
    with pytest.raises(ArgumentError, match=r"rate must lie in \[0, 1\]") as error:
        layers.Dropout(1.5)
    assert set(error.value.parts()) == {"what", "where", "why", "try"}
    with pytest.raises(ArgumentTypeError, match="noise_shape"):
        layers.Dropout(0.5, noise_shape="row")
    with pytest.raises(ArgumentError, match="noise_shape"):
        layers.Dropout(0.5, noise_shape=(0, 1))
    with pytest.raises(ShapeError, match="noise_shape"):
        layers.Dropout(0.5, noise_shape=(1, 2))(torch.ones(2, 2, 2), training=True)
    assert np.isclose(layers.Dropout(np.float32(0.5)).rate, 0.5)
