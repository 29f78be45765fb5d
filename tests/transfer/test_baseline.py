"""Pixel baselines against scikit-learn, on real digits."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from stroma.core.errors import DataError
from stroma.data import arrays, digits
from stroma.transfer import baseline
from stroma.transfer.baseline import PixelBaselines


def scores_by_name(baselines, part):
    return {score.name: score for score in baselines.scores(part)}


def test_nearest_neighbour_is_sklearns():
    data = digits()
    found = scores_by_name(PixelBaselines(data.train, 10), data.validation)
    oracle = KNeighborsClassifier(1).fit(data.train.images().reshape(-1, 64), data.train.labels)
    right = oracle.predict(data.validation.images().reshape(-1, 64)) == data.validation.labels
    neighbour = found["nearest neighbour on pixels"]
    # Of two training digits at the same distance either may be the nearest.
    assert abs(neighbour.value * neighbour.count - right.sum()) <= 1
    assert neighbour.count == len(data.validation)
    assert 0.90 < found["ridge on pixels"].value < neighbour.value
    assert found["guessing"].value < 0.13


def test_the_test_part_is_read_once():
    data = digits()
    baselines = PixelBaselines(data.train, 10)
    test = data.open_test()
    baselines.scores(test)
    assert (data.test.reads, test.reads) == (1, 1)
    with pytest.raises(DataError, match="already"):
        baselines.scores(data.test)


def test_large_sets_are_sampled_and_the_count_says_so(monkeypatch):
    data = digits()
    monkeypatch.setattr(baseline, "_MOST_TRAIN", 300)
    monkeypatch.setattr(baseline, "_MOST_SCORED", 100)
    first, again = (PixelBaselines(data.train, 10, seed=3) for _ in range(2))
    assert len(first.train) == 300
    assert first.scores(data.validation) == again.scores(data.validation)
    assert {score.count for score in first.scores(data.validation)} == {100}
    monkeypatch.setattr(baseline, "_MOST_BYTES", 64 * 50)
    assert len(PixelBaselines(data.train, 10).train) == 50


def test_pictures_are_averaged_down():
    random = np.random.default_rng(0)
    pixels = random.integers(0, 255, (40, 70, 96, 3), np.uint8)
    data = arrays(pixels, np.arange(40) % 2, ["a", "b"])
    shrunk = baseline._shrunk(data.train, np.arange(len(data.train)), 32)
    assert shrunk.shape == (len(data.train), 3, 32, 32)
    columns = data.train.images()[:, :, :3].astype("float32").mean(2)  # 96 / 32 = 3 pixels
    rows = columns[:, :3].mean(1)  # 70 / 32: the first place sees rows 0 to 2
    np.testing.assert_allclose((shrunk[:, :, 0, 0] + 0.5) * 255, rows, atol=1e-3)


def test_nothing_to_learn_from():
    data = digits()
    with pytest.raises(DataError, match="empty"):
        PixelBaselines(data.train.take(np.arange(0)), 10)
