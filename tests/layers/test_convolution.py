"""Convolution against Keras over random configurations, and what 'same' does at the edges."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, random_inputs
from stroma import layers
from stroma.core.errors import ArgumentError, ArgumentTypeError, ShapeError
from stroma.functional import convolution
from stroma.functional import padding as arithmetic
from stroma.functional.convolution import transposed_ends


def each_axis(rank, lowest, highest):
    return st.tuples(*[st.integers(lowest, highest)] * rank)


@pytest.mark.parametrize("rank", [1, 2, 3])
@settings(max_examples=40, deadline=None)
@given(data=st.data(), groups=st.sampled_from([1, 2]), first=st.booleans())
def test_random_configurations_equal_keras(rank, data, groups, first):
    size = data.draw(each_axis(rank, 4, 13 if rank < 3 else 7), label="size")
    kernel = data.draw(each_axis(rank, 1, 4), label="kernel")
    strides = data.draw(each_axis(rank, 1, 4), label="strides")
    names = ["valid", "same", "causal"] if rank == 1 else ["valid", "same"]
    padding = data.draw(st.sampled_from(names), label="padding")
    dilation = (1,) * rank
    if max(strides) == 1:
        dilation = data.draw(each_axis(rank, 1, 3), label="dilation")
    reach = [arithmetic.reach(k, d) for k, d in zip(kernel, dilation)]
    assume(padding != "valid" or all(r <= n for r, n in zip(reach, size)))
    arguments = {
        "filters": 4, "kernel_size": kernel, "strides": strides, "dilation_rate": dilation,
        "padding": padding, "groups": groups, "use_bias": groups == 1,
        "data_format": "channels_first" if first else "channels_last",
    }  # fmt: skip
    shape = (2, *size) if first else (*size, 2)
    assert_parity(getattr(layers, f"Conv{rank}D"), arguments, random_inputs([shape], batch=2))


@pytest.mark.parametrize("rank", [1, 2, 3])
@settings(max_examples=40, deadline=None)
@given(
    data=st.data(), padding=st.sampled_from(["valid", "same"]), first=st.booleans(),
    plain=st.booleans(),
)  # fmt: skip
def test_random_transposed_configurations_equal_keras(rank, data, padding, first, plain):
    size = data.draw(each_axis(rank, 1, 7 if rank < 3 else 4), label="size")
    strides = data.draw(each_axis(rank, 1, 4), label="strides")
    dilation, more = (1,) * rank, None
    if max(strides) == 1:
        dilation = data.draw(each_axis(rank, 1, 3), label="dilation")
    if not plain:
        more = data.draw(st.tuples(*[st.integers(0, s - 1) for s in strides]), label="more")
    arguments = {
        "filters": 3, "kernel_size": data.draw(each_axis(rank, 1, 4), label="kernel"),
        "strides": strides, "dilation_rate": dilation, "padding": padding,
        "output_padding": more, "data_format": "channels_first" if first else "channels_last",
    }  # fmt: skip
    x = random_inputs([(2, *size) if first else (*size, 2)], batch=2)
    assert_parity(getattr(layers, f"Conv{rank}DTranspose"), arguments, x)


def test_a_transposed_convolution_is_the_gradient_of_a_convolution():
    layer = layers.Conv2DTranspose(3, 5, strides=2, padding="same", use_bias=False)
    x = torch.randn(2, 6, 7, 4)
    y = layer(x)
    picture = torch.zeros_like(y, requires_grad=True)
    down = layers.Conv2D(4, 5, strides=2, padding="same", use_bias=False)
    down(picture)
    down.set_weights(layer.get_weights())  # (height, width, filters, channels): in and out swapped
    (gradient,) = torch.autograd.grad(down(picture), picture, x)
    torch.testing.assert_close(gradient, y)


def test_an_odd_place_cut_in_front_is_caught(monkeypatch):
    """Planted: with the place too many cut in front Keras disagrees."""
    arguments = {"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same"}
    x = random_inputs([(4, 5, 2)])
    assert_parity(layers.Conv2DTranspose, arguments, x)
    monkeypatch.setattr(
        convolution, "transposed_ends", lambda *a: [e[::-1] for e in transposed_ends(*a)]
    )
    with pytest.raises(AssertionError):
        assert_parity(layers.Conv2DTranspose, arguments, x)


def test_causal_sees_nothing_later():
    layer = layers.Conv1D(4, 3, padding="causal", dilation_rate=2)
    x = torch.randn(1, 9, 2, requires_grad=True)
    layer(x)[0, 4].sum().backward()
    assert x.grad[0, :, 0].nonzero().flatten().tolist() == [0, 2, 4]
    for other in (layers.Conv2D, layers.Conv1DTranspose, layers.DepthwiseConv1D):
        with pytest.raises(ArgumentError, match="padding must be one of"):
            other(*([4] if other is not layers.DepthwiseConv1D else []), 3, padding="causal")


def test_transposed_weights_are_torchs():
    layer = layers.Conv2DTranspose(8, (3, 5), strides=2)
    x = torch.randn(1, 9, 9, 4)
    layer(x)
    torchs = torch.nn.ConvTranspose2d(4, 8, (3, 5), stride=2)
    layer.load_state_dict(torchs.state_dict())
    torch.testing.assert_close(layer(x).movedim(-1, 1), torchs(x.movedim(-1, 1)))
    assert layer.kernel.shape == (3, 5, 8, 4)
    assert layer.kernel.data_ptr() == layer.weight.data_ptr()


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
    make = getattr(layers, f"Conv{rank}D")
    layer = make(5, 3, strides=2, padding="same", dtype="float64")
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
    ({"filters": 4}, TypeError, "kernel_size"),
]


@pytest.mark.parametrize(("arguments", "kind", "text"), WRONG, ids=str)
def test_wrong_arguments_are_named(arguments, kind, text):
    with pytest.raises(kind, match=text) as caught:
        layers.Conv2D(**arguments)
    assert kind is TypeError or caught.value.where


def test_a_transposed_convolution_names_wrong_arguments():
    with pytest.raises(ArgumentError, match="must stay below strides"):
        layers.Conv2DTranspose(4, 3, strides=2, output_padding=2)
    with pytest.raises(ArgumentError, match="padding must be one of 'valid', 'same'"):
        layers.Conv2DTranspose(4, 3, padding=1)
    with pytest.raises(ShapeError, match="takes 5 axes"):
        layers.Conv3DTranspose(4, 3)(torch.zeros(1, 8, 8, 3))


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
