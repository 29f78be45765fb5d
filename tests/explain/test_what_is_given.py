"""Pictures, weights and settings as people give them: prepared as the model wants, or refused."""

import numpy as np
import pytest
import torch
from PIL import Image

from stroma import explain, layers, models
from stroma.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    StromaError,
    WeightsError,
)
from stroma.core.preprocessing import PREPROCESSING_MODES
from stroma.core.seeds import set_random_seed
from stroma.explain import METHODS

METHOD = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def network(side=12):
    set_random_seed(3)
    inputs = layers.Input((side, side, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    return models.Model(inputs, layers.Dense(4, activation="softmax", name="head")(x))


def pixels(side=12, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3)).astype(np.uint8)


@METHOD
def test_pictures_are_prepared_as_the_weights_want_them(method):
    model, plain, wanted = network(), network(), PREPROCESSING_MODES["torch"]
    model.preprocessing = wanted
    expected = method(plain, wanted(pixels()), preprocessing=False)
    found = method(model, pixels(), expected.class_index)
    assert found.probability == pytest.approx(expected.probability, rel=1e-5)
    assert np.array_equal(found.image, pixels())
    by_hand = method(plain, pixels(), expected.class_index, preprocessing=wanted)
    np.testing.assert_array_equal(found.map, by_hand.map)
    switched_off = method(model, wanted(pixels()), preprocessing=False)
    assert switched_off.probability == expected.probability
    raw = method(model, pixels(), expected.class_index, preprocessing=False)  # a planted mistake
    assert raw.probability != pytest.approx(expected.probability, rel=1e-3)


def test_a_picture_is_not_prepared_twice():
    model = network()
    model.preprocessing = PREPROCESSING_MODES["torch"]
    for prepared in (pixels() / 255, model.preprocessing(pixels())):
        with pytest.raises(DataError, match="prepared already"):
            explain.gradcam(model, prepared)
    assert explain.gradcam(model, np.zeros((12, 12, 3))).map.shape == (10, 10)


def test_a_part_of_a_model_that_is_called_preprocessing_is_its_own_affair():
    class Own(models.Model):
        def __init__(self):
            super().__init__()
            self.preprocessing = layers.Rescaling(1 / 255)
            self.conv, self.pool = layers.Conv2D(4, 3), layers.GlobalAveragePooling2D()

        def call(self, inputs):
            return self.pool(self.conv(self.preprocessing(inputs)))

    model = Own()
    probability = model(torch.tensor(pixels()[None]).float()).softmax(-1).max().item()
    assert explain.gradcam(model, pixels()).probability == pytest.approx(probability, rel=1e-5)


def test_a_picture_may_be_a_file(tmp_path):
    Image.fromarray(pixels(12)).save(tmp_path / "photo.png")
    model = network()
    expected = explain.gradcam(model, pixels(12)).map
    for path in (tmp_path / "photo.png", str(tmp_path / "photo.png")):
        np.testing.assert_array_equal(explain.gradcam(model, path).map, expected)
    with pytest.raises(DataError, match=r"none\.png"):
        explain.gradcam(model, tmp_path / "none.png")
    free = models.Sequential([layers.Input((None, None, 3)), *network().layers[1:]])
    with pytest.raises(ArgumentError, match="at which size"):
        explain.gradcam(free, tmp_path / "photo.png")


@METHOD
@pytest.mark.parametrize(
    "given", [None, "photo.png", [[1], [1, 2]], np.array(["a"]), np.ones((12, 12, 3), complex)]
)
def test_no_picture(method, given):
    with pytest.raises(StromaError) as error:
        method(network(), given)
    assert error.value.fix


@METHOD
def test_not_numbers(method):
    image = pixels().astype(np.float32)
    image[3, 3] = np.nan
    with pytest.raises(DataError, match="picture 0 holds NaN"):
        method(network(), image)
    model = network()
    model.get_layer("conv").kernel.data.fill_(float("nan"))
    with pytest.raises(WeightsError, match=r"answers NaN\n  where: weight 'conv\.weight'"):
        method(model, pixels())


def test_the_picture_that_is_not_finite_is_named():
    many = np.stack([pixels(seed=seed) for seed in range(40)]).astype(np.float32)
    many[35, 0, 0] = np.inf
    with pytest.raises(DataError, match="picture 35 "):
        explain.top_images(network(), many, "conv", 0)
    with pytest.raises(DataError, match="picture 35 "):
        explain.shift_response(network(), many)
    with pytest.raises(DataError, match="picture 35 "):
        explain.linear_probes(network(), many, np.arange(40) % 2)


def test_labels_that_no_probe_can_be_fitted_on():
    many = np.stack([pixels(seed=seed) for seed in range(10)])
    with pytest.raises(DataError, match="1 classes"):
        explain.linear_probes(network(), many, np.zeros(10, int))
    assert len(explain.linear_probes(network(), many, np.arange(10) % 2, "conv")) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: explain.gradcam(m, x, [1]),
        lambda m, x: explain.gradcam(m, x, 1.5),
        lambda m, x: explain.gradcam(m, x, True),
        lambda m, x: explain.gradcam(m, x, preprocessing="caffe"),
        lambda m, x: explain.gradcam("model.keras", x),
        lambda m, x: explain.gradcam(None, x),
        lambda m, x: explain.receptive_field_on(m, x, place=3),
        lambda m, x: explain.receptive_field_on(m, x, place=(1, "a")),
        lambda m, x: explain.integrated_gradients(m, x, baseline="black"),
        lambda m, x: explain.occlusion(m, x, fill="foo"),
        lambda m, x: explain.gradcam(m, x).overlay(opacity="much"),
    ],
)
def test_settings_of_the_wrong_kind(call):
    with pytest.raises(ArgumentTypeError) as error:
        call(network(), pixels())
    assert error.value.why and error.value.fix


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: explain.gradcam(m, x, -1),
        lambda m, x: explain.receptive_field_on(m, x, place=(-1, 0)),
        lambda m, x: explain.integrated_gradients(m, x, baseline=float("nan")),
        lambda m, x: explain.occlusion(m, x, fill=float("nan")),
        lambda m, x: explain.occlusion(m, x, fill=[1, 2]),
        lambda m, x: explain.gradcam(m, x).overlay(opacity=2),
        lambda m, x: explain.gradcam(m, x).picture(opacity=-1),
    ],
)
def test_settings_out_of_range(call):
    with pytest.raises(ValueError) as error:
        call(network(), pixels())
    assert isinstance(error.value, StromaError) and error.value.fix


def test_a_class_may_be_any_whole_number():
    model = network()
    for two in (2, np.int64(2), torch.tensor(2)):
        assert explain.gradcam(model, pixels(), two).class_index == 2


@METHOD
def test_a_network_with_channels_first_needs_no_word_of_it(method):
    inputs = layers.Input((3, 12, 12))
    x = layers.Conv2D(6, 3, activation="relu", data_format="channels_first")(inputs)
    x = layers.GlobalAveragePooling2D(data_format="channels_first")(x)
    first = models.Model(inputs, layers.Dense(4, activation="softmax")(x))
    last = network()
    first.set_weights(last.get_weights())
    expected = method(last, pixels(), 1).map
    np.testing.assert_allclose(method(first, pixels(), 1).map, expected, atol=1e-3)


def test_weights_that_say_nothing():
    model = network()
    model.get_layer("conv").kernel.data.fill_(0)
    found = explain.gradcam(model, pixels())
    assert np.isnan(found.centre()).all() and found.where().startswith("nothing in the picture")
