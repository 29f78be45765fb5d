"""Maps at an inner layer: right, found again by another run, read from disk, and capped."""

import numpy as np
import pytest
import torch

import stroma
from stroma import Model, layers
from stroma.core.errors import ArgumentError, ShapeError
from stroma.transfer import finetune, maps
from stroma.transfer.maps import boundary_maps
from stroma.transfer.stages import layer_at, split
from tuning_networks import few_digits, staged

DATA = few_digits(count=120)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path))
    return tmp_path / "maps"


def counted(base, name):
    """How many pictures go through a layer of `base`, and of copies of it."""
    seen = []

    def count(module, inputs, output):
        if isinstance(inputs[0], torch.Tensor) and inputs[0].device.type != "meta":
            seen.append(len(inputs[0]))

    base.get_layer(name).register_forward_hook(count)
    return seen


def tuned(base, **options):
    return finetune(base, DATA, head="random", until="layer3", epochs=1, average=False, **options)


def test_a_second_run_never_calls_the_lower_layers(cache):
    base = staged()
    below, above = counted(base, "layer1.conv"), counted(base, "layer3.conv")
    first = tuned(base)
    pictures = len(DATA.train) + len(DATA.validation)
    assert first.cached and sum(below) == pictures
    assert len(list(cache.iterdir())) == 2  # train and validation, nothing half-written
    del below[:], above[:]
    again = tuned(base)
    assert below == [] and sum(above) > 0
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key])


def test_other_weights_pixels_and_settings_are_other_maps(cache):
    """Planted: one weight of the lower part, one pixel, one stride changed."""
    base = staged()
    right = stroma.features(base, DATA.train, layer="layer2.add", pooled=False)
    with torch.no_grad():
        base.get_layer("layer1.conv").weight[0, 0, 0, 0] += 1
    changed = stroma.features(base, DATA.train, layer="layer2.add", pooled=False)
    assert np.abs(changed - right).max() > 1e-3
    fewer = DATA.train.take(slice(1, None))
    np.testing.assert_array_equal(
        stroma.features(base, fewer, layer="layer2.add", pooled=False), changed[1:]
    )
    assert len(list(cache.iterdir())) == 3
    seen = []
    for stride in (1, 2):
        x = layers.Input((8, 8, 1))
        y = layers.MaxPooling2D(2, strides=stride, padding="same")(x)
        seen.append(boundary_maps(Model(x, y), DATA.train).shape[1])
    assert seen == [8, 4]


def test_they_are_what_a_forward_pass_gives_and_lie_in_a_file(cache):
    base = staged()
    below, above = split(base, layer_at(base, "layer3"))
    found = stroma.features(base, DATA.train, layer="layer2.add", pooled=False)
    assert isinstance(found, np.memmap) and found.dtype == np.float32
    x = torch.from_numpy(DATA.train.images()).float()
    with torch.no_grad():
        np.testing.assert_allclose(found, below(x).numpy(), rtol=1e-5, atol=1e-5)
        whole = above(torch.from_numpy(np.asarray(found))).mean((1, 2))
    np.testing.assert_allclose(whole, stroma.features(base, DATA.train), rtol=1e-4, atol=1e-4)
    found[0] = 7  # the caller's, and never the file's
    assert np.abs(stroma.features(base, DATA.train, layer="layer2.add", pooled=False)[0] - 7).min()
    plain = boundary_maps(below, DATA.train, cache=False)
    assert not isinstance(plain, np.memmap)
    np.testing.assert_allclose(stroma.features(base, DATA.train, layer="top"), whole, atol=1e-6)


def test_the_oldest_make_room(cache, monkeypatch):
    base = staged()
    size = boundary_maps(base, DATA.train).nbytes
    monkeypatch.setattr(maps, "MOST_BYTES", 2 * size)
    for seed in (1, 2):
        boundary_maps(staged(seed), DATA.train)
    assert len(list(cache.iterdir())) == 1  # two do not fit, with their headers
    monkeypatch.setattr(maps, "MOST_BYTES", 1)
    assert not isinstance(boundary_maps(staged(3), DATA.train), np.memmap)
    monkeypatch.setattr(maps, "MOST_MEMORY", 1)
    assert not tuned(base).cached  # they fit nowhere: pictures go through all of it


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY torn"])
def test_damaged_maps_are_made_anew(cache, damage):
    base = staged()
    right = np.array(boundary_maps(base, DATA.train))
    (folder,) = cache.iterdir()
    (folder / "maps.npy").write_bytes(damage)
    np.testing.assert_array_equal(boundary_maps(base, DATA.train), right)
    np.testing.assert_array_equal(boundary_maps(base, DATA.train), right)
    assert (folder / "maps.npy").stat().st_size > right.nbytes


def test_code_that_no_hash_sees_is_tried_on_a_few():
    class Times(layers.Layer):
        factor = 2.0

        def call(self, inputs):
            return inputs * self.factor

    x = layers.Input((8, 8, 1))
    model = Model(x, Times()(x))
    before = np.array(boundary_maps(model, DATA.train))
    Times.factor = 3.0
    np.testing.assert_allclose(boundary_maps(model, DATA.train), before * 1.5, rtol=1e-6)


def test_refusals():
    with pytest.raises(ArgumentError, match="views=2"):
        stroma.features(staged(), DATA.train, pooled=False, views=2)
    x = layers.Input((None, None, 1))
    with pytest.raises(ShapeError, match="no fixed size"):
        boundary_maps(Model(x, layers.Conv2D(2, 3)(x)), DATA.train)
