"""Pooling against Keras, and against the definition where Keras on torch is wrong."""

import itertools

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, close, random_inputs
from oracle import keras
from stroma import layers, models
from stroma.core.errors import ArgumentError, ShapeError
from stroma.functional import pooling

pair = st.tuples(st.integers(1, 4), st.integers(1, 4))


def by_definition(x, size, strides, reduce):
    """'same' pooling of (B, H, W, C), one window at a time, looking only at real pixels."""
    starts = []
    for n, k, s in zip(x.shape[1:3], size, strides):
        out = -(-n // s)
        before = max((out - 1) * s + k - n, 0) // 2
        starts.append([(max(i * s - before, 0), min(i * s - before + k, n)) for i in range(out)])
    rows = [
        torch.stack([reduce(x[:, top:bottom, left:right]) for left, right in starts[1]], 1)
        for top, bottom in starts[0]
    ]
    return torch.stack(rows, 1)


REDUCE = {
    "MaxPooling2D": lambda window: window.amax((1, 2)),
    "AveragePooling2D": lambda window: window.mean((1, 2)),
}


@settings(max_examples=80, deadline=None)
@given(size=st.tuples(st.integers(1, 11), st.integers(1, 11)), pool=pair, strides=pair)
def test_same_is_its_definition(size, pool, strides):
    x = torch.randn(2, *size, 3)
    for name, reduce in REDUCE.items():
        y = getattr(layers, name)(pool, strides, "same")(x)
        close(y, by_definition(x, pool, strides, reduce), 1e-6)


def each_axis(rank, lowest, highest):
    return st.tuples(*[st.integers(lowest, highest)] * rank)


@pytest.mark.parametrize("rank", [1, 2, 3])
@settings(max_examples=40, deadline=None)
@given(data=st.data(), padding=st.sampled_from(["valid", "same"]), first=st.booleans())
def test_random_configurations_equal_keras(rank, data, padding, first):
    size = data.draw(each_axis(rank, 4, 11 if rank < 3 else 7), label="size")
    pool = data.draw(each_axis(rank, 1, 4), label="pool")
    strides = data.draw(st.one_of(st.none(), each_axis(rank, 1, 4)), label="strides")
    arguments = {
        "pool_size": pool, "strides": strides, "padding": padding,
        "data_format": "channels_first" if first else "channels_last",
    }  # fmt: skip
    x = random_inputs([(2, *size) if first else (*size, 2)], batch=2)
    assert_parity(getattr(layers, f"MaxPooling{rank}D"), arguments, x)
    assume(padding == "valid")
    assert_parity(getattr(layers, f"AveragePooling{rank}D"), arguments, x)


@pytest.mark.parametrize("rank", [1, 2, 3])
@settings(max_examples=15, deadline=None)
@given(data=st.data(), keepdims=st.booleans(), first=st.booleans())
def test_pooling_of_everything_equals_keras(rank, data, keepdims, first):
    size = data.draw(each_axis(rank, 1, 7), label="size")
    wanted = data.draw(st.tuples(*[st.integers(1, n) for n in size]), label="wanted")
    shared = {"data_format": "channels_first" if first else "channels_last"}
    x = random_inputs([(2, *size) if first else (*size, 2)], batch=2)
    for kind in ("Max", "Average"):
        layer = getattr(layers, f"Global{kind}Pooling{rank}D")
        assert_parity(layer, {"keepdims": keepdims, **shared}, x)
        layer = getattr(layers, f"Adaptive{kind}Pooling{rank}D")
        assert_parity(layer, {"output_size": wanted, **shared}, x)


@settings(max_examples=25, deadline=None)
@given(rank=st.sampled_from([1, 3]), data=st.data())
def test_average_same_is_its_definition_in_every_rank(rank, data):
    """One axis after the other: the mean of a box inside is the mean of means of its lines."""
    size = data.draw(each_axis(rank, 1, 6), label="size")
    pool = data.draw(each_axis(rank, 1, 4), label="pool")
    strides = data.draw(each_axis(rank, 1, 4), label="strides")
    x = torch.randn(2, *size, 3)
    y = getattr(layers, f"AveragePooling{rank}D")(pool, strides, "same")(x)
    for axis in range(rank):
        line = x.movedim(axis + 1, 1).flatten(2)[..., None]  # (B, size, others, 1)
        pooled = by_definition(
            line, (pool[axis], 1), (strides[axis], 1), REDUCE["AveragePooling2D"]
        )
        rest = x.movedim(axis + 1, 1).shape[2:]
        x = pooled[..., 0].unflatten(2, rest).movedim(1, axis + 1)
    close(y, x, 1e-5)


@settings(max_examples=15, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=2, max_size=4), keepdims=st.booleans(),
    first=st.booleans(),
)  # fmt: skip
def test_the_masked_mean_is_that_of_keras(lengths, keepdims, first):
    x = torch.randn(len(lengths), 3, 5) if first else torch.randn(len(lengths), 5, 3)
    mask = torch.arange(5) < torch.tensor(lengths)[:, None]
    arguments = {
        "keepdims": keepdims, "data_format": "channels_first" if first else "channels_last",
    }  # fmt: skip
    ours, theirs = (
        room.GlobalAveragePooling1D(**arguments)(x, mask=mask) for room in (layers, keras.layers)
    )
    close(ours, theirs, 1e-5)
    mean = torch.stack([(row if not first else row.T)[:n].mean(0) for row, n in zip(x, lengths)])
    close(ours.flatten(1), mean, 1e-5)


