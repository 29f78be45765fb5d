"""Depthwise and separable convolution against Keras and torch; the blocks built of them."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_parity import assert_parity, random_inputs
from layout_copies import layout_copies
from stroma import layers
from stroma.core.errors import ArgumentError, ShapeError
from stroma.functional import padding as arithmetic
from stroma.layers import depthwise


def each_axis(rank, lowest, highest):
    return st.tuples(*[st.integers(lowest, highest)] * rank)


@pytest.mark.parametrize("rank", [1, 2])
@settings(max_examples=60, deadline=None)
@given(
    data=st.data(), padding=st.sampled_from(["valid", "same"]), multiplier=st.integers(1, 3),
    first=st.booleans(), separable=st.booleans(),
)  # fmt: skip
def test_random_configurations_equal_keras(rank, data, padding, multiplier, first, separable):
    size = data.draw(each_axis(rank, 4, 13), label="size")
    kernel = data.draw(each_axis(rank, 1, 4), label="kernel")
    strides = data.draw(each_axis(rank, 1, 4), label="strides")
    dilation = data.draw(each_axis(rank, 1, 3), label="dilation")
    reach = [arithmetic.reach(k, d) for k, d in zip(kernel, dilation)]
    assume(padding == "same" or all(r <= n for r, n in zip(reach, size)))
    arguments = {
        "kernel_size": kernel, "strides": strides, "dilation_rate": dilation, "padding": padding,
        "depth_multiplier": multiplier, "use_bias": multiplier < 3,
        "data_format": "channels_first" if first else "channels_last",
    }  # fmt: skip
    layer = getattr(layers, f"{'Separable' if separable else 'Depthwise'}Conv{rank}D")
    arguments |= {"filters": 4} if separable else {}
    shape = (2, *size) if first else (*size, 2)
    assert_parity(layer, arguments, random_inputs([shape], batch=2))


def test_kernels_in_the_wrong_order_are_caught(monkeypatch):
    """Planted: with the outputs of a channel apart instead of side by side Keras disagrees."""
    arguments = {"kernel_size": 3, "depth_multiplier": 2}
    x = random_inputs([(8, 8, 3)])
    assert_parity(layers.DepthwiseConv2D, arguments, x)
    right = depthwise.convolve

    def wrong(x, weight, *rest):
        return right(x, weight.unflatten(0, (3, 2)).transpose(0, 1).flatten(0, 1), *rest)

    monkeypatch.setattr(depthwise, "convolve", wrong)
    with pytest.raises(AssertionError):
        assert_parity(layers.DepthwiseConv2D, arguments, x)


def test_the_weight_is_that_of_torchs_grouped_convolution():
    torchs = torch.nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4)
    layer = layers.DepthwiseConv2D(3, strides=2, padding=1)
    x = torch.randn(2, 9, 8, 4)
    layer(x)
    layer.load_state_dict(torchs.state_dict())
    torch.testing.assert_close(layer(x).movedim(-1, 1), torchs(x.movedim(-1, 1)))
    assert layer.kernel.shape == (3, 3, 4, 1)
    assert layer.kernel.data_ptr() == layer.weight.data_ptr()


def test_separable_is_depthwise_then_pointwise():
    layer = layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2)
    x = torch.randn(2, 6, 7, 3)
    y = layer(x)
    first = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False)
    second = layers.Dense(5, use_bias=False)
    second(first(x))
    first.set_weights([layer.depthwise_kernel.detach()])
    second.set_weights([layer.pointwise_kernel[0, 0].detach()])
    torch.testing.assert_close(second(first(x)), y)
    assert list(layer.state_dict()) == ["depthwise_weight", "pointwise_weight", "bias"]


@pytest.mark.parametrize("make", [
    lambda: layers.DepthwiseConv2D(3, padding="same"),
    lambda: layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
    lambda: layers.SeparableConv2D(6, 3, padding="same", activation="relu"),
    lambda: layers.ConvNeXtBlock(0.3, 0.5),
    lambda: layers.StochasticDepth(0.3),
    lambda: layers.AdaptiveAveragePooling2D(4),
])  # fmt: skip
def test_a_training_step_copies_no_activation(make):
    layer, x = make(), torch.randn(5, 9, 9, 4, requires_grad=True)
    target = torch.rand_like(layer(x))
    threads = torch.get_num_threads()
    torch.set_num_threads(2)  # with one, torch's small convolutions copy the bias as a picture
    try:
        copies = layout_copies(lambda: (layer(x, training=True) * target).sum().backward(), 5)
    finally:
        torch.set_num_threads(threads)
    assert copies == []


def test_wrong_settings_and_shapes_are_named():
    with pytest.raises(ArgumentError, match="depth_multiplier"):
        layers.DepthwiseConv2D(3, depth_multiplier=0)
    with pytest.raises(ArgumentError, match="filters"):
        layers.SeparableConv2D(0, 3)
    with pytest.raises(ShapeError, match="adds a batch axis"):
        layers.DepthwiseConv2D(3)(torch.zeros(8, 8, 3))
    with pytest.raises(ShapeError, match="a window of 3 does not fit"):
        layers.SeparableConv2D(4, 3)(torch.zeros(1, 2, 8, 3))
    with pytest.raises(ShapeError, match="a weight needs known sizes"):
        layers.ConvNeXtBlock()(layers.Input((8, 8, None)))


def test_the_convnext_block_is_its_formula():
    block = layers.ConvNeXtBlock(layer_scale=0.7)
    x = torch.randn(2, 9, 8, 4)
    y = block(x)
    w = block.state_dict()
    assert list(w) == [
        "layer_scale", *(f"block.{i}.{kind}" for i in (0, 2, 3, 5) for kind in ("weight", "bias"))
    ]  # fmt: skip
    assert w["layer_scale"].shape == (4, 1, 1)
    z = F.conv2d(x.movedim(-1, 1), w["block.0.weight"], w["block.0.bias"], padding=3, groups=4)
    z = F.layer_norm(z.movedim(1, -1), (4,), w["block.2.weight"], w["block.2.bias"], 1e-6)
    z = F.gelu(F.linear(z, w["block.3.weight"], w["block.3.bias"]))
    z = F.linear(z, w["block.5.weight"], w["block.5.bias"])
    torch.testing.assert_close(y, x + 0.7 * z)


def test_samples_skip_the_block_in_training_only():
    torch.manual_seed(0)
    block, x = layers.ConvNeXtBlock(0.5, 1.0), torch.randn(400, 3, 3, 2)
    change = block(x) - x
    found = block(x, training=True) - x
    skipped = (found == 0).flatten(1).all(1)
    assert 0.4 < skipped.float().mean() < 0.6
    torch.testing.assert_close(found[~skipped], 2 * change[~skipped], rtol=1e-4, atol=1e-5)


def test_stochastic_depth_keeps_the_mean_and_falls_by_samples():
    torch.manual_seed(0)
    x = torch.ones(20_000, 2, 2, 1)
    y = layers.StochasticDepth(0.2)(x, training=True)
    assert (y == y[:, :1, :1]).all()
    torch.testing.assert_close(y.unique(), torch.tensor([0.0, 1.25]))
    assert abs(y.mean().item() - 1) < 0.02  # five standard errors of 0.5 / sqrt(20000)
    assert torch.equal(layers.StochasticDepth(0.2)(x), x)
    assert not layers.StochasticDepth(1.0)(x, training=True).any()
    again = [layers.StochasticDepth(0.5, seed=3)(x, training=True) for _ in range(2)]
    assert torch.equal(*again)


@pytest.mark.parametrize("size", [(7, 7), (5, 9), (3, 2), (14, 20)])
def test_adaptive_pooling_is_the_mean_of_its_windows(size):
    x = torch.randn(2, *size, 3)
    y = layers.AdaptiveAveragePooling2D((3, 7))(x)
    for i in range(3):
        for j in range(7):
            top, left = i * size[0] // 3, j * size[1] // 7
            bottom, right = -(-(i + 1) * size[0] // 3), -(-(j + 1) * size[1] // 7)
            mean = x[:, top:bottom, left:right].mean((1, 2))
            torch.testing.assert_close(y[:, i, j], mean)
