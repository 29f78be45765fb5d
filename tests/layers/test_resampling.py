"""Up-sampling, padding, cropping: against Keras, torch and closed forms."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, close, random_inputs
from stroma import layers
from stroma.core.errors import ArgumentError, ShapeError

ends = st.tuples(st.integers(0, 3), st.integers(0, 3))


@settings(max_examples=25, deadline=None)
@given(
    size=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    factors=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    kind=st.sampled_from(["nearest", "bilinear"]), first=st.booleans(),
)  # fmt: skip
def test_up_sampling_equals_keras(size, factors, kind, first):
    arguments = {
        "size": factors, "interpolation": kind,
        "data_format": "channels_first" if first else "channels_last",
    }  # fmt: skip
    x = random_inputs([(2, *size) if first else (*size, 2)])
    assert_parity(layers.UpSampling2D, arguments, x)


def test_bicubic_is_keys_kernel():
    """torch's antialiasing bicubic is Keys' kernel (a = -0.5) when a picture grows."""
    x = torch.randn(2, 5, 7, 3, dtype=torch.float64)
    y = layers.UpSampling2D((2, 3), interpolation="bicubic", dtype="float64")(x)
    nchw = x.permute(0, 3, 1, 2)
    expected = F.interpolate(nchw, (10, 21), mode="bicubic", antialias=True).permute(0, 2, 3, 1)
    close(y, expected, 1e-6)
    plain = F.interpolate(nchw, (10, 21), mode="bicubic").permute(0, 2, 3, 1)
    with pytest.raises(AssertionError):
        close(y, plain, 1e-2)  # a = -0.75


@settings(max_examples=25, deadline=None)
@given(pads=st.one_of(st.integers(0, 3), ends, st.tuples(ends, ends)), first=st.booleans())
def test_padding_and_cropping_equal_keras_and_undo_each_other(pads, first):
    fmt = {"data_format": "channels_first" if first else "channels_last"}
    x = random_inputs([(2, 8, 9) if first else (8, 9, 2)])
    assert_parity(layers.ZeroPadding2D, {"padding": pads, **fmt}, x)
    assert_parity(layers.Cropping2D, {"cropping": pads, **fmt}, x)
    padded = layers.ZeroPadding2D(pads, **fmt)(x)
    assert torch.equal(layers.Cropping2D(pads, **fmt)(padded), x)


@pytest.mark.parametrize("rank", [1, 3])
@settings(max_examples=20, deadline=None)
@given(data=st.data(), first=st.booleans())
def test_sequences_and_volumes_equal_keras(rank, data, first):
    number = st.integers(0, 2)
    ways = st.tuples(number, number) if rank == 1 else st.tuples(*[st.tuples(number, number)] * 3)
    pads = data.draw(st.one_of(number, ways), label="pads")
    factors = data.draw(st.tuples(*[st.integers(1, 3)] * rank), label="factors")
    size = data.draw(st.tuples(*[st.integers(5, 7)] * rank), label="size")
    shared = {"data_format": "channels_first" if first else "channels_last"}
    x = random_inputs([(2, *size) if first else (*size, 2)], batch=2)
    assert_parity(getattr(layers, f"ZeroPadding{rank}D"), {"padding": pads, **shared}, x)
    if rank == 1:  # Keras' have no data_format
        shared, factors = {}, factors[0]
    assert_parity(getattr(layers, f"UpSampling{rank}D"), {"size": factors, **shared}, x)
    if rank == 1 and first:
        x = x.movedim(1, -1)
    assert_parity(getattr(layers, f"Cropping{rank}D"), {"cropping": pads, **shared}, x)


def test_wrong_arguments_and_shapes():
    with pytest.raises(ArgumentError, match="one number, 3, or 3 pairs"):
        layers.Cropping3D((1, 2))
    with pytest.raises(ArgumentError, match="one number, 1, or 1 pairs"):
        layers.ZeroPadding1D((1, 2, 3))
    with pytest.raises(ArgumentError, match="2 pairs"):
        layers.ZeroPadding2D((1, 2, 3))
    with pytest.raises(ArgumentError, match="0 or more"):
        layers.Cropping2D(-1)
    with pytest.raises(ShapeError, match="leaves nothing"):
        layers.Cropping2D(2)(torch.zeros(1, 4, 9, 1))
    with pytest.raises(ArgumentError, match="Did you mean 'bilinear'"):
        layers.UpSampling2D(interpolation="bilinaer")
