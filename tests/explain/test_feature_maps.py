"""What layers see: feature maps, filters, top images, maximised activations, receptive fields."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import correlate
from torch import nn

from stroma import layers, models, zoo
from stroma.core.errors import ArgumentError, GraphError, ShapeError, WeightsError
from stroma.core.seeds import set_random_seed
from stroma.data import digits
from stroma.explain import (
    feature_maps,
    filters,
    maximise_activation,
    receptive_field_on,
    top_images,
)


@pytest.fixture(autouse=True)
def seeds():
    set_random_seed(4)


def photo(side=32, channels=3, seed=0):
    return np.random.default_rng(seed).random((side, side, channels)).astype(np.float32)


def sobel():
    """A network whose only filter is Sobel's, for vertical edges."""
    model = models.Sequential([layers.Input((32, 32, 1)), layers.Conv2D(1, 3, name="edges")])
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], np.float32)
    model.set_weights([kernel[:, :, None, None], np.zeros(1, np.float32)])
    return model, kernel


def test_feature_maps_are_the_layers_output():
    model, kernel = sobel()
    found = feature_maps(model, photo(32, 1), "edges")
    expected = correlate(photo(32, 1)[..., 0], kernel, mode="constant")[1:-1, 1:-1]
    np.testing.assert_allclose(found.maps[..., 0], expected, atol=1e-5)
    step = np.zeros((32, 32, 1), np.float32)
    step[:, 16:] = 1
    vertical = np.abs(feature_maps(model, step, "edges").maps).max()
    flat = np.abs(feature_maps(model, step.swapaxes(0, 1), "edges").maps).max()
    assert vertical >= 100 * max(flat, 1e-6)


def test_feature_maps_say_whether_the_activation_is_in():
    x = layers.Input((8, 8, 3))
    y = layers.Conv2D(4, 3, activation="relu", name="c")(x)
    model = models.Model(x, layers.Conv2D(4, 3, name="d")(y))
    assert feature_maps(model, photo(8), "c").kind == "Conv2D, relu"
    assert feature_maps(model, photo(8), "d").kind == "Conv2D"


def test_feature_maps_before_a_layer_that_works_in_place():
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True)).eval()
    found = feature_maps(module, photo(8), "0", layout="NCHW")
    x = torch.from_numpy(photo(8)).permute(2, 0, 1)[None]
    np.testing.assert_allclose(
        found.maps, module[0](x)[0].permute(1, 2, 0).numpy(force=True), atol=1e-6
    )
    assert found.maps.min() < 0  # a planted mistake, keeping the tensor itself, would show none


def test_filters_are_the_first_kernels():
    model = zoo.small_cnn()
    found = filters(model)
    assert found.layer == "stage1.0.conv"
    np.testing.assert_array_equal(found.kernels, model.get_layer("stage1.0.conv").get_weights()[0])
    torch_found = filters(nn.Sequential(nn.Conv2d(3, 5, (2, 4))))
    assert torch_found.kernels.shape == (2, 4, 3, 5)
    with pytest.raises(ArgumentError, match="no convolution 'fc'"):
        filters(model, "fc")
    with pytest.raises(GraphError, match="no convolution in Linear"):
        filters(nn.Linear(3, 2))


def test_top_images_against_all_of_them():
    model = zoo.small_cnn(input_shape=(8, 8, 1))
    part = digits().train
    pictures = part.images(range(100)).astype(np.float32)
    outputs = models.Model(model.input, model.get_layer("stage1.1.relu").output)(pictures)
    values = outputs[..., 5].detach().flatten(1).max(1)
    found = top_images(model, pictures, "stage1.1.relu", 5, count=7)
    order = np.argsort(-values.values.numpy(), kind="stable")[:7]
    np.testing.assert_allclose(found.activations, values.values[order.copy()], rtol=1e-5)
    np.testing.assert_array_equal(found.indices, order)
    for index, place in zip(found.indices, found.places):
        assert divmod(int(values.indices[index]), 8) == tuple(place)
    np.testing.assert_array_equal(found.images, pictures[found.indices])
    streamed = top_images(model, part, "stage1.1.relu", 5, count=7)  # a part of stroma.data
    assert streamed.activations[0] >= found.activations[0]


def test_top_images_keep_the_earlier_of_equals_and_no_more_than_there_are():
    model = zoo.small_cnn()
    pictures = np.stack([photo()] * 5)
    found = top_images(model, pictures, "stage1.0.relu", 0, count=3)
    np.testing.assert_array_equal(found.indices, [0, 1, 2])
    assert len(top_images(model, pictures[:2], "fc", 0, count=9).indices) == 2


