"""Feature extraction against a plain forward pass; what makes the cache be believed or not."""

from functools import reduce
from pathlib import Path

import numpy as np
import pytest
import torch

from shared_files import SHARED, needs_shared
from stroma import layers, models
from stroma.core.errors import ArgumentError, GraphError, ShapeError
from stroma.core.preprocessing import PREPROCESSING_MODES, Preprocessing
from stroma.core.seeds import set_random_seed
from stroma.data import arrays, images
from stroma.transfer.compose import feature_extractor, preprocess, with_head
from stroma.transfer.features import feature_blocks, features
from stroma.transfer.heads.ridge import RidgeHead
from stroma.transfer.moments import Moments

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 12, 12, 3), np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def part():
    return arrays(PIXELS, np.arange(60) % 3, ["a", "b", "c"]).train


def network(seed=0, filters=5):
    set_random_seed(seed)
    inputs = layers.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    return models.Model(inputs, layers.Conv2D(filters, 3, name="last")(x))


def expected(model, pixels):
    return model(pixels.astype("float32")).mean((1, 2)).numpy(force=True)


def count_runs(monkeypatch):
    """How many pictures go through the extractor."""
    from stroma.transfer.features import _Runner

    seen, forward = [], _Runner._forward
    monkeypatch.setattr(
        _Runner, "_forward", lambda self, x: (seen.append(len(x)), forward(self, x))[1]
    )
    return seen


def test_features_are_the_average_of_the_last_map_in_order(part):
    model = network()
    told = []
    got = features(model, part, batch_size=16, progress=lambda *done: told.append(done))
    np.testing.assert_allclose(got, expected(model, part.images()), rtol=1e-4, atol=1e-3)
    assert got.dtype == np.float32
    assert told[-1] == (len(part), len(part))


@pytest.mark.parametrize("mode", ["torch", "caffe", "tf"])
def test_preprocessing_layers_are_the_record(mode):
    record = PREPROCESSING_MODES[mode]
    inputs = layers.Input((12, 12, 3))
    model = models.Model(inputs, preprocess(inputs, record))
    torch.testing.assert_close(model(PIXELS[:4]), record(PIXELS[:4]), atol=2e-5, rtol=1e-5)


def test_the_networks_own_preprocessing_is_used_unless_another_is_given(part):
    model = network()
    model.preprocessing = PREPROCESSING_MODES["tf"]
    got = features(model, part, cache=False)
    scaled = part.images() / np.float32(127.5) - 1
    np.testing.assert_allclose(got, expected(model, scaled), rtol=1e-4, atol=1e-4)
    plain = features(model, part, preprocessing=Preprocessing(scale=1.0), cache=False)
    np.testing.assert_allclose(plain, expected(model, part.images()), rtol=1e-4, atol=1e-3)


def test_any_layer_may_be_taken(part):
    model = network()
    got = features(model, part, layer="first", cache=False)
    cut = models.Model(model.input, model.get_layer("first").output)
    np.testing.assert_allclose(got, expected(cut, part.images()), rtol=1e-4, atol=1e-3)


def test_a_pytorch_module_takes_its_layout(part):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 6, 3), torch.nn.ReLU())
    got = features(module, part, layout="NCHW")
    x = torch.from_numpy(part.images()).permute(0, 3, 1, 2).float()
    np.testing.assert_allclose(got, module(x).mean((2, 3)).numpy(force=True), rtol=1e-4, atol=1e-3)


def test_a_second_time_only_a_few_are_run(part, cache, monkeypatch):
    seen = count_runs(monkeypatch)
    first = features(network(), part)
    assert sum(seen) == len(part)
    again = features(network(), part, batch_size=7)
    assert sum(seen) == len(part) + 8
    np.testing.assert_array_equal(first, again)
    assert [path.suffix for path in cache.iterdir()] == [".npz"]  # nothing half-written


def test_other_weights_other_pixels_other_code_are_run_again(part, monkeypatch):
    features(network(), part)
    seen = count_runs(monkeypatch)
    features(network(seed=1), part)
    assert sum(seen) == len(part)

    changed = PIXELS.copy()
    changed[:, 0, 0, 0] ^= 1
    other = arrays(changed, np.arange(60) % 3, ["a", "b", "c"]).train
    got = features(network(), other)
    np.testing.assert_allclose(got, expected(network(), other.images()), rtol=1e-4, atol=1e-3)

    class Twice(layers.Layer):  # code that a hash of weights cannot see
        factor = 2.0

        def call(self, inputs):
            return inputs * self.factor

    inputs = layers.Input((12, 12, 3))
    model = models.Model(inputs, Twice()(inputs))
    before = features(model, part)
    Twice.factor = 3.0
    np.testing.assert_allclose(features(model, part), before * 1.5, rtol=1e-5)


def test_the_last_picture_counts_too(part, cache, monkeypatch):
    """Planted: the same names and the same first pictures, one pixel of the last one changed."""
    features(network(), part)
    changed = PIXELS.copy()
    where = part.rows[-1]
    changed[where] = 255 - changed[where]
    other = arrays(changed, np.arange(60) % 3, ["a", "b", "c"]).train
    assert other.names == part.names
    got = features(network(), other)
    np.testing.assert_allclose(got, expected(network(), other.images()), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 torn", b"not a zip"])
def test_a_damaged_cache_is_no_cache(part, cache, damage):
    right = features(network(), part)
    (path,) = cache.iterdir()
    path.write_bytes(damage)
    np.testing.assert_array_equal(features(network(), part), right)
    assert path.stat().st_size > len(damage)


def test_a_cache_that_cannot_be_written_costs_nothing_else(part, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path / "file"))
    assert features(network(), part).shape == (len(part), 5)