def test_a_mask_reaches_the_mean_and_ends_there():
    x = torch.tensor([[[1.0], [0.0], [5.0]], [[0.0], [0.0], [0.0]]])
    entry = layers.Input((None, 1))
    pooled = layers.GlobalAveragePooling1D()(layers.Masking()(entry))
    assert pooled.mask is None
    y = models.Model(entry, pooled)(x)
    assert y.tolist() == [[3.0], [0.0]]  # Keras: NaN where nothing counts
    with pytest.raises(AssertionError):  # planted: a mean that does not see the mask
        close(layers.GlobalAveragePooling1D()(x), y, 1e-3)


def test_average_same_has_the_numbers_of_tensorflow():
    """KERAS.md: 6, 7.5, 12, 13.5 (Keras on torch counts a copied pixel: 6, 7.667, ...)."""
    x = torch.arange(1.0, 17).view(1, 4, 4, 1)
    y = layers.AveragePooling2D(3, 2, "same")(x).flatten()
    assert y.tolist() == [6.0, 7.5, 12.0, 13.5]
    with pytest.raises(AssertionError):
        assert_parity(layers.AveragePooling2D, {"pool_size": 3, "strides": 2, "padding": "same"}, x)


def test_counting_the_padding_would_be_caught(monkeypatch):
    x = torch.randn(1, 7, 7, 2)
    with_padding = lambda *a, **k: torch.nn.functional.avg_pool2d(  # noqa: E731
        *a, **{**k, "count_include_pad": True}
    )
    monkeypatch.setitem(pooling._AVERAGE, 2, with_padding)
    with pytest.raises(AssertionError):
        close(
            layers.AveragePooling2D(3, 2, "same")(x),
            by_definition(x, (3, 3), (2, 2), REDUCE["AveragePooling2D"]),
            1e-6,
        )


def test_padding_never_wins_a_maximum():
    x = torch.full((1, 5, 5, 2), -7.0)
    for k, s in itertools.product([2, 3, 4], [1, 2, 3]):
        assert (layers.MaxPooling2D(k, s, "same")(x) == -7).all()


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("strides", [1, 2])
def test_the_functions_take_any_rank(rank, strides):
    x = torch.randn(2, 3, *range(6, 6 + rank))
    for pool, name in ((pooling.max_pool, "amax"), (pooling.average_pool, "mean")):
        y = pool(x, (2,) * rank, (strides,) * rank, "same")
        assert y.shape[2:] == tuple(-(-n // strides) for n in x.shape[2:])
        first = x[(slice(None), slice(None), *[slice(0, 2)] * rank)]
        expected = getattr(first, name)(tuple(range(2, 2 + rank)))
        torch.testing.assert_close(y[(slice(None), slice(None), *[0] * rank)], expected)


def test_strides_are_the_pool_size_by_default():
    assert layers.MaxPooling2D((2, 3))(torch.zeros(1, 6, 6, 1)).shape == (1, 3, 2, 1)


def test_wrong_arguments_and_shapes():
    with pytest.raises(ArgumentError, match="pool_size must be 1 or more"):
        layers.MaxPooling2D(0)
    with pytest.raises(ShapeError, match="window of 3 does not fit an axis of 2"):
        layers.AveragePooling2D(3)(torch.zeros(1, 2, 2, 1))
    with pytest.raises(ShapeError, match="takes 4 axes"):
        layers.GlobalAveragePooling2D()(torch.zeros(2, 4, 3))
