"""Rescaling, Normalization and Resizing against Keras and NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle import keras
from stroma import layers
from stroma.core.batches import Batch
from stroma.core.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError

PIXELS = torch.randint(0, 256, (3, 6, 9, 3), dtype=torch.uint8)


@pytest.mark.parametrize("offset", [0.0, -1.0, [0.1, 0.2, 0.3]], ids=str)
@pytest.mark.parametrize("scale", [1 / 127.5, [1.0, 2.0, 3.0]], ids=str)
@pytest.mark.parametrize("x", [PIXELS, torch.randn(2, 3)], ids=["bytes", "floats"])
def test_rescaling_is_that_of_keras(scale, offset, x):
    ours, theirs = layers.Rescaling(scale, offset), keras.layers.Rescaling(scale, offset)
    assert ours(x).dtype == torch.float32
    torch.testing.assert_close(ours(x), theirs(x))
    again = layers.Rescaling.from_config(ours.get_config())
    assert torch.equal(again(x), ours(x))
    assert ours.state_dict() == {}


def test_rescaling_dtypes_and_errors():
    assert layers.Rescaling(2.0, dtype="float64")(PIXELS).dtype == torch.float64
    assert layers.Rescaling([1.0, 2, 3], dtype="mixed_bfloat16")(PIXELS).dtype == torch.bfloat16
    with pytest.raises(ArgumentTypeError, match="scale must be a number"):
        layers.Rescaling("1/255")


@pytest.mark.parametrize("axis", [-1, None, 1, (1, 3), [2, -1]], ids=str)
@pytest.mark.parametrize("invert", [False, True])
def test_adapt_is_that_of_keras(axis, invert):
    x = torch.randn(20, 4, 3, 2) * torch.tensor([1.0, 50.0]) + 7
    ours = layers.Normalization(axis=axis, invert=invert)
    theirs = keras.layers.Normalization(axis=axis, invert=invert)
    ours.adapt(x), theirs.adapt(x.numpy())
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-4)
    shapes = [tuple(weight.shape) for weight in theirs.weights]
    assert [tuple(weight.shape) for weight in ours.weights] == shapes
    assert [w.path.split("/")[-1] for w in ours.weights] == ["mean", "variance", "count"]
    other = layers.Normalization(axis=axis, invert=invert)
    other(x)
    other.set_weights([weight.value.numpy() for weight in theirs.weights])
    torch.testing.assert_close(other(x), theirs(x), rtol=1e-4, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.floats(-1e4, 1e4))
def test_a_stream_gives_what_the_whole_array_gives(sizes, mean):
    x = np.random.default_rng(0).normal(mean, 0.5, (sum(sizes), 3))
    layer = layers.Normalization(dtype="float64")
    layer.adapt(np.split(x, np.cumsum(sizes)[:-1]))
    np.testing.assert_allclose(layer.mean[0].detach(), x.mean(0), rtol=1e-12)
    np.testing.assert_allclose(layer.variance[0].detach(), x.var(0), rtol=1e-9, atol=1e-12)


def test_adapt_from_every_kind_of_source(monkeypatch):
    x = torch.randn(30, 5) * 3 + 1
    whole = layers.Normalization()
    whole.adapt(x)

    class Source:
        def epoch(self, epoch, first=0):
            yield from (Batch(x=part, y=None, weight=None, size=len(part)) for part in x.split(7))

    loader = torch.utils.data.DataLoader
    dataset = torch.utils.data.TensorDataset(x, torch.zeros(30))
    sources = [
        x.numpy(), list(x.split(4)), ((part, None) for part in x.split(11)), Source(),
        [tuple(batch) for batch in loader(dataset, batch_size=8)], loader(dataset, batch_size=8),
    ]  # fmt: skip
    for source in sources:
        layer = layers.Normalization()
        layer.adapt(source)
        torch.testing.assert_close(layer.mean, whole.mean)
        torch.testing.assert_close(layer.variance, whole.variance)
    monkeypatch.setattr("stroma.layers.preprocessing._CHUNK", 12)  # parts of two rows
    layer = layers.Normalization()
    layer.adapt(x)
    torch.testing.assert_close(layer.variance, whole.variance)
    layer.adapt(2 * x)  # forgets what was learned before
    torch.testing.assert_close(layer.mean, 2 * whole.mean)


def test_float32_sums_would_lose_the_variance():
    """The planted mistake: E[x^2] - E[x]^2 in float32 is far off here."""
    x = torch.randn(4096, 1) * 0.1 + 3000
    naive = x.square().mean() - x.mean().square()
    layer = layers.Normalization()
    layer.adapt(x)
    assert float(layer.variance) == pytest.approx(float(x.double().var(correction=0)), rel=1e-5)
    assert abs(naive / x.double().var() - 1) > 0.5


@pytest.mark.parametrize(
    ("axis", "mean", "variance"),
    [
        (-1, 3.0, 4.0),
        (None, 1.0, 2.0),
        (-1, [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]),
        ((1, 3), [1, 2, 3], [4, 5, 6]),
    ],
)
def test_given_mean_and_variance(axis, mean, variance):
    x = PIXELS
    for invert in (False, True):
        arguments = {"axis": axis, "mean": mean, "variance": variance, "invert": invert}
        ours, theirs = layers.Normalization(**arguments), keras.layers.Normalization(**arguments)
        torch.testing.assert_close(ours(x), theirs(x))
        assert ours.weights == []
        again = layers.Normalization.from_config(ours.get_config())
        assert torch.equal(again(x), ours(x))


def test_a_constant_feature_is_not_divided_by_zero():
    layer = layers.Normalization()
    layer.adapt(torch.ones(4, 2))
    assert torch.equal(layer(torch.ones(4, 2)), torch.zeros(4, 2))


def test_normalization_errors():
    with pytest.raises(ArgumentError, match="belong together") as error:
        layers.Normalization(mean=1.0)
    assert set(error.value.parts()) == {"what", "where", "why", "try"}
    with pytest.raises(DataError, match="no data"):
        layers.Normalization().adapt([])
    with pytest.raises(ArgumentError, match="was given"):
        layers.Normalization(mean=1.0, variance=1.0).adapt(torch.ones(2, 2))
    with pytest.raises(ShapeError, match="known size"):
        layers.Normalization(axis=1)(layers.Input((None, 3)))
    with pytest.raises(ShapeError, match="a batch of shape"):
        layers.Normalization().adapt([torch.ones(2, 3), torch.ones(2, 4)])


@pytest.mark.parametrize("size", [(4, 4), (12, 3), (5, 20), (6, 9)])
@pytest.mark.parametrize("ratio", ["crop_to_aspect_ratio", "pad_to_aspect_ratio", None])
@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
def test_resizing_is_that_of_keras(size, ratio, interpolation):
    arguments = {
        "interpolation": interpolation,
        "fill_value": 0.5,
        **({ratio: True} if ratio else {}),
    }
    ours = layers.Resizing(*size, **arguments)
    theirs = keras.layers.Resizing(*size, **arguments)
    x = torch.rand(2, 6, 9, 3)
    torch.testing.assert_close(ours(x), theirs(x))
    torch.testing.assert_close(ours(x[0]), theirs(x[0]))
    first = layers.Resizing(*size, **arguments, data_format="channels_first")
    torch.testing.assert_close(first(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1), ours(x))
    assert (ours(PIXELS).int() - theirs(PIXELS).int()).abs().max() <= 1
    assert ours(PIXELS).dtype == theirs(PIXELS).dtype == torch.uint8


def test_resizing_of_unknown_sizes_and_its_errors():
    layer = layers.Resizing(4, 5, "lanczos5", antialias=True, crop_to_aspect_ratio=True)
    assert layer(layers.Input((None, None, 3))).shape == (None, 4, 5, 3)
    with pytest.raises(ArgumentError, match="exclude each other"):
        layers.Resizing(4, 4, crop_to_aspect_ratio=True, pad_to_aspect_ratio=True)
    with pytest.raises(ArgumentError, match="interpolation must be one of"):
        layers.Resizing(4, 4, "cubic")
    with pytest.raises(ArgumentError, match="height must be 1 or more"):
        layers.Resizing(0, 4)
    with pytest.raises(ShapeError, match="takes pictures"):
        layer(torch.zeros(4, 4))


def test_compile_and_export():
    x = torch.rand(2, 6, 9, 3)
    normalization = layers.Normalization()
    normalization.adapt(x)
    for layer in (normalization, layers.Rescaling([1.0, 2, 3], 1.0), layers.Resizing(4, 4)):
        compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(x), layer(x))
        torch.testing.assert_close(torch.export.export(layer, (x,)).module()(x), layer(x))
