"""Convolution against Keras over random configurations, and what 'same' does at the edges."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, random_inputs
from stroma import layers
from stroma.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from stroma.functional import padding as arithmetic
from stroma.layers import convolution
from stroma.layers.convolution import BaseConv

pair = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(4, 13), st.integers(4, 13)),
    kernel=pair, strides=pair, dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.sampled_from(["valid", "same"]), groups=st.sampled_from([1, 2]),
    first=st.booleans(),
)  # fmt: skip
def test_random_configurations_equal_keras(size, kernel, strides, dilation, padding, groups, first):
    if max(strides) > 1:
        dilation = (1, 1)
    reach = [arithmetic.reach(k, d) for k, d in zip(kernel, dilation)]
    assume(padding == "same" or all(r <= n for r, n in zip(reach, size)))
    arguments = {
        "filters": 4, "kernel_size": kernel, "strides": strides, "dilation_rate": dilation,
        "padding": padding, "groups": groups, "use_bias": groups == 1,
        "data_format": "channels_first" if first else "channels_last",
    }  # fmt: skip
    shape = (2, *size) if first else (*size, 2)
    assert_parity(layers.Conv2D, arguments, random_inputs([shape], batch=2))


def test_the_extra_pixel_is_at_the_end(monkeypatch):
    """Planted: with the extra pixel in front the comparison above fails."""
    arguments = {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}
    x = random_inputs([(8, 8, 2)])
    assert_parity(layers.Conv2D, arguments, x)
    wrong = lambda *a: [pair[::-1] for pair in arithmetic.same_padding(*a)]  # noqa: E731
    monkeypatch.setattr(convolution, "same_padding", wrong)
    with pytest.raises(AssertionError):
        assert_parity(layers.Conv2D, arguments, x)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_shared_body_takes_any_rank(rank):
    layer = BaseConv(rank, 5, 3, strides=2, padding="same", dtype="float64")
    x = torch.randn(2, *range(6, 6 + rank), 3, dtype=torch.float64)
    y = layer(x)
    assert y.shape == (2, *(-(-n // 2) for n in x.shape[1:-1]), 5)
    assert tuple(layer.kernel.shape) == (*[3] * rank, 3, 5)
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[rank]
    ends = [e for n in reversed(x.shape[1:-1]) for e in ((0, 1) if n % 2 == 0 else (1, 1))]
    expected = convolve(F.pad(x.movedim(-1, 1), ends), layer.weight, layer.bias, 2).movedim(1, -1)
    torch.testing.assert_close(y, expected)


def test_weights_are_torchs_and_the_kernel_is_a_view():
    layer = layers.Conv2D(8, (3, 5))
    layer(torch.zeros(1, 9, 9, 4))
    assert list(layer.state_dict()) == ["weight", "bias"]
    assert layer.weight.shape == (8, 4, 3, 5)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last)
    assert layer.kernel.shape == (3, 5, 4, 8)
    assert layer.kernel.data_ptr() == layer.weight.data_ptr()
    assert [w.shape for w in layer.get_weights()] == [(3, 5, 4, 8), (8,)]


def test_no_layout_copy_is_made():
    layer = layers.Conv2D(8, 3, padding="same")
    x = torch.randn(2, 16, 16, 4)
    for _ in range(2):
        x = layer(x) if x.shape[-1] == 4 else layers.MaxPooling2D(3, 2, "same")(x)
        assert x.is_contiguous()  # NHWC order in memory: the next layer reads it as it lies
    with torch.profiler.profile() as profile:
        layer(torch.randn(2, 16, 16, 4))
    names = {event.name for event in profile.events()}
    assert not names & {"aten::clone", "aten::contiguous", "aten::copy_"}


@pytest.mark.parametrize("size", [7, 8])
def test_odd_padding_pads_and_even_padding_does_not(size, monkeypatch):
    padded = []
    monkeypatch.setattr(convolution, "pad", lambda x, p: padded.append(p) or arithmetic.pad(x, p))
    layers.Conv2D(2, 3, strides=2, padding="same")(torch.zeros(1, size, size, 2))
    assert bool(padded) == (size == 8)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (2, 2), (7, 2), (1, 2), (2, 3), (3, 1)])
@pytest.mark.parametrize("name", ["Conv2D", "MaxPooling2D", "AveragePooling2D"])
def test_export_with_open_sizes(name, kernel, stride):
    arguments = {"filters": 4, "kernel_size": kernel} if name == "Conv2D" else {"pool_size": kernel}
    layer = getattr(layers, name)(**arguments, strides=stride, padding="same")
    x = torch.randn(2, 11, 12, 3)
    layer(x)
    sizes = {axis: torch.export.Dim(letter, min=9, max=64) for axis, letter in ((1, "h"), (2, "w"))}
    exported = torch.export.export(layer, (x,), dynamic_shapes={"args": (sizes,)}).module()
    for height, width in ((9, 10), (16, 9), (12, 12)):
        x = torch.randn(2, height, width, 3)
        torch.testing.assert_close(exported(x), layer(x))


WRONG = [
    ({"filters": 0, "kernel_size": 3}, ArgumentError, "filters"),
    ({"filters": 4, "kernel_size": 0}, ArgumentError, "kernel_size"),
    ({"filters": 4, "kernel_size": (3, 3, 3)}, ArgumentError, "2 spatial axes"),
    ({"filters": 4, "kernel_size": 3, "strides": 0}, ArgumentError, "strides"),
    ({"filters": 4, "kernel_size": 3, "padding": "smae"}, ArgumentError, "Did you mean 'same'"),
    ({"filters": 4, "kernel_size": 3, "activation": "rleu"}, ArgumentError, "Did you mean 'relu'"),
    ({"filters": 4, "kernel_size": 3, "strides": 2, "dilation_rate": 2}, ArgumentError, "both"),
    ({"filters": 5, "kernel_size": 3, "groups": 2}, ArgumentError, "groups=2"),
    ({"filters": 4, "kernel_size": 3, "stride": 2}, ArgumentTypeError, "Did you mean 'strides'"),
    ({"filters": "4", "kernel_size": 3}, ArgumentTypeError, "whole number"),
]


@pytest.mark.parametrize(("arguments", "kind", "text"), WRONG, ids=str)
def test_wrong_arguments_are_named(arguments, kind, text):
    with pytest.raises(kind, match=text) as caught:
        layers.Conv2D(**arguments)
    assert caught.value.where


@pytest.mark.parametrize(
    ("shape", "arguments", "text"),
    [
        ((8, 8, 3), {}, "adds a batch axis"),
        ((1, 1, 8, 8, 3), {}, "takes 4 axes"),
        ((1, 2, 8, 3), {}, "a window of 3 does not fit an axis of 2"),
        ((1, 4, 4, 3), {"dilation_rate": 2}, "a window of 5"),
        ((1, 8, 8, 3), {"groups": 2}, "groups=2"),
    ],
)
def test_wrong_shapes_are_explained(shape, arguments, text):
    with pytest.raises(ShapeError, match=text) as caught:
        layers.Conv2D(4, 3, **arguments)(torch.zeros(shape))
    assert list(caught.value.parts()) == ["what", "where", "why", "try"]
