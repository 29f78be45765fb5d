"""bfloat16 for features: used where heads answer and rank as before, and nowhere else."""

import numpy as np
import pytest
import torch

from stroma import layers
from stroma.data import arrays
from stroma.models import Model
from stroma.training.precision import _has_bf16
from stroma.transfer import features, transfer
from stroma.transfer.rounding import bfloat16_keeps_ranking, feature_precision

CPU = torch.device("cpu")
PIXELS = np.random.default_rng(0).integers(0, 200, (1600, 12, 12, 1), np.uint8)
LABELS = np.arange(1600) % 3
# Each class has its bright quarter
PIXELS[0::3, :6, :6] += 40
PIXELS[1::3, :6, 6:] += 40
PIXELS[2::3, 6:, :6] += 40
DATA = arrays(PIXELS, LABELS, ["a", "b", "c"])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path))


def extractor(offset, size=4):
    """Means of the quarters, around `offset`: bfloat16 has 8 bits, so it rounds 3000 to 3008."""
    x = layers.Input((12, 12, 1))
    kernel = np.full((6, 6, 1, size), 1 / 36, np.float32)
    y = layers.Conv2D(size, 6, strides=6, name="quarters")(x)
    model = Model(x, layers.Flatten()(y))
    model.get_layer("quarters").set_weights([kernel, np.full(size, offset, np.float32)])
    return model


def test_rounding_that_changes_no_answer_is_allowed():
    allowed, why = bfloat16_keeps_ranking(extractor(0), DATA.train, CPU)
    assert allowed and why.startswith("bfloat16: on 128 photos")


def test_small_differences_on_a_large_offset_fall_back():
    """Planted: what tells the classes apart is smaller than a step of bfloat16."""
    allowed, why = bfloat16_keeps_ranking(extractor(20_000), DATA.train, CPU)
    assert not allowed and why.startswith("float32: on 128 photos bfloat16 changes")


@pytest.mark.skipif(not _has_bf16(CPU), reason="this processor has no fast bfloat16")
def test_auto_tries_once_and_says_what_it_took(monkeypatch):
    monkeypatch.setattr("stroma.training.precision.BF16_PAYS_FROM", 1)
    good, bad = transfer(extractor(0), DATA), transfer(extractor(20_000), DATA)
    assert good.precision.startswith("bfloat16: ") and bad.precision.startswith("float32: ")
    assert bad.validation.value > 0.9
    exact = features(extractor(20_000), DATA.train, precision="float32")
    np.testing.assert_array_equal(features(extractor(20_000), DATA.train), exact)

    def never(*_):
        raise AssertionError("tried again")

    monkeypatch.setattr("stroma.transfer.rounding.bfloat16_keeps_ranking", never)
    assert transfer(extractor(20_000), DATA).precision == bad.precision


def test_what_is_said_is_obeyed_and_what_cannot_be_tried_is_float32(monkeypatch):
    base = extractor(20_000)
    assert feature_precision("bfloat16", base, DATA.train, CPU).name == "bfloat16"
    assert feature_precision("auto", base, DATA.train, CPU).name == "float32"  # 500 products
    one_class = DATA.train.take(DATA.train.labels == 1)
    allowed, why = bfloat16_keeps_ranking(base, one_class, CPU)
    assert not allowed and "one class" in why
    if _has_bf16(CPU):
        monkeypatch.setattr("stroma.training.precision.BF16_PAYS_FROM", 1)
        few = feature_precision("auto", base, DATA.train.take(slice(100)), CPU)
        assert few.dtype is None and "100 photos are too few" in few.reason
