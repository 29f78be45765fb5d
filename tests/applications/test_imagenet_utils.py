"""Pictures in and class names out, against Keras."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from oracle import keras
from stroma import applications, layers, models
from stroma.applications import imagenet_utils
from stroma.core.errors import ArgumentError, FileFormatError, ShapeError, WeightsError

MODULES = [n for n, v in vars(keras.applications).items() if isinstance(v, ModuleType)]
PICTURES = np.random.default_rng(0).uniform(0, 255, (2, 4, 5, 3)).astype("float32")


@pytest.mark.parametrize("name", MODULES)
def test_the_modules_of_keras(name: str) -> None:
    """The same names, and the same numbers of `preprocess_input`."""
    ours, theirs = getattr(applications, name), getattr(keras.applications, name)
    assert ours is importlib.import_module(f"stroma.applications.{name}")
    expected = {n for n in dir(theirs) if not n.startswith("_")}
    assert set(ours.__all__) == expected
    found = ours.preprocess_input(PICTURES)
    np.testing.assert_allclose(found, theirs.preprocess_input(PICTURES.copy()), atol=1e-4)
    with pytest.raises(ArgumentError, match="data_format"):
        ours.preprocess_input(PICTURES, data_format="NHWC")


@pytest.mark.parametrize("data_format", [None, "channels_first"])
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
@pytest.mark.parametrize("rank", [3, 4])
def test_modes(mode: Any, data_format: str | None, rank: int) -> None:
    x = PICTURES if data_format is None else PICTURES.transpose(0, 3, 1, 2)
    x = np.ascontiguousarray(x if rank == 4 else x[0])
    expected = keras.applications.imagenet_utils.preprocess_input(x.copy(), data_format, mode)
    before = x.copy()
    for given in (x, torch.from_numpy(x)):
        found = imagenet_utils.preprocess_input(given, data_format, mode)
        assert type(found) is type(given)
        np.testing.assert_allclose(np.asarray(found), expected, atol=1e-4)
    assert (x == before).all()  # Keras writes over its argument
    wrong = imagenet_utils.preprocess_input(x, data_format, "tf" if mode == "torch" else "torch")
    assert np.abs(wrong - expected).max() > 0.1  # planted: another mode


def test_whole_numbers_and_half_precision() -> None:
    bytes_ = PICTURES.astype("uint8")
    expected = keras.applications.imagenet_utils.preprocess_input(bytes_.copy(), mode="torch")
    found = imagenet_utils.preprocess_input(bytes_, mode="torch")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    half = imagenet_utils.preprocess_input(torch.ones(1, 1, 3, dtype=torch.float16))
    assert half.dtype == torch.float16


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_as_part_of_a_network(mode: Any, tmp_path: Path) -> None:
    """Recorded in a graph, it is saved, and Keras reads it."""
    inputs = layers.Input((4, 5, 3))
    model = models.Model(inputs, imagenet_utils.preprocess_input(inputs, mode=mode))
    expected = imagenet_utils.preprocess_input(PICTURES, mode=mode)
    np.testing.assert_allclose(model(torch.from_numpy(PICTURES)).numpy(), expected, atol=1e-4)
    there = keras.models.load_model(model.save(tmp_path / "m.keras"))
    found = there(torch.from_numpy(PICTURES)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_wrong_pictures_and_modes() -> None:
    with pytest.raises(ArgumentError, match="mode"):
        imagenet_utils.preprocess_input(PICTURES, mode="keras")  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="3 colours"):
        imagenet_utils.preprocess_input(PICTURES[..., :2])


def test_class_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    scores = np.random.default_rng(0).permutation(2000).reshape(2, 1000).astype("float32")
    with pytest.raises(WeightsError, match="not on this machine"):
        imagenet_utils.decode_predictions(scores)
    path = tmp_path / "models" / "imagenet_class_index.json"
    path.parent.mkdir()
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(FileFormatError, match="does not hold"):
        imagenet_utils.decode_predictions(scores)
    index = {str(i): [f"n{i:08d}", f"class_{i}"] for i in range(1000)}
    path.write_text(json.dumps(index), encoding="utf-8")
    found = applications.resnet50.decode_predictions(torch.from_numpy(scores), top=3)
    for row, named in zip(scores, found):
        best = sorted(range(1000), key=lambda i: -row[i])[:3]
        assert named == [(f"n{i:08d}", f"class_{i}", row[i]) for i in best]
    with pytest.raises(ShapeError, match="1000"):
        imagenet_utils.decode_predictions(scores[:, :10])
    with pytest.raises(ArgumentError, match="top"):
        imagenet_utils.decode_predictions(scores, top=0)
