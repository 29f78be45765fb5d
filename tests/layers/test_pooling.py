"""Pooling against Keras, and against the definition where Keras on torch is wrong."""

import itertools

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, close, random_inputs
from stroma import layers
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


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(4, 11), st.integers(4, 11)),
    pool=pair, strides=st.one_of(st.none(), pair), padding=st.sampled_from(["valid", "same"]),
    first=st.booleans(),
)  # fmt: skip
def test_random_configurations_equal_keras(size, pool, strides, padding, first):
    arguments = {
        "pool_size": pool, "strides": strides, "padding": padding,
        "data_format": "channels_first" if first else "channels_last",
    }  # fmt: skip
    x = random_inputs([(2, *size) if first else (*size, 2)], batch=2)
    assert_parity(layers.MaxPooling2D, arguments, x)
    assume(padding == "valid")
    assert_parity(layers.AveragePooling2D, arguments, x)


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
