"""The artefact: prepares pictures as the data room did, and says the same after save and load."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from stroma import layers, models
from stroma.core.errors import ArgumentError, DataError, FileFormatError
from stroma.core.seeds import set_random_seed
from stroma.data import Decoder, images
from stroma.package.artefact import Answer, Artefact


def network(size=16, channels=3, classes=3, **dense):
    set_random_seed(0)
    inputs = layers.Input((size, size, channels))
    x = layers.Rescaling([1 / 58.0] * channels, [-2.0] * channels)(inputs)
    x = layers.Conv2D(4, 3, activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return models.Model(inputs, layers.Dense(classes, activation="softmax", **dense)(x))


NAMES = ["ant", "bee", "café"]


@pytest.fixture
def photos(tmp_path):
    """Odd photos in class folders: large, turned by EXIF, grey, see-through, CMYK, of the size."""
    random = np.random.default_rng(0)
    folder = tmp_path / "photos"
    for at in range(12):
        for name in NAMES:
            (folder / name).mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (30 + at, 50, 3), np.uint8)
            picture, path, options = Image.fromarray(pixels), folder / name / f"{at}.png", {}
            if at % 6 == 0:
                path, exif = path.with_suffix(".jpg"), Image.Exif()
                exif[0x0112] = 6
                options["exif"] = exif
            picture = {
                1: lambda p=picture: p.convert("L"),
                2: lambda p=picture: p.convert("RGBA"),
                4: lambda p=picture: p.resize((16, 16)),
            }.get(at % 6, lambda p=picture: p)()
            if at % 6 == 2:
                picture.putalpha(100)
            if at % 6 == 3:
                picture, path = picture.convert("CMYK"), path.with_suffix(".jpg")
            picture.save(path, **options)
    return folder


def test_pictures_are_prepared_exactly_as_by_the_data_room(photos):
    data = images(photos, size=16, background=(9, 200, 30), cache="memory")
    artefact = Artefact(network(), data.class_names, decoder=data.decoder)
    seen = set()
    for part in (data.train, data.validation, data.open_test()):
        for name, pixels in zip(part.names, part.images()):
            np.testing.assert_array_equal(artefact.prepare(photos / name), pixels)
            seen.add(name)
    assert len(seen) == 36
    other = Artefact(network(), data.class_names, decoder=Decoder((16, 16)))  # white behind
    changed = [n for n in seen if (other.prepare(photos / n) != artefact.prepare(photos / n)).any()]
    assert {name[-5:] for name in changed} <= {"2.png", "8.png"}
    assert changed  # planted: another background is noticed


def test_answers_are_the_networks(photos):
    model = network()
    artefact = Artefact(model, NAMES, decoder=Decoder((16, 16)))
    paths = sorted(photos.glob("*/*"))
    pixels = np.stack([artefact.prepare(path) for path in paths])
    rows = model(pixels).numpy(force=True)
    np.testing.assert_allclose(artefact.probabilities(paths, batch_size=5), rows, atol=1e-6)
    answers = artefact.predict(str(path) for path in paths)
    assert [a.class_name for a in answers] == [NAMES[i] for i in rows.argmax(1)]
    assert [a.runner_up for a in answers] == [NAMES[i] for i in rows.argsort(1)[:, 1]]
    assert all(1 >= a.probability >= a.runner_up_probability >= 0 for a in answers)
    assert artefact.predict([]) == []
    assert isinstance(artefact.predict(str(paths[0]))[0], Answer)  # one path is one picture


def test_logits_become_probabilities():
    inputs = layers.Input((2, 2, 3))
    model = models.Model(inputs, layers.GlobalAveragePooling2D()(inputs) * 1.0)
    pixels = np.array([[[[1, 2, 3]] * 2] * 2], np.uint8)
    rows = Artefact(model, NAMES, from_logits=True).probabilities(pixels)
    np.testing.assert_allclose(rows[0], np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum(), rtol=1e-6)


def test_arrays_of_any_size_and_grey_networks():
    random = np.random.default_rng(1)
    artefact = Artefact(network(size=8, channels=1), NAMES)
    grey = random.integers(0, 256, (8, 8), np.uint8)
    np.testing.assert_array_equal(artefact.prepare(grey), grey[..., None])
    np.testing.assert_array_equal(artefact.prepare(grey[..., None]), grey[..., None])
    assert artefact.prepare(random.integers(0, 256, (20, 31, 3), np.uint8)).shape == (8, 8, 1)


@pytest.mark.parametrize("decoder", [None, Decoder((16, 16), (1, 2, 3), 5000)])
def test_load_gives_what_was_saved(tmp_path, photos, decoder):
    facts = {"data": "photos/", "accuracy": 0.5, "nested": {"a": [1, 2]}}
    artefact = Artefact(network(), NAMES, decoder=decoder, provenance=facts)
    path = artefact.save(tmp_path / "model.keras")
    loaded = Artefact.load(path)
    assert loaded.class_names == NAMES
    assert loaded.decoder == artefact.decoder
    assert loaded.provenance == facts
    paths = sorted(photos.glob("*/*.png"))
    np.testing.assert_array_equal(loaded.probabilities(paths), artefact.probabilities(paths))


def test_refusals(tmp_path):
    with pytest.raises(ArgumentError, match="2 class names for 3 outputs"):
        Artefact(network(), ["a", "b"])
    with pytest.raises(ArgumentError, match="for a network of"):
        Artefact(network(), NAMES, decoder=Decoder((32, 32)))
    artefact = Artefact(network(), NAMES)
    with pytest.raises(DataError, match="uint8"):
        artefact.predict([np.zeros((16, 16, 3))])
    with pytest.raises(DataError, match="predict"):
        artefact.predict([np.zeros((2, 16, 16, 3), np.uint8)])
    (tmp_path / "note.jpg").write_text("no picture")
    with pytest.raises(DataError, match="not a picture"):
        artefact.predict([tmp_path / "note.jpg"])


def test_keras_opens_the_file_as_a_plain_model(tmp_path, photos):
    from oracle import keras

    artefact = Artefact(network(), NAMES)
    path = artefact.save(tmp_path / "model.keras")
    pixels = np.stack([artefact.prepare(photo) for photo in sorted(photos.glob("*/*"))])
    theirs = keras.models.load_model(path).predict(pixels, verbose=0)
    np.testing.assert_allclose(artefact.probabilities(pixels), theirs, atol=1e-5)


def rewrite(path, change):
    """The same file with its extra data changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    metadata = json.loads(members["metadata.json"])
    change(metadata["stroma"]["extra"])
    members["metadata.json"] = json.dumps(metadata).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda extra: extra.clear(), "without class names"),
        (lambda extra: extra["artefact"].pop("class_names"), "'class_names' is missing"),
        (lambda extra: extra["artefact"].update(class_names=[1, 2, 3]), "expected text"),
        (lambda extra: extra["artefact"].update(class_names=["a"]), "1 class names for 3"),
        (lambda extra: extra["artefact"].update(size=[10**9, 16]), "pictures of size"),
        (lambda extra: extra["artefact"].update(size=[16]), "pictures of size"),
        (lambda extra: extra["artefact"].update(background=[0, 0]), "pictures of size"),
        (lambda extra: extra.update(artefact="text"), "expected an object"),
    ],
)
def test_a_changed_file_is_refused(tmp_path, change, message):
    path = Artefact(network(), NAMES).save(tmp_path / "model.keras")
    rewrite(path, change)
    with pytest.raises(FileFormatError, match=message):
        Artefact.load(path)
