"""Data sets from folders and arrays, chained and trained with; pictures; sequences; drawings."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from oracle import keras
from stroma import Input, Model, layers, models, preprocessing, utils
from stroma.core.errors import ArgumentError, DataError, MissingDependencyError
from stroma.utils.datasets import Dataset


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for label, colour in (("blue", (0, 0, 250)), ("red", (250, 0, 0))):
        (tmp_path / label).mkdir()
        for i in range(10):
            Image.new("RGB", (12, 9), colour).save(tmp_path / label / f"{i}.png")
            (tmp_path / label / f"{i}.txt").write_text(f"{label} number {i}")
    return tmp_path


def test_pictures_from_a_folder_train_a_model(photos: Path, capsys: Any) -> None:
    data = utils.image_dataset_from_directory(photos, image_size=(8, 8), batch_size=4, seed=1)
    assert "Found 20 files belonging to 2 classes." in capsys.readouterr().out
    assert data.class_names == ["blue", "red"] and len(data) == 5 and len(data.file_paths) == 20
    x, y = next(iter(data))
    assert x.shape == (4, 8, 8, 3) and x.dtype == torch.float32 and y.dtype == torch.int32
    assert torch.equal((x[:, 0, 0, 0] > 100).int(), y)
    model = models.Sequential([Input((8, 8, 3)), layers.Flatten(), layers.Dense(2)])
    model.compile("adam", "mse")
    scaled = data.map(lambda x, y: (x / 255, y[:, None].float())).cache().prefetch(1)
    history = model.fit(scaled, epochs=2, verbose=0, validation_data=scaled.take(2))
    assert len(history.history["val_loss"]) == 2


def test_the_split_is_that_of_keras(photos: Path) -> None:
    from keras.src.utils.dataset_utils import get_training_or_validation_split, index_directory

    files, labels, _ = index_directory(str(photos), "inferred", (".png",), seed=7, verbose=False)
    parts = {}
    for subset in ("training", "validation"):
        wanted, numbers = get_training_or_validation_split(files, labels, 0.25, subset)
        part = parts[subset] = utils.image_dataset_from_directory(
            photos, validation_split=0.25, subset=subset, seed=7, verbose=False
        )
        assert part.file_paths == wanted
        assert torch.cat([y for _, y in part]).tolist() == list(numbers)
    assert not set(parts["training"].file_paths) & set(parts["validation"].file_paths)


@pytest.mark.parametrize(("mode", "shape"), [("categorical", (3, 2)), ("binary", (3, 1))])
def test_label_modes(photos: Path, mode: str, shape: tuple[int, ...]) -> None:
    data = utils.image_dataset_from_directory(
        photos, label_mode=mode, batch_size=3, verbose=False, color_mode="grayscale"
    )
    x, y = next(iter(data))
    assert x.shape == (3, 256, 256, 1) and y.shape == shape and y.dtype == torch.float32


def test_texts(photos: Path) -> None:
    data = utils.text_dataset_from_directory(photos, batch_size=20, shuffle=False, max_length=6,
                                             verbose=False)  # fmt: skip
    texts, labels = next(iter(data))
    assert texts[0] == "blue n" and texts[-1] == "red nu" and labels.tolist() == [0] * 10 + [1] * 10


def test_what_is_wrong_is_said(photos: Path) -> None:
    with pytest.raises(DataError):
        utils.image_dataset_from_directory(photos / "nowhere")
    for settings in ({"validation_split": 0.2}, {"validation_split": 0.2, "subset": "training"},
                     {"class_names": ["green"]}, {"interpolation": "best"}):  # fmt: skip
        with pytest.raises(ArgumentError):
            utils.image_dataset_from_directory(photos, verbose=False, **settings)


def test_each_pass_is_shuffled_anew_and_repeats(photos: Path) -> None:
    def passes() -> list[list[int]]:
        data = utils.image_dataset_from_directory(photos, image_size=(2, 2), seed=3, verbose=False)
        return [torch.cat([y for _, y in data]).tolist() for _ in range(2)]

    first, again = passes(), passes()
    assert first == again and first[0] != first[1] and sum(first[1]) == 10


def test_chains() -> None:
    data = Dataset(lambda turn: iter(range(10)), 10)
    assert [b.tolist() for b in data.skip(6).batch(3, drop_remainder=True)] == [[6, 7, 8]]
    assert [int(n) for n in data.batch(4).unbatch()] == list(range(10))
    assert list(data.filter(lambda n: n % 5 == 0).repeat(2)) == [0, 5, 0, 5]
    shuffled = data.shuffle(10, seed=1)
    first, second = list(shuffled), list(shuffled)
    assert first != second and sorted(first) == sorted(second) == list(range(10))
    assert list(data.shuffle(10, seed=1)) == first
    assert list(data.prefetch(3)) == list(range(10)) and len(data.batch(3)) == 4
    made = []
    cached = data.map(lambda n: made.append(n) or n).cache()
    assert list(cached) == list(cached) and len(made) == 10
    left, right = utils.split_dataset((np.arange(10), np.arange(10) * 2), 0.7)
    assert len(left) == 7 and [int(y) for _, y in right] == [14, 16, 18]
    with pytest.raises(DataError):
        utils.split_dataset(np.arange(4), 5)


def test_windows_over_time() -> None:
    data = np.arange(20).reshape(10, 2)
    windows = utils.timeseries_dataset_from_array(data, data[:, 0], 3, sequence_stride=2,
                                                  sampling_rate=2, batch_size=2)  # fmt: skip
    batches = list(windows)
    assert len(windows) == len(batches) == 2
    assert batches[0][0][1].tolist() == [[4, 5], [8, 9], [12, 13]]
    assert torch.cat([y for _, y in batches]).tolist() == [0, 4, 8]
    shuffled = utils.timeseries_dataset_from_array(np.arange(50), None, 2, shuffle=True, seed=2)
    assert sorted(torch.cat(list(shuffled))[:, 0].tolist()) == list(range(49))


def test_sequences_are_padded_as_by_keras() -> None:
    draw = np.random.default_rng(0)
    rows = [draw.integers(1, 9, size=n).tolist() for n in (3, 0, 5, 2)]
    for settings in ({}, {"maxlen": 4}, {"maxlen": 4, "padding": "post", "truncating": "post"},
                     {"maxlen": 7, "value": -1.0, "dtype": "float32"}):  # fmt: skip
        ours = preprocessing.sequence.pad_sequences(rows, **settings)
        theirs = keras.utils.pad_sequences(rows, **settings)
        assert ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    with pytest.raises(ArgumentError):
        utils.pad_sequences([1, 2])


def test_pictures_and_arrays(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype("float32")
    utils.save_img(tmp_path / "a.png", pixels, scale=False)
    for settings in ({}, {"target_size": (4, 5)}, {"color_mode": "grayscale"},
                     {"target_size": (4, 4), "keep_aspect_ratio": True,
                      "interpolation": "bilinear"}):  # fmt: skip
        ours = utils.img_to_array(utils.load_img(tmp_path / "a.png", **settings))
        theirs = keras.utils.img_to_array(keras.utils.load_img(tmp_path / "a.png", **settings))
        assert np.array_equal(ours, theirs) and ours.dtype == theirs.dtype
    assert np.array_equal(utils.array_to_img(pixels), keras.utils.array_to_img(pixels))
    small = preprocessing.image.smart_resize(pixels, (3, 3))
    assert np.allclose(small, keras.preprocessing.image.smart_resize(pixels, (3, 3)), atol=1e-3)
    with pytest.raises(DataError):
        utils.load_img(io.BytesIO(b"no picture"))
    with pytest.raises(ArgumentError):
        utils.array_to_img(np.zeros((2, 2, 2, 2)))


class Batches(utils.PyDataset):  # type: ignore[misc]  # found when it is asked for
    ended = 0

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        return np.full((2, 4), index, "float32"), np.full((2, 1), index, "float32")

    def on_epoch_end(self) -> None:
        self.ended += 1


def test_batches_by_number_train() -> None:
    model = models.Sequential([Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    data = Batches()
    assert len(model.fit(data, epochs=2, verbose=0).history["loss"]) == 2
    assert model.predict(data, verbose=0).shape == (6, 1) and data.ended >= 2


def test_drawing(tmp_path: Path) -> None:
    x = Input((4,), name="in")
    y = layers.Add()([layers.Dense(3, name="left")(x), layers.Dense(3, name="right")(x)])
    path = utils.plot_model(Model(x, y), str(tmp_path / "model.png"), show_shapes=True,
                            show_layer_names=True)  # fmt: skip
    assert path.endswith(".svg")
    tree = ElementTree.parse(path).getroot()
    kinds = [element.tag.rpartition("}")[2] for element in tree.iter()]
    assert kinds.count("rect") == 4 and kinds.count("line") == 4
    words = "".join(tree.itertext())
    assert "left" in words and "Dense" in words and "(None, 3)" in words
    with pytest.raises(MissingDependencyError, match="Graphviz"):
        utils.model_to_dot(Model(x, y))
    assert utils.get_source_inputs(y) == [x] and utils.is_keras_tensor(y)


def test_small_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert utils.standardize_dtype("int32") == utils.standardize_dtype(int) == "int32"
    assert utils.unpack_x_y_sample_weight((1, 2, 3)) == (1, 2, 3)
    assert utils.pack_x_y_sample_weight([1]) == ([1],)
    bar = utils.Progbar(2, verbose=1)
    bar.add(1, [("loss", 1.0)])
    bar.add(1, [("loss", 3.0)])
    assert "2/2" in (out := capsys.readouterr().out) and "loss: 2.0000" in out
    utils.clear_session()


def test_a_planted_mistake_is_caught(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from stroma.utils import directories

    listed = directories._listed
    monkeypatch.setattr(directories, "_listed", lambda *args: listed(*args)[::-1])
    with pytest.raises(AssertionError):
        test_the_split_is_that_of_keras(photos)
