"""Arrays and scikit-learn's digits as parts."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from stroma.core.errors import DataError
from stroma.data.arrays import arrays, digits


def test_digits_are_scikit_learns() -> None:
    data = digits(seed=3)
    raw = load_digits()
    assert data.shape == (8, 8, 1) and data.class_names == [str(i) for i in range(10)]
    assert abs(len(data.test) - round(0.33 * 1797)) <= 10
    seen = []
    for part in (data.train, data.validation, data.open_test()):
        rows = np.array([int(name.split()[1]) for name in part.names])
        pixels = part.images()[..., 0]
        assert np.array_equal(pixels, np.rint(raw.images[rows] * 255 / 16))
        assert np.array_equal(part.labels, raw.target[rows])
        share = np.bincount(part.labels) / np.bincount(raw.target)
        assert share.max() - share.min() < 0.02  # stratified
        seen.extend(rows)
    assert sorted(seen) == list(range(1797))
    assert digits(seed=4).train.names != data.train.names


def test_arrays_take_numpy_and_torch_grey_and_names() -> None:
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 5), dtype=np.uint8)
    y = np.arange(40) % 2
    one = arrays(x, y, ["no", "yes"])
    two = arrays(torch.from_numpy(x)[..., None], torch.from_numpy(y).float(), ["no", "yes"])
    assert one.shape == (6, 5, 1) and one.fingerprint == two.fingerprint
    assert np.array_equal(one.train.images(), two.train.images())
    assert arrays(x, y).class_names == ["0", "1"]


def test_equal_pictures_and_groups_stay_together() -> None:
    x = np.random.default_rng(0).integers(0, 256, (60, 4, 4, 3), dtype=np.uint8)
    x[30:40] = x[:10]
    data = arrays(x, np.arange(60) % 2, groups=[i % 20 for i in range(60)])
    place = {name: part for part, holder in data.parts.items() for name in holder.names}
    for i in range(10):
        assert place[f"sample {i}"] == place[f"sample {i + 30}"] == place[f"sample {i + 20}"]
    assert data.audit.counts["duplicate"] == 10


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (np.zeros((4, 2, 2, 3)), np.zeros(4, int), "must be uint8, got float64"),
        (np.zeros((4, 2), np.uint8), np.zeros(4, int), r"must be \(N, H, W, C\)"),
        (np.zeros((4, 2, 2, 3), np.uint8), np.zeros(3, int), "must be 4 class indices"),
        (np.zeros((4, 2, 2, 3), np.uint8), np.eye(4), "must be 4 class indices"),
        (np.zeros((4, 2, 2, 3), np.uint8), np.array([0, 1, 2, 0.5]), "must be 4 class"),
        (np.zeros((4, 2, 2, 3), np.uint8), np.array([0, 1, -1, 0]), "sample 2: -1"),
    ],
)
def test_wrong_arrays_are_refused(x: np.ndarray, y: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        arrays(x, y)


def test_labels_beyond_the_names_are_named() -> None:
    x = np.zeros((4, 2, 2, 3), np.uint8)
    with pytest.raises(DataError, match="sample 3: 2"):
        arrays(x, np.array([0, 1, 0, 2]), ["a", "b"])