def test_bfloat16_is_close_and_comes_back_as_float32(part):
    exact = features(network(), part, precision="float32")
    rough = features(network(), part, precision="bfloat16")
    assert rough.dtype == np.float32
    assert 0 < np.abs(rough - exact).max() < 0.03 * np.abs(exact).max()


def test_views_are_the_picture_and_changed_ones(part, monkeypatch):
    seen = count_runs(monkeypatch)
    model, plain = network(), features(network(), part)
    torch.manual_seed(7)
    before = torch.random.get_rng_state()
    views = features(model, part, views=3, seed=1)
    assert torch.random.get_rng_state().equal(before)
    assert views.shape == (3, *plain.shape) and views.dtype == np.float32
    np.testing.assert_allclose(views[0], plain, rtol=1e-5)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(views[first] - views[second]).max() > 1e-3
    del seen[:]
    np.testing.assert_array_equal(features(model, part, views=3, seed=1), views)
    assert sum(seen) == 8
    assert np.abs(features(model, part, views=3, seed=2)[1] - views[1]).max() > 1e-3
    mirrored = features(model, part, views=2, augment=[layers.RandomFlip("horizontal")], seed=0)
    flipped = expected(model, part.images()[:, :, ::-1].copy())
    each = [
        min(np.abs(mirrored[1][row] - other[row]).max() for other in (plain, flipped))
        for row in range(len(part))
    ]
    assert max(each) < 1e-2
    with pytest.raises(ArgumentError, match="augment without views"):
        features(model, part, augment=[layers.RandomFlip()])
    with pytest.raises(ArgumentError, match="views"):
        features(model, part, views=0)


def test_normalisation_is_folded_and_features_stay(part):
    set_random_seed(0)
    inputs = layers.Input((12, 12, 3))
    x = layers.BatchNormalization()(layers.Conv2D(4, 3)(inputs / 255))
    model = models.Model(inputs, layers.ReLU()(x))
    model(part.images() / np.float32(1), training=True)
    got = features(model, part, precision="float32", cache=False)
    np.testing.assert_allclose(got, expected(model, part.images()), rtol=1e-5, atol=1e-5)


def test_blocks_add_up_to_the_head_of_all(part):
    blocks = list(feature_blocks(network(), part, rows=17, precision="float32"))
    assert [len(rows) for rows, _ in blocks][:-1] == [17] * (len(blocks) - 1)
    whole = features(network(), part, precision="float32")
    np.testing.assert_allclose(np.concatenate([rows for rows, _ in blocks]), whole, rtol=1e-5)
    moments = reduce(Moments.merge, (Moments.of(rows, labels, 3) for rows, labels in blocks))
    streamed = RidgeHead([0.5]).fit_moments(moments).decision(whole)
    at_once = RidgeHead([0.5]).fit(whole, part.labels, 3).decision(whole)
    np.testing.assert_allclose(streamed, at_once, atol=1e-4)


def test_an_empty_part(part):
    assert features(network(), part.take(np.arange(0))).shape == (0, 5)


def test_base_and_head_are_one_model(part):
    model = network()
    extractor = feature_extractor(model, preprocessing=PREPROCESSING_MODES["torch"])
    found = features(extractor, part, precision="float32")
    head = RidgeHead().fit(found, part.labels, 3)
    whole = with_head(extractor, head.as_layers())
    probabilities = whole(part.images()).numpy(force=True)
    np.testing.assert_allclose(probabilities, head.probabilities(found), atol=1e-4)
    assert whole.output_shape == (None, 3)


def test_refusals():
    inputs = layers.Input((12, 12, 3))
    with pytest.raises(GraphError, match="2 inputs"):
        other = layers.Input((12, 12, 3))
        feature_extractor(models.Model([inputs, other], layers.Add()([inputs, other])))
    with pytest.raises(ShapeError, match="several outputs"):
        feature_extractor(models.Model(inputs, [inputs * 1, inputs * 2]))
    with pytest.raises(GraphError, match="cannot be cut"):
        feature_extractor(torch.nn.Conv2d(3, 4, 3), layer="x", input_shape=(8, 8, 3))
    with pytest.raises(ShapeError, match="shape of its pictures"):
        feature_extractor(torch.nn.Conv2d(3, 4, 3), layout="NCHW")


@needs_shared
@pytest.mark.slow
def test_squeezenet_on_real_photos():
    """The road of `stroma train` on the given weights: 95.1 % measured with a plain script."""
    from stroma.zoo.squeezenet import squeezenet1_1

    weights = Path(SHARED, "weights", "squeezenet1_1-imagenet-fp16.safetensors")
    data = images(SHARED / "data" / "imagenette-mini.zip")
    extractor = feature_extractor(squeezenet1_1(weights, include_top=False))
    head = RidgeHead().fit(features(extractor, data.train), data.train.labels, 10)
    test = data.open_test()
    accuracy = (head.predict(features(extractor, test)) == test.labels).mean()
    assert accuracy > 0.94
    assert abs(accuracy - head.best.accuracy) < 0.02
