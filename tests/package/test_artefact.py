"""The artefact: prepares pictures as the data room did, and says the same after save and load."""

import json
import zipfile

import numpy as np
import pytest
from PIL import Image
from scipy.special import softmax

from stroma import layers, models
from stroma.core.errors import ArgumentError, DataError, FileFormatError
from stroma.core.seeds import set_random_seed
from stroma.data import Decoder, images
from stroma.jobs import predict
from stroma.package.artefact import Answer, Artefact
from stroma.transfer.unlike import Unlike


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


def with_unlike(model, temperature=1.0, layer="pool"):
    random = np.random.default_rng(0)
    pictures = random.integers(100, 156, (120, 16, 16, 3), np.uint8)
    features = models.Model(model.input, model.get_layer(layer).output)(pictures)
    features = features.numpy(force=True)
    unlike = Unlike.fit(features[:80], features[80:], layer=layer)
    return Artefact(model, NAMES, temperature=temperature, unlike=unlike), pictures[80:]


def pooled_network():
    set_random_seed(0)
    inputs = layers.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, activation="relu")(layers.Rescaling(1 / 58.0, -2.0)(inputs))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return models.Model(inputs, layers.Dense(3, activation="softmax")(x))


def test_temperature_and_unlike_travel_with_the_file(tmp_path, photos):
    model = pooled_network()
    artefact, own = with_unlike(model, temperature=2.5)
    flat = np.full((1, 16, 16, 3), (255, 0, 0), np.uint8)
    answers = artefact.predict([*own, *flat])
    assert answers[-1].unlike > 0.95
    assert np.mean([answer.unlike for answer in answers[:-1]]) == pytest.approx(0.5, abs=0.1)
    loaded = Artefact.load(artefact.save(tmp_path / "model.keras"))
    assert loaded.temperature == 2.5
    assert loaded.predict([*own, *flat]) == answers
    plain = Artefact(model, NAMES)
    rows = plain.probabilities(own)
    np.testing.assert_allclose(
        artefact.probabilities(own), softmax(np.log(rows) / 2.5, 1), atol=1e-6
    )
    assert plain.predict(own)[0].unlike is None
    from oracle import keras

    theirs = keras.models.load_model(tmp_path / "model.keras").predict(own, verbose=0)
    np.testing.assert_allclose(rows, theirs, atol=1e-5)


def test_predict_says_unlike_only_where_the_model_can_tell(tmp_path, photos):
    artefact, _ = with_unlike(pooled_network())
    paths = sorted(photos.glob("*/*.png"))[:3]
    told = [said.to_json() for said in predict(artefact, paths)]
    assert all(0 <= row["unlike"] < 1 for row in told)
    silent = [said.to_json() for said in predict(Artefact(pooled_network(), NAMES), paths)]
    assert not any("unlike" in row for row in silent)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda facts: facts.update(temperature=0), "temperature"),
        (lambda facts: facts["unlike"].update(layer="gone"), "no layer 'gone'"),
        (lambda facts: facts["unlike"].update(size=4), "the prototypes have 4 features"),
        (lambda facts: facts["unlike"].update(prototypes="@@"), "no array of float32"),
    ],
)
def test_a_changed_score_is_refused(tmp_path, change, message):
    artefact, _ = with_unlike(pooled_network())
    path = artefact.save(tmp_path / "model.keras")
    rewrite(path, lambda extra: change(extra["artefact"]))
    with pytest.raises(FileFormatError, match=message):
        Artefact.load(path)
    older = Artefact(pooled_network(), NAMES).save(tmp_path / "older.keras")
    rewrite(older, lambda extra: [extra["artefact"].pop(key) for key in ("temperature", "unlike")])
    assert Artefact.load(older).unlike is None  # files from before the score
