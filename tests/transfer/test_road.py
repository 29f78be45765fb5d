"""`stroma.transfer(base, data)`: one call, and the test part is left alone."""

import numpy as np
import pytest

import stroma
from stroma import layers, models
from stroma.core.errors import ShapeError
from stroma.core.preprocessing import Preprocessing
from stroma.core.seeds import set_random_seed
from stroma.data import digits
from stroma.transfer import RidgeHead, features


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STROMA_CACHE", str(tmp_path))


def base(size=8, channels=1):
    """Random features: enough for digits."""
    set_random_seed(0)
    inputs = layers.Input((size, size, channels))
    x = layers.Conv2D(48, 3, activation="relu")(inputs)
    return models.Model(inputs, layers.Flatten()(x))


def test_one_call_makes_a_classifier():
    data, told = digits(), set()
    result = stroma.transfer(base(), data, progress=lambda part, *_: told.add(part))
    assert (data.test.reads, told) == (0, {"train", "validation"})
    test = data.open_test()
    probabilities = result.model(test.images()).numpy(force=True)
    found = features(result.extractor, test)
    np.testing.assert_allclose(probabilities, result.head.probabilities(found), atol=1e-3)
    right = (probabilities.argmax(1) == test.labels).mean()
    assert right > 0.95
    assert abs(result.validation.value - right) < 0.04
    assert result.validation.count == len(data.validation)


def test_validation_is_scored_by_a_head_that_never_saw_it():
    data = digits()
    result = stroma.transfer(base(), data)
    head = RidgeHead().fit(features(result.extractor, data.train), data.train.labels, 10)
    answers = head.predict(features(result.extractor, data.validation))
    assert result.validation.value == (answers == data.validation.labels).mean()


def test_preprocessing_of_one_channel_and_a_size_that_does_not_fit():
    data = digits()
    result = stroma.transfer(base(), data, preprocessing=Preprocessing(scale=1 / 255))
    assert result.validation.value > 0.9
    with pytest.raises(ShapeError, match=r"size=\(16, 16\)"):
        stroma.transfer(base(size=16), data)