@pytest.mark.parametrize(
    ("layer", "channel", "error", "said"),
    [("stage1.0.relu", 32, ArgumentError, "has no channel 32"),
     ("stage1.0.relu", -1, ArgumentError, "channel must be 0 or more"),
     ("stge", 0, ArgumentError, "there is no layer 'stge'")],
)  # fmt: skip
def test_channels_that_are_not_there(layer, channel, error, said):
    for call in (
        lambda model: top_images(model, photo()[None], layer, channel),
        lambda model: maximise_activation(model, layer, channel, steps=1),
    ):
        with pytest.raises(error, match=said):
            call(zoo.small_cnn())
    with pytest.raises(ShapeError, match="pictures are"):
        top_images(zoo.small_cnn(), photo(), "fc", 0)


def test_maximised_pictures_excite_and_repeat():
    model = zoo.small_cnn()
    options = {"steps": 60, "highest": 1.0}
    first, second = (
        maximise_activation(model, "stage2.0.relu", 3, seed=seed, **options) for seed in (1, 2)
    )
    assert first.activations[-1] > 1.5 * first.activations[0]
    assert first.image.shape == (32, 32, 3)
    assert first.image.min() >= 0 and first.image.max() <= 1
    again = maximise_activation(model, "stage2.0.relu", 3, seed=1, **options)
    np.testing.assert_array_equal(first.image, again.image)
    assert not np.array_equal(first.image, second.image)
    assert all(weight.grad is None for weight in model.parameters())


def test_smoothness_is_what_it_says():
    model = zoo.small_cnn()

    def roughness(weight):
        image = maximise_activation(
            model, "stage1.0.relu", 2, steps=24, smoothness=weight, highest=1.0
        ).image
        return np.abs(np.diff(image, axis=0)).mean() + np.abs(np.diff(image, axis=1)).mean()

    assert roughness(2.0) < 0.6 * roughness(0.0)


def test_a_filter_asks_for_itself():
    """A linear filter is excited most by its own sign pattern: the closed form."""
    model = models.Sequential([layers.Input((3, 3, 1)), layers.Conv2D(1, 3, name="c")])
    found = maximise_activation(model, "c", 0, steps=200, jitter=0, smoothness=0.0, highest=1.0)
    signs = model.get_weights()[0][..., 0] > 0
    np.testing.assert_array_equal(found.image > 0.5, signs)


# Receptive fields


@settings(max_examples=10, deadline=None)
@given(
    stack=st.lists(
        st.tuples(st.sampled_from([1, 2, 3, 5]), st.integers(1, 2), st.integers(1, 2)),
        min_size=1, max_size=3,
    )
)  # fmt: skip
def test_the_measured_field_is_the_formula(stack):
    """r = 1 + sum (k - 1) d prod of strides before; measured far from the border."""
    x = inputs = layers.Input((48, 48, 2))
    size, jump = 1, 1
    for number, (kernel, stride, dilation) in enumerate(stack):
        stride = 1 if dilation > 1 else stride
        x = layers.Conv2D(8, kernel, stride, dilation_rate=dilation, activation="relu",
                          name=f"c{number}")(x)  # fmt: skip
        size, jump = size + (kernel - 1) * dilation * jump, jump * stride
    model = models.Model(inputs, x)
    found = receptive_field_on(model, photo(48, 2), f"c{len(stack) - 1}")
    assert found.declared == (size, size)
    # a kernel smaller than its stride skips pixels, never at the edge of the field
    assert found.size == (size, size)


def test_the_field_at_a_corner_is_cut_by_the_edge():
    found = receptive_field_on(zoo.small_cnn(), photo(), "stage1.1.conv", place=(0, 0))
    assert found.box == (0, 0, 3, 3) and found.declared == (5, 5)
    assert 0 < found.effective_area() <= 1
    with pytest.raises(ArgumentError, match=r"place \(32, 0\) lies outside"):
        receptive_field_on(zoo.small_cnn(), photo(), "stage1.1.conv", place=(32, 0))


def test_nan_in_a_weight_is_named_and_shows_no_map():
    """Planted: one damaged number in the first convolution."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU())
    with torch.no_grad():
        module[0].weight[0, 0, 0, 0] = float("nan")
    with pytest.raises(WeightsError, match="hold NaN") as caught:
        feature_maps(module, np.ones((8, 8, 1), np.float32), "1", layout="NCHW")
    assert caught.value.where == "weight '0.weight'"


def test_the_size_of_channels_first_networks_is_derived():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU())
    assert maximise_activation(module, "0", 0, steps=1, layout="NCHW").image.shape == (64, 64, 1)
    x = layers.Input((3, 20, 24))
    y = layers.Conv2D(4, 3, data_format="channels_first", name="conv")(x)
    model = models.Model(x, layers.GlobalAveragePooling2D(data_format="channels_first")(y))
    assert maximise_activation(model, "conv", 0, steps=1).image.shape == (20, 24, 3)
